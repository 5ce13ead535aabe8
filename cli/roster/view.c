#include "cli/roster/view.h"

#include <jansson.h>
#include <stdio.h>

#include "cli/roster/node_options.h"

#define COLUMNS "%-20s %-13s %-4s %-6s %-16s %-16s %-20s %-20s %s\n"

static const char *date(char out[FED_ROSTER_DATE_MAX], int64_t seconds) {
    if (seconds == 0) {
        return NULL;
    }
    fed_roster_date_format(out, seconds);
    return out;
}

static const char *or_dash(const char *text) { return text != NULL ? text : "-"; }

void fed_roster_view_head(void) {
    printf(COLUMNS, "NODE", "CLIENTS", "SUMS", "SIGNED", "FINGERPRINT", "NEXT KEY", "NOT BEFORE", "NOT AFTER", "REVOKED");
}

void fed_roster_view_entry(const struct fed_roster_entry *entry) {
    char mine[17], next[17], from[FED_ROSTER_DATE_MAX], to[FED_ROSTER_DATE_MAX], revoked[FED_ROSTER_DATE_MAX], ids[48];
    fed_public_fingerprint(mine, &entry->keys);
    fed_public_fingerprint(next, &entry->next);
    fed_node_options_ids(ids, entry->first_client, entry->n_clients);
    bool is_signed = entry->has_enrolment && (!entry->has_next || entry->has_next_enrolment);
    printf(COLUMNS, entry->name, ids, entry->partial_sums ? "yes" : "no", is_signed ? "yes" : "no", mine,
           entry->has_next ? next : "-", or_dash(date(from, entry->not_before)), or_dash(date(to, entry->not_after)),
           or_dash(date(revoked, entry->revoked)));
}

json_t *fed_roster_view_entry_json(const struct fed_roster_entry *entry) {
    char key[FED_PUBLIC_LINE_MAX], next[FED_PUBLIC_LINE_MAX], mine[17];
    char from[FED_ROSTER_DATE_MAX], to[FED_ROSTER_DATE_MAX], revoked[FED_ROSTER_DATE_MAX];
    fed_public_line(key, &entry->keys);
    fed_public_line(next, &entry->next);
    fed_public_fingerprint(mine, &entry->keys);
    bool is_signed = entry->has_enrolment && (!entry->has_next || entry->has_next_enrolment);
    return json_pack("{s:s, s:s, s:s, s:s?, s:{s:I, s:I}, s:b, s:b, s:s?, s:s?, s:s?}", "name", entry->name, "fingerprint",
                     mine, "key", key, "next_key", entry->has_next ? next : NULL, "clients", "first",
                     (json_int_t)entry->first_client, "count", (json_int_t)entry->n_clients, "partial_sums",
                     (int)entry->partial_sums, "signed", (int)is_signed, "not_before", date(from, entry->not_before),
                     "not_after", date(to, entry->not_after), "revoked", date(revoked, entry->revoked));
}

json_t *fed_roster_view_json(const struct fed_roster_file *roster) {
    json_t *nodes = json_array();
    bool failed = nodes == NULL;
    for (size_t i = 0; i < roster->n_entries && !failed; i++) {
        failed = json_array_append_new(nodes, fed_roster_view_entry_json(&roster->entries[i])) != 0;
    }
    if (failed) {
        json_decref(nodes);
        return NULL;
    }
    return nodes;
}
