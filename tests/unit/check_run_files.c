/* Where the files of a run lie is kept and found again. */
#include "common/config/run_files.h"

#include <check.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct fed_error err;

static json_t *kept(const struct fed_run_files *files) {
    json_t *root = fed_run_files_encode(files);
    ck_assert_ptr_nonnull(root);
    return root;
}

static void same_text(const char *a, const char *b) {
    if (a == NULL || b == NULL) {
        ck_assert_ptr_eq(a, b);
    } else {
        ck_assert_str_eq(a, b);
    }
}

static void survives(const struct fed_run_files *files) {
    struct fed_run_files again;
    json_t *root = kept(files);
    ck_assert_msg(fed_run_files_decode(&again, root, "run", NULL, 0, &err) == FED_OK, "%s", err.text);
    const struct fed_data_source *a = &files->data, *b = &again.data;
    ck_assert_int_eq(a->format, b->format);
    same_text(a->train, b->train);
    same_text(a->test, b->test);
    same_text(a->train_images, b->train_images);
    same_text(a->test_images, b->test_images);
    same_text(a->train_features, b->train_features);
    same_text(a->test_features, b->test_features);
    same_text(a->train_labels, b->train_labels);
    same_text(a->test_labels, b->test_labels);
    same_text(a->label, b->label);
    same_text(a->group, b->group);
    ck_assert(a->header == b->header);
    ck_assert_uint_eq(a->unroll, b->unroll);
    same_text(files->initial, again.initial);
    fed_run_files_fini(&again);
    json_decref(root);
}

/* Absolute paths that are not there stay as they are. */
START_TEST(every_format_survives) {
    survives(&(struct fed_run_files){.data = {.format = FED_DATA_IDX,
                                              .train_images = "/a/ti",
                                              .train_labels = "/a/tl",
                                              .test_images = "/a/ei",
                                              .test_labels = "/a/el",
                                              .header = true,
                                              .unroll = 80}});
    survives(&(struct fed_run_files){.data = {.format = FED_DATA_CSV,
                                              .train = "/a/t.csv",
                                              .test = "/a/e.csv",
                                              .label = "outcome",
                                              .group = "ward",
                                              .header = false,
                                              .unroll = 80},
                                     .initial = "/a/first.safetensors"});
    survives(&(struct fed_run_files){
        .data = {
            .format = FED_DATA_NPY, .test_features = "/a/x.npy", .test_labels = "/a/y.npy", .header = true, .unroll = 80}});
    survives(&(struct fed_run_files){.data = {.format = FED_DATA_ROLES, .train = "/a/plays", .header = true, .unroll = 20}});
    survives(&(struct fed_run_files){.data = {.format = FED_DATA_IDX, .header = true, .unroll = 80}});
}
END_TEST

START_TEST(a_path_is_kept_as_one_that_any_directory_understands) {
    char name[] = "/tmp/check-run-files-XXXXXX", whole[PATH_MAX];
    ck_assert_ptr_nonnull(mkdtemp(name));
    ck_assert_int_eq(chdir(name), 0);
    ck_assert_ptr_nonnull(realpath(".", whole));
    json_t *root =
        kept(&(struct fed_run_files){.data = {.format = FED_DATA_TEXT, .test = ".", .header = true, .unroll = 80}});
    ck_assert_str_eq(json_string_value(json_object_get(root, "data.test")), whole);
    json_decref(root);
    rmdir(name);
}
END_TEST

START_TEST(a_path_that_json_cannot_hold_is_left_out) {
    json_t *root = kept(&(struct fed_run_files){
        .data = {.format = FED_DATA_TEXT, .train = "/a/\xff", .test = "/a/b", .header = true, .unroll = 80}});
    ck_assert_ptr_null(json_object_get(root, "data.train"));
    ck_assert_str_eq(json_string_value(json_object_get(root, "data.test")), "/a/b");
    json_decref(root);
}
END_TEST

START_TEST(other_files_take_the_place_of_those_that_are_kept) {
    static const char *const test[] = {"data.test=/b/e.csv"}, *const format[] = {"data.format=text", "data.test=/b/text"};
    struct fed_run_files found;
    json_t *root = kept(&(struct fed_run_files){
        .data =
            {.format = FED_DATA_CSV, .train = "/a/t.csv", .test = "/a/e.csv", .label = "y", .header = true, .unroll = 80},
        .initial = "/a/i"});
    ck_assert_int_eq(fed_run_files_decode(&found, root, "run", test, 1, &err), FED_OK);
    ck_assert_str_eq(found.data.test, "/b/e.csv");
    ck_assert_str_eq(found.data.train, "/a/t.csv");
    fed_run_files_fini(&found);
    ck_assert_int_eq(fed_run_files_decode(&found, root, "run", format, 2, &err), FED_OK);
    ck_assert_int_eq(found.data.format, FED_DATA_TEXT);
    ck_assert_ptr_null(found.data.train);
    ck_assert_ptr_null(found.data.label);
    ck_assert_str_eq(found.initial, "/a/i");
    fed_run_files_fini(&found);
    json_decref(root);
}
END_TEST

START_TEST(of_a_run_that_says_nothing_nothing_is_known) {
    struct fed_run_files found;
    ck_assert_int_eq(fed_run_files_decode(&found, NULL, "run", NULL, 0, &err), FED_OK);
    ck_assert(!fed_data_source_has_train(&found.data) && !fed_data_source_has_test(&found.data));
    fed_run_files_fini(&found);
}
END_TEST

START_TEST(keys_that_are_not_about_files_are_refused) {
    static const char *const sets[] = {"algorithm.rounds=3"}, *const half[] = {"data.test.images=/a"};
    struct fed_run_files found;
    ck_assert_int_eq(fed_run_files_decode(&found, NULL, "run", sets, 1, &err), FED_ECONFIG);
    ck_assert(strstr(err.text, "--set algorithm.rounds: unknown key") == err.text);
    ck_assert_int_eq(fed_run_files_decode(&found, NULL, "run", half, 1, &err), FED_ECONFIG);
    ck_assert_str_eq(err.text, "run: data.test.labels: missing, images and labels belong together");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("run_files");
    TCase *tcase = tcase_create("run_files");
    tcase_add_test(tcase, every_format_survives);
    tcase_add_test(tcase, a_path_is_kept_as_one_that_any_directory_understands);
    tcase_add_test(tcase, a_path_that_json_cannot_hold_is_left_out);
    tcase_add_test(tcase, other_files_take_the_place_of_those_that_are_kept);
    tcase_add_test(tcase, of_a_run_that_says_nothing_nothing_is_known);
    tcase_add_test(tcase, keys_that_are_not_about_files_are_refused);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
