/* What the coordinator says on the control lane, but for ROUND. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/session_internal.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/seal/digest.h"

/* A bulk endpoint without a host of its own means the host that the control lane goes to. */
static void name_bulk_endpoint(struct fed_session *s, const char *told) {
    if (s->config->bulk != NULL) {
        snprintf(s->bulk_endpoint, sizeof s->bulk_endpoint, "%s", s->config->bulk);
        return;
    }
    const char *host = s->config->coordinator + strlen("tcp://"), *end = strrchr(s->config->coordinator, ':');
    const char *port = strrchr(told, ':');
    bool any = strncmp(told, "tcp://*:", 8) == 0 || strncmp(told, "tcp://0.0.0.0:", 14) == 0 ||
               strncmp(told, "tcp://[::]:", 11) == 0;
    if (any && strncmp(s->config->coordinator, "tcp://", 6) == 0 && end > host) {
        snprintf(s->bulk_endpoint, sizeof s->bulk_endpoint, "tcp://%.*s%s", (int)(end - host), host, port);
    } else {
        snprintf(s->bulk_endpoint, sizeof s->bulk_endpoint, "%s", told);
    }
}

static enum fed_decline_reason reason_of_problem(int rc, enum fed_limit broken) {
    switch (broken) {
    case FED_LIMIT_MODEL: return FED_DECLINE_MODEL_TOO_LARGE;
    case FED_LIMIT_EPOCHS: return FED_DECLINE_EPOCHS;
    case FED_LIMIT_MEMORY: return FED_DECLINE_MEMORY;
    case FED_LIMIT_NONE: break;
    }
    return rc == FED_EDATA ? FED_DECLINE_NO_DATA : rc == FED_ENOMEM ? FED_DECLINE_MEMORY : FED_DECLINE_FAILED;
}

/* A task that this node cannot or will not do is no reason to leave: every ROUND of it is declined, with the reason. But
 * data that do not fit the task are for the owner to put right: the session ends with the sentence that says where. */
static void take_task(struct fed_session *s, const struct fed_msg_welcome *welcome) {
    enum fed_limit broken = FED_LIMIT_NONE;
    uint8_t digest[32];
    fed_digest(digest, welcome->task, welcome->n_task);
    s->task_problem.text[0] = '\0';
    int rc = FED_OK;
    if (memcmp(digest, welcome->task_digest, sizeof digest) != 0) {
        rc = fed_error_set(&s->task_problem, FED_EWIRE, "the task does not match its digest");
    }
    if (rc == FED_OK) {
        rc = fed_task_terms_decode(&s->task, welcome->task, welcome->n_task, &s->task_problem);
    }
    if (rc == FED_OK) {
        rc = fed_fixed_init(&s->fixed, s->task.max_delta, s->task.max_weight, s->task.max_updates, &s->task_problem);
    }
    if (rc == FED_OK) {
        rc = fed_host_set_task(s->host, &s->task, &broken, &s->task_problem);
    }
    s->data_misfit = rc == FED_EDATA;
    s->task_reason = reason_of_problem(rc, broken);
    if (rc != FED_OK && !s->data_misfit) {
        FED_ERROR("session", "declines this task", FED_STR("why", s->task_problem.text));
    }
}

static void hear_welcome(struct fed_session *s, const struct fed_msg_welcome *welcome) {
    char run[33];
    bool same = s->has_task && memcmp(s->run_id, welcome->run_id, sizeof s->run_id) == 0 &&
                memcmp(s->task_digest, welcome->task_digest, sizeof s->task_digest) == 0;
    memcpy(s->run_id, welcome->run_id, sizeof s->run_id);
    memcpy(s->task_digest, welcome->task_digest, sizeof s->task_digest);
    s->ping_ms = welcome->ping_ms;
    s->idle_ms = welcome->idle_ms > 0 ? welcome->idle_ms : welcome->ping_ms;
    name_bulk_endpoint(s, welcome->bulk);
    if (!same) {
        fed_session_end_attempt(s, false, FED_OUTCOME_UNKNOWN);
        s->told_finished = false;
        take_task(s, welcome);
        s->has_task = true;
    }
    if (s->state != FED_SESSION_READY && !welcome->kept) {
        /* To the coordinator we are new: parts and pass are void, and a restored run may be in an earlier round. */
        fed_parts_free(&s->parts);
        fed_session_close_bulk(s);
        explicit_bzero(s->capability, sizeof s->capability);
        s->heard_round = false;
        fed_hex(run, s->run_id, sizeof s->run_id);
        FED_INFO("session", "welcomed", FED_STR("node", s->config->name), FED_STR("run", run),
                 FED_STR("coordinator", s->config->coordinator));
    }
    s->state = FED_SESSION_READY;
    if (!same && s->task.math != FED_MATH_EXACT) {
        fed_session_say_hello(s); /* now that it is known what this node trains with */
    }
    s->refused = false;
    s->said_trouble.text[0] = '\0';
    s->backoff_ms = FED_BACKOFF_FIRST_MS;
}

static void hear_refused(struct fed_session *s, const struct fed_msg_refused *refused) {
    if (refused->round == 0) {
        if (refused->code == FED_REFUSAL_ROUND) { /* it does not know us (any more): greet again */
            s->state = FED_SESSION_GREETING;
            fed_session_say_hello(s);
            return;
        }
        if (refused->code == FED_REFUSAL_BUSY &&
            refused->retry_after_ms > 0) { /* not now; what we say is said again anyway */
            s->said_ms = s->state == FED_SESSION_GREETING ? fed_clock_ms() + refused->retry_after_ms : s->said_ms;
            return;
        }
        fed_session_node_refused(s, refused->code);
        return;
    }
    struct fed_part *part = fed_parts_find(s->parts, refused->part);
    if (!fed_session_same_attempt(s, refused->round, refused->attempt) || part == NULL || part->state == FED_PART_DONE) {
        return; /* also when an offer that was repeated met the end of the attempt: it was admitted before */
    }
    if (refused->retry_after_ms > 0) {
        part->said_ms = 0;
        part->retry_ms = fed_clock_ms() + refused->retry_after_ms;
        return;
    }
    FED_WARN("session", "update refused", FED_U64("round", refused->round), FED_U64("part", refused->part),
             FED_STR("reason", fed_refusal_name(refused->code)));
    part->state = FED_PART_DONE;
    fed_session_tell_refused(s, refused->round, refused->attempt, refused->code, "");
}

static void hear_admitted(struct fed_session *s, const struct fed_msg_admitted *admitted) {
    struct fed_part *part = fed_parts_find(s->parts, admitted->part);
    if (!fed_session_same_attempt(s, admitted->round, admitted->attempt) || part == NULL || part->state == FED_PART_DONE) {
        return;
    }
    part->state = FED_PART_DONE;
    fed_session_tell(s, (struct fed_session_news){.kind = FED_NEWS_ADMITTED,
                                                  .round = admitted->round,
                                                  .attempt = admitted->attempt,
                                                  .clients = part->n_trained,
                                                  .examples = fed_part_examples(part),
                                                  .seconds = part->train_seconds,
                                                  .bytes = part->n_bytes});
}

static void hear_end(struct fed_session *s, const struct fed_msg_end *end) {
    if (end->finished) {
        FED_INFO("session", "run finished", FED_U64("round", end->round));
    }
    if (fed_session_same_attempt(s, end->round, end->attempt) || end->finished) {
        fed_session_end_attempt(s, !end->committed, end->committed ? FED_OUTCOME_COMMITTED : FED_OUTCOME_ABANDONED);
    }
    if (end->finished && !s->told_finished) {
        fed_session_tell(s, (struct fed_session_news){.kind = FED_NEWS_FINISHED, .round = end->round});
        s->told_finished = true;
    }
    if (end->finished) { /* the coordinator waits for it, and then leaves */
        fed_session_say_status(s);
    }
}

void fed_session_hear_control(struct fed_session *s, const struct fed_frame *frame) {
    struct fed_message *message = malloc(sizeof *message);
    int rc = message != NULL ? fed_message_decode(message, frame->bytes, frame->n) : FED_ENOMEM;
    if (rc == FED_EPEER) {
        s->refused = true;
        fed_error_set(&s->refusal, FED_EPEER, "the coordinator speaks another protocol version; upgrade the older side");
        FED_ERROR("session", "other protocol version", FED_STR("coordinator", s->config->coordinator));
    } else if (rc != FED_OK) {
        FED_WARN("session", "message dropped", FED_STR("why", fed_status_text(rc)));
    } else if (message->kind == FED_MSG_WELCOME) {
        hear_welcome(s, &message->as.welcome);
    } else if (message->kind == FED_MSG_REFUSED) {
        hear_refused(s, &message->as.refused);
    } else if (s->state == FED_SESSION_READY && message->kind == FED_MSG_ROUND) {
        fed_session_hear_round(s, &message->as.round);
    } else if (s->state == FED_SESSION_READY && message->kind == FED_MSG_ADMITTED) {
        hear_admitted(s, &message->as.admitted);
    } else if (s->state == FED_SESSION_READY && message->kind == FED_MSG_END) {
        hear_end(s, &message->as.end);
    }
    if (message != NULL) {
        explicit_bzero(message, sizeof *message); /* ROUND holds keys */
    }
    free(message);
}
