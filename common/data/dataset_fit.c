/* A dataset meets a model. Everything is judged before anything is kept, so that a failure leaves the dataset as it was. */
#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/data/dataset.h"
#include "common/data/dataset_storage.h"

#define LISTED 200 /* characters of the names of classes that a sentence repeats */

/* -- texts -------------------------------------------------------------------------------------------------------------- */

static int refuse_byte(const struct fed_dataset_storage *s, size_t at, struct fed_error *err) {
    const uint8_t *map = s->text.map;
    size_t line = 1, start = 0;
    char what[32];
    for (size_t i = 0; i < at; i++) {
        if (map[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    bool printable = map[at] > 0x20 && map[at] < 0x7f;
    snprintf(what, sizeof what, printable ? "'%c'" : "byte 0x%02x", map[at]);
    return fed_error_set(
        err, FED_EDATA,
        "%s:%zu: column %zu: %s is not among the model's symbols; add it to model.vocabulary, or convert the "
        "file%s",
        s->path, line, at - start + 1, what,
        map[at] == '\r'   ? " (its lines end in CR LF)"
        : map[at] >= 0x80 ? " (it is not pure ASCII)"
                          : "");
}

static int fit_text(struct fed_dataset_storage *s, const struct fed_model *model, struct fed_error *err) {
    const struct fed_model_spec *spec = &model->spec;
    uint8_t symbols[256];
    if (spec->n_symbols == 0) {
        return fed_error_set(err, FED_EDATA,
                             "%s: a text found, but the model takes numbers: its first layer must be an embedding", s->path);
    }
    if (spec->input.steps != s->text.unroll || model->n_targets != s->text.unroll || model->n_classes < spec->n_symbols) {
        return fed_error_set(
            err, FED_EDATA,
            "%s: windows of %" PRIu32 " characters (data.unroll), each to be followed by one of %" PRIu32
            " symbols, found, but the model takes %" PRIu32 " steps and gives %" PRIu32 " times %" PRIu32 " classes",
            s->path, s->text.unroll, spec->n_symbols, spec->input.steps, model->n_targets, model->n_classes);
    }
    memset(symbols, FED_NO_SYMBOL, sizeof symbols);
    for (uint32_t i = 0; i < spec->n_symbols; i++) {
        symbols[spec->symbols[i]] = (uint8_t)i;
    }
    for (uint32_t i = 0; i < s->text.n_stretches; i++) {
        const struct fed_stretch *stretch = &s->text.stretches[i];
        for (size_t k = stretch->at; k < stretch->at + stretch->n; k++) {
            if (symbols[s->text.map[k]] == FED_NO_SYMBOL) {
                return refuse_byte(s, k, err);
            }
        }
    }
    memcpy(s->symbols, symbols, sizeof symbols);
    return FED_OK;
}

/* -- words of a table --------------------------------------------------------------------------------------------------- */

/* "sick, well" of "sick\nwell". */
static const char *list_classes(char out[LISTED + 8], const char *classes) {
    size_t n = 0;
    for (const char *c = classes; *c != '\0' && n < LISTED; c++) {
        if (*c == '\n') {
            out[n++] = ',';
        }
        out[n++] = (char)(*c == '\n' ? ' ' : *c);
    }
    strcpy(out + n, n < LISTED ? "" : "...");
    return out;
}

/* Where the number of the first such word stands: "FILE:LINE: column 3 (outcome): label "x" found, ". */
static int refuse_word(const struct fed_dataset_storage *s, uint32_t word, const char *but, struct fed_error *err) {
    const struct fed_word *w = &s->table.words.words[word];
    char shown[FED_SHOWN];
    return fed_error_set(err, FED_EDATA, "%s:%zu: %s: label \"%s\" found, %s", s->path, w->line, s->table.label_column,
                         fed_words_show(shown, s->table.words.text + w->at, w->n), but);
}

static int read_classes(struct fed_words *out, const char *classes) {
    uint32_t ignored;
    for (const char *c = classes; *c != '\0';) {
        size_t n = strcspn(c, "\n");
        if (fed_words_add(&ignored, out, c, n, 0) != FED_OK) {
            return FED_ENOMEM;
        }
        c += n + (c[n] == '\n');
    }
    return FED_OK;
}

/* classes: (words), filled. */
static int match_names(uint32_t *classes, const struct fed_dataset_storage *s, const struct fed_words *names,
                       const struct fed_model *model, struct fed_error *err) {
    const struct fed_words *words = &s->table.words;
    char listed[LISTED + 8], but[LISTED + 64];
    for (uint32_t i = 0; i < words->n; i++) {
        classes[i] = fed_words_find(names, fed_words_text(words, i), words->words[i].n);
        if (classes[i] == UINT32_MAX) {
            snprintf(but, sizeof but, "but model.classes allows only %s", list_classes(listed, model->spec.classes));
            return refuse_word(s, i, but, err);
        }
        assert(classes[i] < model->n_classes); /* a model has a class for each name */
    }
    return FED_OK;
}

static int match_numbers(uint32_t *classes, const struct fed_dataset_storage *s, const struct fed_model *model,
                         struct fed_error *err) {
    char but[128];
    for (uint32_t i = 0; i < s->table.words.n; i++) {
        classes[i] = s->sorted[i];
        if (classes[i] >= model->n_classes) {
            snprintf(but, sizeof but, "but the model has %" PRIu32 " classes, 0 to %" PRIu32, model->n_classes,
                     model->n_classes - 1);
            return refuse_word(s, i, but, err);
        }
    }
    return FED_OK;
}

/* The first label that keeps a table's from being classes without names. */
static int refuse_unnamed(const struct fed_dataset_storage *s, struct fed_error *err) {
    const struct fed_table *table = &s->table;
    if (table->kind == FED_LABELS_WORDS) {
        return refuse_word(s, table->no_number, "a word: name the classes in model.classes, in the order of their numbers",
                           err);
    }
    return refuse_word(s, table->not_whole,
                       "but classes are whole numbers from 0 to 65535; write them so, name them in model.classes, or meet "
                       "numbers with model.loss: mean_squared_error",
                       err);
}

static int fit_words(struct fed_dataset_storage *s, const struct fed_model *model, struct fed_error *err) {
    const bool named = model->spec.classes[0] != '\0';
    struct fed_words names = {.n = 0};
    uint32_t *classes = NULL;
    if (s->labels == NULL) {
        return fed_error_set(err, FED_EDATA,
                             "%s: %s: more than %d different numbers found, but the model has %" PRIu32 " classes", s->path,
                             s->table.label_column, FED_TABLE_LABELS, model->n_classes);
    }
    if (!named && s->table.kind != FED_LABELS_WHOLE) {
        return refuse_unnamed(s, err);
    }
    classes = calloc(s->table.words.n, sizeof *classes);
    int rc = classes == NULL || read_classes(&names, model->spec.classes) != FED_OK
                 ? fed_error_set(err, FED_ENOMEM, "%s: out of memory", s->path)
             : named ? match_names(classes, s, &names, model, err)
                     : match_numbers(classes, s, model, err);
    if (rc == FED_OK) {
        free(s->classes);
        s->classes = classes;
        classes = NULL;
    }
    free(classes);
    fed_words_fini(&names);
    return rc;
}

/* -- arrays ------------------------------------------------------------------------------------------------------------- */

static int refuse_n_labels(const struct fed_dataset_storage *s, const struct fed_model *model, struct fed_error *err) {
    return fed_error_set(err, FED_EDATA, "%s: %" PRIu32 " label(s) an example found, but the model gives %" PRIu32,
                         s->label_path, s->n_labels, model->n_targets);
}

static int fit_numbers(const struct fed_dataset *d, const struct fed_model *model, struct fed_error *err) {
    const struct fed_dataset_storage *s = d->storage;
    if (s->n_labels != model->n_targets) {
        return refuse_n_labels(s, model, err);
    }
    return s->table.kind == FED_LABELS_WORDS
               ? refuse_word(s, s->table.no_number, "but the loss mean_squared_error needs numbers", err)
               : FED_OK;
}

static int fit_classes(const struct fed_dataset *d, const struct fed_model *model, struct fed_error *err) {
    const struct fed_dataset_storage *s = d->storage;
    if (s->labels == NULL) {
        return fed_error_set(err, FED_EDATA,
                             "%s: labels of type <f4 found, but the model has %" PRIu32
                             " classes: np.save(FILE, y.astype(np.int64)), or model.loss: mean_squared_error",
                             s->label_path, model->n_classes);
    }
    if (s->n_labels != model->n_targets) {
        return refuse_n_labels(s, model, err);
    }
    for (size_t i = 0; d->n_classes > model->n_classes && i < d->n_examples * s->n_labels; i++) {
        uint32_t label = fed_dataset_stored(s, i);
        if (label >= model->n_classes) {
            return fed_error_set(err, FED_EDATA,
                                 "the labels of %s: %" PRIu32
                                 " found at example %zu (counted from 0), but the model has %" PRIu32
                                 " classes, 0 to %" PRIu32,
                                 s->label_path, label, i / s->n_labels, model->n_classes, model->n_classes - 1);
        }
    }
    return FED_OK;
}

int fed_dataset_fit(struct fed_dataset *dataset, const struct fed_model *model, struct fed_error *err) {
    struct fed_dataset_storage *s = dataset->storage;
    const size_t inputs = fed_shape_size(model->spec.input);
    if (s->text.map != NULL) {
        return fit_text(s, model, err);
    }
    if (model->spec.n_symbols > 0) {
        return fed_error_set(err, FED_EDATA, "%s: numbers found, but the model reads symbols: data.format text or roles",
                             s->path);
    }
    if (dataset->n_features != inputs) {
        return fed_error_set(err, FED_EDATA, "%s: %" PRIu32 " features an example found%s, but the model takes %zu", s->path,
                             dataset->n_features, s->table.features != NULL ? " (all columns but label and group)" : "",
                             inputs);
    }
    if (model->spec.loss == FED_MEAN_SQUARED_ERROR) {
        return fit_numbers(dataset, model, err);
    }
    return s->table.features != NULL ? fit_words(s, model, err) : fit_classes(dataset, model, err);
}

int fed_dataset_check_columns(const struct fed_dataset *dataset, const uint8_t columns[32], const char *trained_on,
                              struct fed_error *err) {
    static const uint8_t no_names[sizeof dataset->columns];
    if (memcmp(columns, no_names, sizeof no_names) == 0 || memcmp(dataset->columns, no_names, sizeof no_names) == 0 ||
        memcmp(dataset->columns, columns, sizeof no_names) == 0) {
        return FED_OK;
    }
    return fed_error_set(err, FED_EDATA,
                         "%s:1: its columns of features are not those of %s in the same order; give both files the same "
                         "columns in the same order",
                         dataset->storage->path, trained_on);
}

const char *fed_dataset_label_name(const struct fed_dataset *dataset, uint32_t label) {
    const struct fed_dataset_storage *s = dataset->storage;
    for (uint32_t i = 0; s->sorted != NULL && i < s->table.words.n; i++) {
        if (s->sorted[i] == label) {
            return fed_words_text(&s->table.words, i);
        }
    }
    return NULL;
}
