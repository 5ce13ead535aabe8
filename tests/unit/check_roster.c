/* The roster as the coordinator sees it: who holds a key, who hosts a client, how many there are. */
#include "coordinator/nodes/roster.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
    const char *name;
    uint8_t key, next; /* every byte of the CURVE key; next 0 = none */
    uint64_t first, count;
    int64_t not_before, not_after;
};

static struct fed_roster *make(const struct row *rows, size_t n) {
    struct fed_roster_file file = {.entries = calloc(n + 1, sizeof *file.entries), .n_entries = n};
    ck_assert_ptr_nonnull(file.entries);
    for (size_t i = 0; i < n; i++) {
        struct fed_roster_entry *entry = &file.entries[i];
        snprintf(entry->name, sizeof entry->name, "%s", rows[i].name);
        memset(entry->keys.curve, rows[i].key, sizeof entry->keys.curve);
        memset(entry->next.curve, rows[i].next, sizeof entry->next.curve);
        entry->has_next = rows[i].next != 0;
        entry->first_client = rows[i].first;
        entry->n_clients = rows[i].count;
        entry->not_before = rows[i].not_before;
        entry->not_after = rows[i].not_after;
    }
    struct fed_roster *roster = NULL;
    ck_assert_int_eq(fed_roster_new(&roster, &file), 0);
    ck_assert_ptr_null(file.entries);
    ck_assert_uint_eq(file.n_entries, 0);
    return roster;
}

static const struct row three[] = {
    {.name = "ward-7", .key = 7, .first = 7, .count = 1},
    {.name = "alpha", .key = 1, .next = 2, .first = 100, .count = 10, .not_before = 1000},
    {.name = "mill", .key = 3, .first = 20, .count = 5, .not_before = 1000, .not_after = 2000},
};

static int find_key(size_t *node, const struct fed_roster *roster, uint8_t byte, int64_t wall_s) {
    uint8_t key[FED_KEY_BYTES];
    memset(key, byte, sizeof key);
    return fed_roster_find_curve(node, roster, key, wall_s, NULL);
}

START_TEST(a_key_finds_its_node_while_the_entry_is_valid) {
    static const struct {
        uint8_t key;
        int64_t wall_s;
        int node; /* -1 = none */
    } rows[] = {{7, 0, 0},    {7, 1 << 30, 0}, {1, 999, -1}, {1, 1000, 1},  {2, 1000, 1},  {2, 999, -1},
                {3, 999, -1}, {3, 1500, 2},    {3, 2000, 2}, {3, 2001, -1}, {9, 1500, -1}, {0, 1500, -1}};
    struct fed_roster *roster = make(three, 3);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t node = 99;
        int rc = find_key(&node, roster, rows[i].key, rows[i].wall_s);
        ck_assert_msg(rc == (rows[i].node < 0 ? FED_ENOTFOUND : 0), "row %zu", i);
        ck_assert_msg(node == (rows[i].node < 0 ? 99 : (size_t)rows[i].node), "row %zu", i);
    }
    fed_roster_free(roster);
}
END_TEST

START_TEST(an_entry_that_does_not_hold_says_why) {
    static const struct {
        int64_t revoked, wall_s;
        bool refused;
        const char *why;
    } rows[] = {{0, 1500, false, ""},
                {0, 999, false, "its entry does not hold before 1970-01-01T00:16:40Z"},
                {0, 2001, false, "its entry ended on 1970-01-01T00:33:20Z"},
                {86400, 1500, false, "its entry was revoked on 1970-01-02"},
                {0, 1500, true, "its entry does not verify under server.enrolment_key"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fed_roster *roster = make(three, 3);
        struct fed_roster_entry *mill = (struct fed_roster_entry *)(uintptr_t)fed_roster_entry(roster, 2);
        char why[FED_ROSTER_WHY_MAX];
        size_t node = 99, any = 99;
        mill->revoked = rows[i].revoked;
        mill->refused = rows[i].refused;
        fed_roster_why(why, roster, 2, rows[i].wall_s);
        ck_assert_str_eq(why, rows[i].why);
        ck_assert_int_eq(fed_roster_valid(roster, 2, rows[i].wall_s), rows[i].why[0] == '\0');
        ck_assert_int_eq(fed_roster_find_curve(&node, roster, mill->keys.curve, rows[i].wall_s, &any),
                         rows[i].why[0] == '\0' ? 0 : FED_ENOTFOUND);
        ck_assert_uint_eq(rows[i].why[0] == '\0' ? node : any, 2);
        fed_roster_free(roster);
    }
}
END_TEST

START_TEST(a_key_that_differs_in_any_one_bit_finds_nobody) {
    struct fed_roster *roster = make(three, 1);
    for (unsigned bit = 0; bit < 8 * FED_KEY_BYTES; bit++) {
        uint8_t key[FED_KEY_BYTES];
        memset(key, 7, sizeof key);
        key[bit / 8] ^= (uint8_t)(1u << bit % 8);
        size_t node;
        ck_assert_int_eq(fed_roster_find_curve(&node, roster, key, 0, NULL), FED_ENOTFOUND);
    }
    fed_roster_free(roster);
}
END_TEST

START_TEST(a_name_finds_its_node_in_file_order) {
    struct fed_roster *roster = make(three, 3);
    ck_assert_uint_eq(fed_roster_size(roster), 3);
    for (size_t i = 0; i < 3; i++) {
        size_t node;
        ck_assert_int_eq(fed_roster_find_name(&node, roster, three[i].name), 0);
        ck_assert_uint_eq(node, i);
        ck_assert_str_eq(fed_roster_entry(roster, node)->name, three[i].name);
    }
    size_t node = 99;
    ck_assert_int_eq(fed_roster_find_name(&node, roster, "ward-"), FED_ENOTFOUND);
    ck_assert_uint_eq(node, 99);
    fed_roster_free(roster);
}
END_TEST

START_TEST(an_empty_roster_knows_nobody) {
    struct fed_roster *roster = make(NULL, 0);
    size_t node;
    ck_assert_uint_eq(fed_roster_size(roster), 0);
    ck_assert_uint_eq(fed_roster_population(roster), 0);
    ck_assert_int_eq(find_key(&node, roster, 0, 0), FED_ENOTFOUND);
    ck_assert_int_eq(fed_roster_find_name(&node, roster, "ward-7"), FED_ENOTFOUND);
    fed_roster_free(roster);
}
END_TEST

START_TEST(a_node_hosts_exactly_its_range) {
    const struct row rows[] = {{.name = "a", .first = 20, .count = 5},
                               {.name = "b", .first = UINT64_MAX - 1, .count = 1},
                               {.name = "c", .first = 0, .count = 0}};
    struct fed_roster *roster = make(rows, 3);
    ck_assert(!fed_roster_hosts(roster, 0, 19));
    ck_assert(fed_roster_hosts(roster, 0, 20));
    ck_assert(fed_roster_hosts(roster, 0, 24));
    ck_assert(!fed_roster_hosts(roster, 0, 25));
    ck_assert(!fed_roster_hosts(roster, 1, UINT64_MAX - 2));
    ck_assert(fed_roster_hosts(roster, 1, UINT64_MAX - 1));
    ck_assert(!fed_roster_hosts(roster, 1, UINT64_MAX));
    ck_assert(!fed_roster_hosts(roster, 2, 0));
    ck_assert_uint_eq(fed_roster_population(roster), 6);
    fed_roster_free(roster);
}
END_TEST

/* The truth here is a bitmap of ids. */
START_TEST(the_population_is_every_hosted_id_once_in_order) {
    enum { IDS = 200 };
    uint32_t state = 1;
    for (int run = 0; run < 500; run++) {
        struct row rows[12];
        char names[12][8];
        bool hosted[IDS] = {false};
        size_t n = (size_t)run % 12 + 1;
        for (size_t i = 0; i < n; i++) {
            state = state * 1664525u + 1013904223u;
            uint64_t first = (state >> 8) % 150, count = (state >> 20) % 50;
            snprintf(names[i], sizeof names[i], "n%zu", i);
            rows[i] = (struct row){.name = names[i], .first = first, .count = count};
            memset(&hosted[first], 1, count);
        }
        struct fed_roster *roster = make(rows, n);
        uint64_t k = 0;
        for (uint64_t id = 0; id < IDS; id++) {
            if (hosted[id]) {
                ck_assert_uint_lt(k, fed_roster_population(roster));
                ck_assert_uint_eq(fed_roster_client(roster, k), id);
                k++;
            }
        }
        ck_assert_uint_eq(k, fed_roster_population(roster));
        fed_roster_free(roster);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("roster");
    TCase *tcase = tcase_create("roster");
    tcase_add_test(tcase, a_key_finds_its_node_while_the_entry_is_valid);
    tcase_add_test(tcase, a_key_that_differs_in_any_one_bit_finds_nobody);
    tcase_add_test(tcase, an_entry_that_does_not_hold_says_why);
    tcase_add_test(tcase, a_name_finds_its_node_in_file_order);
    tcase_add_test(tcase, an_empty_roster_knows_nobody);
    tcase_add_test(tcase, a_node_hosts_exactly_its_range);
    tcase_add_test(tcase, the_population_is_every_hosted_id_once_in_order);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
