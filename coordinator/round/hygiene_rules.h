/* From what a task says to what updates are held against. Pure. */
#ifndef FED_COORDINATOR_ROUND_HYGIENE_RULES_H
#define FED_COORDINATOR_ROUND_HYGIENE_RULES_H

#include "common/config/task.h"
#include "common/config/terms.h"
#include "common/data/partition.h"
#include "coordinator/round/hygiene.h"

/* partition: NULL where the coordinator knows none; then the weight of the first round is not capped. */
struct fed_hygiene_config fed_hygiene_rules(const struct fed_task_terms *terms, const struct fed_partition *partition,
                                            const struct fed_hygiene *hygiene);

#endif
