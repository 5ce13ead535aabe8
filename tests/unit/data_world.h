/* Files in a directory of their own, models to fit and batches to fill, for the tests of readers. */
#ifndef FED_TESTS_UNIT_DATA_WORLD_H
#define FED_TESTS_UNIT_DATA_WORLD_H

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/data/dataset.h"

static char world_dir[32];
static struct fed_error err;

static void world_begin(void) {
    strcpy(world_dir, "/tmp/fed-data-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(world_dir));
}

static void world_end(void) {
    DIR *dir = opendir(world_dir);
    ck_assert_ptr_nonnull(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.') {
            ck_assert_int_eq(unlinkat(dirfd(dir), entry->d_name, 0), 0);
        }
    }
    closedir(dir);
    ck_assert_int_eq(rmdir(world_dir), 0);
}

/* The path of the file, in one of four places that are used in turn. */
static inline char *world_path(const char *name) {
    static char paths[4][96];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof *paths, "%s/%s", world_dir, name);
    return path;
}

static inline char *world_write(const char *name, const void *bytes, size_t n) {
    char *path = world_path(name);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
    return path;
}

/* One layer: inputs to outputs. */
static inline struct fed_model world_model(uint32_t inputs, uint32_t outputs, enum fed_loss loss, const char *classes) {
    struct fed_model_spec spec = {.input = {inputs}, .loss = loss, .n_layers = 1, .layers = {{outputs, FED_LINEAR}}};
    struct fed_model model;
    snprintf(spec.classes, sizeof spec.classes, "%s", classes);
    ck_assert_msg(fed_model_init(&model, &spec, &err) == 0, "%s", err.text);
    return model;
}

#define WORLD_ROWS 16
#define WORLD_STRIDE 32

/* Room for WORLD_ROWS rows; everything begins as a value that no data have. */
struct world_batch {
    float features[WORLD_ROWS * WORLD_STRIDE], targets[WORLD_ROWS * WORLD_STRIDE];
    uint32_t symbols[WORLD_ROWS * WORLD_STRIDE], labels[WORLD_ROWS * WORLD_STRIDE];
};

static inline void world_clear(struct world_batch *b) {
    memset(b->symbols, 0xee, sizeof b->symbols);
    memset(b->labels, 0xee, sizeof b->labels);
    for (size_t i = 0; i < WORLD_ROWS * WORLD_STRIDE; i++) {
        b->features[i] = b->targets[i] = -7;
    }
}

/* What the sentence must begin with, once the directory is taken off it. */
static inline void world_sentence(const char *expected) {
    size_t n = strlen(world_dir);
    ck_assert_msg(strncmp(err.text, world_dir, n) == 0 && strncmp(err.text + n + 1, expected, strlen(expected)) == 0,
                  "%s\nexpected %s", err.text, expected);
    for (const char *c = err.text; *c != '\0'; c++) {
        ck_assert_msg((unsigned char)*c >= 0x20, "a control character in: %s", err.text);
    }
}

static inline int world_run(Suite *suite) {
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

#endif
