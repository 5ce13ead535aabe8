/* Entries -> a file, which is replaced whole. What is written obeys the rules and reads back as the same entries. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/config/roster_file_internal.h"
#include "common/config/yaml.h"
#include "common/seal/line.h"

#define KEYS_OF_NODE 13 /* at most */

/* There is room for all, see format. What was copied only half is freed with the rest. */
static int put(struct fed_yaml *yaml, const char *path, const char *value) {
    struct fed_yaml_entry entry = {strdup(path), strdup(value), 0};
    yaml->entries[yaml->n_entries++] = entry;
    return entry.path != NULL && entry.value != NULL ? 0 : FED_ENOMEM;
}

static int add(struct fed_yaml *yaml, size_t i, const char *key, const char *value) {
    char path[64];
    snprintf(path, sizeof path, "nodes[%zu].%s", i, key);
    return put(yaml, path, value);
}

static int add_key(struct fed_yaml *yaml, size_t i, const char *key, const struct fed_public_keys *keys) {
    char line[FED_PUBLIC_LINE_MAX];
    fed_public_line(line, keys);
    return add(yaml, i, key, line);
}

static int add_number(struct fed_yaml *yaml, size_t i, const char *key, uint64_t value) {
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    return add(yaml, i, key, digits);
}

static int add_date(struct fed_yaml *yaml, size_t i, const char *key, int64_t seconds) {
    char date[FED_ROSTER_DATE_MAX];
    if (seconds == 0) {
        return 0;
    }
    fed_roster_date_format(date, seconds);
    return add(yaml, i, key, date);
}

static int add_enrolment(struct fed_yaml *yaml, size_t i, const char *certificate, const char *proof,
                         const struct fed_enrolment *enrolment) {
    char text[FED_BASE64_CHARS(FED_CERTIFICATE_BYTES) + 1];
    fed_base64_format(text, enrolment->certificate, sizeof enrolment->certificate);
    int code = add(yaml, i, certificate, text);
    if (code == 0) {
        fed_base64_format(text, enrolment->proof, sizeof enrolment->proof);
        code = add(yaml, i, proof, text);
    }
    return code;
}

static int add_node(struct fed_yaml *yaml, size_t i, const struct fed_roster_entry *entry) {
    bool ok = add(yaml, i, "name", entry->name) == 0 && add_key(yaml, i, "key", &entry->keys) == 0 &&
              (!entry->has_next || add_key(yaml, i, "next_key", &entry->next) == 0) &&
              add_number(yaml, i, "clients.first", entry->first_client) == 0 &&
              add_number(yaml, i, "clients.count", entry->n_clients) == 0 &&
              add(yaml, i, "partial_sums", entry->partial_sums ? "yes" : "no") == 0 &&
              add_date(yaml, i, "not_before", entry->not_before) == 0 &&
              add_date(yaml, i, "not_after", entry->not_after) == 0 && add_date(yaml, i, "revoked", entry->revoked) == 0 &&
              (!entry->has_enrolment || add_enrolment(yaml, i, "certificate", "proof", &entry->enrolment) == 0) &&
              (!entry->has_next_enrolment ||
               add_enrolment(yaml, i, "next_certificate", "next_proof", &entry->next_enrolment) == 0);
    return ok ? 0 : FED_ENOMEM;
}

static int add_spent(struct fed_yaml *yaml, size_t i, const uint8_t nonce[FED_NONCE_BYTES]) {
    char path[32], text[FED_BASE64_CHARS(FED_NONCE_BYTES) + 1];
    snprintf(path, sizeof path, "spent[%zu]", i);
    fed_base64_format(text, nonce, FED_NONCE_BYTES);
    return put(yaml, path, text);
}

static int format(char **out, const struct fed_roster_file *roster) {
    size_t most = 1 + KEYS_OF_NODE * roster->n_entries + roster->n_spent; /* counts of things in memory: no overflow */
    struct fed_yaml yaml = {.entries = calloc(most, sizeof *yaml.entries)};
    int code = yaml.entries != NULL ? put(&yaml, "schema", "1") : FED_ENOMEM;
    for (size_t i = 0; i < roster->n_entries && code == 0; i++) {
        code = add_node(&yaml, i, &roster->entries[i]);
    }
    for (size_t i = 0; i < roster->n_spent && code == 0; i++) {
        code = add_spent(&yaml, i, roster->spent[i]);
    }
    if (code == 0) {
        code = fed_yaml_format(out, &yaml);
    }
    fed_yaml_fini(&yaml);
    return code;
}

int fed_roster_file_save(const struct fed_roster_file *roster, const char *path, struct fed_error *err) {
    static const char head[] = "# Nodes that may take part, hosting which clients; written by `fedavg roster`.\n";
    char *text = NULL;
    int code = fed_roster_file_check(roster, NULL, path, err);
    if (code != 0) {
        return code;
    }
    if (format(&text, roster) != 0) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    size_t n = strlen(text);
    if (n + sizeof head > FED_ROSTER_FILE_MAX) {
        code = fed_error_set(err, FED_ECONFIG, "%s: %zu nodes need more than 32 MiB, more than a roster may have", path,
                             roster->n_entries);
    } else {
        struct iovec parts[] = {{(void *)head, sizeof head - 1}, {text, n}};
        code = fed_file_replace(path, parts, 2, 0644, err);
    }
    free(text);
    return code;
}
