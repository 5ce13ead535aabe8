/* What readers of the stream are told, and what a slow one misses. */
#include "coordinator/http/http_stream.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/scratch_run.h"

static struct fed_board *board;
static struct fed_news *news;
static struct fed_page *page;
static struct fed_streams *streams;

static void start(void) {
    scratch_open();
    scratch_commit(0, 0, NULL, 0);
    ck_assert_int_eq(fed_board_new(&board), FED_OK);
    ck_assert_int_eq(fed_news_new(&news), FED_OK);
    ck_assert_int_eq(fed_page_new(&page, scratch_dir, board, news, NULL), FED_OK);
    ck_assert_int_eq(fed_streams_new(&streams, page), FED_OK);
}

static void stop(void) {
    fed_streams_free(streams);
    fed_page_free(page);
    fed_news_free(news);
    fed_board_free(board);
    scratch_remove();
}

static struct fed_stream *open_stream(void) {
    struct fed_stream *stream = NULL;
    ck_assert_int_eq(fed_stream_open(&stream, streams), FED_OK);
    return stream;
}

/* All that the reader has not heard, in pieces of so many bytes. */
static const char *hear(struct fed_stream *stream, size_t piece) {
    static char text[1 << 21];
    size_t n = 0, got;
    while ((got = fed_stream_next(stream, text + n, piece)) > 0) {
        ck_assert_uint_le(got, piece);
        n += got;
        ck_assert_uint_lt(n, sizeof text - piece);
    }
    text[n] = '\0';
    return text;
}

static size_t count(const char *text, const char *what) {
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++) {
        n++;
    }
    return n;
}

/* As the loop does: something changed. */
static void change(void) {
    static uint32_t attempt;
    struct fed_board_now now;
    memset(&now, 0, sizeof now);
    now.live.attempt = ++attempt;
    fed_board_put(board, &now, 1);
    fed_streams_due(streams);
}

START_TEST(reader_first_hears_how_things_stand) {
    struct fed_stream *stream = open_stream();
    const char *text = hear(stream, 100);
    ck_assert_uint_eq(count(text, "event: status\ndata: {"), 1);
    ck_assert_uint_eq(count(text, "event: "), 1);
    ck_assert_str_eq(hear(stream, 100), "");
    fed_stream_close(stream);
}
END_TEST

START_TEST(a_round_is_told_when_committed_and_when_evaluated) {
    struct fed_stream *stream = open_stream();
    hear(stream, 4096);
    scratch_commit(1, 1, NULL, 0);
    change();
    const char *text = hear(stream, 7);
    ck_assert_uint_eq(count(text, "event: round\ndata: {\"round\":1,\"accuracy\":null,"), 1);
    ck_assert_uint_eq(count(text, "event: status"), 1);
    scratch_evaluate(1, 0.25, 0.5);
    change();
    text = hear(stream, 4096);
    ck_assert_uint_eq(count(text, "event: round\ndata: {\"round\":1,\"accuracy\":0.5,\"loss\":0.25,"), 1);
    change();
    ck_assert_uint_eq(count(hear(stream, 4096), "event: round"), 0);
    for (uint64_t r = 2; r <= 5; r++) {
        scratch_commit(r, 1, NULL, 0);
        scratch_evaluate(r, 0.25, 0.5);
    }
    change();
    text = hear(stream, 4096);
    ck_assert_uint_eq(count(text, "event: round"), 4);
    ck_assert(strstr(text, "{\"round\":2,") < strstr(text, "{\"round\":5,"));
    fed_stream_close(stream);
}
END_TEST

START_TEST(events_are_told_once_the_oldest_first) {
    fed_news_add(news, 1000, FED_NEWS_LEFT, "before");
    struct fed_stream *stream = open_stream();
    hear(stream, 4096);
    fed_news_add(news, 2000, FED_NEWS_JOINED, "first");
    fed_news_add(news, 3000, FED_NEWS_ALARM, "second");
    change();
    const char *text = hear(stream, 4096);
    ck_assert_uint_eq(count(text, "event: event\n"), 2);
    ck_assert_uint_eq(count(text, "before"), 0);
    ck_assert_ptr_nonnull(strstr(text, "data: {\"at\":2,\"kind\":\"joined\",\"text\":\"first\"}\n\n"));
    ck_assert(strstr(text, "\"text\":\"first\"") < strstr(text, "\"text\":\"second\""));
    change();
    ck_assert_uint_eq(count(hear(stream, 4096), "event: event"), 0);
    fed_stream_close(stream);
}
END_TEST

START_TEST(without_a_change_there_is_a_sign_of_life_alone) {
    struct fed_stream *stream = open_stream();
    hear(stream, 4096);
    fed_streams_due(streams);
    ck_assert_str_eq(hear(stream, 4096), "event: alive\ndata: {}\n\n");
    fed_stream_close(stream);
}
END_TEST

START_TEST(a_burst_of_rounds_is_told_whole) {
    struct fed_stream *stream = open_stream();
    char row[64];
    hear(stream, 4096);
    for (uint64_t r = 1; r <= 60; r++) {
        scratch_commit(r, 1, NULL, 0);
        fed_news_add(news, (int64_t)r, FED_NEWS_COMMITTED, "round %d", (int)r);
    }
    change();
    const char *text = hear(stream, 4096), *at = text;
    for (int r = 1; r <= 60; r++) {
        snprintf(row, sizeof row, "event: round\ndata: {\"round\":%d,", r);
        at = strstr(at, row);
        ck_assert_msg(at != NULL, "round %d is not told, or not in its place", r);
    }
    ck_assert_uint_eq(count(text, "event: event"), FED_NEWS_MOST / 4); /* all that are kept of rounds */
    fed_stream_close(stream);
}
END_TEST

START_TEST(all_readers_hear_the_same_and_a_slow_one_the_newest) {
    struct fed_stream *slow = open_stream(), *quick = open_stream();
    char piece[4];
    hear(quick, 4096);
    ck_assert_uint_eq(fed_stream_next(slow, piece, sizeof piece), sizeof piece);
    for (int i = 1; i <= 600; i++) {
        fed_news_add(news, i, FED_NEWS_ALARM, "alarm %d.", i);
        change();
        ck_assert_uint_eq(count(hear(quick, 4096), "event: event"), 1);
    }
    const char *text = hear(slow, 4096);
    ck_assert_uint_eq(count(text, "event: "), 1 + 1024); /* what it had begun to hear, and the last ones */
    ck_assert_ptr_nonnull(strstr(text, "alarm 600."));
    ck_assert_ptr_null(strstr(text, "alarm 60."));
    fed_stream_close(slow);
    fed_stream_close(quick);
}
END_TEST

START_TEST(there_is_room_for_so_many_readers) {
    struct fed_stream *all[FED_STREAMS_MOST], *more = NULL;
    for (size_t i = 0; i < FED_STREAMS_MOST; i++) {
        all[i] = open_stream();
    }
    ck_assert_int_eq(fed_stream_open(&more, streams), FED_EAGAIN);
    fed_stream_close(all[3]);
    all[3] = open_stream();
    for (size_t i = 0; i < FED_STREAMS_MOST; i++) {
        fed_stream_close(all[i]);
    }
}
END_TEST

int main(void) {
    TCase *core = tcase_create("core");
    tcase_add_checked_fixture(core, start, stop);
    tcase_add_test(core, reader_first_hears_how_things_stand);
    tcase_add_test(core, a_round_is_told_when_committed_and_when_evaluated);
    tcase_add_test(core, events_are_told_once_the_oldest_first);
    tcase_add_test(core, without_a_change_there_is_a_sign_of_life_alone);
    tcase_add_test(core, a_burst_of_rounds_is_told_whole);
    tcase_add_test(core, all_readers_hear_the_same_and_a_slow_one_the_newest);
    tcase_add_test(core, there_is_room_for_so_many_readers);
    Suite *suite = suite_create("http_stream");
    suite_add_tcase(suite, core);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
