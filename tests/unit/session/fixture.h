/* A node in a thread and the coordinator that a test plays against it, over real sockets. What waits fails the test where
 * nothing comes. */
#ifndef FED_TESTS_UNIT_SESSION_FIXTURE_H
#define FED_TESTS_UNIT_SESSION_FIXTURE_H

#include <check.h>
#include <pthread.h>

#include "client/session.h"
#include "common/numeric/fixed.h"
#include "common/seal/seal.h"
#include "proto/wire.h"

#define BOUND_MS 60000

enum { FIRST = 10, COUNT = 8, CHUNKS_MOST = 16, QUEUE = 256 };

struct counter {
    atomic_int calls[COUNT];
    atomic_bool held;
    atomic_int poisoned; /* the client whose update is not finite */
};

float delta_of(uint64_t client, size_t i);

struct attempt { /* what the coordinator knows of one */
    struct fed_update_limits limits;
    struct fed_terms terms;
    struct fed_seal_pair *r;
    struct fed_seal_key *key;
    struct fed_image *image;
    uint8_t handle[16], capability[16];
};

struct world {
    char dir[32], state[48], control_endpoint[64], bulk_endpoint[64];
    /* the coordinator */
    struct fed_identity coordinator;
    struct fed_link *link;
    struct fed_lane *control, *bulk;
    struct fed_route node_route, bulk_route;
    bool has_bulk, enrolled, serve_model;
    uint32_t ping_ms;
    unsigned refused;
    char handle[33], capability[33]; /* the pass that is good now */
    const struct attempt *attempt;   /* whose model is served */
    struct fed_message *queue[QUEUE];
    size_t n_queue;
    unsigned model_gets;
    uint8_t *chunks[CHUNKS_MOST];
    size_t n_chunk[CHUNKS_MOST];
    unsigned arrived[CHUNKS_MOST];
    struct fed_fixed fixed;
    struct fed_model model;
    struct fed_task_terms task;
    uint8_t run_id[16], task_digest[32];
    /* the node */
    struct fed_identity node;
    struct fed_client_config config;
    struct counter counter;
    struct fed_link *node_link;
    struct fed_host *host;
    struct fed_session *session;
    pthread_t thread;
    bool running;
    int stop_fd, rc;
    struct fed_error err;
};

extern struct world w;

/* A case whose tests have a world, each its own. */
TCase *session_case(const char *name);

void open_lanes(void);
void forget_messages(void);
void close_lanes(void);
void start_node(bool check);
void turn(void);

/* The next message of this kind; what else the node says meanwhile is passed over. The caller frees it. */
struct fed_message *await(enum fed_message_kind kind);
void tell(struct fed_message *message);
void welcome_back(bool kept);
void welcome(void);
void greet(void);

/* From now on its pass is the only one that is let in to the bulk lane. */
void give_pass(struct attempt *a);

/* With a pass of its own, and its model served from now on. */
void open_attempt(struct attempt *a, uint64_t round, uint32_t attempt);

/* A node that was greeted, and an attempt for it. */
void begin(struct attempt *a, uint64_t round, uint32_t attempt);
void close_attempt(struct attempt *a);

/* ROUND with clients that end with 0. */
void say_round(const struct attempt *a, uint32_t part, enum fed_encoding encoding, bool closed, const uint64_t *clients);

#define IDS(...) ((const uint64_t[]){__VA_ARGS__, 0})

void say_admitted(const struct attempt *a, uint32_t part);
void say_end(const struct attempt *a, bool committed);
struct fed_message *await_offer(const struct attempt *a, uint32_t part);

/* Asks for all chunks of the update, and again for what does not come, until each has come once more. */
void fetch(const struct attempt *a, uint32_t part, uint64_t n_chunks);
int open_chunks(uint8_t *plain, const struct attempt *with, const struct fed_msg_offer *offer, uint64_t n_chunks);

/* Fetches the offered update and compares it with what the clients must have made, exactly. */
void fetch_and_open(const struct attempt *a, const struct fed_message *offered, const uint64_t *clients);

/* The node offers this part of the attempt, and it is what the clients must have made. */
void brings(const struct attempt *a, uint32_t part, const uint64_t *clients);
int calls(uint64_t client);

/* The cases of the room, a file each. */
TCase *greeting_cases(void);
TCase *rounds_cases(void);
TCase *declines_cases(void);
TCase *connections_cases(void);

#endif
