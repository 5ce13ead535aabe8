/* Parameters that a run is given to start from (model.initial), in place of those that its seed draws. Their digest is one
 * of the terms that define the result. */
#ifndef FED_COORDINATOR_INITIAL_H
#define FED_COORDINATOR_INITIAL_H

#include "common/base/status.h"
#include "common/config/task.h"
#include "common/config/terms.h"
#include "common/model/model.h"

/* Reads the file that the task names and writes its digest into the terms; *out (n_params) is the caller's, and stays
 * untouched where the task names none. run: the terms of the run that goes on, or NULL for a new one. A run that goes on
 * needs the file no more: where it is gone, the digest is that of the run, and the log says so. FED_EDATA names the tensor;
 * FED_ENOMEM. */
int fed_initial_read(float **out, struct fed_task_terms *terms, const struct fed_task_terms *run,
                     const struct fed_task *task, const struct fed_model *model, struct fed_error *err) FED_MUST_CHECK;

#endif
