/* The terms of a task as they travel: one text each, and nothing else is a message. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/status.h"
#include "common/config/terms.h"
#include "tests/unit/config/fixture.h"

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

/* The example, but for one of the things that it may have or lack. */
enum { N_OTHER_TERMS = 10 };
static struct fed_task_terms other_terms(int i) {
    struct fed_task_terms terms = example_terms();
    switch (i) {
    case 1:
        terms.partition = (struct fed_partition_spec){.kind = FED_PARTITION_DIRICHLET, .clients = 7, .alpha = 1.0 / 3};
        break;
    case 2:
        terms.partition = (struct fed_partition_spec){.kind = FED_PARTITION_IID, .clients = 7};
        terms.batch_size = 0;
        terms.fraction = 0;
        break;
    case 3:
        terms.has_partition = false;
        terms.partition = (struct fed_partition_spec){0};
        memset(terms.partition_digest, 0, sizeof terms.partition_digest);
        terms.learning_rate = 1e-30;
        terms.learning_rate_decay = 0.1 + 0.2;
        break;
    case 4: terms.partition = (struct fed_partition_spec){.kind = FED_PARTITION_QUANTITY, .clients = 7, .alpha = 1.5}; break;
    case 5: terms.partition = (struct fed_partition_spec){.kind = FED_PARTITION_NATURAL, .clients = 7}; break;
    case 6:
        terms.partition = (struct fed_partition_spec){
            .kind = FED_PARTITION_DIRICHLET, .clients = 1u << 31, .alpha = 0.3, .examples_per_client = 60};
        break;
    case 7: terms.clip = (struct fed_clip_options){.norm = 1.0 / 3, .quantile = 0, .rate = 0.2}; break;
    case 8: terms.max_share = 0.1; break;
    case 9:
        terms.has_initial = true;
        memset(terms.initial_digest, 0x5c, sizeof terms.initial_digest);
        break;
    default: break;
    }
    return terms;
}

static void same_terms(const struct fed_task_terms *a, const struct fed_task_terms *b) {
    ck_assert_uint_eq(a->seed, b->seed);
    ck_assert_int_eq(a->has_partition, b->has_partition);
    ck_assert_int_eq(a->partition.kind, b->partition.kind);
    ck_assert_uint_eq(a->partition.clients, b->partition.clients);
    ck_assert_uint_eq(a->partition.shards_per_client, b->partition.shards_per_client);
    ck_assert(a->partition.alpha == b->partition.alpha);
    ck_assert_uint_eq(a->partition.examples_per_client, b->partition.examples_per_client);
    ck_assert_mem_eq(a->partition_digest, b->partition_digest, sizeof b->partition_digest);
    ck_assert(a->fraction == b->fraction && a->learning_rate == b->learning_rate);
    ck_assert(a->learning_rate_decay == b->learning_rate_decay && a->max_delta == b->max_delta);
    ck_assert_uint_eq(a->epochs, b->epochs);
    ck_assert_uint_eq(a->batch_size, b->batch_size);
    ck_assert_uint_eq(a->max_weight, b->max_weight);
    ck_assert_uint_eq(a->max_updates, b->max_updates);
    ck_assert(a->clip.norm == b->clip.norm && a->clip.quantile == b->clip.quantile && a->clip.rate == b->clip.rate &&
              a->max_share == b->max_share);
    ck_assert(a->has_initial == b->has_initial);
    ck_assert_mem_eq(a->initial_digest, b->initial_digest, sizeof b->initial_digest);
    ck_assert_str_eq(a->name, b->name);
    ck_assert_uint_eq(a->model.n_layers, b->model.n_layers);
    ck_assert_mem_eq(a->model.layers, b->model.layers, sizeof b->model.layers);
}

START_TEST(terms_come_back_as_they_went) {
    struct fed_task_terms terms = other_terms(_i), back;
    struct fed_error err = {.text = ""};
    char *text;
    ck_assert_int_eq(fed_task_terms_encode(&text, &terms), 0);
    ck_assert_msg(fed_task_terms_decode(&back, text, strlen(text), &err) == 0, "%s", err.text);
    same_terms(&terms, &back);
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

TCase *terms_cases(void) {
    TCase *cases = tcase_create("terms");
    tcase_add_test(cases, terms_have_one_text);
    tcase_add_loop_test(cases, terms_come_back_as_they_went, 0, N_OTHER_TERMS);
    tcase_add_loop_test(cases, wrong_terms_are_not_a_message, 0, N(wrong_terms));
    tcase_add_test(cases, terms_cut_anywhere_are_not_a_message);
    tcase_add_loop_test(cases, a_difference_is_named_in_the_words_of_the_file, 0, 6);
    return cases;
}
