/* What cannot be split is refused with a sentence. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/data/dataset.h"
#include "common/data/partition.h"
#include "tests/unit/partition/fixture.h"

#define NONE FED_PARTITION_NONE
#define IID FED_PARTITION_IID
#define SHARDS FED_PARTITION_SHARDS
#define DIRICHLET FED_PARTITION_DIRICHLET
#define QUANTITY FED_PARTITION_QUANTITY
#define NATURAL FED_PARTITION_NATURAL

START_TEST(impossible_partitions_are_refused_with_a_sentence) {
    static const struct {
        struct fed_partition_spec spec;
        const char *sentence;
    } wrong[] = {
        {{IID, 61, 0, 0, 0},
         "data.partition.clients: 61 found, 1 to 60 is allowed: every client needs an example of its own, unless "
         "examples_per_client is given"},
        {{IID, 0, 0, 0, 0}, "data.partition.clients: 0 found"},
        {{SHARDS, 61, 1, 0, 0}, "data.partition.clients: 61 found, 1 to 60 is allowed: every client needs an example"},
        {{SHARDS, 31, 2, 0, 0}, "data.partition.shards_per_client: 2 found, which for 31 clients makes 62 shards;"},
        {{SHARDS, 30, 0, 0, 0}, "data.partition.shards_per_client: 0 found"},
        {{SHARDS, 32, 1u << 27, 0, 0}, "data.partition.shards_per_client: 134217728 found, which for 32 clients"},
        {{DIRICHLET, 61, 0, 1, 0}, "data.partition.clients: 61 found"},
        {{DIRICHLET, 6, 0, 0, 0}, "data.partition.alpha: 0 found, 1e-06 to 1e+06 is allowed"},
        {{DIRICHLET, 6, 0, -1, 0}, "data.partition.alpha: -1 found"},
        {{DIRICHLET, 6, 0, 1.1e6, 0}, "data.partition.alpha: 1.1e+06 found"},
        {{DIRICHLET, 6, 0, NAN, 0}, "data.partition.alpha: nan found"},
        {{DIRICHLET, 6, 0, INFINITY, 10}, "data.partition.alpha: inf found"},
        {{QUANTITY, 61, 0, 1, 0}, "data.partition.clients: 61 found, 1 to 60 is allowed: every client needs an example"},
        {{QUANTITY, 6, 0, 9e-7, 0}, "data.partition.alpha: 9e-07 found"},
        {{NATURAL, 0, 0, 0, 0},
         "data.partition.kind: natural makes one client of each group, but the data names no groups; it needs data.group "
         "(csv) or format: roles"},
        {{IID, 0, 0, 0, 5}, "data.partition.clients: 0 found, 1 to 4294967295 is allowed"},
        {{IID, 1000, 0, 0, 61}, "data.partition.examples_per_client: 61 found, 1 to 60, the number of examples, is allowed"},
        {{DIRICHLET, 1000, 0, 1, 1u << 31},
         "data.partition.examples_per_client: 2147483648 found, 1 to 2147483647 is allowed"},
    };
    struct fed_dataset d = dataset_of(60, 10);
    struct fed_partition p = {.n_clients = 77};
    uint32_t clients = 78;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(fed_partition_make(&p, &d, &wrong[i].spec, 1, &err), FED_ECONFIG);
        ck_assert_msg(strstr(err.text, wrong[i].sentence) == err.text, "%s", err.text);
        ck_assert_int_eq(fed_partition_clients(&clients, &d, &wrong[i].spec, &err), FED_ECONFIG);
        ck_assert_uint_eq(p.n_clients, 77);
        ck_assert_uint_eq(clients, 78);
    }
    d.n_examples = 0;
    ck_assert_int_eq(fed_partition_make(&p, &d, &(struct fed_partition_spec){.kind = NONE}, 1, &err), FED_ECONFIG);
}
END_TEST

START_TEST(natural_with_another_number_of_clients_names_both) {
    struct fed_dataset d = dataset_of(600, 10);
    struct fed_partition p;
    group(&d, 25);
    struct fed_partition_spec spec = {.kind = NATURAL, .clients = 100};
    char sentence[200];
    snprintf(sentence, sizeof sentence,
             "data.partition.clients: 100 found, but the data has %u groups, and natural makes one client of each; leave "
             "clients out, or say %u",
             d.n_groups, d.n_groups);
    ck_assert_int_eq(fed_partition_make(&p, &d, &spec, 1, &err), FED_ECONFIG);
    ck_assert_str_eq(err.text, sentence);
}
END_TEST

START_TEST(kinds_that_go_by_labels_are_refused_where_there_are_none) {
    static const struct fed_partition_spec specs[] = {
        {SHARDS, 3, 2, 0, 0}, {DIRICHLET, 3, 0, 1, 0}, {DIRICHLET, 3, 0, 1, 5}};
    struct fed_dataset d = dataset_of(60, 1);
    struct fed_partition p;
    d.n_classes = 0;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(fed_partition_make(&p, &d, &specs[i], 1, &err), FED_ECONFIG);
        ck_assert_ptr_nonnull(strstr(err.text, "goes by labels, words or whole numbers from 0 on, one an example, which "
                                               "this data does not have; iid, quantity or natural"));
    }
}
END_TEST

START_TEST(kind_names_parse_back) {
    enum fed_partition_kind kind;
    for (int i = FED_PARTITION_NONE; i <= FED_PARTITION_NATURAL; i++) {
        ck_assert_int_eq(fed_partition_kind_parse(&kind, fed_partition_kind_name((enum fed_partition_kind)i)), 0);
        ck_assert_int_eq((int)kind, i);
    }
    ck_assert_int_eq(fed_partition_kind_parse(&kind, "unnatural"), FED_ENOTFOUND);
}
END_TEST

TCase *refusals_cases(void) {
    TCase *cases = tcase_create("refusals");
    tcase_add_test(cases, impossible_partitions_are_refused_with_a_sentence);
    tcase_add_test(cases, natural_with_another_number_of_clients_names_both);
    tcase_add_test(cases, kinds_that_go_by_labels_are_refused_where_there_are_none);
    tcase_add_test(cases, kind_names_parse_back);
    return cases;
}
