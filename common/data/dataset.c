#include "common/data/dataset.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/data/idx.h"
#include "common/numeric/every_isa.h"
#include "common/seal/digest.h"

struct fed_dataset_storage {
    struct fed_idx images, label_file;
    const uint8_t *features, *labels;
    const char *path; /* borrowed from the source */
};

static void digest_examples(uint8_t out[FED_DIGEST_BYTES], const struct fed_dataset *d) {
    uint8_t sizes[12];
    struct fed_digest_state state;
    for (int i = 0; i < 8; i++) {
        sizes[i] = (uint8_t)((uint64_t)d->n_examples >> (8 * i));
    }
    for (int i = 0; i < 4; i++) {
        sizes[8 + i] = (uint8_t)(d->n_features >> (8 * i));
    }
    fed_digest_init(&state);
    fed_digest_update(&state, sizes, sizeof sizes);
    fed_digest_update(&state, d->storage->features, d->n_examples * d->n_features);
    fed_digest_update(&state, d->storage->labels, d->n_examples);
    fed_digest_final(out, &state);
}

static uint8_t largest(const uint8_t *labels, size_t n) {
    uint8_t most = 0;
    for (size_t i = 0; i < n; i++) {
        most = labels[i] > most ? labels[i] : most;
    }
    return most;
}

static int load_idx(struct fed_dataset *out, const char *images, const char *labels, struct fed_error *err) {
    struct fed_dataset_storage *storage = calloc(1, sizeof *storage);
    if (storage == NULL) {
        return fed_error_set(err, FED_ENOMEM, "%s: out of memory", images);
    }
    struct fed_dataset d = {.storage = storage};
    storage->path = images;
    int rc = fed_idx_load(&storage->images, images, FED_IDX_IMAGES, err);
    if (rc == 0) {
        rc = fed_idx_load(&storage->label_file, labels, FED_IDX_LABELS, err);
    }
    if (rc != 0) {
        goto out;
    }
    const uint32_t *dims = storage->images.dims;
    if (dims[0] != storage->label_file.dims[0]) {
        rc = fed_error_set(err, FED_EDATA,
                           "%s holds %" PRIu32 " images, but %s holds %" PRIu32 " labels; they must belong together", images,
                           dims[0], labels, storage->label_file.dims[0]);
        goto out;
    }
    d.n_examples = dims[0];
    d.n_features = dims[1] * dims[2];
    storage->features = storage->images.data;
    storage->labels = storage->label_file.data;
    d.n_classes = 1 + (uint32_t)largest(storage->labels, d.n_examples);
    digest_examples(d.digest, &d);
    *out = d;
out:
    if (rc != 0) {
        fed_dataset_fini(&d);
    }
    return rc;
}

int fed_dataset_load(struct fed_dataset *out, const struct fed_data_source *source, enum fed_data_part part,
                     struct fed_error *err) {
    return part == FED_DATA_TRAIN ? load_idx(out, source->train_images, source->train_labels, err)
                                  : load_idx(out, source->test_images, source->test_labels, err);
}

int fed_dataset_from_bytes(struct fed_dataset *out, size_t n_examples, uint32_t n_features, const uint8_t *features,
                           const uint8_t *labels) {
    struct fed_dataset d = {.n_examples = n_examples, .n_features = n_features, .storage = calloc(1, sizeof *d.storage)};
    if (d.storage == NULL) {
        return FED_ENOMEM;
    }
    d.storage->path = "memory";
    d.storage->features = features;
    d.storage->labels = labels;
    d.n_classes = 1 + (uint32_t)largest(labels, n_examples);
    digest_examples(d.digest, &d);
    *out = d;
    return FED_OK;
}

void fed_dataset_fini(struct fed_dataset *dataset) {
    if (dataset->storage != NULL) {
        fed_idx_fini(&dataset->storage->images);
        fed_idx_fini(&dataset->storage->label_file);
        free(dataset->storage);
    }
    *dataset = (struct fed_dataset){.storage = NULL};
}

int fed_dataset_fit(struct fed_dataset *dataset, const struct fed_model *model, struct fed_error *err) {
    uint32_t inputs = (uint32_t)fed_shape_size(model->spec.input), n_classes = model->n_classes;
    const char *path = dataset->storage->path;
    if (dataset->n_features != inputs) {
        return fed_error_set(err, FED_EDATA, "%s: %" PRIu32 " features an example found, but the model takes %" PRIu32, path,
                             dataset->n_features, inputs);
    }
    for (size_t i = 0; dataset->n_classes > n_classes && i < dataset->n_examples; i++) {
        if (dataset->storage->labels[i] >= n_classes) {
            return fed_error_set(err, FED_EDATA,
                                 "the labels of %s: %u found at example %zu (counted from 0), but the model has %" PRIu32
                                 " classes, 0 to %" PRIu32,
                                 path, dataset->storage->labels[i], i, n_classes, n_classes - 1);
        }
    }
    return 0;
}

uint32_t fed_dataset_label(const struct fed_dataset *dataset, size_t example) { return dataset->storage->labels[example]; }

uint32_t fed_dataset_labels(const struct fed_dataset *dataset) { return dataset->n_classes; }

uint32_t fed_dataset_group(const struct fed_dataset *dataset, size_t example) {
    (void)dataset;
    (void)example;
    return 0;
}

const char *fed_dataset_group_name(const struct fed_dataset *dataset, uint32_t group) {
    (void)dataset;
    (void)group;
    return "";
}

/* Pixel / 255, correctly rounded, without a division: 1 / 255 = 257 / 65536 + rest, where the first product is exact and
 * the second so small that its own rounding never shows (a test looks at all 256 pixels). */
FED_EVERY_ISA static void scale(float *restrict to, const uint8_t *restrict from, size_t n) {
    const float most = 257.0f / 65536.0f, rest = (float)(1.0 / 255.0 - 257.0 / 65536.0);
    for (size_t k = 0; k < n; k++) {
        to[k] = (float)from[k] * most + (float)from[k] * rest;
    }
}

void fed_dataset_gather(const struct fed_dataset *dataset, const uint32_t *rows, size_t n, const struct fed_batch *batch) {
    for (size_t i = 0; i < n; i++) {
        scale(batch->features + i * batch->stride, dataset->storage->features + (size_t)rows[i] * dataset->n_features,
              dataset->n_features);
        batch->labels[i] = dataset->storage->labels[rows[i]];
    }
}
