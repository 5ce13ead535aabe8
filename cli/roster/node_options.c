#include "cli/roster/node_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/name.h"

/* Digits up to the end or to stop. */
static bool parse_id(uint64_t *out, const char **text, char stop) {
    size_t n = strspn(*text, "0123456789");
    if (n < 1 || n > 18 || ((*text)[n] != '\0' && (*text)[n] != stop)) {
        return false;
    }
    *out = strtoull(*text, NULL, 10); /* 18 digits always fit */
    *text += n;
    return true;
}

static int parse_clients(struct fed_roster_entry *entry, const char *text, struct fed_error *err) {
    uint64_t first, last;
    const char *c = text;
    bool ok = parse_id(&first, &c, '-');
    last = ok ? first : 0;
    if (ok && *c == '-') {
        c++;
        ok = parse_id(&last, &c, '\0');
    }
    if (!ok || last < first) {
        return fed_error_set(err, FED_ECONFIG, "--clients: found \"%.60s\", expected one id or a range, such as 7 or 0-99",
                             text);
    }
    entry->first_client = first;
    entry->n_clients = last - first + 1;
    return 0;
}

static int parse_date(int64_t *out, const char *option, const char *text, struct fed_error *err) {
    if (text == NULL || fed_roster_date_parse(out, text) == 0) {
        return 0;
    }
    return fed_error_set(err, FED_ECONFIG, "%s: found \"%.60s\", expected a date such as 2026-01-01 or 2026-01-01T12:00:00Z",
                         option, text);
}

int fed_node_options_entry(struct fed_roster_entry *out, const struct fed_node_options *options, struct fed_error *err) {
    struct fed_roster_entry entry = {.partial_sums = options->partial_sums};
    if (!fed_name_valid(options->name)) {
        return fed_error_set(err, FED_ECONFIG, "found \"%.60s\", expected a name of 1 to 63 characters from a-z, 0-9 and -",
                             options->name);
    }
    snprintf(entry.name, sizeof entry.name, "%s", options->name);
    int code = parse_clients(&entry, options->clients, err);
    if (code == 0) {
        code = parse_date(&entry.not_before, "--not-before", options->not_before, err);
    }
    if (code == 0) {
        code = parse_date(&entry.not_after, "--not-after", options->not_after, err);
    }
    if (code == 0) {
        *out = entry;
    }
    return code;
}

int fed_node_options_duration(int64_t *out_s, const char *option, const char *text, int64_t least_s, struct fed_error *err) {
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    size_t n = strspn(text, "0123456789");
    for (size_t i = 0; n >= 1 && n <= 9 && i < sizeof units / sizeof *units; i++) {
        int64_t seconds = (int64_t)strtoll(text, NULL, 10) * units[i].seconds;
        if (text[n] == units[i].letter && text[n + 1] == '\0' && seconds >= least_s && seconds <= 366 * (int64_t)86400) {
            *out_s = seconds;
            return 0;
        }
    }
    return fed_error_set(err, FED_ECONFIG, "%s: found \"%.60s\", expected a time from %llds to 366d, such as 90s or 24h",
                         option, text, (long long)least_s);
}

void fed_node_options_ids(char out[48], uint64_t first, uint64_t count) {
    snprintf(out, 48, count > 1 ? "%llu-%llu" : "%llu", (unsigned long long)first, (unsigned long long)(first + count - 1));
}
