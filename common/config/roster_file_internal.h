/* What the files of the roster file share, and nobody else uses:
 *
 *     roster_file_read.c   the table of its keys; a file -> entries     roster_file.c   the entries in memory, the lock
 *     roster_file_write.c  entries -> a file                            roster_date.c   dates
 *     roster_file_rules.c  what holds between entries, read or about to be written */
#ifndef FED_COMMON_CONFIG_ROSTER_FILE_INTERNAL_H
#define FED_COMMON_CONFIG_ROSTER_FILE_INTERNAL_H

#include "common/config/roster_file.h"

#define FED_ROSTER_FILE_MAX ((size_t)32 << 20)     /* bytes: some forty thousand signed entries */
#define FED_ROSTER_CLIENTS_MAX ((uint64_t)1 << 31) /* ids stay below 2^32: a cohort is drawn from them by 32-bit numbers */

/* Every rule of roster_file.h. lines: of each entry, for sentences; NULL where the entries are of no file yet. FED_ECONFIG,
 * FED_ENOMEM. */
int fed_roster_file_check(const struct fed_roster_file *roster, const int *lines, const char *path,
                          struct fed_error *err) FED_MUST_CHECK;

#endif
