/* A run directory made for a test: opened before it, removed after it, filled round by round. */
#ifndef FED_TESTS_UNIT_SCRATCH_RUN_H
#define FED_TESTS_UNIT_SCRATCH_RUN_H

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordinator/store/store.h"
#include "tests/unit/scratch_dir.h"

static char scratch_dir[] = "/tmp/fedavg-scratch.XXXXXX";
static struct fed_store *scratch_store;

static void scratch_open(void) {
    struct fed_error err = {""};
    strcpy(scratch_dir + sizeof scratch_dir - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scratch_dir));
    ck_assert_msg(fed_store_open(&scratch_store, scratch_dir, "{\"name\":\"ward\"}", "{\"rounds\":100}", &err) == FED_OK,
                  "%s", err.text);
}

static void scratch_remove(void) {
    fed_store_close(scratch_store);
    scratch_store = NULL;
    remove_dir(scratch_dir);
}

/* Round `round`, by the updates of n nodes ("node-1" and so on, client i with the weight 100 * i) and after refusals of the
 * reason (NULL: none) for the first of them. */
static inline void scratch_commit(uint64_t round, size_t n, const char *reason, uint64_t refused) {
    struct fed_store_update updates[8] = {0};
    struct fed_store_refusal refusal = {"node-1", reason, refused};
    ck_assert_uint_le(n, 8);
    for (size_t i = 0; i < n; i++) {
        updates[i] = (struct fed_store_update){.client = i + 1, .weight = 100 * (i + 1), .loss = 0.5, .norm = 1};
        snprintf(updates[i].node, sizeof updates[i].node, "node-%zu", i + 1);
    }
    struct fed_store_commit commit = {.round = round,
                                      .attempt = round > 0,
                                      .header = "head",
                                      .n_header = 4,
                                      .params = "data",
                                      .n_params_bytes = 4,
                                      .model_digest = {(uint8_t)round, 0xab},
                                      .updates = updates,
                                      .n_updates = n,
                                      .refusals = &refusal,
                                      .n_refusals = reason != NULL,
                                      .seconds = 0.5,
                                      .train_seconds = 0.25,
                                      .bytes_down = 1000,
                                      .bytes_up = 100};
    ck_assert_int_eq(fed_store_commit(scratch_store, &commit, 3, NULL), FED_OK);
}

/* The model of to_round again. */
static inline void scratch_roll_back(uint64_t round, uint64_t to_round) {
    const struct fed_store_rollback back = {
        .round = round, .to_round = to_round, .reason = "loss", .loss = 9, .reference = 1};
    struct fed_store_commit commit = {.round = round,
                                      .header = "head",
                                      .n_header = 4,
                                      .params = "data",
                                      .n_params_bytes = 4,
                                      .model_digest = {(uint8_t)round, 0xab},
                                      .seconds = 0.5,
                                      .rollback = &back};
    ck_assert_int_eq(fed_store_commit(scratch_store, &commit, 3, NULL), FED_OK);
}

static inline void scratch_evaluate(uint64_t round, double loss, double accuracy) {
    ck_assert_int_eq(fed_store_evaluation(scratch_store, round, loss, accuracy, false, NULL), FED_OK);
}

#endif
