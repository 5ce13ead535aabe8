/* Every kernel set against the canon written down once more, element by element, over many shapes: the same bits, nothing
 * written where nothing belongs, nothing read beyond (a sanitizer sees it). */
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/numeric/kernels.h"
#include "common/numeric/poly.h"

static const char *const set_names[] = {"portable", "neon", "avx2", "avx512"};
#define N_SETS (sizeof set_names / sizeof *set_names)

static uint32_t state = 1;

static uint32_t next_u32(void) {
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static size_t pick(size_t least, size_t most) { return least + next_u32() % (most - least + 1); }

static float next_float(void) { return (float)((int32_t)next_u32() - (1 << 23)) * 0x1p-23f; }

static size_t padded(size_t n) { return (n + FED_PANEL - 1) / FED_PANEL * FED_PANEL; }

/* Exactly n: a sanitizer sees what is read beyond. */
static float *floats(size_t n) {
    void *a = NULL;
    ck_assert_int_eq(posix_memalign(&a, 64, n * sizeof(float)), 0);
    return a;
}

/* Outputs stand between stretches of this; what is written there is seen. */
#define GAP -12345.5f

static size_t n_rows(const struct fed_rows *rows) { return rows->counts[0] * rows->counts[1] * rows->counts[2]; }

static size_t row_at(const struct fed_rows *rows, size_t row) {
    size_t in_line = rows->counts[2], in_image = rows->counts[1] * in_line;
    return row / in_image * rows->steps[0] + row % in_image / in_line * rows->steps[1] + row % in_line * rows->steps[2];
}

/* Floats from the first row to the end of the last one. */
static size_t extent(const struct fed_rows *rows, size_t width) { return row_at(rows, n_rows(rows) - 1) + width; }

/* A product: inputs (rows of `runs` runs), weights, and rows of outputs or of their gradients. */
struct problem {
    size_t n_in, n_out;
    struct fed_inputs in;
    struct fed_rows out;
    float *x, *g, *w, *panels; /* w: (n_in, n_out), the same weights as the panels */
    uint32_t *columns;
    bool more;
};

static size_t x_at(const struct problem *p, size_t row, size_t k) {
    size_t run = p->n_in / p->in.runs;
    return row_at(&p->in.rows, row) + k / run * p->in.run_step + k % run;
}

static float *panel_at(float *panels, size_t n_in, size_t k, size_t j) {
    return panels + (j / FED_PANEL * n_in + k) * FED_PANEL + j % FED_PANEL;
}

/* Rows of outputs one after the other, with a gap of whole panels here and there. */
static struct fed_rows rows_of_outputs(const struct fed_rows *in, size_t n_out) {
    size_t row = padded(n_out) + FED_PANEL * pick(0, 1), line = in->counts[2] * row + FED_PANEL * pick(0, 1);
    return (struct fed_rows){{in->counts[0], in->counts[1], in->counts[2]},
                             {in->counts[1] * line + FED_PANEL * pick(0, 1), line, row}};
}

/* rows: the nest of the inputs' rows. */
static void pose(struct problem *p, struct fed_rows rows, size_t runs, size_t run_step, size_t n_in, size_t n_out) {
    size_t shift = pick(0, 3); /* inputs need no alignment */
    *p = (struct problem){.n_in = n_in, .n_out = n_out, .in = {.rows = rows, .runs = runs, .run_step = run_step}};
    p->out = rows_of_outputs(&rows, n_out);
    size_t n_x = extent(&rows, (runs - 1) * run_step + n_in / runs), n_g = extent(&p->out, padded(n_out));
    p->x = floats(n_x + shift);
    p->in.x = p->x + shift;
    for (size_t i = 0; i < n_x; i++) {
        p->x[shift + i] = next_float();
    }
    p->g = floats(n_g);
    for (size_t i = 0; i < n_g; i++) {
        p->g[i] = GAP;
    }
    for (size_t row = 0; row < n_rows(&rows); row++) {
        for (size_t j = 0; j < padded(n_out); j++) {
            p->g[row_at(&p->out, row) + j] = j < n_out ? 0.1f * next_float() : 0.0f;
        }
    }
    p->w = floats(n_in * n_out);
    p->panels = floats(n_in * padded(n_out));
    memset(p->panels, 0, n_in * padded(n_out) * sizeof *p->panels);
    for (size_t i = 0; i < n_in * n_out; i++) {
        p->w[i] = *panel_at(p->panels, n_in, i / n_out, i % n_out) = next_float();
    }
}

static void pose_plain(struct problem *p, size_t rows, size_t n_in, size_t n_out) {
    pose(p, fed_rows_plain(rows, n_in + pick(0, 5)), 1, 0, n_in, n_out);
}

/* `share` of 24 columns, the others left out though they are not zero. */
static void list_columns(struct problem *p, uint32_t share) {
    p->columns = malloc(p->n_in * sizeof *p->columns);
    ck_assert_ptr_nonnull(p->columns);
    for (size_t k = 0; k < p->n_in; k++) {
        if (next_u32() % 24 < share) {
            p->columns[p->in.n_columns++] = (uint32_t)k;
        }
    }
    p->in.columns = p->columns;
}

static void drop(struct problem *p) {
    free(p->x);
    free(p->g);
    free(p->w);
    free(p->panels);
    free(p->columns);
}

static size_t n_taking_part(const struct problem *p) { return p->columns != NULL ? p->in.n_columns : p->n_in; }

static size_t taking_part(const struct problem *p, size_t i) { return p->columns != NULL ? p->columns[i] : i; }

/* A chain as the canon has it, and its true value in double: the one must be near the other. */
struct chain {
    float value;
    double truth, size;
};

static struct chain chain_from(float start) { return (struct chain){start, start, fabs((double)start)}; }

static void link(struct chain *c, float a, float b) {
    c->value = fmaf(a, b, c->value);
    c->truth += (double)a * (double)b;
    c->size += fabs((double)a * (double)b);
}

static float end_of(const struct chain *c) {
    ck_assert_double_le(fabs((double)c->value - c->truth), 1e-4 * c->size);
    return c->value;
}

/* What stands in the outputs before: g, to go on from. */
static float *outputs_before(const struct problem *p) {
    size_t n = extent(&p->out, padded(p->n_out));
    float *z = floats(n);
    memcpy(z, p->g, n * sizeof *z);
    return z;
}

static float *expect_forward(const struct problem *p) {
    float *z = outputs_before(p);
    for (size_t row = 0; row < n_rows(&p->out); row++) {
        for (size_t j = 0; j < p->n_out; j++) {
            float *to = z + row_at(&p->out, row) + j;
            struct chain chain = chain_from(p->more ? *to : 0.0f);
            for (size_t i = 0; i < n_taking_part(p); i++) {
                size_t k = taking_part(p, i);
                link(&chain, p->in.x[x_at(p, row, k)], p->w[k * p->n_out + j]);
            }
            *to = end_of(&chain);
        }
    }
    return z;
}

static float *expect_update(const struct problem *p) {
    float *panels = floats(p->n_in * padded(p->n_out));
    memcpy(panels, p->panels, p->n_in * padded(p->n_out) * sizeof *panels);
    for (size_t i = 0; i < n_taking_part(p); i++) {
        for (size_t j = 0; j < p->n_out; j++) {
            size_t k = taking_part(p, i);
            struct chain chain = chain_from(p->w[k * p->n_out + j]);
            for (size_t row = 0; row < n_rows(&p->out); row++) {
                link(&chain, p->in.x[x_at(p, row, k)], p->g[row_at(&p->out, row) + j]);
            }
            *panel_at(panels, p->n_in, k, j) = end_of(&chain);
        }
    }
    return panels;
}

static void compare(const struct problem *p, const char *set, const char *what, const float *got, const float *want,
                    size_t n) {
    const size_t *rows = p->in.rows.counts;
    ck_assert_msg(memcmp(got, want, n * sizeof *got) == 0, "%s: %s differs: %zu x %zu x %zu rows, %zu runs, %zu -> %zu%s%s",
                  set, what, rows[0], rows[1], rows[2], p->in.runs, p->n_in, p->n_out, p->columns != NULL ? ", listed" : "",
                  p->more ? ", more" : "");
}

/* Every set solves it to the bits of the canon; then it is dropped. */
static void solve(struct problem *p) {
    float *want_z = expect_forward(p), *want_panels = expect_update(p);
    size_t n_z = extent(&p->out, padded(p->n_out)), n_w = p->n_in * padded(p->n_out);
    for (size_t s = 0; s < N_SETS; s++) {
        const struct fed_kernels *kernels = fed_kernels_by_name(set_names[s]);
        if (kernels == NULL) {
            continue;
        }
        float *z = outputs_before(p), *panels = floats(n_w);
        memcpy(panels, p->panels, n_w * sizeof *panels);
        kernels->forward(z, &p->out, &p->in, panels, p->n_in, p->n_out, p->more);
        compare(p, kernels->name, "forward", z, want_z, n_z);
        kernels->update(panels, &p->in, p->g, &p->out, p->n_in, p->n_out);
        compare(p, kernels->name, "update", panels, want_panels, n_w);
        free(z);
        free(panels);
    }
    free(want_z);
    free(want_panels);
    drop(p);
}

static void solve_plain(size_t rows, size_t n_in, size_t n_out, bool listed, bool more) {
    struct problem p;
    pose_plain(&p, rows, n_in, n_out);
    if (listed) {
        list_columns(&p, 16);
    }
    p.more = more;
    solve(&p);
}

START_TEST(all_sets_give_the_canonical_bits_for_every_width) {
    for (size_t n_out = 1; n_out <= 70; n_out++) {
        solve_plain(1 + n_out % 21, 1 + n_out * 7 % 61, n_out, n_out % 2 == 0, n_out % 3 == 0);
    }
}
END_TEST

START_TEST(all_sets_give_the_canonical_bits_for_every_batch) {
    for (size_t rows = 1; rows <= 64; rows++) {
        solve_plain(rows, 29 + rows % 5, 10 + rows % 40, rows % 2 == 0, rows % 3 == 0);
    }
}
END_TEST

START_TEST(all_sets_give_the_canonical_bits_for_any_depth) {
    for (int i = 0; i < 16; i++) {
        solve_plain(pick(1, 24), pick(1, 800), pick(1, 70), i % 2 == 0, i % 3 == 0);
    }
    solve_plain(10, 784, 200, true, false);
}
END_TEST

START_TEST(rows_and_weights_beyond_the_caches_give_the_canonical_bits) {
    struct problem p;
    pose_plain(&p, 300, 1100, 300);
    list_columns(&p, 1);
    solve(&p);
    solve_plain(200, 40, 70, false, true);
}
END_TEST

/* Windows of `side` lines over images with a border, as a convolution takes them. */
static void solve_images(size_t images, size_t lines, size_t pixels, size_t channels, size_t side, size_t stride,
                         size_t n_out) {
    size_t line = ((pixels - 1) * stride + side) * channels, image = ((lines - 1) * stride + side) * line;
    struct fed_rows rows = {{images, lines, pixels}, {image, stride * line, stride * channels}};
    struct problem p;
    pose(&p, rows, side, line, side * side * channels, n_out);
    p.more = next_u32() % 2 == 0;
    solve(&p);
}

START_TEST(windows_of_images_give_the_canonical_bits) {
    for (int i = 0; i < 25; i++) {
        solve_images(pick(1, 3), pick(1, 9), pick(1, 30), pick(1, 6), 1 + 2 * pick(0, 2), pick(1, 2), pick(1, 70));
    }
    solve_images(1, 4, 14, 32, 5, 1, 64);
}
END_TEST

/* Steps of a sequence, neighbours or with a gap between. */
START_TEST(steps_of_sequences_give_the_canonical_bits) {
    for (int i = 0; i < 30; i++) {
        size_t steps = pick(1, 12), rows = pick(1, 12), n_in = pick(1, 70), row = n_in + pick(0, 3);
        struct problem p;
        pose(&p, (struct fed_rows){{1, steps, rows}, {0, rows * row + pick(0, 1) * 7, row}}, 1, 0, n_in, pick(1, 130));
        p.more = i % 2 == 0;
        solve(&p);
    }
}
END_TEST

/* dx of plain rows, the gradients being the problem's g. */
static void solve_input_gradient(size_t rows, size_t n_in, size_t n_out, bool more) {
    struct problem p;
    pose_plain(&p, rows, n_in, n_out);
    size_t step = padded(n_in) + FED_PANEL, n = rows * step;
    float *before = floats(n), *want = floats(n), *dx = floats(n);
    for (size_t i = 0; i < n; i++) {
        before[i] = i % step < n_in ? next_float() : i % step < padded(n_in) ? 0.0f : GAP;
    }
    memcpy(want, before, n * sizeof *want);
    for (size_t i = 0; i < rows * n_in; i++) {
        size_t b = i / n_in, k = i % n_in;
        struct chain chain = chain_from(more ? before[b * step + k] : 0.0f);
        for (size_t j = 0; j < n_out; j++) {
            link(&chain, p.g[b * p.out.steps[2] + j], p.w[k * n_out + j]);
        }
        want[b * step + k] = end_of(&chain);
    }
    for (size_t s = 0; s < N_SETS; s++) {
        const struct fed_kernels *kernels = fed_kernels_by_name(set_names[s]);
        if (kernels != NULL) {
            memcpy(dx, before, n * sizeof *dx);
            kernels->input_gradient(dx, step, p.g, p.out.steps[2], rows, p.panels, n_in, n_out, more);
            compare(&p, kernels->name, "input gradient", dx, want, n);
        }
    }
    free(before);
    free(want);
    free(dx);
    drop(&p);
}

START_TEST(input_gradients_have_the_canonical_bits) {
    for (size_t n = 1; n <= 70; n++) {
        solve_input_gradient(1 + n % 31, n, 1 + n * 11 % 67, n % 2 == 0);
        solve_input_gradient(1 + n % 13, 1 + n * 7 % 61, n, n % 3 == 0);
    }
}
END_TEST

START_TEST(input_gradient_chains_run_on_over_wide_layers) {
    solve_input_gradient(3, 37, 257, false);
    solve_input_gradient(17, 50, 600, false);
    solve_input_gradient(17, 50, 600, true);
}
END_TEST

START_TEST(an_empty_column_list_is_a_zero_product) {
    for (size_t s = 0; s < N_SETS; s++) {
        const struct fed_kernels *kernels = fed_kernels_by_name(set_names[s]);
        if (kernels == NULL) {
            continue;
        }
        struct problem p;
        pose_plain(&p, 3, 20, 5);
        uint32_t none = 0;
        p.in.columns = &none;
        float *z = outputs_before(&p), *before = floats(20 * FED_PANEL);
        memcpy(before, p.panels, 20 * FED_PANEL * sizeof *before);
        kernels->forward(z, &p.out, &p.in, p.panels, 20, 5, false);
        kernels->update(p.panels, &p.in, p.g, &p.out, 20, 5);
        for (size_t i = 0; i < 15; i++) {
            ck_assert(z[row_at(&p.out, i / 5) + i % 5] == 0);
        }
        ck_assert_mem_eq(p.panels, before, 20 * FED_PANEL * sizeof *before);
        kernels->forward(z, &p.out, &p.in, p.panels, 20, 5, true);
        ck_assert(z[0] == 0);
        free(z);
        free(before);
        drop(&p);
    }
}
END_TEST

START_TEST(live_columns_are_those_with_any_value_but_zero) {
    enum { ROWS = 5, STRIDE = 96 };
    float *x = floats(ROWS * STRIDE);
    memset(x, 0, ROWS * STRIDE * sizeof *x);
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

enum { MOST_UNITS = 70 };

/* What a cell keeps of one row; a spare float at each end is to be left alone. */
struct cell {
    float gates[4 * MOST_UNITS + 1], cell[MOST_UNITS + 1], tanh_cell[MOST_UNITS + 1], hidden[MOST_UNITS + 1];
};

static void expect_cell(struct cell *c, const float *before, size_t units) {
    float *i = c->gates, *f = i + units, *g = f + units, *o = g + units;
    for (size_t u = 0; u < units; u++) {
        i[u] = fed_sigmoidf(i[u]);
        f[u] = fed_sigmoidf(f[u]);
        g[u] = fed_tanhf(g[u]);
        o[u] = fed_sigmoidf(o[u]);
        c->cell[u] = fmaf(f[u], before != NULL ? before[u] : 0.0f, i[u] * g[u]);
        c->tanh_cell[u] = fed_tanhf(c->cell[u]);
        c->hidden[u] = o[u] * c->tanh_cell[u];
    }
}

/* From the derivatives of sigmoid, s (1 - s), and of tanh, (1 - t) (1 + t). */
static void expect_cell_gradient(float *gates, float *d_cell, const float *d_hidden, const float *tanh_cell,
                                 const float *before, size_t units) {
    for (size_t u = 0; u < units; u++) {
        float i = gates[u], f = gates[units + u], g = gates[2 * units + u], o = gates[3 * units + u], t = tanh_cell[u];
        float d_c = fmaf(d_hidden[u] * o, (1.0f - t) * (1.0f + t), d_cell[u]), d_o = d_hidden[u] * t;
        gates[u] = (d_c * g) * (i * (1.0f - i));
        gates[units + u] = (d_c * (before != NULL ? before[u] : 0.0f)) * (f * (1.0f - f));
        gates[2 * units + u] = (d_c * i) * ((1.0f - g) * (1.0f + g));
        gates[3 * units + u] = d_o * (o * (1.0f - o));
        d_cell[u] = d_c * f;
    }
}

static void solve_cell(const struct fed_kernels *kernels, size_t units, bool first) {
    float before[MOST_UNITS], d_hidden[MOST_UNITS], d_cell[MOST_UNITS + 1], want_d_cell[MOST_UNITS + 1];
    struct cell want = {.hidden = {0}}, got;
    for (size_t u = 0; u < 4 * units; u++) {
        want.gates[u] = 6 * next_float();
    }
    for (size_t u = 0; u < units; u++) {
        before[u] = 2 * next_float();
        d_hidden[u] = next_float();
        d_cell[u] = want_d_cell[u] = next_float();
    }
    d_cell[units] = want_d_cell[units] = want.gates[4 * units] = want.cell[units] = GAP;
    got = want;
    expect_cell(&want, first ? NULL : before, units);
    kernels->lstm_cell(got.gates, got.cell, got.tanh_cell, got.hidden, first ? NULL : before, units);
    ck_assert_msg(memcmp(&got, &want, sizeof got) == 0, "%s: a cell of %zu units differs", kernels->name, units);
    expect_cell_gradient(want.gates, want_d_cell, d_hidden, want.tanh_cell, first ? NULL : before, units);
    kernels->lstm_cell_gradient(got.gates, d_cell, d_hidden, got.tanh_cell, first ? NULL : before, units);
    ck_assert_msg(memcmp(&got, &want, sizeof got) == 0 && memcmp(d_cell, want_d_cell, (units + 1) * sizeof *d_cell) == 0,
                  "%s: the gradient of a cell of %zu units differs", kernels->name, units);
}

START_TEST(cells_of_an_lstm_have_the_same_bits_in_all_sets) {
    for (size_t s = 0; s < N_SETS; s++) {
        const struct fed_kernels *kernels = fed_kernels_by_name(set_names[s]);
        for (size_t units = 1; kernels != NULL && units <= MOST_UNITS; units++) {
            solve_cell(kernels, units, false);
            solve_cell(kernels, units, true);
        }
    }
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
                       : fed_kernels_by_name("neon") != NULL ? "neon"
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
    tcase_add_test(canon, rows_and_weights_beyond_the_caches_give_the_canonical_bits);
    tcase_add_test(canon, windows_of_images_give_the_canonical_bits);
    tcase_add_test(canon, steps_of_sequences_give_the_canonical_bits);
    tcase_add_test(canon, input_gradients_have_the_canonical_bits);
    tcase_add_test(canon, input_gradient_chains_run_on_over_wide_layers);
    tcase_add_test(canon, an_empty_column_list_is_a_zero_product);
    tcase_add_test(canon, cells_of_an_lstm_have_the_same_bits_in_all_sets);
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
