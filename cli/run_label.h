/* Names by which people tell the runs of one picture apart. */
#ifndef FED_CLI_RUN_LABEL_H
#define FED_CLI_RUN_LABEL_H

#include <stddef.h>

#include "cli/run_view.h"

#define FED_RUN_LABEL 160

/* labels: n of them. The name of the task; where several have the same one also what differs in their tasks, three keys at
 * most, as in "mnist (learning_rate 0.1, seed 2)"; where that does not tell them apart the run directory. Printable.
 * FED_EDATA, FED_ENOMEM. */
int fed_run_labels(char (*labels)[FED_RUN_LABEL], const struct fed_run_view *runs, size_t n,
                   struct fed_error *err) FED_MUST_CHECK;

#endif
