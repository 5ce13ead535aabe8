/* Trainings on real data, and data on which nothing is trained. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/host.h"
#include "common/data/partition.h"
#include "tests/unit/host/fixture.h"

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

TCase *data_cases(void) {
    TCase *cases = host_case("data");
    tcase_add_test(cases, every_client_trains_on_its_own_shard_whatever_the_workers);
    tcase_add_test(cases, without_a_partition_the_file_is_the_one_clients);
    tcase_add_test(cases, the_partition_is_known_by_its_digest);
    tcase_add_test(cases, nothing_is_trained_on_data_that_were_changed);
    tcase_add_test(cases, clients_that_the_data_does_not_have_are_refused);
    tcase_add_test(cases, data_that_does_not_fit_the_model_is_refused);
    return cases;
}
