#include "coordinator/store/store_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/config/terms.h"
#include "common/model/image.h"
#include "coordinator/store/store_internal.h"

int fed_store_check_database(struct fed_store *store, struct fed_error *err) {
    return fed_sql_check_thoroughly(store->sql, err);
}

struct models {
    struct fed_store *store;
    struct fed_model model;
    uint64_t newest; /* round */
    size_t n;        /* files that were read */
    int rc;          /* of the first that is not what it should be */
    struct fed_error *err;
};

static void look(void *context, const struct fed_store_round *round) {
    struct models *models = context;
    struct fed_image *image = NULL;
    char *path = NULL;
    if (models->rc != FED_OK) {
        return;
    }
    if (fed_store_model_path(&path, models->store, round->round) != FED_OK) {
        models->rc = fed_store_no_memory(models->store, models->err);
    } else if (access(path, F_OK) == 0 || round->round == models->newest) {
        models->rc = fed_image_read(&image, path, &models->model, round->model_digest, models->err);
        if (models->rc == FED_ENOTFOUND && round->round != models->newest) {
            models->rc = FED_OK; /* a coordinator at work has just removed it */
        } else if (models->rc == FED_OK) {
            models->n++;
            fed_image_release(image);
        }
    }
    free(path);
}

int fed_store_check_models(size_t *n_models, struct fed_store *store, struct fed_error *err) {
    struct fed_task_terms terms;
    struct fed_store_state state;
    struct models models = {.store = store, .rc = FED_OK, .err = err};
    const char *text = fed_store_task_terms(store);
    if (fed_task_terms_decode(&terms, text, strlen(text), err) != FED_OK) {
        return fed_error_prefix(err, FED_EDATA, "%s: its task cannot be read", store->path);
    }
    int rc = fed_model_init(&models.model, &terms.model, err);
    if (rc == FED_OK) {
        rc = fed_store_state(&state, store, err);
    }
    if (rc != FED_OK) {
        return rc;
    }
    free(state.cohort);
    models.newest = state.round;
    rc = fed_store_rounds(store, 0, look, &models, err);
    rc = rc == FED_OK ? models.rc : rc;
    if (rc == FED_OK) {
        *n_models = models.n;
    }
    return rc == FED_ENOTFOUND ? FED_EDATA : rc;
}

/* A shared lock asks without getting in the way of a coordinator for more than an instant. */
bool fed_store_is_locked(long *pid, const char *dir) {
    char *path = NULL, text[32] = "";
    bool locked = false;
    *pid = 0;
    if (fed_path_join(&path, dir, "run.lock") != FED_OK) {
        return false;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        locked = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
        if (locked && read(fd, text, sizeof text - 1) > 0) {
            *pid = strtol(text, NULL, 10);
        }
        close(fd);
    }
    free(path);
    return locked;
}
