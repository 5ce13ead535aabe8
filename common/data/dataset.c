#include "common/data/dataset.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mapped.h"
#include "common/data/dataset_storage.h"
#include "common/numeric/every_isa.h"
#include "common/seal/digest.h"

/* -- digest ------------------------------------------------------------------------------------------------------------- */

static void begin_digest(struct fed_digest_state *state, const struct fed_dataset *d, const char *layout) {
    uint8_t sizes[12];
    for (int i = 0; i < 8; i++) {
        sizes[i] = (uint8_t)((uint64_t)d->n_examples >> (8 * i));
    }
    for (int i = 0; i < 4; i++) {
        sizes[8 + i] = (uint8_t)(d->n_features >> (8 * i));
    }
    fed_digest_init(state);
    fed_digest_update(state, sizes, sizeof sizes);
    fed_digest_update(state, layout, strlen(layout));
}

static int digest_arrays(struct fed_dataset *d, const char *layout, struct fed_error *err) {
    const struct fed_dataset_storage *s = d->storage;
    struct fed_digest_state state;
    begin_digest(&state, d, layout);
    int rc = FED_OK;
    if (s->bytes != NULL) {
        fed_digest_update(&state, s->bytes, d->n_examples * d->n_features);
    } else if (s->floats != NULL) {
        fed_digest_update(&state, s->floats, d->n_examples * d->n_features * sizeof *s->floats);
    } else {
        rc = fed_given_digest(&state, &s->given, err);
    }
    fed_digest_update(&state, s->table.words.text, s->table.words.n_text);
    if (s->labels != NULL) {
        fed_digest_update(&state, s->labels, d->n_examples * s->n_labels * s->label_bytes);
    } else {
        fed_digest_update(&state, s->numbers, d->n_examples * s->n_labels * sizeof *s->numbers);
    }
    fed_digest_final(d->digest, &state);
    return rc;
}

/* The windows of each stretch with their labels, and how many there are. */
static void digest_text(struct fed_dataset *d) {
    const struct fed_text *text = &d->storage->text;
    struct fed_digest_state state;
    begin_digest(&state, d, "text");
    for (uint32_t i = 0; i < text->n_stretches; i++) {
        const struct fed_stretch *stretch = &text->stretches[i];
        size_t windows = (i + 1 < text->n_stretches ? stretch[1].first_window : text->n_windows) - stretch->first_window;
        const uint32_t count = (uint32_t)windows;
        uint8_t bytes[4] = {(uint8_t)count, (uint8_t)(count >> 8), (uint8_t)(count >> 16), (uint8_t)(count >> 24)};
        fed_digest_update(&state, bytes, sizeof bytes);
        fed_digest_update(&state, text->map + stretch->at, windows > 0 ? windows * text->unroll + 1 : 0);
    }
    fed_digest_final(d->digest, &state);
}

/* -- loading ------------------------------------------------------------------------------------------------------------ */

static uint32_t count_labels(const struct fed_dataset *d) {
    const struct fed_dataset_storage *s = d->storage;
    uint32_t largest = 0;
    for (size_t i = 0; i < d->n_examples * s->n_labels; i++) {
        uint32_t label = fed_dataset_stored(s, i);
        largest = label > largest ? label : largest;
    }
    return largest + 1;
}

static int refuse_counts(const char *features, size_t n, const char *what, const char *labels, size_t n_labels,
                         struct fed_error *err) {
    return fed_error_set(err, FED_EDATA, "%s holds %zu %s, but %s holds %zu labels; they must belong together", features, n,
                         what, labels, n_labels);
}

static int load_idx(struct fed_dataset *d, const char *images, const char *labels, struct fed_error *err) {
    struct fed_dataset_storage *s = d->storage;
    s->path = images;
    s->label_path = labels;
    int rc = fed_idx_load(&s->idx_images, images, FED_IDX_IMAGES, err);
    if (rc == FED_OK) {
        rc = fed_idx_load(&s->idx_labels, labels, FED_IDX_LABELS, err);
    }
    if (rc != FED_OK) {
        return rc;
    }
    const uint32_t *dims = s->idx_images.dims;
    if (dims[0] != s->idx_labels.dims[0]) {
        return refuse_counts(images, dims[0], "images", labels, s->idx_labels.dims[0], err);
    }
    d->n_examples = dims[0];
    d->n_features = dims[1] * dims[2];
    s->bytes = s->idx_images.data;
    s->labels = s->idx_labels.data;
    s->label_bytes = s->n_labels = 1;
    d->n_classes = count_labels(d);
    return digest_arrays(d, "", err);
}

int fed_dataset_take_arrays(struct fed_dataset *d, struct fed_error *err) {
    static const char *const layouts[] = {
        [FED_NPY_U1] = "u1", [FED_NPY_I4] = "i4", [FED_NPY_U4] = "u4", [FED_NPY_I8] = "i8", [FED_NPY_F4] = "f4"};
    struct fed_dataset_storage *s = d->storage;
    const struct fed_npy *x = &s->npy_features, *y = &s->npy_labels;
    if (x->n != y->n) {
        return refuse_counts(s->path, x->n, "examples", s->label_path, y->n, err);
    }
    d->n_examples = x->n;
    d->n_features = (uint32_t)x->n_row;
    s->n_labels = (uint32_t)y->n_row;
    s->bytes = x->type == FED_NPY_U1 ? x->data : NULL;
    s->floats = x->type == FED_NPY_F4 ? (const float *)(const void *)x->data : NULL;
    if (y->type == FED_NPY_F4) {
        s->numbers = (const float *)(const void *)y->data;
    } else {
        s->labels = y->data;
        s->label_bytes = fed_npy_size(y->type);
        d->n_classes = count_labels(d);
    }
    char layout[16] = "";
    if (x->type != FED_NPY_U1 || y->type != FED_NPY_U1 || y->n_row > 1) {
        snprintf(layout, sizeof layout, "%s %s", layouts[x->type], layouts[y->type]);
    }
    return digest_arrays(d, layout, err);
}

static int load_npy(struct fed_dataset *d, const char *features, const char *labels, struct fed_error *err) {
    struct fed_dataset_storage *s = d->storage;
    s->path = features;
    s->label_path = labels;
    int rc = fed_npy_load(&s->npy_features, features, FED_NPY_FEATURES, err);
    if (rc == FED_OK) {
        rc = fed_npy_load(&s->npy_labels, labels, FED_NPY_LABELS, err);
    }
    return rc == FED_OK ? fed_dataset_take_arrays(d, err) : rc;
}

/* For qsort_r: numbers of words, by the words' bytes. */
static int compare_words(const void *a, const void *b, void *context) {
    const struct fed_words *words = context;
    return strcmp(fed_words_text(words, *(const uint32_t *)a), fed_words_text(words, *(const uint32_t *)b));
}

/* Labels as partitions count them: whole numbers as they are, words in the order of their bytes. */
static int sort_labels(struct fed_dataset *d) {
    struct fed_dataset_storage *s = d->storage;
    const struct fed_words *words = &s->table.words;
    uint32_t *order = calloc(words->n, sizeof *order);
    s->sorted = calloc(words->n, sizeof *s->sorted);
    if (order == NULL || s->sorted == NULL) {
        free(order);
        return FED_ENOMEM;
    }
    for (uint32_t i = 0; i < words->n; i++) {
        order[i] = i;
    }
    if (s->table.kind == FED_LABELS_WORDS) {
        qsort_r(order, words->n, sizeof *order, compare_words, (void *)(uintptr_t)words);
    }
    for (uint32_t i = 0; i < words->n; i++) {
        uint32_t rank = s->table.kind == FED_LABELS_WORDS ? i : (uint32_t)strtoul(fed_words_text(words, i), NULL, 10);
        s->sorted[order[i]] = rank;
        d->n_classes = rank >= d->n_classes ? rank + 1 : d->n_classes;
    }
    free(order);
    return FED_OK;
}

static int load_csv(struct fed_dataset *d, const struct fed_data_source *source, const char *path, struct fed_error *err) {
    struct fed_dataset_storage *s = d->storage;
    struct fed_table *table = &s->table;
    s->path = s->label_path = path;
    int rc = fed_table_load(table, path, source->label, source->group, source->header, err);
    if (rc != FED_OK) {
        return rc;
    }
    d->n_examples = table->n_rows;
    d->n_features = table->n_features;
    d->n_groups = table->group_names.n;
    memcpy(d->columns, table->names, sizeof d->columns);
    s->floats = table->features;
    s->labels = (const uint8_t *)table->labels;
    s->label_bytes = sizeof *table->labels;
    s->numbers = table->numbers;
    s->n_labels = 1;
    if (table->kind != FED_LABELS_NUMBERS && sort_labels(d) != FED_OK) {
        return fed_error_set(err, FED_ENOMEM, "%s: out of memory", path);
    }
    return digest_arrays(d, s->labels != NULL ? "f4 words" : "f4 f4", err);
}

static int load_text(struct fed_dataset *d, const struct fed_data_source *source, enum fed_data_part part,
                     struct fed_error *err) {
    struct fed_dataset_storage *s = d->storage;
    bool train = part == FED_DATA_TRAIN;
    enum fed_text_part which = source->format == FED_DATA_TEXT ? FED_TEXT_WHOLE
                               : train                         ? FED_TEXT_ROLES_TRAIN
                                                               : FED_TEXT_ROLES_TEST;
    s->path = train ? fed_data_source_train_path(source) : fed_data_source_test_path(source);
    int rc = fed_text_load(&s->text, s->path, which, source->unroll, err);
    if (rc != FED_OK) {
        return rc;
    }
    d->n_examples = s->text.n_windows;
    d->n_features = s->text.unroll;
    d->n_groups = s->text.roles.n;
    d->n_dropped = s->text.n_dropped;
    d->n_too_short = s->text.n_too_short;
    digest_text(d);
    return FED_OK;
}

static int load(struct fed_dataset *d, const struct fed_data_source *source, enum fed_data_part part,
                struct fed_error *err) {
    bool train = part == FED_DATA_TRAIN;
    const char *labels = train ? source->train_labels : source->test_labels;
    switch (source->format) {
    case FED_DATA_IDX: return load_idx(d, train ? source->train_images : source->test_images, labels, err);
    case FED_DATA_NPY: return load_npy(d, train ? source->train_features : source->test_features, labels, err);
    case FED_DATA_CSV: return load_csv(d, source, train ? source->train : source->test, err);
    case FED_DATA_TEXT:
    case FED_DATA_ROLES: break;
    }
    return load_text(d, source, part, err);
}

int fed_dataset_load(struct fed_dataset *out, const struct fed_data_source *source, enum fed_data_part part,
                     struct fed_error *err) {
    if (part == FED_DATA_TRAIN && source->given != NULL) {
        return fed_dataset_from_given(out, source->given, err);
    }
    struct fed_dataset d = {.storage = calloc(1, sizeof *d.storage)};
    if (d.storage == NULL) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    int rc = load(&d, source, part, err);
    if (rc != FED_OK) {
        fed_dataset_fini(&d);
        return rc;
    }
    *out = d;
    return FED_OK;
}

int fed_dataset_from_bytes(struct fed_dataset *out, size_t n_examples, uint32_t n_features, const uint8_t *features,
                           const uint8_t *labels) {
    struct fed_dataset d = {.n_examples = n_examples, .n_features = n_features, .storage = calloc(1, sizeof *d.storage)};
    if (d.storage == NULL) {
        return FED_ENOMEM;
    }
    d.storage->path = d.storage->label_path = "memory";
    d.storage->bytes = features;
    d.storage->labels = labels;
    d.storage->label_bytes = d.storage->n_labels = 1;
    d.n_classes = count_labels(&d);
    int rc = digest_arrays(&d, "", NULL);
    *out = d;
    return rc;
}

int fed_dataset_check_unchanged(const struct fed_dataset *dataset, struct fed_error *err) {
    const struct fed_dataset_storage *s = dataset->storage;
    const uint8_t *const maps[] = {s->idx_images.map, s->idx_labels.map, s->npy_features.map, s->npy_labels.map,
                                   s->text.map};
    int rc = FED_OK;
    for (size_t i = 0; rc == FED_OK && i < sizeof maps / sizeof *maps; i++) {
        rc = fed_mapped_check(maps[i], err);
    }
    return rc;
}

void fed_dataset_fini(struct fed_dataset *dataset) {
    struct fed_dataset_storage *s = dataset->storage;
    if (s != NULL) {
        fed_idx_fini(&s->idx_images);
        fed_idx_fini(&s->idx_labels);
        fed_npy_fini(&s->npy_features);
        fed_npy_fini(&s->npy_labels);
        fed_table_fini(&s->table);
        fed_text_fini(&s->text);
        free(s->sorted);
        free(s->classes);
        free(s);
    }
    *dataset = (struct fed_dataset){.storage = NULL};
}

/* -- labels and groups -------------------------------------------------------------------------------------------------- */

/* A mapped file that is written to at this moment must not lead out of the arrays that a label or symbol leads into; that
 * the file has changed is found by fed_dataset_check_unchanged. */
static uint32_t within(uint32_t n, uint32_t bound) { return n < bound ? n : 0; }

uint32_t fed_dataset_label(const struct fed_dataset *dataset, size_t example) {
    const struct fed_dataset_storage *s = dataset->storage;
    if (fed_dataset_labels(dataset) == 0) {
        return 0;
    }
    uint32_t stored = fed_dataset_stored(s, example);
    return s->sorted != NULL ? s->sorted[stored] : within(stored, dataset->n_classes);
}

uint32_t fed_dataset_labels(const struct fed_dataset *dataset) {
    return dataset->storage->n_labels == 1 ? dataset->n_classes : 0;
}

uint32_t fed_dataset_group(const struct fed_dataset *dataset, size_t example) {
    const struct fed_dataset_storage *s = dataset->storage;
    assert(dataset->n_groups > 0);
    return s->table.groups != NULL ? s->table.groups[example] : fed_text_stretch(&s->text, example);
}

const char *fed_dataset_group_name(const struct fed_dataset *dataset, uint32_t group) {
    const struct fed_dataset_storage *s = dataset->storage;
    assert(group < dataset->n_groups);
    return fed_words_text(s->table.groups != NULL ? &s->table.group_names : &s->text.roles, group);
}

const char *fed_dataset_show_group(char out[FED_GROUP_SHOWN], const struct fed_dataset *dataset, uint32_t group) {
    _Static_assert(FED_GROUP_SHOWN == FED_SHOWN, "a name is shown as in sentences");
    const char *name = fed_dataset_group_name(dataset, group);
    return fed_words_show(out, name, strlen(name));
}

/* -- batches ------------------------------------------------------------------------------------------------------------ */

/* Pixel / 255, correctly rounded, without a division: 1 / 255 = 257 / 65536 + rest, where the first product is exact and
 * the second so small that its own rounding never shows (a test looks at all 256 pixels). */
FED_EVERY_ISA static void scale(float *restrict to, const uint8_t *restrict from, size_t n) {
    const float most = 257.0f / 65536.0f, rest = (float)(1.0 / 255.0 - 257.0 / 65536.0);
    for (size_t k = 0; k < n; k++) {
        to[k] = (float)from[k] * most + (float)from[k] * rest;
    }
}

void fed_dataset_scale(float *to, const uint8_t *from, size_t n) { scale(to, from, n); }

/* A window's characters, and the ones behind each of them. */
static void gather_window(const struct fed_dataset_storage *s, size_t window, const struct fed_batch *batch, size_t row) {
    const uint8_t *characters = fed_text_window(&s->text, window);
    uint32_t *symbols = batch->symbols + row * batch->n_symbols, *labels = batch->labels + row * batch->n_targets;
    for (size_t t = 0; t < s->text.unroll; t++) {
        symbols[t] = within(s->symbols[characters[t]], FED_NO_SYMBOL);
        labels[t] = within(s->symbols[characters[t + 1]], FED_NO_SYMBOL);
    }
}

static void gather_targets(const struct fed_dataset_storage *s, size_t example, float *targets) {
    for (uint32_t j = 0; j < s->n_labels; j++) {
        size_t i = example * s->n_labels + j;
        targets[j] = s->numbers != NULL ? s->numbers[i] : (float)fed_dataset_stored(s, i);
    }
}

static void gather_labels(const struct fed_dataset *dataset, size_t example, uint32_t *labels) {
    const struct fed_dataset_storage *s = dataset->storage;
    for (uint32_t j = 0; j < s->n_labels; j++) {
        uint32_t stored = fed_dataset_stored(s, example * s->n_labels + j);
        labels[j] = s->classes != NULL ? s->classes[stored] : within(stored, dataset->n_classes);
    }
}

void fed_dataset_gather(const struct fed_dataset *dataset, const uint32_t *rows, size_t n, const struct fed_batch *batch) {
    const struct fed_dataset_storage *s = dataset->storage;
    const size_t n_features = dataset->n_features;
    for (size_t i = 0; i < n; i++) {
        if (batch->symbols != NULL) {
            gather_window(s, rows[i], batch, i);
            continue;
        }
        if (s->bytes != NULL) {
            scale(batch->features + i * batch->stride, s->bytes + rows[i] * n_features, n_features);
        } else if (s->floats != NULL) {
            memcpy(batch->features + i * batch->stride, s->floats + rows[i] * n_features, n_features * sizeof *s->floats);
        }
        if (batch->targets != NULL) {
            gather_targets(s, rows[i], batch->targets + i * batch->n_targets);
        } else {
            gather_labels(dataset, rows[i], batch->labels + i * batch->n_targets);
        }
    }
}
