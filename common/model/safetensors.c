/* Writing is one known text for one set of arguments; reading trusts nothing.
 *
 * The reader goes from the outside in: the length of the header, its JSON, each tensor against the model, the size of the
 * data, its digest. Whatever it says about a tensor is only compared with what the model says, never used to find one:
 * a hostile header can be refused but cannot point anywhere. */
#include "common/model/safetensors.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/seal/digest.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the data section is the canonical block itself: little-endian");
_Static_assert(sizeof(float) == 4, "F32");

#define LENGTH_BYTES 8
#define ALIGNMENT 64
#define HEADER_MAX (1u << 20) /* 64 tensors need some 10 KiB */
#define DECIMAL_MAX 21

static const char METADATA[] = "__metadata__";

/* -- Writing -- */

static json_t *metadata_json(const struct fed_safetensors_meta *meta) {
    char run_id[2 * sizeof meta->run_id + 1], digest[FED_DIGEST_HEX], round[DECIMAL_MAX];
    fed_hex(run_id, meta->run_id, sizeof meta->run_id);
    fed_hex(digest, meta->model_digest, sizeof meta->model_digest);
    snprintf(round, sizeof round, "%" PRIu64, meta->round);
    return json_pack("{s:s, s:s, s:s, s:s}", "format", "pt", "fedavg.run_id", run_id, "fedavg.round", round, "fedavg.model",
                     digest);
}

static json_t *tensor_json(const struct fed_tensor *tensor) {
    json_t *shape = json_array();
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        if (json_array_append_new(shape, json_integer((json_int_t)tensor->dims[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    }
    json_int_t begin = (json_int_t)tensor->offset * (json_int_t)sizeof(float);
    json_int_t end = begin + (json_int_t)tensor->count * (json_int_t)sizeof(float);
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", "F32", "shape", shape, "data_offsets", begin, end);
}

/* The caller owns the text; NULL without memory. */
static char *header_text(const struct fed_model *model, const struct fed_safetensors_meta *meta) {
    char *text = NULL;
    json_t *root = json_object();
    if (json_object_set_new(root, METADATA, metadata_json(meta)) != 0) {
        goto out;
    }
    for (uint32_t i = 0; i < model->n_tensors; i++) {
        if (json_object_set_new(root, model->tensors[i].name, tensor_json(&model->tensors[i])) != 0) {
            goto out;
        }
    }
    text = json_dumps(root, JSON_COMPACT);
out:
    json_decref(root);
    return text;
}

int fed_safetensors_header(uint8_t **out, size_t *n_bytes, const struct fed_model *model,
                           const struct fed_safetensors_meta *meta) {
    int code = FED_ENOMEM;
    uint8_t *bytes = NULL;
    char *text = header_text(model, meta);
    if (text == NULL) {
        goto out;
    }
    size_t n_text = strlen(text);
    size_t n = (LENGTH_BYTES + n_text + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    assert(n - LENGTH_BYTES <= HEADER_MAX);
    bytes = malloc(n);
    if (bytes == NULL) {
        goto out;
    }
    uint64_t length = n - LENGTH_BYTES;
    memcpy(bytes, &length, LENGTH_BYTES);
    memcpy(bytes + LENGTH_BYTES, text, n_text);
    memset(bytes + LENGTH_BYTES + n_text, ' ', n - LENGTH_BYTES - n_text);
    *out = bytes;
    *n_bytes = n;
    bytes = NULL;
    code = FED_OK;
out:
    free(bytes);
    free(text);
    return code;
}

/* -- Reading -- */

/* A u64 as fed_safetensors_header writes it: no sign, no leading zero. */
static int decimal_parse(uint64_t *out, const char *text) {
    char again[DECIMAL_MAX];
    if (text == NULL || strlen(text) >= sizeof again) {
        return FED_EDATA;
    }
    uint64_t value = strtoull(text, NULL, 10);
    snprintf(again, sizeof again, "%" PRIu64, value);
    if (strcmp(again, text) != 0) {
        return FED_EDATA;
    }
    *out = value;
    return FED_OK;
}

/* Keys that we do not know are left alone, as long as they are the strings that the format demands. */
static int metadata_parse(struct fed_safetensors_meta *out, json_t *metadata, struct fed_error *err) {
    if (!json_is_object(metadata)) {
        return fed_error_set(err, FED_EDATA, "model file: there is no \"%s\" object in its header", METADATA);
    }
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value) {
        if (!json_is_string(value)) {
            return fed_error_set(err, FED_EDATA, "model file: metadata \"%.40s\" is not a string", key);
        }
    }
    const char *format = json_string_value(json_object_get(metadata, "format"));
    if (format == NULL || strcmp(format, "pt") != 0) {
        return fed_error_set(err, FED_EDATA, "model file: metadata \"format\" is not \"pt\"");
    }
    if (!fed_unhex(out->run_id, sizeof out->run_id, json_string_value(json_object_get(metadata, "fedavg.run_id")))) {
        return fed_error_set(err, FED_EDATA, "model file: metadata \"fedavg.run_id\" is not 32 hex digits");
    }
    if (decimal_parse(&out->round, json_string_value(json_object_get(metadata, "fedavg.round"))) != 0) {
        return fed_error_set(err, FED_EDATA, "model file: metadata \"fedavg.round\" is not a decimal number");
    }
    if (!fed_unhex(out->model_digest, sizeof out->model_digest,
                   json_string_value(json_object_get(metadata, "fedavg.model")))) {
        return fed_error_set(err, FED_EDATA, "model file: metadata \"fedavg.model\" is not 64 hex digits");
    }
    return FED_OK;
}

static bool is_number(const json_t *json, uint64_t wanted) {
    return json_is_integer(json) && json_integer_value(json) >= 0 && (uint64_t)json_integer_value(json) == wanted;
}

static int tensor_check(const json_t *json, const struct fed_tensor *tensor, struct fed_error *err) {
    if (json == NULL) {
        return fed_error_set(err, FED_EDATA, "model file: tensor %s is missing", tensor->name);
    }
    const char *dtype = json_string_value(json_object_get(json, "dtype"));
    if (json_object_size(json) != 3 || dtype == NULL || strcmp(dtype, "F32") != 0) {
        return fed_error_set(err, FED_EDATA, "model file: tensor %s is not described as dtype F32, shape, data_offsets",
                             tensor->name);
    }
    const json_t *shape = json_object_get(json, "shape");
    bool same = json_is_array(shape) && json_array_size(shape) == tensor->n_dims;
    for (uint32_t i = 0; same && i < tensor->n_dims; i++) {
        same = is_number(json_array_get(shape, i), tensor->dims[i]);
    }
    if (!same) {
        return fed_error_set(err, FED_EDATA, "model file: the shape of tensor %s is not that of the task's model",
                             tensor->name);
    }
    const json_t *offsets = json_object_get(json, "data_offsets");
    uint64_t begin = (uint64_t)tensor->offset * sizeof(float);
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 || !is_number(json_array_get(offsets, 0), begin) ||
        !is_number(json_array_get(offsets, 1), begin + (uint64_t)tensor->count * sizeof(float))) {
        return fed_error_set(err, FED_EDATA, "model file: tensor %s does not stand at its canonical place, byte %" PRIu64,
                             tensor->name, begin);
    }
    return FED_OK;
}

static int header_check(struct fed_safetensors_meta *meta, const char *text, size_t n, const struct fed_model *model,
                        struct fed_error *err) {
    json_error_t why;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
    if (root == NULL) {
        int code = json_error_code(&why) == json_error_out_of_memory ? FED_ENOMEM : FED_EDATA;
        return fed_error_set(err, code, "model file: its header is not JSON: %s", why.text);
    }
    int code = metadata_parse(meta, json_object_get(root, METADATA), err);
    for (uint32_t i = 0; code == FED_OK && i < model->n_tensors; i++) {
        code = tensor_check(json_object_get(root, model->tensors[i].name), &model->tensors[i], err);
    }
    if (code == FED_OK && json_object_size(root) != (size_t)model->n_tensors + 1) {
        code = fed_error_set(err, FED_EDATA, "model file: it holds %zu tensors, the task's model has %" PRIu32,
                             json_object_size(root) - 1, model->n_tensors);
    }
    json_decref(root);
    return code;
}

/* The size of the header, if the outline of the file is sound: length, alignment, and exactly the model's data after it. */
static int outline_check(size_t *n_header, const uint8_t *bytes, size_t n_bytes, const struct fed_model *model,
                         struct fed_error *err) {
    uint64_t length;
    if (n_bytes < LENGTH_BYTES) {
        return fed_error_set(err, FED_EDATA, "model file: %zu bytes are too few for a safetensors file", n_bytes);
    }
    memcpy(&length, bytes, LENGTH_BYTES);
    if (length > HEADER_MAX || length > n_bytes - LENGTH_BYTES) {
        return fed_error_set(err, FED_EDATA,
                             "model file: it states a header of %" PRIu64 " bytes, allowed are %u and no more than it holds",
                             length, HEADER_MAX);
    }
    if ((LENGTH_BYTES + length) % ALIGNMENT != 0 || bytes[LENGTH_BYTES] != '{') {
        return fed_error_set(err, FED_EDATA, "model file: its header does not start with { or end at a multiple of %d bytes",
                             ALIGNMENT);
    }
    size_t n_data = n_bytes - LENGTH_BYTES - (size_t)length;
    if (model->n_params > SIZE_MAX / sizeof(float) || n_data != model->n_params * sizeof(float)) {
        return fed_error_set(err, FED_EDATA, "model file: it holds %zu bytes of data, the task's model has %zu parameters",
                             n_data, model->n_params);
    }
    *n_header = LENGTH_BYTES + (size_t)length;
    return FED_OK;
}

static int digest_check(const struct fed_model *model, const float *params, const uint8_t stated[FED_DIGEST_BYTES],
                        const uint8_t *expect, struct fed_error *err) {
    uint8_t found[FED_DIGEST_BYTES];
    char hex[FED_DIGEST_HEX], wanted[FED_DIGEST_HEX];
    fed_model_digest(found, model, params);
    fed_hex(hex, found, sizeof found);
    if (memcmp(found, stated, sizeof found) != 0) {
        fed_hex(wanted, stated, FED_DIGEST_BYTES);
        return fed_error_set(err, FED_EDATA, "model file: it is damaged: its data has digest %.16s, its header says %.16s",
                             hex, wanted);
    }
    if (expect != NULL && memcmp(found, expect, sizeof found) != 0) {
        fed_hex(wanted, expect, FED_DIGEST_BYTES);
        return fed_error_set(err, FED_EDATA, "model file: it is another model: digest %.16s, wanted %.16s", hex, wanted);
    }
    return FED_OK;
}

int fed_safetensors_parse(const float **params, struct fed_safetensors_meta *meta, const uint8_t *bytes, size_t n_bytes,
                          const struct fed_model *model, const uint8_t expect[32], struct fed_error *err) {
    assert((uintptr_t)bytes % _Alignof(float) == 0);
    struct fed_safetensors_meta stated;
    size_t n_header = 0;
    int code = outline_check(&n_header, bytes, n_bytes, model, err);
    if (code != FED_OK) {
        return code;
    }
    code = header_check(&stated, (const char *)bytes + LENGTH_BYTES, n_header - LENGTH_BYTES, model, err);
    if (code != FED_OK) {
        return code;
    }
    const float *data = (const float *)(const void *)(bytes + n_header);
    code = digest_check(model, data, stated.model_digest, expect, err);
    if (code != FED_OK) {
        return code;
    }
    *params = data;
    *meta = stated;
    return FED_OK;
}
