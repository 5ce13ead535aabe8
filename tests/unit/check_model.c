/* Shapes, initial values and the one model digest, against an independent implementation (tests/vectors/model.py). */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/model/model.h"
#include "common/seal/digest.h"

static struct fed_error err;

static struct fed_model_spec small_spec(void) {
    return (struct fed_model_spec){.input = {3}, .n_layers = 3, .layers = {{5, FED_RELU}, {4, FED_TANH}, {2, FED_LINEAR}}};
}

static struct fed_model model_of(const struct fed_model_spec *spec) {
    struct fed_model model;
    ck_assert_msg(fed_model_init(&model, spec, &err) == 0, "%s", err.text);
    return model;
}

static struct fed_model preset(const char *name) {
    struct fed_model_spec spec;
    ck_assert_int_eq(fed_model_preset(&spec, name), 0);
    return model_of(&spec);
}

static float *initial(const struct fed_model *model, uint64_t seed) {
    float *params = malloc(model->n_params * sizeof *params);
    ck_assert_ptr_nonnull(params);
    fed_model_initial(params, model, seed);
    return params;
}

struct tensor {
    const char *name;
    uint32_t n_dims;
    uint64_t dims[4];
};

static void check_tensors(const struct fed_model *model, const struct tensor *expected, uint32_t n) {
    size_t offset = 0;
    ck_assert_uint_eq(model->n_tensors, n);
    for (uint32_t i = 0; i < n; i++) {
        const struct fed_tensor *t = &model->tensors[i];
        size_t count = 1;
        ck_assert_str_eq(t->name, expected[i].name);
        ck_assert_uint_eq(t->n_dims, expected[i].n_dims);
        ck_assert_mem_eq(t->dims, expected[i].dims, sizeof t->dims);
        for (uint32_t d = 0; d < t->n_dims; d++) {
            count *= t->dims[d];
        }
        ck_assert_uint_eq(t->offset, offset);
        ck_assert_uint_eq(t->count, count);
        offset += count;
    }
    ck_assert_uint_eq(model->n_params, offset);
}

/* A network of torch.nn.Linear, Conv2d, Embedding and LSTM with these attributes takes the tensors as they are; an LSTM's
 * bias_hh_l0 is zero. */
START_TEST(presets_have_the_parameters_of_the_paper_under_pytorchs_names) {
    static const struct tensor two_nn[] = {{"fc1.weight", 2, {200, 784}}, {"fc1.bias", 1, {200}},
                                           {"fc2.weight", 2, {200, 200}}, {"fc2.bias", 1, {200}},
                                           {"out.weight", 2, {10, 200}},  {"out.bias", 1, {10}}};
    static const struct tensor cnn[] = {{"conv1.weight", 4, {32, 1, 5, 5}},  {"conv1.bias", 1, {32}},
                                        {"conv2.weight", 4, {64, 32, 5, 5}}, {"conv2.bias", 1, {64}},
                                        {"fc1.weight", 2, {512, 3136}},      {"fc1.bias", 1, {512}},
                                        {"out.weight", 2, {10, 512}},        {"out.bias", 1, {10}}};
    static const struct tensor lstm[] = {
        {"embed.weight", 2, {96, 8}},    {"lstm1.weight_ih_l0", 2, {1024, 8}},   {"lstm1.weight_hh_l0", 2, {1024, 256}},
        {"lstm1.bias_ih_l0", 1, {1024}}, {"lstm2.weight_ih_l0", 2, {1024, 256}}, {"lstm2.weight_hh_l0", 2, {1024, 256}},
        {"lstm2.bias_ih_l0", 1, {1024}}, {"out.weight", 2, {96, 256}},           {"out.bias", 1, {96}}};
    static const struct tensor logistic[] = {{"out.weight", 2, {10, 784}}, {"out.bias", 1, {10}}};
    static const struct {
        const char *name;
        size_t n_params;
        uint32_t n_classes, n_targets, n_tensors;
        const struct tensor *tensors;
    } rows[] = {{"mnist_2nn", 199210, 10, 1, 6, two_nn},
                {"mnist_cnn", 1663370, 10, 1, 8, cnn},
                {"char_lstm", 796672 + 265 * 96, 96, 80, 9, lstm},
                {"logistic", 7850, 10, 1, 2, logistic}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fed_model model = preset(rows[i].name);
        check_tensors(&model, rows[i].tensors, rows[i].n_tensors);
        ck_assert_uint_eq(model.n_params, rows[i].n_params);
        ck_assert_uint_eq(model.n_classes, rows[i].n_classes);
        ck_assert_uint_eq(model.n_targets, rows[i].n_targets);
    }
}
END_TEST

START_TEST(char_lstm_grows_by_265_parameters_a_character) {
    struct fed_model_spec spec;
    ck_assert_int_eq(fed_model_preset(&spec, "char_lstm"), 0);
    ck_assert_uint_eq(spec.n_symbols, 96);
    ck_assert_str_eq((const char *)spec.symbols, "\n !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
                                                 "abcdefghijklmnopqrstuvwxyz{|}~");
    for (uint32_t v = 2; v <= FED_MAX_SYMBOLS; v += 11) {
        spec.n_symbols = v;
        fed_model_preset_resize(&spec);
        struct fed_model model = model_of(&spec);
        ck_assert_uint_eq(model.n_params, 796672 + 265 * v);
        ck_assert_uint_eq(model.n_classes, v);
    }
}
END_TEST

static struct fed_shape shape(uint32_t channels, uint32_t steps, uint32_t height, uint32_t width) {
    return (struct fed_shape){channels, steps, height, width};
}

START_TEST(shapes_go_from_layer_to_layer) {
    struct fed_model model = preset("mnist_cnn");
    const struct fed_shape images[] = {shape(1, 1, 28, 28), shape(32, 1, 28, 28), shape(32, 1, 14, 14), shape(64, 1, 14, 14),
                                       shape(64, 1, 7, 7),  shape(3136, 1, 1, 1), shape(512, 1, 1, 1),  shape(10, 1, 1, 1)};
    for (size_t i = 0; i < 7; i++) {
        ck_assert_mem_eq(&model.layers[i].in, &images[i], sizeof images[i]);
        ck_assert_mem_eq(&model.layers[i].out, &images[i + 1], sizeof images[i]);
    }
    model = preset("char_lstm");
    const struct fed_shape texts[] = {shape(1, 80, 1, 1), shape(8, 80, 1, 1), shape(256, 80, 1, 1), shape(256, 80, 1, 1),
                                      shape(96, 80, 1, 1)};
    for (size_t i = 0; i < 4; i++) {
        ck_assert_mem_eq(&model.layers[i].in, &texts[i], sizeof texts[i]);
        ck_assert_mem_eq(&model.layers[i].out, &texts[i + 1], sizeof texts[i]);
    }
}
END_TEST

/* Against the definition: a window at every stride-th place that is allowed. */
START_TEST(windows_are_as_many_as_there_is_room_for) {
    for (uint32_t n = 2; n <= 12; n++) {
        for (uint32_t kernel = 1; kernel <= n; kernel++) {
            for (uint32_t stride = 1; stride <= 4; stride++) {
                uint32_t valid = 0, same = 0;
                for (uint32_t at = 0; at < n; at += stride) {
                    valid += at + kernel <= n;
                    same++;
                }
                struct fed_model_spec spec = {.input = {.channels = 1, .height = n, .width = 12}, .n_layers = 3};
                spec.layers[0] =
                    (struct fed_layer_spec){.kind = FED_MAX_POOL, .kernel = kernel, .stride = stride, .padding = FED_VALID};
                spec.layers[1] = (struct fed_layer_spec){.kind = FED_FLATTEN};
                spec.layers[2] = (struct fed_layer_spec){.units = 2};
                ck_assert_uint_eq(model_of(&spec).layers[0].out.height, valid);
                spec.layers[0].padding = FED_SAME;
                ck_assert_uint_eq(model_of(&spec).layers[0].out.height, same);
            }
        }
    }
}
END_TEST

START_TEST(the_loss_says_what_an_example_has_to_meet) {
    static const struct {
        enum fed_loss loss;
        uint32_t units, n_classes, n_targets;
    } rows[] = {
        {FED_SOFTMAX_CROSS_ENTROPY, 3, 3, 6}, {FED_BINARY_CROSS_ENTROPY, 1, 2, 6}, {FED_MEAN_SQUARED_ERROR, 3, 0, 18}};
    for (size_t i = 0; i < 3; i++) {
        struct fed_model_spec spec = {
            .input = {.channels = 5, .steps = 6}, .loss = rows[i].loss, .n_layers = 1, .layers = {{rows[i].units}}};
        struct fed_model model = model_of(&spec);
        ck_assert_uint_eq(model.n_classes, rows[i].n_classes);
        ck_assert_uint_eq(model.n_targets, rows[i].n_targets);
    }
}
END_TEST

START_TEST(presets_are_known_by_name_alone) {
    struct fed_model_spec spec;
    ck_assert_int_eq(fed_model_preset(&spec, "resnet"), FED_ENOTFOUND);
    ck_assert_int_eq(fed_model_preset(&spec, ""), FED_ENOTFOUND);
    char names[64], *rest = names;
    strcpy(names, fed_model_preset_names());
    for (char *name = strsep(&rest, ","); name != NULL; name = strsep(&rest, ",")) {
        ck_assert_int_eq(fed_model_preset(&spec, name + strspn(name, " ")), 0);
    }
}
END_TEST

/* Those that a task file cannot say, or says otherwise; the others are in check_model_section.c. */
static const struct {
    struct fed_layer_spec layer; /* in place of layer `at` of small_spec; at 3: nothing */
    size_t at;
    struct fed_shape input; /* channels 0: as it is */
    const char *sentence;
} wrong[] = {
    {{0, FED_RELU}, 0, {0}, "model.layers[0].units: 0 found, 1 to 1048576 is allowed"},
    {{FED_MAX_UNITS + 1, FED_RELU}, 1, {0}, "model.layers[1].units: 1048577 found, 1 to 1048576 is allowed"},
    {{5, (enum fed_activation)9}, 1, {0}, "model.layers[1].activation: unknown"},
    {{5, FED_RELU, (enum fed_layer_kind)9}, 1, {0}, "model.layers[1].kind: unknown"},
    {{5, .padding = (enum fed_padding)9}, 1, {0}, "model.layers[1].kind: unknown"},
    {{2, FED_RELU},
     2,
     {0},
     "model.layers[2].activation: relu found, but the last layer must be linear: softmax belongs to the loss"},
    {{1, FED_LINEAR},
     2,
     {0},
     "model.layers[2].units: 1 found, but the last layer needs one unit for each of at least 2 classes"},
    {{5, FED_TANH, FED_LSTM}, 1, {0}, "model.layers[1].activation: goes with dense and conv2d, not with lstm"},
    {{5, FED_LINEAR, FED_CONV2D, .stride = 1}, 0, {0}, "model.layers[0].kernel: 0 found, 1 to 255 is allowed"},
    {{5, FED_LINEAR, FED_CONV2D, .kernel = 257, .stride = 1},
     0,
     {0},
     "model.layers[0].kernel: 257 found, 1 to 255 is allowed"},
    {{5, FED_LINEAR, FED_CONV2D, .kernel = 4, .stride = 1},
     0,
     {0},
     "model.layers[0].kernel: 4 found, an odd number is allowed"},
    {{5, FED_LINEAR, FED_CONV2D, .kernel = 3}, 0, {0}, "model.layers[0].stride: 0 found, 1 to 255 is allowed"},
    {{.kind = FED_MAX_POOL, .kernel = 3, .stride = 256}, 0, {0}, "model.layers[0].stride: 256 found, 1 to 255 is allowed"},
    {{.units = 5, .kind = FED_EMBEDDING}, 0, {0}, "model.layers[0]: an embedding needs symbols (model.vocabulary)"},
    {{0}, 3, {0, 4, 1, 1}, "model.input: 0 found, 1 to 67108864 numbers in all are allowed"},
    {{0}, 3, {FED_MAX_UNITS, 65, 1, 1}, "model.input: 65 steps of 1048576 found, 1 to 67108864 numbers in all are allowed"},
    {{0},
     3,
     {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX},
     "model.input: 4294967295 steps of 4294967295 x 4294967295 x 4294967295 found, 1 to 67108864 numbers in all are "
     "allowed"},
    {{FED_MAX_UNITS, FED_RELU}, 0, {3, 65, 1, 1}, "model.layers[0]: more than 67108864 outputs an example"},
};

START_TEST(a_wrong_stack_is_refused_by_its_key) {
    struct fed_model model = {.n_params = 77};
    struct fed_model_spec spec = small_spec();
    if (wrong[_i].at < 3) {
        spec.layers[wrong[_i].at] = wrong[_i].layer;
    }
    if (wrong[_i].input.channels + wrong[_i].input.steps > 0) {
        spec.input = wrong[_i].input;
    }
    ck_assert_int_eq(fed_model_init(&model, &spec, &err), FED_ECONFIG);
    ck_assert_str_eq(err.text, wrong[_i].sentence);
    ck_assert_uint_eq(model.n_params, 77);
}
END_TEST

START_TEST(a_wrong_number_of_layers_or_symbols_is_refused) {
    struct fed_model model = {.n_params = 77};
    struct fed_model_spec spec = small_spec();
    spec.n_layers = FED_MAX_LAYERS + 1;
    ck_assert_int_eq(fed_model_init(&model, &spec, &err), FED_ECONFIG);
    ck_assert_str_eq(err.text, "model.layers: 33 layers found, 1 to 32 are allowed");
    spec.n_layers = 0;
    ck_assert_int_eq(fed_model_init(&model, &spec, &err), FED_ECONFIG);
    ck_assert_int_eq(fed_model_preset(&spec, "char_lstm"), 0);
    spec.n_symbols = FED_MAX_SYMBOLS + 1;
    ck_assert_int_eq(fed_model_init(&model, &spec, &err), FED_ECONFIG);
    ck_assert_int_eq(fed_model_preset(&spec, "char_lstm"), 0);
    spec.input.width = 2;
    ck_assert_int_eq(fed_model_init(&model, &spec, &err), FED_ECONFIG);
    ck_assert_str_eq(err.text, "model.input: of symbols only steps can be given");
    spec = small_spec();
    spec.loss = (enum fed_loss)9;
    ck_assert_int_eq(fed_model_init(&model, &spec, &err), FED_ECONFIG);
    ck_assert_str_eq(err.text, "model.loss: unknown");
    ck_assert_uint_eq(model.n_params, 77);
}
END_TEST

START_TEST(more_parameters_than_a_stream_has_words_are_refused) {
    struct fed_model_spec spec = small_spec();
    struct fed_model model;
    spec.layers[0].units = spec.layers[1].units = FED_MAX_UNITS;
    ck_assert_int_eq(fed_model_init(&model, &spec, &err), FED_ECONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "model.layers[1]: more than 34359738368 parameters"));
}
END_TEST

/* The stacks of model.py that are no presets; "-" is written out behind: its inputs, and units of dense layers. */
static struct fed_model named_model(const char *name, const char *written) {
    struct fed_model_spec spec = {.n_layers = 0};
    if (strcmp(name, "strides") == 0) {
        spec = (struct fed_model_spec){.input = {.channels = 3, .height = 9, .width = 7},
                                       .n_layers = 6,
                                       .layers = {{5, FED_RELU, FED_CONV2D, 3, 2, FED_SAME},
                                                  {.kind = FED_MAX_POOL, .kernel = 2, .stride = 1, .padding = FED_VALID},
                                                  {4, FED_TANH, FED_CONV2D, 3, 1, FED_VALID},
                                                  {.kind = FED_FLATTEN},
                                                  {6, FED_SIGMOID},
                                                  {2}}};
    } else if (strcmp(name, "sequence") == 0) {
        spec = (struct fed_model_spec){.input = {.channels = 5, .steps = 6},
                                       .n_layers = 4,
                                       .layers = {{4, FED_TANH}, {7, .kind = FED_LSTM}, {3, .kind = FED_LSTM}, {2}}};
    } else if (strcmp(name, "text") == 0) {
        spec = (struct fed_model_spec){.input = {.steps = 4},
                                       .n_symbols = 3,
                                       .symbols = "abc",
                                       .n_layers = 3,
                                       .layers = {{5, .kind = FED_EMBEDDING}, {2, .kind = FED_LSTM}, {3}}};
    } else if (strcmp(name, "-") == 0) {
        char *p = NULL;
        spec.input.channels = (uint32_t)strtoul(written, &p, 10);
        while (*p != '\n') {
            spec.layers[spec.n_layers++].units = (uint32_t)strtoul(p, &p, 10);
        }
    } else {
        return preset(name);
    }
    return model_of(&spec);
}

/* name seed n_params digest first second [inputs units...] */
START_TEST(initial_values_and_digests_are_the_known_ones) {
    FILE *file = fopen(FED_VECTORS "/model.txt", "r");
    char line[512], name[32], digest[65], hex[FED_DIGEST_HEX];
    unsigned long seed, n_params;
    float first[2];
    int end, n_vectors = 0;
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file) != NULL) {
        ck_assert_int_eq(
            sscanf(line, "%31s %lu %lu %64s %f %f%n", name, &seed, &n_params, digest, &first[0], &first[1], &end), 6);
        struct fed_model model = named_model(name, line + end);
        ck_assert_uint_eq(model.n_params, n_params);
        float *params = initial(&model, seed);
        uint8_t got[32];
        fed_model_digest(got, &model, params);
        fed_hex(hex, got, sizeof got);
        ck_assert(params[0] == first[0] && params[1] == first[1]);
        ck_assert_str_eq(hex, digest);
        free(params);
        n_vectors++;
    }
    fclose(file);
    ck_assert_int_eq(n_vectors, 10);
}
END_TEST

START_TEST(initial_weights_fill_their_interval_and_biases_are_zero) {
    struct fed_model model = preset("mnist_2nn");
    float *params = initial(&model, 3);
    for (uint32_t i = 0; i < model.n_tensors; i++) {
        const struct fed_tensor *t = &model.tensors[i];
        float limit = sqrtf(6.0f / (float)(t->dims[0] + t->dims[1])), largest = 0;
        double sum = 0;
        for (size_t k = 0; k < t->count; k++) {
            largest = fmaxf(largest, fabsf(params[t->offset + k]));
            sum += params[t->offset + k];
        }
        if (t->n_dims == 1) {
            ck_assert(largest == 0);
        } else {
            ck_assert(largest <= 1.0001f * limit && largest > 0.99f * limit);
            ck_assert(fabs(sum / (double)t->count) < 0.05 * limit); /* about 4 standard errors of the smallest tensor */
        }
    }
    free(params);
}
END_TEST

START_TEST(digest_sees_every_bit_the_names_and_the_shapes) {
    struct fed_model_spec spec = small_spec();
    struct fed_model model = model_of(&spec);
    float *params = initial(&model, 1);
    uint8_t before[32], after[32];
    fed_model_digest(before, &model, params);
    for (size_t i = 0; i < model.n_params; i++) {
        float kept = params[i];
        params[i] = kept == 0 ? -0.0f : nextafterf(kept, 1);
        fed_model_digest(after, &model, params);
        ck_assert_mem_ne(before, after, 32);
        params[i] = kept;
    }
    model.tensors[1].name[0] = 'g';
    fed_model_digest(after, &model, params);
    ck_assert_mem_ne(before, after, 32);
    model.tensors[1].name[0] = 'f';
    model.tensors[1].dims[0] = 6;
    fed_model_digest(after, &model, params);
    ck_assert_mem_ne(before, after, 32);
    model.tensors[1].dims[0] = 5;
    fed_model_digest(after, &model, params);
    ck_assert_mem_eq(before, after, 32);
    free(params);
}
END_TEST

START_TEST(every_parameter_is_located_in_its_tensor) {
    struct fed_model_spec spec = small_spec();
    struct fed_model model = model_of(&spec);
    size_t i = 0, element;
    for (uint32_t t = 0; t < model.n_tensors; t++) {
        for (size_t k = 0; k < model.tensors[t].count; k++) {
            ck_assert_ptr_eq(fed_model_locate(&model, i++, &element), &model.tensors[t]);
            ck_assert_uint_eq(element, k);
        }
    }
    ck_assert_uint_eq(i, model.n_params);
}
END_TEST

START_TEST(words_are_those_of_the_task_file) {
    static const char *const activations[] = {"linear", "relu", "tanh", "sigmoid"};
    static const char *const kinds[] = {"dense", "conv2d", "max_pool", "flatten", "embedding", "lstm"};
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_str_eq(fed_activation_name((enum fed_activation)i), activations[i]);
    }
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_str_eq(fed_layer_kind_name((enum fed_layer_kind)i), kinds[i]);
    }
    ck_assert_str_eq(fed_padding_name(FED_SAME), "same");
    ck_assert_str_eq(fed_padding_name(FED_VALID), "valid");
    ck_assert_str_eq(fed_loss_name(FED_SOFTMAX_CROSS_ENTROPY), "softmax_cross_entropy");
    ck_assert_str_eq(fed_loss_name(FED_BINARY_CROSS_ENTROPY), "binary_cross_entropy");
    ck_assert_str_eq(fed_loss_name(FED_MEAN_SQUARED_ERROR), "mean_squared_error");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("model");
    TCase *t = tcase_create("model");
    tcase_add_test(t, presets_have_the_parameters_of_the_paper_under_pytorchs_names);
    tcase_add_test(t, char_lstm_grows_by_265_parameters_a_character);
    tcase_add_test(t, shapes_go_from_layer_to_layer);
    tcase_add_test(t, windows_are_as_many_as_there_is_room_for);
    tcase_add_test(t, the_loss_says_what_an_example_has_to_meet);
    tcase_add_test(t, presets_are_known_by_name_alone);
    tcase_add_loop_test(t, a_wrong_stack_is_refused_by_its_key, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(t, a_wrong_number_of_layers_or_symbols_is_refused);
    tcase_add_test(t, more_parameters_than_a_stream_has_words_are_refused);
    tcase_add_test(t, initial_values_and_digests_are_the_known_ones);
    tcase_add_test(t, initial_weights_fill_their_interval_and_biases_are_zero);
    tcase_add_test(t, digest_sees_every_bit_the_names_and_the_shapes);
    tcase_add_test(t, every_parameter_is_located_in_its_tensor);
    tcase_add_test(t, words_are_those_of_the_task_file);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
