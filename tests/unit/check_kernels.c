/* Every kernel set against the canon written down once more, element by element, over many shapes: the same bits, nothing
 * written where nothing belongs. */
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/numeric/kernels.h"

static const char *const set_names[] = {"portable", "avx2", "avx512"};
#define N_SETS (sizeof set_names / sizeof *set_names)

/* One problem: shapes, the list of columns, and operands both in kernel layout and as plain matrices. */
struct problem {
    size_t rows, n_in, n_out, in_stride, out_stride, n_columns;
    uint32_t *columns; /* NULL: all */
    float *x;          /* (rows + 1, in_stride); one row more than told, to see it left alone */
    float *g;          /* (rows + 1, out_stride) */
    float *w;          /* (n_in, n_out) */
    float *panels;
};

static uint32_t state = 1;

static uint32_t next_u32(void) {
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static float next_float(void) { return (float)((int32_t)next_u32() - (1 << 23)) * 0x1p-23f; }

static size_t padded(size_t n) { return (n + FED_PANEL - 1) / FED_PANEL * FED_PANEL; }

static float *zeros(size_t n) {
    float *a = aligned_alloc(64, padded(n) * sizeof *a);
    ck_assert_ptr_nonnull(a);
    memset(a, 0, padded(n) * sizeof *a);
    return a;
}

static float *panel_at(float *panels, size_t n_in, size_t k, size_t j) {
    return panels + (j / FED_PANEL * n_in + k) * FED_PANEL + j % FED_PANEL;
}

static void pose(struct problem *p, size_t rows, size_t n_in, size_t n_out, bool listed) {
    *p =
        (struct problem){.rows = rows, .n_in = n_in, .n_out = n_out, .in_stride = padded(n_in), .out_stride = padded(n_out)};
    p->x = zeros((rows + 1) * p->in_stride);
    p->g = zeros((rows + 1) * p->out_stride);
    p->w = zeros(n_in * n_out);
    p->panels = zeros(n_in * p->out_stride);
    p->columns = calloc(n_in, sizeof *p->columns);
    for (size_t k = 0; k < n_in; k++) {
        bool lives = !listed || next_u32() % 3 != 0;
        if (lives) {
            p->columns[p->n_columns++] = (uint32_t)k;
        }
        for (size_t b = 0; lives && b < rows; b++) {
            p->x[b * p->in_stride + k] = next_float();
        }
        for (size_t j = 0; j < n_out; j++) {
            p->w[k * n_out + j] = *panel_at(p->panels, n_in, k, j) = next_float();
        }
    }
    for (size_t b = 0; b < rows; b++) {
        for (size_t j = 0; j < n_out; j++) {
            p->g[b * p->out_stride + j] = 0.1f * next_float();
        }
    }
    if (!listed) {
        free(p->columns);
        p->columns = NULL;
    }
}

static void drop(struct problem *p) {
    free(p->x);
    free(p->g);
    free(p->w);
    free(p->panels);
    free(p->columns);
}

static size_t column(const struct problem *p, size_t i) { return p->columns != NULL ? p->columns[i] : i; }

static float *expect_forward(const struct problem *p) {
    float *z = zeros((p->rows + 1) * p->out_stride);
    for (size_t b = 0; b < p->rows; b++) {
        for (size_t j = 0; j < p->n_out; j++) {
            float chain = 0;
            for (size_t i = 0; i < p->n_columns; i++) {
                chain = fmaf(p->x[b * p->in_stride + column(p, i)], p->w[column(p, i) * p->n_out + j], chain);
            }
            z[b * p->out_stride + j] = chain;
        }
    }
    return z;
}

static float *expect_input_gradient(const struct problem *p) {
    float *dx = zeros((p->rows + 1) * p->in_stride);
    for (size_t b = 0; b < p->rows; b++) {
        for (size_t k = 0; k < p->n_in; k++) {
            float chain = 0;
            for (size_t j = 0; j < p->n_out; j++) {
                chain = fmaf(p->g[b * p->out_stride + j], p->w[k * p->n_out + j], chain);
            }
            dx[b * p->in_stride + k] = chain;
        }
    }
    return dx;
}

static float *expect_update(const struct problem *p) {
    float *panels = zeros(p->n_in * p->out_stride);
    memcpy(panels, p->panels, p->n_in * p->out_stride * sizeof *panels);
    for (size_t i = 0; i < p->n_columns; i++) {
        for (size_t j = 0; j < p->n_out; j++) {
            float *w = panel_at(panels, p->n_in, column(p, i), j);
            for (size_t b = 0; b < p->rows; b++) {
                *w = fmaf(p->x[b * p->in_stride + column(p, i)], p->g[b * p->out_stride + j], *w);
            }
        }
    }
    return panels;
}

static void compare(const struct problem *p, const char *set, const char *what, const float *got, const float *want,
                    size_t n) {
    ck_assert_msg(memcmp(got, want, n * sizeof *got) == 0, "%s %s differs: %zu rows, %zu -> %zu, %s", set, what, p->rows,
                  p->n_in, p->n_out, p->columns != NULL ? "listed" : "all columns");
}

static void solve(const struct problem *p) {
    float *want_z = expect_forward(p), *want_dx = expect_input_gradient(p), *want_panels = expect_update(p);
    size_t n_z = (p->rows + 1) * p->out_stride, n_x = (p->rows + 1) * p->in_stride, n_w = p->n_in * p->out_stride;
    for (size_t s = 0; s < N_SETS; s++) {
        const struct fed_kernels *kernels = fed_kernels_by_name(set_names[s]);
        if (kernels == NULL) {
            continue;
        }
        float *z = zeros(n_z), *dx = zeros(n_x), *panels = zeros(n_w);
        memcpy(panels, p->panels, n_w * sizeof *panels);
        kernels->forward(z, p->out_stride, p->x, p->in_stride, p->rows, panels, p->n_in, p->n_out, p->columns, p->n_columns);
        compare(p, kernels->name, "forward", z, want_z, n_z);
        kernels->input_gradient(dx, p->in_stride, p->g, p->out_stride, p->rows, panels, p->n_in, p->n_out);
        compare(p, kernels->name, "input gradient", dx, want_dx, n_x);
        kernels->update(panels, p->x, p->in_stride, p->g, p->out_stride, p->rows, p->n_in, p->n_out, p->columns,
                        p->n_columns);
        compare(p, kernels->name, "update", panels, want_panels, n_w);
        free(z);
        free(dx);
        free(panels);
    }
    free(want_z);
    free(want_dx);
    free(want_panels);
}

static void solve_shape(size_t rows, size_t n_in, size_t n_out, bool listed) {
    struct problem p;
    pose(&p, rows, n_in, n_out, listed);
    solve(&p);
    drop(&p);
}

START_TEST(all_sets_give_the_canonical_bits_for_every_width) {
    for (size_t n_out = 1; n_out <= 70; n_out++) {
        solve_shape(1 + n_out % 21, 1 + n_out * 7 % 61, n_out, n_out % 2 == 0);
    }
}
END_TEST

START_TEST(all_sets_give_the_canonical_bits_for_every_batch) {
    for (size_t rows = 1; rows <= 64; rows++) {
        solve_shape(rows, 29 + rows % 5, 10 + rows % 40, rows % 2 == 0);
    }
}
END_TEST

START_TEST(all_sets_give_the_canonical_bits_for_any_depth) {
    for (int i = 0; i < 40; i++) {
        solve_shape(1 + next_u32() % 24, 1 + next_u32() % 800, 1 + next_u32() % 70, i % 2 == 0);
    }
    solve_shape(10, 784, 200, true);
}
END_TEST

START_TEST(input_gradient_chains_run_on_over_wide_layers) {
    solve_shape(3, 37, 257, false);
    solve_shape(17, 50, 600, false);
}
END_TEST

START_TEST(an_empty_column_list_is_a_zero_product) {
    for (size_t s = 0; s < N_SETS; s++) {
        const struct fed_kernels *kernels = fed_kernels_by_name(set_names[s]);
        if (kernels != NULL) {
            struct problem p;
            pose(&p, 3, 20, 5, true);
            float *z = zeros(3 * p.out_stride), *before = zeros(20 * p.out_stride);
            memset(z, 1, 3 * p.out_stride * sizeof *z);
            memcpy(before, p.panels, 20 * p.out_stride * sizeof *before);
            kernels->forward(z, p.out_stride, p.x, p.in_stride, 3, p.panels, 20, 5, p.columns, 0);
            kernels->update(p.panels, p.x, p.in_stride, p.g, p.out_stride, 3, 20, 5, p.columns, 0);
            for (size_t j = 0; j < 5; j++) {
                ck_assert(z[j] == 0 && z[2 * p.out_stride + j] == 0);
            }
            ck_assert_mem_eq(p.panels, before, 20 * p.out_stride * sizeof *before);
            free(z);
            free(before);
            drop(&p);
        }
    }
}
END_TEST

START_TEST(live_columns_are_those_with_any_value_but_zero) {
    enum { ROWS = 5, STRIDE = 96 };
    float *x = zeros(ROWS * STRIDE);
    uint32_t columns[STRIDE];
    for (size_t k = 0; k < STRIDE; k++) {
        x[k % ROWS * STRIDE + k] = k % 7 == 0 ? -0.0f : k % 3 == 0 ? 0.0f : k % 5 == 0 ? 0x1p-149f : next_float();
    }
    x[4 * STRIDE + 21] = NAN;
    for (size_t s = 0; s < N_SETS; s++) {
        const struct fed_kernels *kernels = fed_kernels_by_name(set_names[s]);
        if (kernels == NULL) {
            continue;
        }
        size_t n = kernels->live_columns(columns, x, STRIDE, ROWS), i = 0;
        for (uint32_t k = 0; k < STRIDE; k++) {
            if (k == 21 || (k % 7 != 0 && k % 3 != 0)) {
                ck_assert_uint_lt(i, n);
                ck_assert_uint_eq(columns[i++], k);
            }
        }
        ck_assert_uint_eq(i, n);
        ck_assert_uint_eq(kernels->live_columns(columns, x + 7, STRIDE, 0), 0);
    }
    free(x);
}
END_TEST

START_TEST(the_environment_chooses_and_a_wrong_name_is_refused) {
    const struct fed_kernels *kernels = NULL;
    struct fed_error err = {""};
    ck_assert_int_eq(setenv("FEDAVG_KERNELS", "portable", 1), 0);
    ck_assert_int_eq(fed_kernels_choose(&kernels, &err), FED_OK);
    ck_assert_str_eq(kernels->name, "portable");
    kernels = NULL;
    ck_assert_int_eq(setenv("FEDAVG_KERNELS", "avx1024", 1), 0);
    ck_assert_int_eq(fed_kernels_choose(&kernels, &err), FED_ECONFIG);
    ck_assert_ptr_null(kernels);
    ck_assert_ptr_nonnull(strstr(err.text, "avx1024"));
    ck_assert_int_eq(unsetenv("FEDAVG_KERNELS"), 0);
    ck_assert_int_eq(fed_kernels_choose(&kernels, &err), FED_OK);
    ck_assert_ptr_eq(kernels, fed_kernels_by_name(kernels->name));
    ck_assert_ptr_null(fed_kernels_by_name("avx1024"));
}
END_TEST

START_TEST(without_a_wish_the_widest_set_of_this_processor_runs) {
    const struct fed_kernels *kernels;
    ck_assert_int_eq(unsetenv("FEDAVG_KERNELS"), 0);
    ck_assert_int_eq(fed_kernels_choose(&kernels, NULL), FED_OK);
    const char *best = fed_kernels_by_name("avx512") != NULL ? "avx512"
                       : fed_kernels_by_name("avx2") != NULL ? "avx2"
                                                             : "portable";
    ck_assert_str_eq(kernels->name, best);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("kernels");
    TCase *canon = tcase_create("canon");
    tcase_add_test(canon, all_sets_give_the_canonical_bits_for_every_width);
    tcase_add_test(canon, all_sets_give_the_canonical_bits_for_every_batch);
    tcase_add_test(canon, all_sets_give_the_canonical_bits_for_any_depth);
    tcase_add_test(canon, input_gradient_chains_run_on_over_wide_layers);
    tcase_add_test(canon, an_empty_column_list_is_a_zero_product);
    tcase_add_test(canon, live_columns_are_those_with_any_value_but_zero);
    suite_add_tcase(suite, canon);
    TCase *choice = tcase_create("choice");
    tcase_add_test(choice, the_environment_chooses_and_a_wrong_name_is_refused);
    tcase_add_test(choice, without_a_wish_the_widest_set_of_this_processor_runs);
    suite_add_tcase(suite, choice);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
