/* The session's state, shared by the files that make it up and by nobody else:
 *
 *     session.c  connection, loop, what is said again     hear.c     messages of the coordinator
 *     say.c      messages to the coordinator              attempt.c  the attempt at hand
 *     bulk.c     the bulk lane                            news.c     what the program that hosts it is told
 *     standing.c what the node is at, in a line           watch.c    what to wait for, in a loop of somebody else's
 *
 * All of it belongs to one thread. */
#ifndef FED_CLIENT_SESSION_INTERNAL_H
#define FED_CLIENT_SESSION_INTERNAL_H

#include "client/download.h"
#include "client/parts.h"
#include "client/session.h"
#include "proto/wire.h"

#define FED_BACKOFF_FIRST_MS 1000

enum fed_session_state { FED_SESSION_DOWN, FED_SESSION_GREETING, FED_SESSION_READY };

struct fed_session {
    struct fed_link *link;
    struct fed_host *host;
    const struct fed_identity *identity;
    const struct fed_client_config *config;
    struct fed_session_options options;
    int sent_log;

    enum fed_session_state state;
    struct fed_lane *control;
    uint64_t instance; /* what HELLO calls this program */
    uint64_t seq, said_ms, reconnect_ms, backoff_ms;
    uint64_t down_since_ms;        /* 0 = not known to be down */
    struct fed_error said_trouble; /* the last that was logged since WELCOME, so that it is said once a change */
    bool refused;
    struct fed_error refusal;
    bool waiting;               /* chunks wait for room on the bulk lane */
    enum fed_session_mood told; /* the last that was told */
    bool told_finished;         /* of this run */
    uint64_t bytes_sent, bytes_received;

    /* from WELCOME */
    uint8_t run_id[16], task_digest[32];
    char bulk_endpoint[512];
    uint32_t ping_ms, idle_ms;
    struct fed_fixed fixed;
    struct fed_task_terms task;
    bool has_task;
    struct fed_error task_problem; /* why every ROUND of this task is declined; "" = fine */
    enum fed_decline_reason task_reason;
    bool data_misfit; /* task_problem ends the session */

    /* the attempt at hand */
    bool working;
    bool heard_round; /* since WELCOME: from here on rounds only go up */
    struct fed_terms terms;
    struct fed_update_limits limits;
    struct fed_download *download; /* NULL: the model is here */
    struct fed_part *parts;
    uint32_t left_said; /* clients still to be trained, as STATUS last said */
    struct fed_lane *bulk;
    bool bulk_down; /* as its monitor says */
    char handle[33], capability[33];
    uint64_t bulk_used_ms;
};

/* Nothing that can be heard or sent waits on the lanes for longer. */
#define FED_SESSION_TICK_MS 500
#define FED_SESSION_SEND_AGAIN_MS 5 /* the lane had no room for an update chunk */

/* What a session waits for, besides time. Returns how many items it filled. */
#define FED_SESSION_ITEMS 4
size_t fed_session_items(struct fed_poll_item items[FED_SESSION_ITEMS], const struct fed_session *s);

/* news.c */
/* Tells whoever wants to hear; the totals are filled in. */
void fed_session_tell(struct fed_session *s, struct fed_session_news news);
/* The mood, if it has changed. */
void fed_session_tell_mood(struct fed_session *s);
void fed_session_tell_declined(struct fed_session *s, const uint64_t *client, enum fed_decline_reason reason);
void fed_session_tell_refused(struct fed_session *s, uint64_t round, uint32_t attempt, enum fed_refusal refusal,
                              const char *text);
void fed_session_tell_ended(struct fed_session *s, enum fed_session_outcome outcome);

/* session.c */
/* Says why, closes the connection and opens another later. */
void fed_session_node_refused(struct fed_session *s, enum fed_refusal refusal);

/* say.c */
void fed_session_say_hello(struct fed_session *s);
void fed_session_say_status(struct fed_session *s);
/* client: NULL = the whole part. */
void fed_session_say_decline(struct fed_session *s, uint32_t part, const uint64_t *client, enum fed_decline_reason reason);
void fed_session_say_offer(struct fed_session *s, struct fed_part *part);

/* attempt.c */
/* Gives up a part that was or was to be offered. Said again whenever ROUND asks for the part again. */
void fed_session_decline_part(struct fed_session *s, struct fed_part *part);
/* keep_updates: another attempt of the round may want them. */
void fed_session_end_attempt(struct fed_session *s, bool keep_updates, enum fed_session_outcome outcome);
void fed_session_model_is_here(struct fed_session *s, struct fed_image *image);
/* Trained clients join their parts; whole parts are offered. */
void fed_session_collect_updates(struct fed_session *s);
/* This attempt is being worked on. */
bool fed_session_same_attempt(const struct fed_session *s, uint64_t round, uint32_t attempt);
void fed_session_hear_round(struct fed_session *s, const struct fed_msg_round *round);

/* hear.c */
void fed_session_hear_control(struct fed_session *s, const struct fed_frame *frame);

/* bulk.c */
void fed_session_close_bulk(struct fed_session *s);
void fed_session_open_bulk(struct fed_session *s);
/* ROUND brought a pass: another than before means that the coordinator has given up the lane that stands. */
void fed_session_take_pass(struct fed_session *s, const struct fed_msg_round *round);
void fed_session_hear_bulk(struct fed_session *s);
/* Update chunks that were asked for go out; true when some have to wait for room. */
bool fed_session_send_wanted(struct fed_session *s);
void fed_session_ask_chunks(struct fed_session *s, uint64_t now);
void fed_session_say_where_bulk_is(struct fed_session *s);
/* The control lane is down. The bulk lane has a connection of its own, and goes on if that stands. */
void fed_session_hear_down(struct fed_session *s);
void fed_session_hear_bulk_link(struct fed_session *s, uint64_t now);

#endif
