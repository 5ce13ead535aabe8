/* The curve of a run: its rounds, one after the other, with what they had cost so far, and the same as CSV. Read from the
 * run directory, so a row is the same while the run goes on, afterwards, and in a copy. */
#ifndef FED_COORDINATOR_STORE_CURVE_H
#define FED_COORDINATOR_STORE_CURVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "coordinator/store/store.h"

struct fed_curve_row {
    struct fed_store_round round;
    double seconds_total; /* of all rounds up to this one, also of those that were taken back */
    uint64_t bytes_total; /* down and up, likewise */
    bool rolled_back;     /* a later round took it back: its model does not stand */
    bool is_rollback;     /* it took others back: its model is that of rollback_to */
    uint64_t rollback_to; /* if is_rollback */
};

/* Calls row for each committed round, ascending, from round 0. FED_EIO, FED_EDATA, FED_ENOMEM. */
int fed_curve_read(struct fed_store *store, void (*row)(void *context, const struct fed_curve_row *row), void *context,
                   struct fed_error *err) FED_MUST_CHECK;

/* CSV (RFC 4180, but lines end in a line feed alone): one line of names, one line a round. A field is empty where nothing
 * is known, as the accuracy of a round that was not evaluated. Numbers read back as the same numbers. */
#define FED_CURVE_CSV_MAX 640

/* round,attempt,accuracy,loss,seconds,train_seconds,bytes_down,bytes_up,clients,weight,seconds_total,bytes_total,
 * rolled_back,rollback_to,committed,model and a line feed; committed is UTC, 2026-01-31T12:00:00.000Z. */
const char *fed_curve_csv_head(void);
/* Writes one line, zero-terminated, and returns its length. */
size_t fed_curve_csv_row(char out[FED_CURVE_CSV_MAX], const struct fed_curve_row *row);

/* "0.1", not "0.10000000000000001": the fewest of 15 or 17 digits that read back as value, which is finite. */
#define FED_CURVE_NUMBER_MAX 32
void fed_curve_number(char out[FED_CURVE_NUMBER_MAX], double value);

#endif
