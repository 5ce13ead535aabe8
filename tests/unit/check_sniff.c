/* What a file looks like is told from its bytes. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/data/sniff.h"

static char dir[40], path[80], other[80];

static void setup(void) {
    strcpy(dir, "/tmp/fed-sniff-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void) {
    unlink(path);
    unlink(other);
    ck_assert_int_eq(rmdir(dir), 0);
}

static const char *file(char into[80], const char *name, const void *bytes, size_t n) {
    snprintf(into, 80, "%s/%s", dir, name);
    FILE *out = fopen(into, "w");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(bytes, 1, n, out), n);
    ck_assert_int_eq(fclose(out), 0);
    return into;
}

static struct fed_sniffed sniff_text(const char *name, const char *text) {
    struct fed_sniffed seen;
    struct fed_error err = {""};
    ck_assert_msg(fed_sniff(&seen, file(path, name, text, strlen(text)), &err) == FED_OK, "%s", err.text);
    return seen;
}

static void refuses(const char *name, const void *bytes, size_t n, const char *expected) {
    struct fed_sniffed seen;
    struct fed_error err = {""};
    ck_assert_int_eq(fed_sniff(&seen, file(path, name, bytes, n), &err), FED_EDATA);
    ck_assert_msg(strstr(err.text, expected) != NULL, "%s", err.text);
    unlink(path);
}

START_TEST(columns_are_described) {
    struct fed_sniffed seen = sniff_text("a.csv", "age,ward,outcome\n40,A,well\n-2.5,B,ill\n3,A,well\n");
    ck_assert_int_eq(seen.format, FED_DATA_CSV);
    ck_assert(seen.header);
    ck_assert_uint_eq(seen.n_rows, 3);
    ck_assert_uint_eq(seen.n_columns, 3);
    const struct fed_sniffed_column *age = &seen.columns[0], *outcome = &seen.columns[2];
    ck_assert_str_eq(age->name, "age");
    ck_assert(age->numbers && !age->whole);
    ck_assert_double_eq(age->largest, 40);
    ck_assert_double_eq_tol(age->mean_square, (1600 + 6.25 + 9) / 3, 1e-9);
    ck_assert(!outcome->numbers);
    ck_assert_uint_eq(outcome->n_values, 2);
    ck_assert_str_eq(fed_sniffed_value(outcome, 0), "well");
    ck_assert_str_eq(fed_sniffed_value(outcome, 1), "ill");
    fed_sniffed_fini(&seen);
}
END_TEST

START_TEST(a_first_row_with_a_number_in_it_is_an_example) {
    struct fed_sniffed seen = sniff_text("iris", "5.1,3.5,setosa\n4.9,3.0,setosa\n7,3.2,versicolor\n");
    ck_assert_int_eq(seen.format, FED_DATA_CSV); /* whatever it is called */
    ck_assert(!seen.header);
    ck_assert_uint_eq(seen.n_rows, 3);
    ck_assert_uint_eq(seen.columns[2].n_values, 2);
    fed_sniffed_fini(&seen);
}
END_TEST

START_TEST(whole_numbers_could_be_classes_and_empty_cells_are_counted) {
    struct fed_sniffed seen = sniff_text("a.csv", "x,y,z\n1,0,\n2,1,5\n,7,007\n");
    ck_assert(seen.columns[0].whole && seen.columns[0].n_empty == 1);
    ck_assert(seen.columns[1].whole);
    ck_assert(seen.columns[2].numbers && !seen.columns[2].whole); /* 007 is not how a class is written */
    fed_sniffed_fini(&seen);
}
END_TEST

START_TEST(words_are_counted_apart_from_numbers_and_empty_cells) {
    struct fed_sniffed seen = sniff_text("a.csv", "age,ward\n31,east\nsixty,west\n,north\n47,east\n");
    ck_assert(!seen.columns[0].numbers);
    ck_assert_uint_eq(seen.columns[0].n_words, 1);
    ck_assert_uint_eq(seen.columns[1].n_words, 4);
    fed_sniffed_fini(&seen);
}
END_TEST

START_TEST(other_formats_are_known_by_their_first_bytes) {
    static const struct {
        const char *bytes;
        size_t n;
        enum fed_data_format format;
    } files[] = {{"\0\0\x08\x03\0\0\0\1", 8, FED_DATA_IDX},
                 {"\x1f\x8b\x08\0", 4, FED_DATA_IDX},
                 {"\x93NUMPY\1\0", 8, FED_DATA_NPY},
                 {"To be, or not to be:\nthat is the question.\n", 43, FED_DATA_TEXT}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct fed_sniffed seen;
        ck_assert_int_eq(fed_sniff(&seen, file(path, "file", files[i].bytes, files[i].n), NULL), FED_OK);
        ck_assert_int_eq(seen.format, files[i].format);
        fed_sniffed_fini(&seen);
    }
}
END_TEST

START_TEST(what_cannot_be_read_is_one_sentence) {
    refuses("a.csv", "", 0, "the file is empty");
    refuses("a.csv", "a;b\n1;2\n", 8, "separated by commas, not by semicolons");
    refuses("a.csv", "a\tb\n1\t2\n", 8, "separated by commas, not by tabs");
    refuses("a.csv", "a,b\n", 4, "holds no examples");
    refuses("a.csv", "a,b\n1,2\n1\n", 10, "a.csv:3: a row of 1 cells, expected 2");
    refuses("image", "\x89PNG\0\0", 6, "is neither IDX, NumPy, CSV nor a plain text");
    refuses("a.csv.gz", "\x1f\x8b\x08\0", 4, "gunzip it first");
    struct fed_error err;
    struct fed_sniffed seen;
    ck_assert_int_eq(fed_sniff(&seen, "/nowhere/at/all", &err), FED_EDATA);
    ck_assert_int_eq(fed_sniff(&seen, dir, &err), FED_EDATA);
}
END_TEST

START_TEST(two_tables_are_merged_if_their_columns_are_the_same) {
    struct fed_sniffed a = sniff_text("a.csv", "x,label\n1,well\n2,well\n"), b, c;
    struct fed_error err = {""};
    ck_assert_int_eq(fed_sniff(&b, file(other, "b.csv", "x,label\n-9,ill\n", 15), &err), FED_OK);
    ck_assert_int_eq(fed_sniffed_merge(&a, "a", &b, "b", &err), FED_OK);
    ck_assert_uint_eq(a.n_rows, 3);
    ck_assert_uint_eq(a.columns[1].n_values, 2);
    ck_assert_str_eq(fed_sniffed_value(&a.columns[1], 1), "ill");
    ck_assert_double_eq(a.columns[0].largest, 9);
    ck_assert_double_eq_tol(a.columns[0].mean_square, (1 + 4 + 81) / 3.0, 1e-9);
    ck_assert_int_eq(fed_sniff(&c, file(other, "b.csv", "y,label\n-9,ill\n", 15), &err), FED_OK);
    ck_assert_int_eq(fed_sniffed_merge(&a, "a", &c, "c", &err), FED_EDATA);
    ck_assert_str_eq(err.text, "a and c must have the same columns, in the same order");
    fed_sniffed_fini(&a);
    fed_sniffed_fini(&b);
    fed_sniffed_fini(&c);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sniff");
    TCase *tcase = tcase_create("sniff");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, columns_are_described);
    tcase_add_test(tcase, a_first_row_with_a_number_in_it_is_an_example);
    tcase_add_test(tcase, whole_numbers_could_be_classes_and_empty_cells_are_counted);
    tcase_add_test(tcase, words_are_counted_apart_from_numbers_and_empty_cells);
    tcase_add_test(tcase, other_formats_are_known_by_their_first_bytes);
    tcase_add_test(tcase, what_cannot_be_read_is_one_sentence);
    tcase_add_test(tcase, two_tables_are_merged_if_their_columns_are_the_same);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
