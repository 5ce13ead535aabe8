/* The control lane: what nodes say, and what follows from it. Every message is judged by the roster as it stands now, so
 * that a revoked key is refused from its next message on. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "coordinator/coordinator_internal.h"

#define BUSY_MS 1000
#define QUARANTINE_ASK_MS 60000u /* a node in quarantine may ask again after so long at most */

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
        fed_tally_refusal(c, node, refusal, why);
        fed_say_refused(c, route, &(struct fed_msg_refused){.code = refusal});
        return;
    }
    fed_presence_joined(c, node, route, hello);
}

static bool of_this_attempt(const struct fed_coordinator *c, uint64_t round, uint32_t attempt) {
    return c->collecting && c->attempt.terms.round == round && c->attempt.terms.attempt == attempt;
}

static void hear_status(struct fed_coordinator *c, size_t node, const struct fed_msg_status *status) {
    if (status->round == 0) {
        c->nodes.nodes[node].parting = false;
    }
    if (of_this_attempt(c, status->round, status->attempt)) {
        fed_schedule_progress(c->schedule, node, status->done);
        fed_say_rounds(c);
    } else if (c->collecting) { /* if it was told of this attempt, it does not know it any more */
        c->nodes.nodes[node].missed = true;
    }
}

/* The client goes to another node that hosts it, or is lost to the attempt. */
static void give_back(struct fed_coordinator *c, size_t node, uint64_t client, enum fed_event_kind kind) {
    if (!fed_schedule_give_back(c->schedule, node, client)) {
        const struct fed_terms *terms = &c->attempt.terms;
        fed_loop_post(
            c, &(struct fed_round_event){.kind = kind, .client = client, .round = terms->round, .attempt = terms->attempt});
    }
}

/* All of a part: its offer is refused for good, or it is declined as a whole. */
static void give_part_back(struct fed_coordinator *c, size_t node, uint32_t number, enum fed_event_kind kind) {
    static uint64_t clients[FED_CLIENTS_MAX]; /* the part's own list changes while it is given back */
    struct fed_assignment part;
    fed_intake_declined(c->intake, node, number, NULL, 0);
    if (fed_schedule_part(&part, c->schedule, node, number) != FED_OK) {
        return;
    }
    size_t n = part.n_clients;
    memcpy(clients, part.clients, n * sizeof *clients);
    for (size_t i = 0; i < n; i++) {
        give_back(c, node, clients[i], kind);
    }
    fed_say_rounds(c);
}

static void hear_decline(struct fed_coordinator *c, size_t node, const struct fed_msg_decline *decline) {
    if (!of_this_attempt(c, decline->round, decline->attempt)) {
        return;
    }
    if (fed_meter_line(c, node)) {
        FED_WARN("control", "declined", FED_STR("node", fed_nodes_name(&c->nodes, node)),
                 FED_STR("reason", fed_decline_name(decline->reason)), FED_U64("part", decline->part),
                 FED_U64("clients", decline->n_clients));
    }
    if (decline->reason == FED_DECLINE_NORM) {
        fed_tally_note(c, node, FED_REFUSAL_NORM, "left out of a sum by the node itself: over the norm ceiling");
    }
    if (decline->n_clients == 0) {
        give_part_back(c, node, decline->part, FED_EVENT_DECLINED);
        return;
    }
    for (uint32_t i = 0; i < decline->n_clients; i++) {
        give_back(c, node, decline->clients[i], FED_EVENT_DECLINED);
    }
    fed_intake_declined(c->intake, node, decline->part, decline->clients, decline->n_clients);
    fed_say_rounds(c);
}

static bool part_was_admitted(const struct fed_coordinator *c, size_t node, uint32_t part) {
    for (size_t i = 0; i < c->n_updates; i++) {
        if (c->updates[i].part == part && strcmp(c->updates[i].node, fed_nodes_name(&c->nodes, node)) == 0) {
            return true;
        }
    }
    return false;
}

static void hear_offer(struct fed_coordinator *c, size_t node, const char *user, const struct fed_msg_offer *offer) {
    static struct fed_update_header header;
    struct fed_msg_refused refused = {.round = offer->round, .attempt = offer->attempt, .part = offer->part};
    struct fed_admit_rules rules = {&c->attempt.terms, &c->fixed, c->round, c->schedule, &c->attempt.limits};
    if (!c->collecting) {
        refused.code = FED_REFUSAL_LATE;
    } else if (of_this_attempt(c, offer->round, offer->attempt) && part_was_admitted(c, node, offer->part)) {
        fed_say_admitted(c, node, offer->round, offer->attempt, offer->part);
        return;
    } else {
        refused.code = fed_admit_offer(&header, &rules, node, offer);
        refused.retry_after_ms = refused.code == FED_REFUSAL_BUSY ? BUSY_MS : 0;
    }
    if (refused.code == FED_REFUSAL_NONE) {
        int rc = fed_intake_offer(c->intake, node, fed_nodes_seal_key(&c->nodes, node, user), offer);
        refused.code = rc == FED_OK ? FED_REFUSAL_NONE : FED_REFUSAL_BUSY;
        refused.retry_after_ms = BUSY_MS;
    }
    if (refused.code != FED_REFUSAL_NONE) {
        struct fed_error why;
        fed_admit_describe_offer(&why, refused.code, &header, &rules);
        fed_tally_refusal(c, node, refused.code, why.text);
        fed_say_refused_to_node(c, node, &refused);
        if (refused.retry_after_ms == 0 && of_this_attempt(c, offer->round, offer->attempt)) {
            give_part_back(c, node, offer->part, FED_EVENT_REFUSED);
        }
    }
}

/* Handing the clients out to others ends here and not with ADMITTED: an update half of which is in the sum will be in it. */
enum fed_refusal fed_control_claim(void *context, size_t node, uint32_t part, const struct fed_update_header *header) {
    struct fed_coordinator *c = context;
    struct fed_admit_rules rules = {&c->attempt.terms, &c->fixed, c->round, c->schedule, &c->attempt.limits};
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
    fed_tally_refusal(c, node, refusal, why);
    if (refusal == FED_REFUSAL_BUSY) {
        refused.retry_after_ms = BUSY_MS;
    } else if (refusal == FED_REFUSAL_RATE) {
        refused.code = FED_REFUSAL_LATE; /* for the node it comes to that */
    }
    fed_say_refused_to_node(c, node, &refused);
    if (refusal == FED_REFUSAL_BUSY) {
        return; /* it is offered again */
    }
    for (uint32_t i = 0; i < header->n_clients; i++) {
        give_back(c, node, header->clients[i], FED_EVENT_REFUSED);
    }
    fed_say_rounds(c);
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
        *update = (struct fed_store_update){.part = part,
                                            .client = header->clients[i],
                                            .weight = header->weights[i],
                                            .loss = (double)header->losses[i],
                                            .norm = header->has_norms ? header->norms[i] : NAN};
        snprintf(update->node, sizeof update->node, "%s", fed_nodes_name(&c->nodes, node));
        fed_loop_post(c, &(struct fed_round_event){.kind = FED_EVENT_ADMITTED,
                                                   .client = header->clients[i],
                                                   .round = terms->round,
                                                   .attempt = terms->attempt});
    }
    fed_publish_trained(c, node, header->n_clients, (double)header->train_seconds);
    c->train_seconds += isfinite(header->train_seconds) && header->train_seconds > 0 ? header->train_seconds : 0;
    fed_say_admitted(c, node, terms->round, terms->attempt, part);
    fed_say_rounds(c);
}

static bool speaks_of_work(const struct fed_message *message) {
    return message->kind == FED_MSG_OFFER || message->kind == FED_MSG_DECLINE;
}

/* It learns no more than that there is nothing to do for it now. */
static void refuse_work(struct fed_coordinator *c, size_t node, const struct fed_message *message) {
    const struct fed_node *n = &c->nodes.nodes[node];
    uint64_t now = fed_clock_ms(), left = n->quarantine.until_ms > now ? n->quarantine.until_ms - now : 1;
    struct fed_msg_refused refused = {.code = FED_REFUSAL_BUSY,
                                      .retry_after_ms = left < QUARANTINE_ASK_MS ? (uint32_t)left : QUARANTINE_ASK_MS};
    fed_tally_note(c, node, FED_REFUSAL_QUARANTINED, "it is in quarantine");
    if (message->kind == FED_MSG_OFFER) {
        refused.round = message->as.offer.round;
        refused.attempt = message->as.offer.attempt;
        refused.part = message->as.offer.part;
        fed_say_refused_to_node(c, node, &refused);
    }
}

static void hear(struct fed_coordinator *c, size_t node, const struct fed_incoming *in) {
    static struct fed_message message;
    if (in->head.n == 0) {
        return; /* a probe: the route speaks for itself with its first message */
    }
    int rc = fed_message_decode(&message, in->head.bytes, in->head.n);
    if (rc == FED_ENOMEM) {
        return; /* our trouble, and nothing against the node: what matters is said again */
    }
    if (rc != FED_OK) {
        enum fed_refusal refusal = rc == FED_EPEER ? FED_REFUSAL_PROTOCOL : FED_REFUSAL_MALFORMED;
        fed_tally_refusal(c, node, refusal, rc == FED_EPEER ? "it speaks another protocol version" : "not a message");
        fed_say_refused(c, &in->from, &(struct fed_msg_refused){.code = refusal});
        return;
    }
    struct fed_node *n = &c->nodes.nodes[node];
    if (message.kind == FED_MSG_HELLO) {
        hear_hello(c, node, &in->from, &message.as.hello);
        return;
    }
    /* It was given up, we are new here, or this is a connection on which it has not said HELLO: that comes first, because
     * with its answer the node drops what it was given before, and so must we. */
    if (!n->online || !fed_route_equal(&n->control, &in->from)) {
        fed_say_refused(c, &in->from, &(struct fed_msg_refused){.code = FED_REFUSAL_ROUND, .retry_after_ms = 1});
        return;
    }
    n->heard_ms = fed_clock_ms();
    if (fed_quarantine_holds(&n->quarantine) && speaks_of_work(&message)) {
        refuse_work(c, node, &message);
        return;
    }
    switch (message.kind) {
    case FED_MSG_STATUS: hear_status(c, node, &message.as.status); break;
    case FED_MSG_DECLINE: hear_decline(c, node, &message.as.decline); break;
    case FED_MSG_OFFER: hear_offer(c, node, in->user, &message.as.offer); break;
    default: fed_tally_refusal(c, node, FED_REFUSAL_MALFORMED, "only the coordinator says this"); break;
    }
}

/* Over the limit: dropped, and told so now and then. */
static void hear_within_limits(struct fed_coordinator *c, size_t node, const struct fed_incoming *in) {
    if (fed_meter_take(c, node, FED_LANE_CONTROL, in->head.n + in->body.n)) {
        hear(c, node, in);
    } else if (fed_meter_answer(c, node)) {
        fed_say_refused(c, &in->from, &(struct fed_msg_refused){.code = FED_REFUSAL_BUSY, .retry_after_ms = BUSY_MS});
    }
}

/* Whoever it is came in while its key was on the roster. */
static void hear_nobody(struct fed_coordinator *c, const struct fed_incoming *in) {
    if (!fed_meter_take(c, FED_STRANGER, FED_LANE_CONTROL, in->head.n + in->body.n)) {
        return;
    }
    char why[FED_NODES_WHY_MAX];
    fed_nodes_why_not(why, &c->nodes, in->user, fed_wall_seconds());
    fed_tally_refusal(c, FED_STRANGER, FED_REFUSAL_NOT_ENROLLED, why);
    fed_say_refused(c, &in->from, &(struct fed_msg_refused){.code = FED_REFUSAL_NOT_ENROLLED});
}

void fed_control_receive(struct fed_coordinator *c) {
    uint64_t now = fed_clock_ms();
    for (int i = 0; i < 256 && now >= fed_meter_paused_until(c, FED_LANE_CONTROL); i++) { /* then the other lane's turn */
        struct fed_incoming in = {0};
        int rc = fed_lane_recv(&in, c->control);
        if (rc == FED_EAGAIN) {
            return;
        }
        if (rc != FED_OK) {
            if (fed_meter_take(c, FED_STRANGER, FED_LANE_CONTROL, 0)) {
                fed_tally_refusal(c, FED_STRANGER, FED_REFUSAL_MALFORMED, "frames that are not a message");
            }
            continue;
        }
        size_t node;
        if (fed_nodes_find_user(&node, &c->nodes, in.user, fed_wall_seconds()) != FED_OK) {
            hear_nobody(c, &in);
        } else {
            hear_within_limits(c, node, &in);
        }
        fed_meter_cut(c, &in);
        fed_frame_release(&in.head);
        fed_frame_release(&in.body);
    }
}
