/* From the outside in, as in safetensors.c: the length of the header, its JSON, each tensor against the model, and only then
 * are values copied. What the file says of a place is held against the size of the file before anything is read there. */
#include "common/model/import.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mapped.h"
#include "common/seal/digest.h"

#define LENGTH_BYTES 8
#define HEADER_MAX (1u << 20) /* a hundred tensors need some 20 KiB */
#define SHAPE_TEXT 96
#define LISTED 160 /* characters of names that a sentence repeats */

static const char METADATA[] = "__metadata__";
static const char SECOND_BIAS[] = ".bias_hh_l0";

/* What a file has of one tensor of the model. */
struct found {
    const uint8_t *values, *second; /* second: NULL unless an lstm's second bias is there */
};

struct reader {
    const struct fed_model *model;
    json_t *header;
    const uint8_t *data;
    size_t n_data;
    struct found found[FED_MAX_TENSORS];
    struct fed_error *err;
};

/* -- sentences --------------------------------------------------------------------------------------------------------- */

static const char *shape_text(char out[SHAPE_TEXT], const struct fed_tensor *tensor) {
    int n = snprintf(out, SHAPE_TEXT, "[");
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        n += snprintf(out + n, SHAPE_TEXT - (size_t)n, "%s%" PRIu64, i > 0 ? ", " : "", tensor->dims[i]);
    }
    snprintf(out + n, SHAPE_TEXT - (size_t)n, "]");
    return out;
}

/* The first names of the file, as many as fit. */
static const char *names_text(char out[LISTED], json_t *header) {
    size_t n = 0;
    const char *key;
    json_t *value;
    snprintf(out, LISTED, "none");
    json_object_foreach(header, key, value) {
        if (strcmp(key, METADATA) != 0 && n < LISTED) {
            n += (size_t)snprintf(out + n, LISTED - n, "%s%.40s", n > 0 ? ", " : "", key);
        }
    }
    if (n >= LISTED) {
        memcpy(out + LISTED - 4, "...", 4);
    }
    return out;
}

static int refuse_shape(const struct reader *r, const char *name, const struct fed_tensor *tensor, const json_t *shape) {
    char wanted[SHAPE_TEXT];
    char *found = shape != NULL ? json_dumps(shape, JSON_ENCODE_ANY) : NULL;
    fed_error_set(r->err, FED_EDATA, "tensor %s has shape %.90s, the task's model has %s there", name,
                  found != NULL ? found : "none", shape_text(wanted, tensor));
    free(found);
    return FED_EDATA;
}

/* -- one tensor -------------------------------------------------------------------------------------------------------- */

static bool is_number(const json_t *value, uint64_t *out) {
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return false;
    }
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static bool has_shape(const json_t *shape, const struct fed_tensor *tensor) {
    bool same = json_is_array(shape) && json_array_size(shape) == tensor->n_dims;
    for (uint32_t i = 0; same && i < tensor->n_dims; i++) {
        uint64_t extent;
        same = is_number(json_array_get(shape, i), &extent) && extent == tensor->dims[i];
    }
    return same;
}

/* Where the values of the file's tensor `name` stand, which has to look like `tensor`. */
static int find_values(const uint8_t **out, const struct reader *r, const char *name, const json_t *entry,
                       const struct fed_tensor *tensor) {
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    const json_t *shape = json_object_get(entry, "shape"), *offsets = json_object_get(entry, "data_offsets");
    uint64_t begin, end;
    if (dtype == NULL || strcmp(dtype, "F32") != 0) {
        return fed_error_set(r->err, FED_EDATA, "tensor %s has dtype %.20s, expected F32 (float32)", name,
                             dtype != NULL ? dtype : "none");
    }
    if (!has_shape(shape, tensor)) {
        return refuse_shape(r, name, tensor, shape);
    }
    if (json_array_size(offsets) != 2 || !is_number(json_array_get(offsets, 0), &begin) ||
        !is_number(json_array_get(offsets, 1), &end) || begin > end || end > r->n_data ||
        end - begin != (uint64_t)tensor->count * sizeof(float)) {
        return fed_error_set(r->err, FED_EDATA, "tensor %s: its data_offsets do not name %zu bytes of the file", name,
                             tensor->count * sizeof(float));
    }
    *out = r->data + begin;
    return FED_OK;
}

static int find_tensor(struct reader *r, uint32_t i) {
    const struct fed_tensor *tensor = &r->model->tensors[i];
    char names[LISTED];
    const json_t *entry = json_object_get(r->header, tensor->name);
    if (entry == NULL) {
        return fed_error_set(r->err, FED_EDATA, "tensor %s of the task's model is missing; the file holds %s", tensor->name,
                             names_text(names, r->header));
    }
    return find_values(&r->found[i].values, r, tensor->name, entry, tensor);
}

/* A name that the model has not: an lstm's second bias, or a refusal. */
static int find_other(struct reader *r, const char *name, const json_t *entry) {
    const char *end = strstr(name, SECOND_BIAS);
    for (uint32_t i = 0; end != NULL && strcmp(end, SECOND_BIAS) == 0 && i < r->model->n_tensors; i++) {
        char first[sizeof r->model->tensors[i].name + 1];
        snprintf(first, sizeof first, "%.*s.bias_ih_l0", (int)(end - name), name);
        if (strcmp(first, r->model->tensors[i].name) == 0) {
            return find_values(&r->found[i].second, r, name, entry, &r->model->tensors[i]);
        }
    }
    return fed_error_set(r->err, FED_EDATA, "tensor %.60s: the task's model has none of that name", name);
}

static bool of_model(const struct fed_model *model, const char *name) {
    for (uint32_t i = 0; i < model->n_tensors; i++) {
        if (strcmp(model->tensors[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static int find_all(struct reader *r) {
    const char *name;
    json_t *entry;
    int code = FED_OK;
    for (uint32_t i = 0; code == FED_OK && i < r->model->n_tensors; i++) {
        code = find_tensor(r, i);
    }
    if (code != FED_OK) {
        return code;
    }
    json_object_foreach(r->header, name, entry) {
        if (strcmp(name, METADATA) != 0 && !of_model(r->model, name)) {
            code = find_other(r, name, entry);
            if (code != FED_OK) {
                return code;
            }
        }
    }
    return FED_OK;
}

/* -- the file ---------------------------------------------------------------------------------------------------------- */

static int open_header(struct reader *r, const uint8_t *bytes, size_t n_bytes) {
    uint64_t length;
    if (n_bytes >= 2 && memcmp(bytes, "PK", 2) == 0) {
        return fed_error_set(r->err, FED_EDATA,
                             "a ZIP archive, as NumPy's .npz and PyTorch's .pt are; only safetensors files are read: "
                             "write one with safetensors.torch.save_file or safetensors.numpy.save_file");
    }
    if (n_bytes < LENGTH_BYTES) {
        return fed_error_set(r->err, FED_EDATA, "%zu bytes are too few for a safetensors file", n_bytes);
    }
    memcpy(&length, bytes, LENGTH_BYTES);
    if (length > HEADER_MAX || length > n_bytes - LENGTH_BYTES) {
        return fed_error_set(r->err, FED_EDATA,
                             "not a safetensors file, or a damaged one: its header would have %" PRIu64
                             " bytes, allowed are %u and no more than the file holds",
                             length, HEADER_MAX);
    }
    json_error_t why;
    r->header = json_loadb((const char *)bytes + LENGTH_BYTES, (size_t)length, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(r->header)) {
        int code = r->header == NULL && json_error_code(&why) == json_error_out_of_memory ? FED_ENOMEM : FED_EDATA;
        return fed_error_set(r->err, code, "not a safetensors file: its header is no JSON object");
    }
    r->data = bytes + LENGTH_BYTES + length;
    r->n_data = n_bytes - LENGTH_BYTES - (size_t)length;
    return FED_OK;
}

/* Values need not be aligned in the file. */
static void copy_values(float *params, const struct reader *r) {
    for (uint32_t i = 0; i < r->model->n_tensors; i++) {
        const struct fed_tensor *tensor = &r->model->tensors[i];
        float *to = params + tensor->offset;
        assert(r->found[i].values != NULL);
        memcpy(to, r->found[i].values, tensor->count * sizeof *to);
        for (size_t k = 0; r->found[i].second != NULL && k < tensor->count; k++) {
            float value;
            memcpy(&value, r->found[i].second + k * sizeof value, sizeof value);
            to[k] += value;
        }
    }
}

/* Ours say what they hold. */
static int check_digest(const struct reader *r, const float *params) {
    const char *stated = json_string_value(json_object_get(json_object_get(r->header, METADATA), "fedavg.model"));
    uint8_t digest[FED_DIGEST_BYTES];
    char hex[FED_DIGEST_HEX];
    if (stated == NULL) {
        return FED_OK;
    }
    fed_model_digest(digest, r->model, params);
    fed_hex(hex, digest, sizeof digest);
    return strcmp(hex, stated) == 0
               ? FED_OK
               : fed_error_set(r->err, FED_EDATA, "it is damaged: its data has digest %.16s, its header says %.16s", hex,
                               stated);
}

int fed_import_parse(float *params, const uint8_t *bytes, size_t n_bytes, const struct fed_model *model,
                     struct fed_error *err) {
    struct reader r = {.model = model, .err = err};
    float *read = NULL;
    int code = open_header(&r, bytes, n_bytes);
    if (code == FED_OK) {
        code = find_all(&r);
    }
    if (code == FED_OK && (read = malloc(model->n_params * sizeof *read)) == NULL) {
        code = fed_error_set(err, FED_ENOMEM, "not enough memory for %zu parameters", model->n_params);
    }
    if (code == FED_OK) {
        copy_values(read, &r);
        code = check_digest(&r, read);
    }
    if (code == FED_OK) {
        memcpy(params, read, model->n_params * sizeof *read);
    }
    free(read);
    json_decref(r.header);
    return code;
}

int fed_import_read(float *params, const char *path, const struct fed_model *model, struct fed_error *err) {
    const uint8_t *map = NULL;
    size_t n = 0;
    int code = fed_mapped_open(&map, &n, path, err);
    if (code != FED_OK) {
        return code == FED_ENOTFOUND ? FED_EDATA : code;
    }
    code = fed_import_parse(params, map, n, model, err);
    fed_mapped_close(map, n);
    return code == FED_OK ? code : fed_error_prefix(err, code, "%s", path);
}

int fed_import_check_finite(const float *params, const char *path, const struct fed_model *model, struct fed_error *err) {
    for (size_t i = 0; i < model->n_params; i++) {
        if (!isfinite(params[i])) {
            size_t element;
            const struct fed_tensor *tensor = fed_model_locate(model, i, &element);
            return fed_error_set(err, FED_EDATA, "%s: element %zu of tensor %s is %s, and nothing can be trained from that",
                                 path, element, tensor->name, isnan(params[i]) ? "not a number" : "infinite");
        }
    }
    return FED_OK;
}
