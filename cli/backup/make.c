/* The order that makes the copy consistent: model files are opened, the database is copied, and whatever model came
 * meanwhile is opened too. An open file stays readable when the coordinator removes it, so after that there is no hurry.
 * Only when several rounds are committed between copy and second look can the newest model of the copy be gone: then all of
 * it is tried again. Where nobody is at work the run's lock keeps it so until the files are open. */
#include "cli/backup/make.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/run_view.h"
#include "cli/working.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/config/task.h"
#include "common/seal/digest.h"
#include "coordinator/http/partition_file.h"
#include "coordinator/store/model_files.h"
#include "coordinator/store/store_check.h"
#include "coordinator/store/store_view.h"

#define TRIES 5
#define MEGABYTE 1000000

struct held {
    uint64_t round, bytes;
    char *path; /* owned */
    int fd;
};

struct making {
    const struct fed_backup_wish *wish;
    const char *run; /* without symbolic links, where it is there */
    const char *dir;
    int lock; /* -1: not held */
    struct fed_store *store;
    struct held *held; /* owned */
    size_t n_held;
    bool any; /* a round is committed */
    uint64_t newest;
    struct fed_backup_set set;
    struct fed_working working;
    uint64_t done, all; /* bytes of models */
};

static int no_memory(struct fed_error *err) { return fed_error_set(err, FED_ENOMEM, "out of memory"); }

/* -- One instant -- */

static int open_run(struct making *m, struct fed_error *err) {
    char *path = NULL;
    int code = fed_store_open_readonly(&m->store, m->run, err);
    if (code != FED_OK) { /* before a lock is put into a directory that is no run */
        return code == FED_ENOTFOUND ? FED_ECONFIG : code;
    }
    if (fed_path_join(&path, m->run, "run.lock") != FED_OK) {
        return no_memory(err);
    }
    int locked = fed_file_lock(&m->lock, path, NULL);
    free(path);
    fed_store_close(m->store);
    m->store = NULL;
    code =
        locked == FED_OK ? fed_store_open_readonly(&m->store, m->run, err) : fed_store_open_beside(&m->store, m->run, err);
    if (code == FED_EIO && locked != FED_OK && locked != FED_ELOCKED) { /* a disk that nobody can write to */
        code = fed_store_open_readonly(&m->store, m->run, err);
    }
    return code;
}

static bool holds(const struct making *m, uint64_t round) {
    for (size_t i = 0; i < m->n_held; i++) {
        if (m->held[i].round == round) {
            return true;
        }
    }
    return false;
}

static int hold(struct making *m, uint64_t round, struct fed_error *err) {
    struct held held = {.round = round, .fd = -1};
    size_t n = 0;
    struct held *more = reallocarray(m->held, m->n_held + 1, sizeof *more);
    if (more == NULL || fed_model_files_path(&held.path, m->run, round) != FED_OK) {
        m->held = more != NULL ? more : m->held;
        return no_memory(err);
    }
    m->held = more;
    int code = fed_file_open(&held.fd, &n, held.path, err);
    if (code != FED_OK) {
        free(held.path);
        return code == FED_ENOTFOUND ? FED_OK : code; /* removed since the directory was listed */
    }
    held.bytes = n;
    m->held[m->n_held++] = held;
    return FED_OK;
}

static int hold_models(struct making *m, struct fed_error *err) {
    uint64_t *rounds = NULL;
    size_t n = 0;
    int code = fed_model_files_list(&rounds, &n, m->run, err);
    for (size_t i = 0; code == FED_OK && i < n; i++) {
        code = holds(m, rounds[i]) ? FED_OK : hold(m, rounds[i], err);
    }
    free(rounds);
    return code;
}

static void let_go(struct making *m) {
    for (size_t i = 0; i < m->n_held; i++) {
        close(m->held[i].fd);
        free(m->held[i].path);
    }
    free(m->held);
    m->held = NULL;
    m->n_held = 0;
}

static int newest_in_copy(struct making *m, struct fed_error *err) {
    struct fed_store *copy = NULL;
    int code = fed_store_open_readonly(&copy, m->dir, err);
    if (code == FED_OK) {
        code = fed_store_newest(&m->any, &m->newest, copy, err);
    }
    fed_store_close(copy);
    return code;
}

static int look_once(struct making *m, const char *database, struct fed_error *err) {
    unlink(database); /* of the try before */
    let_go(m);
    int code = hold_models(m, err);
    if (code == FED_OK) {
        code = fed_store_copy(m->store, database, err);
        code = code == FED_EIO ? fed_error_prefix(err, code, "%s", m->dir) : code; /* which disk it was */
    }
    if (code == FED_OK) {
        code = newest_in_copy(m, err);
    }
    return code == FED_OK ? hold_models(m, err) : code;
}

static int take_instant(struct making *m, struct fed_error *err) {
    char *database = NULL;
    int code = fed_path_join(&database, m->dir, "run.db") == FED_OK ? open_run(m, err) : no_memory(err);
    bool whole = false;
    for (int i = 0; i < TRIES && code == FED_OK && !whole; i++) {
        code = look_once(m, database, err);
        whole = !m->any || holds(m, m->newest);
    }
    if (code == FED_OK && !whole) {
        code = fed_error_set(err, FED_EDATA, "%s: the model of its last round (%" PRIu64 ") is missing", m->run, m->newest);
    }
    if (m->lock >= 0) {
        close(m->lock);
        m->lock = -1;
    }
    free(database);
    return code;
}

/* -- Copying -- */

static void say_how_far(void *context, uint64_t n_bytes) {
    struct making *m = context;
    fed_working_at(&m->working, (m->done + n_bytes) / MEGABYTE, m->all / MEGABYTE + 1);
}

static int list_database(struct making *m, struct fed_error *err) {
    char *from = NULL;
    int code = fed_path_join(&from, m->run, "run.db") == FED_OK ? FED_OK : no_memory(err);
    if (code == FED_OK) {
        code = fed_backup_set_add(&m->set, m->dir, "run.db", from, err);
    }
    free(from);
    return code;
}

/* A model newer than the newest row was written by a commit that was not done yet. */
static int copy_models(struct making *m, struct fed_error *err) {
    const struct fed_backup_watch watch = {say_how_far, m};
    int code = FED_OK;
    for (size_t i = 0; i < m->n_held; i++) {
        m->all += m->any && m->held[i].round <= m->newest ? m->held[i].bytes : 0;
    }
    fed_working_start(&m->working, "copying models, MB", m->wish->quiet);
    for (size_t i = 0; code == FED_OK && i < m->n_held; i++) {
        const struct held *held = &m->held[i];
        const char *slash = strrchr(held->path, '/');
        if (m->any && held->round <= m->newest) {
            code = fed_backup_set_copy(&m->set, m->dir, slash != NULL ? slash + 1 : held->path, held->fd, held->path, &watch,
                                       err);
            m->done += held->bytes;
        }
    }
    fed_working_end(&m->working);
    return code;
}

/* For the page alone: a run whose coordinator knows no partition has none. It never changes. */
static int copy_partition(struct making *m, struct fed_error *err) {
    char *path = NULL;
    size_t n;
    int fd = -1;
    if (fed_path_join(&path, m->run, FED_PARTITION_FILE) != FED_OK) {
        return no_memory(err);
    }
    int code = fed_file_open(&fd, &n, path, err);
    if (code == FED_OK) {
        code = fed_backup_set_copy(&m->set, m->dir, FED_PARTITION_FILE, fd, path, NULL, err);
        close(fd);
    } else if (code == FED_ENOTFOUND) {
        code = FED_OK;
    }
    free(path);
    return code;
}

static int copy_config(struct making *m, const char *path, struct fed_error *err) {
    const char *slash = strrchr(path, '/');
    char whole[PATH_MAX], *name = NULL;
    size_t n;
    int fd = -1, code = asprintf(&name, "config/%s", slash != NULL ? slash + 1 : path) >= 0 ? FED_OK : no_memory(err);
    if (code == FED_OK) {
        code = fed_file_open(&fd, &n, path, err);
    }
    if (code == FED_OK) {
        code = fed_backup_set_copy(&m->set, m->dir, name, fd, realpath(path, whole) != NULL ? whole : path, NULL, err);
        close(fd);
    }
    free(name);
    return code == FED_ENOTFOUND ? FED_ECONFIG : code;
}

static int copy_configs(struct making *m, struct fed_error *err) {
    struct fed_task task = {0};
    char *config = NULL, *inside = NULL;
    int code = fed_task_load(&task, m->wish->task, NULL, 0, err);
    if (code == FED_OK && strcmp(task.name, m->set.name) != 0) { /* another run could not go on from it */
        code = fed_error_set(err, FED_EMISMATCH, "%s is task %s, but %s is a run of task %s", m->wish->task, task.name,
                             m->run, m->set.name);
    }
    if (code == FED_OK &&
        (fed_path_join(&config, m->dir, "config") != FED_OK || fed_path_join(&inside, config, "task") != FED_OK)) {
        code = no_memory(err);
    }
    if (code == FED_OK && mkdir(config, 0700) != 0) {
        code = fed_error_set(err, FED_EIO, "%s: cannot make the directory: %s", config, strerror(errno));
    }
    if (code == FED_OK) {
        code = copy_config(m, m->wish->task, err);
    }
    if (code == FED_OK && access(task.server.roster, F_OK) != 0 && errno == ENOENT) {
        fprintf(stderr, "%s: no such file, so the backup has no roster\n", task.server.roster); /* as after a simulation */
    } else if (code == FED_OK) {
        code = copy_config(m, task.server.roster, err);
    }
    if (code == FED_OK && m->wish->with_key) {
        code = copy_config(m, task.server.key, err);
    }
    if (code == FED_OK) {
        code = fed_file_sync_name(inside, err);
    }
    free(config);
    free(inside);
    fed_task_fini(&task);
    return code;
}

/* -- All of it -- */

static int describe(struct making *m, struct fed_error *err) {
    struct fed_run_view view = {0};
    time_t now = (time_t)(fed_clock_wall_ms() / 1000);
    struct tm utc;
    int code = fed_run_view_read(&view, m->dir, err);
    if (code != FED_OK) {
        return code;
    }
    strftime(m->set.created, sizeof m->set.created, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    fed_hex(m->set.run_id, fed_store_run_id(view.store), 16);
    m->set.has_round = m->any;
    m->set.round = m->newest;
    m->set.run = strdup(m->run);
    m->set.name = strdup(view.name);
    fed_run_view_fini(&view);
    return m->set.run != NULL && m->set.name != NULL ? FED_OK : no_memory(err);
}

int fed_backup_make(struct fed_backup_set *out, const char *dir, const struct fed_backup_wish *wish, struct fed_error *err) {
    char whole[PATH_MAX];
    struct making m = {.wish = wish, .run = realpath(wish->run, whole) != NULL ? whole : wish->run, .dir = dir, .lock = -1};
    int code = take_instant(&m, err);
    if (code == FED_OK) {
        code = describe(&m, err);
    }
    if (code == FED_OK) {
        code = list_database(&m, err);
    }
    if (code == FED_OK) {
        code = copy_models(&m, err);
    }
    if (code == FED_OK) {
        code = copy_partition(&m, err);
    }
    if (code == FED_OK && wish->task != NULL) {
        code = copy_configs(&m, err);
    }
    let_go(&m);
    fed_store_close(m.store);
    if (code == FED_OK) {
        *out = m.set;
    } else {
        fed_backup_set_fini(&m.set);
    }
    return code;
}

static int verify_run(const struct fed_backup_set *set, const char *dir, struct fed_error *err) {
    struct fed_store *store = NULL;
    size_t n = 0;
    bool any = false;
    uint64_t newest = 0;
    int code = fed_store_open_readonly(&store, dir, err);
    if (code == FED_OK) {
        code = fed_store_check_database(store, err);
    }
    if (code == FED_OK) {
        code = fed_store_newest(&any, &newest, store, err);
    }
    if (code == FED_OK && (any != set->has_round || newest != set->round)) {
        code = fed_error_set(err, FED_EDATA, "%s: its last round is %" PRIu64 ", and that of its list %" PRIu64, dir, newest,
                             set->round);
    }
    if (code == FED_OK && any) {
        code = fed_store_check_models(&n, store, err);
    }
    fed_store_close(store);
    return code;
}

int fed_backup_verify(const struct fed_backup_set *set, const char *dir, struct fed_error *err) {
    int code = fed_backup_set_check(set, dir, err);
    return code == FED_OK ? verify_run(set, dir, err) : code;
}
