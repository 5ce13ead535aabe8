/* Who may read the page, and with what. */
#include "coordinator/http/http_guard.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/seal/keys.h"

static char TOKEN[] = "0123456789abcdef0123456789abcdef";
static char *const NAMES[] = {"fl.example.org", "second.example"};
static char path[] = "/tmp/check_guard.XXXXXX";

/* The text becomes the file at path. */
static void write_token(const char *text, mode_t mode) {
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    ck_assert_int_eq(chmod(path, mode), 0);
}

static void start(void) {
    strcpy(path + sizeof path - 7, "XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(fed_seal_setup(NULL), FED_OK);
}

static void stop(void) { unlink(path); }

static struct fed_guard proxied(void) {
    struct fed_guard guard = {.hosts = NAMES, .n_hosts = 2};
    struct fed_error err = {""};
    char line[64];
    snprintf(line, sizeof line, "%s\n", TOKEN);
    write_token(line, 0600);
    ck_assert_msg(fed_bearer_load(&guard.bearer, path, &err) == FED_OK, "%s", err.text);
    return guard;
}

#define RIGHT "Bearer 0123456789abcdef0123456789abcdef"

static const struct {
    const char *host, *authorization, *proto;
    bool forwarded, twice;
    unsigned alone, behind; /* without and with a proxy configured */
} cases[] = {
    {"localhost", NULL, NULL, false, false, 0, 0},
    {"LOCALHOST:5680", NULL, NULL, false, false, 0, 0},
    {"127.0.0.1:5680", NULL, NULL, false, false, 0, 0},
    {"127.9.9.9", NULL, NULL, false, false, 0, 0},
    {"[::1]:1", NULL, NULL, false, false, 0, 0},
    {"localhost", NULL, NULL, false, true, 400, 400},
    {NULL, NULL, NULL, false, false, 400, 400},
    {"", NULL, NULL, false, false, 400, 400},
    {"localhost:", NULL, NULL, false, false, 400, 400},
    {"localhost:123456", NULL, NULL, false, false, 400, 400},
    {"localhost:1x", NULL, NULL, false, false, 400, 400},
    {"[::1", NULL, NULL, false, false, 400, 400},
    {"[::1]x", NULL, NULL, false, false, 400, 400},
    {"localhost.", NULL, NULL, false, false, 403, 403},
    {"evil.example", NULL, NULL, false, false, 403, 403},
    {"evil.example", RIGHT, "https", true, false, 403, 403},
    {"127.0.0.1.evil.example", NULL, NULL, false, false, 403, 403},
    {"10.0.0.1", NULL, NULL, false, false, 403, 403},
    {"127.0.0.1", NULL, NULL, true, false, 403, 403}, /* a proxy that does not keep the Host, and says nothing of HTTPS */
    {"127.0.0.1", NULL, "https", true, false, 403, 401},
    {"127.0.0.1", RIGHT, "https", true, false, 403, 0},
    {"localhost", RIGHT, NULL, false, false, 403, 403}, /* in clear */
    {"localhost", RIGHT, "http", true, false, 403, 403},
    {"fl.example.org", NULL, NULL, false, false, 403, 403},
    {"fl.example.org", NULL, "https", true, false, 403, 401},
    {"fl.example.org", RIGHT, NULL, false, false, 403, 403},
    {"fl.example.org", RIGHT, "http", true, false, 403, 403},
    {"fl.example.org", RIGHT, "https, http", true, false, 403, 403},
    {"fl.example.org", RIGHT, "https", true, false, 403, 0},
    {"FL.Example.Org:443", RIGHT, "HTTPS", true, false, 403, 0},
    {"second.example", "bearer 0123456789abcdef0123456789abcdef", "https", true, false, 403, 0},
    {"fl.example.org", "Bearer 0123456789abcdef0123456789abcdeF", "https", true, false, 403, 401},
    {"fl.example.org", "Bearer 0123456789abcdef0123456789abcde", "https", true, false, 403, 401},
    {"fl.example.org", "Bearer 0123456789abcdef0123456789abcdef ", "https", true, false, 403, 401},
    {"fl.example.org", "Bearer ", "https", true, false, 403, 401},
    {"fl.example.org", "Basic 0123456789abcdef0123456789abcdef", "https", true, false, 403, 401},
    {"fl.example.org.", RIGHT, "https", true, false, 403, 403},
    {"xfl.example.org", RIGHT, "https", true, false, 403, 403},
};

START_TEST(request_is_judged_by_host_token_and_who_passed_it_on) {
    struct fed_guard alone = {.n_hosts = 0}, behind = proxied();
    struct fed_guard_ask ask = {cases[_i].host, cases[_i].authorization, cases[_i].proto, cases[_i].forwarded,
                                cases[_i].twice};
    const char *why = "";
    unsigned status = fed_guard_judge(&why, &alone, &ask);
    ck_assert_msg(status == cases[_i].alone, "alone: %u, %s", status, why);
    ck_assert((status == 0) == (why[0] == '\0'));
    why = "";
    status = fed_guard_judge(&why, &behind, &ask);
    ck_assert_msg(status == cases[_i].behind, "behind a proxy: %u, %s", status, why);
    ck_assert((status == 0) == (why[0] == '\0'));
}
END_TEST

START_TEST(token_is_one_private_line) {
    static const struct {
        const char *text;
        mode_t mode;
        const char *said; /* NULL: it is taken */
    } files[] = {
        {"0123456789abcdef\n", 0600, NULL},
        {"0123456789abcdef", 0400, NULL},
        {"0123456789abcdef\n", 0640, "chmod 600"},
        {"0123456789abcdef\n", 0604, "chmod 600"},
        {"0123456789abcde\n", 0600, "is not a token"},
        {"", 0600, "is not a token"},
        {"0123456789 abcdef\n", 0600, "is not a token"},
        {"0123456789abcdef\n\n", 0600, "is not a token"},
        {"0123456789abcdef\nsecond\n", 0600, "is not a token"},
        {"0123456789abcdef\r\n", 0600, "is not a token"},
        {"0123456789abcd\xc3\xa9\n", 0600, "is not a token"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct fed_bearer bearer;
        struct fed_error err = {""};
        write_token(files[i].text, files[i].mode);
        int code = fed_bearer_load(&bearer, path, &err);
        ck_assert_msg(code == (files[i].said == NULL ? FED_OK : FED_EKEY), "%s: %s", files[i].text, err.text);
        ck_assert_msg(files[i].said == NULL || strstr(err.text, files[i].said) != NULL, "%s", err.text);
        chmod(path, 0600);
    }
}
END_TEST

START_TEST(token_of_the_longest_length_is_taken_and_of_one_more_is_not) {
    char line[FED_BEARER_MOST + 3];
    struct fed_bearer bearer;
    memset(line, 'a', sizeof line);
    strcpy(line + FED_BEARER_MOST, "\n");
    write_token(line, 0600);
    ck_assert_int_eq(fed_bearer_load(&bearer, path, NULL), FED_OK);
    ck_assert(fed_bearer_matches(&bearer, line, FED_BEARER_MOST));
    ck_assert(!fed_bearer_matches(&bearer, line, FED_BEARER_MOST - 1));
    line[FED_BEARER_MOST] = 'a';
    strcpy(line + FED_BEARER_MOST + 1, "\n");
    write_token(line, 0600);
    ck_assert_int_eq(fed_bearer_load(&bearer, path, NULL), FED_EKEY);
}
END_TEST

START_TEST(link_to_a_token_and_no_token_are_refused) {
    struct fed_bearer bearer;
    char link[sizeof path + 8];
    snprintf(link, sizeof link, "%s.link", path);
    write_token("0123456789abcdef\n", 0600);
    ck_assert_int_eq(symlink(path, link), 0);
    ck_assert_int_eq(fed_bearer_load(&bearer, link, NULL), FED_EKEY);
    unlink(link);
    ck_assert_int_eq(fed_bearer_load(&bearer, link, NULL), FED_EKEY);
    ck_assert_int_eq(fed_bearer_load(&bearer, "/dev/null", NULL), FED_EKEY);
}
END_TEST

int main(void) {
    TCase *core = tcase_create("core");
    tcase_add_checked_fixture(core, start, stop);
    tcase_add_loop_test(core, request_is_judged_by_host_token_and_who_passed_it_on, 0, sizeof cases / sizeof *cases);
    tcase_add_test(core, token_is_one_private_line);
    tcase_add_test(core, token_of_the_longest_length_is_taken_and_of_one_more_is_not);
    tcase_add_test(core, link_to_a_token_and_no_token_are_refused);
    Suite *suite = suite_create("http_guard");
    suite_add_tcase(suite, core);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
