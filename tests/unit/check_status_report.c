/* The status of a run: read from its directory, written as the documented JSON, and read back from anybody's bytes. */
#include "coordinator/store/status_report.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"

/* A run with rounds 0..n, the odd ones evaluated; the caller removes the directory. */
static char dir[] = "/tmp/check_status.XXXXXX";

static struct fed_store *make_run(uint64_t n) {
    struct fed_store *store = NULL;
    struct fed_error err = {""};
    strcpy(dir + sizeof dir - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    int code = fed_store_open(&store, dir, "{\"name\":\"ward\",\"seed\":1}", "{\"rounds\":40}", &err);
    ck_assert_msg(code == FED_OK, "%s", err.text);
    for (uint64_t round = 0; round <= n; round++) {
        struct fed_store_update update = {"node-1", 0, 3, 600, 0.5, 1.5};
        struct fed_store_refusal refusals[] = {{"node-1", "stale", 1}, {"node-2", "stale", 2}, {"node-2", "too_large", 4}};
        struct fed_store_commit commit = {.round = round,
                                          .attempt = 1,
                                          .header = "h",
                                          .n_header = 1,
                                          .params = "p",
                                          .n_params_bytes = 1,
                                          .model_digest = {(uint8_t)round, 0xab},
                                          .updates = &update,
                                          .n_updates = round > 0,
                                          .refusals = refusals,
                                          .n_refusals = round == 2 ? 3 : 0,
                                          .seconds = 2};
        ck_assert_int_eq(fed_store_commit(store, &commit, 2, NULL), FED_OK);
        if (round % 2 == 1) {
            double accuracy = round == 3 ? 0.75 : 0.5;
            ck_assert_int_eq(fed_store_evaluation(store, round, 0.25, accuracy, round == 3, NULL), FED_OK);
        }
    }
    return store;
}

static void remove_run(struct fed_store *store, uint64_t n) {
    char path[128];
    fed_store_close(store);
    for (uint64_t round = 0; round <= n; round++) {
        snprintf(path, sizeof path, "%s/model-%d.safetensors", dir, (int)round);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/run.db", dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/run.lock", dir);
    unlink(path);
    ck_assert_int_eq(rmdir(dir), 0);
}

static void read_run(struct fed_status_report *out, struct fed_store *store) {
    struct fed_error err = {""};
    int code = fed_status_report_read(out, store, &err);
    ck_assert_msg(code == FED_OK, "%s", err.text);
}

START_TEST(directory_tells_where_its_run_stands) {
    struct fed_status_report report;
    struct fed_store *store = make_run(14);
    read_run(&report, store);
    ck_assert_str_eq(report.name, "ward");
    ck_assert_str_eq(report.state, "unfinished");
    ck_assert_mem_eq(report.run_id, fed_store_run_id(store), 16);
    ck_assert_uint_eq(report.round, 14);
    ck_assert_uint_eq(report.rounds, 40);
    ck_assert_uint_eq(report.clients, 1);
    ck_assert(report.accuracy == 0.5 && report.loss == 0.25); /* of round 13 */
    ck_assert_uint_eq(report.best_round, 3);
    ck_assert(report.best_accuracy == 0.75);
    ck_assert_uint_eq(report.target_round, 3);
    ck_assert_uint_eq(report.n_recent, 10);
    ck_assert_uint_eq(report.recent[0].round, 5);
    ck_assert_uint_eq(report.recent[9].round, 14);
    ck_assert_uint_eq(report.n_refusals, 2); /* over all nodes */
    ck_assert_str_eq(report.refusals[0].reason, "stale");
    ck_assert_uint_eq(report.refusals[0].count, 3);
    ck_assert_uint_eq(report.refusals[1].count, 4);
    ck_assert_int_eq(fed_store_finish(store, 14, NULL), FED_OK);
    read_run(&report, store);
    ck_assert_str_eq(report.state, "finished");
    remove_run(store, 14);
}
END_TEST

START_TEST(model_without_classes_has_a_loss_and_a_best_round) {
    struct fed_status_report report, back;
    char *text;
    struct fed_store *store = make_run(3);
    for (uint64_t round = 1; round <= 3; round++) {
        double loss = round == 2 ? 0.25 : 0.5;
        ck_assert_int_eq(fed_store_evaluation(store, round, loss, (double)NAN, false, NULL), FED_OK);
    }
    read_run(&report, store);
    ck_assert_int_eq(fed_status_report_encode(&text, &report), FED_OK);
    ck_assert_ptr_nonnull(strstr(text, "\"accuracy\":null,\"loss\":0.5,\"best\":{\"round\":2,\"accuracy\":null},"));
    ck_assert_int_eq(fed_status_report_decode(&back, text, strlen(text), NULL), FED_OK);
    ck_assert_uint_eq(back.best_round, 2);
    ck_assert(isnan(back.accuracy) && isnan(back.best_accuracy) && back.loss == 0.5);
    free(text);
    remove_run(store, 3);
}
END_TEST

START_TEST(run_that_was_never_evaluated_has_nulls) {
    struct fed_status_report report;
    char *text;
    struct fed_store *store = make_run(0);
    read_run(&report, store);
    ck_assert_int_eq(fed_status_report_encode(&text, &report), FED_OK);
    ck_assert_ptr_nonnull(strstr(text, "\"accuracy\":null,\"loss\":null,\"best\":{\"round\":null,\"accuracy\":null},"
                                       "\"target_round\":null,\"model\":\"00ab"));
    free(text);
    remove_run(store, 0);
}
END_TEST

static const char KNOWN[] =
    "{\"name\":\"ward\",\"run_id\":\"01020000000000000000000000000000\",\"state\":\"collect\",\"round\":7,\"rounds\":40,"
    "\"attempt\":2,\"clients\":9,\"reproducible\":true,\"accuracy\":0.5,\"loss\":0.25,\"best\":{\"round\":6,\"accuracy\":0."
    "75},"
    "\"target_round\":null,\"model\":\"ff00000000000000000000000000000000000000000000000000000000000000\","
    "\"refusals\":{\"stale\":3},\"attempts_failed\":4,\"rollbacks\":{\"count\":3,\"in_a_row\":2,\"last\":{\"round\":6,"
    "\"to_round\":4,\"reason\":\"exploded\",\"loss\":null,\"reference\":2.5}},\"quarantined\":[{\"node\":\"ward-7\","
    "\"until\":1700000000,\"reason\":\"not_finite\"}],\"recent\":[{\"round\":7,\"attempt\":1,\"clients\":9,\"weight\":900,"
    "\"loss\":0.25,"
    "\"accuracy\":null,\"seconds\":1.5,\"train_seconds\":4.5,\"bytes_down\":10,\"bytes_up\":20,"
    "\"model\":\"ff00000000000000000000000000000000000000000000000000000000000000\","
    "\"norm_ceiling\":12.5,\"clip\":null,\"weight_cap\":60}],\"alarm\":null,"
    "\"live\":{\"phase\":\"collect\",\"round\":8,\"attempt\":2,\"picked\":10,\"admitted\":4,\"outstanding\":6,\"goal\":9,"
    "\"quorum\":7,\"deadline_s\":1.5,\"nodes_online\":3,\"nodes\":5,\"waits_for\":null}}";

START_TEST(json_is_the_known_text_both_ways) {
    struct fed_status_report report = {.name = "ward",
                                       .state = "collect",
                                       .run_id = {1, 2},
                                       .has_model = true,
                                       .model = {0xff},
                                       .round = 7,
                                       .rounds = 40,
                                       .attempt = 2,
                                       .clients = 9,
                                       .reproducible = true,
                                       .loss = 0.25,
                                       .accuracy = 0.5,
                                       .best_round = 6,
                                       .best_accuracy = 0.75,
                                       .refusals = {{"stale", 3}},
                                       .n_refusals = 1,
                                       .attempts_failed = 4,
                                       .n_rollbacks = 3,
                                       .rollbacks_in_a_row = 2,
                                       .last_rollback = {6, 4, "exploded", (double)NAN, 2.5},
                                       .quarantined = {{"ward-7", "not_finite", 1700000000123}},
                                       .n_quarantined = 1,
                                       .recent = {{.round = 7,
                                                   .attempt = 1,
                                                   .clients = 9,
                                                   .weight = 900,
                                                   .loss = 0.25,
                                                   .accuracy = (double)NAN,
                                                   .seconds = 1.5,
                                                   .train_seconds = 4.5,
                                                   .bytes_down = 10,
                                                   .bytes_up = 20,
                                                   .model_digest = {0xff},
                                                   .norm_ceiling = 12.5,
                                                   .clip = (double)NAN,
                                                   .weight_cap = 60}},
                                       .n_recent = 1,
                                       .has_live = true,
                                       .live = {"collect", 2, 8, 10, 4, 6, 9, 7, 3, 5, 1.5}};
    char *text, *again;
    ck_assert_int_eq(fed_status_report_encode(&text, &report), FED_OK);
    ck_assert_str_eq(text, KNOWN);
    memset(&report, 0x55, sizeof report);
    ck_assert_int_eq(fed_status_report_decode(&report, text, strlen(text), NULL), FED_OK);
    ck_assert_int_eq(fed_status_report_encode(&again, &report), FED_OK);
    ck_assert_str_eq(again, KNOWN);
    free(text);
    free(again);
}
END_TEST

/* Each row replaces one piece of the known text, which must be there. */
static const struct {
    const char *from, *to;
} lies[] = {
    {"\"ward\"", "\"\\u001b[2J\""},
    {"\"ward\"", "\"w\xc2\x9b\""},
    {"\"ward\"", "7"},
    {"\"ward\"", "\"a name that is far longer than any task is allowed to be, and goes on and on\""},
    {"\"collect\"", "\"a\\nb\""},
    {"\"0102", "\"01x2"},
    {"\"0102", "\"010"},
    {"\"round\":7,\"rounds\"", "\"round\":-7,\"rounds\""},
    {"\"rounds\":40", "\"rounds\":\"40\""},
    {"\"rounds\":40,", ""},
    {"\"attempt\":2", "\"attempt\":4294967296"},
    {"\"accuracy\":0.5", "\"accuracy\":\"0.5\""},
    {"\"accuracy\":0.5", "\"accuracy\":1e999"},
    {"\"best\":{\"round\":6,\"accuracy\":0.75}", "\"best\":6"},
    {"\"model\":\"ff", "\"model\":\"FF"},
    {"{\"stale\":3}", "{\"sta\\tle\":3}"},
    {"{\"stale\":3}", "{\"stale\":-3}"},
    {"{\"stale\":3}", "{\"stale\":3,\"stale\":3}"},
    {"{\"stale\":3}", "[3]"},
    {"\"attempts_failed\":4", "\"attempts_failed\":-4"},
    {"\"count\":3", "\"count\":null"},
    {"\"last\":{", "\"last\":null,\"was\":{"},
    {"\"exploded\"", "\"\\u001b[2J\""},
    {"\"ward-7\"", "\"w\\nrd\""},
    {"\"until\":1700000000", "\"until\":9223372036854775807"},
    {"\"quarantined\":[", "\"quarantined\":[{},"},
    {"\"quarantined\":[", "\"quarantined\":null,\"was\":["},
    {"\"recent\":[", "\"recent\":[7,"},
    {"\"weight\":900,", ""},
    {"\"norm_ceiling\":12.5", "\"norm_ceiling\":\"12.5\""},
    {"\"clip\":null", "\"clip\":{}"},
    {"\"weight_cap\":60", "\"weight_cap\":-1"},
    {"\"waits_for\":null}}", "\"waits_for\":null}"},
    {"\"waits_for\":null}}", "\"waits_for\":null}}x"},
    {"\"waits_for\":null", "\"waits_for\":7"},
    {"\"waits_for\":null", "\"waits_for\":\"\\u001b[2J\""},
    {"\"live\":{", "\"live\":7,\"was\":{"},
    {"\"phase\":\"collect\"", "\"phase\":\"\\u001b[2J\""},
    {"\"quorum\":7", "\"quorum\":-7"},
    {"\"deadline_s\":1.5", "\"deadline_s\":\"soon\""},
    {",\"nodes\":5", ""},
    {"\"alarm\":null", "\"alarm\":7"},
    {"\"alarm\":null", "\"alarm\":\"\\u001b[2J\""},
};

START_TEST(answer_of_a_stranger_is_refused) {
    char text[2048];
    struct fed_status_report report = {.round = 99};
    struct fed_error err = {""};
    const char *at = strstr(KNOWN, lies[_i].from);
    ck_assert_msg(at != NULL, "%s is not in the known text", lies[_i].from);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - KNOWN), KNOWN, lies[_i].to, at + strlen(lies[_i].from));
    ck_assert_int_eq(fed_status_report_decode(&report, text, strlen(text), &err), FED_EDATA);
    ck_assert_uint_eq(report.round, 99);
    ck_assert_str_ne(err.text, "");
}
END_TEST

START_TEST(coordinator_of_an_earlier_version_says_less) {
    static const char later[] = ",\"norm_ceiling\":12.5,\"clip\":null,\"weight_cap\":60";
    char text[2048];
    struct fed_status_report report;
    const char *at = strstr(KNOWN, later);
    ck_assert_ptr_nonnull(at);
    snprintf(text, sizeof text, "%.*s%s", (int)(at - KNOWN), KNOWN, at + strlen(later));
    ck_assert_int_eq(fed_status_report_decode(&report, text, strlen(text), NULL), FED_OK);
    ck_assert(isnan(report.recent[0].norm_ceiling) && isnan(report.recent[0].clip));
    ck_assert_uint_eq(report.recent[0].weight_cap, 0);
    ck_assert_uint_eq(report.recent[0].bytes_up, 20);
}
END_TEST

START_TEST(more_rows_than_there_is_room_for_are_refused) {
    char text[8192] = "";
    struct fed_status_report report;
    const char *row = strstr(KNOWN, "\"recent\":[{") + 10, *reason = strstr(KNOWN, "\"stale\"");
    snprintf(text, sizeof text, "%.*s", (int)(row - KNOWN), KNOWN);
    for (int i = 0; i < 11; i++) {
        size_t n = strlen(text);
        snprintf(text + n, sizeof text - n, "%s%.*s", i > 0 ? "," : "", (int)(strlen(row) - 2), row);
    }
    strcat(text, "]}");
    ck_assert_int_eq(fed_status_report_decode(&report, text, strlen(text), NULL), FED_EDATA);
    snprintf(text, sizeof text, "%.*s", (int)(reason - KNOWN), KNOWN);
    for (int i = 0; i < 33; i++) {
        size_t n = strlen(text);
        snprintf(text + n, sizeof text - n, "\"r%d\":1%s", i, i < 32 ? "," : "");
    }
    strcat(text, reason + strlen("\"stale\":3"));
    ck_assert_int_eq(fed_status_report_decode(&report, text, strlen(text), NULL), FED_EDATA);
}
END_TEST

/* An older coordinator has no rollbacks, no quarantine, and does not count what failed. */
START_TEST(what_an_older_coordinator_does_not_know_is_none) {
    char text[2048];
    struct fed_status_report report;
    const char *from = strstr(KNOWN, "\"attempts_failed\""), *to = strstr(KNOWN, "\"recent\"");
    snprintf(text, sizeof text, "%.*s%s", (int)(from - KNOWN), KNOWN, to);
    ck_assert_int_eq(fed_status_report_decode(&report, text, strlen(text), NULL), FED_OK);
    ck_assert(report.attempts_failed == 0 && report.n_rollbacks == 0 && report.n_quarantined == 0 && report.n_recent == 1);
}
END_TEST

START_TEST(rollbacks_and_quarantines_are_told_as_they_stand) {
    struct fed_status_report report;
    struct fed_store *store = make_run(4);
    struct fed_store_rollback rollback = {.round = 5, .to_round = 3, .reason = "exploded", .loss = 99, .reference = 2.5};
    struct fed_store_commit commit = {
        .round = 5, .header = "h", .n_header = 1, .params = "p", .n_params_bytes = 1, .rollback = &rollback};
    int64_t now = fed_clock_wall_ms();
    struct fed_store_quarantine over = {"node-1", now - 2000, now - 1000, "norm", 3},
                                holds = {"node-2", now - 2000, now + 600000, "seal", 3};
    ck_assert_int_eq(fed_store_commit(store, &commit, 2, NULL), FED_OK);
    ck_assert_int_eq(fed_store_quarantine(store, &over, NULL), FED_OK);
    ck_assert_int_eq(fed_store_quarantine(store, &holds, NULL), FED_OK);
    read_run(&report, store);
    ck_assert(report.n_rollbacks == 1 && report.rollbacks_in_a_row == 1 && report.last_rollback.round == 5);
    ck_assert(report.last_rollback.to_round == 3 && report.last_rollback.loss == 99);
    ck_assert_str_eq(report.last_rollback.reason, "exploded");
    ck_assert_uint_eq(report.n_quarantined, 1);
    ck_assert_str_eq(report.quarantined[0].node, "node-2");
    ck_assert_str_eq(report.quarantined[0].reason, "seal");
    fed_status_report_expire(&report, now + 599999);
    ck_assert_uint_eq(report.n_quarantined, 1);
    fed_status_report_expire(&report, now + 600000);
    ck_assert_uint_eq(report.n_quarantined, 0);
    commit.rollback = NULL;
    commit.round = 6;
    ck_assert_int_eq(fed_store_commit(store, &commit, 2, NULL), FED_OK);
    ck_assert_int_eq(fed_store_evaluation(store, 6, 0.2, 0.8, false, NULL), FED_OK); /* a model stands */
    read_run(&report, store);
    ck_assert(report.n_rollbacks == 1 && report.rollbacks_in_a_row == 0);
    remove_run(store, 6);
}
END_TEST

START_TEST(unknown_keys_are_ignored) {
    char text[2048];
    struct fed_status_report report;
    snprintf(text, sizeof text, "{\"future\":[1,{}],%s", KNOWN + 1);
    ck_assert_int_eq(fed_status_report_decode(&report, text, strlen(text), NULL), FED_OK);
}
END_TEST

int main(void) {
    TCase *core = tcase_create("core");
    tcase_add_test(core, directory_tells_where_its_run_stands);
    tcase_add_test(core, run_that_was_never_evaluated_has_nulls);
    tcase_add_test(core, model_without_classes_has_a_loss_and_a_best_round);
    tcase_add_test(core, json_is_the_known_text_both_ways);
    tcase_add_loop_test(core, answer_of_a_stranger_is_refused, 0, sizeof lies / sizeof *lies);
    tcase_add_test(core, coordinator_of_an_earlier_version_says_less);
    tcase_add_test(core, more_rows_than_there_is_room_for_are_refused);
    tcase_add_test(core, what_an_older_coordinator_does_not_know_is_none);
    tcase_add_test(core, rollbacks_and_quarantines_are_told_as_they_stand);
    tcase_add_test(core, unknown_keys_are_ignored);
    Suite *suite = suite_create("status_report");
    suite_add_tcase(suite, core);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
