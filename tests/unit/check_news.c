/* What happened lately: bounded, newest first, and a flood of one kind hides no other. */
#include "coordinator/http/news.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct fed_news *news;
static struct fed_news_item items[FED_NEWS_MOST + 10];
static void start(void) { ck_assert_int_eq(fed_news_new(&news), FED_OK); }
static void stop(void) { fed_news_free(news); }

START_TEST(newest_come_first_with_their_words) {
    ck_assert_uint_eq(fed_news_last(news), 0);
    fed_news_add(news, 1000, FED_NEWS_JOINED, "%s joined", "ward-7");
    fed_news_add(news, 2000, FED_NEWS_COMMITTED, "round %d", 3);
    ck_assert_uint_eq(fed_news_get(items, 10, news, 0), 2);
    ck_assert_str_eq(items[0].text, "round 3");
    ck_assert_str_eq(fed_news_kind_name(items[0].kind), "committed");
    ck_assert_int_eq(items[1].wall_ms, 1000);
    ck_assert_str_eq(items[1].text, "ward-7 joined");
    ck_assert_uint_eq(fed_news_last(news), 2);
}
END_TEST

START_TEST(only_what_is_new_is_got) {
    for (int i = 1; i <= 5; i++) {
        fed_news_add(news, i, i % 2 == 0 ? FED_NEWS_LEFT : FED_NEWS_ALARM, "%d", i);
    }
    ck_assert_uint_eq(fed_news_get(items, 10, news, 3), 2);
    ck_assert_uint_eq(items[0].number, 5);
    ck_assert_uint_eq(items[1].number, 4);
    ck_assert_uint_eq(fed_news_get(items, 1, news, 0), 1);
    ck_assert_uint_eq(items[0].number, 5);
    ck_assert_uint_eq(fed_news_get(items, 10, news, 5), 0);
}
END_TEST

START_TEST(a_flood_of_one_kind_hides_no_other) {
    fed_news_add(news, 1, FED_NEWS_ROLLBACK, "the model exploded");
    fed_news_add(news, 2, FED_NEWS_LEFT, "ward-7 left");
    fed_news_add(news, 3, FED_NEWS_COMMITTED, "round 1");
    for (int i = 0; i < 100000; i++) {
        fed_news_add(news, 4 + i, FED_NEWS_REFUSED, "stranger %d", i);
    }
    size_t n = fed_news_get(items, FED_NEWS_MOST + 10, news, 0);
    ck_assert_uint_eq(n, FED_NEWS_MOST / 4 + 3);
    ck_assert_str_eq(items[0].text, "stranger 99999");
    ck_assert_str_eq(items[n - 1].text, "the model exploded");
    for (size_t i = 1; i < n; i++) {
        ck_assert_uint_lt(items[i].number, items[i - 1].number);
    }
}
END_TEST

START_TEST(no_more_than_so_many_are_ever_kept) {
    for (int i = 0; i < 4000; i++) {
        fed_news_add(news, i, (enum fed_news_kind)(i % (FED_NEWS_FINISHED + 1)), "%d", i);
    }
    ck_assert_uint_eq(fed_news_get(items, FED_NEWS_MOST + 10, news, 0), FED_NEWS_MOST);
}
END_TEST

START_TEST(words_that_are_too_long_are_cut_and_nobody_may_want_them) {
    char words[1000];
    memset(words, 'a', sizeof words);
    words[sizeof words - 1] = '\0';
    fed_news_add(news, 1, FED_NEWS_REFUSED, "%s", words);
    fed_news_add(NULL, 1, FED_NEWS_REFUSED, "%s", words);
    ck_assert_uint_eq(fed_news_get(items, 1, news, 0), 1);
    ck_assert_uint_eq(strlen(items[0].text), sizeof items[0].text - 1);
}
END_TEST

int main(void) {
    TCase *core = tcase_create("core");
    tcase_add_checked_fixture(core, start, stop);
    tcase_add_test(core, newest_come_first_with_their_words);
    tcase_add_test(core, only_what_is_new_is_got);
    tcase_add_test(core, a_flood_of_one_kind_hides_no_other);
    tcase_add_test(core, no_more_than_so_many_are_ever_kept);
    tcase_add_test(core, words_that_are_too_long_are_cut_and_nobody_may_want_them);
    Suite *suite = suite_create("news");
    suite_add_tcase(suite, core);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
