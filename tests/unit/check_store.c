/* The run directory, checked the way a disk or an operator would break it: full, killed, damaged, foreign, locked. */
#include "coordinator/store/store.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/seal/digest.h"
#include "coordinator/store/schema.h"
#include "coordinator/store/sql.h"
#include "coordinator/store/store_builds.h"

static const char TERMS[] = "{\"algorithm\":{\"epochs\":1},\"name\":\"t\"}";
static const char REST[] = "{\"algorithm\":{\"rounds\":10}}";

static char root[] = "/tmp/check_store.XXXXXX";
static char dir[64]; /* of the run: not there before the first open */

static void make_root(void) {
    strcpy(root + sizeof root - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    snprintf(dir, sizeof dir, "%s/runs/t%%?#", root); /* a name that a URI would read otherwise */
}

static void remove_tree(const char *path) {
    DIR *listing = opendir(path);
    struct dirent *entry;
    while (listing != NULL && (entry = readdir(listing)) != NULL) {
        char *child;
        ck_assert_int_eq(fed_path_join(&child, path, entry->d_name), FED_OK);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && unlink(child) != 0) {
            remove_tree(child);
        }
        free(child);
    }
    if (listing != NULL) {
        closedir(listing);
    }
    rmdir(path);
}

static void remove_root(void) { remove_tree(root); }

/* -- Small helpers: each fails the test unless it works -- */

static struct fed_store *open_run(void) {
    struct fed_store *store = NULL;
    struct fed_error err = {""};
    int code = fed_store_open(&store, dir, TERMS, REST, &err);
    ck_assert_msg(code == FED_OK, "%s", err.text);
    return store;
}

static int open_fails(struct fed_error *err) {
    struct fed_store *store = NULL;
    int code = fed_store_open(&store, dir, TERMS, REST, err);
    ck_assert_ptr_null(store);
    return code;
}

static struct fed_store_state state_of(struct fed_store *store) {
    struct fed_store_state state;
    struct fed_error err = {""};
    int code = fed_store_state(&state, store, &err);
    ck_assert_msg(code == FED_OK, "%s", err.text);
    return state;
}

static const char *path_in(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static bool exists(const char *name) { return access(path_in(name), F_OK) == 0; }

static bool has_model(uint64_t round) {
    char name[64];
    snprintf(name, sizeof name, "model-%" PRIu64 ".safetensors", round);
    return exists(name);
}

static void put_file(const char *name, const char *text) {
    FILE *file = fopen(path_in(name), "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void patch_database(off_t at, uint32_t big_endian) {
    uint8_t bytes[4] = {(uint8_t)(big_endian >> 24), (uint8_t)(big_endian >> 16), (uint8_t)(big_endian >> 8),
                        (uint8_t)big_endian};
    int fd = open(path_in("run.db"), O_WRONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, bytes, 4, at), 4);
    close(fd);
}

static uint32_t database_word(off_t at) {
    uint8_t b[4];
    int fd = open(path_in("run.db"), O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, b, 4, at), 4);
    close(fd);
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

enum { USER_VERSION_AT = 60, APPLICATION_ID_AT = 68 };

/* Parameters that follow from the round, so that a model file can be judged from its name alone. */
enum { N_PARAMS = 300 };
static void params_of(float params[N_PARAMS], uint64_t round) {
    for (int i = 0; i < N_PARAMS; i++) {
        params[i] = (float)round + (float)i / 1024.0f;
    }
}

static int commit_updates(struct fed_store *store, uint64_t round, uint64_t keep_last,
                          const struct fed_store_update *updates, size_t n_updates, struct fed_error *err) {
    float params[N_PARAMS];
    params_of(params, round);
    struct fed_store_refusal refusals[] = {{"ward-7", "too_large", 2}, {"ward-9", "stale", 1}};
    struct fed_store_commit commit = {.round = round,
                                      .attempt = round == 0 ? 0 : 1,
                                      .header = "header--",
                                      .n_header = 8,
                                      .params = params,
                                      .n_params_bytes = sizeof params,
                                      .updates = updates,
                                      .n_updates = n_updates,
                                      .refusals = refusals,
                                      .n_refusals = round == 0 ? 0 : 2,
                                      .bytes_down = 1000 + round,
                                      .bytes_up = 2000 + round,
                                      .seconds = 1.5,
                                      .train_seconds = 1.25};
    fed_digest(commit.model_digest, params, sizeof params);
    return fed_store_commit(store, &commit, keep_last, err);
}

static int try_commit(struct fed_store *store, uint64_t round, uint64_t keep_last, struct fed_error *err) {
    const struct fed_store_update updates[] = {{"ward-7", 0, 7, 600, 0.5, 2.25},
                                               {"ward-8", 1, UINT64_MAX, 400, (double)NAN, (double)NAN}};
    return commit_updates(store, round, keep_last, updates, round == 0 ? 0 : 2, err);
}

static void commit(struct fed_store *store, uint64_t round, uint64_t keep_last) {
    struct fed_error err = {""};
    int code = try_commit(store, round, keep_last, &err);
    ck_assert_msg(code == FED_OK, "%s", err.text);
}

static void evaluate(struct fed_store *store, uint64_t round, double accuracy, bool target) {
    ck_assert_int_eq(fed_store_evaluation(store, round, 1.0 - accuracy, accuracy, target, NULL), FED_OK);
}

/* The last committed round has its model whole on disk. */
static void check_sound(struct fed_store *store) {
    struct fed_store_state state = state_of(store);
    ck_assert(state.has_model);
    float params[N_PARAMS];
    uint8_t digest[32], *bytes;
    char *path;
    size_t n;
    params_of(params, state.round);
    fed_digest(digest, params, sizeof params);
    ck_assert_mem_eq(state.model_digest, digest, sizeof digest);
    ck_assert_int_eq(fed_store_model_path(&path, store, state.round), FED_OK);
    ck_assert_int_eq(fed_file_read(&bytes, &n, path, 1 << 20, NULL), FED_OK);
    ck_assert_uint_eq(n, 8 + sizeof params);
    ck_assert_mem_eq(bytes, "header--", 8);
    ck_assert_mem_eq(bytes + 8, params, sizeof params);
    free(bytes);
    free(path);
    free(state.cohort);
}

/* Names in the run directory, sorted and joined: to see that nothing came or went. */
static void list_run(char *out, size_t n) {
    struct dirent **entries;
    int count = scandir(dir, &entries, NULL, alphasort);
    ck_assert_int_ge(count, 0);
    out[0] = '\0';
    for (int i = 0; i < count; i++) {
        size_t used = strlen(out);
        snprintf(out + used, n - used, "%s\n", entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

/* -- Opening -- */

START_TEST(new_run_is_private_ours_and_has_no_model) {
    struct stat st;
    struct fed_store *store = open_run();
    ck_assert(fed_store_is_new(store));
    struct fed_store_state state = state_of(store);
    ck_assert(!state.has_model && !state.finished);
    ck_assert_ptr_null(state.cohort);
    fed_store_close(store);
    ck_assert_int_eq(stat(dir, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0700);
    ck_assert_int_eq(stat(path_in("run.db"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_uint_eq(database_word(USER_VERSION_AT), FED_SCHEMA_VERSION);
    ck_assert_uint_eq(database_word(APPLICATION_ID_AT), 0x66656431);
}
END_TEST

START_TEST(run_keeps_its_id_and_task) {
    uint8_t id[16];
    struct fed_store *store = open_run();
    memcpy(id, fed_store_run_id(store), sizeof id);
    fed_store_close(store);
    store = open_run();
    ck_assert(!fed_store_is_new(store));
    ck_assert_mem_eq(fed_store_run_id(store), id, sizeof id);
    ck_assert_str_eq(fed_store_task_terms(store), TERMS);
    ck_assert_str_eq(fed_store_task_rest(store), REST);
    fed_store_close(store);
}
END_TEST

START_TEST(run_is_held_by_one_at_a_time) {
    struct fed_error err = {""};
    struct fed_store *store = open_run();
    ck_assert_int_eq(open_fails(&err), FED_ELOCKED);
    fed_store_close(store);
    fed_store_close(open_run());
}
END_TEST

START_TEST(another_task_is_refused_with_the_difference) {
    struct fed_error err = {""};
    struct fed_store *other = NULL;
    struct fed_store *store = open_run();
    commit(store, 0, 3);
    fed_store_close(store);
    ck_assert_int_eq(fed_store_open(&other, dir, "{\"algorithm\":{\"epochs\":5},\"name\":\"t\"}", "{}", &err),
                     FED_EMISMATCH);
    ck_assert_ptr_null(other);
    ck_assert_msg(strstr(err.text, "algorithm.epochs") != NULL, "%s", err.text);
    ck_assert_ptr_nonnull(strstr(err.text, dir));
    store = open_run();
    ck_assert_str_eq(fed_store_task_rest(store), REST); /* and the refused task left no trace */
    check_sound(store);
    fed_store_close(store);
}
END_TEST

START_TEST(what_may_change_is_recorded_when_it_does) {
    static const char *const count[] = {"SELECT count(*), max(task_rest) FROM task_changes"};
    static const char more[] = "{\"algorithm\":{\"rounds\":20}}";
    struct fed_store *store = open_run();
    fed_store_close(store);
    for (int i = 0; i < 2; i++) { /* the second time it is not a change */
        ck_assert_int_eq(fed_store_open(&store, dir, TERMS, more, NULL), FED_OK);
        ck_assert_str_eq(fed_store_task_rest(store), more);
        fed_store_close(store);
    }
    struct fed_sql *sql;
    ck_assert_int_eq(fed_sql_open_readonly(&sql, path_in("run.db"), count, 1, NULL), FED_OK);
    struct fed_query q = fed_sql_query(sql, 0);
    ck_assert(fed_query_row(&q));
    ck_assert_int_eq(fed_query_i64(&q, 0), 1);
    ck_assert_str_eq(fed_query_text(&q, 1), more);
    ck_assert_int_eq(fed_query_finish(&q, FED_OK, "", NULL), FED_OK);
    fed_sql_close(sql);
}
END_TEST

/* -- A round -- */

START_TEST(attempt_is_remembered_until_its_round_commits) {
    const uint64_t cohort[] = {3, 0, UINT64_MAX, (uint64_t)1 << 63};
    struct fed_store *store = open_run();
    commit(store, 0, 3);
    ck_assert_int_eq(fed_store_open_attempt(store, 1, 1, cohort, 1, NULL), FED_OK);
    ck_assert_int_eq(fed_store_open_attempt(store, 1, 2, cohort, 4, NULL), FED_OK);
    fed_store_close(store);
    store = open_run();
    struct fed_store_state state = state_of(store);
    ck_assert_uint_eq(state.attempt, 2);
    ck_assert_uint_eq(state.n_cohort, 4);
    ck_assert_mem_eq(state.cohort, cohort, sizeof cohort);
    free(state.cohort);
    commit(store, 1, 3);
    state = state_of(store);
    ck_assert_uint_eq(state.attempt, 0);
    ck_assert_uint_eq(state.n_cohort, 0);
    free(state.cohort);
    fed_store_close(store);
}
END_TEST

START_TEST(attempt_is_opened_once) {
    struct fed_store *store = open_run();
    ck_assert_int_eq(fed_store_open_attempt(store, 1, 1, NULL, 0, NULL), FED_OK);
    ck_assert_int_eq(fed_store_open_attempt(store, 1, 1, NULL, 0, NULL), FED_EFAILED);
    fed_store_close(store);
}
END_TEST

START_TEST(committed_model_is_on_disk_and_is_the_state) {
    struct fed_store *store = open_run();
    for (uint64_t round = 0; round < 3; round++) {
        commit(store, round, 3);
        check_sound(store);
    }
    fed_store_close(store);
    store = open_run();
    struct fed_store_state state = state_of(store);
    ck_assert_uint_eq(state.round, 2);
    ck_assert(!state.evaluated && isnan(state.accuracy) && isnan(state.loss));
    check_sound(store);
    evaluate(store, 2, 0.75, false);
    state = state_of(store);
    ck_assert(state.evaluated && state.accuracy == 0.75 && state.loss == 0.25);
    ck_assert_int_eq(fed_store_evaluation(store, 2, 0.5, (double)NAN, false, NULL), FED_OK); /* a model without classes */
    state = state_of(store);
    ck_assert(state.evaluated && isnan(state.accuracy) && state.loss == 0.5);
    fed_store_close(store);
}
END_TEST

START_TEST(client_cannot_count_twice_in_a_round) {
    const struct fed_store_update twice[] = {{"ward-7", 0, 7, 600, 0.5, 1}, {"ward-8", 0, 7, 600, 0.5, 1}};
    struct fed_error err = {""};
    struct fed_store *store = open_run();
    commit(store, 0, 3);
    ck_assert_int_eq(commit_updates(store, 1, 3, twice, 2, &err), FED_EFAILED);
    ck_assert_uint_eq(state_of(store).round, 0);
    commit(store, 1, 3);
    check_sound(store);
    fed_store_close(store);
}
END_TEST

struct rows {
    size_t n;
    struct fed_store_round last;
    uint64_t refused[2];
};

static void take_round(void *context, const struct fed_store_round *round) {
    struct rows *rows = context;
    ck_assert(rows->n == 0 || round->round == rows->last.round + 1);
    rows->last = *round;
    rows->n++;
}

static void take_refusal(void *context, const struct fed_store_refusal *refusal) {
    struct rows *rows = context;
    bool first = strcmp(refusal->node, "ward-7") == 0 && strcmp(refusal->reason, "too_large") == 0;
    ck_assert(first || (strcmp(refusal->node, "ward-9") == 0 && strcmp(refusal->reason, "stale") == 0));
    rows->refused[first ? 0 : 1] = refusal->count;
    rows->n++;
}

START_TEST(rows_tell_each_round_and_refusals_in_total) {
    struct fed_store *store = open_run();
    for (uint64_t round = 0; round <= 5; round++) {
        commit(store, round, 3);
    }
    evaluate(store, 5, 0.5, false);
    struct rows rows = {0};
    ck_assert_int_eq(fed_store_rounds(store, 0, take_round, &rows, NULL), FED_OK);
    ck_assert_uint_eq(rows.n, 6);
    ck_assert_uint_eq(rows.last.clients, 2);
    ck_assert_uint_eq(rows.last.weight, 1000);
    ck_assert_uint_eq(rows.last.bytes_down, 1005);
    ck_assert_uint_eq(rows.last.bytes_up, 2005);
    ck_assert_uint_eq(rows.last.attempt, 1);
    ck_assert(rows.last.accuracy == 0.5 && rows.last.seconds == 1.5 && rows.last.train_seconds == 1.25);
    ck_assert(llabs(rows.last.wall_ms - fed_clock_wall_ms()) < 3600 * 1000);
    rows = (struct rows){0};
    ck_assert_int_eq(fed_store_rounds(store, 4, take_round, &rows, NULL), FED_OK);
    ck_assert_uint_eq(rows.n, 2);
    rows = (struct rows){0};
    ck_assert_int_eq(fed_store_refusals(store, take_refusal, &rows, NULL), FED_OK);
    ck_assert_uint_eq(rows.n, 2);
    ck_assert_uint_eq(rows.refused[0], 10);
    ck_assert_uint_eq(rows.refused[1], 5);
    fed_store_close(store);
}
END_TEST

START_TEST(best_is_the_first_of_the_most_accurate) {
    uint64_t round = 99;
    double accuracy = -1;
    struct fed_store *store = open_run();
    ck_assert_int_eq(fed_store_best(&round, &accuracy, store, NULL), FED_ENOTFOUND);
    ck_assert_uint_eq(round, 99);
    evaluate(store, 0, 0.99, false); /* round 0 is nobody's merit */
    evaluate(store, 1, (double)NAN, false);
    ck_assert_int_eq(fed_store_best(&round, &accuracy, store, NULL), FED_ENOTFOUND);
    evaluate(store, 4, 0.8, false);
    evaluate(store, 3, 0.8, false);
    evaluate(store, 2, 0.7, false);
    ck_assert_int_eq(fed_store_best(&round, &accuracy, store, NULL), FED_OK);
    ck_assert_uint_eq(round, 3);
    ck_assert(accuracy == 0.8);
    fed_store_close(store);
}
END_TEST

START_TEST(without_accuracies_the_least_loss_is_the_best) {
    static const double losses[] = {0.1, 0.5, 0.25, (double)NAN, 0.25, (double)INFINITY};
    uint64_t round = 99;
    double accuracy = -1, loss = -1;
    struct fed_store *store = open_run();
    for (uint64_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        ck_assert_int_eq(fed_store_evaluation(store, i, losses[i], (double)NAN, false, NULL), FED_OK);
    }
    ck_assert_int_eq(fed_store_best(&round, &accuracy, store, NULL), FED_OK);
    ck_assert_uint_eq(round, 2);
    ck_assert(isnan(accuracy));
    ck_assert_int_eq(fed_store_last_evaluated(&round, &loss, &accuracy, store, NULL), FED_OK);
    ck_assert_uint_eq(round, 5);
    ck_assert(isnan(accuracy) && isinf(loss));
    fed_store_close(store);
}
END_TEST

START_TEST(target_is_the_first_round_that_reached_it) {
    struct fed_store *store = open_run();
    evaluate(store, 1, 0.1, false);
    ck_assert_uint_eq(state_of(store).target_round, 0);
    evaluate(store, 3, 0.9, true);
    evaluate(store, 2, 0.9, true);
    evaluate(store, 4, 0.9, true);
    ck_assert_uint_eq(state_of(store).target_round, 2);
    evaluate(store, 3, 0.9, false); /* another round's mark is not touched */
    ck_assert_uint_eq(state_of(store).target_round, 2);
    evaluate(store, 2, 0.9, false); /* judged anew: not reached after all */
    ck_assert_uint_eq(state_of(store).target_round, 0);
    fed_store_close(store);
}
END_TEST

START_TEST(finished_run_says_so_until_it_goes_on) {
    struct fed_store *store = open_run();
    commit(store, 0, 3);
    commit(store, 1, 3);
    ck_assert_int_eq(fed_store_finish(store, 1, NULL), FED_OK);
    fed_store_close(store);
    store = open_run();
    struct fed_store_state state = state_of(store);
    ck_assert(state.finished);
    ck_assert_uint_eq(state.result_round, 1);
    commit(store, 2, 3);
    ck_assert(!state_of(store).finished);
    fed_store_close(store);
}
END_TEST

/* -- Hygiene: norms, rollbacks, quarantines -- */

static void take_norm(void *context, const struct fed_store_norm *norm) {
    struct rows *rows = context;
    bool known = rows->n % 2 == 1; /* as try_commit has them; the client of the other is -1 to SQLite */
    ck_assert(known ? norm->norm == 2.25 && norm->weight == 600 : isnan(norm->norm) && norm->weight == 400);
    rows->last.round = norm->round;
    rows->n++;
}

static size_t count_norms(struct fed_store *store, uint64_t from) {
    struct rows rows = {0};
    ck_assert_int_eq(fed_store_norms(store, from, take_norm, &rows, NULL), FED_OK);
    return rows.n;
}

static int try_rules(struct fed_store *store, uint64_t round, double ceiling, double clip, uint64_t cap) {
    struct fed_store_commit commit = {
        .round = round, .attempt = 1, .header = "", .params = "", .norm_ceiling = ceiling, .clip = clip, .weight_cap = cap};
    return fed_store_commit(store, &commit, 3, NULL);
}

static int try_rollback(struct fed_store *store, uint64_t round, uint64_t to_round, uint64_t keep_last) {
    float params[N_PARAMS];
    params_of(params, to_round);
    struct fed_store_rollback rollback = {round, to_round, "exploded", 900.0, 2.5, 0};
    struct fed_store_commit commit = {.round = round,
                                      .header = "header--",
                                      .n_header = 8,
                                      .params = params,
                                      .n_params_bytes = sizeof params,
                                      .rollback = &rollback,
                                      .keep_good = true};
    fed_digest(commit.model_digest, params, sizeof params);
    return fed_store_commit(store, &commit, keep_last, NULL);
}

START_TEST(norms_are_those_of_committed_rounds) {
    struct fed_store *store = open_run();
    for (uint64_t round = 0; round <= 4; round++) {
        commit(store, round, 3);
    }
    ck_assert_uint_eq(count_norms(store, 0), 8);
    ck_assert_uint_eq(count_norms(store, 4), 2);
    ck_assert_uint_eq(count_norms(store, 5), 0);
    fed_store_close(store);
}
END_TEST

START_TEST(rules_of_a_round_are_kept_and_none_is_none) {
    struct rows rows = {0};
    struct fed_store *store = open_run();
    ck_assert_int_eq(try_rules(store, 0, 0, (double)NAN, 0), FED_OK);
    struct fed_store_state state = state_of(store);
    ck_assert(isnan(state.norm_ceiling) && isnan(state.clip) && state.weight_cap == 0);
    ck_assert_int_eq(try_rules(store, 1, 12.5, 0.75, 600), FED_OK);
    fed_store_close(store);
    store = open_run();
    state = state_of(store);
    ck_assert(state.norm_ceiling == 12.5 && state.clip == 0.75 && state.weight_cap == 600 && !state.rolled_back);
    ck_assert_int_eq(fed_store_rounds(store, 1, take_round, &rows, NULL), FED_OK);
    ck_assert(rows.last.norm_ceiling == 12.5 && rows.last.clip == 0.75 && rows.last.weight_cap == 600);
    fed_store_close(store);
}
END_TEST

static void take_rollback(void *context, const struct fed_store_rollback *rollback) {
    size_t *n = context;
    ck_assert_uint_eq(rollback->round, 4);
    ck_assert_uint_eq(rollback->to_round, 1);
    ck_assert_str_eq(rollback->reason, "exploded");
    ck_assert(rollback->loss == 900.0 && rollback->reference == 2.5);
    ck_assert(llabs(rollback->wall_ms - fed_clock_wall_ms()) < 3600 * 1000);
    (*n)++;
}

/* Rounds 2 and 3 fall: round 4 is round 1 again, in all that is judged from the store. */
START_TEST(rollback_is_a_round_with_the_model_and_evaluation_of_an_older_one) {
    size_t n = 0;
    uint64_t round = 99;
    double value = 0;
    struct fed_store *store = open_run();
    commit(store, 0, 3);
    commit(store, 1, 3);
    evaluate(store, 1, 0.5, false);
    commit(store, 2, 3);
    ck_assert_int_eq(try_rules(store, 3, 9, 9, 9), FED_OK);
    ck_assert_int_eq(fed_store_evaluation(store, 3, 900.0, 0.9, false, NULL), FED_OK); /* wrong, but sure of it */
    ck_assert_int_eq(try_rollback(store, 4, 1, 3), FED_OK);
    struct fed_store_state state = state_of(store);
    ck_assert(state.round == 4 && state.rolled_back && state.evaluated && state.accuracy == 0.5 && state.loss == 0.5);
    ck_assert(isnan(state.norm_ceiling) && isnan(state.clip) && state.weight_cap == 0);
    ck_assert_int_eq(fed_store_best(&round, &value, store, NULL), FED_OK);
    ck_assert(round == 1 && value == 0.5);
    ck_assert_uint_eq(count_norms(store, 0), 2); /* round 2 has no say in what follows */
    ck_assert_int_eq(fed_store_rollbacks(store, 0, take_rollback, &n, NULL), FED_OK);
    ck_assert_int_eq(fed_store_rollbacks(store, 5, take_rollback, &n, NULL), FED_OK);
    ck_assert_uint_eq(n, 1);
    fed_store_close(store);
}
END_TEST

START_TEST(rollback_that_fails_leaves_the_run_as_it_was) {
    struct fed_store *store = open_run();
    commit(store, 0, 3);
    commit(store, 1, 3);
    evaluate(store, 1, 0.5, false);
    ck_assert_int_eq(fed_store_evaluation(store, 2, 0.5, 0.5, false, NULL), FED_OK); /* the copy will find its place taken */
    ck_assert_int_eq(try_rollback(store, 2, 1, 3), FED_EFAILED);
    struct fed_store_state state = state_of(store);
    ck_assert(state.round == 1 && !state.rolled_back);
    size_t n = 0;
    ck_assert_int_eq(fed_store_rollbacks(store, 0, take_rollback, &n, NULL), FED_OK);
    ck_assert_uint_eq(n, 0);
    check_sound(store);
    fed_store_close(store);
}
END_TEST

static double reference(struct fed_store *store, uint64_t before, uint64_t window) {
    double loss = -1;
    ck_assert_int_eq(fed_store_reference(&loss, store, before, window, NULL), FED_OK);
    return loss;
}

START_TEST(reference_is_the_first_loss_and_the_recent_ones_that_stand) {
    static const double losses[] = {99, 2.0, 1.0, 3.0, 0.5, 0.25, (double)NAN, (double)INFINITY, 0.125};
    struct fed_store *store = open_run();
    for (uint64_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        commit(store, i, 3);
        ck_assert_int_eq(fed_store_evaluation(store, i, losses[i], (double)NAN, false, NULL), FED_OK);
    }
    ck_assert(isnan(reference(store, 1, 8)));
    ck_assert(reference(store, 2, 8) == 2.0);
    ck_assert(reference(store, 9, 8) == 3.0);
    ck_assert(reference(store, 9, 2) == 2.0); /* the first is always asked */
    ck_assert(reference(store, 4, 1) == 3.0);
    uint64_t good = 99;
    ck_assert_int_eq(fed_store_last_good(&good, store, 8, NULL), FED_OK);
    ck_assert_uint_eq(good, 5);
    ck_assert_int_eq(fed_store_last_good(&good, store, 9, NULL), FED_OK);
    ck_assert_uint_eq(good, 8);
    ck_assert_int_eq(try_rollback(store, 9, 2, 3), FED_OK);
    ck_assert(reference(store, 10, 8) == 2.0); /* 3.0 fell; 2.0, 1.0 and the copy of 1.0 stand */
    ck_assert_int_eq(fed_store_last_good(&good, store, 9, NULL), FED_OK);
    ck_assert_uint_eq(good, 2);
    fed_store_close(store);
}
END_TEST

/* Evaluated every few rounds: what a rollback would return to is older than what keep_last keeps. */
START_TEST(model_that_a_rollback_would_return_to_stays) {
    struct fed_store *store = open_run();
    float params[N_PARAMS] = {0};
    for (uint64_t round = 0; round <= 9; round++) {
        struct fed_store_commit commit = {.round = round,
                                          .attempt = 1,
                                          .header = "",
                                          .params = params,
                                          .n_params_bytes = sizeof params,
                                          .keep_good = true};
        ck_assert_int_eq(fed_store_commit(store, &commit, 2, NULL), FED_OK);
        ck_assert(has_model(0) == (round <= 3)); /* the initial model is the last good one until another is known */
        if (round == 3 || round == 4) {          /* and 4 is better, so 3 is kept for nothing else */
            evaluate(store, round, 0.1 * (double)round, false);
        }
    }
    ck_assert(has_model(4) && !has_model(3) && !has_model(7) && has_model(8) && has_model(9));
    fed_store_close(store);
}
END_TEST

static void take_quarantine(void *context, const struct fed_store_quarantine *quarantine) {
    int64_t *sum = context;
    ck_assert_str_eq(quarantine->reason, "norm");
    ck_assert_uint_eq(quarantine->refusals, 3);
    ck_assert_str_eq(quarantine->node, quarantine->until_ms == 5000 ? "ward-8" : "ward-7");
    *sum += quarantine->since_ms;
}

START_TEST(quarantines_are_on_record) {
    static const struct fed_store_quarantine rows[] = {
        {"ward-7", 100, 700, "norm", 3}, {"ward-8", 3000, 5000, "norm", 3}, {"ward-7", 2000, 3200, "norm", 3}};
    int64_t sum = 0;
    struct fed_store *store = open_run();
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(fed_store_quarantine(store, &rows[i], NULL), FED_OK);
    }
    fed_store_close(store);
    store = open_run();
    ck_assert_int_eq(fed_store_quarantines(store, 0, take_quarantine, &sum, NULL), FED_OK);
    ck_assert_int_eq(sum, 5100);
    sum = 0;
    ck_assert_int_eq(fed_store_quarantines(store, 3200, take_quarantine, &sum, NULL), FED_OK);
    ck_assert_int_eq(sum, 3000);
    fed_store_close(store);
}
END_TEST

/* -- A run of an older version -- */

/* run.db as fedavg 0.1 made it: the text of its schema, and what two rounds had left. */
static const char OLD_RUN[] =
    "PRAGMA application_id = 1717920817; PRAGMA user_version = 1;"
    "CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 1), run_id BLOB NOT NULL CHECK (length(run_id) = 16),"
    " task_terms TEXT NOT NULL, task_rest TEXT NOT NULL, created_ms INTEGER NOT NULL, result_round INTEGER,"
    " target_round INTEGER) STRICT;"
    "CREATE TABLE attempts (round INTEGER, attempt INTEGER, cohort BLOB NOT NULL CHECK (length(cohort) % 8 = 0),"
    " opened_ms INTEGER NOT NULL, PRIMARY KEY (round, attempt)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE rounds (round INTEGER PRIMARY KEY, attempt INTEGER NOT NULL,"
    " model BLOB NOT NULL CHECK (length(model) = 32), clients INTEGER NOT NULL, weight INTEGER NOT NULL,"
    " bytes_down INTEGER NOT NULL, bytes_up INTEGER NOT NULL, seconds REAL, train_seconds REAL,"
    " committed_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE updates (round INTEGER, client INTEGER, node TEXT NOT NULL, part INTEGER NOT NULL,"
    " weight INTEGER NOT NULL, loss REAL, PRIMARY KEY (round, client)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE evaluations (round INTEGER PRIMARY KEY, loss REAL, accuracy REAL) STRICT;"
    "CREATE INDEX evaluations_by_accuracy ON evaluations (accuracy);"
    "CREATE TABLE refusals (round INTEGER, node TEXT, reason TEXT, count INTEGER NOT NULL,"
    " PRIMARY KEY (round, node, reason)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE task_changes (wall_ms INTEGER NOT NULL, task_rest TEXT NOT NULL) STRICT;"
    "INSERT INTO meta VALUES (1, x'000102030405060708090a0b0c0d0e0f', '{\"algorithm\":{\"epochs\":1},\"name\":\"t\"}',"
    " '{\"algorithm\":{\"rounds\":10}}', 1700000000000, NULL, NULL);"
    "INSERT INTO rounds VALUES (0, 0, zeroblob(32), 0, 0, 0, 0, 0.0, 0.0, 1700000000000),"
    " (1, 1, zeroblob(32), 1, 600, 10, 20, 1.5, 1.25, 1700000001000);"
    "INSERT INTO updates VALUES (1, 7, 'ward-7', 0, 600, 0.5);"
    "INSERT INTO evaluations VALUES (1, 0.5, 0.75);"
    "INSERT INTO attempts VALUES (2, 1, x'0300000000000000', 1700000002000);";

static void make_old_run(void) {
    struct fed_sql *sql;
    ck_assert_int_eq(fed_file_make_dirs(dir, NULL), FED_OK);
    ck_assert_int_eq(fed_sql_open(&sql, path_in("run.db"), NULL, 0, NULL), FED_OK);
    ck_assert_int_eq(fed_sql_make_durable(sql, NULL), FED_OK);
    ck_assert_int_eq(fed_sql_run(sql, OLD_RUN, "make an old run", NULL), FED_OK);
    fed_sql_close(sql);
    put_file("model-1.safetensors", "the model of round 1");
}

/* What the two rounds had left, whatever the version of the file. */
static void check_old_run(struct fed_store *store) {
    struct rows rows = {0};
    struct fed_store_state state = state_of(store);
    ck_assert(state.round == 1 && state.attempt == 1 && state.n_cohort == 1 && state.cohort[0] == 3);
    ck_assert(state.evaluated && state.accuracy == 0.75 && !state.rolled_back);
    ck_assert(isnan(state.norm_ceiling) && isnan(state.clip) && state.weight_cap == 0);
    free(state.cohort);
    ck_assert_int_eq(fed_store_rounds(store, 0, take_round, &rows, NULL), FED_OK);
    ck_assert(rows.n == 2 && rows.last.weight == 600 && isnan(rows.last.clip) && rows.last.wall_ms == 1700000001000);
    ck_assert(reference(store, 2, 8) == 0.5);
    size_t n = 0;
    ck_assert_int_eq(fed_store_rollbacks(store, 0, take_rollback, &n, NULL), FED_OK);
    ck_assert_int_eq(fed_store_quarantines(store, 0, take_quarantine, &(int64_t){0}, NULL), FED_OK);
    ck_assert_uint_eq(n, 0);
}

static void take_old_norm(void *context, const struct fed_store_norm *norm) {
    ck_assert(norm->round == 1 && isnan(norm->norm) && norm->weight == 600);
    (*(size_t *)context)++;
}

static void describe_schema(char *out, size_t n) {
    static const char *const text[] = {"SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_schema ORDER BY name)"};
    struct fed_sql *sql;
    ck_assert_int_eq(fed_sql_open_readonly(&sql, path_in("run.db"), text, 1, NULL), FED_OK);
    struct fed_query q = fed_sql_query(sql, 0);
    ck_assert(fed_query_row(&q));
    snprintf(out, n, "%s", fed_query_text(&q, 0));
    ck_assert_int_eq(fed_query_finish(&q, FED_OK, "", NULL), FED_OK);
    fed_sql_close(sql);
}

START_TEST(old_run_goes_on_and_a_copy_of_it_stays) {
    struct stat st;
    char migrated[8192], fresh[8192];
    size_t n = 0;
    make_old_run();
    struct fed_store *store = open_run();
    ck_assert(!fed_store_is_new(store));
    check_old_run(store);
    ck_assert_int_eq(fed_store_norms(store, 0, take_old_norm, &n, NULL), FED_OK);
    ck_assert_uint_eq(n, 1);
    commit(store, 2, 3);
    check_sound(store);
    fed_store_close(store);
    ck_assert_uint_eq(database_word(USER_VERSION_AT), FED_SCHEMA_VERSION);
    describe_schema(migrated, sizeof migrated);
    ck_assert(exists("run.db.v1") && !exists("run.db.v1.tmp"));
    ck_assert_int_eq(stat(path_in("run.db.v1"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);

    char names[256]; /* the copy is the old run, whole */
    snprintf(names, sizeof names, "%s", path_in("run.db.v1"));
    ck_assert_int_eq(rename(names, path_in("run.db")), 0);
    ck_assert_uint_eq(database_word(USER_VERSION_AT), 1);
    store = open_run();
    check_old_run(store);
    fed_store_close(store);

    remove_tree(dir);
    fed_store_close(open_run());
    describe_schema(fresh, sizeof fresh);
    ck_assert_str_eq(migrated, fresh);
}
END_TEST

START_TEST(old_run_is_read_as_it_is) {
    char before[4096], after[4096];
    struct fed_store *store;
    size_t n = 0;
    make_old_run();
    list_run(before, sizeof before);
    ck_assert_int_eq(fed_store_open_readonly(&store, dir, NULL), FED_OK);
    check_old_run(store);
    ck_assert_int_eq(fed_store_norms(store, 0, take_old_norm, &n, NULL), FED_OK);
    ck_assert_uint_eq(n, 1);
    fed_store_close(store);
    list_run(after, sizeof after);
    ck_assert_str_eq(before, after);
    ck_assert_uint_eq(database_word(USER_VERSION_AT), 1);
}
END_TEST

/* What version 2 had more. */
static const char SECOND_RUN[] =
    "ALTER TABLE updates ADD COLUMN norm REAL;"
    "ALTER TABLE rounds ADD COLUMN norm_ceiling REAL;"
    "ALTER TABLE rounds ADD COLUMN clip REAL;"
    "ALTER TABLE rounds ADD COLUMN weight_cap INTEGER;"
    "CREATE TABLE rollbacks (round INTEGER PRIMARY KEY, to_round INTEGER NOT NULL, reason TEXT NOT NULL,"
    " loss REAL, reference REAL, wall_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE quarantines (node TEXT, since_ms INTEGER, until_ms INTEGER NOT NULL, reason TEXT NOT NULL,"
    " refusals INTEGER NOT NULL, PRIMARY KEY (node, since_ms)) STRICT, WITHOUT ROWID;"
    "PRAGMA user_version = 2;";

static void count_build(void *context, const struct fed_store_build *build) {
    (void)build;
    (*(size_t *)context)++;
}

START_TEST(run_of_the_second_version_is_read_as_it_is_and_goes_on) {
    struct fed_sql *sql;
    struct fed_store *store;
    size_t n = 0;
    make_old_run();
    ck_assert_int_eq(fed_sql_open(&sql, path_in("run.db"), NULL, 0, NULL), FED_OK);
    ck_assert_int_eq(fed_sql_run(sql, SECOND_RUN, "make it the second", NULL), FED_OK);
    fed_sql_close(sql);
    ck_assert_int_eq(fed_store_open_readonly(&store, dir, NULL), FED_OK);
    check_old_run(store);
    ck_assert_int_eq(fed_store_builds(store, count_build, &n, NULL), FED_OK);
    fed_store_close(store);
    ck_assert_uint_eq(database_word(USER_VERSION_AT), 2);
    store = open_run();
    check_old_run(store);
    ck_assert_int_eq(fed_store_builds(store, count_build, &n, NULL), FED_OK);
    ck_assert_uint_eq(n, 0);
    fed_store_close(store);
    ck_assert_uint_eq(database_word(USER_VERSION_AT), FED_SCHEMA_VERSION);
    ck_assert(exists("run.db.v2") && !exists("run.db.v1"));
}
END_TEST

/* -- What computed it -- */

struct builds {
    struct fed_store_build row[4];
    size_t n;
};
static void take_build(void *context, const struct fed_store_build *build) {
    struct builds *builds = context;
    ck_assert_uint_lt(builds->n, 4);
    builds->row[builds->n++] = *build;
}

START_TEST(builds_are_recorded_when_they_change) {
    static const struct fed_store_build starts[] = {{0, 0, "0.1.0", "avx512", "x86_64"},
                                                    {3, 0, "0.1.0", "avx512", "x86_64"},
                                                    {5, 0, "0.2.0", "avx512", "x86_64"},
                                                    {7, 0, "0.2.0", "avx2", "x86_64"},
                                                    {9, 0, "0.2.0", "avx2", "another"}};
    struct builds found = {.n = 0};
    struct fed_store *store = open_run();
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        ck_assert_int_eq(fed_store_record_build(store, &starts[i], NULL), FED_OK);
    }
    fed_store_close(store);
    ck_assert_int_eq(fed_store_open_readonly(&store, dir, NULL), FED_OK);
    ck_assert_int_eq(fed_store_builds(store, take_build, &found, NULL), FED_OK);
    fed_store_close(store);
    static const size_t kept[] = {0, 2, 3, 4};
    ck_assert_uint_eq(found.n, 4);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(found.row[i].round, starts[kept[i]].round);
        ck_assert_str_eq(found.row[i].fedavg, starts[kept[i]].fedavg);
        ck_assert_str_eq(found.row[i].kernels, starts[kept[i]].kernels);
        ck_assert_str_eq(found.row[i].cpu, starts[kept[i]].cpu);
        ck_assert(found.row[i].since_ms > 0);
    }
}
END_TEST

START_TEST(old_run_of_another_task_is_left_alone) {
    struct fed_error err = {""};
    struct fed_store *store = NULL;
    make_old_run();
    ck_assert_int_eq(fed_store_open(&store, dir, "{\"name\":\"other\"}", REST, &err), FED_EMISMATCH);
    ck_assert_uint_eq(database_word(USER_VERSION_AT), 1);
    ck_assert(!exists("run.db.v1"));
}
END_TEST

/* -- Which model files stay -- */

START_TEST(last_models_best_and_target_stay) {
    struct fed_store *store = open_run();
    for (uint64_t round = 0; round <= 9; round++) {
        commit(store, round, 3);
        if (round > 0) {
            evaluate(store, round, round == 4 ? 0.9 : 0.5, round == 2);
        }
    }
    for (uint64_t round = 0; round <= 9; round++) {
        ck_assert_msg(has_model(round) == (round >= 7 || round == 4 || round == 2), "round %" PRIu64, round);
    }
    check_sound(store);
    fed_store_close(store);
}
END_TEST

START_TEST(evaluation_that_comes_one_round_late_finds_its_model) {
    struct fed_store *store = open_run();
    commit(store, 0, 1);
    commit(store, 1, 1);
    commit(store, 2, 1);
    evaluate(store, 1, 0.9, false);
    commit(store, 3, 1);
    commit(store, 4, 1);
    ck_assert(has_model(1) && !has_model(2) && has_model(3) && has_model(4));
    fed_store_close(store);
}
END_TEST

START_TEST(files_of_others_stay) {
    static const char *const others[] = {"model-007.safetensors",
                                         "model-1.safetensors.bak",
                                         "model-.safetensors",
                                         "model-+1.safetensors",
                                         "model--1.safetensors",
                                         "model- 1.safetensors",
                                         "my-model-1.safetensors",
                                         "model-1.safetensors~",
                                         "model-1",
                                         "model-99999999999999999999.safetensors",
                                         "notes.tmp"};
    fed_store_close(open_run());
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        put_file(others[i], "mine");
    }
    struct fed_store *store = open_run();
    for (uint64_t round = 0; round <= 5; round++) {
        commit(store, round, 1);
    }
    fed_store_close(store);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        ck_assert_msg(exists(others[i]), "%s", others[i]);
    }
}
END_TEST

START_TEST(what_a_crash_left_is_swept) {
    struct fed_store *store = open_run();
    commit(store, 0, 3);
    commit(store, 1, 3);
    fed_store_close(store);
    put_file("model-2.safetensors", "committed in no row");
    put_file("model-1.safetensors.tmp.4711", "cut off");
    store = open_run();
    ck_assert(has_model(1) && !has_model(2) && !exists("model-1.safetensors.tmp.4711"));
    check_sound(store);
    fed_store_close(store);
}
END_TEST

START_TEST(initial_model_without_a_row_is_swept) {
    fed_store_close(open_run());
    put_file("model-0.safetensors", "committed in no row");
    fed_store_close(open_run());
    ck_assert(!has_model(0));
}
END_TEST

/* -- Damage -- */

START_TEST(missing_model_is_named) {
    struct fed_error err = {""};
    struct fed_store_state state = {.round = 99};
    struct fed_store *store = open_run();
    commit(store, 0, 3);
    ck_assert_int_eq(unlink(path_in("model-0.safetensors")), 0);
    ck_assert_int_eq(fed_store_state(&state, store, &err), FED_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "model-0.safetensors"));
    ck_assert_uint_eq(state.round, 99);
    fed_store_close(store);
}
END_TEST

START_TEST(models_without_their_database_are_not_taken_over) {
    struct fed_error err = {""};
    struct fed_store *store = open_run();
    commit(store, 0, 3);
    fed_store_close(store);
    ck_assert_int_eq(unlink(path_in("run.db")), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(open_fails(&err), FED_EDATA);
        ck_assert_ptr_nonnull(strstr(err.text, "no run.db"));
    }
    ck_assert(has_model(0));
}
END_TEST

START_TEST(empty_database_is_a_new_run) {
    fed_store_close(open_run());
    ck_assert_int_eq(truncate(path_in("run.db"), 0), 0);
    struct fed_store *store = open_run();
    ck_assert(fed_store_is_new(store));
    fed_store_close(store);
}
END_TEST

START_TEST(newer_version_is_refused_and_left_alone) {
    struct fed_error err = {""};
    struct fed_store *store = NULL;
    fed_store_close(open_run());
    patch_database(USER_VERSION_AT, FED_SCHEMA_VERSION + 1);
    ck_assert_int_eq(open_fails(&err), FED_EMISMATCH);
    ck_assert_ptr_nonnull(strstr(err.text, "newer fedavg"));
    ck_assert_int_eq(fed_store_open_readonly(&store, dir, &err), FED_EMISMATCH);
    ck_assert_uint_eq(database_word(USER_VERSION_AT), FED_SCHEMA_VERSION + 1);
}
END_TEST

START_TEST(foreign_database_is_refused) {
    static const uint32_t ids[] = {0, 0x66656432, 0x0f055112};
    struct fed_error err = {""};
    fed_store_close(open_run());
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        patch_database(APPLICATION_ID_AT, ids[i]);
        ck_assert_int_eq(open_fails(&err), FED_EMISMATCH);
        ck_assert_ptr_nonnull(strstr(err.text, "not made by fedavg"));
    }
}
END_TEST

START_TEST(garbage_is_damage_that_names_the_file) {
    struct fed_error err = {""};
    fed_store_close(open_run());
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    put_file("run.db", text);
    ck_assert_int_eq(open_fails(&err), FED_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "run.db is damaged"));
}
END_TEST

START_TEST(truncated_database_is_damage) {
    struct stat st;
    struct fed_error err = {""};
    struct fed_store *store = open_run();
    for (uint64_t round = 0; round <= 5; round++) {
        commit(store, round, 3);
    }
    fed_store_close(store);
    ck_assert_int_eq(stat(path_in("run.db"), &st), 0);
    ck_assert_int_ge(st.st_size, 3 * 4096);
    ck_assert_int_eq(truncate(path_in("run.db"), st.st_size - 2 * 4096), 0);
    ck_assert_int_eq(open_fails(&err), FED_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "damaged"));
    ck_assert(has_model(5));
}
END_TEST

START_TEST(overwritten_page_is_damage) {
    char noise[4096];
    struct fed_error err = {""};
    struct fed_store *store = open_run();
    commit(store, 0, 3);
    fed_store_close(store);
    memset(noise, 0x5a, sizeof noise);
    int fd = open(path_in("run.db"), O_WRONLY);
    ck_assert_int_eq(pwrite(fd, noise, sizeof noise, 4096), sizeof noise);
    close(fd);
    ck_assert_int_eq(open_fails(&err), FED_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "damaged"));
}
END_TEST

/* -- A disk that refuses -- */

/* Files may not grow beyond n bytes from here on. */
static void limit_files(rlim_t n) {
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN); /* so that write answers EFBIG */
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = n == RLIM_INFINITY ? limit.rlim_max : n;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(model_that_cannot_be_written_leaves_the_run_as_it_was) {
    struct fed_error err = {""};
    struct fed_store *store = open_run();
    commit(store, 0, 3);
    limit_files(100);
    ck_assert_int_eq(try_commit(store, 1, 3, &err), FED_EIO);
    ck_assert_msg(strstr(err.text, "model-1.safetensors") != NULL, "%s", err.text);
    limit_files(RLIM_INFINITY);
    ck_assert_uint_eq(state_of(store).round, 0);
    check_sound(store);
    commit(store, 1, 3);
    check_sound(store);
    fed_store_close(store);
}
END_TEST

START_TEST(row_that_cannot_be_written_leaves_the_run_as_it_was) {
    struct stat st;
    struct fed_error err = {""};
    const uint64_t cohort[] = {1, 2, 3};
    struct fed_store *store = open_run();
    commit(store, 0, 3);
    ck_assert_int_eq(stat(path_in("run.db-wal"), &st), 0);
    ck_assert_int_gt(st.st_size, 8 + 4 * N_PARAMS); /* so that the model file itself fits */
    limit_files((rlim_t)st.st_size);
    ck_assert_int_eq(fed_store_open_attempt(store, 1, 1, cohort, 3, &err), FED_EIO);
    ck_assert_msg(strstr(err.text, "run.db") != NULL, "%s", err.text);
    ck_assert_int_eq(try_commit(store, 1, 3, &err), FED_EIO);
    ck_assert_msg(strstr(err.text, "run.db") != NULL, "%s", err.text);
    ck_assert_int_eq(fed_store_evaluation(store, 0, 1, 0.5, false, &err), FED_EIO);
    ck_assert_int_eq(fed_store_finish(store, 0, &err), FED_EIO);
    limit_files(RLIM_INFINITY);
    struct fed_store_state state = state_of(store);
    ck_assert(state.round == 0 && state.attempt == 0 && isnan(state.accuracy) && !state.finished);
    check_sound(store);
    ck_assert_int_eq(fed_store_open_attempt(store, 1, 1, cohort, 3, NULL), FED_OK);
    commit(store, 1, 3);
    check_sound(store);
    fed_store_close(store);
}
END_TEST

START_TEST(old_run_that_cannot_be_copied_stays_old) {
    struct fed_error err = {""};
    make_old_run();
    put_file("run.db.v1.tmp", "cut off");
    limit_files(36000); /* enough to read it (run.db-shm has 32768), not for another one (nine pages) */
    ck_assert_int_eq(open_fails(&err), FED_EIO);
    ck_assert_msg(strstr(err.text, "keep a copy of it") != NULL, "%s", err.text);
    ck_assert(!exists("run.db.v1") && !exists("run.db.v1.tmp"));
    limit_files(RLIM_INFINITY);
    ck_assert_uint_eq(database_word(USER_VERSION_AT), 1);
    struct fed_store *store = open_run();
    check_old_run(store);
    fed_store_close(store);
    ck_assert(exists("run.db.v1"));
}
END_TEST

START_TEST(run_that_cannot_be_created_can_be_later) {
    struct fed_error err = {""};
    limit_files(10000);
    ck_assert_int_eq(open_fails(&err), FED_EIO);
    limit_files(RLIM_INFINITY);
    struct fed_store *store = open_run();
    ck_assert(fed_store_is_new(store));
    fed_store_close(store);
}
END_TEST

/* -- A coordinator that is killed -- */

/* Runs rounds for ever, saying which one is committed. */
static void run_rounds(int report) {
    struct fed_store *store;
    struct fed_store_state state;
    if (fed_store_open(&store, dir, TERMS, REST, NULL) != FED_OK || fed_store_state(&state, store, NULL) != FED_OK) {
        _exit(1);
    }
    uint64_t round = state.has_model ? state.round + 1 : 0;
    uint32_t attempt = state.attempt + 1;
    for (;; round++, attempt = 1) {
        if (fed_store_open_attempt(store, round, attempt, &round, 1, NULL) != FED_OK ||
            try_commit(store, round, 1, NULL) != FED_OK || write(report, &round, sizeof round) != sizeof round) {
            _exit(1);
        }
    }
}

static void spin_us(uint64_t us) {
    for (uint64_t end = fed_clock_us() + us; fed_clock_us() < end;) {
    }
}

START_TEST(killed_at_any_moment_the_run_stands_at_a_committed_round) {
    uint64_t reached = 0;
    for (unsigned kill_number = 0; kill_number < 40; kill_number++) {
        int ends[2];
        ck_assert_int_eq(pipe(ends), 0);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            close(ends[0]);
            run_rounds(ends[1]);
        }
        close(ends[1]);
        for (unsigned i = 0; i <= kill_number % 3; i++) {
            ck_assert_msg(read(ends[0], &reached, sizeof reached) == sizeof reached, "the child failed");
        }
        spin_us(kill_number * 97 % 40 * 100); /* somewhere within the next round */
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFSIGNALED(status));
        while (read(ends[0], &reached, sizeof reached) == sizeof reached) {
        }
        close(ends[0]);

        struct fed_store *store = open_run();
        struct fed_store_state state = state_of(store);
        ck_assert_uint_ge(state.round, reached);
        ck_assert(!has_model(state.round + 1));
        free(state.cohort);
        check_sound(store);
        fed_store_close(store);
        char names[4096];
        list_run(names, sizeof names);
        ck_assert_msg(strstr(names, ".tmp") == NULL, "%s", names);
    }
    ck_assert_uint_ge(reached, 40);
}
END_TEST

/* Killed by the file limit wherever it first does not suffice: while the copy is written. What follows the copy is one
 * transaction. */
START_TEST(killed_in_the_middle_of_its_migration_the_old_run_opens) {
    unsigned cut_off = 0;
    for (rlim_t limit = 33000; limit <= 38000; limit += 500) {
        make_old_run();
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            struct fed_store *store;
            limit_files(limit);
            signal(SIGXFSZ, SIG_DFL);
            _exit(fed_store_open(&store, dir, TERMS, REST, NULL) == FED_OK ? 0 : 1);
        }
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        cut_off += WIFSIGNALED(status);
        struct fed_store *store = open_run();
        check_old_run(store);
        fed_store_close(store);
        ck_assert_uint_eq(database_word(USER_VERSION_AT), FED_SCHEMA_VERSION);
        ck_assert(exists("run.db.v1") && !exists("run.db.v1.tmp"));
        remove_tree(dir);
    }
    ck_assert_uint_ge(cut_off, 5);
}
END_TEST

/* -- Reading -- */

START_TEST(reading_a_run_at_rest_changes_nothing) {
    char before[4096], after[4096];
    struct fed_store *store = open_run();
    commit(store, 0, 3);
    commit(store, 1, 3);
    fed_store_close(store);
    put_file("model-7.safetensors", "for the owner to sweep, not for the reader");
    list_run(before, sizeof before);
    ck_assert_int_eq(fed_store_open_readonly(&store, dir, NULL), FED_OK);
    ck_assert_uint_eq(state_of(store).round, 1);
    list_run(after, sizeof after);
    ck_assert_str_eq(before, after);
    fed_store_close(store);
    list_run(after, sizeof after);
    ck_assert_str_eq(before, after);
}
END_TEST

START_TEST(live_run_is_read_while_it_goes_on) {
    struct fed_store *reader, *store = open_run();
    commit(store, 0, 3);
    for (uint64_t round = 1; round <= 3; round++) {
        commit(store, round, 3);
        ck_assert_int_eq(fed_store_open_readonly(&reader, dir, NULL), FED_OK);
        ck_assert_uint_eq(state_of(reader).round, round);
        ck_assert_str_eq(fed_store_task_terms(reader), TERMS);
        fed_store_close(reader);
    }
    commit(store, 4, 3);
    fed_store_close(store);
    check_sound(store = open_run());
    fed_store_close(store);
}
END_TEST

START_TEST(reader_cannot_write) {
    struct fed_store *store = open_run();
    commit(store, 0, 3);
    fed_store_close(store);
    ck_assert_int_eq(fed_store_open_readonly(&store, dir, NULL), FED_OK);
    ck_assert_int_eq(fed_store_finish(store, 0, NULL), FED_EIO);
    fed_store_close(store);
}
END_TEST

START_TEST(missing_run_is_not_found) {
    struct fed_error err = {""};
    struct fed_store *store = NULL;
    ck_assert_int_eq(fed_store_open_readonly(&store, dir, &err), FED_ENOTFOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "no run in"));
    ck_assert_int_ne(access(dir, F_OK), 0);
    ck_assert_ptr_null(store);
}
END_TEST

int main(void) {
    TCase *core = tcase_create("core");
    tcase_add_checked_fixture(core, make_root, remove_root);
    tcase_add_test(core, new_run_is_private_ours_and_has_no_model);
    tcase_add_test(core, run_keeps_its_id_and_task);
    tcase_add_test(core, run_is_held_by_one_at_a_time);
    tcase_add_test(core, another_task_is_refused_with_the_difference);
    tcase_add_test(core, what_may_change_is_recorded_when_it_does);
    tcase_add_test(core, attempt_is_remembered_until_its_round_commits);
    tcase_add_test(core, attempt_is_opened_once);
    tcase_add_test(core, committed_model_is_on_disk_and_is_the_state);
    tcase_add_test(core, client_cannot_count_twice_in_a_round);
    tcase_add_test(core, rows_tell_each_round_and_refusals_in_total);
    tcase_add_test(core, best_is_the_first_of_the_most_accurate);
    tcase_add_test(core, without_accuracies_the_least_loss_is_the_best);
    tcase_add_test(core, target_is_the_first_round_that_reached_it);
    tcase_add_test(core, finished_run_says_so_until_it_goes_on);
    tcase_add_test(core, norms_are_those_of_committed_rounds);
    tcase_add_test(core, rules_of_a_round_are_kept_and_none_is_none);
    tcase_add_test(core, rollback_is_a_round_with_the_model_and_evaluation_of_an_older_one);
    tcase_add_test(core, rollback_that_fails_leaves_the_run_as_it_was);
    tcase_add_test(core, reference_is_the_first_loss_and_the_recent_ones_that_stand);
    tcase_add_test(core, model_that_a_rollback_would_return_to_stays);
    tcase_add_test(core, quarantines_are_on_record);
    tcase_add_test(core, old_run_goes_on_and_a_copy_of_it_stays);
    tcase_add_test(core, old_run_is_read_as_it_is);
    tcase_add_test(core, run_of_the_second_version_is_read_as_it_is_and_goes_on);
    tcase_add_test(core, builds_are_recorded_when_they_change);
    tcase_add_test(core, old_run_of_another_task_is_left_alone);
    tcase_add_test(core, last_models_best_and_target_stay);
    tcase_add_test(core, evaluation_that_comes_one_round_late_finds_its_model);
    tcase_add_test(core, files_of_others_stay);
    tcase_add_test(core, what_a_crash_left_is_swept);
    tcase_add_test(core, initial_model_without_a_row_is_swept);
    TCase *faults = tcase_create("faults");
    tcase_add_checked_fixture(faults, make_root, remove_root);
    tcase_add_test(faults, missing_model_is_named);
    tcase_add_test(faults, models_without_their_database_are_not_taken_over);
    tcase_add_test(faults, empty_database_is_a_new_run);
    tcase_add_test(faults, newer_version_is_refused_and_left_alone);
    tcase_add_test(faults, foreign_database_is_refused);
    tcase_add_test(faults, garbage_is_damage_that_names_the_file);
    tcase_add_test(faults, truncated_database_is_damage);
    tcase_add_test(faults, overwritten_page_is_damage);
    tcase_add_test(faults, model_that_cannot_be_written_leaves_the_run_as_it_was);
    tcase_add_test(faults, row_that_cannot_be_written_leaves_the_run_as_it_was);
    tcase_add_test(faults, old_run_that_cannot_be_copied_stays_old);
    tcase_add_test(faults, run_that_cannot_be_created_can_be_later);
    tcase_add_test(faults, killed_at_any_moment_the_run_stands_at_a_committed_round);
    tcase_add_test(faults, killed_in_the_middle_of_its_migration_the_old_run_opens);
    TCase *reading = tcase_create("reading");
    tcase_add_checked_fixture(reading, make_root, remove_root);
    tcase_add_test(reading, reading_a_run_at_rest_changes_nothing);
    tcase_add_test(reading, live_run_is_read_while_it_goes_on);
    tcase_add_test(reading, reader_cannot_write);
    tcase_add_test(reading, missing_run_is_not_found);
    Suite *suite = suite_create("store");
    suite_add_tcase(suite, core);
    suite_add_tcase(suite, faults);
    suite_add_tcase(suite, reading);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
