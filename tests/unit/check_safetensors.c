/* The model file: its text is known in advance, and nothing but that text and its data is believed. */
#include "common/model/safetensors.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/seal/digest.h"

/* 2 inputs, 3 hidden units, 2 classes: 17 parameters. */
static struct fed_model model;
static float params[17];
static struct fed_safetensors_meta meta;

static void build_model(void) {
    struct fed_model_spec spec = {.input = {2}, .n_layers = 2, .layers = {{3, FED_RELU}, {2, FED_LINEAR}}};
    ck_assert_int_eq(fed_model_init(&model, &spec, NULL), FED_OK);
    ck_assert_uint_eq(model.n_params, 17);
    for (int i = 0; i < 17; i++) {
        params[i] = (float)i - 8.5f;
    }
    for (uint8_t i = 0; i < sizeof meta.run_id; i++) {
        meta.run_id[i] = (uint8_t)(0x10 * i + 0x0f);
    }
    meta.round = 12;
    fed_model_digest(meta.model_digest, &model, params);
}

/* The header that follows from the format's description, written here by hand. */
static size_t known_text(char *out, size_t n, const char *digest) {
    return (size_t)snprintf(out, n,
                            "{\"__metadata__\":{\"format\":\"pt\",\"fedavg.run_id\":\"0f1f2f3f4f5f6f7f8f9fafbfcfdfefff\","
                            "\"fedavg.round\":\"12\",\"fedavg.model\":\"%s\"},"
                            "\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[0,24]},"
                            "\"fc1.bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[24,36]},"
                            "\"out.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[36,60]},"
                            "\"out.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[60,68]}}",
                            digest);
}

/* A file of any header text: padded to 64 unless pad is 0, then n_data bytes. The caller owns it. */
static uint8_t *build_file(size_t *n_bytes, const char *text, size_t pad, const void *data, size_t n_data) {
    size_t n_text = strlen(text), n_header = pad == 0 ? 8 + n_text : (8 + n_text + pad - 1) / pad * pad;
    uint8_t *bytes = malloc(n_header + n_data);
    ck_assert_ptr_nonnull(bytes);
    uint64_t length = n_header - 8;
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, text, n_text);
    memset(bytes + 8 + n_text, ' ', n_header - 8 - n_text);
    memcpy(bytes + n_header, data, n_data);
    *n_bytes = n_header + n_data;
    return bytes;
}

static void good_text(char *out, size_t n) {
    char digest[FED_DIGEST_HEX];
    fed_hex(digest, meta.model_digest, sizeof meta.model_digest);
    known_text(out, n, digest);
}

static int parse(const uint8_t *bytes, size_t n, const uint8_t *expect, struct fed_error *err) {
    const float *found = NULL;
    struct fed_safetensors_meta stated = {.round = 99};
    int code = fed_safetensors_parse(&found, &stated, bytes, n, &model, expect, err);
    if (code != FED_OK) {
        ck_assert_ptr_null(found);
        ck_assert_uint_eq(stated.round, 99);
    }
    return code;
}

START_TEST(header_is_the_known_text) {
    char text[1024];
    good_text(text, sizeof text);
    size_t n_wanted, n_found;
    uint8_t *wanted = build_file(&n_wanted, text, 64, "", 0), *found;
    ck_assert_int_eq(fed_safetensors_header(&found, &n_found, &model, &meta), FED_OK);
    ck_assert_uint_eq(n_found, n_wanted);
    ck_assert_uint_eq(n_found % 64, 0);
    ck_assert_mem_eq(found, wanted, n_wanted);
    free(wanted);
    free(found);
}
END_TEST

START_TEST(file_gives_back_what_was_written) {
    uint8_t *header;
    size_t n_header;
    struct fed_error err;
    ck_assert_int_eq(fed_safetensors_header(&header, &n_header, &model, &meta), FED_OK);
    uint8_t *bytes = malloc(n_header + sizeof params);
    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, header, n_header);
    memcpy(bytes + n_header, params, sizeof params);
    const float *found;
    struct fed_safetensors_meta stated;
    ck_assert_msg(fed_safetensors_parse(&found, &stated, bytes, n_header + sizeof params, &model, meta.model_digest, &err) ==
                      0,
                  "%s", err.text);
    ck_assert_mem_eq(found, params, sizeof params);
    ck_assert_mem_eq(&stated.run_id, &meta.run_id, sizeof meta.run_id);
    ck_assert_mem_eq(&stated.model_digest, &meta.model_digest, sizeof meta.model_digest);
    ck_assert_uint_eq(stated.round, 12);
    free(header);
    free(bytes);
}
END_TEST

START_TEST(largest_round_survives) {
    uint8_t *header;
    size_t n_header;
    meta.round = UINT64_MAX;
    ck_assert_int_eq(fed_safetensors_header(&header, &n_header, &model, &meta), FED_OK);
    ck_assert_ptr_nonnull(memmem(header, n_header, "\"18446744073709551615\"", 22));
    uint8_t *bytes = malloc(n_header + sizeof params);
    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, header, n_header);
    memcpy(bytes + n_header, params, sizeof params);
    const float *found;
    struct fed_safetensors_meta stated;
    ck_assert_int_eq(fed_safetensors_parse(&found, &stated, bytes, n_header + sizeof params, &model, NULL, NULL), FED_OK);
    ck_assert(stated.round == UINT64_MAX);
    free(header);
    free(bytes);
}
END_TEST

START_TEST(no_byte_of_the_data_can_change) {
    char text[1024];
    size_t n;
    struct fed_error err;
    good_text(text, sizeof text);
    uint8_t *bytes = build_file(&n, text, 64, params, sizeof params);
    ck_assert_int_eq(parse(bytes, n, NULL, NULL), FED_OK);
    for (size_t i = n - sizeof params; i < n; i++) {
        bytes[i] ^= 1;
        ck_assert_int_eq(parse(bytes, n, NULL, &err), FED_EDATA);
        ck_assert_ptr_nonnull(strstr(err.text, "damaged"));
        bytes[i] ^= 1;
    }
    free(bytes);
}
END_TEST

START_TEST(every_shorter_file_is_refused) {
    char text[1024];
    size_t n;
    good_text(text, sizeof text);
    uint8_t *bytes = build_file(&n, text, 64, params, sizeof params);
    for (size_t i = 0; i < n; i++) {
        uint8_t *cut = malloc(i == 0 ? 1 : i); /* its own block, so that a sanitizer sees a read beyond it */
        ck_assert_ptr_nonnull(cut);
        memcpy(cut, bytes, i);
        ck_assert_int_eq(parse(cut, i, NULL, NULL), FED_EDATA);
        free(cut);
    }
    free(bytes);
}
END_TEST

START_TEST(another_model_than_expected_is_refused) {
    char text[1024];
    size_t n;
    struct fed_error err;
    uint8_t other[32] = {1};
    good_text(text, sizeof text);
    uint8_t *bytes = build_file(&n, text, 64, params, sizeof params);
    ck_assert_int_eq(parse(bytes, n, other, &err), FED_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "another model"));
    free(bytes);
}
END_TEST

/* Each row replaces one piece of the good header: `from` must be there, so that no row can go stale. */
static const struct {
    const char *from, *to, *said;
} lies[] = {
    {"\"F32\"", "\"F16\"", "fc1.weight is not described"},
    {"\"dtype\":\"F32\",", "", "fc1.weight is not described"},
    {"\"dtype\":\"F32\",", "\"dtype\":\"F32\",\"x\":0,", "fc1.weight is not described"},
    {"[3,2]", "[2,3]", "shape of tensor fc1.weight"},
    {"[3,2]", "[3,2,1]", "shape of tensor fc1.weight"},
    {"[3,2]", "[6]", "shape of tensor fc1.weight"},
    {"[3,2]", "[3,2.0]", "shape of tensor fc1.weight"},
    {"[3,2]", "{}", "shape of tensor fc1.weight"},
    {"[3]", "[-3]", "shape of tensor fc1.bias"},
    {"[24,36]", "[24,37]", "fc1.bias does not stand"},
    {"[24,36]", "[24]", "fc1.bias does not stand"},
    {"[24,36]", "[24,36,36]", "fc1.bias does not stand"},
    {"[0,24]", "[-4,24]", "fc1.weight does not stand"},
    {"[60,68]", "[0,8]", "out.bias does not stand"},
    {"[60,68]", "[60,18446744073709551684]", "not JSON"},
    {"\"fc1.bias\"", "\"fc2.bias\"", "fc1.bias is missing"},
    {"\"fc1.bias\":{", "\"fc1.bias\":[{", "not JSON"},
    {"\"fc1.bias\":", "\"fc1.bias\":0,\"fc1.bias\":", "not JSON"},
    {"\"fc1.bias\":", "\"fc9.bias\":{},\"fc1.bias\":", "it holds 5 tensors, the task's model has 4"},
    {"\"fc1.bias\":", "\"fc1.\\u0000bias\":{},\"fc1.bias\":", "not JSON"},
    {"\"__metadata__\"", "\"__meta__\"", "no \"__metadata__\""},
    {"\"pt\"", "\"tf\"", "\"format\""},
    {"\"pt\"", "7", "\"format\" is not a string"},
    {"\"0f1f", "\"0F1f", "run_id"},
    {"\"0f1f", "\"1f", "run_id"},
    {"\"12\"", "\"012\"", "round"},
    {"\"12\"", "\"-12\"", "round"},
    {"\"12\"", "\" 12\"", "round"},
    {"\"12\"", "\"12 \"", "round"},
    {"\"12\"", "\"\"", "round"},
    {"\"12\"", "\"18446744073709551616\"", "round"},
    {"\"12\"", "\"1200000000000000000000000000\"", "round"},
    {"\"12\"", "12", "not a string"},
    {"\"fedavg.model\"", "\"fedavg.modem\"", "fedavg.model"},
    {"68]}}", "68]}}}", "not JSON"},
    {"68]}}", "68]}", "not JSON"},
    {"{\"__meta", " {\"__meta", "does not start with {"},
};

START_TEST(lie_in_the_header_is_named) {
    char text[1024], bent[2048];
    size_t n;
    struct fed_error err = {""};
    good_text(text, sizeof text);
    const char *at = strstr(text, lies[_i].from);
    ck_assert_msg(at != NULL, "%s is not in the header", lies[_i].from);
    snprintf(bent, sizeof bent, "%.*s%s%s", (int)(at - text), text, lies[_i].to, at + strlen(lies[_i].from));
    uint8_t *bytes = build_file(&n, bent, 64, params, sizeof params);
    ck_assert_int_eq(parse(bytes, n, NULL, &err), FED_EDATA);
    ck_assert_msg(strstr(err.text, lies[_i].said) != NULL, "%s", err.text);
    free(bytes);
}
END_TEST

START_TEST(order_of_keys_and_foreign_metadata_do_not_matter) {
    char digest[FED_DIGEST_HEX], text[1024];
    size_t n;
    struct fed_error err;
    fed_hex(digest, meta.model_digest, sizeof meta.model_digest);
    snprintf(text, sizeof text,
             "{\"out.bias\":{\"data_offsets\":[60,68],\"dtype\":\"F32\",\"shape\":[2]},"
             "\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[0,24]},"
             "\"out.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[36,60]},"
             "\"fc1.bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[24,36]},"
             "\"__metadata__\":{\"fedavg.model\":\"%s\",\"fedavg.round\":\"0\",\"note\":\"by hand\",\"format\":\"pt\","
             "\"fedavg.run_id\":\"00000000000000000000000000000000\"}}",
             digest);
    uint8_t *bytes = build_file(&n, text, 64, params, sizeof params);
    ck_assert_msg(parse(bytes, n, meta.model_digest, &err) == FED_OK, "%s", err.text);
    free(bytes);
}
END_TEST

START_TEST(outline_is_checked_before_the_json) {
    char text[1024];
    size_t n;
    struct fed_error err;
    float more[18] = {0};
    good_text(text, sizeof text);

    char odd[1032]; /* ends anywhere but at a multiple of 64 */
    snprintf(odd, sizeof odd, "%s%s", text, (8 + strlen(text)) % 64 == 0 ? " " : "");
    uint8_t *bytes = build_file(&n, odd, 0, params, sizeof params);
    ck_assert_int_eq(parse(bytes, n, NULL, &err), FED_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "multiple of 64"));
    free(bytes);

    bytes = build_file(&n, text, 64, more, sizeof more); /* one float too many */
    ck_assert_int_eq(parse(bytes, n, NULL, &err), FED_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "72 bytes of data"));

    static const uint64_t lengths[] = {0, 1, 56, (1u << 20) + 56, UINT64_MAX, UINT64_MAX - 7, (uint64_t)INT64_MAX + 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        memcpy(bytes, &lengths[i], 8);
        ck_assert_int_eq(parse(bytes, n, NULL, NULL), FED_EDATA);
    }
    free(bytes);
}
END_TEST

START_TEST(deep_nesting_is_an_error_not_a_crash) {
    size_t depth = 900000, n;
    char *text = malloc(depth + 2);
    ck_assert_ptr_nonnull(text);
    memset(text, '[', depth);
    memcpy(text, "{\"a\":", 5);
    text[depth] = '\0';
    uint8_t *bytes = build_file(&n, text, 64, params, sizeof params);
    ck_assert_int_eq(parse(bytes, n, NULL, NULL), FED_EDATA);
    free(text);
    free(bytes);
}
END_TEST

int main(void) {
    TCase *core = tcase_create("core");
    tcase_add_checked_fixture(core, build_model, NULL);
    tcase_add_test(core, header_is_the_known_text);
    tcase_add_test(core, file_gives_back_what_was_written);
    tcase_add_test(core, largest_round_survives);
    tcase_add_test(core, no_byte_of_the_data_can_change);
    tcase_add_test(core, every_shorter_file_is_refused);
    tcase_add_test(core, another_model_than_expected_is_refused);
    tcase_add_loop_test(core, lie_in_the_header_is_named, 0, sizeof lies / sizeof *lies);
    tcase_add_test(core, order_of_keys_and_foreign_metadata_do_not_matter);
    tcase_add_test(core, outline_is_checked_before_the_json);
    tcase_add_test(core, deep_nesting_is_an_error_not_a_crash);
    Suite *suite = suite_create("safetensors");
    suite_add_tcase(suite, core);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
