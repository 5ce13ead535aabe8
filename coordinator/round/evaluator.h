/* Evaluation beside the next round: the chunks of the test set are shared out among a few threads that step back behind
 * everything else, so that it fills the gaps of training instead of making them. One evaluation at a time; the result does
 * not depend on the threads. Belongs to the loop. */
#ifndef FED_COORDINATOR_ROUND_EVALUATOR_H
#define FED_COORDINATOR_ROUND_EVALUATOR_H

#include <stdbool.h>

#include "common/model/image.h"
#include "coordinator/round/evaluate.h"

struct fed_evaluator;

/* model and test are borrowed. Each thread holds a copy of the weights. FED_ENOMEM, FED_EFAILED. */
int fed_evaluator_new(struct fed_evaluator **out, const struct fed_model *model, const struct fed_dataset *test,
                      unsigned threads, const struct fed_kernels *kernels, struct fed_error *err) FED_MUST_CHECK;
void fed_evaluator_free(struct fed_evaluator *evaluator); /* waits for the chunks at hand; NULL is allowed */

/* Starts on the image (held until the end). None is going on. */
void fed_evaluator_start(struct fed_evaluator *evaluator, struct fed_image *image);
/* Readable when fed_evaluator_finished may have something. */
int fed_evaluator_fd(const struct fed_evaluator *evaluator);
/* True once for each start, when it is done. */
bool fed_evaluator_finished(struct fed_evaluator *evaluator, struct fed_evaluation *out);

#endif
