/* Loss and accuracy of a model on held-out examples, in fixed chunks, summed in double in chunk order. Pure. */
#ifndef FED_COORDINATOR_ROUND_EVALUATE_H
#define FED_COORDINATOR_ROUND_EVALUATE_H

#include <stddef.h>

#include "common/data/dataset.h"
#include "common/model/network.h"

#define FED_EVALUATE_CHUNK 100 /* rows of one chunk; part of the result's definition */
/* Rows of a network for evaluation: one tile of the widest kernels; and of images with many zeros, such as MNIST, few rows
 * leave many columns zero in all of them (100 rows leave 65 % of the columns, 10 rows 47 %). Part of the definition too: a
 * network sums the losses of its rows before they join those of the chunk. */
#define FED_EVALUATE_ROWS 10

struct fed_evaluation {
    double loss;     /* mean over the examples */
    double accuracy; /* labels hit, in 0..1; NaN where there are none (mean squared error) */
};

/* Chunks of a test set: units of work that threads may share out among themselves. */
size_t fed_evaluate_chunks(const struct fed_dataset *test);

/* One chunk: *loss = the summed loss of its rows; what was taken for their labels is added to *hits. net: loaded with the
 * parameters, of FED_EVALUATE_ROWS; how many rows it takes at once groups the sum and changes nothing else.
 * chunk < fed_evaluate_chunks. */
void fed_evaluate_chunk(double *loss, struct fed_hits *hits, struct fed_network *net, const struct fed_dataset *test,
                        size_t chunk);

/* The whole from its chunks, losses added in chunk order. n_targets: labels of an example. */
struct fed_evaluation fed_evaluate_join(const double *losses, size_t n_correct, const struct fed_dataset *test,
                                        uint32_t n_targets);

#endif
