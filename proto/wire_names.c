/* The reasons to decline and to refuse, in words. They stand in logs, counters and the store: a word never changes. */
#include <assert.h>

#include "proto/wire.h"

const char *fed_decline_name(enum fed_decline_reason reason) {
    switch (reason) {
    case FED_DECLINE_MODEL_TOO_LARGE: return "model_too_large";
    case FED_DECLINE_EPOCHS: return "epochs";
    case FED_DECLINE_TIME: return "time";
    case FED_DECLINE_MEMORY: return "memory";
    case FED_DECLINE_NO_DATA: return "no_data";
    case FED_DECLINE_MATH: return "math";
    case FED_DECLINE_STOPPING: return "stopping";
    case FED_DECLINE_FAILED: return "failed";
    case FED_DECLINE_NORM: return "norm";
    }
    return "failed";
}

const char *fed_refusal_name(enum fed_refusal refusal) {
    static const char *const names[FED_REFUSAL_COUNT] = {
        [FED_REFUSAL_NONE] = "none",
        [FED_REFUSAL_MALFORMED] = "malformed",
        [FED_REFUSAL_PROTOCOL] = "protocol",
        [FED_REFUSAL_NOT_ENROLLED] = "not_enrolled",
        [FED_REFUSAL_HOSTED] = "hosted",
        [FED_REFUSAL_PARTITION] = "partition",
        [FED_REFUSAL_ROUND] = "round",
        [FED_REFUSAL_ATTEMPT] = "attempt",
        [FED_REFUSAL_PART] = "part",
        [FED_REFUSAL_NOT_PICKED] = "not_picked",
        [FED_REFUSAL_COUNTED] = "counted",
        [FED_REFUSAL_SUITE] = "suite",
        [FED_REFUSAL_ENCODING] = "encoding",
        [FED_REFUSAL_LENGTH] = "length",
        [FED_REFUSAL_WEIGHT_ZERO] = "weight_zero",
        [FED_REFUSAL_WEIGHT_CAP] = "weight_cap",
        [FED_REFUSAL_SEAL] = "seal",
        [FED_REFUSAL_NOT_FINITE] = "not_finite",
        [FED_REFUSAL_DELTA_CAP] = "delta_cap",
        [FED_REFUSAL_SUM_BOUND] = "sum_bound",
        [FED_REFUSAL_LATE] = "late",
        [FED_REFUSAL_BUSY] = "busy",
        [FED_REFUSAL_NORM] = "norm",
        [FED_REFUSAL_RATE] = "rate",
        [FED_REFUSAL_QUARANTINED] = "quarantined",
        [FED_REFUSAL_TOKEN] = "token",
    };
    assert((unsigned)refusal < FED_REFUSAL_COUNT);
    return names[refusal];
}
