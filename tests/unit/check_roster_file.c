/* The roster: written by one command, read by a coordinator that trusts nothing in it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/config/roster_file.h"

static char dir[64], path[96];
static char lines[4][FED_PUBLIC_LINE_MAX]; /* public lines of four identities */
static struct fed_public_keys keys[4];

static void setup(void) {
    ck_assert_int_eq(fed_seal_setup(NULL), 0);
    snprintf(dir, sizeof dir, "/tmp/check_roster_file.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/roster", dir);
    for (uint8_t i = 0; i < 4; i++) {
        uint8_t seed[FED_KEY_BYTES] = {i};
        struct fed_identity identity;
        ck_assert_int_eq(fed_identity_from_seed(&identity, seed), 0);
        keys[i] = identity.public_keys;
        fed_public_line(lines[i], &keys[i]);
        fed_identity_fini(&identity);
    }
}

static void teardown(void) {
    unlink(path);
    ck_assert_int_eq(rmdir(dir), 0);
}

/* Writes the text to the roster file, each %0 .. %3 in it replaced by a public line. */
static void write_roster(const char *text) {
    char whole[4096];
    size_t n = 0;
    for (const char *c = text; *c != '\0'; c++) {
        bool key = c[0] == '%' && c[1] >= '0' && c[1] <= '3';
        n += (size_t)snprintf(whole + n, sizeof whole - n, "%.*s", key ? 200 : 1, key ? lines[c[1] - '0'] : c);
        ck_assert_uint_lt(n, sizeof whole);
        c += key;
    }
    struct iovec part = {whole, n};
    ck_assert_int_eq(fed_file_replace(path, &part, 1, 0600, NULL), 0);
}

static struct fed_roster_entry node(const char *name, int key, uint64_t first, uint64_t n, bool sums) {
    struct fed_roster_entry entry = {.keys = keys[key], .first_client = first, .n_clients = n, .partial_sums = sums};
    snprintf(entry.name, sizeof entry.name, "%s", name);
    return entry;
}

START_TEST(a_roster_is_read_with_its_defaults) {
    struct fed_roster_file roster;
    struct fed_error err = {.text = ""};
    write_roster("schema: 1\nnodes:\n- {name: ward-7, key: '%0', clients: {first: 7}}\n"
                 "- name: site-b\n  key: '%1'\n  next_key: '%2'\n  clients: {first: 100, count: 50}\n  partial_sums: yes\n"
                 "  not_before: 2026-01-01\n  not_after: 2027-01-01T06:30:00Z\n");
    ck_assert_msg(fed_roster_file_load(&roster, path, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(roster.n_entries, 2);
    const struct fed_roster_entry *a = &roster.entries[0], *b = &roster.entries[1];
    ck_assert_str_eq(a->name, "ward-7");
    ck_assert_mem_eq(&a->keys, &keys[0], sizeof keys[0]);
    ck_assert(!a->has_next && !a->partial_sums && a->not_before == 0 && a->not_after == 0);
    ck_assert_uint_eq(a->first_client, 7);
    ck_assert_uint_eq(a->n_clients, 1);
    ck_assert_mem_eq(&b->next, &keys[2], sizeof keys[2]);
    ck_assert(b->has_next && b->partial_sums);
    ck_assert_int_eq(b->not_before, 1767225600); /* date -u -d 2026-01-01 +%s */
    ck_assert_int_eq(b->not_after, 1798785000);  /* date -u -d 2027-01-01T06:30:00Z +%s */
    ck_assert_uint_eq(b->n_clients, 50);
    fed_roster_file_fini(&roster);
}
END_TEST

START_TEST(a_saved_roster_reads_the_same) {
    struct fed_roster_entry entries[] = {node("a", 0, 0, 100, true), node("b", 1, 50, 100, true),
                                         node("c", 2, 200, 1, false)};
    struct fed_roster_file roster = {entries, 3}, back;
    struct fed_error err = {.text = ""};
    entries[1].has_next = true;
    entries[1].next = keys[3];
    entries[2].not_before = 86400;
    entries[2].not_after = 253402300799; /* the last second of 9999 */
    ck_assert_msg(fed_roster_file_save(&roster, path, &err) == 0, "%s", err.text);
    ck_assert_msg(fed_roster_file_load(&back, path, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(back.n_entries, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct fed_roster_entry *x = &entries[i], *y = &back.entries[i];
        ck_assert_str_eq(x->name, y->name);
        ck_assert_mem_eq(&x->keys, &y->keys, sizeof x->keys);
        ck_assert_int_eq(x->has_next, y->has_next);
        ck_assert_mem_eq(&x->next, &y->next, sizeof x->next);
        ck_assert_uint_eq(x->first_client, y->first_client);
        ck_assert_uint_eq(x->n_clients, y->n_clients);
        ck_assert_int_eq(x->partial_sums, y->partial_sums);
        ck_assert_int_eq(x->not_before, y->not_before);
        ck_assert_int_eq(x->not_after, y->not_after);
    }
    fed_roster_file_fini(&back);
}
END_TEST

START_TEST(an_empty_roster_can_be_saved_and_read) {
    struct fed_roster_file roster = {NULL, 0}, back;
    ck_assert_int_eq(fed_roster_file_save(&roster, path, NULL), 0);
    ck_assert_int_eq(fed_roster_file_load(&back, path, NULL), 0);
    ck_assert_uint_eq(back.n_entries, 0);
    fed_roster_file_fini(&back);
}
END_TEST

START_TEST(a_roster_of_two_thousand_nodes_is_read) {
    enum { N = 2000 };
    struct fed_roster_entry *entries = calloc(N, sizeof *entries);
    ck_assert_ptr_nonnull(entries);
    for (size_t i = 0; i < N; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%zu", i);
        entries[i] = node(name, 0, N - i, 1, false);
        for (size_t k = 0; k < sizeof i; k++) {
            entries[i].keys.curve[k] = entries[i].keys.seal[k] = (uint8_t)(i >> (8 * k));
        }
    }
    struct fed_roster_file roster = {entries, N}, back;
    struct fed_error err = {.text = ""};
    ck_assert_msg(fed_roster_file_save(&roster, path, &err) == 0, "%s", err.text);
    ck_assert_msg(fed_roster_file_load(&back, path, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(back.n_entries, N);
    ck_assert_str_eq(back.entries[N - 1].name, "n1999");
    fed_roster_file_fini(&back);
    free(entries);
}
END_TEST

#define NODE(name, key, rest) "- {name: " name ", key: '" key "', " rest "}\n"
#define HEAD "schema: 1\nnodes:\n"

static const struct {
    const char *text, *sentence; /* the sentence after the path of the file */
} wrong[] = {
    {"nodes: []\n", ": holds nothing, expected a roster: fedavg-roster(1)"},
    {"nodes: [{name: a}]\n", ": schema: missing, expected 1, the only schema this version knows"},
    {"schema: 3\n", ":1: schema: found \"3\", expected 1, the only schema this version knows"},
    {"schema: 1\nnode: x\n", ":2: node: unknown key; did you mean nodes[].name?"},
    {"schema: 1\nnodes: x\n", ":2: nodes: found \"x\", expected a section or list that holds nodes[].name"},
    {"schema: 1\nnodes: {name: x}\n", ":2: nodes.name: unknown key; did you mean nodes[].name?"},
    {HEAD "- {}\n", ":3: an item of a list is empty"},
    {HEAD NODE("A", "%0", "clients: {first: 1}"),
     ":3: nodes[0].name: found \"A\", expected a name of 1 to 63 characters from a-z, 0-9 and -"},
    {HEAD "- {key: '%0', clients: {first: 1}}\n",
     ":3: nodes[0].name: missing, expected a name of 1 to 63 characters from a-z, 0-9 and -"},
    {HEAD "- {name: a, clients: {first: 1}}\n", ":3: nodes[0].key: missing, expected a public line, fedavg1:..."},
    {HEAD NODE("a", "%0", "clients: {first: 1}") NODE("b", "%1", "partial_sums: no"),
     ":4: nodes[1].clients.first: missing, expected a whole number from 0 to 2147483648"},
    {HEAD NODE("a", "%0", "clients: {first: 1, count: 0}"),
     ":3: nodes[0].clients.count: found \"0\", expected a whole number from 1 to 2147483648"},
    {HEAD NODE("a", "%0", "clients: {first: 1, coun: 2}"),
     ":3: nodes[0].clients.coun: unknown key; did you mean nodes[].clients.count?"},
    {HEAD NODE("a", "%0", "clients: {first: 1}, not_after: 2026-02-30"),
     ":3: nodes[0].not_after: found \"2026-02-30\", expected a date such as 2026-01-01 or 2026-01-01T12:00:00Z"},
    {HEAD NODE("a", "%0", "clients: {first: 1}, not_after: 01.02.2026"),
     ":3: nodes[0].not_after: found \"01.02.2026\", expected a date such as 2026-01-01 or 2026-01-01T12:00:00Z"},
    {HEAD NODE("a", "%0", "clients: {first: 1}, not_before: 2027-01-01, not_after: 2026-01-01"),
     ":3: node a: not_after is not later than not_before"},
    {HEAD NODE("a", "%0", "clients: {first: 1}") NODE("b", "%1", "clients: {first: 2}")
         NODE("a", "%2", "clients: {first: 3}"),
     ":5: node a: has the same name as node a"},
    {HEAD NODE("a", "%0", "clients: {first: 1}") NODE("b", "%0", "clients: {first: 2}"),
     ":4: node b: has the same key as node a"},
    {HEAD NODE("a", "%0", "clients: {first: 1}") NODE("b", "%1", "clients: {first: 2}, next_key: '%0'"),
     ":4: node b: has the same key as node a"},
    {HEAD NODE("a", "%0", "clients: {first: 1}, next_key: '%0'"), ":3: node a: has the same key as node a"},
    {HEAD NODE("a", "%0", "clients: {first: 10, count: 5}") NODE("b", "%1", "clients: {first: 14, count: 1}"),
     ":4: node b: hosts client 14, which node a hosts already (both need partial_sums: yes to share clients)"},
    {HEAD NODE("a", "%0", "clients: {first: 10, count: 5}, partial_sums: yes") NODE("b", "%1", "clients: {first: 12}"),
     ":4: node b: hosts client 12, which node a hosts already (both need partial_sums: yes to share clients)"},
    {HEAD NODE("a", "%0", "clients: {first: 10, count: 5}")
         NODE("b", "%1", "clients: {first: 0, count: 11}, partial_sums: yes"),
     ":3: node a: hosts client 10, which node b hosts already (both need partial_sums: yes to share clients)"},
    /* a wide range that began long before: not the neighbour in order */
    {HEAD NODE("a", "%0", "clients: {first: 0, count: 100}, partial_sums: yes")
         NODE("b", "%1", "clients: {first: 10, count: 5}, partial_sums: yes") NODE("c", "%2", "clients: {first: 50}"),
     ":5: node c: hosts client 50, which node a hosts already (both need partial_sums: yes to share clients)"},
};

START_TEST(a_wrong_roster_is_refused_in_one_sentence) {
    struct fed_roster_file roster = {NULL, 99};
    struct fed_error err = {.text = ""};
    char expected[512];
    write_roster(wrong[_i].text);
    snprintf(expected, sizeof expected, "%s%s", path, wrong[_i].sentence);
    ck_assert_int_eq(fed_roster_file_load(&roster, path, &err), FED_ECONFIG);
    ck_assert_str_eq(err.text, expected);
    ck_assert_uint_eq(roster.n_entries, 99);
}
END_TEST

START_TEST(ranges_may_touch_and_may_overlap_between_nodes_of_one_operator) {
    struct fed_roster_file roster;
    struct fed_error err = {.text = ""};
    write_roster(HEAD NODE("a", "%0", "clients: {first: 0, count: 100}, partial_sums: yes") NODE(
        "b", "%1", "clients: {first: 0, count: 100}, partial_sums: yes") NODE("c", "%2", "clients: {first: 100}"));
    ck_assert_msg(fed_roster_file_load(&roster, path, &err) == 0, "%s", err.text);
    fed_roster_file_fini(&roster);
}
END_TEST

START_TEST(a_refused_save_leaves_the_file_as_it_was) {
    struct fed_roster_entry entries[] = {node("a", 0, 0, 1, false), node("a", 1, 1, 1, false)};
    struct fed_roster_file good = {entries, 1}, bad = {entries, 2}, back;
    struct fed_error err = {.text = ""};
    char expected[256];
    snprintf(expected, sizeof expected, "%s: node a: has the same name as node a", path);
    ck_assert_int_eq(fed_roster_file_save(&good, path, NULL), 0);
    ck_assert_int_eq(fed_roster_file_save(&bad, path, &err), FED_ECONFIG);
    ck_assert_str_eq(err.text, expected);
    ck_assert_int_eq(fed_roster_file_load(&back, path, NULL), 0);
    ck_assert_uint_eq(back.n_entries, 1);
    fed_roster_file_fini(&back);
}
END_TEST

START_TEST(dates_are_exact_or_refused) {
    static const struct {
        const char *text;
        int64_t seconds; /* 0: refused */
    } rows[] = {
        {"2000-02-29", 951782400},
        {"2024-02-29T23:59:59Z", 1709251199},
        {"2001-02-29", 0},
        {"2026-13-01", 0},
        {"2026-00-01", 0},
        {"2026-01-32", 0},
        {"2026-1-1", 0},
        {"2026-01-01T24:00:00Z", 0},
        {"2026-01-01T12:00:60Z", 0},
        {"2026-01-01T12:00:00", 0},
        {"2026-01-01 12:00:00Z", 0},
        {"2026-01-01x", 0},
        {"1970-01-01", 0},
        {"1969-12-31", 0},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t seconds = 0;
        char text[FED_ROSTER_DATE_MAX];
        int code = fed_roster_date_parse(&seconds, rows[i].text);
        ck_assert_msg(code == (rows[i].seconds != 0 ? 0 : FED_ECONFIG), "%s", rows[i].text);
        ck_assert_int_eq(seconds, rows[i].seconds);
        if (code == 0) {
            fed_roster_date_format(text, seconds);
            ck_assert_str_eq(text, rows[i].text);
        }
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("roster_file");
    TCase *c = tcase_create("roster_file");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_roster_is_read_with_its_defaults);
    tcase_add_test(c, a_saved_roster_reads_the_same);
    tcase_add_test(c, an_empty_roster_can_be_saved_and_read);
    tcase_add_test(c, a_roster_of_two_thousand_nodes_is_read);
    tcase_add_loop_test(c, a_wrong_roster_is_refused_in_one_sentence, 0, (int)(sizeof wrong / sizeof *wrong));
    tcase_add_test(c, ranges_may_touch_and_may_overlap_between_nodes_of_one_operator);
    tcase_add_test(c, a_refused_save_leaves_the_file_as_it_was);
    tcase_add_test(c, dates_are_exact_or_refused);
    suite_add_tcase(s, c);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
