/* Parameters that others wrote: what has to be there is taken wherever it stands, and what is wrong is named. */
#include "common/model/import.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/seal/digest.h"

static struct fed_model model;
static struct fed_error err;

static void build(const struct fed_model_spec *spec) { ck_assert_int_eq(fed_model_init(&model, spec, &err), FED_OK); }

/* 1 input, 2 hidden units, 2 classes: fc1.weight (2, 1), fc1.bias (2), out.weight (2, 2), out.bias (2). */
static void build_small(void) {
    build(&(struct fed_model_spec){.input = {1}, .n_layers = 2, .layers = {{2, FED_RELU}, {2, FED_LINEAR}}});
    ck_assert_uint_eq(model.n_params, 10);
}

/* A file of this header and this many floats 1, 2, 3, ...; its header has any length. */
static uint8_t *file(size_t *n, const char *header, size_t n_floats) {
    uint64_t length = strlen(header);
    *n = 8 + length + n_floats * sizeof(float);
    uint8_t *bytes = malloc(*n);
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, length);
    for (size_t i = 0; i < n_floats; i++) {
        float value = (float)(i + 1);
        memcpy(bytes + 8 + length + i * sizeof value, &value, sizeof value);
    }
    return bytes;
}

static int parse(float *params, const char *header, size_t n_floats) {
    size_t n;
    uint8_t *bytes = file(&n, header, n_floats);
    err.text[0] = '\0';
    int code = fed_import_parse(params, bytes, n, &model, &err);
    free(bytes);
    return code;
}

/* In another order than ours, without metadata, data at an odd place. */
#define OUT_BIAS "\"out.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"
#define OUT_WEIGHT "\"out.weight\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[8,24]}"
#define FC1_BIAS "\"fc1.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[24,32]}"
#define FC1_WEIGHT "\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[32,40]}"
#define ALL OUT_BIAS "," OUT_WEIGHT "," FC1_BIAS "," FC1_WEIGHT

START_TEST(tensors_are_found_by_name_wherever_they_stand) {
    static const float expected[] = {9, 10, 7, 8, 3, 4, 5, 6, 1, 2};
    float params[10] = {0};
    build_small();
    ck_assert_int_eq(parse(params, "{" ALL "}", 10), FED_OK);
    ck_assert_mem_eq(params, expected, sizeof expected);
    memset(params, 0, sizeof params);
    ck_assert_int_eq(parse(params, "{\"__metadata__\":{\"format\":\"pt\",\"by\":\"others\"}, " ALL " }  ", 10), FED_OK);
    ck_assert_mem_eq(params, expected, sizeof expected);
}
END_TEST

static const struct {
    const char *header, *says;
} wrong[] = {
    {"{" OUT_BIAS "," OUT_WEIGHT "," FC1_BIAS "}",
     "tensor fc1.weight of the task's model is missing; the file holds out.bias"},
    {"{" ALL ",\"fc2.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "tensor fc2.bias: the task's model"},
    {"{" ALL ",\"fc1.bias_hh_l0\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "tensor fc1.bias_hh_l0: the"},
    {"{" OUT_BIAS "," OUT_WEIGHT "," FC1_BIAS
     ",\"fc1.weight\":{\"dtype\":\"F16\",\"shape\":[2,1],\"data_offsets\":[32,40]}}",
     "tensor fc1.weight has dtype F16, expected F32"},
    {"{" OUT_BIAS "," OUT_WEIGHT "," FC1_BIAS
     ",\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[32,40]}}",
     "tensor fc1.weight has shape [1, 2], the task's model has [2, 1] there"},
    {"{" OUT_BIAS "," OUT_WEIGHT "," FC1_BIAS
     ",\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[36,44]}}",
     "tensor fc1.weight: its data_offsets do not name 8 bytes of the file"},
    {"{" OUT_BIAS "," OUT_WEIGHT "," FC1_BIAS ",\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[-8,0]}}",
     "tensor fc1.weight: its data_offsets"},
    {"{" OUT_BIAS "," OUT_WEIGHT "," FC1_BIAS
     ",\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[40,32]}}",
     "tensor fc1.weight: its data_offsets"},
    {"{" OUT_BIAS "," OUT_WEIGHT "," FC1_BIAS ",\"fc1.weight\":3}", "tensor fc1.weight has dtype none"},
    {"[1]", "its header is no JSON object"},
    {"{" ALL "," OUT_BIAS "}", "its header is no JSON object"},
    {"{\"__metadata__\":{\"fedavg.model\":\"00\"}," ALL "}", "it is damaged: its data has digest"},
};

START_TEST(what_does_not_belong_to_the_model_is_named) {
    float params[10], before[10];
    build_small();
    memset(params, 0x55, sizeof params);
    memcpy(before, params, sizeof params);
    ck_assert_int_eq(parse(params, wrong[_i].header, 10), FED_EDATA);
    ck_assert_msg(strstr(err.text, wrong[_i].says) != NULL, "%s", err.text);
    ck_assert_mem_eq(params, before, sizeof params);
}
END_TEST

START_TEST(what_is_no_safetensors_file_is_told) {
    static const struct {
        const char *bytes;
        size_t n;
        const char *says;
    } files[] = {
        {"", 0, "0 bytes are too few"},
        {"\1\0\0\0\0\0\0\0", 8, "allowed are"},
        {"PK\3\4 whatever follows", 20, "a ZIP archive, as NumPy's .npz"},
        {"\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, "allowed are"},
        {"\2\0\0\0\0\0\0\0{}", 10, "tensor fc1.weight of the task's model is missing; the file holds none"},
    };
    float params[10];
    build_small();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        uint8_t *bytes = malloc(files[i].n + 1); /* so that a read behind the end is seen */
        memcpy(bytes + 1, files[i].bytes, files[i].n);
        ck_assert_int_eq(fed_import_parse(params, bytes + 1, files[i].n, &model, &err), FED_EDATA);
        ck_assert_msg(strstr(err.text, files[i].says) != NULL, "%s", err.text);
        free(bytes);
    }
}
END_TEST

START_TEST(the_second_bias_of_an_lstm_is_added_to_the_first) {
    float params[4 + 4 + 4 + 2 + 2] = {0};
    build(&(struct fed_model_spec){
        .input = {.channels = 1, .steps = 3}, .n_layers = 2, .layers = {{1, .kind = FED_LSTM}, {2, FED_LINEAR}}});
    ck_assert_uint_eq(model.n_params, sizeof params / sizeof *params);
#define LSTM                                                                                                                \
    "{\"lstm1.weight_ih_l0\":{\"dtype\":\"F32\",\"shape\":[4,1],\"data_offsets\":[0,16]},"                                  \
    "\"lstm1.weight_hh_l0\":{\"dtype\":\"F32\",\"shape\":[4,1],\"data_offsets\":[16,32]},"                                  \
    "\"lstm1.bias_ih_l0\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[32,48]},"                                      \
    "\"out.weight\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[64,72]},"                                          \
    "\"out.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[72,80]}"
    ck_assert_int_eq(parse(params,
                           LSTM ",\"lstm1.bias_hh_l0\":{\"dtype\":\"F32\",\"shape\":[4],"
                                "\"data_offsets\":[48,64]}}",
                           20),
                     FED_OK);
    ck_assert_mem_eq(params, ((float[]){1, 2, 3, 4, 5, 6, 7, 8, 9 + 13, 10 + 14, 11 + 15, 12 + 16, 17, 18, 19, 20}),
                     sizeof params);
    ck_assert_int_eq(parse(params, LSTM "}", 20), FED_OK);
    ck_assert_float_eq(params[8], 9);
    ck_assert_int_eq(parse(params,
                           LSTM ",\"lstm1.bias_hh_l0\":{\"dtype\":\"F32\",\"shape\":[2],"
                                "\"data_offsets\":[48,56]}}",
                           20),
                     FED_EDATA);
    ck_assert(strstr(err.text, "tensor lstm1.bias_hh_l0 has shape [2]") != NULL);
}
END_TEST

START_TEST(a_file_of_ours_has_to_have_its_digest) {
    static const float values[] = {9, 10, 7, 8, 3, 4, 5, 6, 1, 2};
    float params[10];
    char hex[FED_DIGEST_HEX], header[1024];
    uint8_t digest[32];
    build_small();
    fed_model_digest(digest, &model, values);
    fed_hex(hex, digest, sizeof digest);
    snprintf(header, sizeof header, "{\"__metadata__\":{\"fedavg.model\":\"%s\"}," ALL "}", hex);
    ck_assert_int_eq(parse(params, header, 10), FED_OK);
}
END_TEST

START_TEST(the_first_value_that_is_not_finite_is_named) {
    float params[10] = {0};
    build_small();
    ck_assert_int_eq(fed_import_check_finite(params, "f", &model, &err), FED_OK);
    params[9] = NAN;
    ck_assert_int_eq(fed_import_check_finite(params, "f", &model, &err), FED_EDATA);
    ck_assert(strstr(err.text, "f: element 1 of tensor out.bias is not a number") == err.text);
    params[3] = -INFINITY;
    ck_assert_int_eq(fed_import_check_finite(params, "f", &model, &err), FED_EDATA);
    ck_assert(strstr(err.text, "f: element 1 of tensor fc1.bias is infinite") == err.text);
}
END_TEST

START_TEST(a_file_that_is_not_there_is_bad_data) {
    float params[10];
    build_small();
    ck_assert_int_eq(fed_import_read(params, "/nowhere/x.safetensors", &model, &err), FED_EDATA);
    ck_assert(strstr(err.text, "/nowhere/x.safetensors") == err.text);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("import");
    TCase *tcase = tcase_create("import");
    tcase_add_test(tcase, tensors_are_found_by_name_wherever_they_stand);
    tcase_add_loop_test(tcase, what_does_not_belong_to_the_model_is_named, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(tcase, what_is_no_safetensors_file_is_told);
    tcase_add_test(tcase, the_second_bias_of_an_lstm_is_added_to_the_first);
    tcase_add_test(tcase, a_file_of_ours_has_to_have_its_digest);
    tcase_add_test(tcase, the_first_value_that_is_not_finite_is_named);
    tcase_add_test(tcase, a_file_that_is_not_there_is_bad_data);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
