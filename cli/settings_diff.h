/* What differs between tasks, key by key: the tasks of runs, as they were understood, with everything that was derived. */
#ifndef FED_CLI_SETTINGS_DIFF_H
#define FED_CLI_SETTINGS_DIFF_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/status.h"

/* One key whose values are not all the same. */
struct fed_difference {
    char *key;     /* as in a task file, "algorithm.epochs", "model.layers[1].units" */
    bool defines;  /* it is among what defines the result; the others may change while a run goes on */
    char **values; /* one a task, as JSON: 0.1, "fedavg"; NULL: the task does not have the key */
};

struct fed_differences {
    struct fed_difference *items; /* ascending by key; owned, like all texts */
    size_t n, n_tasks;
};

/* terms, rest: JSON of n tasks, from fed_store_task_terms and fed_store_task_rest. FED_EDATA: not JSON. FED_ENOMEM. */
int fed_differences_find(struct fed_differences *out, const char *const *terms, const char *const *rest, size_t n,
                         struct fed_error *err) FED_MUST_CHECK;
void fed_differences_fini(struct fed_differences *differences);

/* For people: without the quotes of JSON, "-" for NULL; control characters become '?'. Cuts what is too long with "...". */
void fed_difference_show(char *out, size_t n, const char *value);

#endif
