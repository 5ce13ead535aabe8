/* A roster as people and programs are shown it: a table, or JSON. */
#ifndef FED_CLI_ROSTER_VIEW_H
#define FED_CLI_ROSTER_VIEW_H

#include "common/config/roster_file.h"

void fed_roster_view_head(void);
void fed_roster_view_entry(const struct fed_roster_entry *entry);
/* FED_ENOMEM. */
int fed_roster_view_json(const struct fed_roster_file *roster) FED_MUST_CHECK;

#endif
