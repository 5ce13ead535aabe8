/* Tasks that are right: what they say, and what they leave to the defaults. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/base/status.h"
#include "common/config/client_config.h"
#include "common/config/setting.h"
#include "common/config/task.h"
#include "tests/unit/config/fixture.h"

static void load_task(struct fed_task *task, const char *text, const char *const *sets, size_t n_sets) {
    struct fed_error err = {.text = ""};
    const char *path = write_file(text, strlen(text));
    ck_assert_msg(fed_task_load(task, path, sets, n_sets, &err) == 0, "%s", err.text);
}

START_TEST(a_task_of_few_words_gets_the_documented_defaults) {
    struct fed_task task;
    char roster[96], key[96];
    load_task(&task, TASK, NULL, 0);
    snprintf(roster, sizeof roster, "%s/roster", dir);
    snprintf(key, sizeof key, "%s/coordinator.key", dir);
    ck_assert_str_eq(task.name, "t");
    ck_assert_uint_eq(task.seed, 1);
    ck_assert_str_eq(task.model.preset, "mnist_2nn");
    ck_assert_uint_eq(task.model.n_layers, 3);
    ck_assert_uint_eq(task.model.layers[0].units, 200);
    ck_assert_ptr_null(task.data.train_images);
    ck_assert_ptr_null(task.data.test_images);
    ck_assert_int_eq(task.partition.kind, FED_PARTITION_NONE);
    ck_assert(task.algorithm.learning_rate_decay == 1 && task.algorithm.target_accuracy == 0);
    ck_assert(task.algorithm.max_delta == 64 && task.algorithm.max_weight == 0);
    ck_assert(task.algorithm.clip.norm == 0 && task.algorithm.max_share == 0);
    ck_assert(task.hygiene.norm_factor == 10 && task.hygiene.norm_rounds == 20);
    ck_assert(task.round.over_select == 1 && task.round.min_reports == 0.8 && !task.round.min_reports_given);
    ck_assert_uint_eq(task.round.deadline_s, 600);
    ck_assert_uint_eq(task.round.rejoin_s, 30);
    ck_assert_uint_eq(task.round.evaluate_every, 1);
    ck_assert_str_eq(task.server.control, "tcp://*:5600");
    ck_assert_str_eq(task.server.bulk, "tcp://*:5601");
    ck_assert_ptr_null(task.server.http);
    ck_assert_ptr_null(task.server.user);
    ck_assert_str_eq(task.server.roster, roster);
    ck_assert_str_eq(task.server.key, key);
    ck_assert_uint_eq(task.server.keep_last, 3);
    ck_assert_uint_eq(task.server.staging_mb, 256);
    ck_assert(task.server.partial_sums);
    ck_assert(task.limits.messages_per_s == 50 && task.limits.bulk_messages_per_s == 50);
    ck_assert(task.limits.bytes_per_s == 1 << 20 && task.limits.upload_bytes_per_s == 16384);
    ck_assert(task.limits.connections_per_10s == 10 && task.limits.handshakes_per_s == 20);
    ck_assert(task.limits.uploads == 3 && task.limits.uploads_per_node == 2);
    fed_task_fini(&task);
}
END_TEST

static const char full_task[] =
    HEAD "model: {input: 20, layers: [{units: 8, activation: tanh}, {units: 4, activation: sigmoid}, {units: 3}]}\n"
         "data:\n  format: idx\n  train: {images: a/i, labels: /abs/l}\n  test: {images: ti, labels: tl}\n"
         "  partition: {kind: dirichlet, clients: 12, alpha: 0.5}\n"
         "algorithm: {kind: fedavg, rounds: 7, fraction: 0, epochs: 5, batch_size: full, learning_rate: 5e-2,\n"
         "  learning_rate_decay: .99, target_accuracy: 0.5, max_delta: 2, max_weight: 1000,\n"
         "  clip_norm: 3, clip_quantile: 0.75, clip_rate: 0.1, max_share: 0.25}\n"
         "hygiene: {norm_factor: 0, norm_rounds: 7}\n"
         "round: {over_select: 1.3, min_reports: 1, deadline_s: 9, rejoin_s: 0, evaluate_every: 2}\n"
         "server: {control: 'ipc:///run/x', bulk: 'tcp://[::1]:*', http: '[::1]:80', roster: r, key: k, user: fed,\n"
         "  http_hosts: [fl.example.org, x-1], http_token: t,\n"
         "  keep_last: 1, staging_mb: 2, partial_sums: no}\n";

START_TEST(a_full_task_fills_every_field) {
    struct fed_task task;
    char images[96];
    load_task(&task, full_task, NULL, 0);
    snprintf(images, sizeof images, "%s/a/i", dir);
    ck_assert_str_eq(task.model.preset, "");
    ck_assert_uint_eq(task.model.input.channels, 20);
    ck_assert_uint_eq(task.model.n_layers, 3);
    ck_assert_int_eq(task.model.layers[0].activation, FED_TANH);
    ck_assert_int_eq(task.model.layers[1].activation, FED_SIGMOID);
    ck_assert_int_eq(task.model.layers[2].activation, FED_LINEAR);
    ck_assert_uint_eq(task.model.layers[1].units, 4);
    ck_assert_str_eq(task.data.train_images, images);
    ck_assert_str_eq(task.data.train_labels, "/abs/l");
    ck_assert_int_eq(task.partition.kind, FED_PARTITION_DIRICHLET);
    ck_assert_uint_eq(task.partition.clients, 12);
    ck_assert(task.partition.alpha == 0.5 && task.partition.shards_per_client == 0);
    ck_assert(task.algorithm.fraction == 0 && task.algorithm.learning_rate == 0.05);
    ck_assert(task.algorithm.learning_rate_decay == 0.99 && task.algorithm.target_accuracy == 0.5);
    ck_assert_uint_eq(task.algorithm.rounds, 7);
    ck_assert_uint_eq(task.algorithm.epochs, 5);
    ck_assert_uint_eq(task.algorithm.batch_size, 0);
    ck_assert_uint_eq(task.algorithm.max_weight, 1000);
    ck_assert(task.algorithm.clip.norm == 3 && task.algorithm.clip.quantile == 0.75 && task.algorithm.clip.rate == 0.1);
    ck_assert(task.algorithm.max_share == 0.25);
    ck_assert(task.hygiene.norm_factor == 0 && task.hygiene.norm_rounds == 7);
    ck_assert(task.round.over_select == 1.3 && task.round.min_reports == 1 && task.round.min_reports_given);
    ck_assert_uint_eq(task.round.rejoin_s, 0);
    ck_assert_str_eq(task.server.control, "ipc:///run/x");
    ck_assert_str_eq(task.server.bulk, "tcp://[::1]:*");
    ck_assert_str_eq(task.server.http, "[::1]:80");
    ck_assert_uint_eq(task.server.n_http_hosts, 2);
    ck_assert_str_eq(task.server.http_hosts[0], "fl.example.org");
    ck_assert_str_eq(task.server.http_hosts[1], "x-1");
    snprintf(images, sizeof images, "%s/t", dir);
    ck_assert_str_eq(task.server.http_token, images);
    ck_assert_str_eq(task.server.user, "fed");
    ck_assert(!task.server.partial_sums);
    fed_task_fini(&task);
}
END_TEST

START_TEST(set_wins_over_the_file_and_its_paths_start_where_we_stand) {
    static const char *const sets[] = {"algorithm.epochs=2",      "algorithm.epochs=3",       "data.train.images=here/i",
                                       "server.http=null",        "model.layers[0].units=9",  "algorithm.batch_size=64",
                                       "data.partition.kind=iid", "data.partition.alpha=null"};
    struct fed_task task;
    load_task(&task, full_task, sets, sizeof sets / sizeof *sets);
    ck_assert_uint_eq(task.algorithm.epochs, 3);
    ck_assert_str_eq(task.data.train_images, "here/i");
    ck_assert_ptr_null(task.server.http);
    ck_assert_uint_eq(task.model.layers[0].units, 9);
    ck_assert_uint_eq(task.algorithm.batch_size, 64);
    ck_assert_int_eq(task.partition.kind, FED_PARTITION_IID);
    fed_task_fini(&task);
}
END_TEST

START_TEST(the_tasks_that_come_along_load) {
    static const char *const names[] = {"mnist-2nn-iid", "mnist-2nn-noniid", "mnist-cnn", "shakespeare-lstm",
                                        "logistic",      "logistic-1000",    "wards"};
    struct fed_task task;
    struct fed_error err = {.text = ""};
    char path[512];
    snprintf(path, sizeof path, "%s/../../deploy/tasks/%s.yaml", FED_VECTORS, names[_i]);
    ck_assert_msg(fed_task_load(&task, path, NULL, 0, &err) == 0, "%s", err.text);
    ck_assert_str_eq(task.name, names[_i]);
    ck_assert_int_ne(task.partition.kind, FED_PARTITION_NONE);
    fed_task_fini(&task);
}
END_TEST

START_TEST(every_row_is_found_by_its_own_path_alone) {
    const struct fed_settings *tables[] = {fed_task_settings(), fed_client_config_settings()};
    for (size_t t = 0; t < 2; t++) {
        for (size_t i = 0; i < tables[t]->n_rows; i++) {
            const struct fed_setting *row = &tables[t]->rows[i];
            ck_assert_ptr_eq(fed_setting_find(tables[t], strchr(row->path, '[') ? "model.layers[4].units" : row->path),
                             strchr(row->path, '[') ? fed_setting_find(tables[t], "model.layers[0].units") : row);
            ck_assert_msg(!row->required || row->fallback == NULL, "%s has a default and is required", row->path);
        }
    }
}
END_TEST

TCase *tasks_cases(void) {
    TCase *cases = config_case("tasks");
    tcase_add_test(cases, a_task_of_few_words_gets_the_documented_defaults);
    tcase_add_test(cases, a_full_task_fills_every_field);
    tcase_add_test(cases, set_wins_over_the_file_and_its_paths_start_where_we_stand);
    tcase_add_loop_test(cases, the_tasks_that_come_along_load, 0, 7);
    tcase_add_test(cases, every_row_is_found_by_its_own_path_alone);
    return cases;
}
