#include "tests/unit/store/fixture.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/seal/digest.h"
#include "coordinator/store/store.h"

const char TERMS[] = "{\"algorithm\":{\"epochs\":1},\"name\":\"t\"}";
const char REST[] = "{\"algorithm\":{\"rounds\":10}}";
static char root[] = "/tmp/check_store.XXXXXX";
char dir[64]; /* of the run: not there before the first open */

static void make_root(void) {
    strcpy(root + sizeof root - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    snprintf(dir, sizeof dir, "%s/runs/t%%?#", root); /* a name that a URI would read otherwise */
}

void remove_tree(const char *path) {
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

TCase *store_case(const char *name) {
    TCase *cases = tcase_create(name);
    tcase_add_checked_fixture(cases, make_root, remove_root);
    return cases;
}

struct fed_store *open_run(void) {
    struct fed_store *store = NULL;
    struct fed_error err = {""};
    int code = fed_store_open(&store, dir, TERMS, REST, &err);
    ck_assert_msg(code == FED_OK, "%s", err.text);
    return store;
}

int open_fails(struct fed_error *err) {
    struct fed_store *store = NULL;
    int code = fed_store_open(&store, dir, TERMS, REST, err);
    ck_assert_ptr_null(store);
    return code;
}

struct fed_store_state state_of(struct fed_store *store) {
    struct fed_store_state state;
    struct fed_error err = {""};
    int code = fed_store_state(&state, store, &err);
    ck_assert_msg(code == FED_OK, "%s", err.text);
    return state;
}

const char *path_in(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

bool exists(const char *name) { return access(path_in(name), F_OK) == 0; }

bool has_model(uint64_t round) {
    char name[64];
    snprintf(name, sizeof name, "model-%" PRIu64 ".safetensors", round);
    return exists(name);
}

void put_file(const char *name, const char *text) {
    FILE *file = fopen(path_in(name), "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

uint32_t database_word(off_t at) {
    uint8_t b[4];
    int fd = open(path_in("run.db"), O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, b, 4, at), 4);
    close(fd);
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

void params_of(float params[N_PARAMS], uint64_t round) {
    for (int i = 0; i < N_PARAMS; i++) {
        params[i] = (float)round + (float)i / 1024.0f;
    }
}

int commit_updates(struct fed_store *store, uint64_t round, uint64_t keep_last, const struct fed_store_update *updates,
                   size_t n_updates, struct fed_error *err) {
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

int try_commit(struct fed_store *store, uint64_t round, uint64_t keep_last, struct fed_error *err) {
    const struct fed_store_update updates[] = {{"ward-7", 0, 7, 600, 0.5, 2.25},
                                               {"ward-8", 1, UINT64_MAX, 400, (double)NAN, (double)NAN}};
    return commit_updates(store, round, keep_last, updates, round == 0 ? 0 : 2, err);
}

void commit(struct fed_store *store, uint64_t round, uint64_t keep_last) {
    struct fed_error err = {""};
    int code = try_commit(store, round, keep_last, &err);
    ck_assert_msg(code == FED_OK, "%s", err.text);
}

struct fed_store *run_up_to(uint64_t last) {
    struct fed_store *store = open_run();
    for (uint64_t round = 0; round <= last; round++) {
        commit(store, round, 3);
    }
    return store;
}

void evaluate(struct fed_store *store, uint64_t round, double accuracy, bool target) {
    ck_assert_int_eq(fed_store_evaluation(store, round, 1.0 - accuracy, accuracy, target, NULL), FED_OK);
}

void check_sound(struct fed_store *store) {
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

void list_run(char *out, size_t n) {
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

void take_round(void *context, const struct fed_store_round *round) {
    struct rows *rows = context;
    ck_assert(rows->n == 0 || round->round == rows->last.round + 1);
    rows->last = *round;
    rows->n++;
}

double reference(struct fed_store *store, uint64_t before, uint64_t window) {
    double loss = -1;
    ck_assert_int_eq(fed_store_reference(&loss, store, before, window, NULL), FED_OK);
    return loss;
}

void limit_files(rlim_t n) {
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN); /* so that write answers EFBIG */
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = n == RLIM_INFINITY ? limit.rlim_max : n;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}
