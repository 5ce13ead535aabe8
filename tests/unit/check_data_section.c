/* Which keys of the section `data` go with which format: what belongs together is taken, all else is refused by name. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config/task.h"

static char dir[32], path[64];

static void setup(void) {
    strcpy(dir, "/tmp/fed-datas-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/task.yaml", dir);
}

static void teardown(void) {
    unlink(path);
    ck_assert_int_eq(rmdir(dir), 0);
}

/* The code of a task with this section; its path and "data." are cut off the sentence. */
static int load(struct fed_task *task, const char *section, char sentence[1024]) {
    struct fed_error err = {.text = ""};
    char front[128];
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f,
            "schema: 1\nname: t\nseed: 1\nmodel: {preset: logistic}\ndata: %s\n"
            "algorithm: {rounds: 3, fraction: 0.1, epochs: 1, batch_size: 10, learning_rate: 0.2}\n",
            section);
    ck_assert_int_eq(fclose(f), 0);
    int code = fed_task_load(task, path, NULL, 0, &err);
    bool has_line = snprintf(front, sizeof front, "%s:5: data.", path) > 0 && strncmp(err.text, front, strlen(front)) == 0;
    bool has_none = snprintf(front, sizeof front, "%s: data.", path) > 0 && strncmp(err.text, front, strlen(front)) == 0;
    ck_assert_msg(code == 0 || has_line || has_none, "%s", err.text);
    strcpy(sentence, code == 0 ? "" : err.text + strlen(front) + (has_line ? 2 : 0));
    return code;
}

START_TEST(every_format_has_its_own_keys) {
    static const char *const sections[] = {
        "{train: {images: a, labels: b}, test: {images: c, labels: d}}",
        "{format: npy, train: {features: a, labels: b}, test: {features: c, labels: d}}",
        "{format: csv, train: a, test: c, label: outcome, group: ward, header: yes}",
        "{format: text, train: a, test: c, unroll: 20}",
        "{format: roles, train: a, unroll: 20}",
    };
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        struct fed_task task;
        char sentence[1024], a[64];
        ck_assert_msg(load(&task, sections[i], sentence) == 0, "%s: %s", sections[i], sentence);
        snprintf(a, sizeof a, "%s/a", dir);
        ck_assert_str_eq(fed_data_source_train_path(&task.data), a);
        ck_assert(fed_data_source_has_train(&task.data) && fed_data_source_has_test(&task.data));
        ck_assert_uint_eq(task.data.unroll, i < 3 ? 80 : 20);
        ck_assert(task.data.header);
        fed_task_fini(&task);
    }
}
END_TEST

static const struct {
    const char *section, *sentence;
} wrong[] = {
    {"{train: a}", "train: goes only with data.format: csv, text or roles, not with idx (to take it back: --set "
                   "data.train=null)"},
    {"{format: csv, train: {images: a, labels: b}, label: y}",
     "train.images: goes only with data.format: idx, not with csv (to take it back: --set data.train.images=null)"},
    {"{format: npy, train: {images: a, labels: b}}", "train.images: goes only with data.format: idx, not with npy"},
    {"{format: idx, train: {features: a, labels: b}}", "train.features: goes only with data.format: npy, not with idx"},
    {"{format: text, train: {features: a, labels: b}}", "train.features: goes only with data.format: npy, not with text"},
    {"{format: roles, train: a, test: b}", "test: goes only with data.format: csv or text, not with roles"},
    {"{format: text, train: a, label: y}", "label: goes only with data.format: csv, not with text"},
    {"{format: npy, group: y}", "group: goes only with data.format: csv, not with npy"},
    {"{format: idx, header: yes}", "header: goes only with data.format: csv, not with idx"},
    {"{format: csv, label: y, unroll: 8}", "unroll: goes only with data.format: text or roles, not with csv"},
    {"{format: npy, train: {features: a}}", "train.labels: missing, features and labels belong together"},
    {"{format: npy, test: {labels: a}}", "test.features: missing, features and labels belong together"},
    {"{test: {labels: a}}", "test.images: missing, images and labels belong together"},
    {"{format: csv, train: a}", "label: missing, expected the column of the labels, its name or its number from 1 on"},
    {"{format: text, unroll: 0}", "unroll: found \"0\", expected a whole number from 1 to 65536"},
    {"{format: csv, header: maybe}", "header: found \"maybe\", expected yes or no"},
    {"{format: csv, label: ''}", "label: found \"\", expected some text"},
    {"{format: tsv}", "format: found \"tsv\", expected idx, csv, npy, text or roles"},
    {"{train: {image: a}}", "train.image: unknown key; did you mean data.train.images?"},
    {"{train: {images: {a: b}}}", "train.images: found a section or list, expected the path of a file"},
    {"{format: csv, label: y, partition: {kind: iid, clients: 3}}", "partition.kind: splits data.train, not given here"},
};

START_TEST(what_does_not_belong_together_is_refused_by_name) {
    struct fed_task task;
    char sentence[1024];
    ck_assert_int_eq(load(&task, wrong[_i].section, sentence), FED_ECONFIG);
    ck_assert_msg(strncmp(sentence, wrong[_i].sentence, strlen(wrong[_i].sentence)) == 0, "%s", sentence);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("data_section");
    TCase *tests = tcase_create("data_section");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, every_format_has_its_own_keys);
    tcase_add_loop_test(tests, what_does_not_belong_together_is_refused_by_name, 0, sizeof wrong / sizeof *wrong);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
