/* The past as the run directory has it: what the next round is held against is read from committed rounds, at the start and
 * whenever one of them fell. */
#ifndef FED_COORDINATOR_STORE_HYGIENE_STORE_H
#define FED_COORDINATOR_STORE_HYGIENE_STORE_H

#include "common/base/status.h"
#include "coordinator/round/hygiene.h"
#include "coordinator/store/store.h"

/* On the store's thread. FED_EIO, FED_EDATA, FED_ENOMEM: *out is untouched. */
int fed_hygiene_read(struct fed_hygiene_past *out, const struct fed_hygiene_config *config, struct fed_store *store,
                     struct fed_error *err) FED_MUST_CHECK;

#endif
