#include "common/data/gamma.h"

#include <math.h>

#include "common/numeric/poly.h"

/* Marsaglia's polar method; its second value is not kept. */
static double draw_normal(struct fed_rng *rng) {
    double x, y, s;
    do {
        x = 2 * fed_rng_f64(rng) - 1;
        y = 2 * fed_rng_f64(rng) - 1;
        s = x * x + y * y;
    } while (s >= 1 || s == 0);
    return x * sqrt(-2 * fed_log(s) / s);
}

double fed_gamma_draw_log(double shape, struct fed_rng *rng) {
    double boost = shape < 1 ? fed_log(fed_rng_f64(rng)) / shape : 0;
    double d = (shape < 1 ? shape + 1 : shape) - 1.0 / 3.0, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = draw_normal(rng), root = 1 + c * x;
        if (root <= 0) {
            continue;
        }
        double log_v = 3 * fed_log(root), v = root * root * root;
        if (fed_log(fed_rng_f64(rng)) < 0.5 * x * x + d - d * v + d * log_v) {
            return fed_log(d) + log_v + boost;
        }
    }
}
