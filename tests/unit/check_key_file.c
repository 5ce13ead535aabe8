/* Key files with a passphrase: they open with it and with nothing else, and say what is wrong. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/seal/key_file.h"
#include "tests/unit/named_vectors.h"

static char dir[64];
static char quick[VECTOR_MAX]; /* by an independent implementation: 1 pass over 1 MiB */
static size_t n_quick;

static void setup(void) {
    ck_assert(vector_text(quick, FED_VECTORS "/key_file.txt", "boxed_line"));
    strcat(quick, "\n");
    n_quick = strlen(quick);
    ck_assert_int_eq(fed_seal_setup(NULL), 0);
    strcpy(dir, "/tmp/fedavg-check-key-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static const char *in_dir(const char *name) {
    static char paths[4][96];
    static int at;
    at = (at + 1) % 4;
    snprintf(paths[at], sizeof paths[at], "%s/%s", dir, name);
    return paths[at];
}

static void teardown(void) {
    unlink(in_dir("key"));
    unlink(in_dir("words"));
    ck_assert_int_eq(rmdir(dir), 0);
}

static const char *words(const char *text, mode_t mode) {
    const char *path = in_dir("words");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
    return path;
}

static struct fed_passphrase *passphrase(const char *text) {
    struct fed_passphrase *out;
    struct fed_error err = {""};
    ck_assert_msg(fed_passphrase_get(&out, words(text, 0600), "key", true, &err) == 0, "%s", err.text);
    return out;
}

static void must_not_open(const char *file, int code, const char *why) {
    struct fed_identity identity = {0};
    struct fed_error err = {""};
    ck_assert_int_eq(fed_identity_unlock(&identity, in_dir("key"), file, &err), code);
    ck_assert_ptr_null(identity.secret);
    ck_assert_msg(strstr(err.text, why) != NULL, "\"%s\" does not say \"%s\"", err.text, why);
}

START_TEST(boxed_key_opens_with_its_passphrase_alone) {
    struct fed_identity made, loaded;
    struct stat st;
    struct fed_passphrase *secret = passphrase("correct horse\n");
    ck_assert_int_eq(fed_identity_create(&made, in_dir("key"), secret, NULL), 0);
    fed_passphrase_free(secret);
    ck_assert_int_eq(stat(in_dir("key"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(st.st_size, 145);
    ck_assert_int_eq(fed_identity_unlock(&loaded, in_dir("key"), words("correct horse\r\nmore\n", 0400), NULL), 0);
    ck_assert_mem_eq(loaded.secret, made.secret, sizeof *made.secret);
    ck_assert_mem_eq(loaded.sign_key, made.sign_key, sizeof made.sign_key);
    fed_identity_fini(&loaded);
    must_not_open(words("correct hors", 0600), FED_EKEY, "this is not its passphrase");
    fed_identity_fini(&made);
}
END_TEST

START_TEST(known_boxed_file_opens_as_the_known_identity) {
    uint8_t seed[FED_KEY_BYTES];
    struct fed_identity known, loaded;
    struct fed_error err = {""};
    for (size_t i = 0; i < sizeof seed; i++) {
        seed[i] = (uint8_t)(i + 1);
    }
    ck_assert_int_eq(fed_identity_from_seed(&known, seed), 0);
    ck_assert_int_eq(fed_secret_file_write(in_dir("key"), "key file", quick, n_quick, NULL), 0);
    ck_assert_msg(fed_identity_unlock(&loaded, in_dir("key"), words("correct horse", 0600), &err) == 0, "%s", err.text);
    ck_assert_mem_eq(loaded.secret, known.secret, sizeof *known.secret);
    fed_identity_fini(&loaded);
    fed_identity_fini(&known);
}
END_TEST

START_TEST(boxed_file_with_any_character_changed_does_not_open) {
    for (size_t at = 16; at < n_quick - 1; at += 5) {
        char text[VECTOR_MAX];
        struct fed_identity identity = {0};
        memcpy(text, quick, sizeof quick);
        text[at] = text[at] == 'A' ? 'B' : 'A';
        if (at >= 37 && at <= 48) {
            continue; /* passes and memory: another cost is tried, for minutes if it must be */
        }
        ck_assert_int_eq(fed_secret_file_write(in_dir("key"), "key file", text, n_quick, NULL), 0);
        ck_assert_int_eq(fed_identity_unlock(&identity, in_dir("key"), words("correct horse", 0600), NULL), FED_EKEY);
        ck_assert_ptr_null(identity.secret);
        unlink(in_dir("key"));
    }
}
END_TEST

START_TEST(whether_a_passphrase_is_needed_is_told_without_it) {
    struct fed_identity made = {0};
    bool needed = true;
    ck_assert_int_eq(fed_identity_create(&made, in_dir("plain"), NULL, NULL), 0);
    ck_assert_int_eq(fed_identity_needs_passphrase(&needed, in_dir("plain"), NULL), 0);
    ck_assert(!needed);
    fed_identity_fini(&made);
    struct fed_passphrase *secret = passphrase("correct horse\n");
    ck_assert_int_eq(fed_identity_create(&made, in_dir("boxed"), secret, NULL), 0);
    ck_assert_int_eq(fed_identity_needs_passphrase(&needed, in_dir("boxed"), NULL), 0);
    ck_assert(needed);
    fed_identity_fini(&made);
    fed_passphrase_free(secret);
    ck_assert_int_eq(chmod(in_dir("boxed"), 0644), 0);
    ck_assert_int_eq(fed_identity_needs_passphrase(&needed, in_dir("boxed"), NULL), FED_EKEY);
    ck_assert_int_eq(fed_identity_needs_passphrase(&needed, in_dir("nowhere"), NULL), FED_EKEY);
    unlink(in_dir("plain"));
    unlink(in_dir("boxed"));
}
END_TEST

START_TEST(passphrase_that_cannot_be_had_is_said_in_one_sentence) {
    char longest[FED_PASSPHRASE_MAX + 1];
    ck_assert_int_eq(fed_secret_file_write(in_dir("key"), "key file", quick, n_quick, NULL), 0);
    must_not_open(in_dir("nowhere"), FED_ECONFIG, "No such file");
    must_not_open(words("", 0600), FED_ECONFIG, "the passphrase is empty");
    must_not_open(words("\nsecond\n", 0600), FED_ECONFIG, "the passphrase is empty");
    memset(longest, 'x', sizeof longest);
    longest[FED_PASSPHRASE_MAX] = '\0';
    must_not_open(words(longest, 0600), FED_ECONFIG, "longer than 1023 bytes");
    longest[FED_PASSPHRASE_MAX - 1] = '\0';
    must_not_open(words(longest, 0600), FED_EKEY, "not its passphrase");
    static const mode_t open_to_others[] = {0644, 0640, 0620, 0604, 0602, 0601};
    for (size_t i = 0; i < sizeof open_to_others / sizeof *open_to_others; i++) {
        must_not_open(words("correct horse", open_to_others[i]), FED_EKEY, "others may use this passphrase file");
    }
    const char *file = words("correct horse", 0600);
    if (geteuid() == 0) { /* nobody else can give a file away */
        ck_assert_int_eq(chown(file, 1, (gid_t)-1), 0);
        must_not_open(file, FED_EKEY, "the passphrase file belongs to user 1");
    }
    must_not_open("/dev/null", FED_EKEY, "is not a regular file");
}
END_TEST

static int judge(const char *path, mode_t mode, gid_t group, struct fed_error *err) {
    ck_assert_int_eq(chown(path, 0, group), 0);
    ck_assert_int_eq(chmod(path, mode), 0);
    int fd = open(path, O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(setegid(4242), 0);
    ck_assert_int_eq(seteuid(4242), 0);
    int rc = fed_secret_file_check(fd, path, "key", err);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(setegid(0), 0);
    close(fd);
    return rc;
}

/* So containers are handed secrets. Only root can try. */
START_TEST(a_secret_of_root_may_be_lent_to_the_group_of_the_process_to_read) {
    static const mode_t good[] = {0440, 0640, 0400, 0600}, bad[] = {0460, 0450, 0444, 0442, 0441, 0660, 0644};
    struct fed_error err = {.text = ""};
    const char *path = words("a secret", 0600);
    if (geteuid() != 0) {
        return;
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ck_assert_msg(judge(path, good[i], 4242, &err) == 0, "mode %04o: %s", (unsigned)good[i], err.text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(judge(path, bad[i], 4242, &err) == FED_EKEY, "mode %04o is let pass", (unsigned)bad[i]);
        ck_assert_ptr_nonnull(strstr(err.text, "chmod 440"));
    }
    ck_assert_int_eq(judge(path, 0440, 4243, &err), FED_EKEY);
    ck_assert_ptr_nonnull(strstr(err.text, "belongs to user 0"));
}
END_TEST

START_TEST(passphrase_may_come_through_a_pipe) {
    struct fed_passphrase *out;
    struct fed_error err;
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], "correct horse\n", 14), 14);
    close(ends[1]);
    char path[32];
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    ck_assert_msg(fed_passphrase_get(&out, path, "key", false, &err) == 0, "%s", err.text);
    ck_assert_str_eq(out->text, "correct horse");
    fed_passphrase_free(out);
    close(ends[0]);
}
END_TEST

START_TEST(boxed_file_that_asks_for_absurd_costs_is_not_a_key_file) {
    static const struct { uint8_t passes, mib_low, mib_high; } rows[] = {{0, 1, 0}, {65, 1, 0}, {1, 0, 0}, {1, 1, 0x10}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t bytes[96] = {[16] = rows[i].passes, [20] = rows[i].mib_low, [21] = rows[i].mib_high};
        char text[160] = "fedavg-secret-2:";
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for (size_t k = 0; k < 32; k++) {
            unsigned group = (unsigned)bytes[3 * k] << 16 | (unsigned)bytes[3 * k + 1] << 8 | bytes[3 * k + 2];
            for (size_t j = 0; j < 4; j++) {
                text[16 + 4 * k + j] = digits[group >> (18 - 6 * j) & 63];
            }
        }
        text[144] = '\n';
        ck_assert_int_eq(fed_secret_file_write(in_dir("key"), "key file", text, 145, NULL), 0);
        must_not_open(words("correct horse", 0600), FED_EKEY, "is not a key file");
        unlink(in_dir("key"));
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("key_file");
    TCase *tcase = tcase_create("passphrases");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, boxed_key_opens_with_its_passphrase_alone);
    tcase_add_test(tcase, known_boxed_file_opens_as_the_known_identity);
    tcase_add_test(tcase, boxed_file_with_any_character_changed_does_not_open);
    tcase_add_test(tcase, whether_a_passphrase_is_needed_is_told_without_it);
    tcase_add_test(tcase, passphrase_that_cannot_be_had_is_said_in_one_sentence);
    tcase_add_test(tcase, a_secret_of_root_may_be_lent_to_the_group_of_the_process_to_read);
    tcase_add_test(tcase, passphrase_may_come_through_a_pipe);
    tcase_add_test(tcase, boxed_file_that_asks_for_absurd_costs_is_not_a_key_file);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
