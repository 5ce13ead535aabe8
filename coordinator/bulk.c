/* The bulk lane: sealed model chunks out, sealed update chunks in. Whoever speaks here has shown a pass that still holds;
 * nothing said here can do more than fail to open. */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "coordinator/coordinator_internal.h"

#define SERVE_AT_ONCE 8 /* chunks handed to one node before the next has its turn */
#define OWED_MOST (4 * FED_INTAKE_WINDOW)
#define FREE_COPIES 2 /* of the model, for each node in each attempt: more count against its limit */

static int send_head(struct fed_coordinator *c, const struct fed_route *to, const struct fed_bulk_head *head,
                     struct fed_shared *body, size_t offset, size_t n_body) {
    uint8_t bytes[FED_BULK_HEAD_MAX];
    size_t n;
    int rc = fed_bulk_encode(bytes, &n, head);
    return rc != FED_OK ? rc : fed_lane_send(c->bulk, to, bytes, n, body, offset, n_body);
}

int fed_bulk_get(void *context, size_t node, uint32_t part, uint64_t first, uint32_t count) {
    struct fed_coordinator *c = context;
    struct fed_node *n = &c->nodes.nodes[node];
    struct fed_bulk_head head = {.kind = FED_BULK_GET,
                                 .what = {FED_OBJECT_UPDATE, c->attempt.terms.round, c->attempt.terms.attempt, part},
                                 .first = first,
                                 .count = count};
    if (!n->online || !n->has_bulk) {
        return FED_EGONE;
    }
    int rc = send_head(c, &n->bulk, &head, NULL, 0, 0);
    if (rc == FED_EGONE) {
        n->has_bulk = false; /* the node opens another one */
    }
    if (rc == FED_OK) {
        n->owed = n->owed + count < OWED_MOST ? n->owed + count : OWED_MOST;
    }
    return rc;
}

/* A chunk did not open. Anybody who saw the pass on its way can have sent it, so the connection pays for it, not the node:
 * the pass is taken back, and ROUND brings the node another. */
void fed_bulk_broken(void *context, size_t node, uint32_t part) {
    struct fed_coordinator *c = context;
    struct fed_node *n = &c->nodes.nodes[node];
    FED_WARN("bulk", "chunk does not open, the connection is given up", FED_STR("node", fed_nodes_name(&c->nodes, node)),
             FED_U64("part", part));
    fed_nodes_take_pass(&c->nodes, node);
    if (c->collecting && n->online) {
        fed_say_round_again(c, node);
    }
}

static int send_model_chunk(struct fed_coordinator *c, struct fed_node *node, uint64_t index) {
    struct fed_bulk_head head = {.kind = FED_BULK_CHUNK,
                                 .what = {FED_OBJECT_MODEL, c->attempt.terms.round, c->attempt.terms.attempt, 0},
                                 .first = index,
                                 .count = 1};
    size_t offset, n;
    fed_attempt_chunk(&c->attempt, index, &offset, &n);
    int rc = send_head(c, &node->bulk, &head, c->attempt.sealed, offset, n);
    if (rc == FED_OK) {
        c->bytes_down += n;
    }
    return rc;
}

/* Chunks that a node asked for and that its connection had no room for are kept as a range, not as messages. */
static bool serve_node(struct fed_coordinator *c, struct fed_node *node) {
    for (int i = 0; i < SERVE_AT_ONCE && node->down_next < node->down_end; i++) {
        int rc = send_model_chunk(c, node, node->down_next);
        if (rc == FED_EGONE) {
            node->has_bulk = false;
            node->down_next = node->down_end = 0;
        }
        if (rc != FED_OK) {
            break;
        }
        node->down_next++;
    }
    return node->down_next < node->down_end;
}

bool fed_bulk_serve(struct fed_coordinator *c) {
    bool waiting = false;
    for (size_t i = 0; c->bulk_waits && c->collecting && i < c->nodes.n_nodes; i++) {
        struct fed_node *node = &c->nodes.nodes[i];
        if (node->online && node->has_bulk && node->down_next < node->down_end) {
            waiting = serve_node(c, node) || waiting;
        }
    }
    c->bulk_waits = waiting;
    return waiting;
}

static bool of_this_attempt(const struct fed_coordinator *c, const struct fed_object *what) {
    return c->collecting && what->round == c->attempt.terms.round && what->attempt == c->attempt.terms.attempt;
}

static void hear_get(struct fed_coordinator *c, size_t index, const struct fed_bulk_head *head) {
    struct fed_node *node = &c->nodes.nodes[index];
    uint64_t n_chunks = fed_chunk_count(c->attempt.file_bytes);
    if (head->what.kind != FED_OBJECT_MODEL || head->first >= n_chunks) {
        return; /* not asked for, and metered as such */
    }
    uint64_t end = head->count < n_chunks - head->first ? head->first + head->count : n_chunks;
    node->down_asked += end - head->first;
    if (node->down_asked > FREE_COPIES * n_chunks &&
        !fed_meter_take(c, index, FED_LANE_BULK, (size_t)(end - head->first) * FED_CHUNK_BYTES)) {
        return;
    }
    if (head->first == node->down_end && node->down_next < node->down_end) {
        node->down_end = end; /* the next window, asked for before the last one was through */
    } else {
        node->down_next = head->first;
        node->down_end = end;
    }
    c->bulk_waits = serve_node(c, node) || c->bulk_waits;
}

/* A connection that was opened later than the one known. */
static void take_route(struct fed_coordinator *c, size_t node, const struct fed_route *route) {
    struct fed_node *n = &c->nodes.nodes[node];
    if (!n->has_bulk || !fed_route_equal(&n->bulk, route)) {
        n->bulk = *route;
        n->has_bulk = true;
        fed_intake_lane_anew(c->intake, node);
    }
}

static void hear_chunk(struct fed_coordinator *c, size_t node, const struct fed_bulk_head *head,
                       const struct fed_frame *body) {
    int rc = head->what.kind == FED_OBJECT_UPDATE
                 ? fed_intake_chunk(c->intake, node, head->what.part, head->first, body->bytes, body->n, fed_clock_ms())
                 : FED_EWIRE;
    if (rc == FED_OK) {
        c->bytes_up += body->n;
    } else {
        FED_DEBUG("bulk", "chunk dropped", FED_U64("part", head->what.part), FED_U64("chunk", head->first));
    }
}

/* Chunks that we asked for, whenever they come, and the model in good measure; hear_get judges the latter. */
static bool was_asked_for(struct fed_coordinator *c, struct fed_node *node, const struct fed_bulk_head *head) {
    if (head->kind == FED_BULK_GET) {
        return of_this_attempt(c, &head->what) && head->what.kind == FED_OBJECT_MODEL &&
               head->first < fed_chunk_count(c->attempt.file_bytes);
    }
    bool asked = node->owed > 0;
    node->owed -= asked;
    return asked;
}

static void hear_message(struct fed_coordinator *c, size_t node, const struct fed_incoming *in,
                         const struct fed_bulk_head *head) {
    struct fed_node *n = &c->nodes.nodes[node];
    if (!n->online || !of_this_attempt(c, &head->what)) {
        return; /* late: the attempt has ended, and with it this connection's right to be the node's route */
    }
    n->bulk_heard_ms = fed_clock_ms();
    if (head->kind == FED_BULK_GET) {
        if (n->has_bulk && !fed_route_equal(&n->bulk, &in->from)) {
            return; /* late, by an old connection: a new one begins with a probe */
        }
        take_route(c, node, &in->from);
        hear_get(c, node, head);
    } else {
        hear_chunk(c, node, head, &in->body);
    }
}

/* Anybody who saw the pass on its way can have said it; another comes with the next repetition of ROUND. */
static void connection_pays(struct fed_coordinator *c, size_t node) {
    fed_nodes_take_pass(&c->nodes, node);
    c->nodes.nodes[node].missed = true;
}

static void hear(struct fed_coordinator *c, const struct fed_incoming *in) {
    size_t node;
    struct fed_bulk_head head;
    size_t bytes = in->head.n + in->body.n;
    if (fed_nodes_find_pass_user(&node, &c->nodes, in->user) != FED_OK ||
        !fed_roster_valid(c->nodes.roster, node, fed_wall_seconds())) {
        (void)fed_meter_take(c, FED_STRANGER, FED_LANE_BULK, bytes); /* its pass was taken back: it goes nowhere */
        return;
    }
    struct fed_node *n = &c->nodes.nodes[node];
    int rc = in->head.n > 0 ? fed_bulk_decode(&head, in->head.bytes, in->head.n) : FED_OK;
    bool asked_for = in->head.n > 0 && rc == FED_OK && was_asked_for(c, n, &head);
    if (!asked_for && !fed_meter_take(c, node, FED_LANE_BULK, bytes)) {
        return;
    }
    if (rc == FED_ENOMEM) {
        return; /* it is asked for again */
    }
    if (rc != FED_OK) {
        fed_tally_note(c, node, FED_REFUSAL_MALFORMED, "not a message of the bulk lane");
        connection_pays(c, node);
    } else if (in->head.n > 0) {
        hear_message(c, node, in, &head);
    } else { /* a probe: now the route is known, and what waited for it can go */
        take_route(c, node, &in->from);
        fed_intake_work(c->intake, fed_clock_ms());
    }
}

void fed_bulk_receive(struct fed_coordinator *c) {
    uint64_t now = fed_clock_ms();
    for (int i = 0; i < FED_INTAKE_WINDOW && now >= fed_meter_paused_until(c, FED_LANE_BULK); i++) {
        /* about 5 ms of copying at most, then the control lane again */
        struct fed_incoming in = {0};
        int rc = fed_lane_recv(&in, c->bulk);
        if (rc == FED_EAGAIN) {
            return;
        }
        if (rc != FED_OK) {
            if (fed_meter_take(c, FED_STRANGER, FED_LANE_BULK, 0)) {
                fed_tally_refusal(c, FED_STRANGER, FED_REFUSAL_MALFORMED, "frames that are not a bulk message");
            }
            continue;
        }
        hear(c, &in);
        fed_meter_cut(c, &in);
        fed_frame_release(&in.head);
        fed_frame_release(&in.body);
    }
}
