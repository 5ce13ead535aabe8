/* What the page knows of a run directory, as it grows, when it is another one, and beside a coordinator. */
#include "coordinator/http/page.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "coordinator/http/partition_file.h"
#include "tests/unit/scratch_run.h"

static struct fed_page *page;

static void open_page(void) {
    struct fed_error err = {""};
    ck_assert_msg(fed_page_new(&page, scratch_dir, NULL, NULL, &err) == FED_OK, "%s", err.text);
}

static void stop(void) {
    fed_page_free(page);
    page = NULL;
    scratch_remove();
}

static struct fed_page_rounds read_rounds(uint64_t from, uint64_t to, size_t n) {
    struct fed_page_rounds rounds;
    struct fed_error err = {""};
    ck_assert_msg(fed_page_rounds(&rounds, page, from, to, n, &err) == FED_OK, "%s", err.text);
    return rounds;
}

START_TEST(rounds_are_seen_as_they_are_committed_and_evaluated) {
    open_page();
    struct fed_page_rounds rounds = read_rounds(0, UINT64_MAX, 10);
    ck_assert_uint_eq(rounds.n, 0);
    fed_page_rounds_fini(&rounds);
    for (uint64_t r = 0; r <= 5; r++) {
        scratch_commit(r, r > 0 ? 2 : 0, NULL, 0);
        rounds = read_rounds(0, UINT64_MAX, 10);
        ck_assert_uint_eq(rounds.n, r + 1);
        ck_assert_uint_eq(rounds.last, r);
        ck_assert_uint_eq(rounds.rows[r].bytes_total, 1100 * (r + 1));
        ck_assert(isnan(rounds.rows[r].round.accuracy));
        fed_page_rounds_fini(&rounds);
        scratch_evaluate(r, 1.0 / (double)(r + 1), 0.5);
        rounds = read_rounds(r, r, 10);
        ck_assert_uint_eq(rounds.n, 1);
        ck_assert(rounds.rows[0].round.loss == 1.0 / (double)(r + 1));
        fed_page_rounds_fini(&rounds);
    }
}
END_TEST

START_TEST(what_was_taken_back_is_marked_also_later) {
    open_page();
    for (uint64_t r = 0; r <= 4; r++) {
        scratch_commit(r, r > 0, NULL, 0);
    }
    struct fed_page_rounds rounds = read_rounds(0, UINT64_MAX, 10);
    ck_assert(!rounds.rows[3].rolled_back);
    fed_page_rounds_fini(&rounds);
    scratch_evaluate(2, 0.5, 0.5);
    scratch_roll_back(5, 2);
    scratch_commit(6, 1, NULL, 0);
    rounds = read_rounds(0, UINT64_MAX, 10);
    static const bool fallen[] = {0, 0, 0, 1, 1, 0, 0};
    for (size_t i = 0; i < 7; i++) {
        ck_assert_msg(rounds.rows[i].rolled_back == fallen[i], "round %zu", i);
        ck_assert(rounds.rows[i].is_rollback == (i == 5));
    }
    ck_assert_uint_eq(rounds.rows[5].rollback_to, 2);
    fed_page_rounds_fini(&rounds);
}
END_TEST

/* Each call counts for a moment only: under memcheck it takes several. */
static void sum_up_to(struct fed_page_sums *sums, uint64_t round) {
    ck_assert_int_eq(fed_page_sums(sums, page, NULL), FED_OK);
    for (int call = 1; sums->counted < round; call++) {
        ck_assert_int_lt(call, 100);
        fed_page_sums_fini(sums);
        ck_assert_int_eq(fed_page_sums(sums, page, NULL), FED_OK);
    }
    ck_assert_uint_eq(sums->counted, round);
}

START_TEST(nodes_are_summed_up_once_however_often_it_is_asked) {
    struct fed_page_sums sums;
    open_page();
    scratch_commit(0, 0, NULL, 0);
    for (uint64_t r = 1; r <= 40; r++) {
        scratch_commit(r, r % 2 == 0 ? 1 : 3, r == 7 ? "norm" : NULL, 5);
        if (r % 10 == 0) {
            sum_up_to(&sums, r);
            ck_assert_uint_eq(sums.n, 3);
            ck_assert_str_eq(sums.rows[0].name, "node-1");
            ck_assert_uint_eq(sums.rows[0].rounds, r);
            ck_assert_uint_eq(sums.rows[0].examples, 100);
            ck_assert_uint_eq(sums.rows[2].rounds, r / 2);
            ck_assert_uint_eq(sums.rows[2].last_round, r - 1);
            ck_assert_uint_eq(sums.rows[2].examples, 300);
            ck_assert_uint_eq(sums.rows[0].refused[FED_REFUSAL_NORM], 5);
            fed_page_sums_fini(&sums);
        }
    }
    struct fed_page_totals totals;
    ck_assert_int_eq(fed_page_totals(&totals, page, NULL), FED_OK);
    ck_assert(totals.counted);
    ck_assert_uint_eq(totals.refused[FED_REFUSAL_NORM], 5);
    ck_assert_uint_eq(totals.rounds.clients, 20 * 3 + 20);
    ck_assert_uint_eq(totals.rounds.bytes_down, 41000);
}
END_TEST

START_TEST(version_changes_with_every_commit_and_evaluation_and_not_without) {
    scratch_commit(0, 0, NULL, 0);
    open_page();
    uint64_t before = fed_page_version(page);
    ck_assert_uint_eq(fed_page_version(page), before);
    scratch_commit(1, 1, NULL, 0);
    uint64_t committed = fed_page_version(page);
    ck_assert_uint_ne(committed, before);
    scratch_evaluate(1, 0.5, 0.5);
    uint64_t evaluated = fed_page_version(page);
    ck_assert_uint_ne(evaluated, committed);
    ck_assert_uint_eq(fed_page_version(page), evaluated);
}
END_TEST

START_TEST(events_come_from_what_is_on_record_in_their_order) {
    struct fed_news_item items[50];
    scratch_commit(0, 0, NULL, 0);
    const uint64_t cohort[] = {1, 2};
    ck_assert_int_eq(fed_store_open_attempt(scratch_store, 1, 1, cohort, 2, NULL), FED_OK);
    ck_assert_int_eq(fed_store_open_attempt(scratch_store, 1, 2, cohort, 2, NULL), FED_OK);
    scratch_commit(1, 2, "norm", 3);
    scratch_evaluate(1, 0.5, 0.5);
    scratch_commit(2, 1, NULL, 0);
    scratch_roll_back(3, 1);
    const struct fed_store_quarantine quarantine = {"node-1", 4000, 9000, "norm", 3};
    ck_assert_int_eq(fed_store_quarantine(scratch_store, &quarantine, NULL), FED_OK);
    open_page();
    size_t n = fed_news_get(items, 50, fed_page_news(page), 0);
    unsigned kinds[FED_NEWS_FINISHED + 1] = {0};
    for (size_t i = 0; i < n; i++) {
        kinds[items[i].kind]++;
        ck_assert(i == 0 || items[i].wall_ms <= items[i - 1].wall_ms);
    }
    ck_assert_uint_eq(kinds[FED_NEWS_COMMITTED], 4);
    ck_assert_uint_eq(kinds[FED_NEWS_ABANDONED], 1); /* the second attempt became round 1 */
    ck_assert_uint_eq(kinds[FED_NEWS_ROLLBACK], 1);
    ck_assert_uint_eq(kinds[FED_NEWS_REFUSED], 1);
    ck_assert_uint_eq(kinds[FED_NEWS_QUARANTINE], 1);
    ck_assert_str_eq(items[n - 1].text, "node-1: no work for 5 s (norm)");
}
END_TEST

START_TEST(another_run_in_its_place_is_read_anew) {
    for (uint64_t r = 0; r <= 3; r++) {
        scratch_commit(r, r > 0, NULL, 0);
    }
    fed_store_close(scratch_store); /* at rest: no log beside it */
    open_page();
    struct fed_page_rounds rounds = read_rounds(0, UINT64_MAX, 10);
    ck_assert_uint_eq(rounds.n, 4);
    fed_page_rounds_fini(&rounds);
    char path[128];
    for (int r = 0; r < 5; r++) {
        snprintf(path, sizeof path, r < 4 ? "%s/model-%d.safetensors" : "%s/run.db", scratch_dir, r);
        unlink(path);
    }
    ck_assert_int_eq(fed_store_open(&scratch_store, scratch_dir, "{\"name\":\"other\"}", "{}", NULL), FED_OK);
    scratch_commit(0, 0, NULL, 0);
    rounds = read_rounds(0, UINT64_MAX, 10);
    ck_assert_uint_eq(rounds.n, 1);
    fed_page_rounds_fini(&rounds);
    struct fed_status_report report;
    ck_assert_int_eq(fed_page_status(&report, page, NULL), FED_OK);
    ck_assert_str_eq(report.name, "other");
}
END_TEST

START_TEST(partition_is_the_file_if_it_is_json) {
    char *text = NULL, path[128];
    scratch_commit(0, 0, NULL, 0);
    open_page();
    ck_assert_int_eq(fed_page_partition(&text, page, NULL), FED_ENOTFOUND);
    ck_assert_int_eq(fed_partition_file_write(scratch_dir, "{\"labels\": [\"a\"]}", NULL), FED_OK);
    ck_assert_int_eq(fed_partition_file_write(scratch_dir, "{\"labels\": [\"b\"]}", NULL), FED_OK); /* it is there */
    ck_assert_int_eq(fed_page_partition(&text, page, NULL), FED_OK);
    ck_assert_str_eq(text, "{\"labels\":[\"a\"]}");
    free(text);
    snprintf(path, sizeof path, "%s/" FED_PARTITION_FILE, scratch_dir);
    ck_assert_int_eq(truncate(path, 5), 0);
    ck_assert_int_eq(fed_page_partition(&text, page, NULL), FED_EDATA);
}
END_TEST

START_TEST(partition_counts_each_label_of_each_client) {
    enum { N = 600 };
    static uint8_t features[N], labels[N];
    struct fed_dataset data;
    struct fed_partition partition;
    struct fed_partition_spec spec = {.kind = FED_PARTITION_IID, .clients = 300};
    char *text = NULL;
    for (size_t i = 0; i < N; i++) {
        labels[i] = i % 3 == 0;
    }
    ck_assert_int_eq(fed_dataset_from_bytes(&data, N, 1, features, labels), FED_OK);
    ck_assert_int_eq(fed_partition_make(&partition, &data, &spec, 7, NULL), FED_OK);
    ck_assert_int_eq(fed_partition_text(&text, &data, &partition), FED_OK);
    ck_assert_ptr_nonnull(strstr(text, "{\"labels\":[\"0\",\"1\"],\"clients\":[0,1,3,4,6,"));
    ck_assert_ptr_nonnull(strstr(text, "],\"total_clients\":300}"));
    const char *at = strstr(text, "\"counts\":[") + strlen("\"counts\":[");
    for (uint32_t i = 0; i < FED_PARTITION_SHOWN; i++) {
        uint32_t rows[2], zeros = 0, ones = 0, client = i * 300 / FED_PARTITION_SHOWN;
        ck_assert_uint_eq(fed_partition_size(&partition, client), 2);
        fed_partition_rows(&partition, client, rows);
        uint32_t wanted = labels[rows[0]] + (uint32_t)labels[rows[1]];
        ck_assert_int_eq(sscanf(at, "[%u,%u]", &zeros, &ones), 2);
        ck_assert_uint_eq(ones, wanted);
        ck_assert_uint_eq(zeros, 2 - wanted);
        at = strchr(at, ']') + 2;
    }
    free(text);
    fed_partition_fini(&partition);
    fed_dataset_fini(&data);
}
END_TEST

int main(void) {
    TCase *core = tcase_create("core");
    tcase_add_checked_fixture(core, scratch_open, stop);
    tcase_add_test(core, rounds_are_seen_as_they_are_committed_and_evaluated);
    tcase_add_test(core, what_was_taken_back_is_marked_also_later);
    tcase_add_test(core, nodes_are_summed_up_once_however_often_it_is_asked);
    tcase_add_test(core, version_changes_with_every_commit_and_evaluation_and_not_without);
    tcase_add_test(core, events_come_from_what_is_on_record_in_their_order);
    tcase_add_test(core, another_run_in_its_place_is_read_anew);
    tcase_add_test(core, partition_is_the_file_if_it_is_json);
    tcase_add_test(core, partition_counts_each_label_of_each_client);
    Suite *suite = suite_create("page");
    suite_add_tcase(suite, core);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
