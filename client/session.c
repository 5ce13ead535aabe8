#include "client/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/download.h"
#include "client/parts.h"
#include "client/sent_log.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rng.h"
#include "common/seal/digest.h"

#define HELLO_AGAIN_MS 2000
#define OFFER_AGAIN_MS 2000
#define BULK_FRAME_MAX (FED_CHUNK_BYTES + FED_TAG_BYTES + 256)
#define BULK_IDLE_MS 60000
#define DOWN_SAID_MS 3000
#define BACKOFF_FIRST_MS 1000
#define BACKOFF_MOST_MS 60000

enum session_state { SESSION_DOWN, SESSION_GREETING, SESSION_READY };

struct fed_session {
    struct fed_link *link;
    struct fed_host *host;
    const struct fed_identity *identity;
    const struct fed_client_config *config;
    struct fed_session_options options;
    int sent_log;

    enum session_state state;
    struct fed_lane *control;
    uint64_t seq, said_ms, reconnect_ms, backoff_ms;
    uint64_t down_since_ms;        /* 0 = not known to be down */
    struct fed_error said_trouble; /* the last that was logged since WELCOME, so that it is said once a change */
    bool welcomed, refused;
    struct fed_error refusal;

    /* from WELCOME */
    uint8_t run_id[16], task_digest[32];
    char bulk_endpoint[512];
    uint32_t ping_ms;
    struct fed_fixed fixed;
    struct fed_task_terms task;
    bool has_task;
    struct fed_error task_problem; /* why every ROUND of this task is declined; "" = fine */
    enum fed_decline_reason task_reason;

    /* the attempt at hand */
    bool working;
    bool heard_round; /* since WELCOME: from here on rounds only go up */
    struct fed_terms terms;
    struct fed_download *download; /* NULL: the model is here */
    struct fed_part *parts;
    struct fed_lane *bulk;
    char handle[33], capability[33];
    uint64_t bulk_used_ms;
};

/* -- saying ---------------------------------------------------------------------------------------------------------------
 */

static int say(struct fed_session *s, struct fed_message *message) {
    if (s->control == NULL) { /* refused a moment ago; training goes on and may have something to say */
        return FED_EGONE;
    }
    uint8_t *bytes = malloc(FED_CONTROL_MAX);
    size_t n;
    message->seq = ++s->seq;
    int rc = bytes != NULL ? fed_message_encode(bytes, &n, message) : FED_ENOMEM;
    if (rc == FED_OK) {
        rc = fed_lane_send(s->control, NULL, bytes, n, NULL, 0, 0);
    }
    free(bytes);
    s->said_ms = fed_clock_ms();
    return rc;
}

static void say_hello(struct fed_session *s) {
    struct fed_message message = {.kind = FED_MSG_HELLO};
    struct fed_msg_hello *hello = &message.as.hello;
    hello->protocol_minor = FED_PROTOCOL_MINOR;
    snprintf(hello->build, sizeof hello->build, "fedavg %s", FED_VERSION);
    snprintf(hello->kernel_family, sizeof hello->kernel_family, "exact");
    snprintf(hello->kernels, sizeof hello->kernels, "%s", fed_host_kernels(s->host));
    hello->workers = s->config->workers;
    hello->n_hosted = 1;
    hello->hosted[0] = (struct fed_id_range){s->config->first_client, s->config->n_clients};
    const uint8_t *digest = fed_host_partition_digest(s->host);
    if (digest != NULL) {
        hello->has_partition = true;
        memcpy(hello->partition_digest, digest, sizeof hello->partition_digest);
    }
    const struct fed_image *image = fed_host_image(s->host);
    if (image != NULL) {
        hello->has_model = true;
        memcpy(hello->model_digest, image->digest, sizeof hello->model_digest);
    }
    /* A full queue or a connection just lost: it is said again when the link is up. */
    int rc = say(s, &message);
    (void)rc;
}

static void say_status(struct fed_session *s) {
    struct fed_message message = {.kind = FED_MSG_STATUS};
    struct fed_msg_status *status = &message.as.status;
    if (s->working) {
        status->round = s->terms.round;
        status->attempt = s->terms.attempt;
        fed_parts_progress(s->parts, &status->done, &status->total);
        status->phase = s->download != NULL            ? FED_PHASE_DOWNLOAD
                        : status->done < status->total ? FED_PHASE_TRAIN
                                                       : FED_PHASE_UPLOAD;
    }
    int rc = say(s, &message); /* the next one says the same and more */
    (void)rc;
}

/* client: NULL = the whole part. */
static void say_decline(struct fed_session *s, uint32_t part, const uint64_t *client, enum fed_decline_reason reason) {
    struct fed_message *message = calloc(1, sizeof *message);
    if (message == NULL) {
        return; /* the coordinator waits until the deadline; nothing else can be said without memory */
    }
    message->kind = FED_MSG_DECLINE;
    message->as.decline.round = s->terms.round;
    message->as.decline.attempt = s->terms.attempt;
    message->as.decline.part = part;
    message->as.decline.reason = reason;
    if (client != NULL) {
        message->as.decline.n_clients = 1;
        message->as.decline.clients[0] = *client;
    }
    if (say(s, message) != FED_OK) {
        FED_WARN("session", "decline not sent", FED_U64("round", s->terms.round), FED_U64("part", part));
    }
    free(message);
}

static void say_offer(struct fed_session *s, struct fed_part *part) {
    struct fed_message *message = calloc(1, sizeof *message);
    part->said_ms = fed_clock_ms();
    if (message == NULL) {
        return; /* said again later */
    }
    struct fed_msg_offer *offer = &message->as.offer;
    message->kind = FED_MSG_OFFER;
    offer->round = s->terms.round;
    offer->attempt = s->terms.attempt;
    offer->part = part->id;
    memcpy(offer->e_pk, fed_seal_pair_public(part->e), sizeof offer->e_pk);
    offer->n_header = part->n_header;
    memcpy(offer->header, part->header, part->n_header);
    int rc = say(s, message); /* said again until it is answered */
    (void)rc;
    free(message);
}

/* -- the attempt ----------------------------------------------------------------------------------------------------------
 */

static void close_bulk(struct fed_session *s) {
    fed_lane_close(s->bulk);
    s->bulk = NULL;
}

static void open_bulk(struct fed_session *s) {
    struct fed_error err;
    close_bulk(s);
    int rc = fed_lane_connect_bulk(&s->bulk, s->link, s->bulk_endpoint, s->handle, s->capability, BULK_FRAME_MAX, &err);
    if (rc != FED_OK) {
        FED_ERROR("session", "bulk lane not opened", FED_STR("why", err.text));
    }
    s->bulk_used_ms = fed_clock_ms();
}

static void end_attempt(struct fed_session *s, bool keep_updates) {
    fed_parts_free(&s->parts);
    fed_download_free(s->download);
    s->download = NULL;
    s->working = false;
    fed_host_end(s->host, keep_updates);
}

static void finish_part(struct fed_session *s, struct fed_part *part) {
    int rc = fed_part_seal(part, s->terms.n_params, s->identity, &s->terms);
    if (rc != FED_OK) {
        FED_ERROR("session", "update not sealed", FED_STR("why", fed_status_text(rc)));
        part->state = FED_PART_DONE;
        say_decline(s, part->id, NULL, FED_DECLINE_FAILED);
        return;
    }
    say_offer(s, part);
}

static void finish_complete_parts(struct fed_session *s) {
    for (struct fed_part *part = s->parts; part != NULL; part = part->next) {
        if (fed_part_complete(part)) {
            finish_part(s, part);
        }
    }
}

static void client_failed(struct fed_session *s, uint64_t client, int rc) {
    enum fed_decline_reason reason = rc == FED_EINTERRUPTED ? FED_DECLINE_TIME
                                     : rc == FED_ENOMEM     ? FED_DECLINE_MEMORY
                                     : rc == FED_ENOTFOUND  ? FED_DECLINE_NO_DATA
                                                            : FED_DECLINE_FAILED;
    for (struct fed_part *part; (part = fed_parts_drop_client(s->parts, client)) != NULL;) {
        FED_WARN("session", "client declined", FED_U64("client", client), FED_U64("round", s->terms.round),
                 FED_STR("why", fed_status_text(rc)));
        say_decline(s, part->id, &client, reason);
    }
}

static void want_clients(struct fed_session *s, const struct fed_part *part, size_t first) {
    for (size_t i = first; i < part->n_clients; i++) {
        int rc = fed_host_train(s->host, part->clients[i]);
        if (rc != FED_OK) {
            client_failed(s, part->clients[i], rc);
        }
    }
}

static void model_is_here(struct fed_session *s, struct fed_image *image) {
    fed_host_begin(s->host, image, s->terms.learning_rate);
    for (struct fed_part *part = s->parts; part != NULL; part = part->next) {
        want_clients(s, part, 0);
    }
}

static void say_unfit(const struct fed_session *s, const struct fed_host_update *update) {
    size_t at = fed_fixed_check(&s->fixed, update->delta, s->terms.n_params), element;
    if (at == s->terms.n_params) {
        FED_WARN("session", "update has too many examples for the task", FED_U64("client", update->client),
                 FED_U64("examples", update->report.n_examples), FED_U64("allowed", s->fixed.max_weight));
        return;
    }
    const struct fed_tensor *tensor = fed_model_locate(fed_host_model(s->host), at, &element);
    FED_WARN("session", "update beyond max_delta", FED_U64("client", update->client), FED_STR("tensor", tensor->name),
             FED_U64("element", element), FED_F64("value", (double)update->delta[at]),
             FED_F64("allowed", (double)s->fixed.max_delta));
}

static void collect_updates(struct fed_session *s) {
    struct fed_host_update update;
    bool any = false;
    while (fed_host_finished(s->host, &update)) {
        size_t joined = 0;
        int rc = update.rc;
        if (rc == FED_OK) {
            rc = fed_parts_join(&joined, s->parts, &s->fixed, s->terms.n_params, &update);
        }
        if (rc != FED_OK) {
            client_failed(s, update.client, rc);
        }
        if (rc == FED_EDATA && update.rc == FED_OK) {
            say_unfit(s, &update);
        }
        if (update.rc == FED_OK && !fed_parts_borrow(s->parts, update.delta)) {
            fed_host_release(s->host, update.client);
        }
        any = true;
    }
    if (any && s->working) {
        finish_complete_parts(s);
        say_status(s);
    }
}

/* -- trouble --------------------------------------------------------------------------------------------------------------
 */

static void trouble(struct fed_session *s, const char *sentence) {
    if (strcmp(s->said_trouble.text, sentence) != 0) {
        FED_ERROR("session", "no connection", FED_STR("coordinator", s->config->coordinator), FED_STR("why", sentence));
        snprintf(s->said_trouble.text, sizeof s->said_trouble.text, "%s", sentence);
    }
}

static void reopen_later(struct fed_session *s) {
    fed_lane_close(s->control);
    s->control = NULL;
    s->state = SESSION_DOWN;
    uint8_t jitter;
    fed_random_bytes(&jitter, 1);
    s->reconnect_ms = fed_clock_ms() + s->backoff_ms + s->backoff_ms * jitter / 512;
    s->backoff_ms = s->backoff_ms * 2 < BACKOFF_MOST_MS ? s->backoff_ms * 2 : BACKOFF_MOST_MS;
}

/* Asking again at once would be answered alike: a roster is edited by people. */
static void node_refused(struct fed_session *s, enum fed_refusal refusal) {
    if (refusal == FED_REFUSAL_NOT_ENROLLED) {
        fed_error_set(&s->refusal, FED_EPEER,
                      "%s: this node's key is not on the coordinator's roster (or not valid now); "
                      "send its operator the public line of %s",
                      s->config->coordinator, s->config->key);
    } else {
        fed_error_set(&s->refusal, FED_EPEER, "the coordinator refused this node: %s; ask its operator",
                      refusal == FED_REFUSAL_HOSTED      ? "the roster does not give it the clients that it names"
                      : refusal == FED_REFUSAL_PARTITION ? "its data or its split is not the task's"
                                                         : fed_refusal_name(refusal));
    }
    s->refused = true;
    trouble(s, s->refusal.text);
    reopen_later(s);
}

/* -- hearing --------------------------------------------------------------------------------------------------------------
 */

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

static enum fed_decline_reason reason_of_problem(int rc, const char *sentence) {
    if (rc == FED_EDATA) {
        return FED_DECLINE_NO_DATA;
    }
    if (strstr(sentence, "max_model_mb") != NULL) {
        return FED_DECLINE_MODEL_TOO_LARGE;
    }
    return strstr(sentence, "max_epochs") != NULL ? FED_DECLINE_EPOCHS : FED_DECLINE_MEMORY;
}

/* A task that this node cannot or will not do is no reason to leave: every ROUND of it is declined, with the reason. */
static void take_task(struct fed_session *s, const struct fed_msg_welcome *welcome) {
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
        rc = fed_host_set_task(s->host, &s->task, &s->task_problem);
    }
    if (rc != FED_OK) {
        s->task_reason = reason_of_problem(rc, s->task_problem.text);
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
    name_bulk_endpoint(s, welcome->bulk);
    if (!same) {
        end_attempt(s, false);
        take_task(s, welcome);
        s->has_task = true;
    }
    if (s->state != SESSION_READY) {
        /* To the coordinator we are new: the parts it gave us are void, and a restored run may be in an earlier round. */
        fed_parts_free(&s->parts);
        s->heard_round = false;
        fed_hex(run, s->run_id, sizeof s->run_id);
        FED_INFO("session", "welcomed", FED_STR("node", s->config->name), FED_STR("run", run),
                 FED_STR("coordinator", s->config->coordinator));
    }
    s->state = SESSION_READY;
    s->welcomed = true;
    s->refused = false;
    s->said_trouble.text[0] = '\0';
    s->backoff_ms = BACKOFF_FIRST_MS;
}

static bool older(const struct fed_session *s, uint64_t round, uint32_t attempt) {
    return s->heard_round && (round < s->terms.round || (round == s->terms.round && attempt < s->terms.attempt));
}

static bool same_attempt(const struct fed_session *s, uint64_t round, uint32_t attempt) {
    return s->working && s->terms.round == round && s->terms.attempt == attempt;
}

/* The bulk lane's door. Another pass means that the coordinator has given up the connection that stands. */
static void take_pass(struct fed_session *s, const struct fed_msg_round *round) {
    char handle[sizeof s->handle], capability[sizeof s->capability];
    fed_hex(handle, round->handle, sizeof round->handle);
    fed_hex(capability, round->capability, sizeof round->capability);
    if (s->bulk == NULL || strcmp(handle, s->handle) != 0 || strcmp(capability, s->capability) != 0) {
        memcpy(s->handle, handle, sizeof handle);
        memcpy(s->capability, capability, sizeof capability);
        open_bulk(s);
        if (s->download != NULL) {
            fed_download_restart(s->download);
        }
    }
    explicit_bzero(capability, sizeof capability);
}

static void begin_attempt(struct fed_session *s, const struct fed_msg_round *round) {
    bool again = s->terms.round == round->terms.round &&
                 memcmp(s->terms.model_digest, round->terms.model_digest, sizeof s->terms.model_digest) == 0;
    end_attempt(s, again); /* what is still being trained of another round stops now, not when its model has come */
    s->terms = round->terms;
    memcpy(s->terms.run_id, s->run_id, sizeof s->terms.run_id);
    memcpy(s->terms.task_digest, s->task_digest, sizeof s->terms.task_digest);
    s->working = true;
}

static bool terms_are_the_tasks(const struct fed_session *s, const struct fed_terms *terms) {
    return terms->epochs == s->task.epochs && terms->batch_size == s->task.batch_size &&
           terms->n_params == fed_host_model(s->host)->n_params && terms->round >= 1;
}

static void start_download(struct fed_session *s, const struct fed_msg_round *round) {
    struct fed_image *held = fed_host_image(s->host);
    if (held != NULL && memcmp(held->digest, s->terms.model_digest, sizeof held->digest) == 0 &&
        held->round + 1 == s->terms.round) {
        model_is_here(s, held);
        return;
    }
    uint64_t most = s->config->limits.max_model_mb << 20;
    int rc = round->file_bytes <= most + (1 << 20) ? fed_download_new(&s->download, &s->terms, round) : FED_ECONFIG;
    if (rc != FED_OK) {
        FED_WARN("session", "model not fetched", FED_U64("bytes", round->file_bytes), FED_STR("why", fed_status_text(rc)));
        say_decline(s, round->part, NULL, rc == FED_ECONFIG ? FED_DECLINE_MODEL_TOO_LARGE : FED_DECLINE_MEMORY);
        end_attempt(s, true);
    }
}

static void hear_round(struct fed_session *s, const struct fed_msg_round *round) {
    if (older(s, round->terms.round, round->terms.attempt)) {
        return;
    }
    /* A restored run may come to the same attempt again, with other secrets. */
    bool fresh = !same_attempt(s, round->terms.round, round->terms.attempt) ||
                 memcmp(s->terms.r_pk, round->terms.r_pk, sizeof s->terms.r_pk) != 0;
    s->heard_round = true;
    if (s->task_problem.text[0] != '\0' || !terms_are_the_tasks(s, &round->terms)) {
        if (fresh) {
            end_attempt(s, true);
            s->terms.round = round->terms.round;
            s->terms.attempt = round->terms.attempt;
        }
        say_decline(s, round->part, NULL, s->task_problem.text[0] != '\0' ? s->task_reason : FED_DECLINE_FAILED);
        return;
    }
    if (fresh) {
        begin_attempt(s, round);
    }
    take_pass(s, round);
    struct fed_part *part;
    size_t first_fresh;
    int rc = fed_parts_update(&part, &s->parts, round, &first_fresh);
    if (rc != FED_OK) {
        FED_WARN("session", "part not taken", FED_U64("part", round->part), FED_STR("why", fed_status_text(rc)));
        say_decline(s, round->part, NULL, FED_DECLINE_FAILED);
        return;
    }
    if (fresh) {
        start_download(s, round);
    } else if (s->download == NULL) {
        want_clients(s, part, first_fresh);
    }
    collect_updates(s); /* what was kept from an earlier attempt is there at once */
    finish_complete_parts(s);
    say_status(s);
}

static void hear_refused(struct fed_session *s, const struct fed_msg_refused *refused) {
    if (refused->round == 0) {
        if (refused->code == FED_REFUSAL_ROUND) { /* it does not know us (any more): greet again */
            s->state = SESSION_GREETING;
            say_hello(s);
            return;
        }
        node_refused(s, refused->code);
        return;
    }
    struct fed_part *part = fed_parts_find(s->parts, refused->part);
    if (!same_attempt(s, refused->round, refused->attempt) || part == NULL || part->state == FED_PART_DONE) {
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
}

static void hear_end(struct fed_session *s, const struct fed_msg_end *end) {
    if (end->finished) {
        FED_INFO("session", "run finished", FED_U64("round", end->round));
    }
    if (same_attempt(s, end->round, end->attempt) || end->finished) {
        end_attempt(s, !end->committed);
    }
}

static void hear_control(struct fed_session *s, const struct fed_frame *frame) {
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
    } else if (s->state == SESSION_READY && message->kind == FED_MSG_ROUND) {
        hear_round(s, &message->as.round);
    } else if (s->state == SESSION_READY && message->kind == FED_MSG_ADMITTED) {
        const struct fed_msg_admitted *admitted = &message->as.admitted;
        struct fed_part *part = fed_parts_find(s->parts, admitted->part);
        if (same_attempt(s, admitted->round, admitted->attempt) && part != NULL) {
            part->state = FED_PART_DONE;
        }
    } else if (s->state == SESSION_READY && message->kind == FED_MSG_END) {
        hear_end(s, &message->as.end);
    }
    if (message != NULL) {
        explicit_bzero(message, sizeof *message); /* ROUND holds keys */
    }
    free(message);
}

/* -- the bulk lane --------------------------------------------------------------------------------------------------------
 */

static void free_bytes(void *bytes, void *context) {
    (void)context;
    free(bytes);
}

static int send_chunk(struct fed_session *s, const struct fed_part *part, uint64_t i) {
    struct fed_bulk_head head = {.kind = FED_BULK_CHUNK,
                                 .what = {FED_OBJECT_UPDATE, s->terms.round, s->terms.attempt, part->id},
                                 .first = i,
                                 .count = 1};
    uint8_t bytes[FED_BULK_HEAD_MAX], *sealed = NULL;
    size_t n_head, n;
    struct fed_shared *shared = NULL;
    int rc = fed_bulk_encode(bytes, &n_head, &head);
    if (rc == FED_OK) {
        rc = fed_part_chunk(&sealed, &n, part, i);
    }
    if (rc == FED_OK) {
        rc = fed_shared_new(&shared, sealed, n, free_bytes, NULL);
    }
    if (rc != FED_OK) {
        free(sealed);
        return rc;
    }
    rc = fed_lane_send(s->bulk, NULL, bytes, n_head, shared, 0, n);
    fed_shared_release(shared);
    return rc;
}

/* The owner's record comes before the first byte. */
static int record_sending(struct fed_session *s, struct fed_part *part) {
    if (part->logged || s->sent_log < 0) {
        return FED_OK;
    }
    struct fed_error err;
    struct fed_sent sent = {.round = s->terms.round,
                            .attempt = s->terms.attempt,
                            .n_clients = part->n_trained,
                            .n_examples = fed_part_examples(part),
                            .n_bytes = part->n_bytes};
    memcpy(sent.run_id, s->run_id, sizeof sent.run_id);
    memcpy(sent.model_digest, s->terms.model_digest, sizeof sent.model_digest);
    int rc = fed_sent_log_write(s->sent_log, &sent, fed_clock_wall_ms(), &err);
    if (rc != FED_OK) {
        FED_ERROR("session", "nothing is sent", FED_STR("why", err.text));
    }
    part->logged = rc == FED_OK;
    return rc;
}

static void hear_get(struct fed_session *s, const struct fed_bulk_head *head) {
    struct fed_part *part = fed_parts_find(s->parts, head->what.part);
    if (part == NULL || part->key == NULL || head->first >= fed_chunk_count(part->n_bytes) ||
        record_sending(s, part) != FED_OK) {
        return;
    }
    part->said_ms = fed_clock_ms(); /* it is being fetched: no need to offer again */
    for (uint64_t i = head->first; i < head->first + head->count && i < fed_chunk_count(part->n_bytes); i++) {
        if (send_chunk(s, part, i) != FED_OK) {
            return; /* asked for again when it does not come */
        }
    }
}

static void download_ended(struct fed_session *s, int rc, struct fed_error *err) {
    struct fed_image *image = fed_download_take(s->download);
    fed_download_free(s->download);
    s->download = NULL;
    if (rc == FED_OK && image->round + 1 != s->terms.round) { /* it selects the training streams */
        rc = fed_error_set(err, FED_EDATA, "the file says it is the model of round %" PRIu64, image->round);
    }
    if (rc == FED_OK) {
        model_is_here(s, image);
        collect_updates(s);
        say_status(s);
    } else {
        FED_ERROR("session", "model refused", FED_U64("round", s->terms.round), FED_STR("why", err->text));
        for (struct fed_part *part = s->parts; part != NULL; part = part->next) {
            say_decline(s, part->id, NULL, FED_DECLINE_FAILED);
        }
        end_attempt(s, true);
    }
    fed_image_release(image);
}

static void hear_chunk(struct fed_session *s, const struct fed_bulk_head *head, const struct fed_frame *body) {
    struct fed_error err;
    if (s->download == NULL) {
        return;
    }
    int rc =
        fed_download_chunk(s->download, head->first, body->bytes, body->n, fed_clock_ms(), fed_host_model(s->host), &err);
    if (rc != FED_EAGAIN) {
        download_ended(s, rc, &err);
    }
}

static void hear_bulk(struct fed_session *s) {
    struct fed_bulk_head head;
    for (struct fed_incoming in = {0}; s->bulk != NULL && fed_lane_recv(&in, s->bulk) == FED_OK; memset(&in, 0, sizeof in)) {
        s->bulk_used_ms = fed_clock_ms();
        if (in.head.n > 0 && fed_bulk_decode(&head, in.head.bytes, in.head.n) == FED_OK &&
            same_attempt(s, head.what.round, head.what.attempt)) {
            if (head.kind == FED_BULK_GET && head.what.kind == FED_OBJECT_UPDATE) {
                hear_get(s, &head);
            } else if (head.kind == FED_BULK_CHUNK && head.what.kind == FED_OBJECT_MODEL) {
                hear_chunk(s, &head, &in.body);
            }
        }
        fed_frame_release(&in.head);
        fed_frame_release(&in.body);
    }
}

static void ask_chunks(struct fed_session *s, uint64_t now) {
    uint64_t first;
    uint32_t count;
    while (s->download != NULL && s->bulk != NULL && fed_download_wants(s->download, now, &first, &count)) {
        struct fed_bulk_head head = {.kind = FED_BULK_GET,
                                     .what = {FED_OBJECT_MODEL, s->terms.round, s->terms.attempt, 0},
                                     .first = first,
                                     .count = count};
        uint8_t bytes[FED_BULK_HEAD_MAX];
        size_t n;
        if (fed_bulk_encode(bytes, &n, &head) != FED_OK || fed_lane_send(s->bulk, NULL, bytes, n, NULL, 0, 0) != FED_OK) {
            return; /* not connected yet: asked again at the next event or tick */
        }
        fed_download_asked(s->download, first, count, now);
    }
}

/* An offer that has to be repeated may be waited for by a coordinator that took another connection for this node's lane, and
 * an upload alone never speaks there first: the empty message with which every lane begins shows it the way again. */
static void say_where_bulk_is(struct fed_session *s) {
    if (s->bulk != NULL) {
        int rc = fed_lane_send(s->bulk, NULL, "", 0, NULL, 0, 0); /* with the next offer, said again */
        (void)rc;
    }
}

/* -- the connection -------------------------------------------------------------------------------------------------------
 */

static int open_control(struct fed_session *s, struct fed_error *err) {
    return fed_lane_connect_control(&s->control, s->link, s->config->coordinator, s->identity,
                                    s->config->coordinator_key.curve, FED_CONTROL_MAX, err);
}

static void hear_link(struct fed_session *s) {
    enum fed_link_event event;
    while (s->control != NULL && (event = fed_lane_event(s->control)) != FED_LINK_QUIET) {
        switch (event) {
        case FED_LINK_UP:
            s->state = SESSION_GREETING;
            s->down_since_ms = 0;
            say_hello(s);
            break;
        case FED_LINK_DOWN:
            s->state = SESSION_DOWN;
            close_bulk(s);
            s->down_since_ms = s->down_since_ms > 0 ? s->down_since_ms : fed_clock_ms();
            break;
        case FED_LINK_REFUSED: node_refused(s, FED_REFUSAL_NOT_ENROLLED); break;
        case FED_LINK_WRONG_PEER:
            s->refused = true;
            fed_error_set(&s->refusal, FED_EPEER,
                          "%s does not hold the key that coordinator_key names in %s; "
                          "check the address, then ask its operator for the right public line",
                          s->config->coordinator, s->config->path);
            trouble(s, s->refusal.text);
            reopen_later(s);
            break;
        case FED_LINK_QUIET: break;
        }
    }
}

static void hear_bulk_link(struct fed_session *s, uint64_t now) {
    enum fed_link_event event;
    while (s->bulk != NULL && (event = fed_lane_event(s->bulk)) != FED_LINK_QUIET) {
        if (event == FED_LINK_REFUSED || event == FED_LINK_WRONG_PEER) {
            close_bulk(s);
            explicit_bzero(s->capability, sizeof s->capability); /* the pass is spent; the next ROUND brings another */
        } else if (event == FED_LINK_UP && s->download != NULL) {
            fed_download_restart(s->download);
        }
    }
    if (s->bulk != NULL && !s->working && now > s->bulk_used_ms + BULK_IDLE_MS) {
        close_bulk(s);
    }
}

static void keep_talking(struct fed_session *s, uint64_t now) {
    if (s->control == NULL && now >= s->reconnect_ms) {
        struct fed_error err;
        if (open_control(s, &err) != FED_OK) {
            FED_ERROR("session", "no connection", FED_STR("why", err.text));
            reopen_later(s);
        }
    }
    if (s->down_since_ms > 0 && now > s->down_since_ms + DOWN_SAID_MS) { /* not for a restart of a second */
        trouble(s, "the coordinator cannot be reached; trying again for ever");
        s->refused = s->options.check;
        fed_error_set(&s->refusal, FED_EPEER, "%s cannot be reached: is the coordinator running, and is this its address?",
                      s->config->coordinator);
    }
    if (s->state == SESSION_GREETING && now >= s->said_ms + HELLO_AGAIN_MS) {
        say_hello(s);
    }
    if (s->state != SESSION_READY) {
        return;
    }
    for (struct fed_part *part = s->parts; part != NULL; part = part->next) {
        if (part->state == FED_PART_OFFERED && now >= part->said_ms + OFFER_AGAIN_MS && now >= part->retry_ms) {
            say_offer(s, part);
            say_where_bulk_is(s);
        }
    }
    if (s->working && s->bulk == NULL && s->capability[0] != '\0') {
        open_bulk(s);
    }
    if (now >= s->said_ms + s->ping_ms / 2) {
        say_status(s);
    }
}

static void hear_lane(struct fed_session *s) {
    for (struct fed_incoming in = {0}; s->control != NULL && fed_lane_recv(&in, s->control) == FED_OK;
         memset(&in, 0, sizeof in)) {
        hear_control(s, &in.head);
        fed_frame_release(&in.head);
        fed_frame_release(&in.body);
    }
}

int fed_session_run(struct fed_session *s, struct fed_error *err) {
    for (;;) {
        struct fed_poll_item items[4];
        size_t n = 0, stop = SIZE_MAX;
        items[n++] = (struct fed_poll_item){.fd = fed_host_fd(s->host)};
        if (s->options.stop_fd >= 0) {
            stop = n;
            items[n++] = (struct fed_poll_item){.fd = s->options.stop_fd};
        }
        if (s->control != NULL) {
            items[n++] = (struct fed_poll_item){.lane = s->control};
        }
        if (s->bulk != NULL) {
            items[n++] = (struct fed_poll_item){.lane = s->bulk};
        }
        int rc = fed_link_poll(s->link, items, n, 500);
        if (rc != FED_OK) {
            return fed_error_set(err, FED_EFAILED, "waiting for messages failed: %s", fed_status_text(rc));
        }
        if (stop != SIZE_MAX && items[stop].readable) {
            return fed_error_set(err, FED_EINTERRUPTED, "stopped");
        }
        uint64_t now = fed_clock_ms();
        hear_link(s);
        hear_lane(s);
        hear_bulk_link(s, now);
        hear_bulk(s);
        collect_updates(s);
        ask_chunks(s, now);
        keep_talking(s, now);
        if (s->options.check && (s->welcomed || s->refused)) {
            return s->welcomed ? FED_OK : fed_error_set(err, FED_EPEER, "%s", s->refusal.text);
        }
    }
}

int fed_session_new(struct fed_session **out, struct fed_link *link, struct fed_host *host,
                    const struct fed_identity *identity, const struct fed_client_config *config,
                    const struct fed_session_options *options, struct fed_error *err) {
    struct fed_session *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory");
    }
    s->link = link;
    s->host = host;
    s->identity = identity;
    s->config = config;
    s->options = *options;
    s->sent_log = -1;
    s->backoff_ms = BACKOFF_FIRST_MS;
    s->ping_ms = 5000;
    int rc = config->state_dir != NULL ? fed_sent_log_open(&s->sent_log, config->state_dir, err) : FED_OK;
    if (rc == FED_OK) {
        rc = open_control(s, err);
    }
    if (rc != FED_OK) {
        fed_session_free(s);
        return rc;
    }
    *out = s;
    return FED_OK;
}

void fed_session_free(struct fed_session *s) {
    if (s == NULL) {
        return;
    }
    fed_parts_free(&s->parts);
    fed_download_free(s->download);
    fed_lane_close(s->bulk);
    fed_lane_close(s->control);
    if (s->sent_log >= 0) {
        close(s->sent_log);
    }
    explicit_bzero(s, sizeof *s);
    free(s);
}
