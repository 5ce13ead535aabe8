/* Who is trained, how often, within which limits, and what is kept of it. A hook counts and holds back trainings; the
 * numbers themselves are compared over real data with a direct call of local SGD. */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/host.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/data/partition.h"

#define BOUND_MS 60000
enum {
    FIRST = 100,
    COUNT = 8,
    INPUTS = 1500,
    UNITS = 32,
    PARAMS = UNITS * (INPUTS + 1),
    EXAMPLES = 50,
    FEATURES = 16,
    CLASSES = 4
};

/* -- a trainer that counts ---------------------------------------------------------------------------------------------- */

struct counter {
    atomic_int calls[COUNT], inside, most_inside, cancelled;
    atomic_bool held;  /* trainings wait until this is false, or they are cancelled */
    atomic_int gather; /* trainings wait until as many have begun */
    atomic_int rc;
};

static int count_training(void *context, float *delta, struct fed_sgd_report *report, const float *params, size_t n_params,
                          uint64_t client, const atomic_bool *cancel) {
    struct counter *counter = context;
    atomic_fetch_add(&counter->calls[client - FIRST], 1);
    int inside = atomic_fetch_add(&counter->inside, 1) + 1, most = atomic_load(&counter->most_inside);
    while (inside > most && !atomic_compare_exchange_weak(&counter->most_inside, &most, inside)) {
    }
    while ((atomic_load(&counter->held) || atomic_load(&counter->most_inside) < atomic_load(&counter->gather)) &&
           !atomic_load(cancel)) {
        sched_yield();
    }
    atomic_fetch_sub(&counter->inside, 1);
    if (atomic_load(cancel)) {
        atomic_fetch_add(&counter->cancelled, 1);
        return FED_EINTERRUPTED;
    }
    for (size_t i = 0; i < n_params; i++) {
        delta[i] = (float)client + params[i];
    }
    *report = (struct fed_sgd_report){.n_examples = client, .n_steps = 1, .mean_loss = 0.5};
    return atomic_load(&counter->rc);
}

/* -- the world ---------------------------------------------------------------------------------------------------------- */

static char dir[32], images[64], labels[64];
static struct counter counter;
static struct fed_client_config config;
static struct fed_task_terms terms;
static struct fed_model model;
static struct fed_host *host;

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

static void task_of(uint32_t inputs, uint32_t classes) {
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

static void open_host(bool hooked) {
    const struct fed_host_hook hook = {&counter, count_training};
    struct fed_error err = {""};
    ck_assert_msg(fed_host_new(&host, &config, hooked ? &hook : NULL, &err) == FED_OK, "%s", err.text);
    ck_assert_msg(fed_host_set_task(host, &terms, NULL, &err) == FED_OK, "%s", err.text);
    ck_assert_uint_eq(fed_host_model(host)->n_params, model.n_params);
}

static struct fed_image *make_image(uint64_t round, uint64_t seed) {
    struct fed_image *image = NULL;
    ck_assert_int_eq(fed_image_new(&image, &model, (uint8_t[16]){1}, round), FED_OK);
    fed_model_initial(image->params, &model, seed);
    ck_assert_int_eq(fed_image_finish(image, &model, (uint8_t[16]){1}), FED_OK);
    return image;
}

static void begin(uint64_t round, uint64_t seed) {
    struct fed_image *image = make_image(round, seed);
    fed_host_begin(host, image, 0.25f);
    ck_assert_ptr_nonnull(fed_host_image(host));
    fed_image_release(image);
}

/* Waits for the next client that is done. */
static struct fed_host_update next_update(void) {
    struct fed_host_update update = {0};
    uint64_t end = fed_clock_ms() + BOUND_MS;
    while (!fed_host_finished(host, &update)) {
        struct pollfd ready = {.fd = fed_host_fd(host), .events = POLLIN};
        ck_assert_msg(fed_clock_ms() < end, "nothing was finished");
        poll(&ready, 1, 20); /* or it is time to look whether something takes too long */
    }
    return update;
}

static void expect_trained(uint64_t client) {
    struct fed_host_update update = next_update();
    ck_assert_uint_eq(update.client, client);
    ck_assert_int_eq(update.rc, FED_OK);
    ck_assert_ptr_nonnull(update.delta);
    for (size_t i = 0; i < PARAMS; i += 100) {
        ck_assert_float_eq(update.delta[i], (float)client + fed_host_image(host)->params[i]);
    }
    ck_assert_uint_eq(update.report.n_examples, client);
}

static void expect_nothing(void) {
    struct fed_host_update update;
    ck_assert(!fed_host_finished(host, &update));
}

static void want(uint64_t client) { ck_assert_int_eq(fed_host_train(host, client), FED_OK); }

static int calls(uint64_t client) { return atomic_load(&counter.calls[client - FIRST]); }

static void wait_until_begun(uint64_t client, int n) {
    uint64_t end = fed_clock_ms() + BOUND_MS;
    struct fed_host_update update;
    do {
        ck_assert(!fed_host_finished(host, &update)); /* starts what can start */
        ck_assert_msg(fed_clock_ms() < end, "training did not begin");
        sched_yield();
    } while (calls(client) < n);
}

/* -- what is kept ------------------------------------------------------------------------------------------------------- */

START_TEST(a_repeated_attempt_trains_nobody_twice) {
    open_host(true);
    begin(4, 1);
    want(FIRST);
    want(FIRST + 3);
    expect_trained(FIRST);
    expect_trained(FIRST + 3);
    expect_nothing();
    fed_host_end(host, true);
    expect_nothing();
    begin(4, 1); /* another object, the same model */
    want(FIRST + 3);
    want(FIRST);
    struct fed_host_update update;
    for (int i = 0; i < 2; i++) {
        ck_assert(fed_host_finished(host, &update)); /* at once */
        ck_assert_int_eq(update.rc, FED_OK);
    }
    expect_nothing();
    want(FIRST); /* asked for again within the attempt */
    ck_assert(fed_host_finished(host, &update));
    ck_assert_int_eq(calls(FIRST), 1);
    ck_assert_int_eq(calls(FIRST + 3), 1);
}
END_TEST

static int train_at_once(void *context, float *delta, struct fed_sgd_report *report, const float *params, size_t n_params,
                         uint64_t client, const atomic_bool *cancel) {
    (void)params;
    (void)cancel;
    atomic_fetch_add((atomic_int *)context, 1);
    memset(delta, 0, n_params * sizeof *delta);
    *report = (struct fed_sgd_report){.n_examples = client};
    return FED_OK;
}

/* Enough for the index to grow many times, and for a search through a list to be seen in the time. */
START_TEST(thousands_of_clients_are_each_trained_and_reported_once_and_kept) {
    enum { MANY = 20000 };
    static bool seen[MANY];
    atomic_int trained = 0;
    const struct fed_host_hook hook = {&trained, train_at_once};
    struct fed_error err = {""};
    config.n_clients = MANY;
    config.workers = 2;
    task_of(1, 2);
    ck_assert_msg(fed_host_new(&host, &config, &hook, &err) == FED_OK, "%s", err.text);
    ck_assert_int_eq(fed_host_set_task(host, &terms, NULL, &err), FED_OK);
    for (int attempt = 1; attempt <= 2; attempt++) {
        begin(4, 1);
        memset(seen, 0, sizeof seen);
        for (uint64_t i = 0; i < MANY; i++) {
            want(FIRST + i * 7919 % MANY); /* each once, in no order */
        }
        for (int i = 0; i < MANY; i++) {
            struct fed_host_update update = next_update();
            ck_assert_int_eq(update.rc, FED_OK);
            ck_assert_uint_eq(update.report.n_examples, update.client);
            ck_assert(!seen[update.client - FIRST]);
            seen[update.client - FIRST] = true;
        }
        expect_nothing();
        fed_host_end(host, true);
        ck_assert_int_eq(atomic_load(&trained), MANY);
    }
}
END_TEST

START_TEST(another_round_model_or_rate_trains_anew) {
    open_host(true);
    int n = 0;
    begin(4, 1);
    want(FIRST);
    expect_trained(FIRST);
    ck_assert_int_eq(calls(FIRST), ++n);
    begin(5, 1); /* another round */
    want(FIRST);
    expect_trained(FIRST);
    ck_assert_int_eq(calls(FIRST), ++n);
    begin(5, 2); /* another model */
    want(FIRST);
    expect_trained(FIRST);
    ck_assert_int_eq(calls(FIRST), ++n);
    struct fed_image *image = make_image(5, 2);
    fed_host_begin(host, image, 0.125f); /* another rate */
    fed_image_release(image);
    want(FIRST);
    expect_trained(FIRST);
    ck_assert_int_eq(calls(FIRST), ++n);
    fed_host_end(host, false); /* committed: nobody wants it any more */
    image = make_image(5, 2);
    fed_host_begin(host, image, 0.125f);
    fed_image_release(image);
    want(FIRST);
    expect_trained(FIRST);
    ck_assert_int_eq(calls(FIRST), ++n);
}
END_TEST

START_TEST(a_training_under_way_serves_the_next_attempt) {
    open_host(true);
    atomic_store(&counter.held, true);
    begin(4, 1);
    want(FIRST);
    wait_until_begun(FIRST, 1);
    fed_host_end(host, true);
    begin(4, 1);
    want(FIRST);
    atomic_store(&counter.held, false);
    expect_trained(FIRST);
    ck_assert_int_eq(calls(FIRST), 1);
    ck_assert_int_eq(atomic_load(&counter.cancelled), 0);
}
END_TEST

START_TEST(what_is_not_wanted_any_more_is_cancelled_and_leaves_nothing) {
    open_host(true);
    atomic_store(&counter.held, true);
    begin(4, 1);
    want(FIRST);
    want(FIRST + 1); /* never begun */
    wait_until_begun(FIRST, 1);
    fed_host_end(host, false);
    begin(5, 2);
    want(FIRST + 2);
    wait_until_begun(FIRST + 2, 1); /* the only worker was freed by cancelling */
    atomic_store(&counter.held, false);
    expect_trained(FIRST + 2);
    expect_nothing();
    ck_assert_int_eq(atomic_load(&counter.cancelled), 1);
    ck_assert_int_eq(calls(FIRST + 1), 0);
}
END_TEST

START_TEST(a_failure_after_the_end_is_nobodys) {
    open_host(true);
    atomic_store(&counter.held, true);
    atomic_store(&counter.rc, FED_EFAILED);
    begin(4, 1);
    want(FIRST);
    wait_until_begun(FIRST, 1);
    fed_host_end(host, true);
    atomic_store(&counter.held, false);
    struct pollfd ready = {.fd = fed_host_fd(host), .events = POLLIN};
    ck_assert_int_eq(poll(&ready, 1, BOUND_MS), 1);
    expect_nothing();
    begin(4, 1);
    want(FIRST);
    struct fed_host_update update = next_update(); /* wanted again: trained again, and told */
    ck_assert_uint_eq(update.client, FIRST);
    ck_assert_int_eq(update.rc, FED_EFAILED);
    ck_assert_int_eq(calls(FIRST), 2);
    expect_nothing();
}
END_TEST

START_TEST(a_released_update_is_trained_again_when_memory_is_short) {
    config.limits.memory_mb = 1;
    open_host(true);
    begin(4, 1);
    for (uint64_t client = FIRST; client < FIRST + 3; client++) {
        want(client);
        expect_trained(client);
        if (client == FIRST + 1) {
            fed_host_release(host, FIRST); /* two updates are less than half of 1 MB: kept */
            want(FIRST);
            expect_trained(FIRST);
            ck_assert_int_eq(calls(FIRST), 1);
        }
    }
    fed_host_release(host, FIRST); /* three are more */
    fed_host_release(host, FIRST + 1);
    fed_host_release(host, FIRST + 77);
    want(FIRST);
    expect_trained(FIRST);
    ck_assert_int_eq(calls(FIRST), 2);
    want(FIRST + 1);
    expect_trained(FIRST + 1);
    ck_assert_int_eq(calls(FIRST + 1), 1);
}
END_TEST

START_TEST(a_model_is_held_until_the_next_one) {
    open_host(true);
    ck_assert_ptr_null(fed_host_image(host));
    begin(4, 1);
    const struct fed_image *image = fed_host_image(host);
    fed_host_end(host, false);
    ck_assert_ptr_eq(fed_host_image(host), image);
    ck_assert_uint_eq(image->round, 4);
    begin(5, 2);
    ck_assert_uint_eq(fed_host_image(host)->round, 5);
}
END_TEST

/* -- workers and limits ------------------------------------------------------------------------------------------------- */

START_TEST(workers_train_at_once_and_each_client_once) {
    config.workers = 3;
    open_host(true);
    atomic_store(&counter.gather, 3);
    begin(4, 1);
    bool seen[COUNT] = {false};
    for (uint64_t i = 0; i < COUNT; i++) {
        want(FIRST + i);
        want(FIRST + i);
    }
    for (uint64_t i = 0; i < COUNT; i++) {
        struct fed_host_update update = next_update();
        ck_assert_int_eq(update.rc, FED_OK);
        ck_assert(!seen[update.client - FIRST]);
        seen[update.client - FIRST] = true;
        ck_assert_float_eq(update.delta[7], (float)update.client + fed_host_image(host)->params[7]);
        ck_assert_int_eq(calls(update.client), 1);
    }
    expect_nothing();
    ck_assert_int_eq(atomic_load(&counter.most_inside), 3);
}
END_TEST

START_TEST(clients_of_others_are_not_trained) {
    open_host(true);
    begin(4, 1);
    ck_assert_int_eq(fed_host_train(host, FIRST - 1), FED_ENOTFOUND);
    ck_assert_int_eq(fed_host_train(host, FIRST + COUNT), FED_ENOTFOUND);
    ck_assert_int_eq(fed_host_train(host, 0), FED_ENOTFOUND);
    ck_assert_int_eq(fed_host_train(host, UINT64_MAX), FED_ENOTFOUND);
    expect_nothing();
}
END_TEST

START_TEST(training_beyond_max_train_s_is_stopped_and_told) {
    config.limits.max_train_s = 0; /* as if the time were over as soon as somebody looks */
    open_host(true);
    atomic_store(&counter.held, true);
    begin(4, 1);
    want(FIRST);
    struct fed_host_update update = next_update();
    ck_assert_uint_eq(update.client, FIRST);
    ck_assert_int_eq(update.rc, FED_EINTERRUPTED);
    ck_assert_int_eq(atomic_load(&counter.cancelled), 1);
    expect_nothing();
}
END_TEST

static void expect_refused(int code, enum fed_limit limit, const char *word) {
    struct fed_error err = {""};
    enum fed_limit broken = FED_LIMIT_NONE;
    ck_assert_int_eq(fed_host_set_task(host, &terms, &broken, &err), code);
    ck_assert_int_eq(broken, limit);
    ck_assert_msg(strstr(err.text, word) != NULL, "%s is not named: %s", word, err.text);
}

START_TEST(limits_of_the_owner_hold) {
    config.limits = (struct fed_limits){.max_model_mb = 1, .max_epochs = 3, .max_train_s = 3600, .memory_mb = 6};
    open_host(true);
    terms.epochs = 4;
    expect_refused(FED_ECONFIG, FED_LIMIT_EPOCHS, "limits.max_epochs: 3");
    terms.epochs = 3;
    terms.model.input.channels = (1 << 20) / 4 / UNITS - 1; /* with the biases 1 MB */
    ck_assert_int_eq(fed_host_set_task(host, &terms, NULL, NULL), FED_OK);
    terms.model.input.channels++;
    expect_refused(FED_ECONFIG, FED_LIMIT_MODEL, "limits.max_model_mb: 1");
    config.limits.max_model_mb = 4096;
    terms.model.input.channels = 2 << 15;
    expect_refused(FED_ECONFIG, FED_LIMIT_MEMORY, "limits.memory_mb: 6");
    terms.model =
        (struct fed_model_spec){.input = {1 << 20}, .n_layers = 2, .layers = {{1 << 14, FED_RELU}, {2, FED_LINEAR}}};
    expect_refused(FED_ECONFIG, FED_LIMIT_MODEL, "limits.max_model_mb: 4096"); /* 2^34 parameters: nothing wraps */
    terms.model.layers[0].units = 1 << 12;
    config.limits.max_model_mb = 1 << 20;
    expect_refused(FED_ECONFIG, FED_LIMIT_MEMORY, "limits.memory_mb: 6");
}
END_TEST

START_TEST(a_task_may_ask_for_openblas) {
    terms.math = FED_MATH_BLAS;
    open_host(true);
    ck_assert_str_eq(fed_host_family(host), "blas");
    ck_assert_str_eq(fed_host_kernels(host), "blas");
    terms.math = FED_MATH_EXACT;
    ck_assert_int_eq(fed_host_set_task(host, &terms, NULL, NULL), FED_OK);
    ck_assert_str_eq(fed_host_family(host), "exact");
    ck_assert_str_ne(fed_host_kernels(host), "blas");
}
END_TEST

START_TEST(without_openblas_a_task_for_it_is_trained_in_exact_arithmetic) {
    const struct fed_host_hook hook = {&counter, count_training};
    ck_assert_int_eq(setenv("FEDAVG_BLAS", "/nowhere/libopenblas.so.0", 1), 0);
    ck_assert_int_eq(fed_host_new(&host, &config, &hook, NULL), FED_OK);
    ck_assert_str_eq(fed_host_family(host), ""); /* the task will tell */
    terms.math = FED_MATH_BLAS;
    ck_assert_int_eq(fed_host_set_task(host, &terms, NULL, NULL), FED_OK);
    ck_assert_str_eq(fed_host_family(host), "exact");
}
END_TEST

START_TEST(another_task_brings_another_model) {
    open_host(true);
    atomic_store(&counter.held, true);
    begin(4, 1);
    want(FIRST);
    wait_until_begun(FIRST, 1);
    task_of(30, 3);
    ck_assert_int_eq(fed_host_set_task(host, &terms, NULL, NULL), FED_OK); /* stops what is under way and waits for it */
    ck_assert_int_eq(atomic_load(&counter.cancelled), 1);
    ck_assert_ptr_null(fed_host_image(host));
    ck_assert_uint_eq(fed_host_model(host)->n_params, 93);
    atomic_store(&counter.held, false);
    begin(4, 1);
    want(FIRST);
    struct fed_host_update update = next_update();
    ck_assert_int_eq(update.rc, FED_OK);
    ck_assert_float_eq(update.delta[92], (float)FIRST + fed_host_image(host)->params[92]);
    ck_assert_int_eq(fed_host_set_task(host, &terms, NULL, NULL), FED_OK); /* the same again changes nothing */
    ck_assert_ptr_nonnull(fed_host_image(host));
}
END_TEST

START_TEST(a_host_may_go_while_it_trains) {
    config.workers = 2;
    open_host(true);
    atomic_store(&counter.held, true);
    begin(4, 1);
    want(FIRST);
    want(FIRST + 1);
    want(FIRST + 2);
    wait_until_begun(FIRST, 1);
    wait_until_begun(FIRST + 1, 1);
    fed_host_free(host);
    host = NULL;
    ck_assert_int_eq(atomic_load(&counter.cancelled), 2);
}
END_TEST

/* -- over real data ----------------------------------------------------------------------------------------------------- */

static void use_data(enum fed_partition_kind kind, uint32_t clients) {
    config.data = (struct fed_data_source){.format = FED_DATA_IDX, .train_images = images, .train_labels = labels};
    config.partition = (struct fed_partition_spec){.kind = kind, .clients = clients};
    config.seed = 9;
    config.first_client = 0;
    config.n_clients = clients;
    task_of(FEATURES, CLASSES);
}

/* The update of client k by hand. */
static float *train_alone(uint32_t k, uint64_t client, uint64_t round, uint64_t seed_of_model) {
    struct fed_dataset dataset = {0};
    struct fed_partition partition = {0};
    struct fed_trainer *trainer = NULL;
    const struct fed_kernels *kernels;
    struct fed_partition_spec spec = config.partition;
    spec.clients = spec.kind == FED_PARTITION_NONE ? 1 : spec.clients;
    ck_assert_int_eq(fed_dataset_load(&dataset, &config.data, FED_DATA_TRAIN, NULL), FED_OK);
    ck_assert_int_eq(fed_dataset_fit(&dataset, &model, NULL), FED_OK);
    ck_assert_int_eq(fed_partition_make(&partition, &dataset, &spec, config.seed, NULL), FED_OK);
    ck_assert_int_eq(fed_kernels_choose(&kernels, NULL), FED_OK);
    ck_assert_int_eq(fed_trainer_new(&trainer, &model, kernels, 5, EXAMPLES, false), FED_OK);
    struct fed_image *image = make_image(round - 1, seed_of_model);
    size_t n = fed_partition_size(&partition, k);
    uint32_t shard[EXAMPLES];
    ck_assert_uint_le(n, EXAMPLES);
    fed_partition_rows(&partition, k, shard);
    float *delta = malloc(model.n_params * sizeof *delta);
    struct fed_sgd_report report;
    struct fed_sgd_terms sgd = {11, round, client, 3, 5, {.learning_rate = 0.25f}};
    ck_assert_int_eq(fed_local_sgd(trainer, delta, &report, image->params, &dataset, shard, n, &sgd, NULL), FED_OK);
    fed_image_release(image);
    fed_trainer_free(trainer);
    fed_partition_fini(&partition);
    fed_dataset_fini(&dataset);
    return delta;
}

static void expect_by_hand(const struct fed_host_update *update, uint32_t k) {
    float *alone = train_alone(k, update->client, 5, 1);
    ck_assert_int_eq(update->rc, FED_OK);
    ck_assert_mem_eq(update->delta, alone, model.n_params * sizeof(float));
    free(alone);
}

START_TEST(every_client_trains_on_its_own_shard_whatever_the_workers) {
    for (config.workers = 1; config.workers <= 3; config.workers += 2) {
        use_data(FED_PARTITION_IID, 7);
        open_host(false);
        begin(4, 1);
        for (uint64_t client = 0; client < 7; client++) {
            want(client);
        }
        for (int i = 0; i < 7; i++) {
            struct fed_host_update update = next_update();
            expect_by_hand(&update, (uint32_t)update.client);
            ck_assert_uint_eq(update.report.n_examples, update.client < EXAMPLES % 7 ? EXAMPLES / 7 + 1 : EXAMPLES / 7);
        }
        fed_host_free(host);
        host = NULL;
    }
}
END_TEST

START_TEST(without_a_partition_the_file_is_the_one_clients) {
    use_data(FED_PARTITION_NONE, 1);
    config.first_client = 77;
    open_host(false);
    ck_assert_ptr_null(fed_host_partition_digest(host));
    begin(4, 1);
    ck_assert_int_eq(fed_host_train(host, 0), FED_ENOTFOUND);
    want(77);
    struct fed_host_update update = next_update();
    ck_assert_uint_eq(update.report.n_examples, EXAMPLES);
    expect_by_hand(&update, 0);
}
END_TEST

START_TEST(the_partition_is_known_by_its_digest) {
    struct fed_dataset dataset = {0};
    struct fed_partition partition = {0};
    use_data(FED_PARTITION_IID, 7);
    open_host(false);
    ck_assert_int_eq(fed_dataset_load(&dataset, &config.data, FED_DATA_TRAIN, NULL), FED_OK);
    ck_assert_int_eq(fed_dataset_fit(&dataset, &model, NULL), FED_OK);
    ck_assert_int_eq(fed_partition_make(&partition, &dataset, &config.partition, config.seed, NULL), FED_OK);
    ck_assert_ptr_nonnull(fed_host_partition_digest(host));
    ck_assert_mem_eq(fed_host_partition_digest(host), partition.digest, 32);
    fed_partition_fini(&partition);
    fed_dataset_fini(&dataset);
}
END_TEST

static void expect_no_host(int code, const char *word) {
    struct fed_error err = {""};
    ck_assert_int_eq(fed_host_new(&host, &config, NULL, &err), code);
    ck_assert_ptr_null(host);
    ck_assert_msg(strstr(err.text, word) != NULL, "%s is not named: %s", word, err.text);
}

START_TEST(nothing_is_trained_on_data_that_were_changed) {
    struct fed_error err = {""};
    const struct timespec times[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    use_data(FED_PARTITION_NONE, 1);
    open_host(false);
    begin(4, 1);
    ck_assert_int_eq(fed_host_check_data(host, &err), FED_OK);
    FILE *file = fopen(labels, "r+"); /* in place: a label that the model does not have */
    ck_assert_ptr_nonnull(file);
    ck_assert(fseek(file, 8, SEEK_SET) == 0 && fputc(0xff, file) == 0xff && fclose(file) == 0);
    ck_assert_int_eq(utimensat(AT_FDCWD, labels, times, 0), 0);
    want(config.first_client);
    struct fed_host_update update = next_update();
    ck_assert_int_eq(update.rc, FED_EDATA);
    ck_assert_int_eq(fed_host_check_data(host, &err), FED_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, labels));
}
END_TEST

START_TEST(clients_that_the_data_does_not_have_are_refused) {
    expect_no_host(FED_ECONFIG, "data.train");
    use_data(FED_PARTITION_IID, 7);
    config.first_client = 1;
    expect_no_host(FED_ECONFIG, "up to client 7, but data.partition has 7 clients");
    use_data(FED_PARTITION_NONE, 1);
    config.n_clients = 2;
    expect_no_host(FED_ECONFIG, "clients.count: found 2");
    use_data(FED_PARTITION_IID, EXAMPLES + 1);
    expect_no_host(FED_ECONFIG, "clients");
    use_data(FED_PARTITION_IID, 7);
    unlink(images);
    expect_no_host(FED_EDATA, images);
}
END_TEST

START_TEST(data_that_does_not_fit_the_model_is_refused) {
    use_data(FED_PARTITION_IID, 7);
    open_host(false);
    task_of(FEATURES + 1, CLASSES);
    expect_refused(FED_EDATA, FED_LIMIT_NONE, images);
    task_of(FEATURES, CLASSES - 1);
    expect_refused(FED_EDATA, FED_LIMIT_NONE, labels);
    task_of(FEATURES, CLASSES); /* the task it had still works */
    ck_assert_int_eq(fed_host_set_task(host, &terms, NULL, NULL), FED_OK);
    begin(4, 1);
    want(3);
    struct fed_host_update update = next_update();
    expect_by_hand(&update, 3);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("host");
    TCase *tests = tcase_create("host");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_repeated_attempt_trains_nobody_twice);
    tcase_add_test(tests, thousands_of_clients_are_each_trained_and_reported_once_and_kept);
    tcase_add_test(tests, another_round_model_or_rate_trains_anew);
    tcase_add_test(tests, a_training_under_way_serves_the_next_attempt);
    tcase_add_test(tests, what_is_not_wanted_any_more_is_cancelled_and_leaves_nothing);
    tcase_add_test(tests, a_failure_after_the_end_is_nobodys);
    tcase_add_test(tests, a_released_update_is_trained_again_when_memory_is_short);
    tcase_add_test(tests, a_model_is_held_until_the_next_one);
    tcase_add_test(tests, workers_train_at_once_and_each_client_once);
    tcase_add_test(tests, clients_of_others_are_not_trained);
    tcase_add_test(tests, training_beyond_max_train_s_is_stopped_and_told);
    tcase_add_test(tests, limits_of_the_owner_hold);
    tcase_add_test(tests, a_task_may_ask_for_openblas);
    tcase_add_test(tests, without_openblas_a_task_for_it_is_trained_in_exact_arithmetic);
    tcase_add_test(tests, another_task_brings_another_model);
    tcase_add_test(tests, a_host_may_go_while_it_trains);
    tcase_add_test(tests, every_client_trains_on_its_own_shard_whatever_the_workers);
    tcase_add_test(tests, without_a_partition_the_file_is_the_one_clients);
    tcase_add_test(tests, the_partition_is_known_by_its_digest);
    tcase_add_test(tests, nothing_is_trained_on_data_that_were_changed);
    tcase_add_test(tests, clients_that_the_data_does_not_have_are_refused);
    tcase_add_test(tests, data_that_does_not_fit_the_model_is_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
