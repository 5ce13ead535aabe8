/* OpenBLAS's door. Panels are matrices of 32 columns, so a product is one sgemm a panel.
 *
 * BLAS wants the rows of a matrix not to overlap and at one distance. Rows of a dense layer or of an LSTM are like that; the
 * windows of a convolution are not and are gathered, a block at a time, into a matrix that stays in the second cache. */
#include "common/numeric/blas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/numeric/kernels_internal.h"

#define LIBRARY "libopenblas.so.0"
#define BLOCK_ROWS 64
#define BLOCK_DEPTH 256

/* As cblas.h numbers them. */
enum { ROW_MAJOR = 101 };
enum turn { AS_IS = 111, TURNED = 112 };

static struct {
    void (*sgemm)(int order, int turn_a, int turn_b, int m, int n, int k, float alpha, const float *a, int lda,
                  const float *b, int ldb, float beta, float *c, int ldc);
    char core[32];
} library;

struct matrix {
    const float *at;
    size_t step; /* floats from a row to the next */
    enum turn turn;
};

/* c (m, n), rows c_step apart, = a b, or c + a b; a is m x k and b is k x n once turned. Sizes lie far below 2^31. */
static void multiply(float *c, size_t c_step, struct matrix a, struct matrix b, size_t m, size_t n, size_t k, bool more) {
    library.sgemm(ROW_MAJOR, a.turn, b.turn, (int)m, (int)n, (int)k, 1.0f, a.at, (int)a.step, b.at, (int)b.step,
                  more ? 1.0f : 0.0f, c, (int)c_step);
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static bool overlap(const struct fed_inputs *in, size_t n_in) {
    return in->runs > 1 || (in->rows.steps[2] < n_in && in->rows.counts[2] > 1);
}

/* block (rows, depth) = inputs [k0, k0 + depth) of the rows from `first` on. */
static void gather(float *block, const struct fed_inputs *in, size_t first, size_t rows, size_t k0, size_t depth,
                   size_t n_in) {
    size_t run = n_in / in->runs;
    for (size_t b = 0; b < rows; b++, block += depth) {
        const float *x = in->x + row_offset(&in->rows, first + b);
        for (size_t i = 0, n; i < depth; i += n) {
            size_t k = k0 + i;
            n = smaller(run - k % run, depth - i);
            memcpy(block + i, x + k / run * in->run_step + k % run, n * sizeof *block);
        }
    }
}

/* Rows at one distance, which a block of gathered inputs belongs to: as few and as long as their places allow. */
static struct fed_rows in_lines(const struct fed_rows *rows) {
    struct fed_rows lines = *rows;
    for (int level = 1; level >= 0; level--) {
        if (lines.counts[level] == 1 || lines.steps[level] == lines.counts[2] * lines.steps[2]) {
            lines.counts[2] *= lines.counts[level];
            lines.counts[level] = 1;
        } else {
            break;
        }
    }
    return lines;
}

/* What is made of a matrix of inputs, x (rows, depth), the part [k0, k0 + depth) of n_in, and the rows of outputs that
 * start at outputs[at]. */
struct product {
    void (*part)(const struct product *p, struct matrix x, size_t k0, size_t depth, size_t at, size_t step, size_t rows);
    size_t n_in, n_out;
    /* forward: z = x w; update: panels += turned x times g */
    float *z, *panels;
    const float *w, *g;
    bool more;
};

static void forward_part(const struct product *p, struct matrix x, size_t k0, size_t depth, size_t at, size_t step,
                         size_t rows) {
    for (size_t j = 0; j < p->n_out; j += FED_PANEL) {
        struct matrix w = {p->w + j * p->n_in + k0 * FED_PANEL, FED_PANEL, AS_IS};
        multiply(p->z + at + j, step, x, w, rows, smaller(FED_PANEL, p->n_out - j), depth, p->more || k0 > 0);
    }
}

static void update_part(const struct product *p, struct matrix x, size_t k0, size_t depth, size_t at, size_t step,
                        size_t rows) {
    x.turn = TURNED;
    for (size_t j = 0; j < p->n_out; j += FED_PANEL) {
        struct matrix g = {p->g + at + j, step, AS_IS};
        multiply(p->panels + j * p->n_in + k0 * FED_PANEL, FED_PANEL, x, g, depth, smaller(FED_PANEL, p->n_out - j), rows,
                 true);
    }
}

/* A matrix of one row needs no step, but BLAS wants one that is not less than its width. */
static size_t step_of(const struct fed_rows *rows, size_t width) { return rows->counts[2] > 1 ? rows->steps[2] : width; }

static void multiply_in_place(const struct product *p, const struct fed_inputs *in, const struct fed_rows *out) {
    for (size_t i = 0; i < out->counts[0]; i++) {
        for (size_t j = 0; j < out->counts[1]; j++) {
            const float *x = in->x + i * in->rows.steps[0] + j * in->rows.steps[1];
            struct matrix inputs = {x, step_of(&in->rows, p->n_in), AS_IS};
            p->part(p, inputs, 0, p->n_in, i * out->steps[0] + j * out->steps[1], step_of(out, p->n_out), out->counts[2]);
        }
    }
}

static void multiply_gathered(const struct product *p, const struct fed_inputs *in, const struct fed_rows *out) {
    float block[BLOCK_ROWS * BLOCK_DEPTH] __attribute__((aligned(64)));
    struct fed_rows lines = in_lines(out);
    size_t first = 0;
    for (size_t line = 0; line < lines.counts[0] * lines.counts[1]; line++) {
        for (size_t l = 0, n; l < lines.counts[2]; l += n, first += n) {
            size_t at = row_offset(&lines, line * lines.counts[2] + l);
            n = smaller(BLOCK_ROWS, lines.counts[2] - l);
            for (size_t k0 = 0; k0 < p->n_in; k0 += BLOCK_DEPTH) {
                size_t depth = smaller(BLOCK_DEPTH, p->n_in - k0);
                gather(block, in, first, n, k0, depth, p->n_in);
                p->part(p, (struct matrix){block, depth, AS_IS}, k0, depth, at, lines.steps[2], n);
            }
        }
    }
}

static void multiply_rows(const struct product *p, const struct fed_inputs *in, const struct fed_rows *out) {
    if (overlap(in, p->n_in)) {
        multiply_gathered(p, in, out);
    } else {
        multiply_in_place(p, in, out);
    }
}

/* in->columns leaves out only what is zero, which a matrix product may as well take in. */
static void forward(float *z, const struct fed_rows *z_rows, const struct fed_inputs *in, const float *panels, size_t n_in,
                    size_t n_out, bool more) {
    struct product p = {.part = forward_part, .n_in = n_in, .n_out = n_out, .z = z, .w = panels, .more = more};
    multiply_rows(&p, in, z_rows);
}

static void update(float *panels, const struct fed_inputs *in, const float *g, const struct fed_rows *g_rows, size_t n_in,
                   size_t n_out) {
    struct product p = {.part = update_part, .n_in = n_in, .n_out = n_out, .panels = panels, .g = g};
    multiply_rows(&p, in, g_rows);
}

static void input_gradient(float *dx, size_t dx_stride, const float *dz, size_t dz_stride, size_t rows, const float *panels,
                           size_t n_in, size_t n_out, bool more) {
    for (size_t j = 0; j < n_out; j += FED_PANEL) {
        struct matrix g = {dz + j, dz_stride, AS_IS}, w = {panels + j * n_in, FED_PANEL, TURNED};
        multiply(dx, dx_stride, g, w, rows, n_in, smaller(FED_PANEL, n_out - j), more || j > 0);
    }
}

static size_t all_columns(uint32_t *columns, const float *x, size_t x_stride, size_t rows) {
    (void)x;
    (void)rows;
    for (size_t k = 0; k < x_stride; k++) {
        columns[k] = (uint32_t)k;
    }
    return x_stride;
}

/* -- loading ------------------------------------------------------------------------------------------------------------ */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct fed_kernels set; /* once loaded */
static int loaded = FED_ECONFIG;
static struct fed_error problem;

static int find_library(struct fed_error *err) {
    const char *wish = getenv("FEDAVG_BLAS"), *name = wish != NULL && *wish != '\0' ? wish : LIBRARY;
    const char *core = fed_kernels_by_name("avx512") != NULL ? "SkylakeX"
                       : fed_kernels_by_name("avx2") != NULL ? "Haswell"
                                                             : NULL;
    if ((core != NULL && setenv("OPENBLAS_CORETYPE", core, 0) != 0) || setenv("OPENBLAS_NUM_THREADS", "1", 1) != 0) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory");
    }
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        return fed_error_set(err, FED_ECONFIG,
                             "OpenBLAS cannot be loaded (%s): install it (Debian: libopenblas0-serial) or set "
                             "algorithm.math: exact",
                             dlerror());
    }
    void *sgemm = dlsym(handle, "cblas_sgemm"), *corename = dlsym(handle, "openblas_get_corename");
    if (sgemm == NULL) {
        dlclose(handle);
        return fed_error_set(err, FED_ECONFIG, "%s is no BLAS: it has no cblas_sgemm", name);
    }
    memcpy(&library.sgemm, &sgemm, sizeof sgemm); /* POSIX: a pointer to a function fits one to an object */
    char *(*ask)(void) = NULL;
    memcpy(&ask, &corename, sizeof ask);
    snprintf(library.core, sizeof library.core, "%s", ask != NULL ? ask() : "unknown");
    return FED_OK;
}

static void load(void) {
    const struct fed_kernels *exact;
    loaded = fed_kernels_choose(&exact, &problem);
    if (loaded == FED_OK) {
        loaded = find_library(&problem);
    }
    if (loaded == FED_OK) {
        set = *exact;
        set.name = "blas";
        set.forward = forward;
        set.input_gradient = input_gradient;
        set.update = update;
        set.live_columns = all_columns;
    }
}

int fed_blas_kernels(const struct fed_kernels **out, struct fed_error *err) {
    pthread_once(&once, load);
    if (loaded != FED_OK) {
        return fed_error_set(err, loaded, "%s", problem.text);
    }
    *out = &set;
    return FED_OK;
}

const char *fed_blas_core(void) { return library.core; }
