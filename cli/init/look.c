/* Looks at data, and proposes. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli/init/init.h"
#include "cli/wait.h"
#include "common/config/model_words.h"
#include "common/data/dataset.h"

#define RATE_MOST 0.1
#define UNEVEN 10.0 /* sizes of columns beyond which training suffers */

static int sniff(struct fed_sniffed *out, const char *path, struct fed_error *err) {
    struct fed_busy *busy = fed_wait_begin(false, "looking at %s", path);
    int rc = fed_sniff(out, path, err);
    fed_wait_end(busy);
    return rc;
}

int fed_init_sniff(struct fed_init *init, struct fed_error *err) {
    if (init->has_seen) {
        fed_sniffed_fini(&init->seen);
    }
    int rc = sniff(&init->seen, init->train[0], err);
    init->has_seen = rc == FED_OK;
    return rc;
}

static int check_cells(const struct fed_sniffed *seen, const char *path, struct fed_error *err) {
    for (size_t i = 0; i < seen->n_columns; i++) {
        const struct fed_sniffed_column *column = &seen->columns[i];
        if (column->n_empty > 0) {
            return fed_error_set(err, FED_EDATA, "%s: column %zu%s%s%s has %zu empty %s; every cell needs a value", path,
                                 i + 1, seen->header ? " (" : "", column->name, seen->header ? ")" : "", column->n_empty,
                                 column->n_empty == 1 ? "cell" : "cells");
        }
    }
    return FED_OK;
}

/* Every file has a say in what the classes are. */
static int sniff_another(struct fed_init *init, const char *path, struct fed_error *err) {
    struct fed_sniffed other;
    int rc = sniff(&other, path, err);
    if (rc != FED_OK) {
        return rc;
    }
    rc = fed_sniffed_merge(&init->seen, init->train[0], &other, path, err);
    if (rc == FED_OK) {
        rc = check_cells(&other, path, err);
    }
    fed_sniffed_fini(&other);
    return rc;
}

static int sniff_all(struct fed_init *init, struct fed_error *err) {
    int rc = check_cells(&init->seen, init->train[0], err);
    for (size_t i = 1; i < init->n_train && rc == FED_OK; i++) {
        rc = sniff_another(init, init->train[i], err);
    }
    return rc == FED_OK && init->test != NULL ? sniff_another(init, init->test, err) : rc;
}

const struct fed_sniffed_column *fed_init_column(const struct fed_init *init, const char *name) {
    char *end;
    unsigned long number = strtoul(name, &end, 10);
    for (size_t i = 0; i < init->seen.n_columns; i++) {
        if (init->seen.header && strcmp(init->seen.columns[i].name, name) == 0) {
            return &init->seen.columns[i];
        }
    }
    return *name != '\0' && *end == '\0' && number >= 1 && number <= init->seen.n_columns ? &init->seen.columns[number - 1]
                                                                                          : NULL;
}

/* -- proposals ---------------------------------------------------------------------------------------------------------- */

/* The path with one word in it changed to another, where that file is there. */
static bool changed(char out[4096], const char *path, const char *from, const char *to) {
    const char *file = strrchr(path, '/'), *at = strcasestr(file != NULL ? file : path, from);
    if (at == NULL) {
        return false;
    }
    int n = snprintf(out, 4096, "%.*s%s%s", (int)(at - path), path, to, at + strlen(from));
    if (n > 0 && n < 4096 && access(out, R_OK) == 0) {
        return true;
    }
    out[0] = '\0';
    return false;
}

void fed_init_guess_labels(char out[4096], const char *train) {
    out[0] = '\0';
    (void)(changed(out, train, "images-idx3", "labels-idx1") || changed(out, train, "images", "labels") ||
           changed(out, train, "features", "labels") || changed(out, train, "-x", "-y") || changed(out, train, "_x", "_y") ||
           changed(out, train, "x_", "y_"));
}

void fed_init_guess_test(char out[4096], const char *train) {
    out[0] = '\0';
    (void)(changed(out, train, "train", "test") || changed(out, train, "train", "t10k"));
}

/* By its number where it has no name, or one that is too long to be known whole. */
static void name_column(char out[80], const struct fed_sniffed *seen, size_t i) {
    const struct fed_sniffed_column *column = &seen->columns[i];
    if (seen->header && strlen(column->name) + 1 < sizeof column->name) {
        snprintf(out, 80, "%s", column->name);
    } else {
        snprintf(out, 80, "%zu", i + 1);
    }
}

void fed_init_guess_label(char out[80], const struct fed_sniffed *seen) {
    static const char *const names[] = {"label", "labels", "class", "target", "outcome", "diagnosis", "y", "species"};
    size_t last = seen->n_columns - 1;
    for (size_t i = 0; i < seen->n_columns && seen->header; i++) {
        for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
            last = strcasecmp(seen->columns[i].name, names[n]) == 0 ? i : last;
        }
    }
    name_column(out, seen, last);
}

/* A column of words that is not the label can only say whose a row is; a few words among numbers are mistakes, which reading
 * the data names. */
void fed_init_guess_group(char out[80], const struct fed_init *init) {
    const struct fed_sniffed *seen = &init->seen;
    out[0] = '\0';
    for (size_t i = 0; i < seen->n_columns; i++) {
        if (2 * seen->columns[i].n_words > seen->n_rows && &seen->columns[i] != fed_init_column(init, init->label)) {
            name_column(out, seen, i);
            return;
        }
    }
}

void fed_init_guess_model(char out[32], const struct fed_init *init) {
    switch (init->seen.format) {
    case FED_DATA_TEXT: snprintf(out, 32, "char_lstm"); break;
    case FED_DATA_IDX: snprintf(out, 32, init->n_features == 784 && init->n_classes <= 10 ? "mnist_2nn" : "200,200"); break;
    default: snprintf(out, 32, "%s", init->n_features > 256 ? "200,200" : "32"); break;
    }
}

/* A feature, or the number to be met. */
static bool is_computed_with(const struct fed_init *init, const struct fed_sniffed_column *column) {
    if (init->group != NULL && column == fed_init_column(init, init->group)) {
        return false;
    }
    return column->numbers && (column != fed_init_column(init, init->label) || init->n_classes == 0);
}

/* Gradients grow with the square of what goes in: beyond about 2 over its mean steps would explode. */
double fed_init_guess_rate(const struct fed_init *init) {
    double square = 1;
    if (init->seen.format == FED_DATA_TEXT) {
        return 1.0;
    }
    for (size_t i = 0; i < init->seen.n_columns; i++) {
        const struct fed_sniffed_column *column = &init->seen.columns[i];
        if (is_computed_with(init, column)) {
            square += column->mean_square;
        }
    }
    double rate = RATE_MOST < 1 / square ? RATE_MOST : 1 / square;
    double digit = pow(10, floor(log10(rate)));
    return floor(rate / digit) * digit;
}

/* -- the data as a whole ------------------------------------------------------------------------------------------------ */

static int note(struct fed_init *init, struct fed_error *err, const char *format, ...) FED_PRINTF(3, 4);
static int note(struct fed_init *init, struct fed_error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n =
        init->n_notes < sizeof init->notes / sizeof *init->notes ? vasprintf(&init->notes[init->n_notes], format, args) : -1;
    va_end(args);
    init->n_notes += n >= 0;
    return n >= 0 ? FED_OK : fed_error_set(err, FED_ENOMEM, "out of memory");
}

static int look_at_sizes(struct fed_init *init, struct fed_error *err) {
    const struct fed_sniffed_column *largest = NULL;
    for (size_t i = 0; i < init->seen.n_columns; i++) {
        const struct fed_sniffed_column *column = &init->seen.columns[i];
        if (is_computed_with(init, column) && (largest == NULL || column->largest > largest->largest)) {
            largest = column;
        }
    }
    if (largest == NULL || largest->largest <= UNEVEN) {
        return FED_OK;
    }
    return note(
        init, err,
        "column %s goes up to %.4g; training is much better where every column is scaled to about -1 to 1 first, by the "
        "same rule at every client (the learning rate is set low now, so that nothing explodes)",
        init->seen.header ? largest->name : "of features", largest->largest);
}

/* Whether a task can name them. */
static int check_class_names(const struct fed_init *init, const struct fed_sniffed_column *label, struct fed_error *err) {
    struct fed_model_spec *spec = calloc(1, sizeof *spec);
    int rc = spec != NULL ? FED_OK : fed_error_set(err, FED_ENOMEM, "out of memory");
    for (size_t i = 0; i < label->n_values && rc == FED_OK; i++) {
        rc = fed_model_words_add_class(spec, fed_sniffed_value(label, i), err);
        if (rc != FED_OK) {
            rc = fed_error_prefix(err, FED_EDATA, "%s: column %s: is it the label?", init->train[0], init->label);
        }
    }
    free(spec);
    return rc;
}

/* Words are classes; so are whole numbers, where they are few; all else is to be met. */
static int look_at_label(struct fed_init *init, struct fed_error *err) {
    const struct fed_sniffed_column *label = fed_init_column(init, init->label);
    init->named = !label->numbers;
    if (init->named && label->n_values >= FED_SNIFF_VALUES) {
        return fed_error_set(err, FED_EDATA, "%s: column %s has %d different words or more: is it the label?",
                             init->train[0], init->label, FED_SNIFF_VALUES);
    }
    if (init->named) {
        init->n_classes = (uint32_t)label->n_values;
    } else if (label->whole && label->largest < 100 && label->n_values <= 100) {
        init->n_classes = (uint32_t)label->largest + 1;
    } else {
        init->n_classes = 0;
    }
    return init->named ? check_class_names(init, label, err) : FED_OK;
}

int fed_init_examine(struct fed_init *init, struct fed_error *err) {
    bool table = init->seen.format == FED_DATA_CSV;
    struct fed_data_source source = {.format = init->seen.format, .header = init->seen.header, .unroll = 80};
    struct fed_dataset data = {0};
    source.train = table || init->seen.format == FED_DATA_TEXT ? init->train[0] : NULL;
    source.train_images = init->seen.format == FED_DATA_IDX ? init->train[0] : NULL;
    source.train_features = init->seen.format == FED_DATA_NPY ? init->train[0] : NULL;
    source.train_labels = init->labels;
    source.label = init->label;
    source.group = init->group;
    int rc = table ? sniff_all(init, err) : FED_OK;
    if (rc == FED_OK) {
        struct fed_busy *busy = fed_wait_begin(false, "reading %s", init->train[0]);
        rc = fed_dataset_load(&data, &source, FED_DATA_TRAIN, err);
        fed_wait_end(busy);
    }
    if (rc != FED_OK) {
        return rc;
    }
    init->n_examples = data.n_examples;
    init->n_features = data.n_features;
    init->n_classes = data.n_classes;
    fed_dataset_fini(&data);
    if (table) {
        rc = look_at_label(init, err);
    }
    if (rc == FED_OK && init->n_classes == 1) {
        rc =
            fed_error_set(err, FED_EDATA, "%s: all examples have the same label: there is nothing to learn", init->train[0]);
    }
    if (rc == FED_OK && init->group != NULL) {
        rc =
            note(init, err, "column %s says whose a row is, and is no feature; --group names another, or none", init->group);
    }
    return rc == FED_OK && table ? look_at_sizes(init, err) : rc;
}
