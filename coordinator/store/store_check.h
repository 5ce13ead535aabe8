/* Whether a run directory is whole: for who wants to know before it matters. Changes nothing. */
#ifndef FED_COORDINATOR_STORE_STORE_CHECK_H
#define FED_COORDINATOR_STORE_STORE_CHECK_H

#include "coordinator/store/store.h"

/* Reads every page of run.db. FED_EDATA. */
int fed_store_check_database(struct fed_store *store, struct fed_error *err) FED_MUST_CHECK;

/* Reads the model files that are there and holds them against the rows that name them; the newest must be there.
 * *n_models: how many were read. FED_EDATA names the file; FED_EIO, FED_ENOMEM. */
int fed_store_check_models(size_t *n_models, struct fed_store *store, struct fed_error *err) FED_MUST_CHECK;

/* Whether a coordinator is at work in the directory; *pid: which process it says it is, 0 = it does not say. */
bool fed_store_is_locked(long *pid, const char *dir);

#endif
