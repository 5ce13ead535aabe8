/* A roster as people and programs are shown it: a table, or JSON. */
#ifndef FED_CLI_ROSTER_VIEW_H
#define FED_CLI_ROSTER_VIEW_H

#include "common/config/roster_file.h"

void fed_roster_view_head(void);
void fed_roster_view_entry(const struct fed_roster_entry *entry);
/* For cli.h's fed_cli_print_json, owned by the caller; NULL: out of memory. */
struct json_t;
struct json_t *fed_roster_view_entry_json(const struct fed_roster_entry *entry);
struct json_t *fed_roster_view_json(const struct fed_roster_file *roster);

#endif
