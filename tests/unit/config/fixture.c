#include "tests/unit/config/fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/status.h"
#include "common/seal/keys.h"

char dir[64];

static void setup(void) {
    snprintf(dir, sizeof dir, "/tmp/check_config.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(fed_seal_setup(NULL), 0);
}

static void teardown(void) {
    char path[96];
    snprintf(path, sizeof path, "%s/t.yaml", dir);
    unlink(path);
    ck_assert_int_eq(rmdir(dir), 0);
}

TCase *config_case(const char *name) {
    TCase *cases = tcase_create(name);
    tcase_add_checked_fixture(cases, setup, teardown);
    return cases;
}

const char *write_file(const char *text, size_t n) {
    static char path[96];
    snprintf(path, sizeof path, "%s/t.yaml", dir);
    struct iovec part = {(void *)text, n};
    ck_assert_int_eq(fed_file_replace(path, &part, 1, 0600, NULL), 0);
    return path;
}

void expect_sentence(const struct fed_error *err, const char *path, const char *expected) {
    char full[1100];
    snprintf(full, sizeof full, "%s%s", expected[0] == '@' ? path : "", expected + (expected[0] == '@'));
    ck_assert_str_eq(err->text, full);
}
