/* Writes a run directory as the coordinator does, without its network: what the store has said is done is said here, one
 * line each, so that a test may hold the directory to it after any fault.
 *
 *     store_writer DIR ROUNDS [RETRIES]
 *
 * Goes on where the run stands, as a restarted coordinator does: "stands 3 2 finished|open" (committed round, attempt opened
 * for the next), then "opened 4 3", "committed 4", "evaluated 4", ..., "finished 5", or "failed: <sentence>" for each write
 * that is tried again, at most RETRIES times, and the exit status of the sentence that ends it. The parameters of round r
 * are a function of r, and those of the last one are verified at the start. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/model/image.h"
#include "common/seal/keys.h"
#include "coordinator/store/store.h"

#define CLIENTS 4

static const struct fed_model_spec spec = {.input = {784}, .n_layers = 1, .layers = {{10, FED_LINEAR}}};

struct writer {
    struct fed_store *store;
    struct fed_model model;
    struct fed_error err;
    long retries;
};

static void say(const char *what, uint64_t a, uint64_t b) {
    char line[80];
    int n = snprintf(line, sizeof line, "%s %" PRIu64 " %" PRIu64 "\n", what, a, b);
    if (write(STDOUT_FILENO, line, (size_t)n) != n) {
        _exit(99);
    }
}

/* Whether a write that failed is to be tried again; ends the program where it is not. */
static bool again(struct writer *w, int rc) {
    if (rc == FED_OK) {
        return false;
    }
    char line[sizeof w->err.text + 16];
    int n = snprintf(line, sizeof line, "failed: %s\n", w->err.text);
    if (write(STDOUT_FILENO, line, (size_t)n) != n || rc != FED_EIO || w->retries-- <= 0) {
        exit(fed_status_exit_code(rc));
    }
    return true;
}

static void must(struct writer *w, int rc) {
    w->retries = rc == FED_OK ? w->retries : 0;
    (void)again(w, rc);
}

static void commit(struct writer *w, uint64_t round, uint32_t attempt) {
    struct fed_store_update updates[CLIENTS];
    struct fed_image *image = NULL;
    must(w, fed_image_new(&image, &w->model, fed_store_run_id(w->store), round));
    for (size_t i = 0; i < w->model.n_params; i++) {
        image->params[i] = (float)(round * 1000003 + i * 7919) * 0x1p-20f;
    }
    must(w, fed_image_finish(image, &w->model, fed_store_run_id(w->store)));
    for (uint64_t i = 0; i < CLIENTS; i++) {
        updates[i] = (struct fed_store_update){.node = "node-0", .part = 1, .client = i, .weight = 50, .loss = 1};
    }
    struct fed_store_commit row = {.round = round,
                                   .attempt = attempt,
                                   .header = image->bytes,
                                   .n_header = image->n_header,
                                   .params = image->params,
                                   .n_params_bytes = w->model.n_params * sizeof(float),
                                   .updates = updates,
                                   .n_updates = round == 0 ? 0 : CLIENTS};
    memcpy(row.model_digest, image->digest, sizeof row.model_digest);
    while (again(w, fed_store_commit(w->store, &row, 2, &w->err))) {
    }
    fed_image_release(image);
    say("committed", round, attempt);
}

static void write_round(struct writer *w, uint64_t round, uint32_t attempt) {
    static const uint64_t cohort[CLIENTS] = {0, 1, 2, 3};
    while (again(w, fed_store_open_attempt(w->store, round, attempt, cohort, CLIENTS, &w->err))) {
    }
    say("opened", round, attempt);
    commit(w, round, attempt);
    while (again(w, fed_store_evaluation(w->store, round, 1.0 / (double)round, 0.5, false, &w->err))) {
    }
    say("evaluated", round, attempt);
}

static void verify_model(struct writer *w, const struct fed_store_state *state) {
    struct fed_image *image = NULL;
    char *path = NULL;
    must(w, fed_store_model_path(&path, w->store, state->round));
    must(w, fed_image_read(&image, path, &w->model, state->model_digest, &w->err));
    fed_image_release(image);
    free(path);
}

int main(int argc, char **argv) {
    static struct writer w;
    struct fed_store_state state = {0};
    if (argc < 3) {
        fprintf(stderr, "usage: store_writer DIR ROUNDS [RETRIES]\n");
        return 2;
    }
    uint64_t rounds = strtoull(argv[2], NULL, 10);
    w.retries = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
    must(&w, fed_seal_setup(&w.err));
    must(&w, fed_model_init(&w.model, &spec, &w.err));
    while (again(&w, fed_store_open(&w.store, argv[1], "{}", "{}", &w.err))) {
    }
    must(&w, fed_store_state(&state, w.store, &w.err));
    if (state.has_model) {
        verify_model(&w, &state);
        say(state.finished ? "stands finished" : "stands open", state.round, state.attempt);
    } else {
        say("new", 0, 0);
        commit(&w, 0, 0);
    }
    for (uint64_t round = state.round + 1; round <= rounds; round++) {
        write_round(&w, round, round == state.round + 1 ? state.attempt + 1 : 1);
    }
    while (again(&w, fed_store_finish(w.store, rounds, &w.err))) {
    }
    say("finished", rounds, 0);
    free(state.cohort);
    fed_store_close(w.store);
    return 0;
}
