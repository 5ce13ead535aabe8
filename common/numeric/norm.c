#include "common/numeric/norm.h"

#include <assert.h>
#include <math.h>

#include "common/numeric/every_isa.h"

#define LANES 16

FED_EVERY_ISA static double add_squares(const float *x, size_t n) {
    double lane[LANES] = {0};
    size_t whole = n / LANES * LANES;
    for (size_t i = 0; i < whole; i += LANES) {
        for (size_t l = 0; l < LANES; l++) {
            lane[l] += (double)x[i + l] * (double)x[i + l];
        }
    }
    for (size_t l = 0; whole + l < n; l++) {
        lane[l] += (double)x[whole + l] * (double)x[whole + l];
    }
    for (size_t width = LANES / 2; width > 0; width /= 2) {
        for (size_t l = 0; l < width; l++) {
            lane[l] += lane[l + width];
        }
    }
    return lane[0];
}

double fed_norm_squares(const float *delta, size_t n) {
    assert(n <= FED_NORM_BLOCK);
    return add_squares(delta, n);
}

double fed_norm_of_squares(const double *squares, size_t n_blocks) {
    double sum = 0;
    for (size_t i = 0; i < n_blocks; i++) {
        sum += squares[i];
    }
    return sqrt(sum);
}

double fed_norm(const float *delta, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i += FED_NORM_BLOCK) {
        sum += fed_norm_squares(delta + i, n - i < FED_NORM_BLOCK ? n - i : FED_NORM_BLOCK);
    }
    return sqrt(sum);
}

float fed_norm_clip_scale(double norm, double clip) {
    if (clip == 0 || norm <= clip) {
        return 1;
    }
    float scale = (float)(clip / norm);
    return (double)scale * norm > clip ? nextafterf(scale, 0) : scale;
}
