/* A file -> entries: the table of its keys, then one pass over its scalars. Items of a list stand together in a file, so
 * that each entry is read from a slice of them and reading stays linear. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/kind.h"
#include "common/config/roster_file_internal.h"
#include "common/config/setting.h"
#include "common/config/yaml.h"
#include "common/seal/line.h"

/* -- the table --------------------------------------------------------------------------------------------------------- */

static int parse_public_key(void *field, const char *text, struct fed_error *why) {
    return fed_public_parse(field, text, why);
}

static int parse_date(void *field, const char *text, struct fed_error *why) {
    (void)why;
    return fed_roster_date_parse(field, text);
}

static int parse_base64(uint8_t *out, size_t n, const char *text) {
    return fed_base64_parse(out, n, text, strlen(text)) == 0 ? 0 : FED_ECONFIG;
}

static int parse_certificate(void *field, const char *text, struct fed_error *why) {
    (void)why;
    return parse_base64(field, FED_CERTIFICATE_BYTES, text);
}

static int parse_proof(void *field, const char *text, struct fed_error *why) {
    (void)why;
    return parse_base64(field, FED_PROOF_BYTES, text);
}

static int parse_nonce(void *field, const char *text, struct fed_error *why) {
    (void)why;
    return parse_base64(field, FED_NONCE_BYTES, text);
}

#define PUBLIC_LINE "a public line, fedavg1:..."
#define DATE "a date such as 2026-01-01 or 2026-01-01T12:00:00Z"
#define CERTIFICATE "a certificate, 332 characters"
#define PROOF "a proof, 171 characters"
#define FIELD(name) offsetof(struct fed_roster_entry, name)

_Static_assert(FED_BASE64_CHARS(FED_CERTIFICATE_BYTES) == 332 && FED_BASE64_CHARS(FED_PROOF_BYTES) == 171 &&
                   FED_BASE64_CHARS(FED_NONCE_BYTES) == 22,
               "as the sentences say");

static const struct fed_setting rows[] = {
    {"schema", FED_SETTING_U32, 0, .required = true, .min = 1, .max = 1,
     .expected = "1, the only schema this version knows"},
    {"nodes[].name", FED_SETTING_NAME, FIELD(name), .required = true},
    {"nodes[].key", FED_SETTING_CUSTOM, FIELD(keys), .required = true, .parse = parse_public_key, .expected = PUBLIC_LINE},
    {"nodes[].next_key", FED_SETTING_CUSTOM, FIELD(next), .parse = parse_public_key, .expected = PUBLIC_LINE},
    {"nodes[].clients.first", FED_SETTING_U64, FIELD(first_client), .required = true, .max = FED_ROSTER_CLIENTS_MAX},
    {"nodes[].clients.count", FED_SETTING_U64, FIELD(n_clients), .fallback = "1", .min = 1, .max = FED_ROSTER_CLIENTS_MAX},
    {"nodes[].partial_sums", FED_SETTING_BOOL, FIELD(partial_sums), .fallback = "no"},
    {"nodes[].not_before", FED_SETTING_CUSTOM, FIELD(not_before), .parse = parse_date, .expected = DATE},
    {"nodes[].not_after", FED_SETTING_CUSTOM, FIELD(not_after), .parse = parse_date, .expected = DATE},
    {"nodes[].revoked", FED_SETTING_CUSTOM, FIELD(revoked), .parse = parse_date, .expected = DATE},
    {"nodes[].certificate", FED_SETTING_CUSTOM, FIELD(enrolment.certificate), .parse = parse_certificate,
     .expected = CERTIFICATE},
    {"nodes[].proof", FED_SETTING_CUSTOM, FIELD(enrolment.proof), .parse = parse_proof, .expected = PROOF},
    {"nodes[].next_certificate", FED_SETTING_CUSTOM, FIELD(next_enrolment.certificate), .parse = parse_certificate,
     .expected = CERTIFICATE},
    {"nodes[].next_proof", FED_SETTING_CUSTOM, FIELD(next_enrolment.proof), .parse = parse_proof, .expected = PROOF},
    {"spent[]", FED_SETTING_CUSTOM, 0, .parse = parse_nonce, .expected = "a nonce, 22 characters"},
};

static const struct fed_settings settings = {rows, sizeof rows / sizeof *rows};

const struct fed_settings *fed_roster_file_settings(void) { return &settings; }

/* -- entries ----------------------------------------------------------------------------------------------------------- */

/* Entries under this prefix stand together, because a file was read and nothing set. Advances *from past them. */
static struct fed_yaml slice(const struct fed_yaml *yaml, size_t *from, const char *prefix) {
    size_t n = strlen(prefix);
    while (*from < yaml->n_entries && strncmp(yaml->entries[*from].path, prefix, n) != 0) {
        (*from)++;
    }
    size_t first = *from;
    while (*from < yaml->n_entries && strncmp(yaml->entries[*from].path, prefix, n) == 0) {
        (*from)++;
    }
    return (struct fed_yaml){.entries = yaml->entries + first, .n_entries = *from - first};
}

static bool item_has(const struct fed_settings_source *item, size_t i, const char *key) {
    char path[64];
    snprintf(path, sizeof path, "nodes[%zu].%s", i, key);
    return fed_settings_given(item, path);
}

/* Certificate and proof come together or not at all. */
static int both_or_none(bool *out, const struct fed_settings_source *item, size_t i, const char *certificate,
                        const char *proof, struct fed_error *err) {
    bool has = item_has(item, i, certificate);
    if (has != item_has(item, i, proof)) {
        char path[64];
        snprintf(path, sizeof path, "nodes[%zu].%s", i, has ? certificate : proof);
        return fed_settings_refuse(item, path, err, "goes only with %s", has ? proof : certificate);
    }
    *out = has;
    return 0;
}

static int read_entry(struct fed_roster_entry *entry, const struct fed_settings_source *item, size_t i,
                      struct fed_error *err) {
    int code = fed_settings_read_item(entry, &settings, item, "nodes", i, err);
    if (code == 0) {
        code = both_or_none(&entry->has_enrolment, item, i, "certificate", "proof", err);
    }
    if (code == 0) {
        code = both_or_none(&entry->has_next_enrolment, item, i, "next_certificate", "next_proof", err);
    }
    entry->has_next = item_has(item, i, "next_key");
    return code;
}

static int read_entries(struct fed_roster_file *roster, int *lines, const struct fed_settings_source *source,
                        struct fed_error *err) {
    size_t from = 0;
    for (size_t i = 0; i < roster->n_entries; i++) {
        char prefix[40];
        snprintf(prefix, sizeof prefix, "nodes[%zu].", i);
        struct fed_settings_source item = {slice(&source->yaml, &from, prefix), source->file, source->dir};
        int code = read_entry(&roster->entries[i], &item, i, err);
        if (code != 0) {
            return code;
        }
        lines[i] = item.yaml.entries[0].line;
    }
    return 0;
}

static int read_spent(struct fed_roster_file *roster, const struct fed_settings_source *source, struct fed_error *err) {
    size_t from = 0;
    for (size_t i = 0; i < roster->n_spent; i++) {
        char prefix[40];
        snprintf(prefix, sizeof prefix, "spent[%zu]", i);
        struct fed_settings_source item = {slice(&source->yaml, &from, prefix), source->file, source->dir};
        int code = fed_settings_read_item(roster->spent[i], &settings, &item, "spent", i, err);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

/* Items of a file: bounded by its size. */
static int make_room(struct fed_roster_file *roster, int **lines, const struct fed_yaml *yaml, struct fed_error *err) {
    roster->n_entries = fed_settings_count(yaml, "nodes");
    roster->n_spent = fed_settings_count(yaml, "spent");
    roster->entries = calloc(roster->n_entries + 1, sizeof *roster->entries);
    roster->spent = calloc(roster->n_spent + 1, sizeof *roster->spent);
    *lines = calloc(roster->n_entries + 1, sizeof **lines);
    return roster->entries != NULL && roster->spent != NULL && *lines != NULL
               ? 0
               : fed_error_set(err, FED_ENOMEM, "out of memory");
}

int fed_roster_file_load(struct fed_roster_file *out, const char *path, struct fed_error *err) {
    struct fed_settings_source source = {.file = path};
    struct fed_roster_file roster = {0};
    uint32_t schema;
    int *lines = NULL;
    int code = fed_yaml_load_large(&source.yaml, path, FED_ROSTER_FILE_MAX, err);
    if (code != 0) {
        return code;
    }
    code = fed_config_expect(&source.yaml, path, FED_CONFIG_ROSTER, err);
    if (code == 0) {
        code = fed_settings_read(&schema, &settings, &source, err);
    }
    if (code == 0) {
        code = make_room(&roster, &lines, &source.yaml, err);
    }
    if (code == 0) {
        code = read_entries(&roster, lines, &source, err);
    }
    if (code == 0) {
        code = read_spent(&roster, &source, err);
    }
    if (code == 0) {
        code = fed_roster_file_check(&roster, lines, path, err);
    }
    free(lines);
    fed_yaml_fini(&source.yaml);
    if (code == 0) {
        *out = roster;
    } else {
        fed_roster_file_fini(&roster);
    }
    return code;
}
