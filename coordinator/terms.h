/* What a run is defined by: the task as understood, with everything that was derived from its data. */
#ifndef FED_COORDINATOR_TERMS_H
#define FED_COORDINATOR_TERMS_H

#include <stdint.h>

#include "common/config/task.h"
#include "common/config/terms.h"
#include "common/numeric/fixed.h"

/* Fills *out from the task. partition_digest: NULL where the coordinator knows no partition. largest_shard: 0 if unknown.
 * population: clients known now; the most updates of one attempt are bounded by the next power of two above the cohort, at
 * least 2048 (below that the bound costs no precision, so that a roster may grow). */
void fed_terms_from_task(struct fed_task_terms *out, const struct fed_task *task, const uint8_t *partition_digest,
                         uint64_t largest_shard, uint64_t population);

/* FED_ECONFIG where the task's max_weight is below a shard that is known: every update of its client would be refused for
 * ever. largest_shard: 0 if unknown, which is never wrong. */
int fed_terms_check_weights(const struct fed_task *task, uint64_t largest_shard, struct fed_error *err) FED_MUST_CHECK;

/* The rest of the task as JSON: what may change from one start to the next. The caller owns *out. FED_ENOMEM. */
int fed_terms_rest(char **out, const struct fed_task *task) FED_MUST_CHECK;

#endif
