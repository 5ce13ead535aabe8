/* Who is here: names by key, passes, claims against the roster, and the roster changing while nodes are here. */
#include "coordinator/nodes/nodes.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/seal/digest.h"

struct row {
    const char *name;
    uint8_t key, next; /* every byte of the CURVE key, and one more in the seal key; next 0 = none */
    uint64_t first, count;
    int64_t not_after;
};

static const struct row three[] = {
    {.name = "ward-7", .key = 7, .first = 7, .count = 1},
    {.name = "alpha", .key = 1, .next = 2, .first = 100, .count = 10},
    {.name = "mill", .key = 3, .first = 105, .count = 20, .not_after = 2000},
};

static void fill_keys(struct fed_public_keys *keys, uint8_t byte) {
    memset(keys->curve, byte, sizeof keys->curve);
    memset(keys->seal, byte + 1, sizeof keys->seal);
}

static struct fed_roster_file file_of(const struct row *rows, size_t n) {
    struct fed_roster_file file = {.entries = calloc(n + 1, sizeof *file.entries), .n_entries = n};
    ck_assert_ptr_nonnull(file.entries);
    for (size_t i = 0; i < n; i++) {
        struct fed_roster_entry *entry = &file.entries[i];
        snprintf(entry->name, sizeof entry->name, "%s", rows[i].name);
        fill_keys(&entry->keys, rows[i].key);
        fill_keys(&entry->next, rows[i].next);
        entry->has_next = rows[i].next != 0;
        entry->first_client = rows[i].first;
        entry->n_clients = rows[i].count;
        entry->not_after = rows[i].not_after;
    }
    return file;
}

static struct fed_nodes nodes_of(const struct row *rows, size_t n) {
    struct fed_roster_file file = file_of(rows, n);
    struct fed_roster *roster = NULL;
    struct fed_nodes nodes;
    ck_assert_int_eq(fed_roster_new(&roster, &file), FED_OK);
    ck_assert_int_eq(fed_nodes_init(&nodes, &roster), FED_OK);
    ck_assert_ptr_null(roster);
    return nodes;
}

static const char *user_of(const struct fed_nodes *nodes, size_t node, uint8_t key) {
    static char user[FED_USER_MAX];
    uint8_t curve[FED_KEY_BYTES];
    memset(curve, key, sizeof curve);
    fed_nodes_user(user, fed_roster_entry(nodes->roster, node), curve);
    return user;
}

/* -- names -------------------------------------------------------------------------------------------------------------- */

START_TEST(name_of_a_connection_is_node_and_key) {
    struct fed_nodes nodes = nodes_of(three, 3);
    ck_assert_str_eq(user_of(&nodes, 0, 7), "ward-7.0707070707070707");
    ck_assert_str_eq(user_of(&nodes, 1, 2), "alpha.0202020202020202");
    fed_nodes_fini(&nodes);
}
END_TEST

START_TEST(name_is_known_while_its_key_is_on_the_roster) {
    static const struct {
        const char *user;
        int64_t wall_s;
        int node; /* -1 = none */
    } rows[] = {{"ward-7.0707070707070707", 1, 0},
                {"alpha.0101010101010101", 1, 1},
                {"alpha.0202020202020202", 1, 1},
                {"alpha.0303030303030303", 1, -1},
                {"mill.0303030303030303", 1, 2},
                {"mill.0303030303030303", 2001, -1},
                {"ward-7", 1, -1},
                {"ward-7.", 1, -1},
                {"ward-7.07070707070707", 1, -1},
                {".0707070707070707", 1, -1},
                {"", 1, -1},
                {"nobody.0707070707070707", 1, -1}};
    struct fed_nodes nodes = nodes_of(three, 3);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t node = 99;
        int rc = fed_nodes_find_user(&node, &nodes, rows[i].user, rows[i].wall_s);
        ck_assert_msg(rc == (rows[i].node < 0 ? FED_ENOTFOUND : FED_OK), "%s", rows[i].user);
        ck_assert_uint_eq(node, rows[i].node < 0 ? 99 : (size_t)rows[i].node);
    }
    char longest[FED_USER_MAX];
    size_t node = 99;
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    longest[sizeof longest - 2] = '.';
    ck_assert_int_eq(fed_nodes_find_user(&node, &nodes, longest, 1), FED_ENOTFOUND);
    fed_nodes_fini(&nodes);
}
END_TEST

START_TEST(seal_key_is_that_of_the_pair_a_node_came_by) {
    struct fed_nodes nodes = nodes_of(three, 3);
    ck_assert_uint_eq(fed_nodes_seal_key(&nodes, 1, "alpha.0101010101010101")[0], 2);
    ck_assert_uint_eq(fed_nodes_seal_key(&nodes, 1, "alpha.0202020202020202")[0], 3);
    ck_assert_uint_eq(fed_nodes_seal_key(&nodes, 0, "ward-7.0707070707070707")[0], 8);
    fed_nodes_fini(&nodes);
}
END_TEST

/* -- passes ------------------------------------------------------------------------------------------------------------- */

static void issue(struct fed_nodes *nodes, size_t node, uint8_t byte) {
    memset(nodes->nodes[node].pass.handle, byte, 16);
    memset(nodes->nodes[node].pass.capability, byte + 1, 16);
    nodes->nodes[node].has_pass = true;
}

START_TEST(pass_lets_in_its_holder_and_nobody_else) {
    struct fed_nodes nodes = nodes_of(three, 3);
    char right[] = "51515151515151515151515151515151";
    const char *handle = "50505050505050505050505050505050";
    size_t node = 99;
    issue(&nodes, 1, 0x50);
    issue(&nodes, 2, 0x60);
    ck_assert_int_eq(fed_nodes_find_pass(&node, &nodes, handle, right), FED_OK);
    ck_assert_uint_eq(node, 1);
    node = 99;
    for (size_t i = 0; i < 32; i++) { /* any other digit anywhere */
        right[i] ^= 1;
        ck_assert_int_eq(fed_nodes_find_pass(&node, &nodes, handle, right), FED_ENOTFOUND);
        right[i] ^= 1;
    }
    ck_assert_int_eq(fed_nodes_find_pass(&node, &nodes, handle, "61616161616161616161616161616161"), FED_ENOTFOUND);
    ck_assert_int_eq(fed_nodes_find_pass(&node, &nodes, handle, ""), FED_ENOTFOUND);
    ck_assert_int_eq(fed_nodes_find_pass(&node, &nodes, "", right), FED_ENOTFOUND);
    ck_assert_int_eq(fed_nodes_find_pass(&node, &nodes, "00000000000000000000000000000000", right), FED_ENOTFOUND);
    nodes.nodes[1].has_pass = false; /* spent */
    ck_assert_int_eq(fed_nodes_find_pass(&node, &nodes, handle, right), FED_ENOTFOUND);
    ck_assert_uint_eq(node, 99);
    fed_nodes_fini(&nodes);
}
END_TEST

START_TEST(handle_is_32_lower_case_digits_that_are_all_right) {
    struct fed_nodes nodes = nodes_of(three, 3);
    const char *capability = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    const char *bad[] = {"BABABABABABABABABABABABABABABABA",  "babababababababababababababababab",
                         "bababababababababababababababa",    "bababababababababababababababab/",
                         "gababababababababababababababab0",  "babababababababababababababababab0",
                         " abababababababababababababababa0", "babababababababababababababababb"};
    size_t node = 99;
    issue(&nodes, 1, 0xba);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(fed_nodes_find_pass(&node, &nodes, bad[i], capability), FED_ENOTFOUND);
    }
    char handle[] = "babababababababababababababababa";
    for (size_t i = 0; i < 32; i++) { /* any other digit anywhere */
        handle[i] ^= 1;
        ck_assert_int_eq(fed_nodes_find_pass(&node, &nodes, handle, capability), FED_ENOTFOUND);
        handle[i] ^= 1;
    }
    ck_assert_uint_eq(node, 99);
    ck_assert_int_eq(fed_nodes_find_pass(&node, &nodes, handle, capability), FED_OK);
    ck_assert_uint_eq(node, 1);
    fed_nodes_fini(&nodes);
}
END_TEST

START_TEST(connection_of_a_pass_names_its_node_until_the_pass_is_taken_back) {
    struct fed_nodes nodes = nodes_of(three, 3);
    char user[FED_USER_MAX], other[FED_USER_MAX];
    size_t node = 99;
    issue(&nodes, 1, 0x50);
    issue(&nodes, 2, 0x60);
    fed_nodes_pass_user(user, 1, "50505050505050505050505050505050");
    ck_assert_int_eq(fed_nodes_find_pass_user(&node, &nodes, user), FED_OK);
    ck_assert_uint_eq(node, 1);
    node = 99;
    for (size_t i = 0; i < 4; i++) { /* another node's, nobody's */
        fed_nodes_pass_user(other, i, i == 1 ? "60606060606060606060606060606060" : "50505050505050505050505050505050");
        ck_assert_int_eq(fed_nodes_find_pass_user(&node, &nodes, other), FED_ENOTFOUND);
    }
    ck_assert_int_eq(fed_nodes_find_pass_user(&node, &nodes, ""), FED_ENOTFOUND);
    ck_assert_int_eq(fed_nodes_find_pass_user(&node, &nodes, "1"), FED_ENOTFOUND);
    fed_nodes_take_pass(&nodes, 1);
    ck_assert_int_eq(fed_nodes_find_pass_user(&node, &nodes, user), FED_ENOTFOUND);
    ck_assert_uint_eq(node, 99);
    fed_nodes_fini(&nodes);
}
END_TEST

START_TEST(pass_that_was_never_issued_is_no_pass) {
    struct fed_nodes nodes = nodes_of(three, 3);
    size_t node = 99;
    const char *zeros = "00000000000000000000000000000000";
    ck_assert_int_eq(fed_nodes_find_pass(&node, &nodes, zeros, zeros), FED_ENOTFOUND);
    fed_nodes_fini(&nodes);
}
END_TEST

/* -- clients ------------------------------------------------------------------------------------------------------------ */

START_TEST(claim_is_allowed_within_the_entry_only) {
    static const struct {
        size_t node;
        struct fed_id_range range;
        bool allowed;
    } rows[] = {
        {0, {7, 1}, true},           {0, {7, 2}, false},
        {0, {6, 1}, false},          {0, {8, 1}, false},
        {1, {100, 10}, true},        {1, {105, 5}, true},
        {1, {109, 1}, true},         {1, {109, 2}, false},
        {1, {110, 1}, false},        {1, {99, 1}, false},
        {1, {100, 11}, false},       {1, {0, UINT64_MAX}, false},
        {1, {UINT64_MAX, 1}, false}, {1, {101, UINT64_MAX - 101}, false},
    };
    struct fed_nodes nodes = nodes_of(three, 3);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fed_msg_hello hello = {.n_hosted = 1, .hosted = {rows[i].range}};
        ck_assert_msg(fed_nodes_claim_allowed(&nodes, rows[i].node, &hello) == rows[i].allowed, "row %zu", i);
    }
    struct fed_msg_hello hello = {.n_hosted = 2, .hosted = {{100, 1}, {110, 1}}}; /* one bad range is one too many */
    ck_assert(!fed_nodes_claim_allowed(&nodes, 1, &hello));
    hello.n_hosted = 0;
    ck_assert(!fed_nodes_claim_allowed(&nodes, 1, &hello));
    fed_nodes_fini(&nodes);
}
END_TEST

static void come(struct fed_nodes *nodes, size_t node, uint64_t first, uint64_t count) {
    nodes->nodes[node].online = true;
    nodes->nodes[node].hosted[nodes->nodes[node].n_hosted++] = (struct fed_id_range){first, count};
}

START_TEST(client_is_hosted_by_word_and_by_roster) {
    struct fed_nodes nodes = nodes_of(three, 3);
    ck_assert(!fed_nodes_hosts(&nodes, 1, 100)); /* not here */
    come(&nodes, 1, 102, 3);
    come(&nodes, 1, 108, 50); /* more than the roster gives it */
    for (uint64_t client = 95; client < 130; client++) {
        bool hosted = (client >= 102 && client < 105) || client == 108 || client == 109;
        ck_assert(fed_nodes_hosts(&nodes, 1, client) == hosted);
        ck_assert(fed_nodes_eligible(&nodes, client) == hosted);
    }
    nodes.nodes[1].online = false;
    ck_assert(!fed_nodes_eligible(&nodes, 102));
    fed_nodes_fini(&nodes);
}
END_TEST

/* Against a look at every node: ranges that nest, overlap, touch and leave gaps. */
START_TEST(client_is_eligible_when_any_node_hosts_it) {
    enum { MANY = 60, IDS = 300 };
    struct fed_rng rng;
    fed_rng_init(&rng, 1, "nodes", 0, 0);
    for (int turn = 0; turn < 20; turn++) {
        struct row rows[MANY];
        char names[MANY][16];
        for (size_t i = 0; i < MANY; i++) {
            snprintf(names[i], sizeof names[i], "node-%zu", i);
            rows[i] = (struct row){.name = names[i],
                                   .key = (uint8_t)(2 * i + 1),
                                   .first = fed_rng_below(&rng, IDS),
                                   .count = fed_rng_below(&rng, i % 7 == 0 ? 100 : 5)};
        }
        struct fed_nodes nodes = nodes_of(rows, MANY);
        for (size_t i = 0; i < MANY; i++) {
            if (fed_rng_below(&rng, 3) == 0 && rows[i].count > 0) {
                come(&nodes, i, rows[i].first, rows[i].count);
            }
        }
        for (uint64_t client = 0; client < IDS + 120; client++) {
            bool any = false;
            for (size_t i = 0; i < MANY; i++) {
                any = any || fed_nodes_hosts(&nodes, i, client);
            }
            ck_assert(fed_nodes_eligible(&nodes, client) == any);
        }
        ck_assert(!fed_nodes_eligible(&nodes, UINT64_MAX));
        fed_nodes_fini(&nodes);
    }
}
END_TEST

/* -- another roster ----------------------------------------------------------------------------------------------------- */

static int reload(struct fed_nodes *nodes, struct fed_roster_file *file) {
    struct fed_nodes next;
    int rc = fed_nodes_prepare(&next, nodes, file);
    if (rc == FED_OK) {
        fed_nodes_take(nodes, &next);
    }
    return rc;
}

START_TEST(entry_changes_when_keys_clients_rights_or_standing_do) {
    enum { SAME, SUMS, CLIENTS, KEYS, REVOKED, REFUSED, GONE, KINDS };
    for (int kind = SAME; kind < KINDS; kind++) {
        struct fed_nodes nodes = nodes_of(three, 3), next;
        struct fed_roster_file file = file_of(three, 3);
        switch (kind) {
        case SUMS: file.entries[1].partial_sums = !file.entries[1].partial_sums; break;
        case CLIENTS: file.entries[1].n_clients--; break;
        case KEYS: file.entries[1].keys.seal[31] ^= 1; break;
        case REVOKED: file.entries[1].revoked = 1; break;
        case REFUSED: file.entries[1].refused = true; break;
        case GONE: file.entries[1] = file.entries[2], file.n_entries = 2; break;
        default: break;
        }
        ck_assert_int_eq(fed_nodes_prepare(&next, &nodes, &file), FED_OK);
        for (size_t i = 0; i < 3; i++) {
            ck_assert_msg(fed_nodes_entry_changes(&nodes, &next, i) == (kind != SAME && i == 1), "kind %d node %zu", kind,
                          i);
        }
        fed_nodes_fini(&next);
        fed_nodes_fini(&nodes);
    }
}
END_TEST

START_TEST(revoked_node_is_unknown_until_it_is_readmitted) {
    struct fed_nodes nodes = nodes_of(three, 3);
    struct fed_roster_file revoked = file_of(three, 3), readmitted = file_of(three, 3);
    uint64_t population = fed_roster_population(nodes.roster);
    size_t node = 99;
    revoked.entries[1].revoked = 4000;
    ck_assert_int_eq(fed_nodes_find_user(&node, &nodes, "alpha.0101010101010101", 5000), FED_OK);
    ck_assert_int_eq(reload(&nodes, &revoked), FED_OK);
    ck_assert_int_eq(fed_nodes_find_user(&node, &nodes, "alpha.0101010101010101", 5000), FED_ENOTFOUND);
    ck_assert_uint_lt(fed_roster_population(nodes.roster), population);
    ck_assert_int_eq(reload(&nodes, &readmitted), FED_OK);
    ck_assert_int_eq(fed_nodes_find_user(&node, &nodes, "alpha.0101010101010101", 5000), FED_OK);
    ck_assert_uint_eq(node, 1);
    ck_assert_uint_eq(fed_roster_population(nodes.roster), population);
    fed_nodes_fini(&nodes);
}
END_TEST

START_TEST(node_keeps_its_index_and_its_state_across_rosters) {
    static const struct row later[] = {
        {.name = "new", .key = 9, .first = 500, .count = 2},
        {.name = "mill", .key = 3, .first = 105, .count = 20},
        {.name = "ward-7", .key = 17, .first = 7, .count = 1}, /* another key */
    };
    struct fed_nodes nodes = nodes_of(three, 3);
    struct fed_roster_file file = file_of(later, 3);
    size_t node = 99;
    come(&nodes, 2, 105, 20);
    issue(&nodes, 2, 0x60);
    ck_assert_int_eq(reload(&nodes, &file), FED_OK);
    ck_assert_ptr_null(file.entries);
    ck_assert_uint_eq(nodes.n_nodes, 4);
    ck_assert_str_eq(fed_roster_entry(nodes.roster, 0)->name, "ward-7");
    ck_assert_str_eq(fed_roster_entry(nodes.roster, 2)->name, "mill");
    ck_assert_str_eq(fed_roster_entry(nodes.roster, 3)->name, "new");
    ck_assert(nodes.nodes[2].online && fed_nodes_eligible(&nodes, 124));
    ck_assert_int_eq(
        fed_nodes_find_pass(&node, &nodes, "60606060606060606060606060606060", "61616161616161616161616161616161"), FED_OK);
    ck_assert_int_eq(fed_nodes_find_user(&node, &nodes, "ward-7.0707070707070707", 5000), FED_ENOTFOUND);
    ck_assert_int_eq(fed_nodes_find_user(&node, &nodes, "ward-7.1111111111111111", 5000), FED_OK);
    ck_assert_int_eq(fed_nodes_find_user(&node, &nodes, "alpha.0101010101010101", 5000), FED_ENOTFOUND);
    ck_assert_uint_eq(fed_roster_population(nodes.roster), 1 + 20 + 2); /* alpha hosts nobody any more */
    ck_assert(!nodes.nodes[3].online);
    fed_nodes_fini(&nodes);
}
END_TEST

START_TEST(entry_that_comes_back_is_the_same_node) {
    struct fed_nodes nodes = nodes_of(three, 3);
    struct fed_roster_file without = file_of(three, 1), again = file_of(three, 3);
    size_t node = 99;
    ck_assert_int_eq(reload(&nodes, &without), FED_OK);
    ck_assert_int_eq(fed_nodes_find_user(&node, &nodes, "alpha.0101010101010101", 5000), FED_ENOTFOUND);
    ck_assert_int_eq(reload(&nodes, &again), FED_OK);
    ck_assert_uint_eq(nodes.n_nodes, 3);
    ck_assert_int_eq(fed_nodes_find_user(&node, &nodes, "alpha.0101010101010101", 1), FED_OK);
    ck_assert_uint_eq(node, 1);
    ck_assert_uint_eq(fed_roster_population(nodes.roster), 1 + 25);
    fed_nodes_fini(&nodes);
}
END_TEST

/* A node that was renamed keeps its key: the entry it had must not stand in its way. */
START_TEST(key_under_a_new_name_is_found_under_that_name) {
    static const struct row renamed[] = {{.name = "ward-8", .key = 7, .first = 8, .count = 1}};
    struct fed_nodes nodes = nodes_of(three, 1);
    struct fed_roster_file file = file_of(renamed, 1);
    uint8_t curve[FED_KEY_BYTES];
    size_t node = 99;
    memset(curve, 7, sizeof curve);
    ck_assert_int_eq(reload(&nodes, &file), FED_OK);
    ck_assert_int_eq(fed_roster_find_curve(&node, nodes.roster, curve, 5000, NULL), FED_OK);
    ck_assert_str_eq(fed_roster_entry(nodes.roster, node)->name, "ward-8");
    fed_nodes_fini(&nodes);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("nodes");
    TCase *tcase = tcase_create("nodes");
    tcase_add_test(tcase, name_of_a_connection_is_node_and_key);
    tcase_add_test(tcase, name_is_known_while_its_key_is_on_the_roster);
    tcase_add_test(tcase, seal_key_is_that_of_the_pair_a_node_came_by);
    tcase_add_test(tcase, pass_lets_in_its_holder_and_nobody_else);
    tcase_add_test(tcase, handle_is_32_lower_case_digits_that_are_all_right);
    tcase_add_test(tcase, connection_of_a_pass_names_its_node_until_the_pass_is_taken_back);
    tcase_add_test(tcase, pass_that_was_never_issued_is_no_pass);
    tcase_add_test(tcase, claim_is_allowed_within_the_entry_only);
    tcase_add_test(tcase, client_is_hosted_by_word_and_by_roster);
    tcase_add_test(tcase, client_is_eligible_when_any_node_hosts_it);
    tcase_add_test(tcase, entry_changes_when_keys_clients_rights_or_standing_do);
    tcase_add_test(tcase, revoked_node_is_unknown_until_it_is_readmitted);
    tcase_add_test(tcase, node_keeps_its_index_and_its_state_across_rosters);
    tcase_add_test(tcase, entry_that_comes_back_is_the_same_node);
    tcase_add_test(tcase, key_under_a_new_name_is_found_under_that_name);
    tcase_add_test(tcase, key_under_a_new_name_is_found_under_that_name);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
