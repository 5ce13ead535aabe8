/* A real node in a thread against a coordinator that this file plays by hand, over real sockets: what the node says, when it
 * says it again, and what it never does twice. Every wait is for a message, with a bound that only a broken build reaches.
 */
#include <check.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/session.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/rng.h"
#include "common/numeric/fixed.h"
#include "common/numeric/norm.h"
#include "common/seal/digest.h"
#include "common/seal/seal.h"
#include "proto/wire.h"

#define BOUND_MS 60000
#define BULK_FRAME (FED_CHUNK_BYTES + 512)
enum { FIRST = 10, COUNT = 8, CHUNKS_MOST = 16, QUEUE = 256 };

/* -- the trainer -------------------------------------------------------------------------------------------------------- */

struct counter {
    atomic_int calls[COUNT];
    atomic_bool held;
    atomic_int poisoned; /* the client whose update is not finite */
};

static float delta_of(uint64_t client, size_t i) { return (float)((double)client * 0.01 + (double)(i % 1000) * 0.0001); }

static int train(void *context, float *delta, struct fed_sgd_report *report, const float *params, size_t n_params,
                 uint64_t client, const atomic_bool *cancel) {
    struct counter *counter = context;
    (void)params;
    atomic_fetch_add(&counter->calls[client - FIRST], 1);
    while (atomic_load(&counter->held) && !atomic_load(cancel)) {
        sched_yield();
    }
    for (size_t i = 0; i < n_params; i++) {
        delta[i] = delta_of(client, i);
    }
    if ((uint64_t)atomic_load(&counter->poisoned) == client) {
        delta[n_params / 2] = NAN;
    }
    *report = (struct fed_sgd_report){.n_examples = 10 * client, .n_steps = 1, .mean_loss = 0.25 * (double)client};
    return atomic_load(cancel) ? FED_EINTERRUPTED : FED_OK;
}

/* -- the world ---------------------------------------------------------------------------------------------------------- */

struct attempt { /* what the coordinator knows of one */
    struct fed_update_limits limits;
    struct fed_terms terms;
    struct fed_seal_pair *r;
    struct fed_seal_key *key;
    struct fed_image *image;
    uint8_t handle[16], capability[16];
};

static struct {
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
} w;

static bool gate_curve(void *context, const uint8_t key[FED_KEY_BYTES], char user[FED_USER_MAX]) {
    (void)context;
    if (!w.enrolled || memcmp(key, w.node.public_keys.curve, FED_KEY_BYTES) != 0) {
        w.refused++;
        return false;
    }
    strcpy(user, "ward-7");
    return true;
}

static bool gate_plain(void *context, const char *handle, const char *capability, char user[FED_USER_MAX]) {
    (void)context;
    strcpy(user, "ward-7");
    return strcmp(handle, w.handle) == 0 && strcmp(capability, w.capability) == 0;
}

static void open_lanes(void) {
    uint64_t end = fed_clock_ms() + BOUND_MS;
    struct fed_error err = {""};
    int rc = FED_EADDRESS;
    while (rc == FED_EADDRESS && fed_clock_ms() < end) { /* ZeroMQ lets go of an address in its own time */
        rc = fed_lane_bind_control(&w.control, w.link, w.control_endpoint, &w.coordinator, FED_CONTROL_MAX, &err);
        ck_assert_int_eq(fed_link_poll(w.link, NULL, 0, rc == FED_OK ? 0 : 1), FED_OK);
    }
    ck_assert_msg(rc == FED_OK, "%s", err.text);
    for (rc = FED_EADDRESS; rc == FED_EADDRESS && fed_clock_ms() < end;) {
        rc = fed_lane_bind_bulk(&w.bulk, w.link, w.bulk_endpoint, BULK_FRAME, &err);
        ck_assert_int_eq(fed_link_poll(w.link, NULL, 0, rc == FED_OK ? 0 : 1), FED_OK);
    }
    ck_assert_msg(rc == FED_OK, "%s", err.text);
}

static void forget_messages(void) {
    for (size_t i = 0; i < w.n_queue; i++) {
        free(w.queue[i]);
    }
    w.n_queue = 0;
}

static void close_lanes(void) {
    fed_lane_close(w.control);
    fed_lane_close(w.bulk);
    w.control = w.bulk = NULL;
    w.has_bulk = false;
    forget_messages();
}

static void setup(void) {
    memset(&w, 0, sizeof w);
    fed_log_setup(FED_LOG_TEXT, FED_LOG_ERROR);
    ck_assert_int_eq(fed_seal_setup(NULL), FED_OK);
    strcpy(w.dir, "/tmp/fed-session-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(w.dir));
    snprintf(w.state, sizeof w.state, "%s/state", w.dir);
    snprintf(w.control_endpoint, sizeof w.control_endpoint, "ipc://%s/control", w.dir);
    snprintf(w.bulk_endpoint, sizeof w.bulk_endpoint, "ipc://%s/bulk", w.dir);
    ck_assert_int_eq(fed_identity_generate(&w.coordinator, NULL), FED_OK);
    ck_assert_int_eq(fed_identity_generate(&w.node, NULL), FED_OK);
    w.enrolled = w.serve_model = true;
    w.ping_ms = 1000;
    w.task = (struct fed_task_terms){.seed = 3,
                                     .model = {.input = {10000}, .n_layers = 1, .layers = {{10, FED_LINEAR}}},
                                     .fraction = 0.5,
                                     .epochs = 2,
                                     .batch_size = 10,
                                     .learning_rate = 0.5,
                                     .learning_rate_decay = 1,
                                     .max_delta = 4,
                                     .max_weight = 1000,
                                     .max_updates = COUNT,
                                     .name = "test"};
    ck_assert_int_eq(fed_model_init(&w.model, &w.task.model, NULL), FED_OK);
    ck_assert_int_eq(fed_fixed_init(&w.fixed, w.task.max_delta, w.task.max_weight, w.task.max_updates, NULL), FED_OK);
    w.run_id[0] = 0xab;
    const struct fed_gate gate = {NULL, gate_curve, gate_plain};
    ck_assert_int_eq(fed_link_new(&w.link, 1, 64, &gate, NULL), FED_OK);
    w.config = (struct fed_client_config){.path = (char *)"client.yaml",
                                          .coordinator = w.control_endpoint,
                                          .coordinator_key = w.coordinator.public_keys,
                                          .key = (char *)"ward-7.key",
                                          .first_client = FIRST,
                                          .n_clients = COUNT,
                                          .workers = 2,
                                          .limits = {4096, 20, 3600, 2048},
                                          .state_dir = w.state};
    w.stop_fd = eventfd(0, EFD_NONBLOCK);
    open_lanes();
}

static void *run_node(void *unused) {
    (void)unused;
    w.rc = fed_session_run(w.session, &w.err);
    return NULL;
}

static void start_node(bool check) {
    const struct fed_host_hook hook = {&w.counter, train};
    const struct fed_session_options options = {.check = check, .stop_fd = w.stop_fd};
    struct fed_error err = {""};
    ck_assert_msg(fed_host_new(&w.host, &w.config, &hook, &err) == FED_OK, "%s", err.text);
    ck_assert_msg(fed_link_new(&w.node_link, 1, 16, NULL, &err) == FED_OK, "%s", err.text);
    ck_assert_msg(fed_session_new(&w.session, w.node_link, w.host, &w.node, &w.config, &options, &err) == FED_OK, "%s",
                  err.text);
    ck_assert_int_eq(pthread_create(&w.thread, NULL, run_node, NULL), 0);
    w.running = true;
}

static void stop_node(void) {
    uint64_t one = 1;
    ck_assert_int_eq(write(w.stop_fd, &one, sizeof one), sizeof one);
    pthread_join(w.thread, NULL);
    w.running = false;
}

static void teardown(void) {
    if (w.running) {
        stop_node();
        ck_assert_int_eq(w.rc, FED_EINTERRUPTED);
    }
    fed_session_free(w.session);
    fed_host_free(w.host);
    fed_link_free(w.node_link);
    close_lanes();
    fed_link_free(w.link);
    for (size_t i = 0; i < CHUNKS_MOST; i++) {
        free(w.chunks[i]);
    }
    fed_identity_fini(&w.coordinator);
    fed_identity_fini(&w.node);
    close(w.stop_fd);
    char path[80];
    snprintf(path, sizeof path, "%s/sent.log", w.state);
    unlink(path);
    rmdir(w.state);
    unlink(w.control_endpoint + strlen("ipc://"));
    unlink(w.bulk_endpoint + strlen("ipc://"));
    ck_assert_int_eq(rmdir(w.dir), 0);
}

/* -- the coordinator's ears --------------------------------------------------------------------------------------------- */

static void free_bytes(void *bytes, void *context) {
    (void)context;
    free(bytes);
}

static void serve(const struct fed_bulk_head *get) {
    for (uint64_t i = get->first; i < get->first + get->count; i++) {
        struct fed_bulk_head head = {.kind = FED_BULK_CHUNK, .what = get->what, .first = i, .count = 1};
        uint8_t bytes[FED_BULK_HEAD_MAX];
        size_t n_head, n = fed_chunk_plain_bytes(w.attempt->image->n_bytes, i);
        uint8_t *sealed = malloc(n + FED_TAG_BYTES);
        struct fed_shared *shared;
        fed_seal_chunk(sealed, w.attempt->key, i, w.attempt->image->bytes + i * FED_CHUNK_BYTES, n);
        ck_assert_int_eq(fed_bulk_encode(bytes, &n_head, &head), FED_OK);
        ck_assert_int_eq(fed_shared_new(&shared, sealed, n + FED_TAG_BYTES, free_bytes, NULL), FED_OK);
        ck_assert_int_eq(fed_lane_send(w.bulk, &w.bulk_route, bytes, n_head, shared, 0, n + FED_TAG_BYTES), FED_OK);
        fed_shared_release(shared);
    }
}

static void keep_chunk(const struct fed_bulk_head *head, const struct fed_frame *body) {
    ck_assert_uint_lt(head->first, CHUNKS_MOST);
    free(w.chunks[head->first]);
    w.chunks[head->first] = malloc(body->n);
    memcpy(w.chunks[head->first], body->bytes, body->n);
    w.n_chunk[head->first] = body->n;
    w.arrived[head->first]++;
}

static void hear_bulk(void) {
    for (struct fed_incoming in = {0}; fed_lane_recv(&in, w.bulk) == FED_OK; memset(&in, 0, sizeof in)) {
        struct fed_bulk_head head;
        w.bulk_route = in.from;
        w.has_bulk = true;
        if (in.head.n > 0) { /* else the probe */
            ck_assert_int_eq(fed_bulk_decode(&head, in.head.bytes, in.head.n), FED_OK);
            if (head.kind == FED_BULK_CHUNK) {
                keep_chunk(&head, &in.body);
            } else {
                w.model_gets++;
                if (w.serve_model) {
                    serve(&head);
                }
            }
        }
        fed_frame_release(&in.head);
        fed_frame_release(&in.body);
    }
}

static void hear_control(void) {
    for (struct fed_incoming in = {0}; fed_lane_recv(&in, w.control) == FED_OK; memset(&in, 0, sizeof in)) {
        struct fed_message *message = malloc(sizeof *message);
        w.node_route = in.from;
        ck_assert_int_eq(fed_message_decode(message, in.head.bytes, in.head.n), FED_OK);
        ck_assert_uint_lt(w.n_queue, QUEUE);
        w.queue[w.n_queue++] = message;
        fed_frame_release(&in.head);
        fed_frame_release(&in.body);
    }
}

static void turn(void) {
    struct fed_poll_item items[] = {{.lane = w.control}, {.lane = w.bulk}};
    ck_assert_int_eq(fed_link_poll(w.link, items, 2, 100), FED_OK);
    hear_control();
    hear_bulk();
}

/* The next message of this kind; what else the node says meanwhile is passed over. The caller frees it. */
static struct fed_message *await(enum fed_message_kind kind) {
    uint64_t end = fed_clock_ms() + BOUND_MS;
    for (;;) {
        for (size_t i = 0; i < w.n_queue; i++) {
            struct fed_message *message = w.queue[i];
            if (message->kind == kind) {
                for (size_t k = 0; k < i; k++) {
                    free(w.queue[k]);
                }
                w.n_queue -= i + 1;
                memmove(w.queue, w.queue + i + 1, w.n_queue * sizeof *w.queue);
                return message;
            }
        }
        ck_assert_msg(fed_clock_ms() < end, "message %d did not come", (int)kind);
        turn();
    }
}

/* -- and its mouth ------------------------------------------------------------------------------------------------------ */

static void tell(struct fed_message *message) {
    uint8_t *bytes = malloc(FED_CONTROL_MAX);
    size_t n;
    ck_assert_int_eq(fed_message_encode(bytes, &n, message), FED_OK);
    ck_assert_int_eq(fed_lane_send(w.control, &w.node_route, bytes, n, NULL, 0, 0), FED_OK);
    free(bytes);
}

static void welcome_back(bool kept) {
    struct fed_message *message = calloc(1, sizeof *message);
    struct fed_msg_welcome *say = &message->as.welcome;
    char *text = NULL;
    message->kind = FED_MSG_WELCOME;
    ck_assert_int_eq(fed_task_terms_encode(&text, &w.task), FED_OK);
    say->n_task = strlen(text);
    memcpy(say->task, text, say->n_task);
    fed_digest(w.task_digest, text, strlen(text));
    memcpy(say->task_digest, w.task_digest, 32);
    memcpy(say->run_id, w.run_id, 16);
    strcpy(say->bulk, w.bulk_endpoint);
    say->ping_ms = w.ping_ms;
    say->kept = kept;
    tell(message);
    free(text);
    free(message);
}

static void welcome(void) { welcome_back(false); }

static void greet(void) {
    free(await(FED_MSG_HELLO));
    welcome();
}

static void open_attempt(struct attempt *a, uint64_t round, uint32_t attempt) {
    *a = (struct attempt){.terms = {.round = round,
                                    .attempt = attempt,
                                    .n_params = w.model.n_params,
                                    .epochs = 2,
                                    .batch_size = 10,
                                    .learning_rate = 0.5f}};
    ck_assert_int_eq(fed_seal_pair_new(&a->r), FED_OK);
    ck_assert_int_eq(fed_seal_key_random(&a->key), FED_OK);
    ck_assert_int_eq(fed_image_new(&a->image, &w.model, w.run_id, round - 1), FED_OK);
    fed_model_initial(a->image->params, &w.model, round);
    ck_assert_int_eq(fed_image_finish(a->image, &w.model, w.run_id), FED_OK);
    memcpy(a->terms.run_id, w.run_id, 16);
    memcpy(a->terms.task_digest, w.task_digest, 32);
    memcpy(a->terms.model_digest, a->image->digest, 32);
    memcpy(a->terms.r_pk, fed_seal_pair_public(a->r), 32);
    w.attempt = a;
}

static void give_pass(struct attempt *a) {
    fed_random_bytes(a->handle, sizeof a->handle);
    fed_random_bytes(a->capability, sizeof a->capability);
    fed_hex(w.handle, a->handle, sizeof a->handle);
    fed_hex(w.capability, a->capability, sizeof a->capability);
}

static void close_attempt(struct attempt *a) {
    fed_seal_pair_free(a->r);
    fed_seal_key_free(a->key);
    fed_image_release(a->image);
    w.attempt = NULL;
}

/* ROUND with clients that end with 0. */
static void say_round(const struct attempt *a, uint32_t part, enum fed_encoding encoding, bool closed,
                      const uint64_t *clients) {
    struct fed_message *message = calloc(1, sizeof *message);
    struct fed_msg_round *round = &message->as.round;
    message->kind = FED_MSG_ROUND;
    round->terms = a->terms;
    round->part = part;
    round->closed = closed;
    round->encoding = encoding;
    round->file_bytes = a->image->n_bytes;
    round->limits = a->limits;
    fed_seal_key_export(round->model_key, a->key);
    memcpy(round->handle, a->handle, sizeof round->handle);
    memcpy(round->capability, a->capability, sizeof round->capability);
    while (clients[round->n_clients] != 0) {
        round->clients[round->n_clients] = clients[round->n_clients];
        round->n_clients++;
    }
    tell(message);
    free(message);
}
#define IDS(...) ((const uint64_t[]){__VA_ARGS__, 0})

static void say_admitted(const struct attempt *a, uint32_t part) {
    struct fed_message message = {.kind = FED_MSG_ADMITTED, .as.admitted = {a->terms.round, a->terms.attempt, part}};
    tell(&message);
}

static void say_end(const struct attempt *a, bool committed) {
    struct fed_message message = {.kind = FED_MSG_END, .as.end = {a->terms.round, a->terms.attempt, committed, false, 0}};
    tell(&message);
}

static struct fed_message *await_offer(const struct attempt *a, uint32_t part) {
    for (;;) {
        struct fed_message *offer = await(FED_MSG_OFFER);
        if (offer->as.offer.round == a->terms.round && offer->as.offer.attempt == a->terms.attempt &&
            offer->as.offer.part == part) {
            return offer;
        }
        free(offer);
    }
}

static struct fed_message *await_decline(uint64_t round, uint32_t attempt, uint32_t part, enum fed_decline_reason reason) {
    struct fed_message *decline = await(FED_MSG_DECLINE);
    ck_assert_uint_eq(decline->as.decline.round, round);
    ck_assert_uint_eq(decline->as.decline.attempt, attempt);
    ck_assert_uint_eq(decline->as.decline.part, part);
    ck_assert_int_eq(decline->as.decline.reason, reason);
    return decline;
}

/* False where the lane that we know has just been given up for another. */
static bool ask(const struct attempt *a, uint32_t part, uint64_t first, uint32_t count) {
    struct fed_bulk_head head = {.kind = FED_BULK_GET,
                                 .what = {FED_OBJECT_UPDATE, a->terms.round, a->terms.attempt, part},
                                 .first = first,
                                 .count = count};
    uint8_t bytes[FED_BULK_HEAD_MAX];
    size_t n;
    ck_assert_int_eq(fed_bulk_encode(bytes, &n, &head), FED_OK);
    return w.has_bulk && fed_lane_send(w.bulk, &w.bulk_route, bytes, n, NULL, 0, 0) == FED_OK;
}

/* Asks for all chunks of the update, and again for what does not come, until each has come once more. */
static void fetch(const struct attempt *a, uint32_t part, uint64_t n_chunks) {
    unsigned before[CHUNKS_MOST];
    uint64_t end = fed_clock_ms() + BOUND_MS, again = 0;
    ck_assert_uint_le(n_chunks, CHUNKS_MOST);
    memcpy(before, w.arrived, sizeof before);
    for (uint64_t missing = 0; missing < n_chunks;) {
        ck_assert_msg(fed_clock_ms() < end, "chunk %u did not come", (unsigned)missing);
        bool asked = fed_clock_ms() < again;
        for (uint64_t first = missing; !asked && first < n_chunks; first += 2) { /* the last perhaps alone */
            again = ask(a, part, first, 2) ? fed_clock_ms() + 2000 : 0;
        }
        turn();
        while (missing < n_chunks && w.arrived[missing] != before[missing]) {
            missing++;
        }
    }
}

static int open_chunks(uint8_t *plain, const struct attempt *with, const struct fed_msg_offer *offer, uint64_t n_chunks) {
    struct fed_seal_key *key = NULL;
    uint8_t digest[32];
    fed_terms_digest(digest, &with->terms);
    ck_assert_int_eq(fed_seal_update_key_coordinator(&key, with->r, offer->e_pk, w.node.public_keys.seal, digest,
                                                     offer->header, offer->n_header),
                     FED_OK);
    int rc = FED_OK;
    for (uint64_t i = 0; rc == FED_OK && i < n_chunks; i++) {
        rc = fed_open_chunk(plain + i * FED_CHUNK_BYTES, key, i, w.chunks[i], w.n_chunk[i]);
    }
    fed_seal_key_free(key);
    return rc;
}

/* Fetches the offered update and compares it with what the clients must have made, exactly. */
static void fetch_and_open(const struct attempt *a, const struct fed_message *offered, const uint64_t *clients) {
    const struct fed_msg_offer *offer = &offered->as.offer;
    struct fed_update_header *header = malloc(sizeof *header);
    ck_assert_int_eq(fed_update_header_decode(header, offer->header, offer->n_header), FED_OK);
    size_t n = w.model.n_params;
    bool sum = header->encoding == FED_ENCODING_I64;
    ck_assert_uint_eq(header->n_bytes, n * (sum ? 8 : 4));
    uint8_t *plain = malloc(header->n_chunks * FED_CHUNK_BYTES);
    int64_t *expected = calloc(n, sizeof *expected);
    float *delta = malloc(n * sizeof *delta);
    for (size_t k = 0; clients[k] != 0; k++) {
        ck_assert_uint_lt(k, header->n_clients);
        ck_assert_uint_eq(header->clients[k], clients[k]);
        ck_assert_uint_eq(header->weights[k], 10 * clients[k]);
        ck_assert_float_eq(header->losses[k], 0.25f * (float)clients[k]);
        ck_assert(clients[k + 1] != 0 || header->n_clients == k + 1);
        for (size_t i = 0; i < n; i++) {
            delta[i] = delta_of(clients[k], i);
        }
        fed_fixed_add(&w.fixed, expected, delta, n, 10 * clients[k], 1);
    }
    fetch(a, offer->part, header->n_chunks);
    ck_assert_int_eq(open_chunks(plain, a, offer, header->n_chunks), FED_OK);
    ck_assert_mem_eq(plain, sum ? (const void *)expected : (const void *)delta, header->n_bytes);
    free(delta);
    free(expected);
    free(plain);
    free(header);
}

static int calls(uint64_t client) { return atomic_load(&w.counter.calls[client - FIRST]); }

/* -- greeting ----------------------------------------------------------------------------------------------------------- */

START_TEST(hello_says_who_we_are) {
    const struct fed_kernels *kernels;
    ck_assert_int_eq(fed_kernels_choose(&kernels, NULL), FED_OK);
    start_node(false);
    struct fed_message *message = await(FED_MSG_HELLO);
    const struct fed_msg_hello *hello = &message->as.hello;
    ck_assert_uint_eq(hello->protocol_minor, FED_PROTOCOL_MINOR);
    ck_assert_str_eq(hello->build, "fedavg " FED_VERSION);
    ck_assert_str_eq(hello->kernel_family, ""); /* the task will tell */
    ck_assert_str_eq(hello->kernels, kernels->name);
    ck_assert_uint_eq(hello->workers, 2);
    ck_assert_uint_eq(hello->n_hosted, 1);
    ck_assert_uint_eq(hello->hosted[0].first, FIRST);
    ck_assert_uint_eq(hello->hosted[0].count, COUNT);
    ck_assert(!hello->has_partition && !hello->has_model);
    free(message);
    message = await(FED_MSG_HELLO); /* until it is answered */
    welcome();
    free(message);
    message = await(FED_MSG_STATUS); /* and then a sign of life, though nothing is to be done */
    ck_assert_int_eq(message->as.status.phase, FED_PHASE_IDLE);
    free(message);
}
END_TEST

START_TEST(with_a_task_for_openblas_the_node_says_what_it_trains_in) {
    struct fed_message *message;
    bool told = false;
    ck_assert_int_eq(setenv("FEDAVG_BLAS", "/nowhere/libopenblas.so.0", 1), 0);
    w.task.math = FED_MATH_BLAS;
    start_node(false);
    greet();
    while (!told) { /* the first greeting may have been repeated */
        message = await(FED_MSG_HELLO);
        told = strcmp(message->as.hello.kernel_family, "exact") == 0;
        ck_assert(told || message->as.hello.kernel_family[0] == '\0');
        free(message);
    }
}
END_TEST

START_TEST(a_stranger_to_the_coordinator_greets_again) {
    start_node(false);
    greet();
    free(await(FED_MSG_STATUS));
    struct fed_message refused = {.kind = FED_MSG_REFUSED, .as.refused = {.code = FED_REFUSAL_ROUND, .retry_after_ms = 1}};
    tell(&refused);
    greet();
    free(await(FED_MSG_STATUS));
}
END_TEST

static void expect_check(int rc, const char *words) {
    uint64_t end = fed_clock_ms() + BOUND_MS;
    for (bool over = false; !over;) {
        ck_assert_msg(fed_clock_ms() < end, "the check does not end");
        if (w.control != NULL) {
            turn();
        }
        for (size_t i = 0; i < w.n_queue; i++) {
            if (w.queue[i]->kind == FED_MSG_HELLO && rc == FED_OK) {
                welcome();
            }
        }
        forget_messages();
        struct timespec soon;
        clock_gettime(CLOCK_REALTIME, &soon);
        soon.tv_nsec = soon.tv_nsec < 990000000 ? soon.tv_nsec + 10000000 : soon.tv_nsec;
        over = pthread_timedjoin_np(w.thread, NULL, &soon) == 0;
    }
    w.running = false;
    ck_assert_int_eq(w.rc, rc);
    ck_assert_msg(strstr(w.err.text, words) != NULL, "\"%s\" is not in: %s", words, w.err.text);
}

START_TEST(check_is_welcomed) {
    start_node(true);
    expect_check(FED_OK, "");
}
END_TEST

START_TEST(a_check_after_the_coordinator_has_gone_does_not_find_its_old_welcome) {
    char line[128] = "welcomed";
    start_node(true);
    expect_check(FED_OK, "");
    close_lanes();
    fed_session_set_check(w.session, false);
    for (uint64_t end = fed_clock_ms() + BOUND_MS; strstr(line, "welcomed") != NULL;) {
        ck_assert_msg(fed_clock_ms() < end, "the node does not see that the coordinator has gone");
        ck_assert_int_eq(fed_link_poll(w.link, NULL, 0, 0), FED_OK); /* lets go of the connection */
        ck_assert_int_eq(fed_session_step(w.session, 100, NULL), FED_EAGAIN);
        fed_session_standing(w.session, line, sizeof line);
    }
    fed_session_set_check(w.session, true);
    ck_assert_int_eq(fed_session_run(w.session, &w.err), FED_EPEER);
    ck_assert_ptr_nonnull(strstr(w.err.text, "cannot be reached"));
}
END_TEST

START_TEST(check_says_that_the_key_is_not_on_the_roster) {
    w.enrolled = false;
    start_node(true);
    expect_check(FED_EPEER, "this node's key is not on the coordinator's roster");
    ck_assert_ptr_nonnull(strstr(w.err.text, "ward-7.key"));
}
END_TEST

START_TEST(check_says_that_the_coordinators_key_is_another) {
    w.config.coordinator_key.curve[0] ^= 1;
    start_node(true);
    expect_check(FED_EPEER, "does not hold the key that coordinator_key names in client.yaml");
}
END_TEST

START_TEST(check_says_that_nobody_is_there) {
    close_lanes();
    start_node(true);
    expect_check(FED_EPEER, "cannot be reached");
}
END_TEST

START_TEST(check_says_why_hello_was_refused) {
    start_node(true);
    free(await(FED_MSG_HELLO));
    struct fed_message refused = {.kind = FED_MSG_REFUSED, .as.refused = {.code = FED_REFUSAL_PARTITION}};
    tell(&refused);
    expect_check(FED_EPEER, "its data or its split is not the task's");
}
END_TEST

/* -- rounds ------------------------------------------------------------------------------------------------------------- */

static size_t lines_of_sent_log(void) {
    char path[80];
    uint8_t *text = NULL;
    size_t n, lines = 0;
    snprintf(path, sizeof path, "%s/sent.log", w.state);
    ck_assert_int_eq(fed_file_read(&text, &n, path, 1 << 20, NULL), FED_OK);
    for (size_t i = 0; i < n; i++) {
        lines += text[i] == '\n';
    }
    free(text);
    return lines;
}

static void whole_round(enum fed_encoding encoding, const uint64_t *clients) {
    struct attempt a;
    start_node(false);
    greet();
    open_attempt(&a, 5, 1);
    give_pass(&a);
    say_round(&a, 3, encoding, true, clients);
    struct fed_message *offer = await_offer(&a, 3);
    ck_assert_uint_ge(w.model_gets, 1);
    ck_assert_uint_eq(lines_of_sent_log(), 0); /* nothing has left yet */
    fetch_and_open(&a, offer, clients);
    ck_assert_uint_eq(lines_of_sent_log(), 1);
    say_admitted(&a, 3);
    say_end(&a, true);
    free(offer);
    close_attempt(&a);
    struct fed_message *idle = await(FED_MSG_STATUS);
    while (idle->as.status.phase != FED_PHASE_IDLE) {
        free(idle);
        idle = await(FED_MSG_STATUS);
    }
    free(idle);
}

START_TEST(a_round_is_trained_offered_fetched_and_opened) { whole_round(FED_ENCODING_I64, IDS(11, 12, 14)); }
END_TEST

START_TEST(a_single_update_travels_as_it_is) { whole_round(FED_ENCODING_F32, IDS(12)); }
END_TEST

START_TEST(what_is_asked_again_is_answered_the_same) {
    struct attempt a;
    start_node(false);
    greet();
    open_attempt(&a, 5, 1);
    give_pass(&a);
    say_round(&a, 0, FED_ENCODING_I64, false, IDS(12));
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(12, 11));
    struct fed_message *first = await_offer(&a, 0);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(12, 11));
    struct fed_message *second = await_offer(&a, 0); /* said again because nobody answers */
    ck_assert_mem_eq(first->as.offer.e_pk, second->as.offer.e_pk, 32);
    ck_assert_uint_eq(first->as.offer.n_header, second->as.offer.n_header);
    ck_assert_mem_eq(first->as.offer.header, second->as.offer.header, first->as.offer.n_header);
    fetch_and_open(&a, first, IDS(11, 12));
    uint8_t *chunk = malloc(w.n_chunk[1]);
    memcpy(chunk, w.chunks[1], w.n_chunk[1]);
    fetch_and_open(&a, first, IDS(11, 12));
    ck_assert_mem_eq(chunk, w.chunks[1], w.n_chunk[1]);
    ck_assert_uint_eq(lines_of_sent_log(), 1); /* one update, however often its chunks were asked for */
    ck_assert_int_eq(calls(11), 1);
    ck_assert_int_eq(calls(12), 1);
    free(chunk);
    free(first);
    free(second);
    close_attempt(&a);
}
END_TEST

START_TEST(another_attempt_is_sealed_anew_and_not_trained_again) {
    struct attempt a, b;
    start_node(false);
    greet();
    open_attempt(&a, 5, 1);
    give_pass(&a);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11, 12));
    struct fed_message *old = await_offer(&a, 0);
    say_end(&a, false);
    w.serve_model = false; /* it has the model: nothing but the held one can be trained from */
    open_attempt(&b, 5, 2);
    give_pass(&b);
    say_round(&b, 0, FED_ENCODING_I64, true, IDS(12, 11, 13));
    struct fed_message *anew = await_offer(&b, 0);
    ck_assert_mem_ne(old->as.offer.e_pk, anew->as.offer.e_pk, 32);
    fetch_and_open(&b, anew, IDS(11, 12, 13));
    uint8_t *plain = malloc(CHUNKS_MOST * FED_CHUNK_BYTES);
    ck_assert_int_eq(open_chunks(plain, &a, &anew->as.offer, 1), FED_ESEAL);
    ck_assert_int_eq(open_chunks(plain, &b, &old->as.offer, 1), FED_ESEAL);
    ck_assert_int_eq(open_chunks(plain, &a, &old->as.offer, 1), FED_ESEAL);
    free(plain);
    for (uint64_t client = 11; client <= 13; client++) {
        ck_assert_int_eq(calls(client), 1);
    }
    ck_assert_uint_eq(lines_of_sent_log(), 1); /* the first was never fetched */
    free(old);
    free(anew);
    close_attempt(&a);
    close_attempt(&b);
}
END_TEST

START_TEST(a_new_model_is_fetched_and_trained_from) {
    struct attempt a, b;
    start_node(false);
    greet();
    open_attempt(&a, 5, 1);
    give_pass(&a);
    say_round(&a, 0, FED_ENCODING_F32, true, IDS(11));
    free(await_offer(&a, 0));
    say_admitted(&a, 0);
    say_end(&a, true);
    unsigned gets = w.model_gets;
    open_attempt(&b, 6, 1);
    give_pass(&b);
    say_round(&b, 0, FED_ENCODING_F32, true, IDS(11));
    struct fed_message *offer = await_offer(&b, 0);
    ck_assert_uint_gt(w.model_gets, gets);
    fetch_and_open(&b, offer, IDS(11));
    ck_assert_int_eq(calls(11), 2);
    free(offer);
    close_attempt(&a);
    close_attempt(&b);
}
END_TEST

START_TEST(what_is_refused_for_now_is_offered_again) {
    struct attempt a;
    start_node(false);
    greet();
    open_attempt(&a, 5, 1);
    give_pass(&a);
    say_round(&a, 2, FED_ENCODING_I64, true, IDS(11));
    struct fed_message *first = await_offer(&a, 2);
    struct fed_message busy = {
        .kind = FED_MSG_REFUSED,
        .as.refused = {.code = FED_REFUSAL_BUSY, .round = 5, .attempt = 1, .part = 2, .retry_after_ms = 50}};
    tell(&busy);
    struct fed_message *again = await_offer(&a, 2);
    ck_assert_mem_eq(first->as.offer.e_pk, again->as.offer.e_pk, 32);
    fetch_and_open(&a, again, IDS(11));
    say_admitted(&a, 2);
    free(first);
    free(again);
    close_attempt(&a);
}
END_TEST

START_TEST(the_end_of_the_run_is_answered_at_once) {
    struct attempt a;
    w.ping_ms = 24 * 3600 * 1000; /* by itself it says nothing today */
    start_node(false);
    greet();
    open_attempt(&a, 5, 1);
    give_pass(&a);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11));
    free(await_offer(&a, 0));
    struct fed_message end = {.kind = FED_MSG_END,
                              .as.end = {.round = 5, .attempt = 1, .committed = true, .finished = true}};
    tell(&end);
    struct fed_message *status = await(FED_MSG_STATUS);
    while (status->as.status.phase != FED_PHASE_IDLE) { /* of before */
        free(status);
        status = await(FED_MSG_STATUS);
    }
    ck_assert_uint_eq(status->as.status.round, 0);
    free(status);
    close_attempt(&a);
}
END_TEST

/* -- what is declined --------------------------------------------------------------------------------------------------- */

START_TEST(a_client_over_the_norm_ceiling_is_left_out_of_the_sum) {
    struct attempt a;
    start_node(false);
    greet();
    open_attempt(&a, 5, 1);
    give_pass(&a);
    double norms[2];
    for (uint64_t k = 0; k < 2; k++) {
        float *delta = malloc(w.model.n_params * sizeof *delta);
        for (size_t i = 0; i < w.model.n_params; i++) {
            delta[i] = delta_of(11 + k, i);
        }
        norms[k] = fed_norm(delta, w.model.n_params);
        free(delta);
    }
    ck_assert(norms[0] != norms[1]);
    uint64_t large = norms[0] > norms[1] ? 11 : 12, small = 23 - large;
    a.limits.norm_ceiling = (norms[0] + norms[1]) / 2;
    say_round(&a, 4, FED_ENCODING_I64, true, IDS(11, 12));
    struct fed_message *decline = await_decline(5, 1, 4, FED_DECLINE_NORM);
    ck_assert_uint_eq(decline->as.decline.n_clients, 1);
    ck_assert_uint_eq(decline->as.decline.clients[0], large);
    free(decline);
    struct fed_message *offer = await_offer(&a, 4);
    fetch_and_open(&a, offer, IDS(small));
    free(offer);
    close_attempt(&a);
}
END_TEST

START_TEST(a_round_that_is_not_the_tasks_is_declined) {
    struct attempt a;
    start_node(false);
    greet();
    open_attempt(&a, 5, 1);
    give_pass(&a);
    a.terms.epochs = 3;
    say_round(&a, 4, FED_ENCODING_I64, true, IDS(11));
    struct fed_message *decline = await_decline(5, 1, 4, FED_DECLINE_FAILED);
    ck_assert_uint_eq(decline->as.decline.n_clients, 0);
    free(decline);
    a.terms.epochs = 2;
    a.terms.n_params++;
    a.terms.attempt = 2;
    say_round(&a, 4, FED_ENCODING_I64, true, IDS(11));
    free(await_decline(5, 2, 4, FED_DECLINE_FAILED));
    a.terms.n_params--;
    say_round(&a, 5, FED_ENCODING_I64, true, IDS(11)); /* and the right one is done */
    struct fed_message *offer = await_offer(&a, 5);
    fetch_and_open(&a, offer, IDS(11));
    free(offer);
    close_attempt(&a);
}
END_TEST

START_TEST(a_task_beyond_the_owners_limits_is_declined_by_name) {
    struct attempt a;
    w.config.limits.max_epochs = 1;
    start_node(false);
    greet();
    open_attempt(&a, 5, 1);
    give_pass(&a);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11));
    free(await_decline(5, 1, 0, FED_DECLINE_EPOCHS));
    ck_assert_int_eq(calls(11), 0);
    ck_assert_uint_eq(w.model_gets, 0);
    close_attempt(&a);
}
END_TEST

START_TEST(who_cannot_be_delivered_is_declined_and_the_others_come) {
    struct attempt a;
    atomic_store(&w.counter.poisoned, 12);
    start_node(false);
    greet();
    open_attempt(&a, 5, 1);
    give_pass(&a);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(12, 11, 99));
    bool seen[2] = {false};
    for (int i = 0; i < 2; i++) {
        struct fed_message *decline = await(FED_MSG_DECLINE);
        ck_assert_uint_eq(decline->as.decline.n_clients, 1);
        bool not_hosted = decline->as.decline.clients[0] == 99;
        ck_assert(not_hosted || decline->as.decline.clients[0] == 12);
        ck_assert_int_eq(decline->as.decline.reason, not_hosted ? FED_DECLINE_NO_DATA : FED_DECLINE_FAILED);
        seen[not_hosted] = true;
        free(decline);
    }
    ck_assert(seen[0] && seen[1]);
    struct fed_message *offer = await_offer(&a, 0);
    fetch_and_open(&a, offer, IDS(11));
    free(offer);
    close_attempt(&a);
}
END_TEST

START_TEST(a_part_that_was_declined_is_declined_again_when_it_is_asked_for_again) {
    struct attempt a;
    start_node(false);
    greet();
    open_attempt(&a, 5, 1);
    give_pass(&a);
    memset(a.terms.r_pk, 0, sizeof a.terms.r_pk); /* no key: nothing can be sealed for it */
    for (int i = 0; i < 2; i++) {                 /* as if the first answer had been lost */
        say_round(&a, 0, FED_ENCODING_I64, true, IDS(11, 12));
        struct fed_message *decline = await_decline(5, 1, 0, FED_DECLINE_FAILED);
        ck_assert_uint_eq(decline->as.decline.n_clients, 0);
        free(decline);
    }
    ck_assert_int_eq(calls(11), 1);
    close_attempt(&a);
}
END_TEST

START_TEST(a_model_that_is_not_the_terms_is_declined) {
    struct attempt a;
    start_node(false);
    greet();
    open_attempt(&a, 5, 1);
    give_pass(&a);
    a.terms.model_digest[3] ^= 1;
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11));
    free(await_decline(5, 1, 0, FED_DECLINE_FAILED));
    memcpy(a.terms.model_digest, a.image->digest, 32);
    a.terms.round = 6; /* the file is of round 4 */
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11));
    free(await_decline(6, 1, 0, FED_DECLINE_FAILED));
    ck_assert_int_eq(calls(11), 0);
    close_attempt(&a);
}
END_TEST

/* -- what happens to connections ---------------------------------------------------------------------------------------- */

START_TEST(a_restarted_coordinator_is_greeted_and_gets_what_was_trained) {
    struct attempt a, b;
    start_node(false);
    greet();
    open_attempt(&a, 5, 1);
    give_pass(&a);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11, 12));
    free(await_offer(&a, 0));
    close_lanes();
    open_lanes();
    struct fed_message *hello = await(FED_MSG_HELLO);
    ck_assert(hello->as.hello.has_model);
    ck_assert_mem_eq(hello->as.hello.model_digest, a.image->digest, 32);
    free(hello);
    welcome();
    w.serve_model = false;
    open_attempt(&b, 5, 2);
    give_pass(&b);
    say_round(&b, 0, FED_ENCODING_I64, true, IDS(11, 12));
    struct fed_message *offer = await_offer(&b, 0);
    fetch_and_open(&b, offer, IDS(11, 12));
    ck_assert_int_eq(calls(11), 1);
    free(offer);
    close_attempt(&a);
    close_attempt(&b);
}
END_TEST

/* The coordinator lives and goes on with the attempt: it gave the old parts to nobody in particular, and gives this node new
 * ones with a new pass. */
START_TEST(a_lost_connection_is_made_good_within_the_attempt) {
    struct attempt a;
    start_node(false);
    greet();
    open_attempt(&a, 5, 1);
    give_pass(&a);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11, 12));
    free(await_offer(&a, 0));
    close_lanes();
    open_lanes();
    greet();
    give_pass(&a); /* the old one is not let in any more */
    say_round(&a, 1, FED_ENCODING_I64, true, IDS(12));
    struct fed_message *status = await(FED_MSG_STATUS);
    while (status->as.status.total == 0) {
        free(status);
        status = await(FED_MSG_STATUS);
    }
    ck_assert_uint_eq(status->as.status.total, 1); /* nothing of the void part */
    free(status);
    struct fed_message *offer = await_offer(&a, 1);
    fetch_and_open(&a, offer, IDS(12));
    ck_assert_int_eq(calls(12), 1);
    free(offer);
    close_attempt(&a);
}
END_TEST

/* The coordinator was not away for long and still knows this program: the offer stands, and so does the pass. */
START_TEST(who_is_kept_goes_on_where_the_connection_broke) {
    struct attempt a;
    start_node(false);
    struct fed_message *hello = await(FED_MSG_HELLO);
    uint64_t instance = hello->as.hello.instance;
    ck_assert_uint_ne(instance, 0);
    free(hello);
    welcome();
    open_attempt(&a, 5, 1);
    give_pass(&a);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11, 12));
    struct fed_message *offer = await_offer(&a, 0), *again;
    fetch(&a, 0, 1);
    close_lanes();
    open_lanes();
    hello = await(FED_MSG_HELLO);
    ck_assert_uint_eq(hello->as.hello.instance, instance);
    free(hello);
    welcome_back(true);
    again = await_offer(&a, 0); /* not sealed anew: what was fetched before is of the same update */
    ck_assert_mem_eq(again->as.offer.e_pk, offer->as.offer.e_pk, sizeof offer->as.offer.e_pk);
    fetch_and_open(&a, again, IDS(11, 12));
    ck_assert_int_eq(calls(11), 1);
    free(offer);
    free(again);
    close_attempt(&a);
}
END_TEST

static void play_round_after_restart(uint64_t round, uint32_t attempt) {
    struct attempt a;
    close_lanes();
    open_lanes();
    greet();
    open_attempt(&a, round, attempt);
    give_pass(&a);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(13));
    struct fed_message *offer = await_offer(&a, 0);
    fetch_and_open(&a, offer, IDS(13));
    free(offer);
    close_attempt(&a);
}

START_TEST(a_restored_or_new_run_may_be_in_an_earlier_round) {
    struct attempt a;
    start_node(false);
    greet();
    open_attempt(&a, 5, 2);
    give_pass(&a);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11));
    free(await_offer(&a, 0));
    play_round_after_restart(3, 1); /* restored from a backup */
    play_round_after_restart(3, 1); /* and once more: the same numbers with other secrets */
    ck_assert_int_eq(calls(13), 1);
    w.run_id[0] ^= 1;
    play_round_after_restart(1, 1); /* another run at the same address */
    ck_assert_int_eq(calls(13), 2);
    close_attempt(&a);
}
END_TEST

START_TEST(rounds_go_up_while_a_connection_lasts) {
    struct attempt a, old;
    start_node(false);
    greet();
    open_attempt(&old, 4, 1);
    open_attempt(&a, 5, 2);
    give_pass(&a);
    memcpy(old.handle, a.handle, sizeof a.handle);
    memcpy(old.capability, a.capability, sizeof a.capability);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11));
    say_round(&old, 0, FED_ENCODING_I64, true, IDS(13));
    struct fed_message *offer = await(FED_MSG_OFFER);
    ck_assert_uint_eq(offer->as.offer.round, 5);
    fetch_and_open(&a, offer, IDS(11));
    ck_assert_int_eq(calls(13), 0);
    free(offer);
    close_attempt(&old);
    close_attempt(&a);
}
END_TEST

/* After a rollback attempts begin at 1 again, and parts at 0: what is said late of the round that was given up, by its own
 * numbers, ends nothing of the next. */
START_TEST(late_answers_of_the_round_before_end_nothing_of_this_one) {
    struct attempt before, a;
    start_node(false);
    greet();
    open_attempt(&before, 5, 1);
    give_pass(&before);
    say_round(&before, 0, FED_ENCODING_I64, true, IDS(11));
    free(await_offer(&before, 0));
    say_end(&before, false);
    open_attempt(&a, 6, 1);
    give_pass(&a);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(12));
    free(await_offer(&a, 0));
    struct fed_message refused = {.kind = FED_MSG_REFUSED,
                                  .as.refused = {.code = FED_REFUSAL_LATE, .round = 5, .attempt = 1}};
    tell(&refused);
    say_admitted(&before, 0);
    say_end(&before, true);
    struct fed_message *offer = await_offer(&a, 0); /* still waiting for its own answer */
    fetch_and_open(&a, offer, IDS(12));
    free(offer);
    close_attempt(&before);
    close_attempt(&a);
}
END_TEST

START_TEST(a_node_that_is_struck_off_while_it_trains_comes_back_later) {
    struct attempt a, b;
    atomic_store(&w.counter.held, true);
    start_node(false);
    greet();
    open_attempt(&a, 5, 1);
    give_pass(&a);
    say_round(&a, 0, FED_ENCODING_I64, true, IDS(11, 12, 13, 14, 15, 16, 99));
    uint64_t end = fed_clock_ms() + BOUND_MS;
    while (calls(11) == 0) {
        ck_assert_msg(fed_clock_ms() < end, "nothing is trained");
        turn();
    }
    w.enrolled = false;
    close_lanes();
    open_lanes();
    while (w.refused < 2) { /* its socket was closed in between */
        ck_assert_msg(fed_clock_ms() < end, "it did not try again");
        turn();
    }
    atomic_store(&w.counter.held, false); /* now it has results and nobody to tell them to */
    while (calls(16) == 0) {
        ck_assert_msg(fed_clock_ms() < end, "it does not train on");
        turn();
    }
    w.enrolled = true;
    greet();
    open_attempt(&b, 5, 2);
    give_pass(&b);
    say_round(&b, 0, FED_ENCODING_I64, true, IDS(11, 16));
    struct fed_message *offer = await_offer(&b, 0);
    fetch_and_open(&b, offer, IDS(11, 16));
    ck_assert_int_eq(calls(11), 1);
    free(offer);
    close_attempt(&a);
    close_attempt(&b);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("session");
    TCase *tests = tcase_create("session");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, hello_says_who_we_are);
    tcase_add_test(tests, with_a_task_for_openblas_the_node_says_what_it_trains_in);
    tcase_add_test(tests, a_stranger_to_the_coordinator_greets_again);
    tcase_add_test(tests, check_is_welcomed);
    tcase_add_test(tests, a_check_after_the_coordinator_has_gone_does_not_find_its_old_welcome);
    tcase_add_test(tests, check_says_that_the_key_is_not_on_the_roster);
    tcase_add_test(tests, check_says_that_the_coordinators_key_is_another);
    tcase_add_test(tests, check_says_that_nobody_is_there);
    tcase_add_test(tests, check_says_why_hello_was_refused);
    tcase_add_test(tests, a_round_is_trained_offered_fetched_and_opened);
    tcase_add_test(tests, a_single_update_travels_as_it_is);
    tcase_add_test(tests, what_is_asked_again_is_answered_the_same);
    tcase_add_test(tests, another_attempt_is_sealed_anew_and_not_trained_again);
    tcase_add_test(tests, a_new_model_is_fetched_and_trained_from);
    tcase_add_test(tests, what_is_refused_for_now_is_offered_again);
    tcase_add_test(tests, the_end_of_the_run_is_answered_at_once);
    tcase_add_test(tests, a_client_over_the_norm_ceiling_is_left_out_of_the_sum);
    tcase_add_test(tests, a_round_that_is_not_the_tasks_is_declined);
    tcase_add_test(tests, a_task_beyond_the_owners_limits_is_declined_by_name);
    tcase_add_test(tests, who_cannot_be_delivered_is_declined_and_the_others_come);
    tcase_add_test(tests, a_part_that_was_declined_is_declined_again_when_it_is_asked_for_again);
    tcase_add_test(tests, a_model_that_is_not_the_terms_is_declined);
    tcase_add_test(tests, a_restarted_coordinator_is_greeted_and_gets_what_was_trained);
    tcase_add_test(tests, a_lost_connection_is_made_good_within_the_attempt);
    tcase_add_test(tests, who_is_kept_goes_on_where_the_connection_broke);
    tcase_add_test(tests, a_restored_or_new_run_may_be_in_an_earlier_round);
    tcase_add_test(tests, rounds_go_up_while_a_connection_lasts);
    tcase_add_test(tests, late_answers_of_the_round_before_end_nothing_of_this_one);
    tcase_add_test(tests, a_node_that_is_struck_off_while_it_trains_comes_back_later);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
