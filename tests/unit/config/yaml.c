/* YAML as it is written, and the flat list of settings that becomes of it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/status.h"
#include "common/config/yaml.h"
#include "tests/unit/config/fixture.h"

static const char *const wrong_yaml[][2] = {
    {"a: &x 1\n", "f:1: anchors (&name) are not supported; write the value out"},
    {"a: 1\nb: &x {c: 1}\n", "f:2: anchors (&name) are not supported; write the value out"},
    {"&k a: 1\n", "f:1: anchors (&name) are not supported; write the value out"},
    {"a: *x\n", "f:1: aliases (*name) are not supported; write the value out"},
    {"a: !!str 1\n", "f:1: tags (!name) are not supported"},
    {"a: ! 1\n", "f:1: tags (!name) are not supported"},
    {"a: !!map {b: 1}\n", "f:1: tags (!name) are not supported"},
    {"a: 1\nb: 2\na: 3\n", "f:3: the key a stands here for the second time"},
    {"a: {b: 1,\n b: 2}\n", "f:2: the key b stands here for the second time"},
    {"a: {b: 1}\na: {c: 1}\n", "f:2: the key a stands here for the second time"},
    {"a: 1\n---\nb: 1\n", "f:2: a second document (---) starts here; a file holds one"},
    {"just text\n", "f:1: expected a list of key: value"},
    {"- a\n- b\n", "f:1: expected a list of key: value"},
    {"a: {b: {c: {d: {e: {f: {g: {h: 1}}}}}}}\n", NULL}, /* eight levels are fine */
    {"\na: {b: {c: {d: {e: {f: {g: {h: {i: 1}}}}}}}}\n", "f:2: more than 8 levels of nesting"},
    {"a: [[[[[[[[[[[[[1]]]]]]]]]]]]]\n", "f:1: more than 8 levels of nesting"},
    {"a:\n\tb: 1\n", "f:2: not valid YAML: found character that cannot start any token; indent with spaces, not tabs"},
    {"a: 1\n\001\002\n", "f:2: not valid YAML: control characters are not allowed"},
    {"a: 1\nb: \377\n", "f:2: not valid YAML: invalid leading UTF-8 octet"},
    {"a: \"x\\0y\"\n", "f:1: a value holds a zero byte"},
    {"a.b: 1\n", "f:1: a key is one word of letters, digits, _ and -, at most 64 characters"},
    {"? [a]\n: 1\n", "f:1: a key is one word of letters, digits, _ and -, at most 64 characters"},
    {"'': 1\n", "f:1: a key is one word of letters, digits, _ and -, at most 64 characters"},
    {"<<: {b: 1}\n", "f:1: a key is one word of letters, digits, _ and -, at most 64 characters"},
    {"a: [1, null]\n", "f:1: an item of a list is empty"},
    {"a: [{}]\n", "f:1: an item of a list is empty"},
    {"a:\n  - {b: 1}\n  - {b: ~}\n  - {b: 1}\n", "f:3: an item of a list is empty"},
    {"a: [{b: [], c: null}]\n", "f:1: an item of a list is empty"},
    {"a:\n  - 1\n  -\n", "f:3: an item of a list is empty"},
    {"a: {b: 1\n", "f:2: not valid YAML: did not find expected ',' or '}'"},
    {"a: b: c\n", "f:1: not valid YAML: mapping values are not allowed in this context"},
};

START_TEST(wrong_yaml_is_refused_with_its_line) {
    const char *text = wrong_yaml[_i][0], *expected = wrong_yaml[_i][1];
    struct fed_yaml yaml = {0};
    struct fed_error err = {.text = ""};
    int code = fed_yaml_parse(&yaml, text, strlen(text), "f", &err);
    if (expected == NULL) {
        ck_assert_msg(code == 0, "%s", err.text);
        fed_yaml_fini(&yaml);
        return;
    }
    ck_assert_int_eq(code, FED_ECONFIG);
    ck_assert_str_eq(err.text, expected);
    ck_assert_ptr_null(yaml.entries);
}
END_TEST

START_TEST(yaml_becomes_a_flat_list_with_lines) {
    static const char text[] =
        "---\n# comment\na: {b: 1, c: [x, \"y z\"]}\nd:\n  - e: 'null'\n  - e: ~\n    f: \"\"\ng: null\nh:\n";
    static const struct fed_yaml_entry expected[] = {
        {"a.b", "1", 3}, {"a.c[0]", "x", 3}, {"a.c[1]", "y z", 3}, {"d[0].e", "null", 5}, {"d[1].f", "", 7}};
    struct fed_yaml yaml;
    ck_assert_int_eq(fed_yaml_parse(&yaml, text, sizeof text - 1, "f", NULL), 0);
    ck_assert_uint_eq(yaml.n_entries, 5);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_str_eq(yaml.entries[i].path, expected[i].path);
        ck_assert_str_eq(yaml.entries[i].value, expected[i].value);
        ck_assert_int_eq(yaml.entries[i].line, expected[i].line);
    }
    fed_yaml_fini(&yaml);
}
END_TEST

START_TEST(null_takes_back_a_section_and_nothing_beside_it) {
    static const char text[] = "a: {b: {c: 1, d: 2}, bc: 3}\nb: 4\nl: [{x: 5}, {x: 6}]\n";
    struct fed_yaml yaml;
    ck_assert_int_eq(fed_yaml_parse(&yaml, text, sizeof text - 1, "f", NULL), 0);
    ck_assert_int_eq(fed_yaml_set(&yaml, "a.b", "null"), 0);
    ck_assert_int_eq(fed_yaml_set(&yaml, "l", "null"), 0);
    ck_assert_uint_eq(yaml.n_entries, 2);
    ck_assert_str_eq(fed_yaml_find(&yaml, "a.bc")->value, "3");
    ck_assert_str_eq(fed_yaml_find(&yaml, "b")->value, "4");
    fed_yaml_fini(&yaml);
}
END_TEST

START_TEST(a_written_yaml_reads_the_same) {
    static const char text[] =
        "a: 1\nn:\n- {x: 'null', y: {z: '', w: \"~\"}}\n- {x: 'a: b', y: {z: '#'}}\nq: {r: {s: '[v'}}\n";
    struct fed_yaml yaml, again;
    char *written = NULL;
    ck_assert_int_eq(fed_yaml_parse(&yaml, text, sizeof text - 1, "f", NULL), 0);
    ck_assert_uint_eq(yaml.n_entries, 7);
    ck_assert_int_eq(fed_yaml_format(&written, &yaml), 0);
    ck_assert_int_eq(fed_yaml_parse(&again, written, strlen(written), "g", NULL), 0);
    ck_assert_uint_eq(again.n_entries, yaml.n_entries);
    for (size_t i = 0; i < yaml.n_entries; i++) {
        ck_assert_str_eq(again.entries[i].path, yaml.entries[i].path);
        ck_assert_str_eq(again.entries[i].value, yaml.entries[i].value);
    }
    free(written);
    fed_yaml_fini(&yaml);
    fed_yaml_fini(&again);
}
END_TEST

START_TEST(set_replaces_adds_and_takes_away) {
    static const char text[] = "a: 1\nb: 2\n";
    struct fed_yaml yaml;
    ck_assert_int_eq(fed_yaml_parse(&yaml, text, sizeof text - 1, "f", NULL), 0);
    ck_assert_int_eq(fed_yaml_set(&yaml, "a", "3"), 0);
    ck_assert_int_eq(fed_yaml_set(&yaml, "c.d", "4"), 0);
    ck_assert_int_eq(fed_yaml_set(&yaml, "b", "null"), 0);
    ck_assert_int_eq(fed_yaml_set(&yaml, "absent", "null"), 0);
    ck_assert_uint_eq(yaml.n_entries, 2);
    ck_assert_str_eq(fed_yaml_find(&yaml, "a")->value, "3");
    ck_assert_int_eq(fed_yaml_find(&yaml, "a")->line, 0);
    ck_assert_str_eq(fed_yaml_find(&yaml, "c.d")->value, "4");
    ck_assert_ptr_null(fed_yaml_find(&yaml, "b"));
    fed_yaml_fini(&yaml);
}
END_TEST

START_TEST(a_file_beyond_a_mebibyte_is_refused) {
    size_t n = FED_YAML_MAX + 1;
    char *text = malloc(n);
    ck_assert_ptr_nonnull(text);
    memset(text, '#', n);
    struct fed_yaml yaml = {0};
    struct fed_error err = {.text = ""};
    const char *path = write_file(text, n);
    ck_assert_int_eq(fed_yaml_load(&yaml, path, &err), FED_ECONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, path));
    ck_assert_int_eq(fed_yaml_parse(&yaml, text, n, "f", &err), FED_ECONFIG);
    ck_assert_int_eq(fed_yaml_load(&yaml, "/nonexistent/t.yaml", &err), FED_ECONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent/t.yaml"));
    free(text);
}
END_TEST

START_TEST(junk_never_parses_and_never_crashes) {
    uint32_t x = 12345;
    for (int round = 0; round < 300; round++) {
        char text[256] = "a: 1\n";
        for (size_t i = 5; i < sizeof text; i++) {
            x = x * 1664525u + 1013904223u;
            text[i] = (char)(x >> 24);
        }
        struct fed_yaml yaml = {0};
        struct fed_error err = {.text = ""};
        ck_assert_int_eq(fed_yaml_parse(&yaml, text, sizeof text, "f", &err), FED_ECONFIG);
        ck_assert_int_eq(strncmp(err.text, "f:", 2), 0);
    }
}
END_TEST

TCase *yaml_cases(void) {
    TCase *cases = config_case("yaml");
    tcase_add_loop_test(cases, wrong_yaml_is_refused_with_its_line, 0, N(wrong_yaml));
    tcase_add_test(cases, yaml_becomes_a_flat_list_with_lines);
    tcase_add_test(cases, a_written_yaml_reads_the_same);
    tcase_add_test(cases, null_takes_back_a_section_and_nothing_beside_it);
    tcase_add_test(cases, set_replaces_adds_and_takes_away);
    tcase_add_test(cases, a_file_beyond_a_mebibyte_is_refused);
    tcase_add_test(cases, junk_never_parses_and_never_crashes);
    return cases;
}
