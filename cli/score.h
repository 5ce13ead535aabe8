/* Loss and accuracy of a model on a data set with all cores: the numbers that a run's own evaluation writes down, bit for
 * bit, and which classes were taken for which. */
#ifndef FED_CLI_SCORE_H
#define FED_CLI_SCORE_H

#include "cli/working.h"
#include "common/data/dataset.h"
#include "common/model/model.h"
#include "common/numeric/kernels.h"
#include "coordinator/round/evaluate.h"

#define FED_SCORE_CLASSES 1024 /* most classes that are counted one by one */

struct fed_score {
    struct fed_evaluation evaluation;
    size_t n_examples;
    uint32_t n_classes;  /* 0: none, or too many */
    uint64_t *confusion; /* (n_classes, n_classes + 1), owned: see struct fed_hits */
};

/* data fits the model. threads >= 1. FED_ENOMEM, FED_EFAILED. */
int fed_score_make(struct fed_score *out, const struct fed_model *model, const float *params, const struct fed_dataset *data,
                   const struct fed_kernels *kernels, unsigned threads, struct fed_working *working,
                   struct fed_error *err) FED_MUST_CHECK;
void fed_score_fini(struct fed_score *score);

#endif
