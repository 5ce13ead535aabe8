/* Models as people write them: every form of a right one, the sentence of every wrong one, and what of it travels. */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/config/model_words.h"
#include "common/config/task.h"
#include "common/config/terms.h"

static char dir[64], path[96];

static void setup(void) {
    snprintf(dir, sizeof dir, "/tmp/check_model_section.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/t.yaml", dir);
}

static void teardown(void) {
    unlink(path);
    ck_assert_int_eq(rmdir(dir), 0);
}

/* A task whose model begins in line 4. */
static int load(struct fed_task *task, const char *model, const char *set, struct fed_error *err) {
    char *text = NULL;
    ck_assert_int_gt(asprintf(&text,
                              "schema: 1\nname: t\nseed: 1\n%s"
                              "algorithm: {rounds: 3, fraction: 0.1, epochs: 1, batch_size: 10, learning_rate: 0.2}\n",
                              model),
                     0);
    struct iovec part = {text, strlen(text)};
    ck_assert_int_eq(fed_file_replace(path, &part, 1, 0600, NULL), 0);
    free(text);
    return fed_task_load(task, path, &set, set != NULL, err);
}

/* The caller owns *task. */
static const struct fed_model_spec *read_model(struct fed_task *task, const char *model) {
    struct fed_error err = {.text = ""};
    ck_assert_msg(load(task, model, NULL, &err) == 0, "%s", err.text);
    return &task->model;
}

/* -- wrong ones -------------------------------------------------------------------------------------------------------- */

#define IMAGES "model:\n  input: {height: 28, width: 28}\n  layers:\n"
#define STEPS "model:\n  input: {steps: 24, features: 6}\n  layers:\n"
#define TEXT "model:\n  input: {steps: 80}\n  vocabulary: abc\n  layers:\n"
#define PLAIN "model:\n  input: 784\n  layers:\n"
#define OUT "  - {units: 10}\n"
#define RELU "activation: relu}\n"
#define FORMS "expected a number of inputs, {height, width, channels} or {steps, features}"

static const struct {
    const char *model, *set, *sentence;
} wrong[] = {
    /* the input */
    {PLAIN OUT, "model.input=0",
     "--set model.input: found \"0\", expected a number of inputs from 1 to 1048576, {height, width, channels}, or {steps, "
     "features}"},
    {"model: {input: [28, 28], layers: [{units: 10}]}\n", NULL,
     "@:4: model.input[0]: unknown key; did you mean model.input?"},
    {"model: {input: {hight: 3}, layers: [{units: 10}]}\n", NULL,
     "@:4: model.input.hight: unknown key; did you mean model.input.height?"},
    {"model: {input: {height: 28}, layers: [{units: 10}]}\n", NULL,
     "@: model.input.width: missing, expected the number of columns of an image"},
    {"model: {input: {channels: 3}, layers: [{units: 10}]}\n", NULL,
     "@: model.input.height: missing, expected the number of rows of an image"},
    {"model: {input: {features: 3}, layers: [{units: 10}]}\n", NULL,
     "@: model.input.steps: missing, expected the number of steps; without steps write input: N"},
    {"model: {input: {steps: 3}, layers: [{units: 10}]}\n", NULL,
     "@: model.input.features: missing, expected the inputs of one step; or model.vocabulary, if they are characters"},
    {"model: {input: {steps: 3, height: 2}, layers: [{units: 10}]}\n", NULL,
     "@:4: model.input.steps: found together with model.input.height, " FORMS},
    {"model: {input: 4, layers: [{units: 10}]}\n", "model.input.steps=3",
     "--set model.input.steps: found together with model.input, " FORMS},
    {"model: {input: {height: 1048576, width: 1048576}, layers: [{units: 10}]}\n", NULL,
     "@:4: model.input: 1048576 x 1048576 x 1 found, 1 to 67108864 numbers in all are allowed"},
    /* words */
    {"model: {input: 4, vocabulary: abc, layers: [{units: 3}]}\n", NULL,
     "@:4: model.input: goes not with model.vocabulary: characters are the inputs, expected {steps: N} alone"},
    {"model: {input: {steps: 8, features: 2}, vocabulary: abc, layers: [{units: 3}]}\n", NULL,
     "@:4: model.input.features: goes not with model.vocabulary: characters are the inputs, expected {steps: N} alone"},
    {"model: {preset: char_lstm, vocabulary: abca}\n", NULL,
     "@:4: model.vocabulary: character 4, U+0061, stands there for the second time"},
    {"model: {preset: char_lstm, vocabulary: ab\u20ac}\n", NULL,
     "@:4: model.vocabulary: character 3 is U+20AC, expected U+0001 to U+00FF: one byte each"},
    {"model: {preset: char_lstm}\n", "model.vocabulary=ab\xff", "--set model.vocabulary: character 3 is not UTF-8"},
    {"model: {preset: char_lstm, vocabulary: a}\n", NULL,
     "@:4: model.vocabulary: expected at least 2 characters, each once, of U+0001 to U+00FF"},
    {"model: {preset: char_lstm, vocabulary: ''}\n", NULL,
     "@:4: model.vocabulary: found \"\", expected characters, each once, of U+0001 to U+00FF"},
    {"model: {preset: logistic, vocabulary: abc}\n", NULL,
     "@:4: model.vocabulary: goes not with preset: logistic, whose inputs are numbers"},
    {"model: {preset: logistic, classes: well}\n", NULL,
     "@:4: model.classes: found \"well\", expected a section or list that holds model.classes[]"},
    {"model: {preset: logistic, classes: [ill, well]}\n", NULL,
     "@:4: model.classes: 2 names found, but the last layer makes 10 classes"},
    {"model:\n  input: 4\n  classes:\n  - ill\n  - well\n  - ill\n  layers: [{units: 3}]\n", NULL,
     "@:9: model.classes[2]: found \"ill\" for the second time, expected another name"},
    {"model: {input: 4, classes: [ill, ''], layers: [{units: 2}]}\n", NULL,
     "@:4: model.classes[1]: found \"\", expected the name of a class"},
    {"model: {input: 4, classes: [ill, {well: 2}], layers: [{units: 2}]}\n", NULL,
     "@:4: model.classes[]: found a section or list, expected the name of a class"},
    {"model: {input: 4, classes: [ill, well], layers: [{units: 2}]}\n", "model.classes[3]=dead",
     "@: model.classes[2]: missing, expected the name of a class"},
    {"model: {input: 4, classes: [ill, well], layers: [{units: 2}]}\n", "model.classes[1]=w\xe9ll",
     "--set model.classes[1]: expected one line of text without control characters"},
    {"model: {preset: char_lstm, classes: [a, b]}\n", NULL,
     "@:4: model.classes: names found, but the classes are the characters of the vocabulary"},
    {"model: {input: 4, classes: [a, b], loss: mean_squared_error, layers: [{units: 2}]}\n", NULL,
     "@:4: model.classes: names found, but mean_squared_error has no classes"},
    {"model: {input: 4, classes: [a, b, c], loss: binary_cross_entropy, layers: [{units: 1}]}\n", NULL,
     "@:4: model.classes: 3 names found, but binary_cross_entropy makes 2 classes"},
    /* the loss */
    {"model: {preset: logistic, loss: mean_squared_error}\n", NULL,
     "@:4: model.loss: goes only with model.layers: a preset has its own"},
    {"model: {input: 4, loss: hinge, layers: [{units: 2}]}\n", NULL,
     "@:4: model.loss: found \"hinge\", expected softmax_cross_entropy, binary_cross_entropy or mean_squared_error"},
    {"model:\n  input: 4\n  loss: binary_cross_entropy\n  layers:\n  - {units: 2}\n", NULL,
     "@:8: model.layers[0].units: 2 found, but binary_cross_entropy takes one unit, the logit of class 1"},
    {"model: {input: 4, layers: [{units: 1}]}\n", NULL,
     "@:4: model.layers[0].units: 1 found, but the last layer needs one unit for each of at least 2 classes"},
    {"model:\n  input: {steps: 8}\n  vocabulary: abc\n  loss: mean_squared_error\n"
     "  layers: [{kind: embedding, units: 2}, {units: 3}]\n",
     NULL,
     "@:7: model.loss: mean_squared_error found, but characters are followed by characters: softmax_cross_entropy is "
     "allowed"},
    {"model: {input: 4, loss: mean_squared_error, layers: [{units: 1}]}\n", "algorithm.target_accuracy=0.9",
     "--set algorithm.target_accuracy: goes not with model.loss: mean_squared_error, which has no accuracy"},
    /* keys of another kind */
    {PLAIN "  - {units: 4, kernel: 3, " RELU OUT, NULL,
     "@:7: model.layers[0].kernel: goes only with kind: conv2d or max_pool, not with dense"},
    {IMAGES "  - {kind: max_pool, kernel: 2, units: 3}\n" OUT, NULL,
     "@:7: model.layers[0].units: goes only with kind: dense, conv2d, embedding or lstm, not with max_pool"},
    {STEPS "  - {kind: lstm, units: 3, " RELU OUT, NULL,
     "@:7: model.layers[0].activation: goes only with kind: dense or conv2d, not with lstm"},
    {IMAGES "  - {kind: flatten, padding: same}\n" OUT, NULL,
     "@:7: model.layers[0].padding: goes only with kind: conv2d or max_pool, not with flatten"},
    {PLAIN "  - {kind: sparse, units: 4}\n" OUT, NULL,
     "@:7: model.layers[0].kind: found \"sparse\", expected dense, conv2d, max_pool, flatten, embedding or lstm"},
    {IMAGES "  - {kind: conv2d, units: 4, " RELU OUT, NULL,
     "@:7: model.layers[0].kernel: missing, expected a whole number from 1 to 255"},
    {IMAGES "  - {kind: conv2d, units: 4, kernel: 3}\n" OUT, NULL,
     "@:7: model.layers[0].activation: missing, expected linear, relu, tanh or sigmoid"},
    {STEPS "  - {kind: lstm}\n" OUT, NULL, "@:7: model.layers[0].units: missing, expected a whole number from 1 to 1048576"},
    {IMAGES "  - {kind: conv2d, units: 4, kernel: 4, " RELU OUT, NULL,
     "@:7: model.layers[0].kernel: 4 found, an odd number is allowed"},
    {IMAGES "  - {kind: max_pool, kernel: 256}\n" OUT, NULL,
     "@:7: model.layers[0].kernel: found \"256\", expected a whole number from 1 to 255"},
    {IMAGES "  - {kind: max_pool, kernel: 2, stride: 0}\n" OUT, NULL,
     "@:7: model.layers[0].stride: found \"0\", expected a whole number from 1 to 255"},
    {IMAGES "  - {kind: max_pool, kernel: 2, padding: full}\n" OUT, NULL,
     "@:7: model.layers[0].padding: found \"full\", expected same or valid"},
    /* layers that do not fit together */
    {IMAGES OUT, NULL, "@:7: model.layers[0]: dense takes vectors, but is given 28 x 28 x 1; put a flatten layer before it"},
    {IMAGES "  - {kind: lstm, units: 4}\n" OUT, NULL,
     "@:7: model.layers[0]: lstm takes vectors, one a step, but is given 28 x 28 x 1"},
    {STEPS "  - {kind: max_pool, kernel: 2}\n" OUT, NULL,
     "@:7: model.layers[0]: max_pool takes images, but is given 24 steps of 6"},
    {PLAIN "  - {units: 9, " RELU "  - {kind: conv2d, kernel: 3, units: 4, " RELU OUT, NULL,
     "@:8: model.layers[1]: conv2d takes images, but is given 9"},
    {IMAGES "  - {kind: max_pool, kernel: 20}\n  - {kind: max_pool, kernel: 2}\n" OUT, NULL,
     "@:8: model.layers[1]: max_pool takes images, but is given 1"},
    {IMAGES "  - {kind: max_pool, kernel: 29}\n" OUT, NULL,
     "@:7: model.layers[0]: its window of 29 x 29 does not fit into 28 x 28 x 1"},
    {IMAGES "  - {kind: conv2d, kernel: 3, units: 1048576, " RELU "  - {kind: flatten}\n" OUT, NULL,
     "@:7: model.layers[0]: more than 67108864 outputs an example"},
    {TEXT "  - {kind: lstm, units: 4}\n  - {units: 3}\n", NULL,
     "@:8: model.layers[0]: the first layer over symbols has to be an embedding"},
    {TEXT "  - {kind: embedding, units: 4}\n  - {kind: embedding, units: 4}\n  - {units: 3}\n", NULL,
     "@:9: model.layers[1]: an embedding can only be the first layer"},
    {TEXT "  - {kind: embedding, units: 4}\n" OUT, NULL,
     "@:9: model.layers[1].units: found 10, expected 3, one for each character of model.vocabulary"},
    {STEPS "  - {kind: embedding, units: 4}\n" OUT, NULL,
     "@:7: model.layers[0]: an embedding needs symbols (model.vocabulary)"},
    {STEPS "  - {kind: lstm, units: 4}\n", NULL, "@:7: model.layers[0].kind: lstm found, but the last layer must be dense"},
    {PLAIN "  - {units: 4, activation: tanh}\n", NULL,
     "@:7: model.layers[0].activation: tanh found, but the last layer must be linear: softmax belongs to the loss"},
};

START_TEST(a_wrong_model_is_refused_in_one_sentence) {
    struct fed_task task = {.path = (char *)"untouched"};
    struct fed_error err = {.text = ""};
    char expected[1100];
    const char *sentence = wrong[_i].sentence;
    ck_assert_int_eq(load(&task, wrong[_i].model, wrong[_i].set, &err), FED_ECONFIG);
    snprintf(expected, sizeof expected, "%s%s", sentence[0] == '@' ? path : "", sentence + (sentence[0] == '@'));
    ck_assert_str_eq(err.text, expected);
    ck_assert_str_eq(task.path, "untouched");
}
END_TEST

/* -- right ones -------------------------------------------------------------------------------------------------------- */

START_TEST(an_input_has_four_forms) {
    static const struct {
        const char *model;
        struct fed_shape shape;
    } rows[] = {
        {"model: {input: 784, layers: [{units: 10}]}\n", {784, 0, 0, 0}},
        {"model: {input: {height: 5, width: 7}, layers: [{kind: flatten}, {units: 10}]}\n", {1, 0, 5, 7}},
        {"model: {input: {height: 5, width: 1, channels: 3}, layers: [{kind: flatten}, {units: 10}]}\n", {3, 0, 5, 1}},
        {"model: {input: {steps: 24, features: 6}, layers: [{units: 10}]}\n", {6, 24, 0, 0}},
        {"model: {input: {steps: 80}, vocabulary: ab, layers: [{kind: embedding, units: 9}, {units: 2}]}\n", {0, 80, 0, 0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fed_task task;
        const struct fed_model_spec *spec = read_model(&task, rows[i].model);
        ck_assert_mem_eq(&spec->input, &rows[i].shape, sizeof rows[i].shape);
        fed_task_fini(&task);
    }
}
END_TEST

START_TEST(what_a_layer_does_not_say_is_the_habit_of_its_kind) {
    static const struct fed_layer_spec expected[] = {
        {8, FED_RELU, FED_CONV2D, .kernel = 5, .stride = 1, .padding = FED_SAME},
        {.kind = FED_MAX_POOL, .kernel = 3, .stride = 3, .padding = FED_VALID},
        {8, FED_TANH, FED_CONV2D, .kernel = 3, .stride = 2, .padding = FED_VALID},
        {.kind = FED_MAX_POOL, .kernel = 2, .stride = 1, .padding = FED_SAME},
        {.kind = FED_FLATTEN},
        {9, FED_SIGMOID, FED_DENSE},
        {10, FED_LINEAR, FED_DENSE},
    };
    struct fed_task task;
    const struct fed_model_spec *spec =
        read_model(&task, IMAGES "  - {kind: conv2d, units: 8, kernel: 5, activation: relu}\n"
                                 "  - {kind: max_pool, kernel: 3}\n"
                                 "  - {kind: conv2d, units: 8, kernel: 3, stride: 2, padding: valid, activation: tanh}\n"
                                 "  - {kind: max_pool, kernel: 2, stride: 1, padding: same}\n"
                                 "  - {kind: flatten}\n"
                                 "  - {units: 9, activation: sigmoid}\n"
                                 "  - {kind: dense, units: 10}\n");
    ck_assert_uint_eq(spec->n_layers, 7);
    ck_assert_mem_eq(spec->layers, expected, sizeof expected);
    ck_assert_int_eq(spec->loss, FED_SOFTMAX_CROSS_ENTROPY);
    fed_task_fini(&task);
}
END_TEST

START_TEST(the_presets_can_be_written_out) {
    static const char *const rows[][2] = {
        {"mnist_2nn", "model: {input: 784, layers: [{units: 200, activation: relu}, {units: 200, activation: relu}, "
                      "{units: 10}]}\n"},
        {"mnist_cnn", IMAGES "  - {kind: conv2d, units: 32, kernel: 5, activation: relu}\n"
                             "  - {kind: max_pool, kernel: 2}\n"
                             "  - {kind: conv2d, units: 64, kernel: 5, activation: relu}\n"
                             "  - {kind: max_pool, kernel: 2}\n"
                             "  - {kind: flatten}\n"
                             "  - {units: 512, activation: relu}\n"
                             "  - {units: 10}\n"},
        {"char_lstm", "model:\n  input: {steps: 80}\n  vocabulary: \"\\n !\\\"#$%&'()*+,-./0123456789:;<=>?@"
                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\\\]^_`abcdefghijklmnopqrstuvwxyz{|}~\"\n"
                      "  layers: [{kind: embedding, units: 8}, {kind: lstm, units: 256}, {kind: lstm, units: 256}, "
                      "{units: 96}]\n"},
        {"logistic", "model: {input: 784, layers: [{units: 10}]}\n"},
    };
    char line[64];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fed_task preset, written;
        snprintf(line, sizeof line, "model: {preset: %s}\n", rows[i][0]);
        read_model(&preset, line);
        read_model(&written, rows[i][1]);
        ck_assert_str_eq(preset.model.preset, rows[i][0]);
        memset(preset.model.preset, 0, sizeof preset.model.preset);
        ck_assert_mem_eq(preset.model.symbols, written.model.symbols, sizeof written.model.symbols);
        ck_assert_uint_eq(preset.model.n_layers, written.model.n_layers);
        ck_assert_mem_eq(preset.model.layers, written.model.layers, sizeof written.model.layers);
        ck_assert_uint_eq(fed_shape_size(preset.model.input), fed_shape_size(written.model.input));
        fed_task_fini(&preset);
        fed_task_fini(&written);
    }
}
END_TEST

START_TEST(a_vocabulary_makes_the_preset_as_wide_as_it_is) {
    struct fed_task task;
    const struct fed_model_spec *spec =
        read_model(&task, "model: {vocabulary: \"z\\n\\ta\u00e9\u00ff \", preset: char_lstm}\n");
    ck_assert_uint_eq(spec->n_symbols, 7);
    ck_assert_mem_eq(spec->symbols, "z\n\ta\xe9\xff \0", 8);
    ck_assert_uint_eq(spec->layers[spec->n_layers - 1].units, 7);
    fed_task_fini(&task);
}
END_TEST

START_TEST(classes_are_listed_by_line) {
    struct fed_task task;
    const struct fed_model_spec *spec =
        read_model(&task, "model:\n  input: 4\n  loss: binary_cross_entropy\n  classes: [not ill, \"krank\u00e9\"]\n"
                          "  layers: [{units: 1}]\n");
    ck_assert_str_eq(spec->classes, "not ill\nkrank\u00e9");
    ck_assert_int_eq(spec->loss, FED_BINARY_CROSS_ENTROPY);
    fed_task_fini(&task);
    spec = read_model(&task, "model: {preset: logistic, classes: [a, b, c, d, e, f, g, h, i, '10']}\n");
    ck_assert_str_eq(spec->classes, "a\nb\nc\nd\ne\nf\ng\nh\ni\n10");
    fed_task_fini(&task);
}
END_TEST

START_TEST(numbers_to_be_met_need_no_classes) {
    struct fed_task task;
    const struct fed_model_spec *spec =
        read_model(&task, "model: {input: 4, loss: mean_squared_error, layers: [{units: 1}]}\n");
    ck_assert_int_eq(spec->loss, FED_MEAN_SQUARED_ERROR);
    fed_task_fini(&task);
}
END_TEST

/* The blocks of the man page that begin with "model:", without the backslashes that scdoc wants. */
START_TEST(the_examples_of_the_man_page_are_right) {
    FILE *page = fopen(FED_VECTORS "/../../docs/man/fedavg-task.5.scd", "r");
    char line[512], model[2048] = "";
    size_t n_examples = 0;
    bool inside = false;
    ck_assert_ptr_nonnull(page);
    while (fgets(line, sizeof line, page) != NULL) {
        if (strcmp(line, "```\n") == 0) {
            if (inside && strncmp(model, "model:", 6) == 0) {
                struct fed_task task;
                read_model(&task, model);
                fed_task_fini(&task);
                n_examples++;
            }
            inside = !inside;
            model[0] = '\0';
        } else if (inside) {
            size_t n = strlen(model);
            ck_assert_uint_lt(n + strlen(line), sizeof model);
            for (const char *c = line; *c != '\0'; c++) {
                c += *c == '\\';
                model[n++] = *c;
            }
            model[n] = '\0';
        }
    }
    fclose(page);
    ck_assert_uint_eq(n_examples, 7);
}
END_TEST

/* -- words ------------------------------------------------------------------------------------------------------------- */

START_TEST(all_bytes_but_zero_can_be_a_vocabulary) {
    struct fed_model_spec spec = {.n_symbols = 0}, back = {.n_symbols = 0};
    char text[FED_VOCABULARY_TEXT], again[FED_VOCABULARY_TEXT];
    for (uint32_t i = 0; i < FED_MAX_SYMBOLS; i++) {
        spec.symbols[spec.n_symbols++] = (uint8_t)(FED_MAX_SYMBOLS - i);
    }
    ck_assert_int_eq(fed_model_words_symbols(&back, fed_model_words_vocabulary(text, &spec), NULL), 0);
    ck_assert_uint_eq(strlen(text), 128 * 2 + 127);
    ck_assert_uint_eq(back.n_symbols, FED_MAX_SYMBOLS);
    ck_assert_mem_eq(back.symbols, spec.symbols, sizeof spec.symbols);
    ck_assert_str_eq(fed_model_words_vocabulary(again, &back), text);
}
END_TEST

START_TEST(what_is_not_utf8_is_no_vocabulary) {
    static const char *const rows[] = {"a\x80",
                                       "a\xc3",
                                       "a\xc3z",
                                       "a\xc1\xa1",
                                       "a\xe0\x82\x80",
                                       "a\xed\xa0\x80",
                                       "a\xf0\x80\x82",
                                       "a\xf4\x90\x80\x80",
                                       "a\xf8\x88\x80\x80\x80",
                                       "a\xfe",
                                       "a\xff"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fed_model_spec spec = {.n_symbols = 77};
        struct fed_error err;
        ck_assert_int_eq(fed_model_words_symbols(&spec, rows[i], &err), FED_ECONFIG);
        ck_assert_str_eq(err.text, "character 2 is not UTF-8");
        ck_assert_uint_eq(spec.n_symbols, 77);
    }
}
END_TEST

START_TEST(classes_end_where_their_room_does) {
    struct fed_model_spec spec = {.n_symbols = 0};
    struct fed_error err;
    char name[FED_CLASSES_TEXT + 1];
    memset(name, 'x', sizeof name);
    name[FED_CLASSES_TEXT - 3] = '\0'; /* leaves room for a newline and one letter */
    ck_assert_int_eq(fed_model_words_add_class(&spec, name, &err), 0);
    ck_assert_int_eq(fed_model_words_add_class(&spec, "ab", &err), FED_ECONFIG);
    ck_assert_str_eq(err.text, "the names of all classes are longer than 4095 bytes");
    ck_assert_uint_eq(strlen(spec.classes), FED_CLASSES_TEXT - 3);
    ck_assert_int_eq(fed_model_words_add_class(&spec, "a", &err), 0);
    ck_assert_uint_eq(strlen(spec.classes), FED_CLASSES_TEXT - 1);
    ck_assert_int_eq(fed_model_words_add_class(&spec, "b", &err), FED_ECONFIG);
}
END_TEST

START_TEST(no_class_has_what_a_terminal_obeys) {
    static const char *const names[] = {"a\nb", "\x1b[2J", "a\x7f", "a\xc2\x80", "a\xc2\x9b", "\xff"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct fed_model_spec spec = {.n_symbols = 0};
        struct fed_error err;
        ck_assert_int_eq(fed_model_words_add_class(&spec, names[i], &err), FED_ECONFIG);
        ck_assert_str_eq(err.text, "expected one line of text without control characters");
        ck_assert_str_eq(spec.classes, "");
    }
}
END_TEST

START_TEST(a_class_may_begin_like_another) {
    struct fed_model_spec spec = {.n_symbols = 0};
    ck_assert_int_eq(fed_model_words_add_class(&spec, "abc", NULL), 0);
    ck_assert_int_eq(fed_model_words_add_class(&spec, "ab", NULL), 0);
    ck_assert_int_eq(fed_model_words_add_class(&spec, "bc", NULL), 0);
    ck_assert_int_eq(fed_model_words_add_class(&spec, "ab", NULL), FED_ECONFIG);
    ck_assert_str_eq(spec.classes, "abc\nab\nbc");
}
END_TEST

/* -- what travels ------------------------------------------------------------------------------------------------------ */

static struct fed_task_terms terms_of(const struct fed_model_spec *spec) {
    return (struct fed_task_terms){.model = *spec,
                                   .fraction = 0.1,
                                   .epochs = 1,
                                   .batch_size = 10,
                                   .learning_rate = 0.1,
                                   .learning_rate_decay = 1,
                                   .max_delta = 64,
                                   .max_weight = 600,
                                   .max_updates = 10,
                                   .name = "t"};
}

static const char *const travellers[] = {
    "model: {preset: mnist_2nn}\n",
    "model: {preset: mnist_cnn}\n",
    "model: {preset: char_lstm}\n",
    "model: {preset: char_lstm, vocabulary: \"\\x01\\x1f\\x7f\\b\\f\\n\\r\\t\\\"\\\\/\\x80\\xff\"}\n",
    "model: {preset: logistic, classes: [a, b, c, d, e, 'f f', '\"', '\\', '/', \u20ac]}\n",
    "model: {input: {steps: 24, features: 6}, loss: mean_squared_error, layers: [{kind: lstm, units: 5}, {units: 2}]}\n",
    "model: {input: 6, loss: binary_cross_entropy, classes: [well, ill], layers: [{units: 1}]}\n",
    IMAGES "  - {kind: conv2d, units: 3, kernel: 3, stride: 2, padding: valid, activation: sigmoid}\n"
           "  - {kind: max_pool, kernel: 3, stride: 2, padding: same}\n  - {kind: flatten}\n" OUT,
};

START_TEST(both_sides_make_the_same_model) {
    struct fed_task task;
    struct fed_error err = {.text = ""};
    struct fed_model here, there;
    struct fed_task_terms back;
    char *text;
    const struct fed_model_spec *spec = read_model(&task, travellers[_i]);
    struct fed_task_terms terms = terms_of(spec);
    ck_assert_int_eq(fed_task_terms_encode(&text, &terms), 0);
    ck_assert_msg(fed_task_terms_decode(&back, text, strlen(text), &err) == 0, "%s in %s", err.text, text);
    ck_assert_int_eq(fed_model_init(&here, spec, NULL), 0);
    ck_assert_int_eq(fed_model_init(&there, &back.model, NULL), 0);
    ck_assert_str_eq(back.model.preset, "");
    ck_assert_uint_eq(back.model.n_symbols, spec->n_symbols);
    ck_assert_mem_eq(back.model.symbols, spec->symbols, sizeof spec->symbols);
    ck_assert_str_eq(back.model.classes, spec->classes);
    ck_assert_int_eq(back.model.loss, spec->loss);
    ck_assert_mem_eq(back.model.layers, spec->layers, sizeof spec->layers);
    ck_assert_mem_eq(there.layers, here.layers, sizeof here.layers);
    ck_assert_mem_eq(there.tensors, here.tensors, sizeof here.tensors);
    ck_assert_uint_eq(there.n_params, here.n_params);
    ck_assert_uint_eq(there.n_targets, here.n_targets);
    free(text);
    fed_task_fini(&task);
}
END_TEST

START_TEST(a_text_model_is_spelled_once) {
    static const char expected[] =
        "\"model\":{\"input\":{\"channels\":1,\"height\":1,\"steps\":4,\"width\":1},\"layers\":["
        "{\"kind\":\"embedding\",\"units\":2},{\"kind\":\"lstm\",\"units\":3},"
        "{\"activation\":\"linear\",\"kind\":\"dense\",\"units\":5}],\"loss\":\"softmax_cross_entropy\","
        "\"vocabulary\":\"\\n \\\"\\u001F\u00e9\"}";
    static const char *const other_spellings[][2] = {{"\\n", "\\u000A"},    {"\\n", "\\u000a"},    {"\\u001F", "\\u001f"},
                                                     {"\\\"", "\\u0022"},   {"\u00e9", "\\u00E9"}, {"\u00e9", "\\/"},
                                                     {"\\u001F", "\\u01F"}, {"\\u001F", "\x1f"}};
    struct fed_task task;
    struct fed_task_terms back,
        terms = terms_of(read_model(&task, "model: {input: {steps: 4}, vocabulary: \"\\n \\\"\\x1f\u00e9\", layers: "
                                           "[{kind: embedding, units: 2}, {kind: lstm, units: 3}, {units: 5}]}\n"));
    char *text;
    ck_assert_int_eq(fed_task_terms_encode(&text, &terms), 0);
    ck_assert_msg(strstr(text, expected) != NULL, "%s", text);
    ck_assert_int_eq(fed_task_terms_decode(&back, text, strlen(text), NULL), 0);
    for (size_t i = 0; i < sizeof other_spellings / sizeof *other_spellings; i++) {
        const char *from = other_spellings[i][0], *at = strstr(text, from);
        char *other = NULL;
        ck_assert_ptr_nonnull(at);
        ck_assert_int_gt(asprintf(&other, "%.*s%s%s", (int)(at - text), text, other_spellings[i][1], at + strlen(from)), 0);
        ck_assert_msg(fed_task_terms_decode(&back, other, strlen(other), NULL) == FED_EWIRE, "let through: %s", other);
        free(other);
    }
    free(text);
    fed_task_fini(&task);
}
END_TEST

/* Everything at its longest: 32 layers of the wordiest kind, and as many bytes of classes, all to be escaped, as there are.
 */
START_TEST(the_longest_terms_fit_into_their_message) {
    struct fed_model_spec spec = {.input = {.channels = 1, .height = 255, .width = 255}, .n_layers = FED_MAX_LAYERS};
    struct fed_model model;
    struct fed_task_terms back;
    for (uint32_t i = 0; i < FED_MAX_LAYERS - 2; i++) {
        spec.layers[i] =
            (struct fed_layer_spec){1000, FED_SIGMOID, FED_CONV2D, .kernel = 255, .stride = 1, .padding = FED_VALID};
        spec.layers[i].kernel = i == 0 ? 255 : 1; /* an image of 1 x 1 would be a vector */
        spec.layers[i].padding = FED_SAME;
    }
    spec.layers[FED_MAX_LAYERS - 2].kind = FED_FLATTEN;
    char name[16];
    uint32_t n = 0;
    for (; n < 4096; n++) { /* names of quotation marks and backslashes: the binary digits of n */
        size_t length = 0;
        for (uint32_t bits = n + 2; bits > 1; bits >>= 1) {
            name[length++] = bits & 1 ? '"' : '\\';
        }
        name[length] = '\0';
        if (fed_model_words_add_class(&spec, name, NULL) != 0) {
            break;
        }
    }
    spec.layers[FED_MAX_LAYERS - 1].units = n;
    for (uint32_t i = 0; i < FED_MAX_LAYERS - 2; i++) {
        spec.layers[i].units = 100;
    }
    struct fed_error err = {.text = ""};
    ck_assert_msg(fed_model_init(&model, &spec, &err) == 0, "%s", err.text);
    struct fed_task_terms terms = terms_of(&spec);
    char *text;
    ck_assert_int_eq(fed_task_terms_encode(&text, &terms), 0);
    ck_assert_uint_lt(strlen(text), FED_TERMS_MAX);
    ck_assert_int_eq(fed_task_terms_decode(&back, text, strlen(text), NULL), 0);
    ck_assert_str_eq(back.model.classes, spec.classes);
    free(text);
}
END_TEST

START_TEST(another_vocabulary_is_named_on_one_line) {
    struct fed_task task;
    struct fed_error difference;
    char *texts[2];
    static const char *const models[] = {"model: {preset: char_lstm, vocabulary: \"a\\n\"}\n",
                                         "model: {preset: char_lstm, vocabulary: \"\\na\"}\n"};
    for (size_t i = 0; i < 2; i++) {
        struct fed_task_terms terms = terms_of(read_model(&task, models[i]));
        ck_assert_int_eq(fed_task_terms_encode(&texts[i], &terms), 0);
        fed_task_fini(&task);
    }
    fed_task_terms_difference(&difference, texts[0], texts[1]);
    ck_assert_str_eq(difference.text, "model.vocabulary: a\\n in the run, \\na in the task");
    free(texts[0]);
    free(texts[1]);
}
END_TEST

#define N(table) ((int)(sizeof(table) / sizeof *(table)))

int main(void) {
    Suite *suite = suite_create("model_section");
    TCase *t = tcase_create("model_section");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, a_wrong_model_is_refused_in_one_sentence, 0, N(wrong));
    tcase_add_test(t, an_input_has_four_forms);
    tcase_add_test(t, what_a_layer_does_not_say_is_the_habit_of_its_kind);
    tcase_add_test(t, the_presets_can_be_written_out);
    tcase_add_test(t, a_vocabulary_makes_the_preset_as_wide_as_it_is);
    tcase_add_test(t, classes_are_listed_by_line);
    tcase_add_test(t, numbers_to_be_met_need_no_classes);
    tcase_add_test(t, the_examples_of_the_man_page_are_right);
    tcase_add_test(t, all_bytes_but_zero_can_be_a_vocabulary);
    tcase_add_test(t, what_is_not_utf8_is_no_vocabulary);
    tcase_add_test(t, classes_end_where_their_room_does);
    tcase_add_test(t, no_class_has_what_a_terminal_obeys);
    tcase_add_test(t, a_class_may_begin_like_another);
    tcase_add_loop_test(t, both_sides_make_the_same_model, 0, N(travellers));
    tcase_add_test(t, a_text_model_is_spelled_once);
    tcase_add_test(t, the_longest_terms_fit_into_their_message);
    tcase_add_test(t, another_vocabulary_is_named_on_one_line);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
