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

START_TEST(mnist_2nn_has_the_199210_parameters_of_the_paper) {
    static const struct {
        const char *name;
        uint64_t dims[2];
    } expected[] = {{"fc1.weight", {200, 784}}, {"fc1.bias", {200}},       {"fc2.weight", {200, 200}},
                    {"fc2.bias", {200}},        {"out.weight", {10, 200}}, {"out.bias", {10}}};
    struct fed_model model = preset("mnist_2nn");
    size_t offset = 0;
    ck_assert_uint_eq(model.n_params, 199210);
    ck_assert_uint_eq(model.n_classes, 10);
    ck_assert_uint_eq(model.n_tensors, 6);
    for (int i = 0; i < 6; i++) {
        const struct fed_tensor *t = &model.tensors[i];
        ck_assert_str_eq(t->name, expected[i].name);
        ck_assert_uint_eq(t->n_dims, i % 2 == 0 ? 2 : 1);
        ck_assert_uint_eq(t->dims[0], expected[i].dims[0]);
        ck_assert_uint_eq(t->dims[1], expected[i].dims[1]);
        ck_assert_uint_eq(t->offset, offset);
        offset += t->count;
    }
    ck_assert_uint_eq(offset, model.n_params);
}
END_TEST

START_TEST(presets_are_known_by_name_alone) {
    struct fed_model_spec spec;
    struct fed_model logistic = preset("logistic");
    ck_assert_uint_eq(logistic.n_params, 7850);
    ck_assert_str_eq(logistic.tensors[0].name, "out.weight");
    ck_assert_int_eq(fed_model_preset(&spec, "resnet"), FED_ENOTFOUND);
    ck_assert_int_eq(fed_model_preset(&spec, ""), FED_ENOTFOUND);
    char names[64], *rest = names;
    strcpy(names, fed_model_preset_names());
    for (char *name = strsep(&rest, ","); name != NULL; name = strsep(&rest, ",")) {
        ck_assert_int_eq(fed_model_preset(&spec, name + strspn(name, " ")), 0);
    }
}
END_TEST

START_TEST(wrong_shapes_are_refused_by_layer) {
    static const struct {
        size_t layer; /* 3: the whole stack */
        uint32_t units;
        enum fed_activation activation;
        const char *sentence;
    } wrong[] = {
        {0, 0, FED_RELU, "model.layers[0].units: 0 found, 1 to 1048576"},
        {1, FED_MAX_UNITS + 1, FED_RELU, "model.layers[1].units: 1048577 found"},
        {1, 5, (enum fed_activation)9, "model.layers[1].activation: unknown"},
        {2, 2, FED_RELU, "model.layers[2].activation: relu found, but the last layer must be linear"},
        {2, 1, FED_LINEAR, "model.layers[2].units: 1 found"},
    };
    struct fed_model model = {.n_params = 77};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct fed_model_spec spec = small_spec();
        spec.layers[wrong[i].layer] = (struct fed_layer_spec){wrong[i].units, wrong[i].activation};
        ck_assert_int_eq(fed_model_init(&model, &spec, &err), FED_ECONFIG);
        ck_assert_msg(strstr(err.text, wrong[i].sentence) == err.text, "%s", err.text);
    }
    struct fed_model_spec spec = small_spec();
    spec.input = (struct fed_shape){0};
    ck_assert_int_eq(fed_model_init(&model, &spec, &err), FED_ECONFIG);
    spec = small_spec();
    spec.n_layers = FED_MAX_LAYERS + 1;
    ck_assert_int_eq(fed_model_init(&model, &spec, &err), FED_ECONFIG);
    spec.n_layers = 0;
    ck_assert_int_eq(fed_model_init(&model, &spec, &err), FED_ECONFIG);
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

/* preset seed n_params digest first second inputs units... */
START_TEST(initial_values_and_digests_are_the_known_ones) {
    FILE *file = fopen(FED_VECTORS "/model.txt", "r");
    char line[512], name[32], digest[65], hex[FED_DIGEST_HEX];
    unsigned long seed, n_params;
    float first[2];
    int end, n_vectors = 0;
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file) != NULL) {
        struct fed_model_spec spec = {.n_layers = 0};
        ck_assert_int_eq(sscanf(line, "%31s %lu %lu %64s %f %f %u%n", name, &seed, &n_params, digest, &first[0], &first[1],
                                &spec.input.channels, &end),
                         7);
        for (char *p = line + end; *p != '\n';) {
            spec.layers[spec.n_layers++].units = (uint32_t)strtoul(p, &p, 10);
        }
        struct fed_model model = strcmp(name, "-") == 0 ? model_of(&spec) : preset(name);
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
    ck_assert_int_eq(n_vectors, 5);
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

START_TEST(activation_names_parse_back) {
    for (int i = FED_LINEAR; i <= FED_SIGMOID; i++) {
        enum fed_activation activation;
        ck_assert_int_eq(fed_activation_parse(&activation, fed_activation_name((enum fed_activation)i)), 0);
        ck_assert_int_eq((int)activation, i);
    }
    enum fed_activation activation = FED_TANH;
    ck_assert_int_eq(fed_activation_parse(&activation, "gelu"), FED_ENOTFOUND);
    ck_assert_int_eq(activation, FED_TANH);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("model");
    TCase *t = tcase_create("model");
    tcase_add_test(t, mnist_2nn_has_the_199210_parameters_of_the_paper);
    tcase_add_test(t, presets_are_known_by_name_alone);
    tcase_add_test(t, wrong_shapes_are_refused_by_layer);
    tcase_add_test(t, more_parameters_than_a_stream_has_words_are_refused);
    tcase_add_test(t, initial_values_and_digests_are_the_known_ones);
    tcase_add_test(t, initial_weights_fill_their_interval_and_biases_are_zero);
    tcase_add_test(t, digest_sees_every_bit_the_names_and_the_shapes);
    tcase_add_test(t, every_parameter_is_located_in_its_tensor);
    tcase_add_test(t, activation_names_parse_back);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
