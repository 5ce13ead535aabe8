/* Who may take part, as the coordinator sees it while it runs: entries of the roster file, looked up by key and by client,
 * and the population they host. Pure: the caller brings the loaded file and the wall time. */
#ifndef FED_COORDINATOR_NODES_ROSTER_H
#define FED_COORDINATOR_NODES_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config/roster_file.h"

struct fed_roster;

/* Takes the entries out of *file (which is left empty). FED_ENOMEM. */
int fed_roster_new(struct fed_roster **out, struct fed_roster_file *file) FED_MUST_CHECK;
void fed_roster_free(struct fed_roster *roster);

size_t fed_roster_size(const struct fed_roster *roster);
const struct fed_roster_entry *fed_roster_entry(const struct fed_roster *roster, size_t node);

/* The node whose entry holds this CURVE key and is valid at wall_s. FED_ENOTFOUND; any is then the node whose entry holds it
 * all the same, or SIZE_MAX (NULL: not wanted). O(log nodes), and not in constant time: who asks about a key holds its
 * secret. */
int fed_roster_find_curve(size_t *node, const struct fed_roster *roster, const uint8_t curve[FED_KEY_BYTES], int64_t wall_s,
                          size_t *any) FED_MUST_CHECK;
int fed_roster_find_name(size_t *node, const struct fed_roster *roster, const char *name) FED_MUST_CHECK;
/* One sentence on why the entry is not valid, "its entry was revoked on 2026-01-01"; "" when it is. */
#define FED_ROSTER_WHY_MAX 96
void fed_roster_why(char out[FED_ROSTER_WHY_MAX], const struct fed_roster *roster, size_t node, int64_t wall_s);
bool fed_roster_valid(const struct fed_roster *roster, size_t node, int64_t wall_s);
bool fed_roster_hosts(const struct fed_roster *roster, size_t node, uint64_t client);

/* The population: all client ids hosted by any entry that is neither revoked nor refused, ascending, counted once. */
uint64_t fed_roster_population(const struct fed_roster *roster);
/* The i-th of them. i < population. */
uint64_t fed_roster_client(const struct fed_roster *roster, uint64_t i);

#endif
