/* The temporary directory of a simulation: what a node and a coordinator will read in it is what the task says, also where
 * paths need quoting; and nothing of it stays. */
#include <check.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/simulate/sandbox.h"
#include "common/base/file.h"
#include "common/config/client_config.h"
#include "common/config/roster_file.h"
#include "common/seal/key_file.h"

#define NASTY "a \"b\" #c: {d}\\é"

static char dir[32], run_dir[64], images[128], labels[128];
static struct fed_task task;

static void setup(void) {
    ck_assert_int_eq(fed_seal_setup(NULL), FED_OK);
    strcpy(dir, "/tmp/fed-sandb-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(run_dir, sizeof run_dir, "%s/run", dir);
    snprintf(images, sizeof images, "%s/" NASTY " images", dir);
    snprintf(labels, sizeof labels, "%s/" NASTY " labels", dir);
    const struct iovec part = {(void *)(uintptr_t) "x", 1};
    ck_assert_int_eq(fed_file_replace(images, &part, 1, 0600, NULL), FED_OK);
    ck_assert_int_eq(fed_file_replace(labels, &part, 1, 0600, NULL), FED_OK);
    task = (struct fed_task){.seed = INT64_MAX,
                             .data = {.train_images = images, .train_labels = labels},
                             .partition = {.kind = FED_PARTITION_DIRICHLET, .clients = 77, .alpha = 0.1}};
}

static void teardown(void) {
    unlink(images);
    unlink(labels);
    rmdir(run_dir);
    ck_assert_int_eq(rmdir(dir), 0);
}

static struct fed_sandbox open_sandbox(uint32_t n_nodes, uint32_t threads) {
    struct fed_sandbox sandbox = {""};
    struct fed_error err = {""};
    const struct fed_sandbox_nodes nodes = {.n = n_nodes, .threads = threads};
    ck_assert_msg(fed_sandbox_new(&sandbox, run_dir, &task, &nodes, &err) == FED_OK, "%s", err.text);
    return sandbox;
}

static void load_client(struct fed_client_config *out, const struct fed_sandbox *sandbox, uint32_t node) {
    char path[FED_SANDBOX_PATH];
    struct fed_error err = {""};
    fed_sandbox_client_path(path, sandbox, node);
    ck_assert_msg(fed_client_config_load(out, path, NULL, 0, &err) == FED_OK, "%s", err.text);
}

static size_t entries_of(const char *path) {
    size_t n = 0;
    DIR *folder = opendir(path);
    ck_assert_ptr_nonnull(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    closedir(folder);
    return n;
}

START_TEST(every_node_gets_a_client_file_that_says_what_the_task_says) {
    struct fed_sandbox sandbox = open_sandbox(3, 5);
    char control[FED_SANDBOX_PATH + 8], path[FED_SANDBOX_PATH];
    fed_sandbox_path(path, &sandbox, "control");
    snprintf(control, sizeof control, "ipc://%s", path);
    for (uint32_t i = 0; i < 3; i++) {
        struct fed_client_config config = {0};
        load_client(&config, &sandbox, i);
        ck_assert_str_eq(config.coordinator, control);
        ck_assert_str_eq(config.data.train_images, images);
        ck_assert_str_eq(config.data.train_labels, labels);
        ck_assert_int_eq(config.partition.kind, FED_PARTITION_DIRICHLET);
        ck_assert_uint_eq(config.partition.clients, 77);
        ck_assert_double_eq(config.partition.alpha, 0.1);
        ck_assert_uint_eq(config.seed, INT64_MAX);
        ck_assert_uint_eq(config.first_client, 0);
        ck_assert_uint_eq(config.n_clients, 77);
        ck_assert_uint_eq(config.workers, 5);
        ck_assert_ptr_null(config.state_dir); /* nothing leaves this machine, and nothing of it stays */
        fed_client_config_fini(&config);
    }
    fed_sandbox_remove(&sandbox);
}
END_TEST

START_TEST(every_kind_of_partition_arrives) {
    const struct fed_partition_spec specs[] = {
        {.kind = FED_PARTITION_IID, .clients = 1},
        {.kind = FED_PARTITION_SHARDS, .clients = 100, .shards_per_client = 2},
        {.kind = FED_PARTITION_DIRICHLET, .clients = 9, .alpha = 1e-6},
        {.kind = FED_PARTITION_QUANTITY, .clients = 9, .alpha = 1.5},
        {.kind = FED_PARTITION_NATURAL, .clients = 9},
        {.kind = FED_PARTITION_DIRICHLET, .clients = 1u << 31, .alpha = 0.3, .examples_per_client = 60}};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        task.partition = specs[i];
        struct fed_sandbox sandbox = open_sandbox(1, 1);
        struct fed_client_config config = {0};
        load_client(&config, &sandbox, 0);
        ck_assert_int_eq(config.partition.kind, specs[i].kind);
        ck_assert_uint_eq(config.partition.clients, specs[i].clients);
        ck_assert_uint_eq(config.partition.shards_per_client, specs[i].shards_per_client);
        ck_assert_double_eq(config.partition.alpha, specs[i].alpha);
        ck_assert_uint_eq(config.partition.examples_per_client, specs[i].examples_per_client);
        fed_client_config_fini(&config);
        fed_sandbox_remove(&sandbox);
    }
}
END_TEST

/* A name of a column, too, may be anything, and one that looks like a number must stay a text. */
START_TEST(every_format_of_data_arrives_whole) {
    const struct fed_data_source sources[] = {
        {.format = FED_DATA_NPY, .train_features = images, .train_labels = labels},
        {.format = FED_DATA_CSV, .train = images, .label = (char *)(uintptr_t)NASTY, .group = (char *)(uintptr_t) "null "},
        {.format = FED_DATA_CSV, .train = images, .label = (char *)(uintptr_t) "3", .header = true},
        {.format = FED_DATA_TEXT, .train = labels, .unroll = 7},
        {.format = FED_DATA_ROLES, .train = labels, .unroll = 80}};
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        const struct fed_data_source *expected = &sources[i];
        task.data = *expected;
        struct fed_sandbox sandbox = open_sandbox(1, 1);
        struct fed_client_config config = {0};
        load_client(&config, &sandbox, 0);
        ck_assert_int_eq(config.data.format, expected->format);
        ck_assert_pstr_eq(config.data.train, expected->train);
        ck_assert_pstr_eq(config.data.train_features, expected->train_features);
        ck_assert_pstr_eq(config.data.train_labels, expected->train_labels);
        ck_assert_pstr_eq(config.data.label, expected->label);
        ck_assert_pstr_eq(config.data.group, expected->group);
        ck_assert(config.data.header == (expected->format == FED_DATA_CSV ? expected->header : true));
        ck_assert_uint_eq(config.data.unroll, expected->unroll != 0 ? expected->unroll : 80);
        fed_client_config_fini(&config);
        fed_sandbox_remove(&sandbox);
    }
}
END_TEST

START_TEST(keys_roster_and_client_files_name_each_other) {
    struct fed_sandbox sandbox = open_sandbox(2, 1);
    struct fed_identity coordinator = {0}, node = {0};
    struct fed_roster_file roster = {0};
    struct fed_error err = {""};
    char path[FED_SANDBOX_PATH];
    struct stat folder;
    ck_assert_int_eq(stat(sandbox.dir, &folder), 0);
    ck_assert_int_eq(folder.st_mode & 07777, 0700);
    fed_sandbox_path(path, &sandbox, "coordinator.key");
    ck_assert_msg(fed_identity_load(&coordinator, path, &err) == FED_OK, "%s", err.text);
    fed_sandbox_path(path, &sandbox, "roster");
    ck_assert_msg(fed_roster_file_load(&roster, path, &err) == FED_OK, "%s", err.text);
    ck_assert_uint_eq(roster.n_entries, 2);
    for (uint32_t i = 0; i < 2; i++) {
        struct fed_client_config config = {0};
        load_client(&config, &sandbox, i);
        ck_assert_msg(fed_identity_load(&node, config.key, &err) == FED_OK, "%s", err.text);
        ck_assert_mem_eq(&config.coordinator_key, &coordinator.public_keys, sizeof config.coordinator_key);
        ck_assert_mem_eq(&roster.entries[i].keys, &node.public_keys, sizeof node.public_keys);
        ck_assert(roster.entries[i].partial_sums);
        ck_assert_uint_eq(roster.entries[i].first_client, 0);
        ck_assert_uint_eq(roster.entries[i].n_clients, 77);
        fed_identity_fini(&node);
        fed_client_config_fini(&config);
    }
    ck_assert_mem_ne(&roster.entries[0].keys, &roster.entries[1].keys, sizeof roster.entries[0].keys);
    fed_roster_file_fini(&roster);
    fed_identity_fini(&coordinator);
    fed_sandbox_remove(&sandbox);
}
END_TEST

START_TEST(nothing_of_it_stays) {
    struct fed_sandbox sandbox = open_sandbox(4, 1);
    char where[sizeof sandbox.dir];
    strcpy(where, sandbox.dir);
    ck_assert_int_eq(strncmp(where, run_dir, strlen(run_dir)), 0);
    ck_assert_uint_eq(entries_of(where), 4 * 2 + 3); /* two files a node; roster, coordinator.key and lock */
    fed_sandbox_remove(&sandbox);
    ck_assert_int_ne(access(where, F_OK), 0);
    ck_assert_uint_eq(entries_of(run_dir), 0);
    fed_sandbox_remove(&sandbox); /* once more does no harm */
}
END_TEST

START_TEST(what_a_killed_simulation_left_goes_and_what_is_in_use_stays) {
    struct fed_sandbox in_use = open_sandbox(1, 1), left = open_sandbox(1, 1);
    ck_assert_int_eq(close(left.lock), 0); /* as the kernel does it for the dead */
    struct fed_sandbox next = open_sandbox(1, 1);
    ck_assert_int_ne(access(left.dir, F_OK), 0);
    ck_assert_int_eq(access(in_use.dir, F_OK), 0);
    ck_assert_uint_eq(entries_of(run_dir), 2);
    fed_sandbox_remove(&next);
    fed_sandbox_remove(&in_use);
}
END_TEST

/* A socket's path ends at 107 bytes; a run may lie deeper. */
START_TEST(a_deep_run_directory_has_its_sockets_elsewhere) {
    char deep[200], tmp[64];
    snprintf(tmp, sizeof tmp, "%s/tmp", dir);
    ck_assert_int_eq(mkdir(tmp, 0700), 0);
    ck_assert_int_eq(setenv("TMPDIR", tmp, 1), 0);
    snprintf(deep, sizeof deep, "%s/%0100d", dir, 7);
    struct fed_sandbox sandbox = {""};
    ck_assert_int_eq(fed_sandbox_new(&sandbox, deep, &task, &(struct fed_sandbox_nodes){.n = 1, .threads = 1}, NULL),
                     FED_OK);
    ck_assert_int_eq(strncmp(sandbox.dir, tmp, strlen(tmp)), 0);
    char path[FED_SANDBOX_PATH];
    fed_sandbox_path(path, &sandbox, "control");
    ck_assert_uint_le(strlen(path), 107);
    fed_sandbox_remove(&sandbox);
    ck_assert_uint_eq(entries_of(tmp), 0);
    rmdir(tmp);
    rmdir(deep);
}
END_TEST

/* Every host sees the run directory, and no socket needs a short path. */
START_TEST(nodes_of_other_hosts_are_told_where_and_the_coordinator_listens_everywhere) {
    const struct fed_sandbox_nodes nodes = {.n = 2, .threads = 1, .memory_mb = 4321, .address = "tcp://alpha.example:5610"};
    char deep[200];
    snprintf(deep, sizeof deep, "%s/%0100d", dir, 7);
    struct fed_sandbox sandbox = {""};
    ck_assert_int_eq(fed_sandbox_new(&sandbox, deep, &task, &nodes, NULL), FED_OK);
    ck_assert_int_eq(strncmp(sandbox.dir, deep, strlen(deep)), 0);
    ck_assert_str_eq(sandbox.control, "tcp://*:5610");
    ck_assert_str_eq(sandbox.bulk, "tcp://*:5611");
    struct fed_client_config config = {0};
    load_client(&config, &sandbox, 1);
    ck_assert_str_eq(config.coordinator, "tcp://alpha.example:5610");
    ck_assert_uint_eq(config.limits.memory_mb, 4321);
    fed_client_config_fini(&config);
    fed_sandbox_remove(&sandbox);
    ck_assert_int_eq(rmdir(deep), 0);
}
END_TEST

START_TEST(an_address_is_a_host_and_a_port_with_one_behind_it) {
    static const char *const wrong[] = {"alpha:5600",        "tcp://alpha",  "tcp://alpha:0",
                                        "tcp://alpha:65535", "ipc:///tmp/x", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct fed_sandbox sandbox = {""};
        struct fed_error err = {""};
        const struct fed_sandbox_nodes nodes = {.n = 1, .threads = 1, .address = wrong[i]};
        ck_assert_int_eq(fed_sandbox_new(&sandbox, run_dir, &task, &nodes, &err), FED_ECONFIG);
        ck_assert_ptr_nonnull(strstr(err.text, "--address"));
        ck_assert_uint_eq(entries_of(run_dir), 0);
    }
}
END_TEST

START_TEST(missing_data_leaves_nothing_behind) {
    struct fed_sandbox sandbox = {""};
    struct fed_error err = {""};
    unlink(labels);
    ck_assert_int_eq(fed_sandbox_new(&sandbox, run_dir, &task, &(struct fed_sandbox_nodes){.n = 2, .threads = 1}, &err),
                     FED_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, labels));
    ck_assert_uint_eq(entries_of(run_dir), 0);
    ck_assert_str_eq(sandbox.dir, "");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sandbox");
    TCase *tests = tcase_create("sandbox");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, every_node_gets_a_client_file_that_says_what_the_task_says);
    tcase_add_test(tests, every_kind_of_partition_arrives);
    tcase_add_test(tests, every_format_of_data_arrives_whole);
    tcase_add_test(tests, keys_roster_and_client_files_name_each_other);
    tcase_add_test(tests, nothing_of_it_stays);
    tcase_add_test(tests, what_a_killed_simulation_left_goes_and_what_is_in_use_stays);
    tcase_add_test(tests, a_deep_run_directory_has_its_sockets_elsewhere);
    tcase_add_test(tests, nodes_of_other_hosts_are_told_where_and_the_coordinator_listens_everywhere);
    tcase_add_test(tests, an_address_is_a_host_and_a_port_with_one_behind_it);
    tcase_add_test(tests, missing_data_leaves_nothing_behind);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
