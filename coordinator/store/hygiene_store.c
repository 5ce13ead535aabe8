#include "coordinator/store/hygiene_store.h"

#include <stdlib.h>

/* Rows come by round; those of one are gathered here until the next begins. */
struct reader {
    struct fed_hygiene_past past;
    const struct fed_store_state *state;
    struct fed_hygiene_round round; /* norms: owned, room for `room` */
    size_t room;
    int rc;
};

static void round_ends(struct reader *reader) {
    if (reader->round.round == reader->state->round) {
        reader->round.clip = reader->state->clip;
        reader->round.weight_cap = reader->state->weight_cap;
    }
    fed_hygiene_committed(&reader->past, &reader->round);
    reader->round.n = 0;
    reader->round.weight = 0;
}

static void take_row(void *context, const struct fed_store_norm *row) {
    struct reader *reader = context;
    struct fed_hygiene_round *round = &reader->round;
    if (round->n > 0 && row->round != round->round) {
        round_ends(reader);
    }
    if (round->n == reader->room) {
        size_t room = 2 * reader->room + 64;
        double *norms = realloc(round->norms, room * sizeof *norms);
        if (norms == NULL) {
            reader->rc = FED_ENOMEM;
            return;
        }
        round->norms = norms;
        reader->room = room;
    }
    round->round = row->round;
    round->norms[round->n++] = row->norm;
    round->weight += row->weight;
}

/* The newest round last: with its updates, or without any where it is a rollback. */
static void end(struct reader *reader) {
    if (reader->round.n > 0) {
        round_ends(reader);
    }
    if (reader->round.round != reader->state->round) {
        reader->round.round = reader->state->round;
        round_ends(reader);
    }
}

int fed_hygiene_read(struct fed_hygiene_past *out, const struct fed_hygiene_config *config, struct fed_store *store,
                     struct fed_error *err) {
    struct fed_store_state state = {0};
    struct reader reader = {.state = &state};
    fed_hygiene_init(&reader.past, config);
    int rc = fed_store_state(&state, store, err);
    if (rc != FED_OK) {
        return rc;
    }
    uint64_t from = state.round >= config->norm_rounds ? state.round + 1 - config->norm_rounds : 1;
    rc = fed_store_norms(store, from, take_row, &reader, err);
    if (rc == FED_OK && reader.rc != FED_OK) {
        rc = fed_error_set(err, reader.rc, "not enough memory for the norms of earlier rounds");
    }
    if (rc == FED_OK) {
        end(&reader);
        *out = reader.past;
    }
    free(reader.round.norms);
    free(state.cohort);
    return rc;
}
