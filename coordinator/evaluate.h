/* Loss and accuracy of a model on held-out examples, in fixed chunks, summed in double in chunk order. Pure. */
#ifndef FED_COORDINATOR_EVALUATE_H
#define FED_COORDINATOR_EVALUATE_H

#include <stdatomic.h>

#include "common/data/dataset.h"
#include "common/model/network.h"

#define FED_EVALUATE_CHUNK 100 /* rows of one chunk; part of the result's definition */

struct fed_evaluation {
    double loss;     /* mean softmax cross-entropy */
    double accuracy; /* in 0..1 */
};

/* net: made with max_batch >= FED_EVALUATE_CHUNK; its weights are overwritten. FED_EINTERRUPTED if *cancel turned true. */
int fed_evaluate(struct fed_evaluation *out, struct fed_network *net, const float *params, const struct fed_dataset *test,
                 const atomic_bool *cancel) FED_MUST_CHECK;

#endif
