/* Rollbacks are read before the rounds: whether a round stands is decided by rows that come after it. */
#include "coordinator/store/curve.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/seal/digest.h"

/* -- Reading -- */

struct back {
    uint64_t round, to_round;
    uint64_t farthest; /* the least to_round of this one and all later ones */
};

struct reading {
    struct back *backs;         /* owned, ascending by round */
    size_t n_backs, room, next; /* next: the first that is not before the row at hand */
    bool no_memory;
    double seconds;
    uint64_t bytes;
    void (*row)(void *context, const struct fed_curve_row *row);
    void *context;
};

static void take_rollback(void *context, const struct fed_store_rollback *rollback) {
    struct reading *reading = context;
    if (reading->n_backs == reading->room) {
        size_t room = reading->room > 0 ? 2 * reading->room : 16;
        struct back *more = reallocarray(reading->backs, room, sizeof *more);
        if (more == NULL) {
            reading->no_memory = true;
            return;
        }
        reading->backs = more;
        reading->room = room;
    }
    reading->backs[reading->n_backs++] = (struct back){.round = rollback->round, .to_round = rollback->to_round};
}

static void look_ahead(struct reading *reading) {
    uint64_t farthest = UINT64_MAX;
    for (size_t i = reading->n_backs; i-- > 0;) {
        farthest = reading->backs[i].to_round < farthest ? reading->backs[i].to_round : farthest;
        reading->backs[i].farthest = farthest;
    }
}

static void take_round(void *context, const struct fed_store_round *round) {
    struct reading *reading = context;
    struct fed_curve_row row = {.round = *round};
    while (reading->next < reading->n_backs && reading->backs[reading->next].round < round->round) {
        reading->next++;
    }
    const struct back *back = reading->backs + reading->next, *end = reading->backs + reading->n_backs;
    if (reading->next < reading->n_backs && back->round == round->round) {
        row.is_rollback = true;
        row.rollback_to = back->to_round;
        back++;
    }
    row.rolled_back = reading->n_backs > 0 && back < end && back->farthest < round->round;
    reading->seconds += isnan(round->seconds) ? 0 : round->seconds;
    reading->bytes += round->bytes_down + round->bytes_up;
    row.seconds_total = reading->seconds;
    row.bytes_total = reading->bytes;
    reading->row(reading->context, &row);
}

int fed_curve_read(struct fed_store *store, void (*row)(void *context, const struct fed_curve_row *row), void *context,
                   struct fed_error *err) {
    struct reading reading = {.row = row, .context = context};
    int code = fed_store_rollbacks(store, 0, take_rollback, &reading, err);
    if (code == FED_OK && reading.no_memory) {
        code = fed_error_set(err, FED_ENOMEM, "out of memory for the rollbacks of the run");
    }
    if (code == FED_OK) {
        look_ahead(&reading);
        code = fed_store_rounds(store, 0, take_round, &reading, err);
    }
    free(reading.backs);
    return code;
}

/* -- CSV -- */

void fed_curve_number(char out[FED_CURVE_NUMBER_MAX], double value) {
    snprintf(out, FED_CURVE_NUMBER_MAX, "%.15g", value);
    if (strtod(out, NULL) != value) {
        snprintf(out, FED_CURVE_NUMBER_MAX, "%.17g", value);
    }
}

struct field {
    char text[FED_CURVE_NUMBER_MAX];
};
static struct field number(double value) {
    struct field field = {""};
    if (isfinite(value)) {
        fed_curve_number(field.text, value);
    }
    return field;
}

static struct field optional(bool any, uint64_t value) {
    struct field field = {""};
    if (any) {
        snprintf(field.text, sizeof field.text, "%" PRIu64, value);
    }
    return field;
}

/* A time that no calendar has (a damaged row) is left out. */
static struct field utc(int64_t wall_ms) {
    struct field field = {""};
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    if (wall_ms >= 0 && gmtime_r(&seconds, &tm) != NULL && tm.tm_year <= 9999 - 1900) {
        size_t n = strftime(field.text, sizeof field.text, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(field.text + n, sizeof field.text - n, ".%03dZ", (int)(wall_ms % 1000));
    }
    return field;
}

const char *fed_curve_csv_head(void) {
    return "round,attempt,accuracy,loss,seconds,train_seconds,bytes_down,bytes_up,clients,weight,seconds_total,bytes_total,"
           "rolled_back,rollback_to,committed,model\n";
}

size_t fed_curve_csv_row(char out[FED_CURVE_CSV_MAX], const struct fed_curve_row *row) {
    const struct fed_store_round *round = &row->round;
    char model[FED_DIGEST_HEX];
    fed_hex(model, round->model_digest, FED_DIGEST_BYTES);
    int n = snprintf(out, FED_CURVE_CSV_MAX,
                     "%" PRIu64 ",%" PRIu32 ",%s,%s,%s,%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%s,%" PRIu64
                     ",%d,%s,%s,%s\n",
                     round->round, round->attempt, number(round->accuracy).text, number(round->loss).text,
                     number(round->seconds).text, number(round->train_seconds).text, round->bytes_down, round->bytes_up,
                     round->clients, round->weight, number(row->seconds_total).text, row->bytes_total, row->rolled_back,
                     optional(row->is_rollback, row->rollback_to).text, utc(round->wall_ms).text, model);
    return (size_t)n;
}
