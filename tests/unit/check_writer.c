/* Text that grows: long, escaped, and numbers that read back as the same. */
#include "coordinator/http/writer.h"

#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct fed_writer writer;
static void stop(void) { fed_writer_fini(&writer); }

START_TEST(what_was_written_comes_out_whole) {
    char *text;
    size_t n;
    for (int i = 0; i < 10000; i++) {
        fed_writer_addf(&writer, "%04d", i);
        fed_writer_add(&writer, ",");
    }
    ck_assert_int_eq(fed_writer_take(&text, &n, &writer), FED_OK);
    ck_assert_uint_eq(n, 50000);
    ck_assert_uint_eq(strlen(text), n);
    for (size_t i = 0; i < 10000; i++) {
        ck_assert_uint_eq(strtoul(text + 5 * i, NULL, 10), i);
    }
    free(text);
}
END_TEST

START_TEST(nothing_written_is_an_empty_text) {
    char *text;
    size_t n = 7;
    ck_assert_int_eq(fed_writer_take(&text, &n, &writer), FED_OK);
    ck_assert_uint_eq(n, 0);
    ck_assert_str_eq(text, "");
    free(text);
}
END_TEST

START_TEST(numbers_read_back_as_the_same_and_others_are_null) {
    static const double numbers[] = {0, -0.1, 0.9713, 1.0 / 3, 1e300, 5e-324, 123456789012345680.0};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        fed_writer_json_number(&writer, numbers[i]);
        ck_assert(strtod(writer.bytes, NULL) == numbers[i]);
        fed_writer_fini(&writer);
    }
    fed_writer_json_number(&writer, 0.1);
    fed_writer_add(&writer, " ");
    fed_writer_json_number(&writer, (double)NAN);
    fed_writer_add(&writer, " ");
    fed_writer_json_number(&writer, -(double)INFINITY);
    ck_assert_str_eq(writer.bytes, "0.1 null null");
}
END_TEST

/* jansson reads what was made of every byte. */
START_TEST(any_text_is_a_string_of_json) {
    char all[256];
    for (int i = 1; i < 256; i++) {
        all[i - 1] = (char)i;
    }
    all[255] = '\0';
    fed_writer_json_text(&writer, all);
    json_t *read = json_loads(writer.bytes, JSON_DECODE_ANY, NULL);
    ck_assert(json_is_string(read));
    const char *text = json_string_value(read);
    ck_assert_uint_eq(strlen(text), 255);
    for (int i = 1; i < 256; i++) {
        ck_assert_int_eq(text[i - 1], i >= 0x20 && i <= 0x7e ? i : '?');
    }
    json_decref(read);
}
END_TEST

int main(void) {
    TCase *core = tcase_create("core");
    tcase_add_checked_fixture(core, NULL, stop);
    tcase_add_test(core, what_was_written_comes_out_whole);
    tcase_add_test(core, nothing_written_is_an_empty_text);
    tcase_add_test(core, numbers_read_back_as_the_same_and_others_are_null);
    tcase_add_test(core, any_text_is_a_string_of_json);
    Suite *suite = suite_create("writer");
    suite_add_tcase(suite, core);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
