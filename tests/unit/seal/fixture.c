#include "tests/unit/seal/fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/seal/keys.h"
#include "tests/unit/named_vectors.h"

#define ANSWERS FED_VECTORS "/seal.txt"

void known_bytes(uint8_t *out, size_t n, const char *name) {
    ck_assert_msg(vector_bytes(out, n, ANSWERS, name), "no %s in " ANSWERS, name);
}

void known_text(char out[VECTOR_MAX], const char *name) {
    ck_assert_msg(vector_text(out, ANSWERS, name), "no %s in " ANSWERS, name);
}

char dir[64];

static void make_dir(void) {
    ck_assert_int_eq(fed_seal_setup(NULL), 0);
    strcpy(dir, "/tmp/fedavg-check-seal-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void) {
    static const char *const names[] = {"key", "link", "fifo"};
    char path[96];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    ck_assert_int_eq(rmdir(dir), 0);
}

TCase *seal_case(const char *name) {
    TCase *cases = tcase_create(name);
    tcase_add_checked_fixture(cases, make_dir, remove_dir);
    return cases;
}

void known_identity(struct fed_identity *out) {
    uint8_t seed[FED_KEY_BYTES];
    known_bytes(seed, sizeof seed, "seed");
    ck_assert_int_eq(fed_identity_from_seed(out, seed), 0);
}
