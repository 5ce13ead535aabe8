/* Loss and accuracy of a model on held-out examples, in fixed chunks, summed in double in chunk order. Pure. */
#ifndef FED_COORDINATOR_EVALUATE_H
#define FED_COORDINATOR_EVALUATE_H

#include <stddef.h>

#include "common/data/dataset.h"
#include "common/model/network.h"

#define FED_EVALUATE_CHUNK 100 /* rows of one chunk; part of the result's definition */

struct fed_evaluation {
    double loss;     /* mean softmax cross-entropy */
    double accuracy; /* in 0..1 */
};

/* Chunks of a test set: units of work that threads may share out among themselves. */
size_t fed_evaluate_chunks(const struct fed_dataset *test);

/* One chunk: *loss = the summed loss of its rows, *n_correct = how many of them were right. net: made with max_batch >=
 * FED_EVALUATE_CHUNK, and loaded with the parameters. chunk < fed_evaluate_chunks. */
void fed_evaluate_chunk(double *loss, size_t *n_correct, struct fed_network *net, const struct fed_dataset *test,
                        size_t chunk);

/* The whole from its chunks, losses added in chunk order. */
struct fed_evaluation fed_evaluate_join(const double *losses, size_t n_correct, const struct fed_dataset *test);

#endif
