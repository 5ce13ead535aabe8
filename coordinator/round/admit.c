#include "coordinator/round/admit.h"

#include <inttypes.h>
#include <math.h>

#include "common/numeric/norm.h"
#include "common/seal/seal.h"

static enum fed_refusal check_time(const struct fed_terms *terms, const struct fed_msg_offer *offer) {
    if (offer->round != terms->round) {
        return FED_REFUSAL_ROUND;
    }
    return offer->attempt != terms->attempt ? FED_REFUSAL_ATTEMPT : FED_REFUSAL_NONE;
}

static enum fed_refusal check_form(const struct fed_update_header *header, const struct fed_assignment *part,
                                   uint64_t n_params) {
    if (header->suite != FED_SUITE_1) {
        return FED_REFUSAL_SUITE;
    }
    if (header->encoding != (part->sums ? FED_ENCODING_I64 : FED_ENCODING_F32)) {
        return FED_REFUSAL_ENCODING;
    }
    uint64_t element = header->encoding == FED_ENCODING_F32 ? sizeof(float) : sizeof(int64_t);
    bool right = header->n_bytes / element == n_params && header->n_bytes % element == 0 &&
                 header->n_chunks == fed_chunk_count(header->n_bytes);
    return right ? FED_REFUSAL_NONE : FED_REFUSAL_LENGTH;
}

static bool part_holds(const struct fed_assignment *part, uint64_t client) {
    for (size_t i = 0; i < part->n_clients; i++) {
        if (part->clients[i] == client) {
            return true;
        }
    }
    return false;
}

/* A single update is counted, and its norm taken, here; inside a sum both were the node's to do. */
static enum fed_refusal check_limits(const struct fed_update_header *header, const struct fed_update_limits *limits) {
    for (uint32_t i = 0; header->encoding == FED_ENCODING_I64 && i < header->n_clients; i++) {
        if (limits->weight_cap > 0 && header->weights[i] > limits->weight_cap) {
            return FED_REFUSAL_WEIGHT_CAP;
        }
        if (header->has_norms && fed_admit_norm(limits, header->norms[i]) != FED_REFUSAL_NONE) {
            return FED_REFUSAL_NORM;
        }
    }
    return FED_REFUSAL_NONE;
}

static enum fed_refusal check_clients(const struct fed_update_header *header, const struct fed_admit_rules *rules,
                                      const struct fed_assignment *part) {
    for (uint32_t i = 0; i < header->n_clients; i++) {
        uint64_t client = header->clients[i];
        if (!fed_round_in_cohort(rules->round, client)) {
            return FED_REFUSAL_NOT_PICKED;
        }
        if (fed_round_counted(rules->round, client)) {
            return FED_REFUSAL_COUNTED;
        }
        if (!part_holds(part, client)) {
            return FED_REFUSAL_PART;
        }
        if (header->weights[i] == 0) {
            return FED_REFUSAL_WEIGHT_ZERO;
        }
        if (header->weights[i] > rules->fixed->max_weight) {
            return FED_REFUSAL_WEIGHT_CAP;
        }
    }
    return header->n_clients == part->n_clients && part->closed ? check_limits(header, rules->limits) : FED_REFUSAL_PART;
}

enum fed_refusal fed_admit_offer(struct fed_update_header *header, const struct fed_admit_rules *rules, size_t node,
                                 const struct fed_msg_offer *offer) {
    enum fed_refusal refusal = check_time(rules->terms, offer);
    if (refusal != FED_REFUSAL_NONE) {
        return refusal;
    }
    int rc = fed_update_header_decode(header, offer->header, offer->n_header);
    if (rc != FED_OK) {
        return rc == FED_ENOMEM ? FED_REFUSAL_BUSY : FED_REFUSAL_MALFORMED;
    }
    struct fed_assignment part;
    if (fed_schedule_part(&part, rules->schedule, node, offer->part) != FED_OK) {
        return FED_REFUSAL_PART;
    }
    refusal = check_clients(header, rules, &part);
    return refusal != FED_REFUSAL_NONE ? refusal : check_form(header, &part, rules->terms->n_params);
}

enum fed_refusal fed_admit_clients(const struct fed_admit_rules *rules, size_t node, uint32_t part,
                                   const struct fed_update_header *header) {
    struct fed_assignment now;
    return fed_schedule_part(&now, rules->schedule, node, part) == FED_OK ? check_clients(header, rules, &now)
                                                                          : FED_REFUSAL_PART;
}

uint64_t fed_admit_total_weight(const struct fed_update_header *header) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < header->n_clients; i++) {
        total += header->weights[i];
    }
    return total;
}

/* No element of an update is larger than its norm; and clipped, none is larger than the clip. */
static double most_of(const struct fed_fixed *fixed, const struct fed_update_limits *limits) {
    double most = (double)fixed->max_delta;
    if (limits->norm_ceiling > 0) {
        most = fmin(most, limits->norm_ceiling);
    }
    return limits->clip > 0 ? fmin(most, (double)nextafterf((float)limits->clip, INFINITY)) : most;
}

enum fed_refusal fed_admit_norm(const struct fed_update_limits *limits, double norm) {
    return limits->norm_ceiling > 0 && norm > limits->norm_ceiling ? FED_REFUSAL_NORM : FED_REFUSAL_NONE;
}

/* No square is larger than their sum, so where that is within the cap's every value is; NaN and infinity are not. */
enum fed_refusal fed_admit_floats(size_t *bad, double *squares, const struct fed_fixed *fixed, const float *delta,
                                  size_t n) {
    *squares = fed_norm_squares(delta, n);
    if (*squares <= (double)fixed->max_delta * (double)fixed->max_delta || (*bad = fed_fixed_check(fixed, delta, n)) == n) {
        return FED_REFUSAL_NONE;
    }
    return isfinite(delta[*bad]) ? FED_REFUSAL_DELTA_CAP : FED_REFUSAL_NOT_FINITE;
}

enum fed_refusal fed_admit_sums(size_t *bad, const struct fed_fixed *fixed, const struct fed_update_limits *limits,
                                const struct fed_update_header *header, const int64_t *part, size_t n) {
    *bad = fed_fixed_check_sum(fixed, part, n, fed_admit_total_weight(header), most_of(fixed, limits));
    return *bad == n ? FED_REFUSAL_NONE : FED_REFUSAL_SUM_BOUND;
}

void fed_admit_describe(struct fed_error *out, enum fed_refusal refusal, const struct fed_model *model,
                        const struct fed_fixed *fixed, const struct fed_update_limits *limits, size_t parameter,
                        double value) {
    size_t element;
    const struct fed_tensor *tensor = fed_model_locate(model, parameter, &element);
    if (refusal == FED_REFUSAL_SUM_BOUND) {
        fed_error_set(out, FED_EWIRE, "%s[%zu] of the partial sum is %.17g quanta of 2^-%d, beyond its weights times %g",
                      tensor->name, element, value, fixed->exponent, most_of(fixed, limits));
    } else {
        fed_error_set(out, FED_EWIRE, "%s[%zu] is %.9g, but |delta| may be at most %g", tensor->name, element, value,
                      (double)fixed->max_delta);
    }
}

void fed_admit_describe_norm(struct fed_error *out, const struct fed_update_limits *limits, double norm) {
    fed_error_set(out, FED_EWIRE, "its norm is %.6g, but the ceiling of this round is %.6g", norm, limits->norm_ceiling);
}

void fed_admit_describe_offer(struct fed_error *out, enum fed_refusal refusal, const struct fed_update_header *header,
                              const struct fed_admit_rules *rules) {
    double largest = 0;
    fed_error_set(out, FED_EWIRE, "an offer");
    for (uint32_t i = 0; refusal == FED_REFUSAL_NORM && i < header->n_clients; i++) {
        largest = fmax(largest, header->norms[i]);
        fed_admit_describe_norm(out, rules->limits, largest);
    }
    for (uint32_t i = 0; refusal == FED_REFUSAL_WEIGHT_CAP && i < header->n_clients; i++) {
        bool over = header->weights[i] > rules->fixed->max_weight;
        if (over || (rules->limits->weight_cap > 0 && header->weights[i] > rules->limits->weight_cap)) {
            fed_error_set(out, FED_EWIRE, "client %" PRIu64 " counts %" PRIu32 " examples, but %s allows %" PRIu64,
                          header->clients[i], header->weights[i],
                          over ? "algorithm.max_weight" : "algorithm.max_share in this round",
                          over ? rules->fixed->max_weight : rules->limits->weight_cap);
            return;
        }
    }
}
