/* The control lane: who is here, what each is told, and what each answers. Every message is judged by the roster as it
 * stands now, so that a revoked key is refused from its next message on. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rng.h"
#include "coordinator/coordinator_internal.h"

#define STRANGER SIZE_MAX
#define LOG_REFUSALS_PER_SECOND 5
#define JOINS_MOST 10 /* new connections of one node in a window */
#define JOINS_WINDOW_MS 10000

static int64_t wall_seconds(void) { return fed_clock_wall_ms() / 1000; }

static const char *node_name(const struct fed_coordinator *c, size_t node) {
    return node == STRANGER ? "stranger" : fed_roster_entry(c->nodes.roster, node)->name;
}

/* -- gates -------------------------------------------------------------------------------------------------------------- */

bool fed_control_gate_curve(void *context, const uint8_t key[FED_KEY_BYTES], char user[FED_USER_MAX]) {
    struct fed_coordinator *c = context;
    size_t node;
    if (c->nodes.roster == NULL || fed_roster_find_curve(&node, c->nodes.roster, key, wall_seconds()) != FED_OK) {
        if (c->announced) {
            fed_control_count_refusal(c, STRANGER, FED_REFUSAL_NOT_ENROLLED, "its key is not on the roster");
        }
        return false;
    }
    fed_nodes_user(user, fed_roster_entry(c->nodes.roster, node), key);
    return true;
}

bool fed_control_gate_plain(void *context, const char *handle, const char *capability, char user[FED_USER_MAX]) {
    struct fed_coordinator *c = context;
    size_t node;
    if (fed_nodes_find_pass(&node, &c->nodes, handle, capability) != FED_OK) {
        fed_control_count_refusal(c, STRANGER, FED_REFUSAL_NOT_ENROLLED, "no such pass to the bulk lane");
        return false;
    }
    snprintf(user, FED_USER_MAX, "%s", handle);
    return true;
}

/* Counts always; logs at most a few a second, and then says how many were left out. */
void fed_control_count_refusal(struct fed_coordinator *c, size_t node, enum fed_refusal refusal, const char *why) {
    size_t row = node == STRANGER ? 0 : node + 1;
    if (c->refusals != NULL) {
        c->refusals[row * FED_REFUSAL_COUNT + (size_t)refusal]++;
    }
    uint64_t now = fed_clock_ms();
    if (now >= c->quiet_until_ms) {
        if (c->quiet_count > LOG_REFUSALS_PER_SECOND) {
            FED_WARN("admit", "refusals not logged", FED_U64("count", c->quiet_count - LOG_REFUSALS_PER_SECOND));
        }
        c->quiet_until_ms = now + 1000;
        c->quiet_count = 0;
    }
    if (c->quiet_count++ < LOG_REFUSALS_PER_SECOND) {
        FED_WARN("admit", "refused", FED_STR("node", node_name(c, node)), FED_STR("reason", fed_refusal_name(refusal)),
                 FED_STR("why", why));
    }
}

/* -- saying ------------------------------------------------------------------------------------------------------------- */

static int send_to(struct fed_coordinator *c, const struct fed_route *route, struct fed_message *message) {
    static uint8_t bytes[FED_CONTROL_MAX]; /* the loop's own */
    size_t n;
    message->seq = ++c->seq;
    int rc = fed_message_encode(bytes, &n, message);
    if (rc != FED_OK) {
        return rc;
    }
    rc = fed_lane_send(c->control, route, bytes, n, NULL, 0, 0);
    explicit_bzero(bytes, n); /* ROUND holds keys */
    return rc;
}

/* False when its queue is full; what it was told must then be said again. */
static bool send_to_node(struct fed_coordinator *c, size_t node, struct fed_message *message) {
    int rc = c->nodes.nodes[node].online ? send_to(c, &c->nodes.nodes[node].control, message) : FED_OK;
    if (rc == FED_EGONE) {
        fed_control_node_lost(c, node, "its connection is gone");
    }
    return rc != FED_EAGAIN;
}

static void say_refused(struct fed_coordinator *c, const struct fed_route *route, const struct fed_msg_refused *refused) {
    struct fed_message message = {.kind = FED_MSG_REFUSED, .as.refused = *refused};
    /* Whether this arrives does not matter: the peer asks again and is told again. */
    int rc = send_to(c, route, &message);
    (void)rc;
}

static void say_welcome(struct fed_coordinator *c, size_t node) {
    static struct fed_message message;
    memset(&message, 0, sizeof message);
    message.kind = FED_MSG_WELCOME;
    struct fed_msg_welcome *welcome = &message.as.welcome;
    welcome->protocol_minor = FED_PROTOCOL_MINOR;
    memcpy(welcome->run_id, c->run_id, sizeof welcome->run_id);
    memcpy(welcome->task_digest, c->task_digest, sizeof welcome->task_digest);
    welcome->n_task = strlen(c->terms_text);
    memcpy(welcome->task, c->terms_text, welcome->n_task);
    snprintf(welcome->bulk, sizeof welcome->bulk, "%s", fed_lane_endpoint(c->bulk));
    welcome->ping_ms = FED_PING_MS;
    send_to_node(c, node, &message);
}

/* One pass for a node, as long as it stays and its connection behaves. */
static void issue_pass(struct fed_node *node) {
    if (!node->has_pass) {
        fed_random_bytes(&node->pass, sizeof node->pass);
        node->has_pass = true;
        node->has_bulk = false;
        node->down_next = node->down_end = 0;
    }
}

static void say_round(struct fed_coordinator *c, const struct fed_assignment *part) {
    static struct fed_message message;
    memset(&message, 0, sizeof message);
    message.kind = FED_MSG_ROUND;
    struct fed_msg_round *round = &message.as.round;
    struct fed_node *node = &c->nodes.nodes[part->node];
    uint64_t now = fed_clock_ms();
    issue_pass(node);
    round->terms = c->attempt.terms;
    round->part = part->part;
    round->closed = part->closed;
    round->encoding = part->sums ? FED_ENCODING_I64 : FED_ENCODING_F32;
    round->file_bytes = c->attempt.file_bytes;
    fed_seal_key_export(round->model_key, c->attempt.model_key);
    memcpy(round->handle, node->pass.handle, sizeof round->handle);
    memcpy(round->capability, node->pass.capability, sizeof round->capability);
    round->deadline_ms = c->attempt_end_ms > now ? c->attempt_end_ms - now : 1;
    round->n_clients = (uint32_t)part->n_clients;
    memcpy(round->clients, part->clients, part->n_clients * sizeof *part->clients);
    if (!send_to_node(c, part->node, &message)) {
        node->missed = true;
    }
    explicit_bzero(&message, sizeof message);
}

void fed_control_hand_out(struct fed_coordinator *c) {
    struct fed_assignment part;
    if (c->handing_out) { /* a node was found lost meanwhile: whoever is at it goes on with what it held */
        return;
    }
    c->handing_out = true;
    while (c->collecting && fed_schedule_next(&part, c->schedule) == FED_OK) {
        say_round(c, &part);
    }
    c->handing_out = false;
}

static void repeat_round(struct fed_coordinator *c, size_t node) {
    c->nodes.nodes[node].missed = false;
    for (uint32_t p = 0; p < fed_schedule_parts(c->schedule, node); p++) {
        struct fed_assignment part;
        if (fed_schedule_part(&part, c->schedule, node, p) == FED_OK && !part.delivered) {
            say_round(c, &part);
        }
    }
}

/* A chunk did not open. Anybody who saw the pass on its way can have sent it, so the connection pays for it, not the node:
 * the pass is taken back, and ROUND brings the node another. */
void fed_control_broken_chunk(void *context, size_t node, uint32_t part) {
    struct fed_coordinator *c = context;
    struct fed_node *n = &c->nodes.nodes[node];
    FED_WARN("bulk", "chunk does not open, the connection is given up", FED_STR("node", node_name(c, node)),
             FED_U64("part", part));
    n->has_bulk = n->has_pass = false;
    explicit_bzero(&n->pass, sizeof n->pass);
    if (c->collecting && n->online) {
        repeat_round(c, node);
    }
}

/* ROUND again, to nodes that were not heard of since, that had no room for it, or that speak of another attempt. */
static void repeat_rounds(struct fed_coordinator *c) {
    for (size_t i = 0; i < c->nodes.n_nodes; i++) {
        struct fed_node *node = &c->nodes.nodes[i];
        if (!node->online || !node->has_pass || (!node->missed && node->heard_ms >= c->said_ms)) {
            continue;
        }
        repeat_round(c, i);
    }
}

void fed_control_end_attempt(struct fed_coordinator *c, bool committed, bool finished) {
    struct fed_message message = {.kind = FED_MSG_END};
    message.as.end.round = fed_round_number(c->round);
    message.as.end.attempt = c->has_attempt ? c->attempt.terms.attempt : fed_round_attempt(c->round);
    if (finished) {
        message.as.end.round = c->image->round;
    } else if (c->has_attempt) {
        message.as.end.round = c->attempt.terms.round;
    }
    message.as.end.committed = committed;
    message.as.end.finished = finished;
    for (size_t i = 0; i < c->nodes.n_nodes; i++) {
        struct fed_node *node = &c->nodes.nodes[i];
        if (node->online && (node->has_pass || finished)) {
            send_to_node(c, i, &message);
        }
        node->missed = false;
        node->down_next = node->down_end = 0;
    }
}

/* -- presence ----------------------------------------------------------------------------------------------------------- */

/* Tells the round about the cohort's members on this node: reachable again, or by nobody any more. */
static void post_presence(struct fed_coordinator *c, size_t node, enum fed_event_kind kind) {
    size_t n;
    const uint64_t *cohort = fed_round_cohort(c->round, &n);
    uint32_t attempt = fed_round_attempt(c->round);
    for (size_t i = 0; i < n; i++) {
        bool concerned = fed_roster_hosts(c->nodes.roster, node, cohort[i]) &&
                         fed_nodes_eligible(&c->nodes, cohort[i]) == (kind == FED_EVENT_JOINED);
        if (concerned) {
            fed_loop_post(c, &(struct fed_round_event){.kind = kind, .client = cohort[i], .attempt = attempt});
        }
    }
}

void fed_control_node_lost(struct fed_coordinator *c, size_t node, const char *why) {
    struct fed_node *n = &c->nodes.nodes[node];
    if (!n->online) {
        return;
    }
    FED_INFO("control", "node left", FED_STR("node", node_name(c, node)), FED_STR("why", why));
    n->online = n->has_bulk = n->has_pass = n->missed = false;
    fed_intake_node_lost(c->intake, node);
    fed_schedule_node_lost(c->schedule, node);
    post_presence(c, node, FED_EVENT_GONE);
    fed_loop_post_kind(c, FED_EVENT_TICK);
    fed_control_hand_out(c);
}

/* Each new connection of a node makes its work be handed out anew; one that reconnects without end is told to wait. */
static bool joins_too_often(struct fed_node *node, uint64_t now_ms) {
    if (now_ms >= node->joins_since_ms + JOINS_WINDOW_MS) {
        node->joins_since_ms = now_ms;
        node->n_joins = 0;
    }
    return ++node->n_joins > JOINS_MOST;
}

/* A node that cannot compute as the task asks may train all the same, but then no other run ends in the same bits. */
static void note_family(struct fed_coordinator *c, size_t node, const char *family) {
    struct fed_node *n = &c->nodes.nodes[node];
    const char *wanted = fed_math_name(c->task->algorithm.math);
    if (strcmp(n->family, family) == 0) {
        return;
    }
    snprintf(n->family, sizeof n->family, "%s", family);
    if (*family != '\0' && strcmp(family, wanted) != 0) {
        FED_WARN("control", "not reproducible", FED_STR("node", node_name(c, node)), FED_STR("family", family),
                 FED_STR("wanted", wanted));
        c->other_math = true;
        fed_work_publish(c);
    }
}

static void node_joined(struct fed_coordinator *c, size_t node, const struct fed_route *route,
                        const struct fed_msg_hello *hello) {
    struct fed_node *n = &c->nodes.nodes[node];
    bool same = n->workers == hello->workers && n->n_hosted == hello->n_hosted &&
                memcmp(n->hosted, hello->hosted, hello->n_hosted * sizeof *hello->hosted) == 0;
    bool known = n->online && fed_route_equal(&n->control, route);
    if (!known && joins_too_often(n, fed_clock_ms())) {
        fed_control_count_refusal(c, node, FED_REFUSAL_BUSY, "it connects again and again");
        say_refused(c, route, &(struct fed_msg_refused){.code = FED_REFUSAL_BUSY, .retry_after_ms = JOINS_WINDOW_MS});
        return;
    }
    if (n->online && !(same && known)) {
        fed_control_node_lost(c, node, "it connected anew");
    }
    bool fresh = !n->online;
    n->online = true;
    n->control = *route;
    n->heard_ms = fed_clock_ms();
    n->workers = hello->workers;
    n->n_hosted = hello->n_hosted;
    memcpy(n->hosted, hello->hosted, sizeof n->hosted);
    note_family(c, node, hello->kernel_family);
    say_welcome(c, node);
    if (!fresh || !n->online) {
        return;
    }
    FED_INFO("control", "node joined", FED_STR("node", node_name(c, node)), FED_STR("build", hello->build),
             FED_STR("kernels", hello->kernels), FED_U64("workers", hello->workers), FED_U64("ranges", hello->n_hosted));
    bool sums = c->task->server.partial_sums && fed_roster_entry(c->nodes.roster, node)->partial_sums;
    fed_schedule_node_ready(c->schedule, node, hello->workers, sums);
    post_presence(c, node, FED_EVENT_JOINED);
    fed_loop_post_kind(c, FED_EVENT_TICK);
    fed_control_hand_out(c);
}

/* -- hearing ------------------------------------------------------------------------------------------------------------ */

static void hear_hello(struct fed_coordinator *c, size_t node, const struct fed_route *route,
                       const struct fed_msg_hello *hello) {
    enum fed_refusal refusal = FED_REFUSAL_NONE;
    const char *why = "";
    if (!fed_nodes_claim_allowed(&c->nodes, node, hello)) {
        refusal = FED_REFUSAL_HOSTED;
        why = "it claims clients that its roster entry does not give it";
    } else if (hello->has_partition && (!c->has_partition || memcmp(hello->partition_digest, c->partition.digest,
                                                                    sizeof hello->partition_digest) != 0)) {
        refusal = FED_REFUSAL_PARTITION;
        why = "its data or its split differs from the task's";
    }
    if (refusal != FED_REFUSAL_NONE) {
        fed_control_count_refusal(c, node, refusal, why);
        say_refused(c, route, &(struct fed_msg_refused){.code = refusal});
        return;
    }
    node_joined(c, node, route, hello);
}

static bool of_this_attempt(const struct fed_coordinator *c, uint64_t round, uint32_t attempt) {
    return c->collecting && c->attempt.terms.round == round && c->attempt.terms.attempt == attempt;
}

static void hear_status(struct fed_coordinator *c, size_t node, const struct fed_msg_status *status) {
    if (of_this_attempt(c, status->round, status->attempt)) {
        fed_schedule_progress(c->schedule, node, status->done);
        fed_control_hand_out(c);
    } else if (c->collecting) { /* if it was told of this attempt, it does not know it any more */
        c->nodes.nodes[node].missed = true;
    }
}

/* The client goes to another node that hosts it, or is lost to the attempt. */
static void give_back(struct fed_coordinator *c, size_t node, uint64_t client, enum fed_event_kind kind) {
    if (!fed_schedule_give_back(c->schedule, node, client)) {
        fed_loop_post(c, &(struct fed_round_event){.kind = kind, .client = client, .attempt = c->attempt.terms.attempt});
    }
}

/* All of a part: its offer is refused for good, or it is declined as a whole. */
static void give_part_back(struct fed_coordinator *c, size_t node, uint32_t number, enum fed_event_kind kind) {
    static uint64_t clients[FED_CLIENTS_MAX]; /* the part's own list changes while it is given back */
    struct fed_assignment part;
    if (fed_schedule_part(&part, c->schedule, node, number) != FED_OK) {
        return;
    }
    size_t n = part.n_clients;
    memcpy(clients, part.clients, n * sizeof *clients);
    for (size_t i = 0; i < n; i++) {
        give_back(c, node, clients[i], kind);
    }
    fed_control_hand_out(c);
}

static void hear_decline(struct fed_coordinator *c, size_t node, const struct fed_msg_decline *decline) {
    if (!of_this_attempt(c, decline->round, decline->attempt)) {
        return;
    }
    FED_WARN("control", "declined", FED_STR("node", node_name(c, node)), FED_U64("reason", decline->reason),
             FED_U64("part", decline->part), FED_U64("clients", decline->n_clients));
    if (decline->n_clients == 0) {
        give_part_back(c, node, decline->part, FED_EVENT_DECLINED);
        return;
    }
    for (uint32_t i = 0; i < decline->n_clients; i++) {
        give_back(c, node, decline->clients[i], FED_EVENT_DECLINED);
    }
    fed_control_hand_out(c);
}

static bool part_was_admitted(const struct fed_coordinator *c, size_t node, uint32_t part) {
    for (size_t i = 0; i < c->n_updates; i++) {
        if (c->updates[i].part == part && strcmp(c->updates[i].node, node_name(c, node)) == 0) {
            return true;
        }
    }
    return false;
}

static void say_admitted(struct fed_coordinator *c, size_t node, uint64_t round, uint32_t attempt, uint32_t part) {
    struct fed_message message = {.kind = FED_MSG_ADMITTED, .as.admitted = {round, attempt, part}};
    send_to_node(c, node, &message);
}

static void hear_offer(struct fed_coordinator *c, size_t node, const char *user, const struct fed_msg_offer *offer) {
    static struct fed_update_header header;
    struct fed_msg_refused refused = {.round = offer->round, .attempt = offer->attempt, .part = offer->part};
    struct fed_admit_rules rules = {&c->attempt.terms, &c->fixed, c->round, c->schedule};
    if (!c->collecting) {
        refused.code = FED_REFUSAL_LATE;
    } else if (of_this_attempt(c, offer->round, offer->attempt) && part_was_admitted(c, node, offer->part)) {
        say_admitted(c, node, offer->round, offer->attempt, offer->part);
        return;
    } else {
        refused.code = fed_admit_offer(&header, &rules, node, offer);
    }
    if (refused.code == FED_REFUSAL_NONE) {
        int rc = fed_intake_offer(c->intake, node, fed_nodes_seal_key(&c->nodes, node, user), offer);
        refused.code = rc == FED_OK ? FED_REFUSAL_NONE : FED_REFUSAL_BUSY;
        refused.retry_after_ms = 1000;
    }
    if (refused.code != FED_REFUSAL_NONE) {
        fed_control_count_refusal(c, node, refused.code, "an offer");
        say_refused(c, &c->nodes.nodes[node].control, &refused);
        if (refused.retry_after_ms == 0 && of_this_attempt(c, offer->round, offer->attempt)) {
            give_part_back(c, node, offer->part, FED_EVENT_REFUSED);
        }
    }
}

/* Handing the clients out to others ends here and not with ADMITTED: an update half of which is in the sum will be in it. */
enum fed_refusal fed_control_claim(void *context, size_t node, uint32_t part, const struct fed_update_header *header) {
    struct fed_coordinator *c = context;
    struct fed_admit_rules rules = {&c->attempt.terms, &c->fixed, c->round, c->schedule};
    enum fed_refusal refusal = fed_admit_clients(&rules, node, part, header);
    if (refusal == FED_REFUSAL_NONE) {
        fed_schedule_delivered(c->schedule, node, part);
    }
    return refusal;
}

void fed_control_refused(void *context, size_t node, uint32_t part, enum fed_refusal refusal,
                         const struct fed_update_header *header, const char *why) {
    struct fed_coordinator *c = context;
    struct fed_msg_refused refused = {
        .code = refusal, .round = c->attempt.terms.round, .attempt = c->attempt.terms.attempt, .part = part};
    fed_control_count_refusal(c, node, refusal, why);
    if (refusal == FED_REFUSAL_BUSY) {
        refused.retry_after_ms = 1000;
    }
    say_refused(c, &c->nodes.nodes[node].control, &refused);
    if (refusal == FED_REFUSAL_BUSY) {
        return; /* it is offered again */
    }
    for (uint32_t i = 0; i < header->n_clients; i++) {
        give_back(c, node, header->clients[i], FED_EVENT_REFUSED);
    }
    fed_control_hand_out(c);
}

static int reserve_updates(struct fed_coordinator *c, size_t n) {
    if (c->n_updates + n <= c->updates_room) {
        return FED_OK;
    }
    size_t room = (c->n_updates + n) * 2;
    struct fed_store_update *updates = realloc(c->updates, room * sizeof *updates);
    if (updates == NULL) {
        return FED_ENOMEM;
    }
    c->updates = updates;
    c->updates_room = room;
    return FED_OK;
}

void fed_control_admitted(void *context, size_t node, uint32_t part, const struct fed_update_header *header) {
    struct fed_coordinator *c = context;
    const struct fed_terms *terms = &c->attempt.terms;
    if (reserve_updates(c, header->n_clients) != FED_OK) {
        /* The sum holds what the record cannot name: this attempt must not be committed. */
        fed_loop_fail(c, "to record an admitted update");
        return;
    }
    for (uint32_t i = 0; i < header->n_clients; i++) {
        struct fed_store_update *update = &c->updates[c->n_updates++];
        *update = (struct fed_store_update){
            .part = part, .client = header->clients[i], .weight = header->weights[i], .loss = (double)header->losses[i]};
        snprintf(update->node, sizeof update->node, "%s", node_name(c, node));
        fed_loop_post(c, &(struct fed_round_event){
                             .kind = FED_EVENT_ADMITTED, .client = header->clients[i], .attempt = terms->attempt});
    }
    c->train_seconds += isfinite(header->train_seconds) && header->train_seconds > 0 ? header->train_seconds : 0;
    say_admitted(c, node, terms->round, terms->attempt, part);
    fed_control_hand_out(c);
}

static void hear(struct fed_coordinator *c, size_t node, const struct fed_incoming *in) {
    static struct fed_message message;
    int rc = fed_message_decode(&message, in->head.bytes, in->head.n);
    if (rc != FED_OK) {
        enum fed_refusal refusal = rc == FED_EPEER ? FED_REFUSAL_PROTOCOL : FED_REFUSAL_MALFORMED;
        fed_control_count_refusal(c, node, refusal,
                                  rc == FED_EPEER ? "it speaks another protocol version" : "not a message");
        say_refused(c, &in->from, &(struct fed_msg_refused){.code = refusal});
        return;
    }
    struct fed_node *n = &c->nodes.nodes[node];
    if (message.kind == FED_MSG_HELLO) {
        hear_hello(c, node, &in->from, &message.as.hello);
        return;
    }
    if (!n->online) { /* it was given up, or we are new here: its HELLO comes first */
        say_refused(c, &in->from, &(struct fed_msg_refused){.code = FED_REFUSAL_ROUND, .retry_after_ms = 1});
        return;
    }
    n->control = in->from;
    n->heard_ms = fed_clock_ms();
    switch (message.kind) {
    case FED_MSG_STATUS: hear_status(c, node, &message.as.status); break;
    case FED_MSG_DECLINE: hear_decline(c, node, &message.as.decline); break;
    case FED_MSG_OFFER: hear_offer(c, node, in->user, &message.as.offer); break;
    default: fed_control_count_refusal(c, node, FED_REFUSAL_MALFORMED, "only the coordinator says this"); break;
    }
}

void fed_control_receive(struct fed_coordinator *c) {
    for (int i = 0; i < 256; i++) { /* then let the other lane have its turn */
        struct fed_incoming in = {0};
        int rc = fed_lane_recv(&in, c->control);
        if (rc == FED_EAGAIN) {
            return;
        }
        if (rc != FED_OK) {
            fed_control_count_refusal(c, STRANGER, FED_REFUSAL_MALFORMED, "frames that are not a message");
            continue;
        }
        size_t node;
        if (in.head.n == 0) {
            /* a probe: the route speaks for itself with its first message */
        } else if (fed_nodes_find_user(&node, &c->nodes, in.user, wall_seconds()) != FED_OK) {
            char why[FED_USER_MAX + 64];
            snprintf(why, sizeof why, "%s was on the roster and is not any more (or not now)", in.user);
            fed_control_count_refusal(c, STRANGER, FED_REFUSAL_NOT_ENROLLED, why);
            say_refused(c, &in.from, &(struct fed_msg_refused){.code = FED_REFUSAL_NOT_ENROLLED});
        } else {
            hear(c, node, &in);
        }
        fed_frame_release(&in.head);
        fed_frame_release(&in.body);
    }
}

void fed_control_tick(struct fed_coordinator *c, uint64_t now_ms) {
    for (size_t i = 0; i < c->nodes.n_nodes; i++) {
        struct fed_node *node = &c->nodes.nodes[i];
        if (node->online && now_ms > node->heard_ms + FED_SILENCE_MS) {
            fed_control_node_lost(c, i, "it was silent for too long");
        } else if (node->online && !fed_roster_valid(c->nodes.roster, i, wall_seconds())) {
            fed_control_node_lost(c, i, "its roster entry is not valid any more");
        }
    }
    if (c->collecting && now_ms >= c->said_ms + FED_REPEAT_MS) {
        repeat_rounds(c);
        c->said_ms = now_ms;
    }
}

/* -- the roster, live --------------------------------------------------------------------------------------------------- */

/* The counters grow with the roster; row 0 stays the strangers'. */
static int grow_refusals(struct fed_coordinator *c, size_t n_nodes) {
    size_t old = (c->nodes.n_nodes + 1) * FED_REFUSAL_COUNT, n = (n_nodes + 1) * FED_REFUSAL_COUNT;
    uint64_t *refusals = realloc(c->refusals, n * sizeof *refusals);
    if (refusals == NULL) {
        return FED_ENOMEM;
    }
    memset(refusals + old, 0, (n - old) * sizeof *refusals);
    c->refusals = refusals;
    return FED_OK;
}

void fed_control_check_cohort(const struct fed_coordinator *c) {
    uint64_t population = fed_roster_population(c->nodes.roster);
    double wanted = c->task->round.over_select * (double)fed_round_cohort_size(c->task->algorithm.fraction, population);
    if (wanted > (double)c->fixed.max_updates) {
        FED_WARN("roster", "cohorts are cut", FED_F64("wanted", ceil(wanted)), FED_U64("most", c->fixed.max_updates),
                 FED_STR("why", "the sums of this run are exact for so many updates; a new run has room for more"));
    }
}

void fed_control_reload_roster(struct fed_coordinator *c) {
    struct fed_error err;
    struct fed_roster_file file = {0};
    int rc = fed_roster_file_load(&file, c->task->server.roster, &err);
    size_t most = c->nodes.n_nodes + file.n_entries;
    if (rc == FED_OK && (grow_refusals(c, most) != FED_OK || fed_schedule_grow(c->schedule, most) != FED_OK)) {
        rc = fed_error_set(&err, FED_ENOMEM, "not enough memory");
    }
    for (size_t i = 0; rc == FED_OK && i < c->nodes.n_nodes; i++) {
        if (fed_nodes_entry_changes(&c->nodes, i, &file)) {
            fed_control_node_lost(c, i, "its roster entry changed");
        }
    }
    if (rc == FED_OK && (rc = fed_nodes_reload(&c->nodes, &file)) != FED_OK) {
        fed_error_set(&err, rc, "not enough memory");
    }
    if (rc != FED_OK) {
        FED_ERROR("roster", "not reloaded, the old one holds", FED_STR("why", err.text));
        fed_roster_file_fini(&file);
        return;
    }
    FED_INFO("roster", "reloaded", FED_U64("nodes", c->nodes.n_nodes),
             FED_U64("clients", fed_roster_population(c->nodes.roster)));
    fed_control_check_cohort(c);
    fed_loop_post_kind(c, FED_EVENT_TICK);
}
