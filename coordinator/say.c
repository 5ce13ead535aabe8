/* What nodes are told over the control lane. Whatever does not reach its node is said again: by repetition, or when asked.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/rng.h"
#include "coordinator/coordinator_internal.h"

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
        fed_presence_unreachable(c, node);
    }
    return rc != FED_EAGAIN;
}

void fed_say_refused(struct fed_coordinator *c, const struct fed_route *route, const struct fed_msg_refused *refused) {
    struct fed_message message = {.kind = FED_MSG_REFUSED, .as.refused = *refused};
    /* Whether this arrives does not matter: the peer asks again and is told again. */
    int rc = send_to(c, route, &message);
    (void)rc;
}

/* Codes that came with minor 1, for a node that does not know them. */
static enum fed_refusal in_words_of(uint32_t minor, enum fed_refusal code) {
    return minor == 0 && code == FED_REFUSAL_NORM ? FED_REFUSAL_DELTA_CAP : code;
}

void fed_say_refused_to_node(struct fed_coordinator *c, size_t node, const struct fed_msg_refused *refused) {
    struct fed_msg_refused known = *refused;
    known.code = in_words_of(c->nodes.nodes[node].minor, refused->code);
    fed_say_refused(c, &c->nodes.nodes[node].control, &known);
}

void fed_say_welcome(struct fed_coordinator *c, size_t node, bool kept) {
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
    welcome->kept = kept;
    welcome->idle_ms = fed_presence_idle_ms(c);
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

void fed_say_admitted(struct fed_coordinator *c, size_t node, uint64_t round, uint32_t attempt, uint32_t part) {
    struct fed_message message = {.kind = FED_MSG_ADMITTED, .as.admitted = {round, attempt, part}};
    send_to_node(c, node, &message);
}

static void say_round(struct fed_coordinator *c, const struct fed_assignment *part) {
    static struct fed_message message;
    memset(&message, 0, sizeof message);
    message.kind = FED_MSG_ROUND;
    struct fed_msg_round *round = &message.as.round;
    struct fed_node *node = &c->nodes.nodes[part->node];
    uint64_t now = fed_clock_ms();
    issue_pass(node);
    node->told_ms = now;
    round->terms = c->attempt.terms;
    round->part = part->part;
    round->closed = part->closed;
    round->encoding = part->sums ? FED_ENCODING_I64 : FED_ENCODING_F32;
    round->file_bytes = c->attempt.file_bytes;
    fed_seal_key_export(round->model_key, c->attempt.model_key);
    memcpy(round->handle, node->pass.handle, sizeof round->handle);
    memcpy(round->capability, node->pass.capability, sizeof round->capability);
    round->limits = c->attempt.limits;
    round->deadline_ms = c->attempt_end_ms > now ? c->attempt_end_ms - now : 1;
    round->n_clients = (uint32_t)part->n_clients;
    node->busy_ms = node->asked == 0 ? now : node->busy_ms;
    fed_meter_asked(c, part->node, part->part, part->n_clients);
    memcpy(round->clients, part->clients, part->n_clients * sizeof *part->clients);
    if (!send_to_node(c, part->node, &message)) {
        node->missed = true;
    }
    explicit_bzero(&message, sizeof message);
}

void fed_say_rounds(struct fed_coordinator *c) {
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

void fed_say_round_again(struct fed_coordinator *c, size_t node) {
    c->nodes.nodes[node].missed = false;
    for (uint32_t p = 0; p < fed_schedule_parts(c->schedule, node); p++) {
        struct fed_assignment part;
        if (fed_schedule_part(&part, c->schedule, node, p) == FED_OK && !part.delivered) {
            say_round(c, &part);
        }
    }
}

/* ROUND again, to nodes that were not heard of since, that had no room for it, or that speak of another attempt; and from
 * time to time to all that have not delivered everything. */
void fed_say_rounds_again(struct fed_coordinator *c) {
    uint64_t now = fed_clock_ms();
    for (size_t i = 0; i < c->nodes.n_nodes; i++) {
        struct fed_node *node = &c->nodes.nodes[i];
        bool silent = node->heard_ms < c->said_ms, reminded = now < node->told_ms + FED_REMIND_MS;
        if (!node->online || !(node->missed || (node->has_pass && (silent || !reminded)))) {
            continue;
        }
        node->told_ms = now;
        fed_say_round_again(c, i);
    }
}

static void write_end(struct fed_message *message, const struct fed_coordinator *c, bool committed, bool finished) {
    memset(message, 0, sizeof *message);
    message->kind = FED_MSG_END;
    message->as.end.round = fed_round_number(c->round);
    message->as.end.attempt = c->has_attempt ? c->attempt.terms.attempt : fed_round_attempt(c->round);
    if (finished) {
        message->as.end.round = c->image->round;
    } else if (c->has_attempt) {
        message->as.end.round = c->attempt.terms.round;
    }
    message->as.end.committed = committed;
    message->as.end.finished = finished;
}

void fed_say_end(struct fed_coordinator *c, bool committed, bool finished) {
    static struct fed_message message;
    write_end(&message, c, committed, finished);
    for (size_t i = 0; i < c->nodes.n_nodes; i++) {
        struct fed_node *node = &c->nodes.nodes[i];
        if (node->online && (node->asked > 0 || finished)) { /* of the others nobody was told of this attempt */
            node->parting = finished;
            send_to_node(c, i, &message);
        }
        node->missed = false;
        node->down_next = node->down_end = 0;
    }
}

void fed_say_finished(struct fed_coordinator *c, size_t node) {
    static struct fed_message message;
    write_end(&message, c, true, true);
    c->nodes.nodes[node].parting = true;
    send_to_node(c, node, &message);
}
