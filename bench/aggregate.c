/* What one update costs once it is open: check, norm and add of float32 deltas of one client, check and add of an int64 sum
 * of several, and the mean at the end of a round; milliseconds of one core, the least of many. Usage: bench_aggregate
 * [seconds]. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/calibration.h"
#include "common/base/rng.h"
#include "common/numeric/fixed.h"
#include "common/numeric/norm.h"
#include "coordinator/round/admit.h"
#include "coordinator/round/aggregate.h"

#define WEIGHT 600
#define UPDATES 100

static void fail(const char *what) {
    fprintf(stderr, "bench_aggregate: %s\n", what);
    exit(1);
}

struct values {
    size_t n;
    float *delta, *model;
    int64_t *part;
};

static void make_values(struct values *v, const struct fed_fixed *fixed, size_t n) {
    struct fed_rng rng;
    *v = (struct values){n, malloc(n * sizeof(float)), malloc(n * sizeof(float)), calloc(n, sizeof(int64_t))};
    if (v->delta == NULL || v->model == NULL || v->part == NULL) {
        fail("out of memory");
    }
    fed_rng_init(&rng, 1, "bench", 0, 0);
    for (size_t i = 0; i < n; i++) {
        v->delta[i] = fed_rng_f32(&rng) - 0.5f;
        v->model[i] = fed_rng_f32(&rng) - 0.5f;
    }
    fed_fixed_add(fixed, v->part, v->delta, n, WEIGHT, 1);
}

static double add_delta(struct fed_aggregate *sum, const struct values *v) {
    double start = seconds_now();
    double squares, norm = 0;
    size_t bad;
    for (size_t i = 0; i < v->n; i += FED_NORM_BLOCK) { /* as chunks come in */
        size_t n = v->n - i < FED_NORM_BLOCK ? v->n - i : FED_NORM_BLOCK;
        if (fed_admit_floats(&bad, &squares, sum->fixed, v->delta + i, n) != FED_REFUSAL_NONE) {
            fail("a good update was refused");
        }
        norm += squares;
    }
    if (!(norm > 0)) {
        fail("an update has no norm");
    }
    fed_aggregate_add(sum, v->delta, 0, v->n, WEIGHT, 1);
    double end = seconds_now();
    fed_aggregate_count(sum, WEIGHT, 1);
    return end - start;
}

static double add_part(struct fed_aggregate *sum, const struct values *v) {
    double start = seconds_now();
    if (fed_fixed_check_sum(sum->fixed, v->part, v->n, WEIGHT, INFINITY) != v->n) {
        fail("a good sum was refused");
    }
    fed_aggregate_add_sum(sum, v->part, 0, v->n);
    double end = seconds_now();
    fed_aggregate_count(sum, WEIGHT, 1);
    return end - start;
}

static double take_mean(const struct fed_aggregate *sum, float *out, const struct values *v) {
    double start = seconds_now();
    if (fed_aggregate_mean(sum, out, v->model) != v->n) {
        fail("the mean is not finite");
    }
    return seconds_now() - start;
}

static void keep_least(double *least, double seconds) { *least = seconds < *least ? seconds : *least; }

static void measure(size_t n_params, double duration) {
    struct fed_fixed fixed;
    struct fed_aggregate sum;
    struct fed_error err;
    struct values v;
    float *out = malloc(n_params * sizeof *out);
    if (fed_fixed_init(&fixed, 64, 1 << 20, UPDATES, &err) != FED_OK || out == NULL ||
        fed_aggregate_init(&sum, &fixed, n_params) != FED_OK) {
        fail("out of memory");
    }
    make_values(&v, &fixed, n_params);
    double f32 = 1e9, i64 = 1e9, mean = 1e9, end = seconds_now() + duration;
    while (seconds_now() < end) {
        fed_aggregate_clear(&sum);
        for (int i = 0; i < UPDATES / 10; i++) {
            keep_least(&f32, add_delta(&sum, &v));
            keep_least(&i64, add_part(&sum, &v));
        }
        keep_least(&mean, take_mean(&sum, out, &v));
    }
    printf("%9zu parameters  f32 %6.3f ms   i64 %6.3f ms   mean %6.3f ms\n", n_params, 1e3 * f32, 1e3 * i64, 1e3 * mean);
    fed_aggregate_fini(&sum);
    free(v.delta);
    free(v.model);
    free(v.part);
    free(out);
}

int main(int argc, char **argv) {
    double duration = argc > 1 ? atof(argv[1]) : 1.0;
    calibration_print();
    measure(199210, duration);
    measure(1663370, duration);
    return 0;
}
