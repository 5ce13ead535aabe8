/* Signed entries: what the enrolment key said holds, nothing else does; and a coordinator takes them up as they come. */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/config/roster_signed.h"
#include "coordinator/nodes/roster_live.h"

#define NOW 1700000000
#define PATIENCE_MS 60000

static struct fed_identity issuer, other, node, next;
static char dir[64], path[96];

static void identity(struct fed_identity *out, uint8_t first) {
    uint8_t seed[FED_KEY_BYTES] = {first};
    ck_assert_int_eq(fed_identity_from_seed(out, seed), 0);
}

static void setup(void) {
    ck_assert_int_eq(fed_seal_setup(NULL), 0);
    identity(&issuer, 1);
    identity(&other, 2);
    identity(&node, 3);
    identity(&next, 4);
    strcpy(dir, "/tmp/check_roster_signed.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/roster", dir);
}

static void teardown(void) {
    char lock[112];
    fed_identity_fini(&issuer);
    fed_identity_fini(&other);
    fed_identity_fini(&node);
    fed_identity_fini(&next);
    snprintf(lock, sizeof lock, "%s.lock", path);
    unlink(path);
    unlink(lock);
    ck_assert_int_eq(rmdir(dir), 0);
}

static struct fed_roster_entry entry_of(const char *name, uint64_t first) {
    struct fed_roster_entry entry = {
        .keys = node.public_keys, .first_client = first, .n_clients = 3, .not_after = 2 * (int64_t)NOW};
    snprintf(entry.name, sizeof entry.name, "%s", name);
    return entry;
}

static struct fed_roster_entry approved(const char *name, uint64_t first) {
    struct fed_roster_entry entry = entry_of(name, first);
    ck_assert_int_eq(fed_roster_entry_approve(&entry, false, &issuer, NOW), 0);
    return entry;
}

static void must_not_verify(const struct fed_roster_entry *entry, const struct fed_identity *by, const char *why) {
    struct fed_error err = {""};
    ck_assert_int_eq(fed_roster_entry_verify(entry, by->sign_key, &err), FED_EKEY);
    ck_assert_msg(strstr(err.text, why) != NULL, "\"%s\" does not say \"%s\"", err.text, why);
}

/* -- entries ----------------------------------------------------------------------------------------------------------- */

START_TEST(approved_entry_verifies_under_its_enrolment_key_alone) {
    struct fed_roster_entry entry = approved("ward-7", 7), bare = entry_of("ward-7", 7);
    ck_assert_int_eq(fed_roster_entry_verify(&entry, issuer.sign_key, NULL), 0);
    must_not_verify(&entry, &other, "by another enrolment key, with fingerprint ");
    must_not_verify(&bare, &issuer, "has no certificate");
}
END_TEST

START_TEST(entry_that_says_more_than_was_signed_does_not_verify) {
    static const char *const what[] = {"name", "clients", "clients", "partial_sums", "not_before", "not_after", "made out"};
    for (size_t i = 0; i < sizeof what / sizeof *what; i++) {
        struct fed_roster_entry entry = approved("ward-7", 7);
        switch (i) {
        case 0: entry.name[0] = 'x'; break;
        case 1: entry.first_client++; break;
        case 2: entry.n_clients++; break;
        case 3: entry.partial_sums = true; break;
        case 4: entry.not_before = 1; break;
        case 5: entry.not_after = 0; break;
        default: entry.keys = next.public_keys; break;
        }
        must_not_verify(&entry, &issuer, what[i]);
    }
    struct fed_roster_entry revoked = approved("ward-7", 7);
    revoked.revoked = NOW; /* that needs no signature: it only takes away */
    ck_assert_int_eq(fed_roster_entry_verify(&revoked, issuer.sign_key, NULL), 0);
}
END_TEST

START_TEST(second_key_needs_a_signature_of_its_own) {
    struct fed_roster_entry entry = approved("ward-7", 7);
    entry.has_next = true;
    entry.next = next.public_keys;
    must_not_verify(&entry, &issuer, "has no certificate");
    ck_assert_int_eq(fed_roster_entry_approve(&entry, true, &issuer, NOW), 0);
    ck_assert_int_eq(fed_roster_entry_verify(&entry, issuer.sign_key, NULL), 0);
    entry.next = other.public_keys;
    must_not_verify(&entry, &issuer, "made out");
}
END_TEST

START_TEST(entry_comes_back_from_its_certificate) {
    struct fed_roster_entry entry = approved("ward-7", 7), back;
    ck_assert_int_eq(fed_roster_entry_from(&back, &entry.enrolment, &entry.keys, NULL), 0);
    uint8_t a[32], b[32];
    fed_roster_entry_digest(a, &entry);
    fed_roster_entry_digest(b, &back);
    ck_assert_mem_eq(a, b, sizeof a);
    back.n_clients++;
    fed_roster_entry_digest(b, &back);
    ck_assert_mem_ne(a, b, sizeof a);
}
END_TEST

START_TEST(removed_entry_cannot_be_put_back) {
    struct fed_roster_entry entry = approved("ward-7", 7);
    struct fed_roster_file roster = {0}, back;
    struct fed_error err = {""};
    ck_assert_int_eq(fed_roster_file_add(&roster, &entry), 0);
    ck_assert_int_eq(fed_roster_file_remove(&roster, fed_roster_file_find(&roster, "ward-7")), 0);
    ck_assert_uint_eq(roster.n_entries, 0);
    ck_assert_int_eq(fed_roster_file_save(&roster, path, NULL), 0);
    fed_roster_file_fini(&roster);
    ck_assert_int_eq(fed_roster_file_load(&back, path, NULL), 0);
    ck_assert_uint_eq(back.n_spent, 1);
    ck_assert_int_eq(fed_roster_file_add(&back, &entry), 0);
    ck_assert_int_eq(fed_roster_file_save(&back, path, &err), FED_ECONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "node ward-7: its certificate is spent"));
    fed_roster_file_fini(&back);
}
END_TEST

START_TEST(certificate_that_was_exchanged_is_spent_and_the_one_that_stays_is_not) {
    struct fed_roster_entry first = approved("ward-7", 7), both = first, last;
    struct fed_roster_file roster = {0};
    struct fed_certificate read;
    struct fed_error err = {""};
    both.has_next = true;
    both.next = next.public_keys;
    ck_assert_int_eq(fed_roster_entry_approve(&both, true, &issuer, NOW), 0);
    last = both;
    last.keys = both.next;
    last.enrolment = both.next_enrolment;
    last.has_next = last.has_next_enrolment = false;
    ck_assert_int_eq(fed_roster_file_add(&roster, &first), 0);
    ck_assert_int_eq(fed_roster_file_replace(&roster, &roster.entries[0], &both), 0);
    ck_assert_uint_eq(roster.n_spent, 0); /* it only got a second one */
    ck_assert_int_eq(fed_roster_file_replace(&roster, &roster.entries[0], &last), 0);
    ck_assert_int_eq(fed_certificate_read(&read, first.enrolment.certificate), 0);
    ck_assert(roster.n_spent == 1 && fed_roster_file_is_spent(&roster, read.nonce));
    ck_assert_int_eq(fed_roster_file_save(&roster, path, &err), 0);
    ck_assert_int_eq(fed_roster_file_remove(&roster, &roster.entries[0]), 0);
    ck_assert_uint_eq(roster.n_spent, 2);
    ck_assert_int_eq(fed_roster_file_add(&roster, &first), 0);
    ck_assert_int_eq(fed_roster_file_save(&roster, path, &err), FED_ECONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "node ward-7: its certificate is spent"));
    fed_roster_file_fini(&roster);
}
END_TEST

/* -- live -------------------------------------------------------------------------------------------------------------- */

static void save(const struct fed_roster_entry *entries, size_t n) {
    struct fed_roster_file roster = {.entries = (struct fed_roster_entry *)(uintptr_t)entries, .n_entries = n};
    struct fed_error err = {""};
    ck_assert_msg(fed_roster_file_save(&roster, path, &err) == 0, "%s", err.text);
}

static struct fed_roster_live_result *finished(struct fed_roster_live *live) {
    static struct fed_roster_live_result result;
    struct pollfd item = {.fd = fed_roster_live_fd(live), .events = POLLIN};
    ck_assert_int_eq(poll(&item, 1, PATIENCE_MS), 1);
    ck_assert(fed_roster_live_finished(&result, live));
    return &result;
}

static struct fed_roster_live *live_of(struct fed_roster_file *file) {
    struct fed_roster_live *live;
    ck_assert_int_eq(fed_roster_live_new(&live, path, issuer.sign_key, NULL), 0);
    ck_assert_int_eq(fed_roster_live_load(file, live, NULL), 0);
    return live;
}

/* The file holds the first of two entries, both of them good. */
static struct fed_roster_live *live_of_the_first(struct fed_roster_entry entries[2]) {
    struct fed_roster_file file;
    entries[1].keys = next.public_keys;
    ck_assert_int_eq(fed_roster_entry_approve(&entries[1], false, &issuer, NOW), 0);
    save(entries, 1);
    struct fed_roster_live *live = live_of(&file);
    fed_roster_file_fini(&file);
    return live;
}

START_TEST(unsigned_entry_is_refused_and_the_others_hold) {
    struct fed_roster_entry entries[2] = {approved("good", 7), entry_of("bad", 70)};
    struct fed_roster_file file;
    entries[1].keys = next.public_keys;
    save(entries, 2);
    struct fed_roster_live *live = live_of(&file);
    ck_assert(!file.entries[0].refused && file.entries[1].refused);
    fed_roster_file_fini(&file);
    fed_roster_live_free(live);
}
END_TEST

START_TEST(changed_file_is_taken_up_once) {
    struct fed_roster_entry entries[2] = {approved("a", 7), approved("b", 70)};
    struct fed_roster_live_result *result;
    struct fed_roster_live *live = live_of_the_first(entries);
    fed_roster_live_watch(live); /* nothing changed */
    save(entries, 2);
    fed_roster_live_watch(live);
    result = finished(live);
    ck_assert(result->rc == 0 && !result->added && result->file.n_entries == 2 && !result->file.entries[1].refused);
    fed_roster_file_fini(&result->file);
    fed_roster_live_watch(live);
    ck_assert(!fed_roster_live_finished(result, live));
    struct iovec part = {(void *)(uintptr_t) "nonsense: 1\n", 12};
    ck_assert_int_eq(fed_file_replace(path, &part, 1, 0600, NULL), 0);
    fed_roster_live_watch(live);
    result = finished(live);
    ck_assert_int_eq(result->rc, FED_ECONFIG);
    fed_roster_live_free(live);
}
END_TEST

START_TEST(change_that_was_saved_right_after_a_join_is_taken_up) {
    struct fed_roster_entry entries[2] = {approved("a", 7), approved("b", 70)};
    struct fed_roster_live_result *result;
    struct fed_roster_live *live = live_of_the_first(entries);
    ck_assert_int_eq(fed_roster_live_add(live, &entries[1]), 0);
    struct pollfd item = {.fd = fed_roster_live_fd(live), .events = POLLIN};
    ck_assert_int_eq(poll(&item, 1, PATIENCE_MS), 1);
    entries[0].revoked = NOW; /* by another hand, before the loop hears that the job is done */
    save(entries, 2);
    result = finished(live);
    ck_assert(result->rc == 0 && result->added && result->file.entries[0].revoked == 0);
    fed_roster_file_fini(&result->file);
    fed_roster_live_watch(live);
    result = finished(live);
    ck_assert(result->rc == 0 && !result->added && result->file.n_entries == 2);
    ck_assert_int_eq(result->file.entries[0].revoked, NOW);
    fed_roster_file_fini(&result->file);
    fed_roster_live_free(live);
}
END_TEST

START_TEST(joined_entry_is_in_the_file_and_at_hand_and_twice_is_once) {
    struct fed_roster_entry entries[1] = {approved("a", 7)}, joiner = approved("b", 70), rival = approved("c", 70);
    struct fed_roster_file file;
    struct fed_roster_live_result *result;
    joiner.keys = next.public_keys;
    ck_assert_int_eq(fed_roster_entry_approve(&joiner, false, &issuer, NOW), 0);
    rival.keys = other.public_keys;
    ck_assert_int_eq(fed_roster_entry_approve(&rival, false, &issuer, NOW), 0);
    save(entries, 1);
    struct fed_roster_live *live = live_of(&file);
    fed_roster_file_fini(&file);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(fed_roster_live_add(live, &joiner), 0);
        ck_assert_int_eq(fed_roster_live_add(live, &rival), FED_EAGAIN); /* one at a time */
        result = finished(live);
        ck_assert_msg(result->rc == 0 && result->added && result->file.n_entries == 2, "%s", result->err.text);
        fed_roster_file_fini(&result->file);
    }
    fed_roster_live_watch(live); /* what it wrote itself is no news */
    ck_assert(!fed_roster_live_finished(result, live));
    ck_assert_int_eq(fed_roster_live_add(live, &rival), 0);
    result = finished(live);
    ck_assert_int_eq(result->rc, FED_ECONFIG);
    ck_assert_ptr_nonnull(strstr(result->err.text, "hosts client 70"));
    ck_assert_int_eq(fed_roster_file_load(&file, path, NULL), 0);
    ck_assert_uint_eq(file.n_entries, 2);
    ck_assert_int_eq(fed_roster_entry_verify(&file.entries[1], issuer.sign_key, NULL), 0);
    fed_roster_file_fini(&file);
    fed_roster_live_free(live);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("roster_signed");
    TCase *tcase = tcase_create("roster_signed");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, approved_entry_verifies_under_its_enrolment_key_alone);
    tcase_add_test(tcase, entry_that_says_more_than_was_signed_does_not_verify);
    tcase_add_test(tcase, second_key_needs_a_signature_of_its_own);
    tcase_add_test(tcase, entry_comes_back_from_its_certificate);
    tcase_add_test(tcase, removed_entry_cannot_be_put_back);
    tcase_add_test(tcase, certificate_that_was_exchanged_is_spent_and_the_one_that_stays_is_not);
    tcase_add_test(tcase, unsigned_entry_is_refused_and_the_others_hold);
    tcase_add_test(tcase, changed_file_is_taken_up_once);
    tcase_add_test(tcase, change_that_was_saved_right_after_a_join_is_taken_up);
    tcase_add_test(tcase, joined_entry_is_in_the_file_and_at_hand_and_twice_is_once);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
