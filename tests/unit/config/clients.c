/* CLIENT.yaml. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/status.h"
#include "common/config/client_config.h"
#include "common/seal/keys.h"
#include "tests/unit/config/fixture.h"

static char public_line[FED_PUBLIC_LINE_MAX];

static void make_public_line(void) {
    uint8_t seed[FED_KEY_BYTES] = {7};
    struct fed_identity identity;
    ck_assert_int_eq(fed_identity_from_seed(&identity, seed), 0);
    fed_public_line(public_line, &identity.public_keys);
    fed_identity_fini(&identity);
}

/* A whole file around the lines of one test. */
static char *client_text(const char *lines) {
    char *text = NULL;
    ck_assert_int_gt(asprintf(&text,
                              "schema: 1\ncoordinator: tcp://fl.example.org:5600\ncoordinator_key: %s\nkey: ward-7.key\n%s",
                              public_line, lines),
                     0);
    return text;
}

#define CLIENT_DATA "data: {train: {images: i, labels: l}}\n"
#define CLIENT_SPLIT "data: {train: {images: i, labels: l}, partition: {kind: iid, clients: 10}}\n"

START_TEST(a_client_file_of_few_words_gets_the_documented_defaults) {
    struct fed_client_config config;
    struct fed_error err = {.text = ""};
    char path_of_key[96], path_of_state[96], line[FED_PUBLIC_LINE_MAX];
    char *text = client_text(CLIENT_DATA "clients: {first: 7}\n");
    const char *path = write_file(text, strlen(text));
    ck_assert_msg(fed_client_config_load(&config, path, NULL, 0, &err) == 0, "%s", err.text);
    snprintf(path_of_key, sizeof path_of_key, "%s/ward-7.key", dir);
    snprintf(path_of_state, sizeof path_of_state, "%s/state", dir);
    fed_public_line(line, &config.coordinator_key);
    ck_assert_str_eq(config.coordinator, "tcp://fl.example.org:5600");
    ck_assert_str_eq(line, public_line);
    ck_assert_ptr_null(config.bulk);
    ck_assert_str_eq(config.key, path_of_key);
    ck_assert_str_eq(config.state_dir, path_of_state);
    ck_assert_uint_eq(config.first_client, 7);
    ck_assert_uint_eq(config.n_clients, 1);
    ck_assert_uint_eq(config.workers, 1);
    ck_assert_uint_eq(config.limits.max_model_mb, 4096);
    ck_assert_uint_eq(config.limits.max_epochs, 20);
    ck_assert_uint_eq(config.limits.max_train_s, 3600);
    ck_assert_uint_eq(config.limits.memory_mb, 2048);
    ck_assert_int_eq(config.partition.kind, FED_PARTITION_NONE);
    fed_client_config_fini(&config);
    free(text);
}
END_TEST

START_TEST(a_simulated_node_splits_the_data_itself) {
    static const char *const sets[] = {"workers=4", "limits.memory_mb=64", "bulk=ipc:///tmp/b"};
    struct fed_client_config config;
    struct fed_error err = {.text = ""};
    char *text = client_text(CLIENT_SPLIT "seed: 5\nclients: {first: 0, count: 10}\n");
    ck_assert_msg(fed_client_config_load(&config, write_file(text, strlen(text)), sets, 3, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(config.seed, 5);
    ck_assert_int_eq(config.partition.kind, FED_PARTITION_IID);
    ck_assert_uint_eq(config.partition.clients, 10);
    ck_assert_uint_eq(config.n_clients, 10);
    ck_assert_uint_eq(config.workers, 4);
    ck_assert_uint_eq(config.limits.memory_mb, 64);
    ck_assert_str_eq(config.bulk, "ipc:///tmp/b");
    fed_client_config_fini(&config);
    free(text);
}
END_TEST

static const struct {
    const char *lines, *set, *sentence;
} wrong_clients[] = {
    {"clients: {first: 7}\n", NULL, "@: data.train: missing, expected a section of images and labels"},
    {CLIENT_DATA, NULL, "@: clients.first: missing, expected a whole number from 0 to 2147483648"},
    {CLIENT_DATA "clients: {first: 7, count: 2}\n", NULL,
     "@:6: clients.count: found 2, expected 1: without data.partition the file is the shard of one client"},
    {CLIENT_DATA "clients: {first: 7}\n", "seed=1", "--set seed: goes only with data.partition"},
    {CLIENT_SPLIT "clients: {first: 7}\n", NULL, "@: seed: missing, data.partition needs the task's seed"},
    {CLIENT_SPLIT "seed: 1\nclients: {first: 5, count: 6}\n", NULL,
     "@:7: clients.count: found 6 from client 5 on, expected at most 10 clients in all"},
    {CLIENT_DATA "clients: {first: 18446744073709551615}\n", NULL,
     "@:6: clients.first: found \"18446744073709551615\", expected a whole number from 0 to 2147483648"},
    {CLIENT_DATA "clients: {first: 7}\n", "coordinator=tcp://*:5600",
     "--set coordinator: found \"tcp://*:5600\", expected an endpoint to connect to, tcp://HOST:PORT or ipc://PATH"},
    {CLIENT_DATA "clients: {first: 7}\n", "coordinator=tcp://fl.example.org",
     "--set coordinator: found \"tcp://fl.example.org\", expected an endpoint to connect to, tcp://HOST:PORT or ipc://PATH"},
    {CLIENT_DATA "clients: {first: 7}\n", "coordinator=tcp://::1:5600",
     "--set coordinator: found \"tcp://::1:5600\", expected an endpoint to connect to, tcp://HOST:PORT or ipc://PATH"},
    {CLIENT_DATA "clients: {first: 7}\n", "key=null",
     "@: key: missing, expected the node's key file, made by fedavg keygen"},
    {CLIENT_DATA "clients: {first: 7}\n", "workers=0", "--set workers: found \"0\", expected a whole number from 1 to 1024"},
    {CLIENT_DATA "clients: {first: 7}\nlimits: {max_epoch: 3}\n", NULL,
     "@:7: limits.max_epoch: unknown key; did you mean limits.max_epochs?"},
    {"data: {format: csv, label: outcome}\nclients: {first: 7}\n", NULL,
     "@: data.train: missing, expected the path of a file"},
    {"data: {format: csv, train: ward-7.csv, label: outcome}\nclients: {first: 7}\n", "data.test=x",
     "--set data.test: unknown key; did you mean data.train?"},
    {CLIENT_DATA "clients: {first: 7}\n", "data.test.images=x",
     "--set data.test.images: unknown key; did you mean data.train.images?"},
};

START_TEST(a_wrong_client_file_is_refused_in_one_sentence) {
    struct fed_client_config config;
    struct fed_error err = {.text = ""};
    char *text = client_text(wrong_clients[_i].lines);
    const char *path = write_file(text, strlen(text)), *set = wrong_clients[_i].set;
    ck_assert_int_eq(fed_client_config_load(&config, path, &set, set != NULL, &err), FED_ECONFIG);
    expect_sentence(&err, path, wrong_clients[_i].sentence);
    free(text);
}
END_TEST

START_TEST(a_mistyped_coordinator_key_never_becomes_a_key) {
    struct fed_client_config config;
    struct fed_error err = {.text = ""};
    public_line[20] = public_line[20] == 'A' ? 'B' : 'A';
    char *text = client_text(CLIENT_DATA "clients: {first: 7}\n");
    const char *path = write_file(text, strlen(text));
    char place[128];
    snprintf(place, sizeof place, "%s:3: coordinator_key: ", path);
    ck_assert_int_eq(fed_client_config_load(&config, path, NULL, 0, &err), FED_ECONFIG);
    ck_assert_int_eq(strncmp(err.text, place, strlen(place)), 0);
    free(text);
}
END_TEST

TCase *clients_cases(void) {
    TCase *cases = config_case("clients");
    tcase_add_checked_fixture(cases, make_public_line, NULL);
    tcase_add_test(cases, a_client_file_of_few_words_gets_the_documented_defaults);
    tcase_add_test(cases, a_simulated_node_splits_the_data_itself);
    tcase_add_loop_test(cases, a_wrong_client_file_is_refused_in_one_sentence, 0, N(wrong_clients));
    tcase_add_test(cases, a_mistyped_coordinator_key_never_becomes_a_key);
    return cases;
}
