#include "tests/unit/host/fixture.h"

#include <check.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/host.h"
#include "common/base/clock.h"
#include "common/base/file.h"

int count_training(void *context, float *delta, struct fed_sgd_report *report, const float *params, size_t n_params,
                   uint64_t client, const atomic_bool *cancel) {
    struct counter *seen = context;
    atomic_fetch_add(&seen->calls[client - FIRST], 1);
    int inside = atomic_fetch_add(&seen->inside, 1) + 1, most = atomic_load(&seen->most_inside);
    while (inside > most && !atomic_compare_exchange_weak(&seen->most_inside, &most, inside)) {
    }
    while ((atomic_load(&seen->held) || atomic_load(&seen->most_inside) < atomic_load(&seen->gather)) &&
           !atomic_load(cancel)) {
        sched_yield();
    }
    atomic_fetch_sub(&seen->inside, 1);
    if (atomic_load(cancel)) {
        atomic_fetch_add(&seen->cancelled, 1);
        return FED_EINTERRUPTED;
    }
    for (size_t i = 0; i < n_params; i++) {
        delta[i] = (float)client + params[i];
    }
    *report = (struct fed_sgd_report){.n_examples = client, .n_steps = 1, .mean_loss = 0.5};
    return atomic_load(&seen->rc);
}

char dir[32], images[64], labels[64];
struct counter counter;
struct fed_client_config config;
struct fed_task_terms terms;
struct fed_model model;
struct fed_host *host;

static void write_file(const char *path, const void *bytes, size_t n) {
    const struct iovec part = {(void *)(uintptr_t)bytes, n};
    ck_assert_int_eq(fed_file_replace(path, &part, 1, 0600, NULL), FED_OK);
}

static void write_data(void) {
    uint8_t x[16 + EXAMPLES * FEATURES] = {0, 0, 8, 3, 0, 0, 0, EXAMPLES, 0, 0, 0, 4, 0, 0, 0, 4};
    uint8_t y[8 + EXAMPLES] = {0, 0, 8, 1, 0, 0, 0, EXAMPLES};
    for (size_t i = 0; i < EXAMPLES * FEATURES; i++) {
        x[16 + i] = (uint8_t)(i * 7919 >> 3);
    }
    for (size_t i = 0; i < EXAMPLES; i++) {
        y[8 + i] = (uint8_t)(i * 5 % CLASSES);
    }
    snprintf(images, sizeof images, "%s/images", dir);
    snprintf(labels, sizeof labels, "%s/labels", dir);
    write_file(images, x, sizeof x);
    write_file(labels, y, sizeof y);
}

void task_of(uint32_t inputs, uint32_t classes) {
    terms = (struct fed_task_terms){.seed = 11,
                                    .model = {.input = {inputs}, .n_layers = 1, .layers = {{classes, FED_LINEAR}}},
                                    .epochs = 3,
                                    .batch_size = 5,
                                    .learning_rate = 0.25,
                                    .max_delta = 64,
                                    .max_weight = 1000,
                                    .max_updates = 10,
                                    .name = "test"};
    ck_assert_int_eq(fed_model_init(&model, &terms.model, NULL), FED_OK);
}

static void setup(void) {
    strcpy(dir, "/tmp/fed-host-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    write_data();
    memset(&counter, 0, sizeof counter);
    config = (struct fed_client_config){.path = (char *)"client.yaml",
                                        .first_client = FIRST,
                                        .n_clients = COUNT,
                                        .workers = 1,
                                        .limits = {4096, 20, 3600, 2048}};
    host = NULL;
    task_of(INPUTS, UNITS);
    ck_assert_uint_eq(model.n_params, PARAMS);
}

static void teardown(void) {
    fed_host_free(host);
    unlink(images);
    unlink(labels);
    ck_assert_int_eq(rmdir(dir), 0);
}

TCase *host_case(const char *name) {
    TCase *cases = tcase_create(name);
    tcase_add_checked_fixture(cases, setup, teardown);
    return cases;
}

void open_host(bool hooked) {
    const struct fed_host_hook hook = {&counter, count_training};
    struct fed_error err = {""};
    ck_assert_msg(fed_host_new(&host, &config, hooked ? &hook : NULL, &err) == FED_OK, "%s", err.text);
    ck_assert_msg(fed_host_set_task(host, &terms, NULL, &err) == FED_OK, "%s", err.text);
    ck_assert_uint_eq(fed_host_model(host)->n_params, model.n_params);
}

struct fed_image *make_image(uint64_t round, uint64_t seed) {
    struct fed_image *image = NULL;
    ck_assert_int_eq(fed_image_new(&image, &model, (uint8_t[16]){1}, round), FED_OK);
    fed_model_initial(image->params, &model, seed);
    ck_assert_int_eq(fed_image_finish(image, &model, (uint8_t[16]){1}), FED_OK);
    return image;
}

void begin(uint64_t round, uint64_t seed) {
    struct fed_image *image = make_image(round, seed);
    fed_host_begin(host, image, 0.25f);
    ck_assert_ptr_nonnull(fed_host_image(host));
    fed_image_release(image);
}

struct fed_host_update next_update(void) {
    struct fed_host_update update = {0};
    uint64_t end = fed_clock_ms() + BOUND_MS;
    while (!fed_host_finished(host, &update)) {
        struct pollfd ready = {.fd = fed_host_fd(host), .events = POLLIN};
        ck_assert_msg(fed_clock_ms() < end, "nothing was finished");
        poll(&ready, 1, 20); /* or it is time to look whether something takes too long */
    }
    return update;
}

void expect_nothing(void) {
    struct fed_host_update update;
    ck_assert(!fed_host_finished(host, &update));
}

void want(uint64_t client) { ck_assert_int_eq(fed_host_train(host, client), FED_OK); }

int calls(uint64_t client) { return atomic_load(&counter.calls[client - FIRST]); }

void wait_until_begun(uint64_t client, int n) {
    uint64_t end = fed_clock_ms() + BOUND_MS;
    struct fed_host_update update;
    do {
        ck_assert(!fed_host_finished(host, &update)); /* starts what can start */
        ck_assert_msg(fed_clock_ms() < end, "training did not begin");
        sched_yield();
    } while (calls(client) < n);
}

void expect_refused(int code, enum fed_limit limit, const char *word) {
    struct fed_error err = {""};
    enum fed_limit broken = FED_LIMIT_NONE;
    ck_assert_int_eq(fed_host_set_task(host, &terms, &broken, &err), code);
    ck_assert_int_eq(broken, limit);
    ck_assert_msg(strstr(err.text, word) != NULL, "%s is not named: %s", word, err.text);
}
