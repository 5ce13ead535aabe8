/* Arrays take the way of NumPy's, without the files. Features that are read come in rows that touch each other, wherever the
 * batch wants them: what is read is moved apart from the last row to the first, so that nothing is overwritten unread. */
#include "common/data/given.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/data/dataset.h"
#include "common/data/dataset_storage.h"
#include "common/seal/digest.h"

#define BLOCK_BYTES ((size_t)1 << 20) /* read at a time for the digest, at least one example */
#define TOGETHER 256                  /* pixels scaled at a time */
#define FEATURES_MOST ((size_t)1 << 26)

/* -- what is given ------------------------------------------------------------------------------------------------------ */

static int check_shape(const struct fed_given *given, struct fed_error *err) {
    if (given->n_examples == 0 || given->n_examples > UINT32_MAX) {
        return fed_error_set(err, FED_EDATA, "%s: %zu examples found, 1 to %" PRIu32 " are allowed", given->name,
                             given->n_examples, UINT32_MAX);
    }
    if (given->n_features == 0 || given->n_features > FEATURES_MOST || given->n_labels == 0 ||
        given->n_labels > FEATURES_MOST) {
        return fed_error_set(
            err, FED_EDATA, "%s: %" PRIu32 " features and %" PRIu32 " labels an example found, 1 to %zu of each are allowed",
            given->name, given->n_features, given->n_labels, FEATURES_MOST);
    }
    return FED_OK;
}

static int check_alignment(const struct fed_given *given, const void *array, enum fed_given_type type,
                           struct fed_error *err) {
    return type != FED_GIVEN_F32 || (uintptr_t)array % sizeof(float) == 0
               ? FED_OK
               : fed_error_set(err, FED_EDATA, "%s: an array of float32 is not aligned to 4 bytes", given->name);
}

static struct fed_npy as_npy(const void *array, enum fed_given_type type, size_t n, size_t n_row) {
    static const enum fed_npy_type types[] = {[FED_GIVEN_U8] = FED_NPY_U1,
                                              [FED_GIVEN_I32] = FED_NPY_I4,
                                              [FED_GIVEN_U32] = FED_NPY_U4,
                                              [FED_GIVEN_I64] = FED_NPY_I8,
                                              [FED_GIVEN_F32] = FED_NPY_F4};
    return (struct fed_npy){.type = types[type], .n = n, .n_row = n_row, .data = array};
}

static int take(struct fed_dataset *d, const struct fed_given *given, struct fed_error *err) {
    struct fed_dataset_storage *s = d->storage;
    s->given = *given;
    s->path = s->label_path = given->name;
    s->npy_features = as_npy(given->features, given->feature_type, given->n_examples, given->n_features);
    s->npy_labels = as_npy(given->labels, given->label_type, given->n_examples, given->n_labels);
    int rc = check_alignment(given, given->features, given->feature_type, err);
    if (rc == FED_OK) {
        rc = check_alignment(given, given->labels, given->label_type, err);
    }
    if (rc == FED_OK && given->features != NULL) {
        rc = fed_npy_check(&s->npy_features, "the features given", FED_NPY_FEATURES, err);
    }
    if (rc == FED_OK) {
        rc = fed_npy_check(&s->npy_labels, "the labels given", FED_NPY_LABELS, err);
    }
    return rc == FED_OK ? fed_dataset_take_arrays(d, err) : rc;
}

int fed_dataset_from_given(struct fed_dataset *out, const struct fed_given *given, struct fed_error *err) {
    struct fed_dataset d = {.storage = NULL};
    int rc = check_shape(given, err);
    if (rc != FED_OK) {
        return rc;
    }
    d.storage = calloc(1, sizeof *d.storage);
    rc = d.storage != NULL ? take(&d, given, err) : fed_error_set(err, FED_ENOMEM, "out of memory");
    if (rc != FED_OK) {
        fed_dataset_fini(&d);
        return rc;
    }
    *out = d;
    return FED_OK;
}

/* -- what is read ------------------------------------------------------------------------------------------------------- */

static int read_rows(const struct fed_given *given, void *features, const uint32_t *examples, size_t n,
                     struct fed_error *err) {
    int answer = given->read(given->context, features, examples, n);
    if (answer != 0) {
        return fed_error_set(err, FED_EDATA, "%s: reading %zu examples from %" PRIu32 " on failed: the function returned %d",
                             given->name, n, examples[0], answer);
    }
    const float *values = features;
    for (size_t i = 0; given->feature_type == FED_GIVEN_F32 && i < n * given->n_features; i++) {
        if (!isfinite(values[i])) {
            return fed_error_set(err, FED_EDATA,
                                 "%s: %s read for example %" PRIu32 " (counted from 0), number %zu of it; "
                                 "finite numbers are wanted",
                                 given->name,
                                 isnan(values[i]) ? "nan"
                                 : values[i] < 0  ? "-inf"
                                                  : "inf",
                                 examples[i / given->n_features], i % given->n_features);
        }
    }
    return FED_OK;
}

int fed_given_digest(struct fed_digest_state *state, const struct fed_given *given, struct fed_error *err) {
    size_t row = given->n_features * (given->feature_type == FED_GIVEN_F32 ? sizeof(float) : 1);
    size_t most = row < BLOCK_BYTES ? BLOCK_BYTES / row : 1;
    most = most < given->n_examples ? most : given->n_examples;
    void *block = calloc(most, row);
    uint32_t *examples = calloc(most, sizeof *examples);
    int rc = block != NULL && examples != NULL ? FED_OK : fed_error_set(err, FED_ENOMEM, "out of memory");
    for (size_t at = 0, n; rc == FED_OK && at < given->n_examples; at += n) {
        n = most < given->n_examples - at ? most : given->n_examples - at;
        for (size_t i = 0; i < n; i++) {
            examples[i] = (uint32_t)(at + i);
        }
        rc = read_rows(given, block, examples, n, err);
        if (rc == FED_OK) {
            fed_digest_update(state, block, n * row);
        }
    }
    free(block);
    free(examples);
    return rc;
}

/* Pixels [0, n) become the row, which may begin where they do. */
static void scale_row(float *row, const uint8_t *pixels, size_t n) {
    uint8_t some[TOGETHER];
    for (size_t end = n, count; end > 0; end -= count) {
        count = (end - 1) % TOGETHER + 1;
        memcpy(some, pixels + end - count, count);
        fed_dataset_scale(row + end - count, some, count);
    }
}

/* After a failure the rows are zeros: a network must not meet what is no number in them later. */
static int read_into(const struct fed_given *given, const uint32_t *examples, size_t n, const struct fed_batch *batch,
                     struct fed_error *err) {
    const size_t n_features = given->n_features;
    int rc = read_rows(given, batch->features, examples, n, err);
    if (rc != FED_OK) {
        memset(batch->features, 0, n * batch->stride * sizeof *batch->features);
        return rc;
    }
    for (size_t i = n; i-- > 0;) {
        float *row = batch->features + i * batch->stride;
        if (given->feature_type == FED_GIVEN_U8) {
            scale_row(row, (const uint8_t *)batch->features + i * n_features, n_features);
        } else {
            memmove(row, batch->features + i * n_features, n_features * sizeof *row);
        }
        memset(row + n_features, 0, (batch->stride - n_features) * sizeof *row);
    }
    return FED_OK;
}

int fed_dataset_fetch(const struct fed_dataset *dataset, const uint32_t *rows, size_t n, const struct fed_batch *batch) {
    const struct fed_given *given = &dataset->storage->given;
    struct fed_error err;
    if (given->read != NULL && read_into(given, rows, n, batch, &err) != FED_OK) {
        FED_ERROR("data", "not read", FED_STR("why", err.text));
        return FED_EDATA;
    }
    fed_dataset_gather(dataset, rows, n, batch);
    return FED_OK;
}
