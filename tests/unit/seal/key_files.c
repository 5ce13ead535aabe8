/* Key files, and the memory that keys are in. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/seal/key_file.h"
#include "common/seal/keys.h"
#include "common/seal/locked.h"
#include "tests/unit/named_vectors.h"
#include "tests/unit/seal/fixture.h"

static const char *in_dir(const char *name) {
    static char path[96];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void write_file(const char *path, const char *bytes, size_t n, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    ck_assert_int_eq(close(fd), 0);
}

START_TEST(created_key_file_is_the_owners_alone_and_loads_as_the_same_identity) {
    struct fed_identity made, loaded;
    struct stat st;
    mode_t old = umask(0);
    ck_assert_int_eq(fed_identity_create(&made, in_dir("key"), NULL, NULL), 0);
    umask(old);
    ck_assert_int_eq(stat(in_dir("key"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(fed_identity_load(&loaded, in_dir("key"), NULL), 0);
    ck_assert_mem_eq(&loaded.public_keys, &made.public_keys, sizeof made.public_keys);
    ck_assert_mem_eq(loaded.secret, made.secret, sizeof *made.secret);
    fed_identity_fini(&made);
    fed_identity_fini(&loaded);
}
END_TEST

START_TEST(key_file_is_never_overwritten) {
    struct fed_identity identity = {0};
    struct fed_error err = {""};
    char back[8] = "";
    write_file(in_dir("key"), "mine", 4, 0600);
    ck_assert_int_eq(fed_identity_create(&identity, in_dir("key"), NULL, &err), FED_EKEY);
    ck_assert_ptr_nonnull(strstr(err.text, "never overwritten"));
    ck_assert_ptr_null(identity.secret);
    int fd = open(in_dir("key"), O_RDONLY);
    ck_assert_int_eq(read(fd, back, sizeof back), 4);
    close(fd);
    ck_assert_str_eq(back, "mine");

    char target[96];
    snprintf(target, sizeof target, "%s/nowhere", dir);
    ck_assert_int_eq(symlink(target, in_dir("link")), 0);
    ck_assert_int_eq(fed_identity_create(&identity, in_dir("link"), NULL, &err), FED_EKEY);
    ck_assert_int_ne(access(target, F_OK), 0);
}
END_TEST

START_TEST(key_file_in_a_missing_directory_is_an_error_of_storage) {
    struct fed_identity identity = {0};
    struct fed_error err = {""};
    ck_assert_int_eq(fed_identity_create(&identity, in_dir("no/key"), NULL, &err), FED_EIO);
    ck_assert_ptr_nonnull(strstr(err.text, "no/key"));
    ck_assert_ptr_null(identity.secret);
}
END_TEST

static void must_not_load(const char *path, const char *why) {
    struct fed_identity identity = {0};
    struct fed_error err = {""};
    ck_assert_int_eq(fed_identity_load(&identity, path, &err), FED_EKEY);
    ck_assert_ptr_null(identity.secret);
    ck_assert_msg(strstr(err.text, why) != NULL, "\"%s\" does not say \"%s\"", err.text, why);
    ck_assert_msg(strstr(err.text, path) != NULL, "\"%s\" does not name %s", err.text, path);
}

static size_t known_key_file(char out[VECTOR_MAX]) {
    known_text(out, "secret_line");
    size_t n = strlen(out);
    ck_assert_uint_lt(n + 1, VECTOR_MAX);
    out[n] = '\n';
    out[n + 1] = 0;
    return n + 1;
}

START_TEST(known_key_file_loads_as_the_known_identity) {
    struct fed_identity loaded, known;
    char text[VECTOR_MAX];
    size_t n = known_key_file(text);
    write_file(in_dir("key"), text, n, 0400);
    ck_assert_int_eq(fed_identity_load(&loaded, in_dir("key"), NULL), 0);
    known_identity(&known);
    ck_assert_mem_eq(loaded.secret, known.secret, sizeof *known.secret);
    fed_identity_fini(&loaded);
    fed_identity_fini(&known);
}
END_TEST

START_TEST(key_file_that_others_may_touch_is_refused) {
    static const mode_t bad[] = {0640, 0620, 0610, 0604, 0602, 0601, 0644, 0666, 0777};
    char text[VECTOR_MAX], advice[128];
    size_t n = known_key_file(text);
    snprintf(advice, sizeof advice, "chmod 600 %s", in_dir("key"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(in_dir("key"), text, n, bad[i]);
        must_not_load(in_dir("key"), advice);
    }
    if (geteuid() == 0) {
        write_file(in_dir("key"), text, n, 0600);
        ck_assert_int_eq(chown(in_dir("key"), 65534, (gid_t)-1), 0);
        must_not_load(in_dir("key"), "belongs to user 65534");
    }
}
END_TEST

START_TEST(what_is_not_a_plain_file_is_refused_as_a_key) {
    char text[VECTOR_MAX], key[96];
    size_t n = known_key_file(text);
    must_not_load(in_dir("key"), "no such key file");
    strcpy(key, in_dir("key"));
    write_file(key, text, n, 0600);
    ck_assert_int_eq(symlink(key, in_dir("link")), 0);
    must_not_load(in_dir("link"), "symbolic link");
    ck_assert_int_eq(mkfifo(in_dir("fifo"), 0600), 0);
    must_not_load(in_dir("fifo"), "not a regular file");
    must_not_load(dir, "not a regular file");
}
END_TEST

START_TEST(file_that_is_not_exactly_one_key_line_is_refused) {
    char good[VECTOR_MAX], bad[2 * VECTOR_MAX];
    size_t n = known_key_file(good);
    for (size_t cut = 0; cut < n; cut++) {
        write_file(in_dir("key"), good, cut, 0600);
        must_not_load(in_dir("key"), "is not a key file");
    }
    static const char *const tails[] = {"\n", "x", "=\n"};
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        snprintf(bad, sizeof bad, "%s%s", good, tails[i]);
        write_file(in_dir("key"), bad, strlen(bad), 0600);
        must_not_load(in_dir("key"), "is not a key file");
    }
    static const struct {
        size_t at;
        char c;
    } changes[] = {{0, 'F'}, {14, '2'}, {15, ';'}, {20, '+'}, {20, '/'}, {20, '='}, {20, 0}, {58, 'B'}, {59, '\r'}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        memcpy(bad, good, n);
        ck_assert_int_ne(bad[changes[i].at], changes[i].c);
        bad[changes[i].at] = changes[i].c;
        write_file(in_dir("key"), bad, n, 0600);
        must_not_load(in_dir("key"), "is not a key file");
    }
}
END_TEST

START_TEST(locked_memory_is_aligned_and_writable_to_its_end) {
    for (size_t n = 8; n <= 256; n += 8) {
        void *memory;
        ck_assert_int_eq(fed_locked_new(&memory, n), 0);
        ck_assert_uint_eq((uintptr_t)memory % 8, 0);
        memset(memory, 0xff, n);
        fed_locked_free(memory);
    }
    fed_locked_free(NULL);
}
END_TEST

TCase *key_files_cases(void) {
    TCase *cases = seal_case("key_files");
    tcase_add_test(cases, created_key_file_is_the_owners_alone_and_loads_as_the_same_identity);
    tcase_add_test(cases, key_file_is_never_overwritten);
    tcase_add_test(cases, key_file_in_a_missing_directory_is_an_error_of_storage);
    tcase_add_test(cases, known_key_file_loads_as_the_known_identity);
    tcase_add_test(cases, key_file_that_others_may_touch_is_refused);
    tcase_add_test(cases, what_is_not_a_plain_file_is_refused_as_a_key);
    tcase_add_test(cases, file_that_is_not_exactly_one_key_line_is_refused);
    tcase_add_test(cases, locked_memory_is_aligned_and_writable_to_its_end);
    return cases;
}
