/* A run.db that a disk, a crash or a hand has changed: it is read as far as it can be, or refused in one line; and a run
 * that opens goes on as if nothing had been: what is committed is there after the next opening. */
#include <string.h>

#include "common/base/log.h"
#include "coordinator/store/status_report.h"
#include "coordinator/store/store.h"
#include "tests/fuzz/fuzz_dir.h"

#define ROUND_LAST ((uint64_t)1 << 62) /* rounds of a damaged row may lie beyond what SQLite counts with */

static bool is_refusal(int rc) {
    return rc == FED_EDATA || rc == FED_EIO || rc == FED_EMISMATCH || rc == FED_EFAILED || rc == FED_ENOTFOUND;
}

/* Whatever the answer, it is one that a person can read. */
static bool must_answer(int rc, struct fed_error *err) {
    MUST(rc == FED_OK || (is_refusal(rc) && err->text[0] != '\0'));
    must_be_one_line(err->text);
    err->text[0] = '\0';
    return rc == FED_OK;
}

static void put_model(uint64_t round) {
    char name[64];
    snprintf(name, sizeof name, "model-%llu.safetensors", (unsigned long long)round);
    fuzz_dir_put(name, (const uint8_t *)name, strlen(name));
}

static void report(struct fed_store *store) {
    static struct fed_status_report report;
    struct fed_error err = {.text = ""};
    if (must_answer(fed_status_report_read(&report, store, &err), &err)) {
        char *text;
        MUST(fed_status_report_encode(&text, &report) == FED_OK);
        free(text);
    }
}

static void count_norm(void *context, const struct fed_store_norm *norm) { *(uint64_t *)context += norm->weight; }

static void see_rollback(void *context, const struct fed_store_rollback *rollback) {
    (void)context;
    MUST(rollback->reason != NULL);
}

static void see_quarantine(void *context, const struct fed_store_quarantine *quarantine) {
    (void)context;
    MUST(quarantine->reason != NULL && memchr(quarantine->node, '\0', sizeof quarantine->node) != NULL);
}

/* What later rounds and nodes are judged by. */
static void look_back(struct fed_store *store, uint64_t before) {
    struct fed_store_setbacks setbacks;
    struct fed_error err = {.text = ""};
    uint64_t weight = 0, good;
    double loss;
    (void)must_answer(fed_store_norms(store, 0, count_norm, &weight, &err), &err);
    (void)must_answer(fed_store_last_good(&good, store, before, &err), &err);
    (void)must_answer(fed_store_reference(&loss, store, before, 5, &err), &err);
    (void)must_answer(fed_store_rollbacks(store, 0, see_rollback, NULL, &err), &err);
    (void)must_answer(fed_store_setbacks(&setbacks, store, &err), &err);
    (void)must_answer(fed_store_quarantines(store, 0, see_quarantine, NULL, &err), &err);
}

static bool where(uint64_t *round, struct fed_store *store) {
    struct fed_store_state state;
    struct fed_error err = {.text = ""};
    if (!must_answer(fed_store_state(&state, store, &err), &err)) {
        return false;
    }
    *round = state.has_model ? state.round : UINT64_MAX;
    MUST((state.cohort != NULL) == (state.has_model && state.attempt > 0) || state.n_cohort == 0);
    free(state.cohort);
    return true;
}

/* Back to the model before. */
static void go_back(struct fed_store *store, uint64_t round) {
    const struct fed_store_rollback rollback = {
        .round = round, .to_round = round - 1, .reason = "loss", .loss = 9, .reference = 0.5};
    const struct fed_store_commit commit = {.round = round,
                                            .header = "header--",
                                            .n_header = 8,
                                            .params = "params--",
                                            .n_params_bytes = 8,
                                            .rollback = &rollback,
                                            .keep_good = true};
    struct fed_error err = {.text = ""};
    (void)must_answer(fed_store_commit(store, &commit, 3, &err), &err);
}

/* The next round of the run. Returns whether it was said to be on disk. */
static bool go_on(struct fed_store *store, uint64_t round) {
    const struct fed_store_update update = {.node = "node", .client = 7, .weight = 600, .loss = 0.5};
    const struct fed_store_refusal refusal = {.node = "node", .reason = "stale", .count = 1};
    const uint64_t cohort[] = {7, 9};
    const struct fed_store_commit commit = {.round = round,
                                            .attempt = 3,
                                            .header = "header--",
                                            .n_header = 8,
                                            .params = "params--",
                                            .n_params_bytes = 8,
                                            .updates = &update,
                                            .n_updates = 1,
                                            .refusals = &refusal,
                                            .n_refusals = 1};
    struct fed_error err = {.text = ""};
    (void)must_answer(fed_store_open_attempt(store, round, 3, cohort, 2, &err), &err);
    bool done = must_answer(fed_store_commit(store, &commit, 3, &err), &err);
    const struct fed_store_quarantine quarantine = {
        .node = "node", .since_ms = (int64_t)round, .until_ms = (int64_t)round + 1, .reason = "stale", .refusals = 3};
    (void)must_answer(fed_store_quarantine(store, &quarantine, &err), &err);
    (void)must_answer(fed_store_evaluation(store, round, 0.5, 0.75, true, &err), &err);
    (void)must_answer(fed_store_finish(store, round, &err), &err);
    return done;
}

static bool open_again(struct fed_store **store, const char *terms) {
    struct fed_error err = {.text = ""};
    return must_answer(fed_store_open(store, fuzz_dir(), terms, "{}", &err), &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    struct fed_store *store;
    struct fed_error err = {.text = ""};
    char *terms = NULL;
    uint64_t round, again;
    fed_log_setup(FED_LOG_TEXT, FED_LOG_ERROR);
    fuzz_dir();
    fuzz_dir_clear();
    fuzz_dir_put("run.db", bytes, n);
    for (uint64_t i = 0; i < 4; i++) {
        put_model(i);
    }
    if (must_answer(fed_store_open_readonly(&store, fuzz_dir(), &err), &err)) {
        MUST((terms = strdup(fed_store_task_terms(store))) != NULL);
        report(store);
        fed_store_close(store);
    }
    if (open_again(&store, terms != NULL ? terms : "{}")) {
        report(store);
        look_back(store, UINT32_MAX);
        bool committed = where(&round, store) && round + 1 < ROUND_LAST && go_on(store, round + 1);
        fed_store_close(store);
        if (committed && open_again(&store, terms != NULL ? terms : "{}")) {
            MUST(!where(&again, store) || again == round + 1);
            go_back(store, round + 2);
            look_back(store, round + 3);
            fed_store_close(store);
        }
    }
    free(terms);
    return 0;
}
