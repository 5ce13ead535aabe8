/* Fills a directory with a consistent copy of a run, which a coordinator may be at work in. */
#ifndef FED_CLI_BACKUP_MAKE_H
#define FED_CLI_BACKUP_MAKE_H

#include <stdbool.h>

#include "cli/backup/set.h"

struct fed_backup_wish {
    const char *run;
    const char *task; /* NULL: the task file and the roster are not wanted */
    bool with_key, quiet;
};

/* dir: exists, empty. The copy holds run.db as of one instant, every model file that was there then and, if wanted, in
 * config/ the task file, the roster and the key. FED_ECONFIG: no run, no such task; FED_EDATA, FED_EKEY, FED_EIO,
 * FED_ENOMEM. */
int fed_backup_make(struct fed_backup_set *out, const char *dir, const struct fed_backup_wish *wish,
                    struct fed_error *err) FED_MUST_CHECK;

/* Whether a backup is whole: its files are those that were copied, the database is sound, and every model is the one that
 * the database names. FED_EDATA says what is not; FED_ECONFIG, FED_EMISMATCH, FED_EIO, FED_ENOMEM. */
int fed_backup_verify(const struct fed_backup_set *set, const char *dir, struct fed_error *err) FED_MUST_CHECK;

#endif
