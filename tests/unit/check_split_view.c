/* What `fedavg partition` says of a split: figures known by hand, samples of many clients, text and picture. */
#include "cli/partition/split_view.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/partition/split_svg.h"
#include "cli/partition/split_text.h"

enum { EXAMPLES = 1200, LABELS = 4 };

static uint8_t features[EXAMPLES], labels[EXAMPLES];
static struct fed_task task;
static struct fed_dataset data;
static struct fed_partition partition;
static struct fed_split_view view;
static struct fed_error err;

static void setup(void) {
    for (int i = 0; i < EXAMPLES; i++) {
        labels[i] = (uint8_t)(i % LABELS);
    }
    task = (struct fed_task){.name = "wards", .seed = 1};
    ck_assert_int_eq(fed_dataset_from_bytes(&data, EXAMPLES, 1, features, labels), 0);
}

static void teardown(void) {
    fed_split_view_fini(&view);
    fed_partition_fini(&partition);
    fed_dataset_fini(&data);
}

static void see(enum fed_partition_kind kind, uint32_t clients, uint32_t shards, double alpha, uint32_t each) {
    task.partition = (struct fed_partition_spec){kind, clients, shards, alpha, each};
    ck_assert_msg(fed_partition_make(&partition, &data, &task.partition, 1, &err) == 0, "%s", err.text);
    ck_assert_int_eq(fed_split_view_init(&view, &task, &data, &partition), 0);
}

/* One label each: three quarters of everybody's labels are others'. */
START_TEST(clients_of_one_label_are_as_far_as_can_be) {
    see(FED_PARTITION_SHARDS, LABELS, 1, 0, 0);
    ck_assert_double_eq_tol(view.skew, 0.75, 1e-12);
    ck_assert_uint_eq(view.labels.least, 1);
    ck_assert_uint_eq(view.labels.most, 1);
    ck_assert_uint_eq(view.sizes.median, EXAMPLES / LABELS);
    for (uint32_t k = 0; k < LABELS; k++) {
        double most = 0;
        for (uint32_t l = 0; l < LABELS; l++) {
            double share = fed_split_view_share(&view, k, l, l + 1);
            most = share > most ? share : most;
        }
        ck_assert_double_eq(most, 1);
        ck_assert_double_eq(fed_split_view_share(&view, k, 0, LABELS), 1);
    }
}
END_TEST

START_TEST(one_client_of_everything_is_like_everybody) {
    see(FED_PARTITION_IID, 1, 0, 0, 0);
    ck_assert_double_eq_tol(view.skew, 0, 1e-12);
    ck_assert_uint_eq(view.labels.median, LABELS);
}
END_TEST

START_TEST(sizes_are_those_of_all_clients_largest_first) {
    see(FED_PARTITION_QUANTITY, 101, 0, 1.3, 0);
    ck_assert_uint_eq(view.sizes.most, fed_partition_largest(&partition));
    ck_assert_uint_eq(view.sizes.least, fed_partition_smallest(&partition));
    size_t all = 0;
    for (uint32_t i = 0; i < 101; i++) {
        size_t n = fed_partition_size(&partition, view.ranked[i]);
        all += n;
        if (i > 0) {
            size_t before = fed_partition_size(&partition, view.ranked[i - 1]);
            ck_assert(before > n || (before == n && view.ranked[i - 1] < view.ranked[i]));
        }
    }
    ck_assert_uint_eq(all, EXAMPLES);
    ck_assert_uint_eq(view.sizes.median, fed_partition_size(&partition, view.ranked[50]));
}
END_TEST

START_TEST(of_a_million_clients_ten_thousand_are_looked_into_evenly_spaced) {
    see(FED_PARTITION_DIRICHLET, 1000000, 0, 0.5, 20);
    ck_assert_uint_eq(view.n_seen, 10000);
    ck_assert_ptr_null(view.ranked);
    ck_assert_uint_eq(view.sizes.least, 20);
    ck_assert_uint_eq(view.sizes.most, 20);
    for (uint32_t i = 0; i < view.n_seen; i++) {
        ck_assert_uint_eq(view.seen[i], 100 * i);
    }
}
END_TEST

START_TEST(shades_begin_with_any_share_and_end_with_all) {
    ck_assert_uint_eq(fed_split_view_step(0), 0);
    ck_assert_uint_eq(fed_split_view_step(1e-9), 1);
    ck_assert_uint_eq(fed_split_view_step(0.1), 3);
    ck_assert_uint_eq(fed_split_view_step(0.99), 9);
    ck_assert_uint_eq(fed_split_view_step(1), FED_SPLIT_STEPS);
}
END_TEST

static char *printed(bool colours) {
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    ck_assert_ptr_nonnull(out);
    fed_split_text_print(out, &view, colours);
    fclose(out);
    return text;
}

START_TEST(text_says_what_is_a_sample_and_is_coloured_only_when_told) {
    see(FED_PARTITION_DIRICHLET, 20000, 0, 0.5, 20);
    char *plain = printed(false), *coloured = printed(true);
    ck_assert_ptr_nonnull(strstr(plain, "20 of 20000 clients, evenly spaced"));
    ck_assert_ptr_nonnull(strstr(plain, "labels and skew are those of 10000 of 20000 clients"));
    ck_assert_ptr_nonnull(strstr(plain, "examples a client: min 20, median 20, max 20\n"));
    ck_assert_ptr_null(strchr(plain, '\033'));
    ck_assert_ptr_nonnull(strstr(coloured, "\033[48;5;"));
    free(plain);
    free(coloured);
}
END_TEST

START_TEST(without_labels_sizes_are_shown_largest_first) {
    data.n_classes = 0;
    see(FED_PARTITION_QUANTITY, 30, 0, 1, 0);
    char *text = printed(false), line[64];
    snprintf(line, sizeof line, "examples\n%10u %9zu", view.ranked[0], fed_partition_largest(&partition));
    ck_assert_msg(strstr(text, line) != NULL, "%s", text);
    ck_assert_ptr_nonnull(strstr(text, "and 10 smaller clients"));
    ck_assert_ptr_null(strstr(text, "skew"));
    free(text);
}
END_TEST

/* A picture of bounded size, whole, and with a cell for each client that is drawn. */
START_TEST(a_picture_draws_three_hundred_clients_and_says_so) {
    char path[] = "/tmp/fed-split-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    see(FED_PARTITION_DIRICHLET, 20000, 0, 0.5, 20);
    ck_assert_msg(fed_split_svg_write(&view, path, &err) == 0, "%s", err.text);
    char *svg = calloc(1, 1 << 20);
    FILE *file = fopen(path, "r");
    size_t n = fread(svg, 1, (1 << 20) - 1, file), clients = 0;
    fclose(file);
    close(fd);
    unlink(path);
    ck_assert_uint_lt(n, 300000);
    ck_assert_str_eq(svg + n - 7, "</svg>\n");
    ck_assert_ptr_nonnull(strstr(svg, "300 of 20000 clients are drawn, evenly spaced."));
    for (const char *at = svg; (at = strstr(at, "20 examples</title>")) != NULL; at++) {
        clients++;
    }
    ck_assert_uint_eq(clients, 300);
    free(svg);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("split_view");
    TCase *t = tcase_create("split_view");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, clients_of_one_label_are_as_far_as_can_be);
    tcase_add_test(t, one_client_of_everything_is_like_everybody);
    tcase_add_test(t, sizes_are_those_of_all_clients_largest_first);
    tcase_add_test(t, of_a_million_clients_ten_thousand_are_looked_into_evenly_spaced);
    tcase_add_test(t, shades_begin_with_any_share_and_end_with_all);
    tcase_add_test(t, text_says_what_is_a_sample_and_is_coloured_only_when_told);
    tcase_add_test(t, without_labels_sizes_are_shown_largest_first);
    tcase_add_test(t, a_picture_draws_three_hundred_clients_and_says_so);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
