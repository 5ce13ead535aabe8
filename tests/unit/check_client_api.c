/* libfedavg-client, the shared library itself, called as no program should and stopped as any program may. Nobody answers at
 * the addresses used here; tests/house/embed.py has a coordinator. */
#include <check.h>
#include <dirent.h>
#include <fenv.h>
#include <locale.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/seal/key_file.h"
#include "include/fedavg/client.h"
#include "tests/unit/comma_locale.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#define LINE "fedavg1:rlAU8fCCyn930YVoQgh3hGR7iuJ6dP_OSGR9BY2eLXb6nDUkZi-sn_1NdF9ibTUFNrUUVLvzYKoJfSt24LRiLgJesJI"
static const uint8_t seed[FEDAVG_SEED_BYTES] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16,
                                                17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32};
/* -- the scene ---------------------------------------------------------------------------------------------------------- */

static char dir[32], nobody[64];
static float features[4][2] = {{0, 1}, {2, 3}, {4, 5}, {6, 7}};
static int32_t labels[4] = {0, 1, 2, 1};
static struct fedavg_client *client;

static struct fedavg_data good_data(void) {
    return (struct fedavg_data){.size = sizeof(struct fedavg_data),
                                .feature_type = FEDAVG_F32,
                                .label_type = FEDAVG_I32,
                                .n_examples = 4,
                                .n_features = 2,
                                .n_labels = 1,
                                .features = features,
                                .labels = labels};
}

static void ok(int rc) { ck_assert_msg(rc == FEDAVG_OK, "%d: %s", rc, fedavg_client_error(client)); }

static void refused(int rc, int expected, const char *part) {
    ck_assert_msg(rc == expected, "status %d, expected %d: %s", rc, expected, fedavg_client_error(client));
    ck_assert_msg(strstr(fedavg_client_error(client), part) != NULL, "%s\nexpected %s", fedavg_client_error(client), part);
}

static void take_nothing(void *context, int level, const char *line) {
    (void)context;
    (void)level;
    (void)line;
}

static void tell_all(struct fedavg_client *to, const char *name) {
    const struct fedavg_data data = good_data();
    ok(fedavg_client_set(to, "schema", "1"));
    ok(fedavg_client_set(to, "name", name));
    ok(fedavg_client_set(to, "coordinator", nobody));
    ok(fedavg_client_set(to, "coordinator_key", LINE));
    ok(fedavg_client_set(to, "clients.first", "7"));
    ok(fedavg_client_set(to, "state_dir", "none"));
    ok(fedavg_client_set_seed(to, seed));
    ok(fedavg_client_set_data(to, &data));
    ok(fedavg_client_set_log(to, FEDAVG_LOG_DEBUG, take_nothing, NULL));
}

static void begin(void) {
    strcpy(dir, "/tmp/fed-api-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(nobody, sizeof nobody, "ipc://%s/nobody", dir);
    ok(fedavg_client_new(&client));
}

static void end(void) {
    ok(fedavg_client_free(client));
    char path[64];
    snprintf(path, sizeof path, "%s/node.key", dir);
    unlink(path);
    ck_assert_int_eq(rmdir(dir), 0);
}

/* -- calls that cannot be meant ----------------------------------------------------------------------------------------- */

START_TEST(no_handle_is_an_answer_and_no_crash) {
    char line[FEDAVG_PUBLIC_LINE_MAX];
    int fd;
    ck_assert_int_eq(fedavg_client_new(NULL), FEDAVG_EINVAL);
    ck_assert_int_eq(fedavg_client_free(NULL), FEDAVG_OK);
    ck_assert_int_eq(fedavg_client_load(NULL, "x"), FEDAVG_EINVAL);
    ck_assert_int_eq(fedavg_client_set(NULL, "a", "b"), FEDAVG_EINVAL);
    ck_assert_int_eq(fedavg_client_set_seed(NULL, seed), FEDAVG_EINVAL);
    ck_assert_int_eq(fedavg_client_set_passphrase(NULL, NULL, NULL), FEDAVG_EINVAL);
    ck_assert_int_eq(fedavg_client_set_data(NULL, NULL), FEDAVG_EINVAL);
    ck_assert_int_eq(fedavg_client_set_events(NULL, NULL, NULL), FEDAVG_EINVAL);
    ck_assert_int_eq(fedavg_client_set_log(NULL, 0, NULL, NULL), FEDAVG_EINVAL);
    ck_assert_int_eq(fedavg_client_allow(NULL, 0), FEDAVG_EINVAL);
    ck_assert_int_eq(fedavg_client_open(NULL), FEDAVG_EINVAL);
    ck_assert_int_eq(fedavg_client_public_line(NULL, line, sizeof line), FEDAVG_EINVAL);
    ck_assert_int_eq(fedavg_client_check(NULL), FEDAVG_EINVAL);
    ck_assert_int_eq(fedavg_client_run(NULL), FEDAVG_EINVAL);
    ck_assert_int_eq(fedavg_client_step(NULL, 0), FEDAVG_EINVAL);
    ck_assert_int_eq(fedavg_client_fd(NULL, &fd), FEDAVG_EINVAL);
    ck_assert_int_eq(fedavg_client_standing(NULL, line, sizeof line), FEDAVG_EINVAL);
    fedavg_client_stop(NULL);
    ck_assert_str_ne(fedavg_client_error(NULL), "");
    ck_assert_str_ne(fedavg_version(), "");
}
END_TEST

START_TEST(every_status_has_words) {
    static const int all[] = {FEDAVG_OK,    FEDAVG_STOPPED, FEDAVG_EFAILED,      FEDAVG_ECONFIG, FEDAVG_EDATA,
                              FEDAVG_EKEY,  FEDAVG_EPEER,   FEDAVG_EINTERRUPTED, FEDAVG_ENOMEM,  FEDAVG_EINVAL,
                              FEDAVG_EBUSY, FEDAVG_EIO,     FEDAVG_EADDRESS};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        for (size_t k = 0; k < i; k++) {
            ck_assert_str_ne(fedavg_status_text(all[i]), fedavg_status_text(all[k]));
        }
    }
    ck_assert_str_ne(fedavg_status_text(12345), "");
}
END_TEST

START_TEST(calls_out_of_order_say_which_one_is_missing) {
    char line[FEDAVG_PUBLIC_LINE_MAX];
    int fd = -7;
    ck_assert_str_eq(fedavg_client_error(client), "");
    refused(fedavg_client_run(client), FEDAVG_EINVAL, "not open: call fedavg_client_open first");
    refused(fedavg_client_step(client, 0), FEDAVG_EINVAL, "not open");
    refused(fedavg_client_check(client), FEDAVG_EINVAL, "not open");
    refused(fedavg_client_fd(client, &fd), FEDAVG_EINVAL, "not open");
    refused(fedavg_client_standing(client, line, sizeof line), FEDAVG_EINVAL, "not open");
    refused(fedavg_client_public_line(client, line, sizeof line), FEDAVG_EINVAL, "not known");
    ck_assert_int_eq(fd, -7);
    tell_all(client, "ward-7");
    ok(fedavg_client_open(client));
    refused(fedavg_client_open(client), FEDAVG_EINVAL, "is open: everything is set before");
    refused(fedavg_client_set(client, "workers", "2"), FEDAVG_EINVAL, "is open");
    refused(fedavg_client_load(client, NULL), FEDAVG_EINVAL, "is open");
    refused(fedavg_client_set_data(client, NULL), FEDAVG_EINVAL, "is open");
    refused(fedavg_client_set_seed(client, seed), FEDAVG_EINVAL, "is open");
    refused(fedavg_client_fd(client, NULL), FEDAVG_EINVAL, "no place");
    refused(fedavg_client_standing(client, line, 0), FEDAVG_EINVAL, "no room");
    refused(fedavg_client_public_line(client, line, sizeof line - 1), FEDAVG_EINVAL, "room for 104");
}
END_TEST

START_TEST(values_that_cannot_be_meant_are_refused_at_once) {
    refused(fedavg_client_set(client, NULL, "1"), FEDAVG_EINVAL, "a setting has a name");
    refused(fedavg_client_set(client, "", "1"), FEDAVG_EINVAL, "a setting has a name");
    refused(fedavg_client_set(client, "a=b", "1"), FEDAVG_EINVAL, "a setting has a name");
    refused(fedavg_client_set(client, "a\nb", "1"), FEDAVG_EINVAL, "a setting has a name");
    refused(fedavg_client_set_seed(client, NULL), FEDAVG_EINVAL, "32 random bytes");
    refused(fedavg_client_set_log(client, 4, NULL, NULL), FEDAVG_EINVAL, "log level 4");
    refused(fedavg_client_set_log(client, -1, NULL, NULL), FEDAVG_EINVAL, "log level -1");
    refused(fedavg_client_allow(client, 2), FEDAVG_EINVAL, "permissions 0x2");
}
END_TEST

static int read_nothing(void *context, void *out, const uint32_t *examples, size_t n) {
    (void)context;
    (void)out;
    (void)examples;
    (void)n;
    return 3;
}

START_TEST(data_of_the_wrong_form_are_refused_at_once) {
    struct fedavg_data data = good_data();
    union {
        struct fedavg_data data;
        uint8_t bytes[sizeof(struct fedavg_data) + 16];
    } newer = {.data = data};
    data.size = 0;
    refused(fedavg_client_set_data(client, &data), FEDAVG_EINVAL, "its size is 0, expected");
    data.size = sizeof data - 8;
    refused(fedavg_client_set_data(client, &data), FEDAVG_EINVAL, "its size is 56, expected");
    newer.data.size = sizeof newer;
    ok(fedavg_client_set_data(client, &newer.data)); /* and means nothing by what is new */
    newer.bytes[sizeof newer - 1] = 1;
    refused(fedavg_client_set_data(client, &newer.data), FEDAVG_EINVAL, "holds something that libfedavg-client");
    data = good_data();
    data.feature_type = FEDAVG_I32;
    refused(fedavg_client_set_data(client, &data), FEDAVG_EINVAL, "feature_type is 1");
    data = good_data();
    data.label_type = 5;
    refused(fedavg_client_set_data(client, &data), FEDAVG_EINVAL, "label_type is 5");
    data = good_data();
    data.labels = NULL;
    refused(fedavg_client_set_data(client, &data), FEDAVG_EINVAL, "no labels");
    data = good_data();
    data.features = NULL;
    refused(fedavg_client_set_data(client, &data), FEDAVG_EINVAL, "either features or read has to be there, none found");
    data = good_data();
    data.read = read_nothing;
    refused(fedavg_client_set_data(client, &data), FEDAVG_EINVAL, "both found");
    data = good_data();
    data.n_examples = UINT64_MAX / 8;
    refused(fedavg_client_set_data(client, &data), FEDAVG_EINVAL, "more than memory can hold");
}
END_TEST

/* -- what open refuses -------------------------------------------------------------------------------------------------- */

static void open_refused(int expected, const char *part) { refused(fedavg_client_open(client), expected, part); }

START_TEST(what_is_missing_has_its_name_and_may_be_told_afterwards) {
    const struct fedavg_data data = good_data();
    ok(fedavg_client_set_log(client, FEDAVG_LOG_DEBUG, take_nothing, NULL));
    open_refused(FEDAVG_ECONFIG, "settings: schema: missing, expected 1");
    ok(fedavg_client_set(client, "schema", "1"));
    open_refused(FEDAVG_ECONFIG, "settings: coordinator: missing, expected an endpoint");
    ok(fedavg_client_set(client, "coordinator", nobody));
    open_refused(FEDAVG_ECONFIG, "settings: coordinator_key: missing");
    ok(fedavg_client_set(client, "coordinator_key", LINE));
    open_refused(FEDAVG_ECONFIG, "clients.first: missing");
    ok(fedavg_client_set(client, "clients.first", "7"));
    open_refused(FEDAVG_ECONFIG, "key: missing, expected the node's key file");
    ok(fedavg_client_set_seed(client, seed));
    open_refused(FEDAVG_ECONFIG, "data.train: missing");
    ok(fedavg_client_set_data(client, &data));
    open_refused(FEDAVG_ECONFIG, "state_dir: missing, expected the path of a directory, or the word none");
    ok(fedavg_client_set(client, "state_dir", "none"));
    ok(fedavg_client_open(client));
}
END_TEST

START_TEST(what_is_wrong_has_its_name_and_may_be_taken_back) {
    tell_all(client, "ward-7");
    ok(fedavg_client_set(client, "limits.max_epoch", "5"));
    open_refused(FEDAVG_ECONFIG, "--set limits.max_epoch: unknown key; did you mean limits.max_epochs?");
    ok(fedavg_client_set(client, "limits.max_epoch", NULL));
    ok(fedavg_client_set(client, "clients.count", "0"));
    open_refused(FEDAVG_ECONFIG, "--set clients.count: found \"0\", expected a whole number");
    ok(fedavg_client_set(client, "clients.count", "1"));
    ok(fedavg_client_set(client, "key", "ward-7.key"));
    open_refused(FEDAVG_ECONFIG, "--set key: not expected here, the program brings the key itself");
    ok(fedavg_client_set(client, "key", NULL));
    ok(fedavg_client_set(client, "data.train.images", "x"));
    ok(fedavg_client_set(client, "data.train.labels", "y"));
    open_refused(FEDAVG_ECONFIG, "the program brings the data itself");
    ok(fedavg_client_set(client, "data.train", NULL));
    ok(fedavg_client_load(client, "/nowhere/node.yaml"));
    open_refused(FEDAVG_ECONFIG, "/nowhere/node.yaml");
    ok(fedavg_client_load(client, NULL));
    ok(fedavg_client_open(client));
}
END_TEST

START_TEST(wrong_numbers_are_found_before_anybody_is_asked) {
    struct fedavg_data data = good_data();
    tell_all(client, "ward-7");
    features[2][1] = (float)strtod("nan", NULL);
    open_refused(FEDAVG_EDATA, "the features given: nan found in row 2 (counted from 0), number 1 of it");
    features[2][1] = 5;
    labels[3] = 70000;
    open_refused(FEDAVG_EDATA, "the labels given: label 70000 found in row 3");
    labels[3] = -1;
    open_refused(FEDAVG_EDATA, "label -1 found in row 3 (counted from 0), 0 to 65535 are allowed");
    labels[3] = 1;
    data.n_examples = 0;
    ok(fedavg_client_set_data(client, &data));
    open_refused(FEDAVG_EDATA, "0 examples found");
    data = good_data();
    data.n_features = 0;
    ok(fedavg_client_set_data(client, &data));
    open_refused(FEDAVG_EDATA, "0 features and 1 labels");
    data = good_data();
    data.features = NULL;
    data.read = read_nothing;
    ok(fedavg_client_set_data(client, &data));
    open_refused(FEDAVG_EDATA, "the function returned 3");
    data = good_data();
    ok(fedavg_client_set_data(client, &data));
    ok(fedavg_client_open(client));
}
END_TEST

START_TEST(a_node_splits_what_it_is_handed_over_like_a_file) {
    tell_all(client, "ward-7");
    ok(fedavg_client_set(client, "data.partition.kind", "iid"));
    ok(fedavg_client_set(client, "data.partition.clients", "9"));
    ok(fedavg_client_set(client, "clients.first", "0"));
    open_refused(FEDAVG_ECONFIG, "data.partition needs the task's seed");
    ok(fedavg_client_set(client, "seed", "3"));
    open_refused(FEDAVG_ECONFIG, "data.partition.clients: 9 found, 1 to 4 is allowed");
    ok(fedavg_client_set(client, "data.partition.clients", "4"));
    ok(fedavg_client_set(client, "clients.count", "5"));
    open_refused(FEDAVG_ECONFIG, "--set clients.count: found 5 from client 0 on, expected at most 4 clients in all");
    ok(fedavg_client_set(client, "clients.count", "4"));
    ok(fedavg_client_open(client));
}
END_TEST

/* -- keys --------------------------------------------------------------------------------------------------------------- */

START_TEST(the_public_line_is_the_one_that_the_seed_has) {
    char line[FEDAVG_PUBLIC_LINE_MAX];
    ok(fedavg_client_set_seed(client, seed));
    ok(fedavg_client_public_line(client, line, sizeof line));
    ck_assert_str_eq(line, LINE);
}
END_TEST

static int answer(void *context, const char *key_file, char *passphrase, size_t size) {
    const char *text = context;
    ck_assert_ptr_nonnull(strstr(key_file, "node.key"));
    snprintf(passphrase, size, "%s", text);
    return strcmp(text, "given up") == 0 ? FEDAVG_EINTERRUPTED : 0;
}

START_TEST(a_key_with_a_passphrase_is_opened_by_who_knows_it) {
    static char right[] = "correct horse", wrong[] = "battery", up[] = "given up", empty[] = "";
    char path[64], line[FEDAVG_PUBLIC_LINE_MAX], expected[FED_PUBLIC_LINE_MAX];
    struct fed_passphrase passphrase = {.n = strlen(right)};
    struct fed_identity identity;
    struct fed_error err;
    strcpy(passphrase.text, right);
    ck_assert_int_eq(fed_seal_setup(&err), FED_OK);
    snprintf(path, sizeof path, "%s/node.key", dir);
    ck_assert_msg(fed_identity_create(&identity, path, &passphrase, &err) == FED_OK, "%s", err.text);
    fed_public_line(expected, &identity.public_keys);
    fed_identity_fini(&identity);
    tell_all(client, "ward-7");
    ok(fedavg_client_free(client));
    ok(fedavg_client_new(&client)); /* one without a seed */
    const struct fedavg_data data = good_data();
    static const char *const settings[][2] = {
        {"schema", "1"}, {"coordinator_key", LINE}, {"clients.first", "7"}, {"state_dir", "none"}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        ok(fedavg_client_set(client, settings[i][0], settings[i][1]));
    }
    ok(fedavg_client_set(client, "coordinator", nobody));
    ok(fedavg_client_set(client, "key", path));
    ok(fedavg_client_set_data(client, &data));
    ok(fedavg_client_set_log(client, FEDAVG_LOG_DEBUG, take_nothing, NULL));
    open_refused(FEDAVG_EKEY, "has a passphrase, and nobody was named to ask");
    ok(fedavg_client_set_passphrase(client, answer, wrong));
    open_refused(FEDAVG_EKEY, "this is not its passphrase");
    ok(fedavg_client_set_passphrase(client, answer, up));
    open_refused(FEDAVG_EINTERRUPTED, "no passphrase was given");
    ok(fedavg_client_set_passphrase(client, answer, empty));
    open_refused(FEDAVG_EKEY, "the passphrase given is empty");
    ok(fedavg_client_set_passphrase(client, answer, right));
    ok(fedavg_client_open(client));
    ok(fedavg_client_public_line(client, line, sizeof line));
    ck_assert_str_eq(line, expected);
}
END_TEST

/* -- run and stop ------------------------------------------------------------------------------------------------------- */

START_TEST(a_stop_before_the_run_is_not_too_early_and_stays) {
    tell_all(client, "ward-7");
    fedavg_client_stop(client);
    ok(fedavg_client_open(client));
    ok(fedavg_client_run(client));
    ok(fedavg_client_run(client));
    ck_assert_int_eq(fedavg_client_step(client, 0), FEDAVG_STOPPED);
    ck_assert_int_eq(fedavg_client_check(client), FEDAVG_STOPPED);
}
END_TEST

static void *run(void *unused) {
    int rc;
    while ((rc = fedavg_client_run(client)) == FEDAVG_EBUSY) {
    }
    ok(rc);
    return unused;
}

START_TEST(any_thread_stops_a_run) {
    pthread_t thread;
    tell_all(client, "ward-7");
    ok(fedavg_client_open(client));
    ck_assert_int_eq(pthread_create(&thread, NULL, run, NULL), 0);
    fedavg_client_stop(client);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

static void on_alarm(int number) {
    (void)number;
    fedavg_client_stop(client);
}

START_TEST(a_signal_handler_stops_a_run) {
    struct sigaction action = {.sa_handler = on_alarm};
    tell_all(client, "ward-7");
    ok(fedavg_client_open(client));
    sigaction(SIGALRM, &action, NULL);
    ualarm(20000, 0);
    ok(fedavg_client_run(client));
}
END_TEST

START_TEST(a_second_call_meanwhile_is_refused_and_changes_nothing) {
    pthread_t thread;
    int rc = FEDAVG_OK;
    tell_all(client, "ward-7");
    ok(fedavg_client_open(client));
    ck_assert_int_eq(pthread_create(&thread, NULL, run, NULL), 0);
    while (rc != FEDAVG_EBUSY) { /* until the other one is inside */
        rc = fedavg_client_public_line(client, (char[FEDAVG_PUBLIC_LINE_MAX]){0}, FEDAVG_PUBLIC_LINE_MAX);
        ck_assert(rc == FEDAVG_OK || rc == FEDAVG_EBUSY);
    }
    ck_assert_int_eq(fedavg_client_run(client), FEDAVG_EBUSY);
    ck_assert_int_eq(fedavg_client_free(client), FEDAVG_EBUSY);
    fedavg_client_stop(client);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_str_eq(fedavg_client_error(client), "");
}
END_TEST

START_TEST(a_descriptor_tells_when_a_step_is_due) {
    struct pollfd due = {.events = POLLIN};
    tell_all(client, "ward-7");
    ok(fedavg_client_open(client));
    ok(fedavg_client_fd(client, &due.fd));
    for (int i = 0; i < 5; i++) { /* the first at once, the others when time has passed or ZeroMQ has failed to connect */
        ck_assert_int_eq(poll(&due, 1, 60000), 1);
        ok(fedavg_client_step(client, 0));
    }
    fedavg_client_stop(client);
    ck_assert_int_eq(poll(&due, 1, 60000), 1);
    ck_assert_int_eq(fedavg_client_step(client, 0), FEDAVG_STOPPED);
}
END_TEST

/* -- what is whose -------------------------------------------------------------------------------------------------------
 */

static size_t open_files(void) {
    size_t n = 0;
    DIR *all = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(all);
    while (readdir(all) != NULL) {
        n++;
    }
    closedir(all);
    return n;
}

START_TEST(clients_in_one_process_come_and_go_and_leave_nothing) {
    size_t before = 0;
    for (int round = 0; round < 3; round++) {
        struct fedavg_client *many[3];
        for (int i = 0; i < 3; i++) {
            ok(fedavg_client_new(&many[i]));
            tell_all(many[i], "ward-8");
            ok(fedavg_client_open(many[i]));
            ok(fedavg_client_step(many[i], 0));
        }
        for (int i = 0; i < 3; i++) {
            ok(fedavg_client_free(many[i]));
        }
        before = round == 0 ? open_files() : before; /* what libraries open once stays */
    }
    ck_assert_uint_eq(open_files(), before);
}
END_TEST

static void *host_one(void *unused) {
    struct fedavg_client *mine;
    for (int i = 0; i < 3; i++) {
        ok(fedavg_client_new(&mine));
        tell_all(mine, "ward-9");
        ok(fedavg_client_open(mine));
        ok(fedavg_client_step(mine, 1));
        ok(fedavg_client_free(mine));
    }
    return unused;
}

START_TEST(clients_of_many_threads_do_not_meet) {
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, host_one, NULL), 0);
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
}
END_TEST

struct witness {
    int lines, rounding;
    bool flushes;
    char decimal, said[256];
};

static bool flushes(void) {
#if defined(__x86_64__)
    return (_mm_getcsr() & 0x8000) != 0;
#else
    return false;
#endif
}

static void see(struct witness *witness) {
    witness->rounding = fegetround();
    witness->flushes = flushes();
    witness->decimal = localeconv()->decimal_point[0];
}

static void witness_line(void *context, int level, const char *line) {
    struct witness *witness = context;
    (void)level;
    see(witness);
    witness->lines++;
    snprintf(witness->said, sizeof witness->said, "%s", line);
}

START_TEST(check_tells_who_is_not_there_and_the_caller_has_its_own_arithmetic_back_and_in_callbacks) {
    struct witness witness = {.lines = 0}, after;
    char line[128];
    const bool comma = comma_locale();
    tell_all(client, "ward-7");
    ok(fedavg_client_set_log(client, FEDAVG_LOG_ERROR, witness_line, &witness));
    ok(fedavg_client_open(client));
    fesetround(FE_UPWARD);
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8000);
#endif
    const bool flushing = flushes();
    refused(fedavg_client_check(client), FEDAVG_EPEER, "cannot be reached: is the coordinator running");
    see(&after);
    ck_assert_int_eq(witness.lines, 1);
    ck_assert_ptr_nonnull(strstr(witness.said, "session no connection coordinator="));
    ck_assert(witness.rounding == FE_UPWARD && after.rounding == FE_UPWARD);
    ck_assert(witness.flushes == flushing && after.flushes == flushing);
    ck_assert(witness.decimal == (comma ? ',' : '.') && after.decimal == witness.decimal);
    ok(fedavg_client_step(client, 0)); /* no reason to end */
    ok(fedavg_client_standing(client, line, sizeof line));
    ck_assert_ptr_nonnull(strstr(line, "cannot be reached"));
    ok(fedavg_client_standing(client, line, 5));
    ck_assert_str_eq(line, "ipc:");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("client_api");
    TCase *t = tcase_create("client_api");
    tcase_add_checked_fixture(t, begin, end);
    tcase_add_test(t, no_handle_is_an_answer_and_no_crash);
    tcase_add_test(t, every_status_has_words);
    tcase_add_test(t, calls_out_of_order_say_which_one_is_missing);
    tcase_add_test(t, values_that_cannot_be_meant_are_refused_at_once);
    tcase_add_test(t, data_of_the_wrong_form_are_refused_at_once);
    tcase_add_test(t, what_is_missing_has_its_name_and_may_be_told_afterwards);
    tcase_add_test(t, what_is_wrong_has_its_name_and_may_be_taken_back);
    tcase_add_test(t, wrong_numbers_are_found_before_anybody_is_asked);
    tcase_add_test(t, a_node_splits_what_it_is_handed_over_like_a_file);
    tcase_add_test(t, the_public_line_is_the_one_that_the_seed_has);
    tcase_add_test(t, a_key_with_a_passphrase_is_opened_by_who_knows_it);
    tcase_add_test(t, a_stop_before_the_run_is_not_too_early_and_stays);
    tcase_add_test(t, any_thread_stops_a_run);
    tcase_add_test(t, a_signal_handler_stops_a_run);
    tcase_add_test(t, a_second_call_meanwhile_is_refused_and_changes_nothing);
    tcase_add_test(t, a_descriptor_tells_when_a_step_is_due);
    tcase_add_test(t, clients_in_one_process_come_and_go_and_leave_nothing);
    tcase_add_test(t, clients_of_many_threads_do_not_meet);
    tcase_add_test(t, check_tells_who_is_not_there_and_the_caller_has_its_own_arithmetic_back_and_in_callbacks);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
