/* Computes committed rounds of a run again, from what its database says of them and its training data, and nothing else: the
 * clients that were admitted are trained from the model before, their updates are clipped, capped and added, and the mean
 * has to have the digest that was recorded. So do the clip and the cap that held in the round follow from the rounds before
 * it. */
#ifndef FED_CLI_REPLAY_REPLAYER_H
#define FED_CLI_REPLAY_REPLAYER_H

#include "cli/trained.h"
#include "cli/working.h"

struct fed_replayer;

/* Loads the training data and splits it; run is borrowed. working: told of every update, `all` in all. FED_ECONFIG: the
 * run's coordinator knew no data. FED_EDATA: the data or their split are not the run's. FED_ENOMEM, FED_EFAILED. */
int fed_replayer_new(struct fed_replayer **out, const struct fed_trained *run, unsigned threads, struct fed_working *working,
                     uint64_t all, struct fed_error *err) FED_MUST_CHECK;
void fed_replayer_free(struct fed_replayer *replayer); /* NULL is allowed */

/* The model at hand, (n_params), of whatever round was computed or set last. */
const float *fed_replayer_model(const struct fed_replayer *replayer);
void fed_replayer_set(struct fed_replayer *replayer, const float *params);
uint64_t fed_replayer_updates(const struct fed_replayer *replayer); /* computed so far */

/* Round 0: drawn from the seed, or given. */
int fed_replayer_initial(struct fed_replayer *replayer, struct fed_error *err) FED_MUST_CHECK;
/* An ordinary round, from the model at hand, which becomes its own. row: what is recorded of it; before: of the round
 * before. FED_EDIFFERS: one sentence of what differs first. FED_EDATA: the data changed meanwhile; FED_EIO, FED_ENOMEM. */
int fed_replayer_round(struct fed_replayer *replayer, const struct fed_store_round *row,
                       const struct fed_store_round *before, struct fed_error *err) FED_MUST_CHECK;
/* Whether the model at hand is the one recorded. FED_EDIFFERS. */
int fed_replayer_compare(const struct fed_replayer *replayer, const struct fed_store_round *row,
                         struct fed_error *err) FED_MUST_CHECK;

#endif
