/* Who is here and hosts whom, against asking every node. */
#include "coordinator/nodes.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODES = 24, IDS = 120 };

/* n entries with ranges drawn from *state; every third hosts nothing. */
static struct fed_roster_file draw_file(uint32_t *state, size_t n) {
    struct fed_roster_file file = {.entries = calloc(n + 1, sizeof *file.entries), .n_entries = n};
    ck_assert_ptr_nonnull(file.entries);
    for (size_t i = 0; i < n; i++) {
        struct fed_roster_entry *entry = &file.entries[i];
        *state = *state * 1664525u + 1013904223u;
        snprintf(entry->name, sizeof entry->name, "n%zu", i);
        memset(entry->keys.curve, (int)i + 1, sizeof entry->keys.curve);
        entry->first_client = (*state >> 8) % (IDS - 20);
        entry->n_clients = i % 3 == 2 ? 0 : (*state >> 20) % 20;
    }
    return file;
}

static struct fed_nodes make(struct fed_roster_file *file) {
    struct fed_roster *roster = NULL;
    struct fed_nodes nodes;
    ck_assert_int_eq(fed_roster_new(&roster, file), 0);
    ck_assert_int_eq(fed_nodes_init(&nodes, &roster), 0);
    ck_assert_ptr_null(roster);
    return nodes;
}

/* Says HELLO for the node: it claims what its entry gives it, or only the first half. */
static void join(struct fed_nodes *nodes, size_t i, bool half) {
    const struct fed_roster_entry *entry = fed_roster_entry(nodes->roster, i);
    nodes->nodes[i].online = true;
    nodes->nodes[i].n_hosted = 1;
    nodes->nodes[i].hosted[0] =
        (struct fed_id_range){.first = entry->first_client, .count = half ? entry->n_clients / 2 : entry->n_clients};
}

static void check_everybody(const struct fed_nodes *nodes) {
    for (uint64_t client = 0; client <= IDS; client++) {
        bool hosted = false;
        for (size_t i = 0; i < nodes->n_nodes; i++) {
            hosted = hosted || fed_nodes_hosts(nodes, i, client);
        }
        ck_assert_int_eq(fed_nodes_eligible(nodes, client), hosted);
    }
}

START_TEST(a_client_is_eligible_while_a_node_that_is_here_claims_it) {
    uint32_t state = 7;
    for (size_t run = 0; run < 200; run++) {
        struct fed_roster_file file = draw_file(&state, run % (NODES + 1));
        struct fed_nodes nodes = make(&file);
        check_everybody(&nodes);
        for (size_t i = 0; i < nodes.n_nodes; i++) {
            join(&nodes, i, (state >> i & 1) != 0);
            nodes.nodes[i].online = i % 4 != 3;
        }
        check_everybody(&nodes);
        fed_nodes_fini(&nodes);
    }
}
END_TEST

START_TEST(the_last_client_id_of_all_can_be_hosted) {
    struct fed_roster_file file = {.entries = calloc(2, sizeof *file.entries), .n_entries = 2};
    ck_assert_ptr_nonnull(file.entries);
    snprintf(file.entries[0].name, sizeof file.entries[0].name, "last");
    file.entries[0].first_client = UINT64_MAX - 1;
    file.entries[0].n_clients = 1;
    snprintf(file.entries[1].name, sizeof file.entries[1].name, "first");
    file.entries[1].n_clients = 1;
    struct fed_nodes nodes = make(&file);
    join(&nodes, 0, false);
    join(&nodes, 1, false);
    ck_assert(fed_nodes_eligible(&nodes, UINT64_MAX - 1));
    ck_assert(!fed_nodes_eligible(&nodes, UINT64_MAX));
    ck_assert(fed_nodes_eligible(&nodes, 0));
    ck_assert(!fed_nodes_eligible(&nodes, 1));
    fed_nodes_fini(&nodes);
}
END_TEST

START_TEST(a_node_keeps_its_place_and_presence_across_a_reload) {
    uint32_t state = 11;
    struct fed_roster_file file = draw_file(&state, 4);
    struct fed_nodes nodes = make(&file);
    join(&nodes, 0, false);
    join(&nodes, 3, false);
    struct fed_roster_file next = {.entries = calloc(2, sizeof *next.entries), .n_entries = 2};
    ck_assert_ptr_nonnull(next.entries);
    snprintf(next.entries[0].name, sizeof next.entries[0].name, "new");
    next.entries[0].first_client = IDS - 1;
    next.entries[0].n_clients = 1;
    next.entries[1] = *fed_roster_entry(nodes.roster, 3);
    ck_assert(fed_nodes_entry_changes(&nodes, 0, &next));
    ck_assert(!fed_nodes_entry_changes(&nodes, 3, &next));
    ck_assert_int_eq(fed_nodes_reload(&nodes, &next), 0);
    ck_assert_uint_eq(nodes.n_nodes, 5);
    ck_assert_str_eq(fed_roster_entry(nodes.roster, 3)->name, "n3");
    ck_assert_str_eq(fed_roster_entry(nodes.roster, 4)->name, "new");
    ck_assert(nodes.nodes[3].online);
    join(&nodes, 4, false);
    ck_assert(fed_nodes_eligible(&nodes, IDS - 1));
    check_everybody(&nodes);
    ck_assert(!fed_roster_valid(nodes.roster, 0, 1000));
    fed_nodes_fini(&nodes);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("nodes");
    TCase *tcase = tcase_create("nodes");
    tcase_add_test(tcase, a_client_is_eligible_while_a_node_that_is_here_claims_it);
    tcase_add_test(tcase, the_last_client_id_of_all_can_be_hosted);
    tcase_add_test(tcase, a_node_keeps_its_place_and_presence_across_a_reload);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
