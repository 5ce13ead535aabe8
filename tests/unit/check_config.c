/* Files as people write them, right and wrong; the sentence of every refusal is part of the contract. */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/config/client_config.h"
#include "common/config/setting.h"
#include "common/config/task.h"
#include "common/config/yaml.h"
#include "common/seal/keys.h"

static char dir[64];

static void setup(void) {
    snprintf(dir, sizeof dir, "/tmp/check_config.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(fed_seal_setup(NULL), 0);
}

static void teardown(void) {
    char path[96];
    snprintf(path, sizeof path, "%s/t.yaml", dir);
    unlink(path);
    ck_assert_int_eq(rmdir(dir), 0);
}

static const char *write_file(const char *text, size_t n) {
    static char path[96];
    snprintf(path, sizeof path, "%s/t.yaml", dir);
    struct iovec part = {(void *)text, n};
    ck_assert_int_eq(fed_file_replace(path, &part, 1, 0600, NULL), 0);
    return path;
}

/* The refusal must read `start` + `rest`, where a leading @ of the expectation stands for the path of the file. */
static void ck_sentence(const struct fed_error *err, const char *path, const char *expected) {
    char full[1100];
    snprintf(full, sizeof full, "%s%s", expected[0] == '@' ? path : "", expected + (expected[0] == '@'));
    ck_assert_str_eq(err->text, full);
}

/* -- yaml -------------------------------------------------------------------------------------------------------------- */

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

/* -- task -------------------------------------------------------------------------------------------------------------- */

#define HEAD "schema: 1\nname: t\nseed: 1\n"
#define MODEL "model: {preset: mnist_2nn}\n"
#define DATA "data: {train: {images: i, labels: l}}\n"
#define ALGORITHM "algorithm: {rounds: 3, fraction: 0.1, epochs: 1, batch_size: 10, learning_rate: 0.2}\n"
#define TASK HEAD MODEL ALGORITHM
#define PRESETS "mnist_2nn, mnist_cnn, char_lstm, logistic"
#define INPUT_FORMS "expected a number of inputs, {height, width, channels} or {steps, features}"

static const struct {
    const char *text, *set, *sentence;
} wrong_tasks[] = {
    /* schema, names, numbers */
    {"name: t\n", NULL, "@: schema: missing, expected 1, the only schema this version knows"},
    {"schema: 2\n", NULL, "@:1: schema: found \"2\", expected 1, the only schema this version knows"},
    {"schema: 1\nname: Ward 7\n", NULL,
     "@:2: name: found \"Ward 7\", expected a name of 1 to 63 characters from a-z, 0-9 and -"},
    {"schema: 1\nname: ''\n", NULL, "@:2: name: found \"\", expected a name of 1 to 63 characters from a-z, 0-9 and -"},
    {"schema: 1\nname: a123456789b123456789c123456789d123456789e123456789f123456789g123\n", NULL,
     "@:2: name: found \"a123456789b123456789c123456789d123456789e123456789f123456789...\", expected a name of 1 to 63 "
     "characters from a-z, 0-9 and -"},
    {"schema: 1\nname: t\nseed: -1\n", NULL,
     "@:3: seed: found \"-1\", expected a whole number from 0 to 9223372036854775807"},
    {"schema: 1\nname: t\nseed: 9223372036854775808\n", NULL,
     "@:3: seed: found \"9223372036854775808\", expected a whole number from 0 to 9223372036854775807"},
    {"schema: 1\nname: t\nseed: 99999999999999999999999\n", NULL,
     "@:3: seed: found \"99999999999999999999999\", expected a whole number from 0 to 9223372036854775807"},
    {"schema: 1\nname: t\nseed:\n" MODEL ALGORITHM, NULL,
     "@: seed: missing, expected a whole number from 0 to 9223372036854775807"},
    {TASK, "algorithm.epochs=0", "--set algorithm.epochs: found \"0\", expected a whole number from 1 to 1000000"},
    {TASK, "algorithm.epochs=+5", "--set algorithm.epochs: found \"+5\", expected a whole number from 1 to 1000000"},
    {TASK, "algorithm.epochs=010", "--set algorithm.epochs: found \"010\", expected a whole number from 1 to 1000000"},
    {TASK, "algorithm.epochs=1.0", "--set algorithm.epochs: found \"1.0\", expected a whole number from 1 to 1000000"},
    {TASK, "algorithm.epochs= 1", "--set algorithm.epochs: found \" 1\", expected a whole number from 1 to 1000000"},
    {TASK, "algorithm.epochs=", "--set algorithm.epochs: found \"\", expected a whole number from 1 to 1000000"},
    {TASK, "algorithm.epochs=4294967297",
     "--set algorithm.epochs: found \"4294967297\", expected a whole number from 1 to 1000000"},
    {TASK, "algorithm.batch_size=0",
     "--set algorithm.batch_size: found \"0\", expected a whole number from 1 to 16777216, or the word full"},
    {TASK, "algorithm.batch_size=all",
     "--set algorithm.batch_size: found \"all\", expected a whole number from 1 to 16777216, or the word full"},
    {TASK, "algorithm.rounds=0", "--set algorithm.rounds: found \"0\", expected a whole number from 1 to 1000000000"},
    {HEAD MODEL "algorithm:\n  rounds: 3\n  learning_rate: 0.1abc\n", NULL,
     "@:7: algorithm.learning_rate: found \"0.1abc\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=0.1abc",
     "--set algorithm.learning_rate: found \"0.1abc\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=nan",
     "--set algorithm.learning_rate: found \"nan\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=inf",
     "--set algorithm.learning_rate: found \"inf\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=.inf",
     "--set algorithm.learning_rate: found \".inf\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=1e999",
     "--set algorithm.learning_rate: found \"1e999\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=1e-999",
     "--set algorithm.learning_rate: found \"1e-999\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=0x1p-3",
     "--set algorithm.learning_rate: found \"0x1p-3\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=-0.1",
     "--set algorithm.learning_rate: found \"-0.1\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=0",
     "--set algorithm.learning_rate: found \"0\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=1e",
     "--set algorithm.learning_rate: found \"1e\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=.",
     "--set algorithm.learning_rate: found \".\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=",
     "--set algorithm.learning_rate: found \"\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.fraction=1.01", "--set algorithm.fraction: found \"1.01\", expected a number from 0 to 1"},
    {TASK, "algorithm.learning_rate_decay=1.1",
     "--set algorithm.learning_rate_decay: found \"1.1\", expected a number greater than 0 and at most 1"},
    {TASK, "algorithm.target_accuracy=97",
     "--set algorithm.target_accuracy: found \"97\", expected a number greater than 0 and at most 1"},
    {TASK, "algorithm.target_accuracy=0",
     "--set algorithm.target_accuracy: found \"0\", expected a number greater than 0 and at most 1"},
    {TASK, "algorithm.target_accuracy=0.97",
     "--set algorithm.target_accuracy: needs data.test to measure it, not given here"},
    {TASK, "algorithm.max_weight=67108865",
     "--set algorithm.max_weight: found \"67108865\", expected a whole number from 1 to 67108864"},
    {TASK, "algorithm.clip_norm=0",
     "--set algorithm.clip_norm: found \"0\", expected a number greater than 0 and at most 1e+09"},
    {TASK, "algorithm.clip_rate=0.3", "--set algorithm.clip_rate: goes with algorithm.clip_norm, not given here"},
    {TASK, "algorithm.clip_quantile=0.3", "--set algorithm.clip_quantile: goes with algorithm.clip_norm, not given here"},
    {TASK, "algorithm.max_share=1.1",
     "--set algorithm.max_share: found \"1.1\", expected a number greater than 0 and at most 1"},
    {TASK, "hygiene.norm_factor=0.5",
     "--set hygiene.norm_factor: found 0.5, expected 0 (no ceiling) or a number from 1 on: "
     "below that, updates as they were in earlier rounds would be refused"},
    {TASK, "hygiene.norm_factor=-1", "--set hygiene.norm_factor: found \"-1\", expected a number from 0 to 1e+09"},
    {TASK, "hygiene.norm_rounds=101", "--set hygiene.norm_rounds: found \"101\", expected a whole number from 1 to 100"},
    {TASK, "round.min_reports=0", "--set round.min_reports: found \"0\", expected a number greater than 0 and at most 1"},
    {TASK, "round.over_select=0.9", "--set round.over_select: found \"0.9\", expected a number from 1 to 100"},
    {TASK, "server.partial_sums=maybe", "--set server.partial_sums: found \"maybe\", expected yes or no"},
    {TASK, "server.keep_last=0", "--set server.keep_last: found \"0\", expected a whole number from 1 to 1000000"},
    {TASK, "limits.messages_per_s=0", "--set limits.messages_per_s: found \"0\", expected a whole number from 1 to 1000000"},
    {TASK, "limits.uploads=5", "--set limits.uploads: found \"5\", expected a whole number from 1 to 4"},
    {TASK, "server.control=5600",
     "--set server.control: found \"5600\", expected an endpoint to bind, tcp://ADDRESS:PORT (* for any) or ipc://PATH"},
    {TASK, "server.control=tcp://*:65536",
     "--set server.control: found \"tcp://*:65536\", expected an endpoint to bind, tcp://ADDRESS:PORT (* for any) or "
     "ipc://PATH"},
    {TASK, "server.bulk=ipc://",
     "--set server.bulk: found \"ipc://\", expected an endpoint to bind, tcp://ADDRESS:PORT (* for any) or ipc://PATH"},
    {TASK, "server.http=8080",
     "--set server.http: found \"8080\", expected 127.0.0.1:PORT, [::1]:PORT or unix:/PATH; to be read from "
     "other machines, put a proxy that speaks TLS in front of it"},
    {TASK, "server.http=10.0.0.1:5680",
     "--set server.http: found \"10.0.0.1:5680\", expected 127.0.0.1:PORT, [::1]:PORT or unix:/PATH; to be read from other "
     "machines, put a proxy that speaks TLS in front of it"},
    {TASK, "server.http=unix:page",
     "--set server.http: found \"unix:page\", expected 127.0.0.1:PORT, [::1]:PORT or unix:/PATH; to be read from other "
     "machines, put a proxy that speaks TLS in front of it"},
    {TASK, "server.http_hosts[0]=a b",
     "--set server.http_hosts[0]: found \"a b\", expected the name of a host, such as fl.example.org, not localhost"},
    {TASK, "server.http_hosts[0]=10.0.0.1",
     "--set server.http_hosts[0]: found \"10.0.0.1\", expected the name of a host, such as fl.example.org, not localhost"},
    {TASK, "server.http_hosts[0]=LocalHost",
     "--set server.http_hosts[0]: found \"LocalHost\", expected the name of a host, such as fl.example.org, not localhost"},
    {TASK "server: {http: '127.0.0.1:1', http_hosts: [fl.example.org]}\n", NULL,
     "@:6: server.http_hosts: needs server.http_token, what whoever comes by such a name must bear"},
    {TASK, "server.http_token=secret", "--set server.http_token: goes with server.http_hosts, not given here"},
    {TASK, "server.roster=", "--set server.roster: found \"\", expected the path of a file"},
    /* unknown keys */
    {HEAD "model: {preset: mnist_2nn}\nalgoritm: {rounds: 3}\n", NULL,
     "@:5: algoritm.rounds: unknown key; did you mean algorithm.rounds?"},
    {HEAD "learning_rate: 0.1\n", NULL, "@:4: learning_rate: unknown key; did you mean algorithm.learning_rate?"},
    {HEAD "round:\n  dedline_s: 3\n", NULL, "@:5: round.dedline_s: unknown key; did you mean round.deadline_s?"},
    {TASK, "algorithm.epoch=5", "--set algorithm.epoch: unknown key; did you mean algorithm.epochs?"},
    {TASK, "model.layers[0].unit=5", "--set model.layers[0].unit: unknown key; did you mean model.layers[].units?"},
    {TASK, "model.layers[].units=5", "--set model.layers[].units: unknown key; did you mean model.layers[].units?"},
    {TASK, "epochs", "--set epochs: expected KEY=VALUE, such as algorithm.epochs=5"},
    {TASK, "=5", "--set =5: expected KEY=VALUE, such as algorithm.epochs=5"},
    {TASK, "server.user=a\nb", "--set: a control character in key or value"},
    {"schema: 1\nname: \"t\\n\"\n", NULL, "@:2: name: a value is one line of text without control characters"},
    {"schema: 1\nname: \"\\u009b31m\"\n", NULL, "@:2: name: a value is one line of text without control characters"},
    {"schema: 1\nnom: |\n  x\n  y\n", NULL, "@:2: nom: a value is one line of text without control characters"},
    /* wrong shape */
    {HEAD "algorithm: fedavg\n", NULL,
     "@:4: algorithm: found \"fedavg\", expected a section or list that holds algorithm.kind"},
    {"schema: 1\nname: t\nseed: {a: 1}\n", NULL,
     "@:3: seed: found a section or list, expected a whole number from 0 to 9223372036854775807"},
    {"schema: 1\nname: t\nseed: [1]\n", NULL,
     "@:3: seed: found a section or list, expected a whole number from 0 to 9223372036854775807"},
    {HEAD "model: {input: 4, layers: [200, 10]}\n", NULL,
     "@:4: model.layers[0]: found \"200\", expected a section or list that holds model.layers[].kind"},
    /* the model */
    {HEAD ALGORITHM, NULL, "@: model: missing, expected preset (one of " PRESETS ") or input and layers"},
    {HEAD "model: {preset: resnet}\n" ALGORITHM, NULL, "@:4: model.preset: found \"resnet\", expected one of " PRESETS},
    {HEAD "model: {preset: logistic, layers: [{units: 10}]}\n" ALGORITHM, NULL,
     "@:4: model.preset: found together with model.layers, expected a preset or input and layers, not both"},
    {HEAD "model: {preset: logistic, input: 4}\n" ALGORITHM, NULL,
     "@:4: model.preset: found together with model.input, expected a preset or input and layers, not both"},
    {HEAD "model: {input: 4}\n" ALGORITHM, NULL,
     "@: model.layers: missing, expected a list of {kind, units, activation, ...}"},
    {HEAD "model: {layers: [{units: 10}]}\n" ALGORITHM, NULL, "@: model.input: missing, " INPUT_FORMS},
    {HEAD "model: {input: 4, layers: [{activation: relu}, {units: 10}]}\n" ALGORITHM, NULL,
     "@:4: model.layers[0].units: missing, expected a whole number from 1 to 1048576"},
    {HEAD "model: {input: 4, layers: [{units: 5}, {units: 10}]}\n" ALGORITHM, NULL,
     "@:4: model.layers[0].activation: missing, expected linear, relu, tanh or sigmoid"},
    {HEAD "model: {input: 4, layers: [{units: 5, activation: gelu}, {units: 10}]}\n" ALGORITHM, NULL,
     "@:4: model.layers[0].activation: found \"gelu\", expected linear, relu, tanh or sigmoid"},
    {HEAD "model: {input: 4, layers: [{units: 10, activation: relu}]}\n" ALGORITHM, NULL,
     "@:4: model.layers[0].activation: relu found, but the last layer must be linear: softmax belongs to the loss"},
    {HEAD "model: {input: 4, layers: [{units: 10}]}\n" ALGORITHM, "model.layers[7].units=3",
     "@:4: model.layers[0].activation: missing, expected linear, relu, tanh or sigmoid"},
    {HEAD "model: {input: 4, layers: [{units: 10}]}\n" ALGORITHM, "model.layers[99999999999999999999].units=3",
     "@:4: model.layers: found 18446744073709551615 layers, expected at most 32"},
    {HEAD "model: {input: 4, layers: [{units: 1048577}]}\n" ALGORITHM, NULL,
     "@:4: model.layers[0].units: found \"1048577\", expected a whole number from 1 to 1048576"},
    /* the data */
    {TASK "data: {format: xml}\n", NULL, "@:6: data.format: found \"xml\", expected idx, csv, npy, text or roles"},
    {TASK "data: {train: {images: i}}\n", NULL, "@: data.train.labels: missing, images and labels belong together"},
    {TASK "data: {test: {labels: i}}\n", NULL, "@: data.test.images: missing, images and labels belong together"},
    {TASK "data: {train: {images: i, labels: l}, partition: {clients: 3}}\n", NULL,
     "@: data.partition.kind: missing, expected iid, shards, dirichlet, quantity or natural"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: iid}}\n", NULL,
     "@: data.partition.clients: missing, expected the number of clients to split the data between"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: none, clients: 3}}\n", NULL,
     "@:6: data.partition.kind: found \"none\", expected iid, shards, dirichlet, quantity or natural"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: shards, clients: 3}}\n", NULL,
     "@: data.partition.shards_per_client: missing, kind: shards needs it"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: dirichlet, clients: 3}}\n", NULL,
     "@: data.partition.alpha: missing, kind: dirichlet needs it"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: shards, clients: 3, shards_per_client: 2}}\n",
     "data.partition.kind=iid",
     "@:6: data.partition.shards_per_client: goes only with kind: shards (to take it back: --set "
     "data.partition.shards_per_client=null)"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: quantity, clients: 3}}\n", NULL,
     "@: data.partition.alpha: missing, kind: quantity needs it"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: natural, alpha: 2}}\n", NULL,
     "@:6: data.partition.alpha: goes only with kind: dirichlet or quantity (to take it back: --set "
     "data.partition.alpha=null)"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: natural, examples_per_client: 2}}\n", NULL,
     "@:6: data.partition.examples_per_client: goes only with kind: iid or dirichlet (to take it back: --set "
     "data.partition.examples_per_client=null)"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: iid, clients: 3, examples_per_client: 0}}\n", NULL,
     "@:6: data.partition.examples_per_client: found \"0\", expected a whole number from 1 to 2147483647"},
    {TASK DATA, "data.partition.examples_per_client=1",
     "@: data.partition.kind: missing, expected iid, shards, dirichlet, quantity or natural"},
    {TASK DATA, "data.partition.alpha=1",
     "@: data.partition.kind: missing, expected iid, shards, dirichlet, quantity or natural"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: dirichlet, clients: 3, alpha: 0}}\n", NULL,
     "@:6: data.partition.alpha: found \"0\", expected a number from 1e-06 to 1000000"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: shards, clients: 65536, shards_per_client: 65536}}\n",
     NULL,
     "@:6: data.partition.shards_per_client: found 65536 for each of 65536 clients, expected at most 4294967295 shards in "
     "all"},
    {TASK "data: {partition: {kind: iid, clients: 3}}\n", NULL,
     "@:6: data.partition.kind: splits data.train, not given here"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: iid, clients: 0}}\n", NULL,
     "@:6: data.partition.clients: found \"0\", expected a whole number from 1 to 2147483648"},
    {HEAD MODEL "algorithm: {kind: fedprox, rounds: 3}\n", NULL, "@:5: algorithm.kind: found \"fedprox\", expected fedavg"},
};

START_TEST(a_wrong_task_is_refused_in_one_sentence) {
    struct fed_task task = {.path = (char *)"untouched"};
    struct fed_error err = {.text = ""};
    const char *path = write_file(wrong_tasks[_i].text, strlen(wrong_tasks[_i].text));
    const char *set = wrong_tasks[_i].set;
    ck_assert_int_eq(fed_task_load(&task, path, &set, set != NULL, &err), FED_ECONFIG);
    ck_sentence(&err, path, wrong_tasks[_i].sentence);
    ck_assert_str_eq(task.path, "untouched");
}
END_TEST

static void load_task(struct fed_task *task, const char *text, const char *const *sets, size_t n_sets) {
    struct fed_error err = {.text = ""};
    const char *path = write_file(text, strlen(text));
    ck_assert_msg(fed_task_load(task, path, sets, n_sets, &err) == 0, "%s", err.text);
}

START_TEST(a_task_of_few_words_gets_the_documented_defaults) {
    struct fed_task task;
    char roster[96], key[96];
    load_task(&task, TASK, NULL, 0);
    snprintf(roster, sizeof roster, "%s/roster", dir);
    snprintf(key, sizeof key, "%s/coordinator.key", dir);
    ck_assert_str_eq(task.name, "t");
    ck_assert_uint_eq(task.seed, 1);
    ck_assert_str_eq(task.model.preset, "mnist_2nn");
    ck_assert_uint_eq(task.model.n_layers, 3);
    ck_assert_uint_eq(task.model.layers[0].units, 200);
    ck_assert_ptr_null(task.data.train_images);
    ck_assert_ptr_null(task.data.test_images);
    ck_assert_int_eq(task.partition.kind, FED_PARTITION_NONE);
    ck_assert(task.algorithm.learning_rate_decay == 1 && task.algorithm.target_accuracy == 0);
    ck_assert(task.algorithm.max_delta == 64 && task.algorithm.max_weight == 0);
    ck_assert(task.algorithm.clip.norm == 0 && task.algorithm.max_share == 0);
    ck_assert(task.hygiene.norm_factor == 10 && task.hygiene.norm_rounds == 20);
    ck_assert(task.round.over_select == 1 && task.round.min_reports == 0.8 && !task.round.min_reports_given);
    ck_assert_uint_eq(task.round.deadline_s, 600);
    ck_assert_uint_eq(task.round.rejoin_s, 30);
    ck_assert_uint_eq(task.round.evaluate_every, 1);
    ck_assert_str_eq(task.server.control, "tcp://*:5600");
    ck_assert_str_eq(task.server.bulk, "tcp://*:5601");
    ck_assert_ptr_null(task.server.http);
    ck_assert_ptr_null(task.server.user);
    ck_assert_str_eq(task.server.roster, roster);
    ck_assert_str_eq(task.server.key, key);
    ck_assert_uint_eq(task.server.keep_last, 3);
    ck_assert_uint_eq(task.server.staging_mb, 256);
    ck_assert(task.server.partial_sums);
    ck_assert(task.limits.messages_per_s == 50 && task.limits.bulk_messages_per_s == 50);
    ck_assert(task.limits.bytes_per_s == 1 << 20 && task.limits.upload_bytes_per_s == 16384);
    ck_assert(task.limits.connections_per_10s == 10 && task.limits.handshakes_per_s == 20);
    ck_assert(task.limits.uploads == 3 && task.limits.uploads_per_node == 2);
    fed_task_fini(&task);
}
END_TEST

static const char full_task[] =
    HEAD "model: {input: 20, layers: [{units: 8, activation: tanh}, {units: 4, activation: sigmoid}, {units: 3}]}\n"
         "data:\n  format: idx\n  train: {images: a/i, labels: /abs/l}\n  test: {images: ti, labels: tl}\n"
         "  partition: {kind: dirichlet, clients: 12, alpha: 0.5}\n"
         "algorithm: {kind: fedavg, rounds: 7, fraction: 0, epochs: 5, batch_size: full, learning_rate: 5e-2,\n"
         "  learning_rate_decay: .99, target_accuracy: 0.5, max_delta: 2, max_weight: 1000,\n"
         "  clip_norm: 3, clip_quantile: 0.75, clip_rate: 0.1, max_share: 0.25}\n"
         "hygiene: {norm_factor: 0, norm_rounds: 7}\n"
         "round: {over_select: 1.3, min_reports: 1, deadline_s: 9, rejoin_s: 0, evaluate_every: 2}\n"
         "server: {control: 'ipc:///run/x', bulk: 'tcp://[::1]:*', http: '[::1]:80', roster: r, key: k, user: fed,\n"
         "  http_hosts: [fl.example.org, x-1], http_token: t,\n"
         "  keep_last: 1, staging_mb: 2, partial_sums: no}\n";

START_TEST(a_full_task_fills_every_field) {
    struct fed_task task;
    char images[96];
    load_task(&task, full_task, NULL, 0);
    snprintf(images, sizeof images, "%s/a/i", dir);
    ck_assert_str_eq(task.model.preset, "");
    ck_assert_uint_eq(task.model.input.channels, 20);
    ck_assert_uint_eq(task.model.n_layers, 3);
    ck_assert_int_eq(task.model.layers[0].activation, FED_TANH);
    ck_assert_int_eq(task.model.layers[1].activation, FED_SIGMOID);
    ck_assert_int_eq(task.model.layers[2].activation, FED_LINEAR);
    ck_assert_uint_eq(task.model.layers[1].units, 4);
    ck_assert_str_eq(task.data.train_images, images);
    ck_assert_str_eq(task.data.train_labels, "/abs/l");
    ck_assert_int_eq(task.partition.kind, FED_PARTITION_DIRICHLET);
    ck_assert_uint_eq(task.partition.clients, 12);
    ck_assert(task.partition.alpha == 0.5 && task.partition.shards_per_client == 0);
    ck_assert(task.algorithm.fraction == 0 && task.algorithm.learning_rate == 0.05);
    ck_assert(task.algorithm.learning_rate_decay == 0.99 && task.algorithm.target_accuracy == 0.5);
    ck_assert_uint_eq(task.algorithm.rounds, 7);
    ck_assert_uint_eq(task.algorithm.epochs, 5);
    ck_assert_uint_eq(task.algorithm.batch_size, 0);
    ck_assert_uint_eq(task.algorithm.max_weight, 1000);
    ck_assert(task.algorithm.clip.norm == 3 && task.algorithm.clip.quantile == 0.75 && task.algorithm.clip.rate == 0.1);
    ck_assert(task.algorithm.max_share == 0.25);
    ck_assert(task.hygiene.norm_factor == 0 && task.hygiene.norm_rounds == 7);
    ck_assert(task.round.over_select == 1.3 && task.round.min_reports == 1 && task.round.min_reports_given);
    ck_assert_uint_eq(task.round.rejoin_s, 0);
    ck_assert_str_eq(task.server.control, "ipc:///run/x");
    ck_assert_str_eq(task.server.bulk, "tcp://[::1]:*");
    ck_assert_str_eq(task.server.http, "[::1]:80");
    ck_assert_uint_eq(task.server.n_http_hosts, 2);
    ck_assert_str_eq(task.server.http_hosts[0], "fl.example.org");
    ck_assert_str_eq(task.server.http_hosts[1], "x-1");
    snprintf(images, sizeof images, "%s/t", dir);
    ck_assert_str_eq(task.server.http_token, images);
    ck_assert_str_eq(task.server.user, "fed");
    ck_assert(!task.server.partial_sums);
    fed_task_fini(&task);
}
END_TEST

START_TEST(set_wins_over_the_file_and_its_paths_start_where_we_stand) {
    static const char *const sets[] = {"algorithm.epochs=2",      "algorithm.epochs=3",       "data.train.images=here/i",
                                       "server.http=null",        "model.layers[0].units=9",  "algorithm.batch_size=64",
                                       "data.partition.kind=iid", "data.partition.alpha=null"};
    struct fed_task task;
    load_task(&task, full_task, sets, sizeof sets / sizeof *sets);
    ck_assert_uint_eq(task.algorithm.epochs, 3);
    ck_assert_str_eq(task.data.train_images, "here/i");
    ck_assert_ptr_null(task.server.http);
    ck_assert_uint_eq(task.model.layers[0].units, 9);
    ck_assert_uint_eq(task.algorithm.batch_size, 64);
    ck_assert_int_eq(task.partition.kind, FED_PARTITION_IID);
    fed_task_fini(&task);
}
END_TEST

START_TEST(the_tasks_that_come_along_load) {
    static const char *const names[] = {"mnist-2nn-iid", "mnist-2nn-noniid", "mnist-cnn", "shakespeare-lstm",
                                        "logistic",      "logistic-1000",    "wards"};
    struct fed_task task;
    struct fed_error err = {.text = ""};
    char path[512];
    snprintf(path, sizeof path, "%s/../../deploy/tasks/%s.yaml", FED_VECTORS, names[_i]);
    ck_assert_msg(fed_task_load(&task, path, NULL, 0, &err) == 0, "%s", err.text);
    ck_assert_str_eq(task.name, names[_i]);
    ck_assert_int_ne(task.partition.kind, FED_PARTITION_NONE);
    fed_task_fini(&task);
}
END_TEST

START_TEST(every_row_is_found_by_its_own_path_alone) {
    const struct fed_settings *tables[] = {fed_task_settings(), fed_client_config_settings()};
    for (size_t t = 0; t < 2; t++) {
        for (size_t i = 0; i < tables[t]->n_rows; i++) {
            const struct fed_setting *row = &tables[t]->rows[i];
            ck_assert_ptr_eq(fed_setting_find(tables[t], strchr(row->path, '[') ? "model.layers[4].units" : row->path),
                             strchr(row->path, '[') ? fed_setting_find(tables[t], "model.layers[0].units") : row);
            ck_assert_msg(!row->required || row->fallback == NULL, "%s has a default and is required", row->path);
        }
    }
}
END_TEST

/* -- terms ------------------------------------------------------------------------------------------------------------- */

static const char known_terms[] =
    "{\"algorithm\":{\"batch_size\":10,\"epochs\":1,\"fraction\":0.10000000000000001,\"kind\":\"fedavg\","
    "\"learning_rate\":0.20000000000000001,\"learning_rate_decay\":1.0,\"math\":\"exact\",\"max_delta\":64.0,\"max_"
    "updates\":10,"
    "\"max_weight\":600,\"momentum\":0.0,\"weight_decay\":0.0},\"data\":{\"partition\":{\"clients\":100,\"digest\":"
    "\"abababababababababababababababababababababababababababababababab\",\"kind\":\"shards\",\"shards_per_client\":2}},"
    "\"model\":{\"input\":{\"channels\":784,\"height\":1,\"steps\":1,\"width\":1},"
    "\"layers\":[{\"activation\":\"relu\",\"kind\":\"dense\",\"units\":200},"
    "{\"activation\":\"linear\",\"kind\":\"dense\",\"units\":10}],\"loss\":\"softmax_cross_entropy\"},"
    "\"name\":\"t\",\"schema\":1,\"seed\":9223372036854775807}";

#define DENSE_RELU "{\"activation\":\"relu\",\"kind\":\"dense\",\"units\":200}"

static struct fed_task_terms example_terms(void) {
    struct fed_task_terms terms = {
        .seed = INT64_MAX,
        .model = {.input = {784}, .n_layers = 2, .layers = {{200, FED_RELU}, {10, FED_LINEAR}}},
        .has_partition = true,
        .partition = {.kind = FED_PARTITION_SHARDS, .clients = 100, .shards_per_client = 2},
        .fraction = 0.1,
        .epochs = 1,
        .batch_size = 10,
        .learning_rate = 0.2,
        .learning_rate_decay = 1,
        .max_delta = 64,
        .max_weight = 600,
        .max_updates = 10,
        .name = "t",
    };
    memset(terms.partition_digest, 0xab, sizeof terms.partition_digest);
    return terms;
}

START_TEST(terms_have_one_text) {
    struct fed_task_terms terms = example_terms();
    char *text;
    ck_assert_int_eq(fed_task_terms_encode(&text, &terms), 0);
    ck_assert_str_eq(text, known_terms);
    free(text);
}
END_TEST

START_TEST(terms_come_back_as_they_went) {
    struct fed_task_terms terms = example_terms();
    if (_i == 1) {
        terms.partition = (struct fed_partition_spec){.kind = FED_PARTITION_DIRICHLET, .clients = 7, .alpha = 1.0 / 3};
    } else if (_i == 2) {
        terms.partition = (struct fed_partition_spec){.kind = FED_PARTITION_IID, .clients = 7};
        terms.batch_size = 0;
        terms.fraction = 0;
    } else if (_i == 4) {
        terms.partition = (struct fed_partition_spec){.kind = FED_PARTITION_QUANTITY, .clients = 7, .alpha = 1.5};
    } else if (_i == 5) {
        terms.partition = (struct fed_partition_spec){.kind = FED_PARTITION_NATURAL, .clients = 7};
    } else if (_i == 6) {
        terms.partition = (struct fed_partition_spec){
            .kind = FED_PARTITION_DIRICHLET, .clients = 1u << 31, .alpha = 0.3, .examples_per_client = 60};
    } else if (_i == 3) {
        terms.has_partition = false;
        terms.partition = (struct fed_partition_spec){0};
        memset(terms.partition_digest, 0, sizeof terms.partition_digest);
        terms.learning_rate = 1e-30;
        terms.learning_rate_decay = 0.1 + 0.2;
    } else if (_i == 7) {
        terms.clip = (struct fed_clip_options){.norm = 1.0 / 3, .quantile = 0, .rate = 0.2};
    } else if (_i == 8) {
        terms.max_share = 0.1;
    } else if (_i == 9) {
        terms.has_initial = true;
        memset(terms.initial_digest, 0x5c, sizeof terms.initial_digest);
    }
    struct fed_task_terms back;
    struct fed_error err = {.text = ""};
    char *text;
    ck_assert_int_eq(fed_task_terms_encode(&text, &terms), 0);
    ck_assert_msg(fed_task_terms_decode(&back, text, strlen(text), &err) == 0, "%s", err.text);
    ck_assert_uint_eq(back.seed, terms.seed);
    ck_assert_int_eq(back.has_partition, terms.has_partition);
    ck_assert_int_eq(back.partition.kind, terms.partition.kind);
    ck_assert_uint_eq(back.partition.clients, terms.partition.clients);
    ck_assert_uint_eq(back.partition.shards_per_client, terms.partition.shards_per_client);
    ck_assert(back.partition.alpha == terms.partition.alpha);
    ck_assert_uint_eq(back.partition.examples_per_client, terms.partition.examples_per_client);
    ck_assert_mem_eq(back.partition_digest, terms.partition_digest, sizeof terms.partition_digest);
    ck_assert(back.fraction == terms.fraction && back.learning_rate == terms.learning_rate);
    ck_assert(back.learning_rate_decay == terms.learning_rate_decay && back.max_delta == terms.max_delta);
    ck_assert_uint_eq(back.epochs, terms.epochs);
    ck_assert_uint_eq(back.batch_size, terms.batch_size);
    ck_assert_uint_eq(back.max_weight, terms.max_weight);
    ck_assert_uint_eq(back.max_updates, terms.max_updates);
    ck_assert(back.clip.norm == terms.clip.norm && back.clip.quantile == terms.clip.quantile &&
              back.clip.rate == terms.clip.rate && back.max_share == terms.max_share);
    ck_assert(back.has_initial == terms.has_initial);
    ck_assert_mem_eq(back.initial_digest, terms.initial_digest, sizeof terms.initial_digest);
    ck_assert_str_eq(back.name, terms.name);
    ck_assert_uint_eq(back.model.n_layers, 2);
    ck_assert_mem_eq(back.model.layers, terms.model.layers, sizeof terms.model.layers);
    free(text);
}
END_TEST

/* known_terms with its first occurrence of `from` written as `to`. */
static const char *const wrong_terms[][2] = {
    {"{", "["},
    {"}}", "}"},
    {",", ", "},
    {"\"t\"", "\"\\u0074\""},
    {"\"batch_size\":10", "\"batch_size\":0"},
    {"\"batch_size\":10", "\"batch_size\":\"10\""},
    {"\"batch_size\":10", "\"batch_size\":10.0"},
    {"\"batch_size\":10", "\"batch_size\":-10"},
    {"\"batch_size\":10", "\"batch_size\":null"},
    {"\"batch_size\":10", "\"batch_size\":{}"},
    {"\"batch_size\":10,", ""},
    {"\"batch_size\":10", "\"batch_size\":10,\"batch_size\":10"},
    {"\"batch_size\":10", "\"batch_size\":10,\"extra\":1"},
    {"\"epochs\":1", "\"epochs\":1000001"},
    {"\"epochs\":1", "\"epochs\":99999999999999999999"},
    {"\"fraction\":0.10000000000000001", "\"fraction\":1.5"},
    {"\"fraction\":0.10000000000000001", "\"fraction\":1"},
    {"\"fraction\":0.10000000000000001", "\"fraction\":1e999"},
    {"\"kind\":\"fedavg\"", "\"kind\":\"fedprox\""},
    {"\"max_updates\":10", "\"max_updates\":0"},
    {"\"max_updates\":10", "\"max_updates\":16777217"},
    {"\"max_weight\":600", "\"max_weight\":67108865"},
    {"\"epochs\":1", "\"clip_norm\":2.0,\"epochs\":1"},
    {"\"epochs\":1", "\"clip_norm\":0.0,\"clip_quantile\":0.5,\"clip_rate\":0.2,\"epochs\":1"},
    {"\"epochs\":1", "\"clip_quantile\":0.5,\"clip_rate\":0.2,\"epochs\":1"},
    {"\"epochs\":1", "\"clip_norm\":2.0,\"clip_quantile\":1.5,\"clip_rate\":0.2,\"epochs\":1"},
    {"\"max_updates\"", "\"max_share\":0.0,\"max_updates\""},
    {"\"max_updates\"", "\"max_share\":1.5,\"max_updates\""},
    {"\"input\":{", "\"initial\":\"5c5c\",\"input\":{"},
    {"\"input\":{", "\"initial\":\"initial.safetensors\",\"input\":{"},
    {"\"input\":{", "\"initial\":null,\"input\":{"},
    {"\"kind\":\"shards\"", "\"kind\":\"iid\""},
    {"\"kind\":\"shards\"", "\"kind\":\"none\""},
    {"\"clients\":100", "\"clients\":4294967295"},
    {"\"shards_per_client\":2", "\"alpha\":2.0"},
    {"abab", "ABAB"},
    {"abab", "aba"},
    {"abab", "ababa"},
    {"\"channels\":784", "\"channels\":0"},
    {"\"channels\":784,", ""},
    {"\"height\":1", "\"height\":28"},
    {"{\"channels\":784,\"height\":1,\"steps\":1,\"width\":1}", "784"},
    {"\"kind\":\"dense\"", "\"kind\":\"conv2d\""},
    {"\"kind\":\"dense\"", "\"kind\":\"max_pool\""},
    {"\"kind\":\"dense\"", "\"kernel\":3,\"kind\":\"dense\""},
    {"\"kind\":\"dense\",", ""},
    {"softmax_cross_entropy", "hinge"},
    {"\"softmax_cross_entropy\"", "\"softmax_cross_entropy\",\"vocabulary\":\"ab\""},
    {"\"softmax_cross_entropy\"", "\"softmax_cross_entropy\",\"vocabulary\":12"},
    {"\"softmax_cross_entropy\"", "\"softmax_cross_entropy\",\"vocabulary\":\"aa\""},
    {"\"input\"", "\"classes\":[],\"input\""},
    {"\"input\"", "\"classes\":\"a\",\"input\""},
    {"\"input\"", "\"classes\":[\"a\",\"b\"],\"input\""},
    {"\"input\"", "\"classes\":[0,1,2,3,4,5,6,7,8,9],\"input\""},
    {"\"input\"", "\"classes\":[\"0\",\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"8\"],\"input\""},
    {"\"input\"", "\"classes\":[\"0\",\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\\n\"],\"input\""},
    {"\"momentum\":0.0", "\"momentum\":1.0"},
    {"\"name\":\"t\"", "\"name\":\"t\\n\""},
    {"\"units\":200", "\"units\":1048577"},
    {"\"relu\"", "\"gelu\""},
    {"\"linear\"", "\"relu\""},
    {DENSE_RELU ",{\"activation\":\"linear\",\"kind\":\"dense\",\"units\":10}", ""},
    {DENSE_RELU, "200"},
    {"\"name\":\"t\"", "\"name\":\"../t\""},
    {"\"schema\":1", "\"schema\":2"},
    {"\"schema\":1,", ""},
    {"\"seed\":9223372036854775807", "\"seed\":9223372036854775808"},
    {"\"seed\":9223372036854775807", "\"seed\":-1"},
};

static char *replaced(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    ck_assert_ptr_nonnull(at);
    char *out = NULL;
    ck_assert_int_gt(asprintf(&out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)), 0);
    return out;
}

START_TEST(wrong_terms_are_not_a_message) {
    struct fed_task_terms terms = {.epochs = 77};
    struct fed_error err = {.text = ""};
    char *text = replaced(known_terms, wrong_terms[_i][0], wrong_terms[_i][1]);
    ck_assert_msg(fed_task_terms_decode(&terms, text, strlen(text), &err) == FED_EWIRE, "let through: %s", text);
    ck_assert_str_ne(err.text, "");
    ck_assert_uint_eq(terms.epochs, 77);
    free(text);
}
END_TEST

START_TEST(terms_cut_anywhere_are_not_a_message) {
    struct fed_task_terms terms;
    for (size_t n = 0; n + 1 < sizeof known_terms; n++) {
        ck_assert_int_eq(fed_task_terms_decode(&terms, known_terms, n, NULL), FED_EWIRE);
    }
    ck_assert_int_eq(fed_task_terms_decode(&terms, known_terms, sizeof known_terms - 1, NULL), 0);
    ck_assert_int_eq(fed_task_terms_decode(&terms, known_terms, sizeof known_terms, NULL), FED_EWIRE); /* a zero byte */
}
END_TEST

START_TEST(a_difference_is_named_in_the_words_of_the_file) {
    static const char *const rows[][3] = {
        {"\"epochs\":1", "\"epochs\":5", "algorithm.epochs: 1 in the run, 5 in the task"},
        {"0.20000000000000001", "0.05", "algorithm.learning_rate: 0.2 in the run, 0.05 in the task"},
        {"\"units\":200", "\"units\":300", "model.layers[0].units: 200 in the run, 300 in the task"},
        {DENSE_RELU ",", "", "model.layers: 2 of them in the run, 1 of them in the task"},
        {"\"kind\":\"shards\",\"shards_per_client\":2", "\"alpha\":0.5,\"kind\":\"dirichlet\"",
         "data.partition.kind: shards in the run, dirichlet in the task; "
         "data.partition.shards_per_client: 2 in the run, none in the task; "
         "data.partition.alpha: none in the run, 0.5 in the task"},
        {"\"name\":\"t\"", "\"name\":\"t\"", ""},
    };
    struct fed_error difference;
    char *text = replaced(known_terms, rows[_i][0], rows[_i][1]);
    fed_task_terms_difference(&difference, known_terms, text);
    ck_assert_str_eq(difference.text, rows[_i][2]);
    free(text);
}
END_TEST

/* -- CLIENT.yaml ------------------------------------------------------------------------------------------------------- */

static char public_line[FED_PUBLIC_LINE_MAX];

static void setup_key(void) {
    uint8_t seed[FED_KEY_BYTES] = {7};
    struct fed_identity identity;
    setup();
    ck_assert_int_eq(fed_identity_from_seed(&identity, seed), 0);
    fed_public_line(public_line, &identity.public_keys);
    fed_identity_fini(&identity);
}

/* A whole file around the lines of one test. */
static char *client_text(const char *lines) {
    char *text = NULL;
    ck_assert_int_gt(asprintf(&text,
                              "schema: 1\ncoordinator: tcp://fl.example.org:5600\ncoordinator_key: %s\nkey: ward-7.key\n%s",
                              public_line, lines),
                     0);
    return text;
}

#define CLIENT_DATA "data: {train: {images: i, labels: l}}\n"
#define CLIENT_SPLIT "data: {train: {images: i, labels: l}, partition: {kind: iid, clients: 10}}\n"

START_TEST(a_client_file_of_few_words_gets_the_documented_defaults) {
    struct fed_client_config config;
    struct fed_error err = {.text = ""};
    char path_of_key[96], path_of_state[96], line[FED_PUBLIC_LINE_MAX];
    char *text = client_text(CLIENT_DATA "clients: {first: 7}\n");
    const char *path = write_file(text, strlen(text));
    ck_assert_msg(fed_client_config_load(&config, path, NULL, 0, &err) == 0, "%s", err.text);
    snprintf(path_of_key, sizeof path_of_key, "%s/ward-7.key", dir);
    snprintf(path_of_state, sizeof path_of_state, "%s/state", dir);
    fed_public_line(line, &config.coordinator_key);
    ck_assert_str_eq(config.coordinator, "tcp://fl.example.org:5600");
    ck_assert_str_eq(line, public_line);
    ck_assert_ptr_null(config.bulk);
    ck_assert_str_eq(config.key, path_of_key);
    ck_assert_str_eq(config.state_dir, path_of_state);
    ck_assert_uint_eq(config.first_client, 7);
    ck_assert_uint_eq(config.n_clients, 1);
    ck_assert_uint_eq(config.workers, 1);
    ck_assert_uint_eq(config.limits.max_model_mb, 4096);
    ck_assert_uint_eq(config.limits.max_epochs, 20);
    ck_assert_uint_eq(config.limits.max_train_s, 3600);
    ck_assert_uint_eq(config.limits.memory_mb, 2048);
    ck_assert_int_eq(config.partition.kind, FED_PARTITION_NONE);
    fed_client_config_fini(&config);
    free(text);
}
END_TEST

START_TEST(a_simulated_node_splits_the_data_itself) {
    static const char *const sets[] = {"workers=4", "limits.memory_mb=64", "bulk=ipc:///tmp/b"};
    struct fed_client_config config;
    struct fed_error err = {.text = ""};
    char *text = client_text(CLIENT_SPLIT "seed: 5\nclients: {first: 0, count: 10}\n");
    ck_assert_msg(fed_client_config_load(&config, write_file(text, strlen(text)), sets, 3, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(config.seed, 5);
    ck_assert_int_eq(config.partition.kind, FED_PARTITION_IID);
    ck_assert_uint_eq(config.partition.clients, 10);
    ck_assert_uint_eq(config.n_clients, 10);
    ck_assert_uint_eq(config.workers, 4);
    ck_assert_uint_eq(config.limits.memory_mb, 64);
    ck_assert_str_eq(config.bulk, "ipc:///tmp/b");
    fed_client_config_fini(&config);
    free(text);
}
END_TEST

static const struct {
    const char *lines, *set, *sentence;
} wrong_clients[] = {
    {"clients: {first: 7}\n", NULL, "@: data.train: missing, expected a section of images and labels"},
    {CLIENT_DATA, NULL, "@: clients.first: missing, expected a whole number from 0 to 2147483648"},
    {CLIENT_DATA "clients: {first: 7, count: 2}\n", NULL,
     "@:6: clients.count: found 2, expected 1: without data.partition the file is the shard of one client"},
    {CLIENT_DATA "clients: {first: 7}\n", "seed=1", "--set seed: goes only with data.partition"},
    {CLIENT_SPLIT "clients: {first: 7}\n", NULL, "@: seed: missing, data.partition needs the task's seed"},
    {CLIENT_SPLIT "seed: 1\nclients: {first: 5, count: 6}\n", NULL,
     "@:7: clients.count: found 6 from client 5 on, expected at most 10 clients in all"},
    {CLIENT_DATA "clients: {first: 18446744073709551615}\n", NULL,
     "@:6: clients.first: found \"18446744073709551615\", expected a whole number from 0 to 2147483648"},
    {CLIENT_DATA "clients: {first: 7}\n", "coordinator=tcp://*:5600",
     "--set coordinator: found \"tcp://*:5600\", expected an endpoint to connect to, tcp://HOST:PORT or ipc://PATH"},
    {CLIENT_DATA "clients: {first: 7}\n", "coordinator=tcp://fl.example.org",
     "--set coordinator: found \"tcp://fl.example.org\", expected an endpoint to connect to, tcp://HOST:PORT or ipc://PATH"},
    {CLIENT_DATA "clients: {first: 7}\n", "coordinator=tcp://::1:5600",
     "--set coordinator: found \"tcp://::1:5600\", expected an endpoint to connect to, tcp://HOST:PORT or ipc://PATH"},
    {CLIENT_DATA "clients: {first: 7}\n", "key=null",
     "@: key: missing, expected the node's key file, made by fedavg keygen"},
    {CLIENT_DATA "clients: {first: 7}\n", "workers=0", "--set workers: found \"0\", expected a whole number from 1 to 1024"},
    {CLIENT_DATA "clients: {first: 7}\nlimits: {max_epoch: 3}\n", NULL,
     "@:7: limits.max_epoch: unknown key; did you mean limits.max_epochs?"},
    {"data: {format: csv, label: outcome}\nclients: {first: 7}\n", NULL,
     "@: data.train: missing, expected the path of a file"},
    {"data: {format: csv, train: ward-7.csv, label: outcome}\nclients: {first: 7}\n", "data.test=x",
     "--set data.test: unknown key; did you mean data.train?"},
    {CLIENT_DATA "clients: {first: 7}\n", "data.test.images=x",
     "--set data.test.images: unknown key; did you mean data.train.images?"},
};

START_TEST(a_wrong_client_file_is_refused_in_one_sentence) {
    struct fed_client_config config;
    struct fed_error err = {.text = ""};
    char *text = client_text(wrong_clients[_i].lines);
    const char *path = write_file(text, strlen(text)), *set = wrong_clients[_i].set;
    ck_assert_int_eq(fed_client_config_load(&config, path, &set, set != NULL, &err), FED_ECONFIG);
    ck_sentence(&err, path, wrong_clients[_i].sentence);
    free(text);
}
END_TEST

START_TEST(a_mistyped_coordinator_key_never_becomes_a_key) {
    struct fed_client_config config;
    struct fed_error err = {.text = ""};
    public_line[20] = public_line[20] == 'A' ? 'B' : 'A';
    char *text = client_text(CLIENT_DATA "clients: {first: 7}\n");
    const char *path = write_file(text, strlen(text));
    char place[128];
    snprintf(place, sizeof place, "%s:3: coordinator_key: ", path);
    ck_assert_int_eq(fed_client_config_load(&config, path, NULL, 0, &err), FED_ECONFIG);
    ck_assert_int_eq(strncmp(err.text, place, strlen(place)), 0);
    free(text);
}
END_TEST

#define N(table) ((int)(sizeof(table) / sizeof *(table)))

static Suite *suite(void) {
    Suite *s = suite_create("config");
    TCase *yaml = tcase_create("yaml");
    tcase_add_checked_fixture(yaml, setup, teardown);
    tcase_add_loop_test(yaml, wrong_yaml_is_refused_with_its_line, 0, N(wrong_yaml));
    tcase_add_test(yaml, yaml_becomes_a_flat_list_with_lines);
    tcase_add_test(yaml, a_written_yaml_reads_the_same);
    tcase_add_test(yaml, null_takes_back_a_section_and_nothing_beside_it);
    tcase_add_test(yaml, set_replaces_adds_and_takes_away);
    tcase_add_test(yaml, a_file_beyond_a_mebibyte_is_refused);
    tcase_add_test(yaml, junk_never_parses_and_never_crashes);
    suite_add_tcase(s, yaml);

    TCase *task = tcase_create("task");
    tcase_add_checked_fixture(task, setup, teardown);
    tcase_add_loop_test(task, a_wrong_task_is_refused_in_one_sentence, 0, N(wrong_tasks));
    tcase_add_test(task, a_task_of_few_words_gets_the_documented_defaults);
    tcase_add_test(task, a_full_task_fills_every_field);
    tcase_add_test(task, set_wins_over_the_file_and_its_paths_start_where_we_stand);
    tcase_add_loop_test(task, the_tasks_that_come_along_load, 0, 7);
    tcase_add_test(task, every_row_is_found_by_its_own_path_alone);
    suite_add_tcase(s, task);

    TCase *terms = tcase_create("terms");
    tcase_add_test(terms, terms_have_one_text);
    tcase_add_loop_test(terms, terms_come_back_as_they_went, 0, 10);
    tcase_add_loop_test(terms, wrong_terms_are_not_a_message, 0, N(wrong_terms));
    tcase_add_test(terms, terms_cut_anywhere_are_not_a_message);
    tcase_add_loop_test(terms, a_difference_is_named_in_the_words_of_the_file, 0, 6);
    suite_add_tcase(s, terms);

    TCase *client = tcase_create("client");
    tcase_add_checked_fixture(client, setup_key, teardown);
    tcase_add_test(client, a_client_file_of_few_words_gets_the_documented_defaults);
    tcase_add_test(client, a_simulated_node_splits_the_data_itself);
    tcase_add_loop_test(client, a_wrong_client_file_is_refused_in_one_sentence, 0, N(wrong_clients));
    tcase_add_test(client, a_mistyped_coordinator_key_never_becomes_a_key);
    suite_add_tcase(s, client);
    return s;
}

int main(void) {
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
