/* The way in: what an offer, and then the values behind it, must be to be added. Pure; every refusal has a name
 * (enum fed_refusal in proto/wire.h). The checks stand in the order in which their answers help the operator most. */
#ifndef FED_COORDINATOR_ROUND_ADMIT_H
#define FED_COORDINATOR_ROUND_ADMIT_H

#include <stddef.h>
#include <stdint.h>

#include "common/model/model.h"
#include "common/numeric/fixed.h"
#include "coordinator/round/round.h"
#include "coordinator/round/schedule.h"
#include "proto/wire.h"

/* What admission is judged by; all borrowed. */
struct fed_admit_rules {
    const struct fed_terms *terms; /* of the attempt at hand */
    const struct fed_fixed *fixed;
    const struct fed_round *round;
    const struct fed_schedule *schedule;
    const struct fed_update_limits *limits; /* of the attempt */
};

/* Judges an offer by node before a byte of it is fetched. On FED_REFUSAL_NONE *header holds what it says of itself. */
enum fed_refusal fed_admit_offer(struct fed_update_header *header, const struct fed_admit_rules *rules, size_t node,
                                 const struct fed_msg_offer *offer);

/* Judges once more, right before the update is added, whether its clients are this part's to report and were not counted:
 * other nodes had their say since the offer. */
enum fed_refusal fed_admit_clients(const struct fed_admit_rules *rules, size_t node, uint32_t part,
                                   const struct fed_update_header *header);

/* Judges the values of one opened chunk of a single update, of n <= FED_NORM_BLOCK. *bad: the index of the first bad element
 * in it. *squares: what the chunk adds to the square of the norm (common/numeric/norm.h). */
enum fed_refusal fed_admit_floats(size_t *bad, double *squares, const struct fed_fixed *fixed, const float *delta, size_t n);
/* The same of a partial sum with this header. */
enum fed_refusal fed_admit_sums(size_t *bad, const struct fed_fixed *fixed, const struct fed_update_limits *limits,
                                const struct fed_update_header *header, const int64_t *part, size_t n);

/* Judges the norm of a single update, computed from all of its chunks. */
enum fed_refusal fed_admit_norm(const struct fed_update_limits *limits, double norm);

/* N of the update: the sum of its weights. */
uint64_t fed_admit_total_weight(const struct fed_update_header *header);

/* "fc1.weight[17] is nan, but |delta| may be at most 64": the sentence for a refusal of values. */
void fed_admit_describe(struct fed_error *out, enum fed_refusal refusal, const struct fed_model *model,
                        const struct fed_fixed *fixed, const struct fed_update_limits *limits, size_t parameter,
                        double value);
/* "its norm is 73.2, but the ceiling of this round is 8.1". */
void fed_admit_describe_norm(struct fed_error *out, const struct fed_update_limits *limits, double norm);
/* Why fed_admit_offer refused, beyond the name: what the header states and may not; "an offer" where there is no more to
 * say. header: decoded, where refusal is of norm or weight. */
void fed_admit_describe_offer(struct fed_error *out, enum fed_refusal refusal, const struct fed_update_header *header,
                              const struct fed_admit_rules *rules);

#endif
