/* One node's conversation with its coordinator: connect, say HELLO, answer ROUND, deliver, and reconnect for ever.
 *
 *     DOWN --link up--> GREETING --WELCOME--> READY --ROUND--> at work in READY
 *       ^                   |                    |
 *       +---link down-------+--------------------+      refused by ZAP: a new socket, with back-off
 *
 * Messages are idempotent and said again until they are answered. */
#ifndef FED_CLIENT_SESSION_H
#define FED_CLIENT_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "client/host.h"
#include "common/config/client_config.h"
#include "common/link/link.h"
#include "common/seal/keys.h"

struct fed_session;

/* What a program that hosts the node may want to know; values that do not belong to a kind are 0. */
enum fed_news_kind {
    FED_NEWS_STATE,    /* state */
    FED_NEWS_BEGUN,    /* round, attempt: work on it begins */
    FED_NEWS_TRAINED,  /* round, attempt, client, examples, steps, loss, seconds */
    FED_NEWS_ADMITTED, /* round, attempt, clients, examples, seconds, bytes: the coordinator has taken an update */
    FED_NEWS_DECLINED, /* round, attempt, client (clients == 1) or a whole part (clients == 0), word: why not by us */
    FED_NEWS_REFUSED,  /* word, text: by the coordinator: an update (round, attempt) or this node (round 0) */
    FED_NEWS_ENDED,    /* round, attempt, outcome */
    FED_NEWS_FINISHED, /* round: the run's last; nothing more is asked for */
};
enum fed_session_outcome { FED_OUTCOME_UNKNOWN, FED_OUTCOME_COMMITTED, FED_OUTCOME_ABANDONED };
enum fed_session_mood { FED_MOOD_AWAY, FED_MOOD_GREETING, FED_MOOD_READY, FED_MOOD_WORKING };

struct fed_session_news {
    enum fed_news_kind kind;
    enum fed_session_mood mood;
    enum fed_session_outcome outcome;
    uint64_t round, client, clients, examples, steps, bytes;
    uint32_t attempt;
    double loss, seconds, examples_per_second; /* over all epochs */
    const char *word, *text;                   /* "" where there is none; valid during the call */
    uint64_t bytes_sent, bytes_received;       /* of messages, since the session began */
};

struct fed_session_options {
    bool check;                                                       /* only find out whether the coordinator welcomes us */
    int stop_fd;                                                      /* readable: leave at once; -1 = none */
    void (*hear)(void *context, const struct fed_session_news *news); /* on the thread that steps; NULL: nobody */
    void *context;
};

/* link, host, identity and config are borrowed. FED_EADDRESS, FED_EIO. */
int fed_session_new(struct fed_session **out, struct fed_link *link, struct fed_host *host,
                    const struct fed_identity *identity, const struct fed_client_config *config,
                    const struct fed_session_options *options, struct fed_error *err) FED_MUST_CHECK;
void fed_session_free(struct fed_session *session);

/* Waits at most timeout_ms, and no longer than until something has to be said again, for messages, finished training or
 * stop_fd, and does what there is to do. FED_EAGAIN: that was it; else as fed_session_run. */
int fed_session_step(struct fed_session *session, int64_t timeout_ms, struct fed_error *err) FED_MUST_CHECK;
/* One line on what the node is at, cut to size; size >= 1. */
void fed_session_standing(const struct fed_session *session, char *out, size_t size);
/* Whether it ends a step, from now on, that the coordinator welcomes us, or refuses or is not there. */
void fed_session_set_check(struct fed_session *session, bool check);

/* Until stop_fd is readable: FED_EINTERRUPTED. FED_EDATA: the data do not fit the task. With check: 0 when welcomed and the
 * data fit, FED_EPEER with a sentence when refused. */
int fed_session_run(struct fed_session *session, struct fed_error *err) FED_MUST_CHECK;

#endif
