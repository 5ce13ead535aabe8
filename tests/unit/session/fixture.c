#include "tests/unit/session/fixture.h"

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
#include "common/base/log.h"
#include "common/numeric/fixed.h"
#include "common/seal/seal.h"
#include "proto/wire.h"

#define BULK_FRAME (FED_CHUNK_BYTES + 512)

float delta_of(uint64_t client, size_t i) { return (float)((double)client * 0.01 + (double)(i % 1000) * 0.0001); }

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

struct world w;

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

void open_lanes(void) {
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

void forget_messages(void) {
    for (size_t i = 0; i < w.n_queue; i++) {
        free(w.queue[i]);
    }
    w.n_queue = 0;
}

void close_lanes(void) {
    fed_lane_close(w.control);
    fed_lane_close(w.bulk);
    w.control = w.bulk = NULL;
    w.has_bulk = false;
    forget_messages();
}

static struct fed_task_terms small_task(void) {
    return (struct fed_task_terms){.seed = 3,
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
}

/* Of the node that the world has. */
static struct fed_client_config config_of_node(void) {
    return (struct fed_client_config){.path = (char *)"client.yaml",
                                      .coordinator = w.control_endpoint,
                                      .coordinator_key = w.coordinator.public_keys,
                                      .key = (char *)"ward-7.key",
                                      .first_client = FIRST,
                                      .n_clients = COUNT,
                                      .workers = 2,
                                      .limits = {4096, 20, 3600, 2048},
                                      .state_dir = w.state};
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
    w.task = small_task();
    ck_assert_int_eq(fed_model_init(&w.model, &w.task.model, NULL), FED_OK);
    ck_assert_int_eq(fed_fixed_init(&w.fixed, w.task.max_delta, w.task.max_weight, w.task.max_updates, NULL), FED_OK);
    w.run_id[0] = 0xab;
    const struct fed_gate gate = {NULL, gate_curve, gate_plain};
    ck_assert_int_eq(fed_link_new(&w.link, 1, 64, &gate, NULL), FED_OK);
    w.config = config_of_node();
    w.stop_fd = eventfd(0, EFD_NONBLOCK);
    open_lanes();
}

static void *run_node(void *unused) {
    (void)unused;
    w.rc = fed_session_run(w.session, &w.err);
    return NULL;
}

void start_node(bool check) {
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

TCase *session_case(const char *name) {
    TCase *cases = tcase_create(name);
    tcase_add_checked_fixture(cases, setup, teardown);
    return cases;
}

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

void turn(void) {
    struct fed_poll_item items[] = {{.lane = w.control}, {.lane = w.bulk}};
    ck_assert_int_eq(fed_link_poll(w.link, items, 2, 100), FED_OK);
    hear_control();
    hear_bulk();
}

struct fed_message *await(enum fed_message_kind kind) {
    uint64_t end = fed_clock_ms() + BOUND_MS;
    for (;;) {
        for (size_t i = 0; i < w.n_queue; i++) {
            struct fed_message *message = w.queue[i];
            if (message->kind == kind) {
                for (size_t k = 0; k < i; k++) {
                    free(w.queue[k]);
                }
                w.n_queue -= i + 1;
                for (size_t k = 0; k < w.n_queue; k++) { /* memcheck takes a checked memmove for a memcpy */
                    w.queue[k] = w.queue[k + i + 1];
                }
                return message;
            }
        }
        ck_assert_msg(fed_clock_ms() < end, "message %d did not come", (int)kind);
        turn();
    }
}
