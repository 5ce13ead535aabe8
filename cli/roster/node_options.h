/* What `fedavg roster` and `fedavg enroll` are told about a node, as words of a command line. */
#ifndef FED_CLI_ROSTER_NODE_OPTIONS_H
#define FED_CLI_ROSTER_NODE_OPTIONS_H

#include "common/config/roster_file.h"

struct fed_node_options {
    const char *name, *clients, *not_before, *not_after; /* dates may be NULL: open */
    bool partial_sums;
};

/* An entry without keys. FED_ECONFIG with a sentence that names the option. */
int fed_node_options_entry(struct fed_roster_entry *out, const struct fed_node_options *options,
                           struct fed_error *err) FED_MUST_CHECK;

/* "90s", "30m", "24h", "7d": seconds, least_s to 366 days. FED_ECONFIG. */
int fed_node_options_duration(int64_t *out_s, const char *option, const char *text, int64_t least_s,
                              struct fed_error *err) FED_MUST_CHECK;

/* "7" or "0-99". out: at least 48 characters. */
void fed_node_options_ids(char out[48], uint64_t first, uint64_t count);

#endif
