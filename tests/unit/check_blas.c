/* The family blas against the exact canon: near, for every way in which rows can stand; and what is said without OpenBLAS.
 */
#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/numeric/blas.h"
#include "common/numeric/panels.h"

static struct fed_rng rng;
static const struct fed_kernels *blas, *exact;

static void setup(void) {
    struct fed_error err = {""};
    fed_rng_init(&rng, 1, "test", 0, 0);
    exact = fed_kernels_by_name("portable");
    ck_assert_msg(fed_blas_kernels(&blas, &err) == FED_OK, "%s", err.text);
}

/* n floats, 64-byte aligned; zeros, or numbers in (-1, 1). */
static float *make(size_t n, bool drawn) {
    size_t bytes = (n * sizeof(float) + 63) / 64 * 64;
    float *a = aligned_alloc(64, bytes);
    ck_assert_ptr_nonnull(a);
    memset(a, 0, bytes);
    for (size_t i = 0; drawn && i < n; i++) {
        a[i] = 2 * fed_rng_f32(&rng) - 1;
    }
    return a;
}

static void expect_near(const float *got, const float *want, size_t n, size_t chain, const char *what) {
    for (size_t i = 0; i < n; i++) { /* products of numbers up to 1 add up to about the root of their count */
        ck_assert_msg(fabsf(got[i] - want[i]) <= 1e-5f * sqrtf((float)chain), "%s: element %zu is %a, exactly %a", what, i,
                      (double)got[i], (double)want[i]);
    }
}

/* Rows, inputs and outputs of a product. */
struct shape {
    struct fed_rows x, z;
    size_t runs, run_step, n_in, n_out, x_floats, z_floats;
};

static void zero_beyond(float *rows, const struct shape *s) {
    size_t stride = fed_panels_padded(s->n_out);
    for (size_t i = 0; i < s->z_floats; i++) {
        rows[i] = i % stride < s->n_out ? rows[i] : 0;
    }
}

static void expect_forward(const struct shape *s, const struct fed_inputs *in, const float *panels, bool more) {
    float *want = make(s->z_floats, true), *got = make(s->z_floats, false);
    zero_beyond(want, s);
    memcpy(got, want, s->z_floats * sizeof *got);
    exact->forward(want, &s->z, in, panels, s->n_in, s->n_out, more);
    blas->forward(got, &s->z, in, panels, s->n_in, s->n_out, more);
    expect_near(got, want, s->z_floats, s->n_in, "forward");
    free(want);
    free(got);
}

static void expect_update(const struct shape *s, const struct fed_inputs *in, const float *panels) {
    size_t n = fed_panels_size(s->n_in, s->n_out);
    float *want = make(n, false), *got = make(n, false), *g = make(s->z_floats, true);
    zero_beyond(g, s);
    memcpy(want, panels, n * sizeof *want);
    memcpy(got, panels, n * sizeof *got);
    exact->update(want, in, g, &s->z, s->n_in, s->n_out);
    blas->update(got, in, g, &s->z, s->n_in, s->n_out);
    expect_near(got, want, n, s->z.counts[0] * s->z.counts[1] * s->z.counts[2], "update");
    free(want);
    free(got);
    free(g);
}

static void expect_products(const struct shape *s) {
    float *x = make(s->x_floats, true), *w = make(s->n_in * s->n_out, true),
          *panels = make(fed_panels_size(s->n_in, s->n_out), false);
    struct fed_inputs in = {.x = x, .rows = s->x, .runs = s->runs, .run_step = s->run_step};
    fed_panels_load(panels, w, s->n_in, s->n_out);
    expect_forward(s, &in, panels, false);
    expect_forward(s, &in, panels, true);
    expect_update(s, &in, panels);
    free(x);
    free(w);
    free(panels);
}

static struct shape dense(size_t rows, size_t n_in, size_t n_out) {
    size_t x = fed_panels_padded(n_in), z = fed_panels_padded(n_out);
    return (struct shape){fed_rows_plain(rows, x), fed_rows_plain(rows, z), 1, 0, n_in, n_out, rows * x, rows * z};
}

START_TEST(dense_products_are_near) {
    static const size_t rows[] = {1, 7, 100}, widths[] = {1, 31, 32, 33, 200};
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 5; j++) {
            struct shape s = dense(rows[i], 50 + 70 * i, widths[j]);
            expect_products(&s);
        }
    }
}
END_TEST

START_TEST(products_over_steps_are_near) {
    enum { STEPS = 5, ROWS = 6, IN = 33, OUT = 40, X = 64, Z = 64, MORE_ROWS = 9 }; /* rows of a smaller batch */
    struct shape s = {{{1, STEPS, ROWS}, {0, MORE_ROWS * X, X}},
                      {{1, STEPS, ROWS}, {0, MORE_ROWS * Z, Z}},
                      1,
                      0,
                      IN,
                      OUT,
                      STEPS * MORE_ROWS * X,
                      STEPS * MORE_ROWS * Z};
    expect_products(&s);
}
END_TEST

/* Windows of `side` lines over images of (height, width) and c channels. */
static struct shape convolution(size_t images, size_t height, size_t width, size_t c, size_t side, size_t stride,
                                size_t n_out) {
    size_t h = (height - side) / stride + 1, w = (width - side) / stride + 1, z = fed_panels_padded(n_out);
    struct fed_rows from = {{images, h, w}, {height * width * c, stride * width * c, stride * c}};
    struct fed_rows to = {{images, h, w}, {h * w * z, w * z, z}};
    return (struct shape){
        from, to, side, width * c, side * side * c, n_out, images * height * width * c, images * h * w * z};
}

START_TEST(convolutions_are_near) {
    struct shape first = convolution(2, 32, 32, 1, 5, 1, 32), second = convolution(2, 18, 18, 32, 5, 1, 64),
                 odd = convolution(3, 13, 11, 3, 3, 2, 33), column = convolution(2, 9, 3, 2, 3, 1, 5);
    expect_products(&first);
    expect_products(&second);
    expect_products(&odd);
    expect_products(&column); /* one window a line */
    odd.z.steps[1] += 64;     /* lines of outputs that do not touch */
    odd.z.steps[0] += 640;
    odd.z_floats += 3 * 640;
    expect_products(&odd);
}
END_TEST

START_TEST(input_gradients_are_near) {
    enum { ROWS = 13, IN = 75, OUT = 70, X = 96, Z = 96 };
    float *w = make(IN * OUT, true), *panels = make(fed_panels_size(IN, OUT), false), *g = make(ROWS * Z, true);
    float *want = make(ROWS * X, true), *got = make(ROWS * X, false);
    fed_panels_load(panels, w, IN, OUT);
    memcpy(got, want, ROWS * X * sizeof *got);
    for (int more = 0; more < 2; more++) {
        exact->input_gradient(want, X, g, Z, ROWS, panels, IN, OUT, more);
        blas->input_gradient(got, X, g, Z, ROWS, panels, IN, OUT, more);
        expect_near(got, want, ROWS * X, 2 * OUT, "input gradient");
    }
    free(w);
    free(panels);
    free(g);
    free(want);
    free(got);
}
END_TEST

enum { THREADS = 4, SIDE = 96, TURNS = 200 };

struct worker {
    pthread_t thread;
    float *x, *panels, *want, *got;
};

static void multiply(const struct worker *worker, float *z) {
    struct fed_rows rows = fed_rows_plain(SIDE, SIDE);
    struct fed_inputs in = {.x = worker->x, .rows = rows, .runs = 1};
    blas->forward(z, &rows, &in, worker->panels, SIDE, SIDE, false);
}

static void *multiply_again_and_again(void *context) {
    struct worker *worker = context;
    for (int i = 0; i < TURNS; i++) {
        multiply(worker, worker->got);
        if (memcmp(worker->got, worker->want, SIDE * SIDE * sizeof(float)) != 0) {
            return worker;
        }
    }
    return NULL;
}

START_TEST(threads_do_not_disturb_each_other) {
    struct worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.x = make(SIDE * SIDE, true),
                                     .panels = make(SIDE * SIDE, true),
                                     .want = make(SIDE * SIDE, false),
                                     .got = make(SIDE * SIDE, false)};
        multiply(&workers[i], workers[i].want);
    }
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, multiply_again_and_again, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        ck_assert_int_eq(pthread_join(workers[i].thread, &failed), 0);
        ck_assert_ptr_null(failed);
        free(workers[i].x);
        free(workers[i].panels);
        free(workers[i].want);
        free(workers[i].got);
    }
}
END_TEST

START_TEST(the_core_is_told_and_fits_this_processor) {
    const char *core = fed_blas_core();
    ck_assert_str_ne(core, "");
    if (fed_kernels_by_name("avx2") != NULL) { /* Prescott is what OpenBLAS takes for processors that it does not know */
        ck_assert_str_eq(core, fed_kernels_by_name("avx512") != NULL ? "SkylakeX" : "Haswell");
    }
}
END_TEST

START_TEST(without_the_library_a_sentence_names_the_package) {
    const struct fed_kernels *kernels = NULL;
    struct fed_error err = {""};
    ck_assert_int_eq(setenv("FEDAVG_BLAS", "/nowhere/libopenblas.so.0", 1), 0);
    ck_assert_int_eq(fed_blas_kernels(&kernels, &err), FED_ECONFIG);
    ck_assert_ptr_null(kernels);
    ck_assert_ptr_nonnull(strstr(err.text, "/nowhere/libopenblas.so.0"));
    ck_assert_ptr_nonnull(strstr(err.text, "libopenblas0-serial"));
    ck_assert_str_eq(fed_blas_core(), "");
}
END_TEST

START_TEST(a_library_without_products_is_refused) {
    const struct fed_kernels *kernels = NULL;
    struct fed_error err = {""};
    ck_assert_int_eq(setenv("FEDAVG_BLAS", "libm.so.6", 1), 0);
    ck_assert_int_eq(fed_blas_kernels(&kernels, &err), FED_ECONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "libm.so.6 is no BLAS"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("blas");
    TCase *near = tcase_create("near"), *loading = tcase_create("loading");
    tcase_add_checked_fixture(near, setup, NULL);
    tcase_add_test(near, dense_products_are_near);
    tcase_add_test(near, products_over_steps_are_near);
    tcase_add_test(near, convolutions_are_near);
    tcase_add_test(near, input_gradients_are_near);
    tcase_add_test(near, threads_do_not_disturb_each_other);
    tcase_add_test(near, the_core_is_told_and_fits_this_processor);
    suite_add_tcase(suite, near);
    tcase_add_test(loading, without_the_library_a_sentence_names_the_package);
    tcase_add_test(loading, a_library_without_products_is_refused);
    suite_add_tcase(suite, loading);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
