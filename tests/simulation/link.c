/* common/link, made up: lanes whose messages are late, lost, doubled, out of order or old, and connections that break.
 *
 * A connection is one handshake; it lives until one side closes it, breaks it or dies. The coordinator's gate is asked for
 * each, so that passes and rosters are judged as over real sockets. */
#include "common/link/link.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simulation/base.h"
#include "tests/simulation/versions.h"
#include "tests/simulation/world.h"

#define IN_FLIGHT_MOST 300 /* of one connection, one way: then its queue is full */
#define HEARTBEAT_LOST_US (30 * (uint64_t)SIM_S)
#define KEPT 6 /* old messages of a node, by direction: what a replay chooses from */

enum way { TO_COORDINATOR, TO_NODE };

struct bytes {
    uint8_t *data; /* owned; never NULL */
    size_t n;
};

struct packet {
    struct packet *next;
    struct connection *connection;
    enum way way;
    struct bytes head, body;
};

struct queue {
    struct packet *first, **last;
};

struct connection {
    struct connection *older; /* of all of this run */
    uint64_t id;
    bool control, up, broken;
    struct sim_node *node;
    struct fed_lane *lane; /* the node's side, NULL when it was closed */
    char user[FED_USER_MAX];
    uint64_t last_us[2]; /* when the last packet arrives, so that the next comes after it */
    unsigned in_flight[2];
};

#define EVENTS 8
struct fed_lane {
    struct fed_link *link;
    bool bound, control;
    struct queue queue;
    enum fed_link_event events[EVENTS];
    unsigned n_events;
    bool said_down;
    struct connection *connection; /* connected lanes */
    uint8_t key[FED_KEY_BYTES];
    char handle[64], capability[64];
};

struct fed_link {
    struct sim_process *owner;
    struct fed_gate gate;
};

struct fed_shared {
    void *bytes, *context;
    void (*done)(void *bytes, void *context);
};

static struct {
    struct connection *connections;
    uint64_t n_connections;
    struct fed_lane *bound[2]; /* bulk, control */
    bool hidden[SIM_NODES];
    struct bytes kept[SIM_NODES][2][KEPT];
    size_t n_kept[SIM_NODES][2];
} network;

static size_t index_of(const struct sim_node *node) { return (size_t)(node - sim.nodes); }

/* -- bytes and packets ---------------------------------------------------------------------------------------------- */

static struct bytes copy_of(const void *data, size_t n) {
    struct bytes bytes = {sim_new(n), n};
    if (n > 0) {
        memcpy(bytes.data, data, n);
    }
    return bytes;
}

static void free_packet(struct packet *packet) {
    free(packet->head.data);
    free(packet->body.data);
    free(packet);
}

static void queue_clear(struct queue *queue) {
    for (struct packet *next, *packet = queue->first; packet != NULL; packet = next) {
        next = packet->next;
        free_packet(packet);
    }
    *queue = (struct queue){NULL, &queue->first};
}

static void queue_push(struct queue *queue, struct packet *packet) {
    packet->next = NULL;
    *queue->last = packet;
    queue->last = &packet->next;
}

static struct packet *queue_pop(struct queue *queue) {
    struct packet *packet = queue->first;
    if (packet != NULL && (queue->first = packet->next) == NULL) {
        queue->last = &queue->first;
    }
    return packet;
}

/* -- connections ---------------------------------------------------------------------------------------------------- */

static void push_event(struct fed_lane *lane, enum fed_link_event event) {
    if (lane->n_events < EVENTS) {
        lane->events[lane->n_events++] = event;
    }
    sim_wake(lane->link->owner);
}

static void shake_hands(void *context, uint64_t number);

static void try_to_connect(struct fed_lane *lane, uint64_t us) {
    struct connection *connection = sim_new(sizeof *connection);
    *connection = (struct connection){.older = network.connections,
                                      .id = ++network.n_connections,
                                      .control = lane->control,
                                      .lane = lane,
                                      .node = sim_node_of(lane->link->owner)};
    network.connections = connection;
    lane->connection = connection;
    sim_after(us, shake_hands, connection, 0);
}

static void break_connection(struct connection *connection) {
    struct fed_lane *lane = connection->lane;
    if (connection->broken) {
        return;
    }
    connection->broken = true;
    connection->up = false;
    connection->lane = NULL;
    if (lane != NULL) { /* ZeroMQ tries again by itself */
        push_event(lane, FED_LINK_DOWN);
        try_to_connect(lane, 100 * SIM_MS + sim_dice(900 * SIM_MS));
    }
}

static void say_down_once(struct fed_lane *lane) {
    if (!lane->said_down) {
        lane->said_down = true;
        push_event(lane, FED_LINK_DOWN);
    }
}

static void send_packet(struct connection *connection, enum way way, const void *head, size_t n_head, const void *body,
                        size_t n_body);

/* ZAP, as the real link asks it. */
static bool let_in(struct connection *connection, struct fed_lane *door) {
    const struct fed_lane *lane = connection->lane;
    const struct fed_gate *gate = &door->link->gate;
    return connection->control
               ? gate->curve != NULL && gate->curve(gate->context, lane->key, connection->user)
               : gate->plain != NULL && gate->plain(gate->context, lane->handle, lane->capability, connection->user);
}

static void shake_hands(void *context, uint64_t number) {
    (void)number;
    struct connection *connection = context;
    struct fed_lane *lane = connection->lane, *door = network.bound[connection->control];
    if (lane == NULL || sim_dying(lane->link->owner)) {
        return;
    }
    if (door == NULL || sim_dying(door->link->owner) || network.hidden[index_of(connection->node)]) {
        say_down_once(lane);
        sim_after(200 * SIM_MS + sim_dice(800 * SIM_MS), shake_hands, connection, 0);
        return;
    }
    struct sim_process *before = sim_act_for(door->link->owner);
    bool welcome = let_in(connection, door);
    sim_act_for(before);
    sim_note("%s %s %s", sim_process_name(lane->link->owner), connection->control ? "control" : "bulk",
             welcome ? "connects" : "is kept out");
    sim_wake(door->link->owner);
    if (!welcome) {
        connection->broken = true;
        connection->lane = NULL;
        lane->connection = NULL;
        push_event(lane, FED_LINK_REFUSED);
        return;
    }
    connection->up = true;
    lane->said_down = false;
    push_event(lane, FED_LINK_UP);
    if (!connection->control) {
        send_packet(connection, TO_COORDINATOR, "", 0, NULL, 0);
    }
}

static void heartbeats_are_missed(void *context, uint64_t number) {
    (void)number;
    struct connection *connection = context;
    if (connection->up && network.hidden[index_of(connection->node)]) {
        break_connection(connection);
    }
}

void sim_link_hide(struct sim_process *process, bool hidden) {
    size_t i = index_of(sim_node_of(process));
    network.hidden[i] = hidden;
    sim_note("%s is %s", sim_process_name(process), hidden ? "cut off" : "within reach again");
    for (struct connection *c = network.connections; hidden && c != NULL; c = c->older) {
        if (c->node == &sim.nodes[i] && c->up) {
            sim_after(HEARTBEAT_LOST_US, heartbeats_are_missed, c, 0);
        }
    }
}

void sim_link_cut(struct sim_process *process) {
    for (struct connection *c = network.connections; c != NULL; c = c->older) {
        if (c->up && (process == sim.coordinator || c->node->process == process)) {
            break_connection(c);
        }
    }
}

/* -- packets on their way ------------------------------------------------------------------------------------------- */

/* What leaves a node's side before it closes still arrives; nothing reaches a coordinator that was not there when the
 * connection was made. */
static struct fed_lane *receiver_of(const struct packet *packet) {
    const struct connection *connection = packet->connection;
    if (connection->broken || network.hidden[index_of(connection->node)]) {
        return NULL;
    }
    return packet->way == TO_NODE ? connection->lane : network.bound[connection->control];
}

static void note_packet(const struct packet *packet, const char *what) {
    const struct connection *connection = packet->connection;
    sim_note("%s %s %s %zu+%zu bytes %s", packet->way == TO_NODE ? "to" : "from", connection->node->config.name,
             connection->control ? "control" : "bulk", packet->head.n, packet->body.n, what);
}

static void arrive(void *context, uint64_t number) {
    (void)number;
    struct packet *packet = context;
    struct fed_lane *lane = receiver_of(packet);
    packet->connection->in_flight[packet->way]--;
    if (lane == NULL || sim_dying(lane->link->owner)) {
        free_packet(packet);
        return;
    }
    note_packet(packet, "arrive");
    queue_push(&lane->queue, packet);
    sim_wake(lane->link->owner);
}

static void send_copy(struct connection *connection, enum way way, struct bytes head, struct bytes body, bool in_order) {
    struct packet *packet = sim_new(sizeof *packet);
    *packet = (struct packet){.connection = connection, .way = way, .head = head, .body = body};
    uint64_t now = sim_now_us(), at = now + 200 + sim_dice(sim.trouble ? 50 * SIM_MS : 5 * SIM_MS);
    if (in_order) {
        at = at > connection->last_us[way] ? at : connection->last_us[way] + 1;
        connection->last_us[way] = at;
    } else {
        at += sim_dice(10 * SIM_S);
    }
    connection->in_flight[way]++;
    sim_after(at - now, arrive, packet, 0);
}

static void keep_old(const struct connection *connection, enum way way, const void *head, size_t n_head) {
    size_t node = index_of(connection->node);
    struct bytes *place = &network.kept[node][way][network.n_kept[node][way]++ % KEPT];
    free(place->data);
    *place = copy_of(head, n_head);
}

static void replay_old(struct connection *connection, enum way way) {
    size_t node = index_of(connection->node), n = network.n_kept[node][way];
    const struct bytes *old = n > 0 ? &network.kept[node][way][sim_dice(n < KEPT ? n : KEPT)] : NULL;
    if (old != NULL) {
        send_copy(connection, way, copy_of(old->data, old->n), copy_of(NULL, 0), false);
    }
}

/* In the version that its sender speaks. */
static void send_packet(struct connection *connection, enum way way, const void *head, size_t n_head, const void *body,
                        size_t n_body) {
    static const uint8_t unknown[] = {0x08, 0x01, 0xc2, 0x3e, 0x02, 0x08, 0x01}; /* a message of kind 1000 */
    static uint8_t said[FED_CONTROL_MAX + 16];
    if (connection->control) {
        if (sim_version_adds_messages(connection->node, way == TO_NODE)) {
            send_copy(connection, way, copy_of(unknown, sizeof unknown), copy_of(NULL, 0), true);
        }
        n_head = sim_version_said(said, connection->node, way == TO_NODE, head, n_head);
        head = said;
    }
    if (sim.trouble && connection->control && sim_chance(10)) {
        keep_old(connection, way, head, n_head);
    }
    unsigned copies = sim.trouble && sim_chance(sim.loss) ? 0 : sim.trouble && sim_chance(sim.twice) ? 2 : 1;
    for (unsigned i = 0; i < copies; i++) {
        bool in_order = i == 0 && !(sim.trouble && sim_chance(sim.late));
        send_copy(connection, way, copy_of(head, n_head), copy_of(body, n_body), in_order);
    }
    if (sim.trouble && connection->control && sim_chance(sim.old)) {
        replay_old(connection, way);
    }
}

void sim_link_forge(struct sim_process *process, const void *bytes, size_t n) {
    for (struct connection *c = network.connections; c != NULL; c = c->older) {
        if (c->up && c->control && c->node->process == process) {
            send_copy(c, TO_COORDINATOR, copy_of(bytes, n), copy_of(NULL, 0), true);
            return;
        }
    }
}

/* -- what the programs call ----------------------------------------------------------------------------------------- */

int fed_link_new(struct fed_link **out, int io_threads, int max_peers, const struct fed_gate *gate, struct fed_error *err) {
    (void)io_threads;
    (void)max_peers;
    struct fed_link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        return fed_error_set(err, FED_ENOMEM, "no memory for a link");
    }
    link->owner = sim_self();
    if (gate != NULL) {
        link->gate = *gate;
    }
    *out = link;
    return FED_OK;
}

void fed_link_free(struct fed_link *link) { free(link); }
void fed_link_serve_zap(struct fed_link *link) { (void)link; }
const char *fed_link_version(void) { return "simulated"; }

static struct fed_lane *new_lane(struct fed_link *link, bool bound, bool control) {
    struct fed_lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL) {
        return NULL;
    }
    lane->link = link;
    lane->bound = bound;
    lane->control = control;
    queue_clear(&lane->queue);
    return lane;
}

static int no_memory(struct fed_error *err) { return fed_error_set(err, FED_EFAILED, "not enough memory for a socket"); }

static int bind_lane(struct fed_lane **out, struct fed_link *link, bool control, struct fed_error *err) {
    sim_require(network.bound[control] == NULL, "two coordinators are bound at once");
    network.bound[control] = new_lane(link, true, control);
    if (network.bound[control] == NULL) {
        return no_memory(err);
    }
    *out = network.bound[control];
    return FED_OK;
}

int fed_lane_bind_control(struct fed_lane **out, struct fed_link *link, const char *endpoint,
                          const struct fed_identity *identity, size_t max_frame, struct fed_error *err) {
    (void)endpoint;
    (void)identity;
    (void)max_frame;
    return bind_lane(out, link, true, err);
}

int fed_lane_bind_bulk(struct fed_lane **out, struct fed_link *link, const char *endpoint, size_t max_frame,
                       struct fed_error *err) {
    (void)endpoint;
    (void)max_frame;
    return bind_lane(out, link, false, err);
}

/* Nobody joins by a token here. */
int fed_lane_bind_enrol(struct fed_lane **out, struct fed_link *link, const char *endpoint,
                        const struct fed_identity *identity, size_t max_frame, struct fed_error *err) {
    (void)out;
    (void)link;
    (void)identity;
    (void)max_frame;
    return fed_error_set(err, FED_EADDRESS, "%s: there is no enrolment lane here", endpoint);
}

const char *fed_lane_endpoint(const struct fed_lane *lane) {
    return lane->control ? "tcp://127.0.0.1:5600" : "tcp://127.0.0.1:5601";
}

int fed_link_self_test(struct fed_link *link, const struct fed_lane *control, const struct fed_identity *identity,
                       struct fed_error *err) {
    (void)control;
    (void)identity;
    char user[FED_USER_MAX];
    static const uint8_t stranger[FED_KEY_BYTES] = {1};
    return link->gate.curve(link->gate.context, stranger, user) ? fed_error_set(err, FED_EFAILED, "a stranger was let in")
                                                                : FED_OK;
}

int fed_lane_connect_control(struct fed_lane **out, struct fed_link *link, const char *endpoint,
                             const struct fed_identity *identity, const uint8_t coordinator_curve[FED_KEY_BYTES],
                             size_t max_frame, struct fed_error *err) {
    (void)endpoint;
    (void)coordinator_curve;
    (void)max_frame;
    struct fed_lane *lane = new_lane(link, false, true);
    if (lane == NULL) {
        return no_memory(err);
    }
    memcpy(lane->key, identity->public_keys.curve, sizeof lane->key);
    try_to_connect(lane, 1 * SIM_MS + sim_dice(20 * SIM_MS));
    *out = lane;
    return FED_OK;
}

int fed_lane_connect_bulk(struct fed_lane **out, struct fed_link *link, const char *endpoint, const char *handle,
                          const char *capability, size_t max_frame, struct fed_error *err) {
    (void)endpoint;
    (void)max_frame;
    struct fed_lane *lane = new_lane(link, false, false);
    if (lane == NULL) {
        return no_memory(err);
    }
    snprintf(lane->handle, sizeof lane->handle, "%s", handle);
    snprintf(lane->capability, sizeof lane->capability, "%s", capability);
    try_to_connect(lane, 1 * SIM_MS + sim_dice(20 * SIM_MS));
    *out = lane;
    return FED_OK;
}

void fed_lane_cut(const struct fed_incoming *in) { (void)in; } /* nobody floods here */

void fed_lane_close(struct fed_lane *lane) {
    if (lane == NULL) {
        return;
    }
    if (lane->bound) {
        network.bound[lane->control] = NULL;
    } else if (lane->connection != NULL) {
        lane->connection->lane = NULL;
        lane->connection->up = false;
    }
    queue_clear(&lane->queue);
    free(lane);
}

enum fed_link_event fed_lane_event(struct fed_lane *lane) {
    if (lane->n_events == 0) {
        return FED_LINK_QUIET;
    }
    enum fed_link_event event = lane->events[0];
    memmove(lane->events, lane->events + 1, --lane->n_events * sizeof *lane->events);
    return event;
}

bool fed_route_equal(const struct fed_route *a, const struct fed_route *b) {
    return a->n == b->n && memcmp(a->bytes, b->bytes, a->n) == 0;
}

static struct connection *connection_of(const struct fed_lane *lane, const struct fed_route *to) {
    uint64_t id;
    if (!lane->bound) {
        return lane->connection;
    }
    memcpy(&id, to->bytes, sizeof id);
    struct connection *c = network.connections;
    while (c != NULL && c->id != id) {
        c = c->older;
    }
    return c;
}

void fed_frame_release(struct fed_frame *frame) {
    free((void *)(uintptr_t)frame->bytes);
    frame->bytes = NULL;
    frame->n = 0;
}

void fed_frame_move(struct fed_frame *to, struct fed_frame *from) {
    *to = *from;
    *from = (struct fed_frame){.bytes = NULL};
}

static void note_heard(const struct bytes *head) {
    static struct fed_message message;
    if (sim_decode(&message, head->data, head->n) == FED_OK) {
        sim_moves_heard(&message);
    }
}

int fed_lane_recv(struct fed_incoming *out, struct fed_lane *lane) {
    struct packet *packet = queue_pop(&lane->queue);
    if (packet == NULL) {
        return FED_EAGAIN;
    }
    out->head = (struct fed_frame){.bytes = packet->head.data, .n = packet->head.n};
    out->body = (struct fed_frame){.bytes = packet->body.data, .n = packet->body.n};
    out->from = (struct fed_route){.n = 0};
    out->user[0] = '\0';
    if (lane->bound) {
        out->from.n = sizeof packet->connection->id;
        memcpy(out->from.bytes, &packet->connection->id, sizeof packet->connection->id);
        memcpy(out->user, packet->connection->user, sizeof out->user);
    }
    if (lane->bound && lane->control) {
        note_heard(&packet->head);
    }
    free(packet);
    return FED_OK;
}

int fed_shared_new(struct fed_shared **out, void *bytes, size_t n, void (*done)(void *bytes, void *context), void *context) {
    (void)n;
    struct fed_shared *shared = malloc(sizeof *shared);
    if (shared == NULL) {
        return FED_ENOMEM;
    }
    *shared = (struct fed_shared){bytes, context, done};
    *out = shared;
    return FED_OK;
}

void fed_shared_release(struct fed_shared *shared) {
    if (shared != NULL) {
        shared->done(shared->bytes, shared->context);
        free(shared);
    }
}

/* What the coordinator says is judged before the network can lose it. */
static void judge_said(const struct connection *connection, const void *head, size_t n) {
    static struct fed_message message;
    sim_require(sim_decode(&message, head, n) == FED_OK, "the coordinator says what nobody can read");
    sim_ledger_said(connection->node, &message);
}

static void send_of_node(struct connection *connection, const void *head, size_t n_head, const uint8_t *body,
                         size_t n_body) {
    bool lies = sim.trouble && connection->node->liar;
    struct bytes sent = copy_of(body, n_body);
    if (lies && n_body > 0 && sim_chance(30)) {
        sent.data[sim_dice(n_body)] ^= (uint8_t)(1 + sim_dice(255));
    }
    if (lies && n_body > 0 && sim_chance(50)) { /* it stalls */
        send_copy(connection, TO_COORDINATOR, copy_of(head, n_head), copy_of(sent.data, n_body), false);
    } else {
        send_packet(connection, TO_COORDINATOR, head, n_head, sent.data, n_body);
    }
    free(sent.data);
    if (lies && connection->control) {
        sim_lie(connection->node, head, n_head);
    }
}

int fed_lane_send(struct fed_lane *lane, const struct fed_route *to, const void *head, size_t n_head,
                  struct fed_shared *shared, size_t offset, size_t n_body) {
    if (sim_dies_here(lane->link->owner)) {
        return FED_OK;
    }
    enum way way = lane->bound ? TO_NODE : TO_COORDINATOR;
    struct connection *connection = connection_of(lane, to);
    if (connection == NULL || !connection->up) {
        return lane->bound ? FED_EGONE : FED_EAGAIN;
    }
    if (connection->in_flight[way] >= IN_FLIGHT_MOST || (sim.trouble && sim_chance(sim.full))) {
        return FED_EAGAIN;
    }
    const uint8_t *body = shared != NULL ? (const uint8_t *)shared->bytes + offset : NULL;
    if (way == TO_COORDINATOR) {
        send_of_node(connection, head, n_head, body, n_body);
        return FED_OK;
    }
    if (connection->control) {
        judge_said(connection, head, n_head);
    }
    send_packet(connection, way, head, n_head, body, n_body);
    return FED_OK;
}

static bool look(struct fed_poll_item *items, size_t n) {
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        const struct fed_lane *lane = items[i].lane;
        items[i].readable = lane != NULL ? lane->queue.first != NULL : sim_fd_readable(items[i].fd);
        items[i].event = lane != NULL && lane->n_events > 0;
        any = any || items[i].readable || items[i].event;
    }
    return any;
}

int fed_link_poll(struct fed_link *link, struct fed_poll_item *items, size_t n_items, int64_t timeout_ms) {
    if (!sim_dying(link->owner) && !look(items, n_items)) {
        sim_sleep(timeout_ms > 0 ? (uint64_t)timeout_ms * SIM_MS : 10); /* to look around takes time as well */
        look(items, n_items);
    }
    return sim_dying(link->owner) ? FED_EFAILED : FED_OK;
}

/* -- the end of a run ----------------------------------------------------------------------------------------------- */

static void drop_packet(void *context) { free_packet(context); }

void sim_link_end(void) {
    sim_world_end(arrive, drop_packet);
    for (struct connection *next, *c = network.connections; c != NULL; c = next) {
        next = c->older;
        free(c);
    }
    for (size_t node = 0; node < SIM_NODES; node++) {
        for (size_t i = 0; i < KEPT; i++) {
            free(network.kept[node][TO_NODE][i].data);
            free(network.kept[node][TO_COORDINATOR][i].data);
        }
    }
    memset(&network, 0, sizeof network);
}
