#include "common/config/roster_file.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/file.h"
#include "common/config/setting.h"
#include "common/config/yaml.h"

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

#define MOST_CLIENTS ((uint64_t)1 << 31) /* ids stay below 2^32: a cohort is drawn from them by 32-bit numbers */
#define PUBLIC_LINE "a public line, fedavg1:..."
#define DATE "a date such as 2026-01-01 or 2026-01-01T12:00:00Z"
#define FIELD(name) offsetof(struct fed_roster_entry, name)

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
    return 0;
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

/* The entries of item i stand together, because a file was read and nothing set. Advances *from past them. */
static struct fed_yaml slice_item(const struct fed_yaml *yaml, size_t *from, size_t i) {
    char prefix[40];
    size_t n = (size_t)snprintf(prefix, sizeof prefix, "nodes[%zu].", i);
    while (*from < yaml->n_entries && strncmp(yaml->entries[*from].path, prefix, n) != 0) {
        (*from)++;
    }
    size_t first = *from;
    while (*from < yaml->n_entries && strncmp(yaml->entries[*from].path, prefix, n) == 0) {
        (*from)++;
    }
    return (struct fed_yaml){.entries = yaml->entries + first, .n_entries = *from - first};
}

static int read_entries(struct fed_roster_file *roster, int *lines, const struct fed_settings_source *source,
                        struct fed_error *err) {
    size_t from = 0;
    for (size_t i = 0; i < roster->n_entries; i++) {
        char next_key[48];
        snprintf(next_key, sizeof next_key, "nodes[%zu].next_key", i);
        struct fed_settings_source item = {slice_item(&source->yaml, &from, i), source->file, source->dir};
        struct fed_roster_entry *entry = &roster->entries[i];
        int code = fed_settings_read_item(entry, &settings, &item, "nodes", i, err);
        if (code != 0) {
            return code;
        }
        entry->has_next = fed_settings_given(&item, next_key);
        lines[i] = item.yaml.entries[0].line;
    }
    return 0;
}

int fed_roster_file_load(struct fed_roster_file *out, const char *path, struct fed_error *err) {
    struct fed_settings_source source = {.file = path};
    struct fed_roster_file roster = {0};
    uint32_t schema;
    int *lines = NULL;
    int code = fed_yaml_load(&source.yaml, path, err);
    if (code != 0) {
        return code;
    }
    code = fed_settings_read(&schema, &settings, &source, err);
    if (code != 0) {
        goto out;
    }
    roster.n_entries = fed_settings_count(&source.yaml, "nodes"); /* items of a file: bounded by its size */
    roster.entries = calloc(roster.n_entries + 1, sizeof *roster.entries);
    lines = calloc(roster.n_entries + 1, sizeof *lines);
    if (roster.entries == NULL || lines == NULL) {
        code = fed_error_set(err, FED_ENOMEM, "out of memory");
        goto out;
    }
    code = read_entries(&roster, lines, &source, err);
    if (code == 0) {
        code = check(&(struct rules){&roster, lines, path, err});
    }
out:
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
    *roster = (struct fed_roster_file){0};
}

/* -- save -------------------------------------------------------------------------------------------------------------- */

#define KEYS_OF_NODE 8 /* at most */

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

static int add_node(struct fed_yaml *yaml, size_t i, const struct fed_roster_entry *entry) {
    bool ok = add(yaml, i, "name", entry->name) == 0 && add_key(yaml, i, "key", &entry->keys) == 0 &&
              (!entry->has_next || add_key(yaml, i, "next_key", &entry->next) == 0) &&
              add_number(yaml, i, "clients.first", entry->first_client) == 0 &&
              add_number(yaml, i, "clients.count", entry->n_clients) == 0 &&
              add(yaml, i, "partial_sums", entry->partial_sums ? "yes" : "no") == 0 &&
              add_date(yaml, i, "not_before", entry->not_before) == 0 &&
              add_date(yaml, i, "not_after", entry->not_after) == 0;
    return ok ? 0 : FED_ENOMEM;
}

static int format(char **out, const struct fed_roster_file *roster) {
    struct fed_yaml yaml = {0};
    char *text = NULL;
    int code = fed_yaml_set(&yaml, "schema", "1");
    if (code == 0) {
        struct fed_yaml_entry *grown =
            reallocarray(yaml.entries, roster->n_entries + 1, KEYS_OF_NODE * sizeof *yaml.entries);
        code = grown == NULL ? FED_ENOMEM : 0;
        yaml.entries = grown != NULL ? grown : yaml.entries;
    }
    for (size_t i = 0; i < roster->n_entries && code == 0; i++) {
        code = add_node(&yaml, i, &roster->entries[i]);
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
    if (n + sizeof head > FED_YAML_MAX) {
        code = fed_error_set(err, FED_ECONFIG, "%s: %zu nodes need more than 1 MiB, more than a roster may have", path,
                             roster->n_entries);
    } else {
        struct iovec parts[] = {{(void *)head, sizeof head - 1}, {text, n}};
        code = fed_file_replace(path, parts, 2, 0644, err);
    }
    free(text);
    return code;
}
