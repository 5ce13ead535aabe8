/* The life of a handle. Every call enters and leaves; what is between belongs to one thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/handle.h"

/* The numbers are the same, so that a status is handed on as it is. */
_Static_assert((int)FEDAVG_EFAILED == (int)FED_EFAILED && (int)FEDAVG_ECONFIG == (int)FED_ECONFIG &&
                   (int)FEDAVG_EDATA == (int)FED_EDATA && (int)FEDAVG_EADDRESS == (int)FED_EADDRESS &&
                   (int)FEDAVG_EKEY == (int)FED_EKEY && (int)FEDAVG_EPEER == (int)FED_EPEER &&
                   (int)FEDAVG_EIO == (int)FED_EIO && (int)FEDAVG_EINTERRUPTED == (int)FED_EINTERRUPTED &&
                   (int)FEDAVG_ENOMEM == (int)FED_ENOMEM,
               "a public status is the one inside");
_Static_assert(FEDAVG_SEED_BYTES == FED_KEY_BYTES && FEDAVG_PUBLIC_LINE_MAX == FED_PUBLIC_LINE_MAX,
               "sizes are those inside");

const char *fedavg_version(void) { return FED_VERSION; }

const char *fedavg_status_text(int status) {
    switch (status) {
    case FEDAVG_STOPPED: return "stopped";
    case FEDAVG_EINVAL: return "a call that cannot be meant";
    case FEDAVG_EBUSY: return "the handle is in use by another call";
    default: return fed_status_text(status);
    }
}

/* -- in and out -------------------------------------------------------------------------------------------------------- */

int fed_handle_enter(struct fedavg_client *client) {
    if (client == NULL) {
        return FEDAVG_EINVAL;
    }
    if (atomic_flag_test_and_set(&client->busy)) {
        return FEDAVG_EBUSY;
    }
    fed_scope_enter(&client->outside, client->take != NULL ? &client->own_log : NULL);
    return FEDAVG_OK;
}

int fed_handle_leave(struct fedavg_client *client, int rc) {
    fed_scope_leave(&client->outside);
    atomic_flag_clear(&client->busy);
    return rc;
}

int fed_handle_enter_closed(struct fedavg_client *client) {
    int rc = fed_handle_enter(client);
    if (rc == FEDAVG_OK && client->open) {
        rc = fed_error_set(&client->err, FEDAVG_EINVAL, "the client is open: everything is set before fedavg_client_open");
        fed_handle_leave(client, rc);
    }
    return rc;
}

static int enter_open(struct fedavg_client *client) {
    int rc = fed_handle_enter(client);
    if (rc == FEDAVG_OK && !client->open) {
        rc = fed_error_set(&client->err, FEDAVG_EINVAL, "the client is not open: call fedavg_client_open first");
        fed_handle_leave(client, rc);
    }
    return rc;
}

/* -- new and free ------------------------------------------------------------------------------------------------------ */

int fedavg_client_new(struct fedavg_client **out) {
    if (out == NULL) {
        return FEDAVG_EINVAL;
    }
    struct fedavg_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return FEDAVG_ENOMEM;
    }
    atomic_flag_clear(&client->busy);
    client->own_log = (struct fed_log_sink){FED_LOG_INFO, fed_handle_take_own, client};
    client->training_log = (struct fed_log_sink){FED_LOG_INFO, fed_handle_take_training, client};
    client->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (client->stop_fd < 0) {
        free(client);
        return FEDAVG_EFAILED;
    }
    *out = client;
    return FEDAVG_OK;
}

/* Back to what it was before it was opened. */
static void shut(struct fedavg_client *client) {
    fed_watch_free(client->watch);
    fed_session_free(client->session);
    fed_host_free(client->host);
    fed_link_free(client->link);
    client->watch = NULL;
    client->session = NULL;
    client->host = NULL;
    client->link = NULL;
    if (!client->has_seed) {
        fed_identity_fini(&client->identity);
    }
    fed_client_config_fini(&client->config);
    client->open = false;
}

int fedavg_client_free(struct fedavg_client *client) {
    if (client == NULL) {
        return FEDAVG_OK;
    }
    int rc = fed_handle_enter(client);
    if (rc != FEDAVG_OK) {
        return rc;
    }
    shut(client);
    fed_identity_fini(&client->identity);
    for (size_t i = 0; i < client->n_sets; i++) {
        free(client->sets[i]);
    }
    free(client->sets);
    free(client->path);
    close(client->stop_fd);
    fed_scope_leave(&client->outside);
    free(client);
    return FEDAVG_OK;
}

const char *fedavg_client_error(const struct fedavg_client *client) {
    return client != NULL ? client->err.text : "there is no client: fedavg_client_new has not made one";
}

/* -- open -------------------------------------------------------------------------------------------------------------- */

static int read_config(struct fedavg_client *client) {
    const struct fed_client_brought brought = {.data = client->has_data ? &client->data : NULL, .key = client->has_seed};
    return fed_client_config_read(&client->config, client->path, (const char *const *)client->sets, client->n_sets, &brought,
                                  &client->err);
}

static int load_data(struct fedavg_client *client) {
    fed_log_redirect(client->take != NULL ? &client->training_log : NULL);
    int rc = fed_host_new(&client->host, &client->config, NULL, &client->err);
    fed_log_redirect(client->take != NULL ? &client->own_log : NULL);
    if (rc == FED_OK && (client->permissions & FEDAVG_ALLOW_OPENBLAS) == 0) {
        fed_host_forbid_blas(client->host);
    }
    return rc;
}

static int open_all(struct fedavg_client *client) {
    const struct fed_passphrase_source passphrase = {fed_handle_passphrase, client};
    const struct fed_session_options options = {.stop_fd = client->stop_fd, .hear = fed_handle_hear, .context = client};
    int rc = fed_seal_setup(&client->err);
    if (rc == FED_OK) {
        rc = read_config(client);
    }
    if (rc == FED_OK && !client->has_seed) {
        rc = fed_identity_unlock_by(&client->identity, client->config.key, &passphrase, &client->err);
    }
    if (rc == FED_OK) {
        rc = load_data(client);
    }
    if (rc == FED_OK) {
        rc = fed_link_new(&client->link, 1, 0, NULL, &client->err);
    }
    if (rc == FED_OK) {
        rc = fed_session_new(&client->session, client->link, client->host, &client->identity, &client->config, &options,
                             &client->err);
    }
    return rc;
}

int fedavg_client_open(struct fedavg_client *client) {
    int rc = fed_handle_enter_closed(client);
    if (rc != FEDAVG_OK) {
        return rc;
    }
    rc = open_all(client);
    client->open = rc == FED_OK;
    if (rc != FED_OK) {
        shut(client);
    }
    return fed_handle_leave(client, rc);
}

int fedavg_client_public_line(struct fedavg_client *client, char *out, size_t size) {
    int rc = fed_handle_enter(client);
    if (rc != FEDAVG_OK) {
        return rc;
    }
    if (out == NULL || size < FEDAVG_PUBLIC_LINE_MAX) {
        rc =
            fed_error_set(&client->err, FEDAVG_EINVAL, "a public line needs room for %d characters", FEDAVG_PUBLIC_LINE_MAX);
    } else if (client->identity.secret == NULL) {
        rc = fed_error_set(&client->err, FEDAVG_EINVAL,
                           "the public line is not known: call fedavg_client_set_seed or fedavg_client_open first");
    } else {
        fed_public_line(out, &client->identity.public_keys);
    }
    return fed_handle_leave(client, rc);
}

/* -- run --------------------------------------------------------------------------------------------------------------- */

/* One step; FED_EAGAIN: go on. What ends it for good is said again whenever it is asked. */
static int step(struct fedavg_client *client, int64_t timeout_ms) {
    if (client->ended != FEDAVG_OK) {
        return client->ended;
    }
    struct fed_error err;
    int rc = fed_session_step(client->session, timeout_ms, &err);
    if (rc == FED_EINTERRUPTED) {
        return FEDAVG_STOPPED;
    }
    if (rc != FED_EAGAIN && rc != FED_OK) {
        client->err = err;
    }
    if (rc == FED_EDATA || rc == FED_EFAILED) {
        client->ended = rc;
    }
    return rc;
}

static int keep_watch(struct fedavg_client *client, int rc) {
    if (client->watch == NULL || rc != FED_EAGAIN) {
        return rc;
    }
    int watched = fed_watch_renew(client->watch, &client->err);
    return watched == FED_OK ? rc : watched;
}

int fedavg_client_check(struct fedavg_client *client) {
    int rc = enter_open(client);
    if (rc != FEDAVG_OK) {
        return rc;
    }
    fed_session_set_check(client->session, true);
    do {
        rc = step(client, -1);
    } while (rc == FED_EAGAIN);
    fed_session_set_check(client->session, false);
    return fed_handle_leave(client, rc);
}

int fedavg_client_run(struct fedavg_client *client) {
    int rc = enter_open(client);
    if (rc != FEDAVG_OK) {
        return rc;
    }
    do {
        rc = step(client, -1);
    } while (rc == FED_EAGAIN);
    return fed_handle_leave(client, rc == FEDAVG_STOPPED ? FEDAVG_OK : rc);
}

int fedavg_client_step(struct fedavg_client *client, int timeout_ms) {
    int rc = enter_open(client);
    if (rc != FEDAVG_OK) {
        return rc;
    }
    rc = keep_watch(client, step(client, timeout_ms));
    return fed_handle_leave(client, rc == FED_EAGAIN ? FEDAVG_OK : rc);
}

int fedavg_client_fd(struct fedavg_client *client, int *out) {
    int rc = enter_open(client);
    if (rc != FEDAVG_OK) {
        return rc;
    }
    if (out == NULL) {
        rc = fed_error_set(&client->err, FEDAVG_EINVAL, "there is no place for the descriptor");
    } else if (client->watch == NULL) {
        rc = fed_watch_new(&client->watch, client->session, &client->err);
    }
    if (rc == FEDAVG_OK) {
        *out = fed_watch_fd(client->watch);
    }
    return fed_handle_leave(client, rc);
}

int fedavg_client_standing(struct fedavg_client *client, char *out, size_t size) {
    int rc = enter_open(client);
    if (rc != FEDAVG_OK) {
        return rc;
    }
    if (out == NULL || size == 0) {
        rc = fed_error_set(&client->err, FEDAVG_EINVAL, "there is no room for a line");
    } else {
        fed_session_standing(client->session, out, size);
    }
    return fed_handle_leave(client, rc);
}

/* Nothing here but write(2), which signal handlers may call. */
void fedavg_client_stop(struct fedavg_client *client) {
    if (client != NULL) {
        int before = errno;
        const uint64_t one = 1;
        ssize_t n = write(client->stop_fd, &one, sizeof one); /* full: it is readable all the more */
        (void)n;
        errno = before;
    }
}
