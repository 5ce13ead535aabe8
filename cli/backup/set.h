/* The files of a backup: copied one by one, listed with their digests in backup.json, and held against that list later.
 *
 *     {"event":"backup","format":1,"fedavg":"0.1.0","created":"2026-01-31T12:00:00Z","run":"/srv/runs/wards",
 *      "run_id":"<32 hex>","name":"wards","round":41,
 *      "files":[{"name":"run.db","bytes":8192,"digest":"<64 hex, BLAKE2b-256>","from":"/srv/runs/wards/run.db"},..]}
 *
 * round is null where no round was committed yet. */
#ifndef FED_CLI_BACKUP_SET_H
#define FED_CLI_BACKUP_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

#define FED_BACKUP_LIST "backup.json"

struct json_t;

struct fed_backup_file {
    char *name; /* in the backup, as "config/roster" */
    char *from; /* where it lay */
    uint64_t bytes;
    uint8_t digest[32];
};

struct fed_backup_set {
    char *run, *name; /* of the run: its directory, and its task's name */
    char run_id[33], created[32];
    bool has_round;
    uint64_t round; /* the newest in run.db */
    struct fed_backup_file *files;
    size_t n_files;
    uint64_t n_bytes;
};

/* Told how many bytes of the file at hand are copied. */
struct fed_backup_watch {
    void (*copied)(void *context, uint64_t n_bytes);
    void *context;
};

/* Copies what fd holds from its beginning to dir/name (new, mode 0600, synced) and lists it. from: where it came from.
 * FED_EIO, FED_ENOMEM. */
int fed_backup_set_copy(struct fed_backup_set *set, const char *dir, const char *name, int fd, const char *from,
                        const struct fed_backup_watch *watch, struct fed_error *err) FED_MUST_CHECK;
/* Lists a file that is there already. FED_EIO, FED_ENOMEM. */
int fed_backup_set_add(struct fed_backup_set *set, const char *dir, const char *name, const char *from,
                       struct fed_error *err) FED_MUST_CHECK;

/* The object above; NULL without memory. */
struct json_t *fed_backup_set_json(const struct fed_backup_set *set);
/* Writes it as dir/backup.json. FED_EIO, FED_ENOMEM. */
int fed_backup_set_write(const struct fed_backup_set *set, const char *dir, struct fed_error *err) FED_MUST_CHECK;
/* Reads it. FED_ECONFIG: dir is no backup; FED_EDATA: not such an object; FED_EMISMATCH: of a newer version. */
int fed_backup_set_read(struct fed_backup_set *out, const char *dir, struct fed_error *err) FED_MUST_CHECK;
/* Whether all files are there with the bytes that were copied. FED_EDATA names the first that is not. */
int fed_backup_set_check(const struct fed_backup_set *set, const char *dir, struct fed_error *err) FED_MUST_CHECK;
void fed_backup_set_fini(struct fed_backup_set *set);

#endif
