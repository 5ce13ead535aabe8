/* What a handle of the public interface (include/fedavg/client.h) holds; shared by the files that make the interface up:
 *
 *     api.c           life of a handle: new, open, run, step, stop, free
 *     api_settings.c  what it is told before it is opened
 *     api_news.c      what it tells: events, log lines, passphrases */
#ifndef FED_CLIENT_HANDLE_H
#define FED_CLIENT_HANDLE_H

#include <stdatomic.h>

#include "client/scope.h"
#include "client/session.h"
#include "client/watch.h"
#include "common/data/given.h"
#include "common/seal/key_file.h"
#include "include/fedavg/client.h"

struct fedavg_client {
    atomic_flag busy; /* a call is inside */
    struct fed_error err;
    int stop_fd; /* readable once it is to stop */
    bool open;
    int ended; /* how it ended for good, FEDAVG_OK: it has not */

    /* what it was told */
    char *path;  /* owned; NULL: no file */
    char **sets; /* (n_sets) "name=value", owned */
    size_t n_sets;
    bool has_seed, has_data;
    struct fed_given data;
    int (*ask)(void *context, const char *key_file, char *passphrase, size_t size);
    void *ask_context;
    void (*hear)(void *context, const struct fedavg_event *event);
    void *hear_context;
    void (*take)(void *context, int level, const char *line);
    void *take_context;
    unsigned permissions;

    struct fed_log_sink own_log, training_log; /* of the thread that calls; of those that train */
    struct fed_scope outside;                  /* of the thread that is inside */

    struct fed_identity identity; /* secret != NULL: there is one */
    /* while it is open */
    struct fed_client_config config;
    struct fed_link *link;
    struct fed_host *host;
    struct fed_session *session;
    struct fed_watch *watch; /* NULL: nobody has asked for it */
};

/* Around every call. FEDAVG_EINVAL: no handle; FEDAVG_EBUSY. */
int fed_handle_enter(struct fedavg_client *client) FED_MUST_CHECK;
/* Also enters, and refuses where the client is open already. */
int fed_handle_enter_closed(struct fedavg_client *client) FED_MUST_CHECK;
/* Returns rc. */
int fed_handle_leave(struct fedavg_client *client, int rc);

/* Callbacks, each for a function of another room. context: the handle. */
void fed_handle_hear(void *context, const struct fed_session_news *news);
void fed_handle_take_own(void *context, enum fed_log_level level, const char *line);
void fed_handle_take_training(void *context, enum fed_log_level level, const char *line);
int fed_handle_passphrase(void *context, struct fed_passphrase **out, const char *whose, struct fed_error *err);

#endif
