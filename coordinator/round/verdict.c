#include "coordinator/round/verdict.h"

#include <math.h>

#include "common/numeric/poly.h"

const char *fed_verdict_name(enum fed_verdict verdict) {
    switch (verdict) {
    case FED_VERDICT_STANDS: return "stands";
    case FED_VERDICT_NOT_FINITE: return "not_finite";
    case FED_VERDICT_EXPLODED: return "exploded";
    }
    return "unknown";
}

double fed_verdict_reference(const struct fed_model *model, double stored) {
    if (model->n_classes < 2) {
        return stored;
    }
    return fmax(stored, fed_log((double)model->n_classes)); /* a NaN gives way to a number */
}

enum fed_verdict fed_verdict_on(double loss, double reference, double factor) {
    if (factor == 0) {
        return FED_VERDICT_STANDS;
    }
    if (!isfinite(loss)) {
        return FED_VERDICT_NOT_FINITE;
    }
    return reference > 0 && loss > factor * reference ? FED_VERDICT_EXPLODED : FED_VERDICT_STANDS; /* false for NaN */
}
