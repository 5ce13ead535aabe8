#include "common/config/roster_file.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/file.h"
#include "common/config/kind.h"
#include "common/config/setting.h"
#include "common/config/yaml.h"
#include "common/seal/line.h"

#define ROSTER_MAX ((size_t)32 << 20) /* bytes: some forty thousand signed entries */
#define LOCK_TRIES 100
#define LOCK_PAUSE_NS 50000000

/* -- dates ------------------------------------------------------------------------------------------------------------- */

/* The value of text where it matches the form, in which every 0 stands for a digit; else false. */
static bool matches(const char *text, const char *form) {
    size_t i = 0;
    for (; form[i] != '\0' && text[i] != '\0'; i++) {
        if (form[i] == '0' ? !isdigit((unsigned char)text[i]) : text[i] != form[i]) {
            return false;
        }
    }
    return form[i] == text[i];
}

int fed_roster_date_parse(int64_t *out, const char *text) {
    struct tm tm = {0};
    bool with_time = matches(text, "0000-00-00T00:00:00Z");
    if (!with_time && !matches(text, "0000-00-00")) {
        return FED_ECONFIG;
    }
    const char *end = strptime(text, with_time ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%d", &tm);
    if (end == NULL || *end != '\0') {
        return FED_ECONFIG;
    }
    struct tm given = tm;
    time_t seconds = timegm(&tm);
    if (seconds <= 0 || tm.tm_mday != given.tm_mday || tm.tm_sec != given.tm_sec) { /* 30 February became 2 March */
        return FED_ECONFIG;
    }
    *out = seconds;
    return 0;
}

void fed_roster_date_format(char out[FED_ROSTER_DATE_MAX], int64_t seconds) {
    time_t t = (time_t)seconds;
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, FED_ROSTER_DATE_MAX, seconds % 86400 == 0 ? "%Y-%m-%d" : "%Y-%m-%dT%H:%M:%SZ", &tm);
}

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

#define MOST_CLIENTS ((uint64_t)1 << 31) /* ids stay below 2^32: a cohort is drawn from them by 32-bit numbers */
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
    {"nodes[].clients.first", FED_SETTING_U64, FIELD(first_client), .required = true, .max = MOST_CLIENTS},
    {"nodes[].clients.count", FED_SETTING_U64, FIELD(n_clients), .fallback = "1", .min = 1, .max = MOST_CLIENTS},
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

/* -- the rules --------------------------------------------------------------------------------------------------------- */

struct rules {
    const struct fed_roster_file *roster;
    const int *lines; /* of each entry; NULL when not read from a file */
    const char *path;
    struct fed_error *err;
};

static int refuse(const struct rules *rules, size_t i, const char *format, ...) FED_PRINTF(3, 4);

static int refuse(const struct rules *rules, size_t i, const char *format, ...) {
    struct fed_error sentence;
    va_list args;
    va_start(args, format);
    vsnprintf(sentence.text, sizeof sentence.text, format, args);
    va_end(args);
    const char *name = rules->roster->entries[i].name;
    if (rules->lines == NULL) {
        return fed_error_set(rules->err, FED_ECONFIG, "%s: node %s: %s", rules->path, name, sentence.text);
    }
    return fed_error_set(rules->err, FED_ECONFIG, "%s:%d: node %s: %s", rules->path, rules->lines[i], name, sentence.text);
}

/* What sorting puts side by side: one name, key half or range, and whose it is. */
struct claim {
    const void *bytes;
    size_t n;
    size_t entry;
};

static int by_bytes(const void *a, const void *b) {
    const struct claim *x = a, *y = b;
    int order = memcmp(x->bytes, y->bytes, x->n);
    return order != 0 ? order : (x->entry > y->entry) - (x->entry < y->entry);
}

static int check_unique(const struct rules *rules, struct claim *claims, size_t n, const char *what) {
    qsort(claims, n, sizeof *claims, by_bytes);
    for (size_t i = 1; i < n; i++) {
        if (memcmp(claims[i].bytes, claims[i - 1].bytes, claims[i].n) == 0) {
            return refuse(rules, claims[i].entry, "has the same %s as node %s", what,
                          rules->roster->entries[claims[i - 1].entry].name);
        }
    }
    return 0;
}

static int check_names(const struct rules *rules, struct claim *claims) {
    for (size_t i = 0; i < rules->roster->n_entries; i++) {
        claims[i] = (struct claim){rules->roster->entries[i].name, FED_NAME_MAX, i};
    }
    return check_unique(rules, claims, rules->roster->n_entries, "name");
}

/* A key admits one node alone, and neither half of it may serve two. */
static int check_keys(const struct rules *rules, struct claim *claims, bool seal) {
    size_t n = 0;
    for (size_t i = 0; i < rules->roster->n_entries; i++) {
        const struct fed_roster_entry *entry = &rules->roster->entries[i];
        claims[n++] = (struct claim){seal ? entry->keys.seal : entry->keys.curve, FED_KEY_BYTES, i};
        if (entry->has_next) {
            claims[n++] = (struct claim){seal ? entry->next.seal : entry->next.curve, FED_KEY_BYTES, i};
        }
    }
    return check_unique(rules, claims, n, "key");
}

static int by_first_client(const void *a, const void *b) {
    const struct fed_roster_entry *x = ((const struct claim *)a)->bytes, *y = ((const struct claim *)b)->bytes;
    return (x->first_client > y->first_client) - (x->first_client < y->first_client);
}

/* One sweep over the ranges in ascending order. A node without partial sums shares its clients with nobody; two with them
 * may overlap, so the farthest end of either sort is kept. */
static int check_ranges(const struct rules *rules, struct claim *claims) {
    size_t n = rules->roster->n_entries;
    const struct fed_roster_entry *entries = rules->roster->entries;
    for (size_t i = 0; i < n; i++) {
        claims[i] = (struct claim){&entries[i], sizeof entries[i], i};
    }
    qsort(claims, n, sizeof *claims, by_first_client);
    const struct fed_roster_entry *last_alone = NULL, *last = NULL; /* whose range ends farthest */
    for (size_t i = 0; i < n; i++) {
        const struct fed_roster_entry *entry = &entries[claims[i].entry];
        const struct fed_roster_entry *rival = entry->partial_sums ? last_alone : last;
        if (rival != NULL && rival->first_client + rival->n_clients > entry->first_client) {
            return refuse(rules, claims[i].entry,
                          "hosts client %llu, which node %s hosts already (both need partial_sums: yes to share clients)",
                          (unsigned long long)entry->first_client, rival->name);
        }
        uint64_t end = entry->first_client + entry->n_clients;
        if (last == NULL || end > last->first_client + last->n_clients) {
            last = entry;
        }
        if (!entry->partial_sums && (last_alone == NULL || end > last_alone->first_client + last_alone->n_clients)) {
            last_alone = entry;
        }
    }
    return 0;
}

/* What was removed or exchanged stays so, whoever still holds its certificate. */
static int check_nonces(const struct rules *rules, size_t i) {
    const struct fed_roster_entry *entry = &rules->roster->entries[i];
    struct fed_certificate read;
    bool spent = entry->has_enrolment && fed_certificate_read(&read, entry->enrolment.certificate) == 0 &&
                 fed_roster_file_is_spent(rules->roster, read.nonce);
    spent = spent || (entry->has_next_enrolment && fed_certificate_read(&read, entry->next_enrolment.certificate) == 0 &&
                      fed_roster_file_is_spent(rules->roster, read.nonce));
    return spent ? refuse(rules, i, "its certificate is spent: its entry was removed or signed anew") : 0;
}

static int check_entry(const struct rules *rules, size_t i) {
    const struct fed_roster_entry *entry = &rules->roster->entries[i];
    if (!fed_name_valid(entry->name)) {
        return refuse(rules, i, "a name has 1 to 63 characters from a-z, 0-9 and -");
    }
    if (entry->n_clients < 1 || entry->n_clients > MOST_CLIENTS || entry->first_client > MOST_CLIENTS) {
        return refuse(rules, i, "clients are out of range, expected first and count up to 2^31");
    }
    if (entry->not_after != 0 && entry->not_after <= entry->not_before) {
        return refuse(rules, i, "not_after is not later than not_before");
    }
    if (entry->has_next_enrolment && !entry->has_next) {
        return refuse(rules, i, "has next_certificate without next_key");
    }
    return check_nonces(rules, i);
}

static int check(const struct rules *rules) {
    size_t n = rules->roster->n_entries;
    for (size_t i = 0; i < n; i++) {
        int code = check_entry(rules, i);
        if (code != 0) {
            return code;
        }
    }
    struct claim *claims = calloc(n > 0 ? n : 1, 2 * sizeof *claims); /* a node has up to two keys */
    if (claims == NULL) {
        return fed_error_set(rules->err, FED_ENOMEM, "out of memory");
    }
    int code = check_names(rules, claims);
    if (code == 0) {
        code = check_keys(rules, claims, false);
    }
    if (code == 0) {
        code = check_keys(rules, claims, true);
    }
    if (code == 0) {
        code = check_ranges(rules, claims);
    }
    free(claims);
    return code;
}

/* -- load -------------------------------------------------------------------------------------------------------------- */

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
    int code = fed_yaml_load_large(&source.yaml, path, ROSTER_MAX, err);
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
        code = check(&(struct rules){&roster, lines, path, err});
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

void fed_roster_file_fini(struct fed_roster_file *roster) {
    free(roster->entries);
    free(roster->spent);
    *roster = (struct fed_roster_file){0};
}

/* -- save -------------------------------------------------------------------------------------------------------------- */

#define KEYS_OF_NODE 13 /* at most */

static int add(struct fed_yaml *yaml, size_t i, const char *key, const char *value) {
    char path[64];
    snprintf(path, sizeof path, "nodes[%zu].%s", i, key);
    struct fed_yaml_entry entry = {strdup(path), strdup(value), 0};
    yaml->entries[yaml->n_entries++] = entry; /* fini frees it, whole or half */
    return entry.path != NULL && entry.value != NULL ? 0 : FED_ENOMEM;
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
    struct fed_yaml_entry entry = {strdup(path), strdup(text), 0};
    yaml->entries[yaml->n_entries++] = entry;
    return entry.path != NULL && entry.value != NULL ? 0 : FED_ENOMEM;
}

static int format(char **out, const struct fed_roster_file *roster) {
    struct fed_yaml yaml = {0};
    char *text = NULL;
    int code = fed_yaml_set(&yaml, "schema", "1");
    if (code == 0) {
        struct fed_yaml_entry *grown = reallocarray(yaml.entries, 1 + KEYS_OF_NODE * roster->n_entries + roster->n_spent,
                                                    sizeof *yaml.entries); /* counts of things in memory */
        code = grown == NULL ? FED_ENOMEM : 0;
        yaml.entries = grown != NULL ? grown : yaml.entries;
    }
    for (size_t i = 0; i < roster->n_entries && code == 0; i++) {
        code = add_node(&yaml, i, &roster->entries[i]);
    }
    for (size_t i = 0; i < roster->n_spent && code == 0; i++) {
        code = add_spent(&yaml, i, roster->spent[i]);
    }
    if (code == 0) {
        code = fed_yaml_format(&text, &yaml);
    }
    fed_yaml_fini(&yaml);
    if (code == 0) {
        *out = text;
    }
    return code;
}

int fed_roster_file_save(const struct fed_roster_file *roster, const char *path, struct fed_error *err) {
    static const char head[] = "# Nodes that may take part, hosting which clients; written by `fedavg roster`.\n";
    char *text = NULL;
    int code = check(&(struct rules){roster, NULL, path, err});
    if (code != 0) {
        return code;
    }
    if (format(&text, roster) != 0) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    size_t n = strlen(text);
    if (n + sizeof head > ROSTER_MAX) {
        code = fed_error_set(err, FED_ECONFIG, "%s: %zu nodes need more than 32 MiB, more than a roster may have", path,
                             roster->n_entries);
    } else {
        struct iovec parts[] = {{(void *)head, sizeof head - 1}, {text, n}};
        code = fed_file_replace(path, parts, 2, 0644, err);
    }
    free(text);
    return code;
}

/* -- edits ------------------------------------------------------------------------------------------------------------- */

int fed_roster_file_lock(int *fd, const char *path, struct fed_error *err) {
    static const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
    char *lock = NULL;
    if (asprintf(&lock, "%s.lock", path) < 0) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    int code = fed_file_lock(fd, lock, err);
    for (int i = 1; code == FED_ELOCKED && i < LOCK_TRIES; i++) {
        nanosleep(&pause, NULL);
        code = fed_file_lock(fd, lock, err);
    }
    free(lock);
    return code;
}

struct fed_roster_entry *fed_roster_file_find(const struct fed_roster_file *roster, const char *name) {
    for (size_t i = 0; i < roster->n_entries; i++) {
        if (strcmp(roster->entries[i].name, name) == 0) {
            return &roster->entries[i];
        }
    }
    return NULL;
}

int fed_roster_file_add(struct fed_roster_file *roster, const struct fed_roster_entry *entry) {
    struct fed_roster_entry *grown = reallocarray(roster->entries, roster->n_entries + 1, sizeof *grown);
    if (grown == NULL) {
        return FED_ENOMEM;
    }
    roster->entries = grown;
    grown[roster->n_entries++] = *entry;
    return 0;
}

static void spend(struct fed_roster_file *roster, const struct fed_enrolment *enrolment) {
    struct fed_certificate read;
    if (fed_certificate_read(&read, enrolment->certificate) == 0 && !fed_roster_file_is_spent(roster, read.nonce)) {
        memcpy(roster->spent[roster->n_spent++], read.nonce, sizeof read.nonce);
    }
}

static bool bears(const struct fed_roster_entry *entry, const struct fed_enrolment *enrolment) {
    const uint8_t *wanted = enrolment->certificate;
    return (entry->has_enrolment && memcmp(entry->enrolment.certificate, wanted, FED_CERTIFICATE_BYTES) == 0) ||
           (entry->has_next_enrolment && memcmp(entry->next_enrolment.certificate, wanted, FED_CERTIFICATE_BYTES) == 0);
}

/* The certificates that the entry bears and the one in its place does not. */
static int spend_dropped(struct fed_roster_file *roster, const struct fed_roster_entry *entry,
                         const struct fed_roster_entry *by) {
    void *grown = reallocarray(roster->spent, roster->n_spent + 2, sizeof *roster->spent);
    if (grown == NULL) {
        return FED_ENOMEM;
    }
    roster->spent = grown;
    if (entry->has_enrolment && !bears(by, &entry->enrolment)) {
        spend(roster, &entry->enrolment);
    }
    if (entry->has_next_enrolment && !bears(by, &entry->next_enrolment)) {
        spend(roster, &entry->next_enrolment);
    }
    return 0;
}

int fed_roster_file_replace(struct fed_roster_file *roster, struct fed_roster_entry *entry,
                            const struct fed_roster_entry *by) {
    int code = spend_dropped(roster, entry, by);
    if (code == 0) {
        *entry = *by;
    }
    return code;
}

int fed_roster_file_remove(struct fed_roster_file *roster, struct fed_roster_entry *entry) {
    static const struct fed_roster_entry nothing;
    int code = spend_dropped(roster, entry, &nothing);
    if (code != 0) {
        return code;
    }
    roster->n_entries--;
    memmove(entry, entry + 1, (roster->n_entries - (size_t)(entry - roster->entries)) * sizeof *entry);
    return 0;
}

bool fed_roster_file_is_spent(const struct fed_roster_file *roster, const uint8_t nonce[FED_NONCE_BYTES]) {
    for (size_t i = 0; i < roster->n_spent; i++) {
        if (memcmp(roster->spent[i], nonce, FED_NONCE_BYTES) == 0) {
            return true;
        }
    }
    return false;
}
