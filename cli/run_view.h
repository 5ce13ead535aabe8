/* A run as plot and compare look at it: read whole from its directory, which a coordinator may be at work in. */
#ifndef FED_CLI_RUN_VIEW_H
#define FED_CLI_RUN_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "coordinator/store/curve.h"
#include "coordinator/store/store.h"

struct fed_run_view {
    const char *path;        /* as named by the user; borrowed */
    struct fed_store *store; /* owned; open for reading */
    char name[64];           /* of the task, printable; "" if it has none */
    double target;           /* accuracy; NaN = none */
    uint64_t target_round;   /* first that reached it; 0 = none */
    bool finished;
    struct fed_curve_row *rows; /* owned, ascending by round */
    size_t n_rows;
};

/* FED_ECONFIG: there is no run at path. FED_EMISMATCH, FED_EDATA, FED_EIO, FED_ENOMEM. */
int fed_run_view_read(struct fed_run_view *out, const char *path, struct fed_error *err) FED_MUST_CHECK;
void fed_run_view_fini(struct fed_run_view *view);

#endif
