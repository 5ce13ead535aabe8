/* Whether a committed model may stay, judged by its loss on the test data alone: a function of what the store holds, never
 * of timing, so that every run of a task comes to the same verdicts. Pure.
 *
 * The reference is the largest loss of the first evaluated round and of the last FED_VERDICT_WINDOW ones that stand
 * (fed_store_reference), and at least what a model that knows nothing would lose: log(classes) for a softmax, log(2) for
 * binary. A run that gets better keeps the loss it began with as its measure, and one that gets slowly worse takes its
 * reference along: it may be a bad run, but it is an honest one. */
#ifndef FED_COORDINATOR_ROUND_VERDICT_H
#define FED_COORDINATOR_ROUND_VERDICT_H

#include "common/model/model.h"

#define FED_VERDICT_WINDOW 20

enum fed_verdict { FED_VERDICT_STANDS, FED_VERDICT_NOT_FINITE, FED_VERDICT_EXPLODED };
const char *fed_verdict_name(enum fed_verdict verdict); /* stable: stands, not_finite, exploded */

/* stored: of the store; NaN = none. NaN: there is nothing to go by (a first round, and a loss without a scale). */
double fed_verdict_reference(const struct fed_model *model, double stored);
/* factor: hygiene.rollback_factor, 0 = everything stands. Without a reference everything finite stands. */
enum fed_verdict fed_verdict_on(double loss, double reference, double factor);

#endif
