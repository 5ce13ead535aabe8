/* Pictures of runs, up to the script: what is drawn where, under which names, and that nobody's name becomes a command. */
#include "cli/plot/script.h"

#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/plot/curve.h"
#include "cli/plot/gnuplot.h"
#include "tests/unit/scratch_dir.h"

enum { RUNS_MOST = 4 };

/* -- Runs on disk -- */

static char root[] = "/tmp/check_plot.XXXXXX";
static char dirs[RUNS_MOST][64];
static struct fed_run_view runs[RUNS_MOST];
static size_t n_runs;

static void make_root(void) {
    strcpy(root + sizeof root - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    n_runs = 0;
}

static void remove_root(void) {
    for (size_t i = 0; i < n_runs; i++) {
        fed_run_view_fini(&runs[i]);
        remove_dir(dirs[i]);
    }
    ck_assert_int_eq(rmdir(root), 0);
}

struct evaluated {
    double loss, accuracy;
    int back_to; /* 0: an ordinary round */
};

/* A run whose rounds 1.. are these; it is read as plot reads it. */
static const struct fed_run_view *make_run(const char *terms, const char *rest, const struct evaluated *rounds, size_t n) {
    struct fed_store *store = NULL;
    struct fed_error err = {""};
    snprintf(dirs[n_runs], sizeof dirs[0], "%s/run-%zu", root, n_runs);
    ck_assert_msg(fed_store_open(&store, dirs[n_runs], terms, rest, &err) == FED_OK, "%s", err.text);
    for (uint64_t round = 0; round <= n; round++) {
        const struct evaluated *e = round > 0 ? &rounds[round - 1] : NULL;
        const struct fed_store_rollback back = {
            .round = round, .to_round = e != NULL ? (uint64_t)e->back_to : 0, .reason = "loss"};
        struct fed_store_commit commit = {.round = round,
                                          .header = "h",
                                          .n_header = 1,
                                          .params = "p",
                                          .n_params_bytes = 1,
                                          .seconds = 2,
                                          .bytes_down = 400,
                                          .bytes_up = 600,
                                          .rollback = e != NULL && e->back_to > 0 ? &back : NULL};
        ck_assert_int_eq(fed_store_commit(store, &commit, 100, NULL), FED_OK);
        if (e != NULL && e->back_to == 0) {
            ck_assert_int_eq(fed_store_evaluation(store, round, e->loss, e->accuracy, e->accuracy >= 0.9, NULL), FED_OK);
        }
    }
    fed_store_close(store);
    ck_assert_msg(fed_run_view_read(&runs[n_runs], dirs[n_runs], &err) == FED_OK, "%s", err.text);
    return &runs[n_runs++];
}

static const char TERMS[] = "{\"algorithm\":{\"epochs\":1,\"learning_rate\":0.1},\"name\":\"ward\",\"seed\":1}";
static const char REST[] = "{\"rounds\":10,\"target_accuracy\":0.9}";

/* -- Labels -- */

static const char *label(size_t i) {
    static char labels[RUNS_MOST][FED_RUN_LABEL];
    struct fed_error err = {""};
    ck_assert_msg(fed_run_labels(labels, runs, n_runs, &err) == FED_OK, "%s", err.text);
    return labels[i];
}

START_TEST(runs_of_other_names_are_told_by_name_alone) {
    make_run(TERMS, REST, NULL, 0);
    make_run("{\"algorithm\":{\"epochs\":5},\"name\":\"edge\",\"seed\":2}", REST, NULL, 0);
    ck_assert_str_eq(label(0), "ward");
    ck_assert_str_eq(label(1), "edge");
}
END_TEST

START_TEST(runs_of_one_name_are_told_by_what_differs) {
    make_run(TERMS, REST, NULL, 0);
    make_run("{\"algorithm\":{\"epochs\":5,\"learning_rate\":0.1,\"momentum\":0.5},\"name\":\"ward\",\"seed\":1}",
             "{\"files\":{\"data.train\":\"/elsewhere\"},\"rounds\":20,\"target_accuracy\":0.9}", NULL, 0);
    make_run("{\"algorithm\":{\"epochs\":5},\"name\":\"edge\",\"seed\":2}", REST, NULL, 0);
    ck_assert_str_eq(label(0), "ward (epochs 1, momentum -)");
    ck_assert_str_eq(label(1), "ward (epochs 5, momentum 0.5)"); /* rounds may change while it goes on */
    ck_assert_str_eq(label(2), "edge");
}
END_TEST

START_TEST(runs_that_differ_in_nothing_are_told_by_directory) {
    char wanted[FED_RUN_LABEL];
    make_run(TERMS, REST, NULL, 0);
    make_run(TERMS, REST, NULL, 0);
    make_run(TERMS, "{\"files\":{\"data.train\":\"/elsewhere\"},\"rounds\":20,\"target_accuracy\":0.9}", NULL, 0);
    snprintf(wanted, sizeof wanted, "ward (%s)", dirs[1]);
    ck_assert_str_eq(label(1), wanted);
    ck_assert_str_eq(label(2), "ward (rounds 20)");
}
END_TEST

/* -- Curves -- */

static const struct evaluated ROUNDS[] = {{2.0, 0.25, 0}, {1.0, 0.5, 0},  {(double)NAN, 0.1, 0},
                                          {0, 0, 2},      {0.5, 0.92, 0}, {0.25, 1.0, 0}};
enum { N_ROUNDS = sizeof ROUNDS / sizeof *ROUNDS };

static struct fed_plot plot_of(enum fed_plot_x x, enum fed_plot_y y) {
    static char labels[RUNS_MOST][FED_RUN_LABEL];
    ck_assert_int_eq(fed_run_labels(labels, runs, n_runs, NULL), FED_OK);
    return (struct fed_plot){
        .x = x, .y = y, .smooth = 1, .runs = runs, .labels = (const char(*)[FED_RUN_LABEL])labels, .n_runs = n_runs};
}

static void point_is(struct fed_point point, double x, double y) {
    ck_assert_msg(point.x == x && point.y == y, "(%g, %g), wanted (%g, %g)", point.x, point.y, x, y);
}

START_TEST(curve_goes_through_rounds_that_stand) {
    struct fed_plot_curve curve;
    const struct fed_run_view *run = make_run(TERMS, REST, ROUNDS, N_ROUNDS);
    struct fed_plot plot = plot_of(FED_PLOT_ROUNDS, FED_PLOT_ACCURACY);
    ck_assert_int_eq(fed_plot_curve_make(&curve, &plot, run), FED_OK);
    ck_assert_uint_eq(curve.n, 5); /* 1, 2, 4 (which is 2 again), 5, 6 */
    point_is(curve.points[1], 2, 0.5);
    point_is(curve.points[2], 4, 0.5);
    point_is(curve.points[4], 6, 1);
    ck_assert_uint_eq(curve.n_fallen, 1);
    point_is(curve.fallen[0], 3, 0.1);
    ck_assert_uint_eq(curve.n_rollbacks, 1);
    ck_assert(curve.rollbacks[0] == 4);
    point_is(curve.reached, 5, 0.92);
    fed_plot_curve_fini(&curve);
}
END_TEST

START_TEST(what_fell_because_it_was_no_number_is_marked_all_the_same) {
    struct fed_plot_curve curve;
    const struct fed_run_view *run = make_run(TERMS, REST, ROUNDS, N_ROUNDS);
    struct fed_plot plot = plot_of(FED_PLOT_BYTES, FED_PLOT_LOSS);
    ck_assert_int_eq(fed_plot_curve_make(&curve, &plot, run), FED_OK);
    ck_assert_uint_eq(curve.n_fallen, 1);
    ck_assert(curve.fallen[0].x == 4000 && isnan(curve.fallen[0].y)); /* bytes of rounds 0 to 3 */
    fed_plot_curve_fini(&curve);
}
END_TEST

START_TEST(logarithmic_accuracy_is_the_error_where_there_is_one) {
    struct fed_plot_curve curve;
    const struct fed_run_view *run = make_run(TERMS, REST, ROUNDS, N_ROUNDS);
    struct fed_plot plot = plot_of(FED_PLOT_SECONDS, FED_PLOT_ACCURACY);
    plot.log = true;
    ck_assert_int_eq(fed_plot_curve_make(&curve, &plot, run), FED_OK);
    ck_assert_uint_eq(curve.n, 4);      /* without the last, which has no error */
    point_is(curve.points[0], 4, 0.75); /* two seconds a round, round 0 too */
    fed_plot_curve_fini(&curve);
}
END_TEST

START_TEST(means_look_back_and_not_ahead) {
    struct fed_plot_curve curve;
    const struct fed_run_view *run = make_run(TERMS, REST, ROUNDS, N_ROUNDS);
    struct fed_plot plot = plot_of(FED_PLOT_ROUNDS, FED_PLOT_ACCURACY);
    plot.smooth = 2;
    ck_assert_int_eq(fed_plot_curve_make(&curve, &plot, run), FED_OK);
    point_is(curve.means[0], 1, 0.25);
    point_is(curve.means[1], 2, 0.375);
    point_is(curve.means[4], 6, 0.96);
    fed_plot_curve_fini(&curve);
}
END_TEST

START_TEST(thinned_curve_keeps_ends_and_peaks) {
    enum { N = 10000, BUCKETS = 20 };
    static struct fed_point points[N];
    for (int i = 0; i < N; i++) {
        points[i] = (struct fed_point){i, i == 4321 ? 100 : i == 4322 ? -100 : i % 7};
    }
    size_t n = fed_plot_thin(points, N, BUCKETS);
    bool high = false, low = false;
    ck_assert_uint_le(n, 2 * BUCKETS + 2);
    point_is(points[0], 0, 0);
    point_is(points[n - 1], N - 1, (N - 1) % 7);
    for (size_t i = 0; i < n; i++) {
        ck_assert(i == 0 || points[i].x > points[i - 1].x);
        high = high || points[i].x == 4321;
        low = low || points[i].x == 4322;
    }
    ck_assert(high && low);
    ck_assert_uint_eq(fed_plot_thin(points, 2 * BUCKETS + 2, BUCKETS), 2 * BUCKETS + 2);
}
END_TEST

/* -- The script -- */

static char *script_of(const struct fed_plot *plot) {
    char *text = NULL;
    size_t n = 0;
    struct fed_error err = {""};
    FILE *out = open_memstream(&text, &n);
    int code = fed_plot_script(out, plot, &err);
    fclose(out);
    ck_assert_msg(code == FED_OK, "%s", err.text);
    return text;
}

START_TEST(same_runs_give_the_same_script) {
    make_run(TERMS, REST, ROUNDS, N_ROUNDS);
    make_run(TERMS, REST, ROUNDS, N_ROUNDS);
    struct fed_plot plot = plot_of(FED_PLOT_BYTES, FED_PLOT_LOSS);
    char *one = script_of(&plot), *other = script_of(&plot);
    ck_assert_str_eq(one, other);
    free(one);
    free(other);
}
END_TEST

START_TEST(no_text_leaves_its_quotes) {
    static const char title[] = "it's `id`\n$(id) \\ \x1b[1m\xff @x 'q'";
    make_run(TERMS, REST, ROUNDS, N_ROUNDS);
    struct fed_plot plot = plot_of(FED_PLOT_ROUNDS, FED_PLOT_ACCURACY);
    plot.title = title;
    char *script = script_of(&plot);
    ck_assert_ptr_nonnull(strstr(script, "set label 1 'it''s `id`?$(id) \\ ?[1m? @x ''q''' at screen"));
    ck_assert_ptr_nonnull(strstr(script, " noenhanced "));
    ck_assert_ptr_nonnull(strstr(script, "title 'ward: 100.00 % in round 6'"));
    free(script);
}
END_TEST

/* The block of points called name; gnuplot complains of empty ones. */
static size_t points_in(const char *script, const char *name) {
    size_t n = 0;
    const char *at = strstr(script, name);
    ck_assert_ptr_nonnull(at);
    for (at = strchr(at, '\n') + 1; strncmp(at, "EOD", 3) != 0; at = strchr(at, '\n') + 1) {
        n++;
    }
    return n;
}

START_TEST(every_curve_has_a_mark_however_short) {
    static const struct evaluated one[] = {{1, 0.5, 0}};
    make_run(TERMS, REST, ROUNDS, N_ROUNDS);
    make_run(TERMS, REST, one, 1);
    make_run(TERMS, REST, one, 1);
    struct fed_plot plot = plot_of(FED_PLOT_ROUNDS, FED_PLOT_ACCURACY);
    char *script = script_of(&plot);
    ck_assert_uint_eq(points_in(script, "$mark0 <<"), 5);
    ck_assert_uint_eq(points_in(script, "$mark1 <<"), 1);
    ck_assert_uint_eq(points_in(script, "$mark2 <<"), 1);
    free(script);
}
END_TEST

/* How many numbers a logarithmic axis gets whose losses are these. */
static size_t tics_of(const struct evaluated *rounds, size_t n) {
    size_t tics = 1;
    make_run(TERMS, REST, rounds, n);
    struct fed_plot plot = plot_of(FED_PLOT_ROUNDS, FED_PLOT_LOSS);
    plot.runs = &runs[n_runs - 1];
    plot.n_runs = 1;
    plot.log = true;
    char *script = script_of(&plot), *at = strstr(script, "set ytics (");
    ck_assert_ptr_nonnull(at);
    for (; *at != ')'; at++) {
        tics += *at == ',';
    }
    free(script);
    return tics;
}

START_TEST(logarithmic_axis_has_numbers_whatever_it_spans) {
    static const struct evaluated spans[][2] = {
        {{1.21, 0, 0}, {1.22, 0, 0}}, {{0.011, 0, 0}, {0.019, 0, 0}}, {{1, 0, 0}, {90, 0, 0}}, {{1e-9, 0, 0}, {1e9, 0, 0}}};
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        size_t n = tics_of(spans[i], 2);
        ck_assert_msg(n >= 3 && n <= 13, "%zu: %zu numbers", i, n);
    }
}
END_TEST

START_TEST(target_is_a_line_of_accuracies_and_not_of_losses) {
    make_run(TERMS, REST, ROUNDS, N_ROUNDS);
    struct fed_plot plot = plot_of(FED_PLOT_ROUNDS, FED_PLOT_ACCURACY);
    char *script = script_of(&plot);
    ck_assert_ptr_nonnull(strstr(script, "'target 90 %'"));
    free(script);
    plot.y = FED_PLOT_LOSS;
    script = script_of(&plot);
    ck_assert_ptr_null(strstr(script, "target"));
    free(script);
}
END_TEST

START_TEST(nothing_to_draw_is_said) {
    static const struct evaluated losses[] = {{0.5, (double)NAN, 0}}, perfect[] = {{0.5, 1, 0}};
    char *text = NULL;
    size_t n = 0;
    struct fed_error err = {""};
    FILE *out = open_memstream(&text, &n);
    make_run(TERMS, REST, NULL, 0);
    struct fed_plot plot = plot_of(FED_PLOT_ROUNDS, FED_PLOT_ACCURACY);
    ck_assert_int_eq(fed_plot_script(out, &plot, &err), FED_EFAILED);
    ck_assert_ptr_nonnull(strstr(err.text, "no round of"));
    make_run(TERMS, REST, losses, 1);
    plot.n_runs = n_runs;
    ck_assert(!fed_plot_has(runs, n_runs, FED_PLOT_ACCURACY) && fed_plot_has(runs, n_runs, FED_PLOT_LOSS));
    ck_assert_int_eq(fed_plot_script(out, &plot, &err), FED_EFAILED);
    ck_assert_ptr_nonnull(strstr(err.text, "try --y loss"));
    make_run(TERMS, REST, perfect, 1);
    plot.n_runs = n_runs;
    plot.log = true;
    ck_assert_int_eq(fed_plot_script(out, &plot, &err), FED_EFAILED);
    ck_assert_ptr_nonnull(strstr(err.text, "--log"));
    fclose(out);
    ck_assert_uint_eq(n, 0);
    free(text);
}
END_TEST

/* -- gnuplot, or what is in its place -- */

START_TEST(missing_gnuplot_says_what_to_install) {
    uint8_t *picture = NULL;
    size_t n = 0;
    struct fed_error err = {""};
    ck_assert_int_eq(setenv("PATH", "/nowhere", 1), 0);
    ck_assert_int_eq(fed_gnuplot_run(&picture, &n, "plot x\n", 7, &err), FED_ECONFIG);
    ck_assert_ptr_null(picture);
    ck_assert_ptr_nonnull(strstr(err.text, "gnuplot-nox"));
}
END_TEST

/* A program of that name first in the path. */
static void put_gnuplot(const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/gnuplot", root);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "#!/bin/sh\n%s\n", text);
    fchmod(fileno(file), 0755);
    fclose(file);
    snprintf(path, sizeof path, "%s:/usr/bin:/bin", root);
    ck_assert_int_eq(setenv("PATH", path, 1), 0);
}

static void remove_gnuplot(void) {
    char path[128];
    snprintf(path, sizeof path, "%s/gnuplot", root);
    unlink(path);
}

START_TEST(gnuplot_gets_the_script_and_none_of_the_users_settings) {
    uint8_t *picture = NULL;
    size_t n = 0;
    struct fed_error err = {""};
    setenv("GNUTERM", "x11", 1);
    setenv("LC_ALL", "de_DE.UTF-8", 1);
    put_gnuplot("echo \"$* $LC_ALL $GNUTERM.\"; cat");
    ck_assert_msg(fed_gnuplot_run(&picture, &n, "plot x\n", 7, &err) == FED_OK, "%s", err.text);
    ck_assert_uint_eq(n, strlen("-d - C.UTF-8 .\nplot x\n"));
    ck_assert_mem_eq(picture, "-d - C.UTF-8 .\nplot x\n", n);
    free(picture);
    remove_gnuplot();
}
END_TEST

START_TEST(what_gnuplot_says_becomes_the_sentence) {
    static const struct {
        const char *program, *said;
    } cases[] = {
        {"printf '\\nplot x\\n     ^\\nline 0: warning: a\\033b\\n\\n' >&2; exit 1", "gnuplot failed: line 0: warning: a?b"},
        {"exit 1", "gnuplot failed: it does not say why"},
        {"echo bad >&2; exit 0", "gnuplot drew nothing: bad"},
        {"kill -9 $$", "gnuplot was ended by signal 9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t *picture = NULL;
        size_t n = 0;
        struct fed_error err = {""};
        put_gnuplot(cases[i].program);
        ck_assert_int_eq(fed_gnuplot_run(&picture, &n, "plot x\n", 7, &err), FED_EFAILED);
        ck_assert_str_eq(err.text, cases[i].said);
        ck_assert_ptr_null(picture);
    }
    remove_gnuplot();
}
END_TEST

int main(void) {
    Suite *s = suite_create("plot");
    TCase *t = tcase_create("plot");
    tcase_add_checked_fixture(t, make_root, remove_root);
    tcase_add_test(t, runs_of_other_names_are_told_by_name_alone);
    tcase_add_test(t, runs_of_one_name_are_told_by_what_differs);
    tcase_add_test(t, runs_that_differ_in_nothing_are_told_by_directory);
    tcase_add_test(t, curve_goes_through_rounds_that_stand);
    tcase_add_test(t, what_fell_because_it_was_no_number_is_marked_all_the_same);
    tcase_add_test(t, logarithmic_accuracy_is_the_error_where_there_is_one);
    tcase_add_test(t, means_look_back_and_not_ahead);
    tcase_add_test(t, thinned_curve_keeps_ends_and_peaks);
    tcase_add_test(t, same_runs_give_the_same_script);
    tcase_add_test(t, no_text_leaves_its_quotes);
    tcase_add_test(t, every_curve_has_a_mark_however_short);
    tcase_add_test(t, logarithmic_axis_has_numbers_whatever_it_spans);
    tcase_add_test(t, target_is_a_line_of_accuracies_and_not_of_losses);
    tcase_add_test(t, nothing_to_draw_is_said);
    tcase_add_test(t, missing_gnuplot_says_what_to_install);
    tcase_add_test(t, gnuplot_gets_the_script_and_none_of_the_users_settings);
    tcase_add_test(t, what_gnuplot_says_becomes_the_sentence);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
