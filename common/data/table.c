#include "common/data/table.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mapped.h"
#include "common/data/csv.h"
#include "common/data/number.h"
#include "common/seal/digest.h"

#define LISTED 300 /* characters of the names of columns */
#define COLUMNS_MOST ((size_t)1 << 26)
#define NO_COLUMN SIZE_MAX

struct loader {
    struct fed_table table; /* being filled; n_rows of `room` */
    size_t room;
    const char *path, *label, *group;
    bool header;
    size_t n_columns;          /* 0: the first row has not come yet */
    size_t label_at, group_at; /* columns from 0 on */
    struct fed_words names;    /* of the columns; empty without a header */
};

/* -- sentences ---------------------------------------------------------------------------------------------------------- */

/* "column 3 (age)", or "column 3" without a header. */
static void name_column(char *out, size_t size, const struct loader *l, size_t column) {
    char name[FED_SHOWN];
    int n = snprintf(out, size, "column %zu", column + 1);
    if (column < l->names.n) {
        const struct fed_word *word = &l->names.words[column];
        snprintf(out + n, size - (size_t)n, " (%s)", fed_words_show(name, l->names.text + word->at, word->n));
    }
}

static int refuse_cell(const struct loader *l, const struct fed_csv_cell *cell, size_t column, const char *expected,
                       struct fed_error *err) {
    char name[80], shown[FED_SHOWN];
    name_column(name, sizeof name, l, column);
    if (cell->n == 0) {
        return fed_error_set(err, FED_EDATA, "%s:%zu: %s: an empty cell, expected %s", l->path, cell->line, name, expected);
    }
    return fed_error_set(err, FED_EDATA, "%s:%zu: %s: found \"%s\", expected %s", l->path, cell->line, name,
                         fed_words_show(shown, cell->text, cell->n), expected);
}

static int out_of_memory(const struct loader *l, struct fed_error *err) {
    return fed_error_set(err, FED_ENOMEM, "%s: out of memory after %zu rows", l->path, l->table.n_rows);
}

/* -- columns ------------------------------------------------------------------------------------------------------------ */

static size_t column_by_number(const char *text, size_t n_columns) {
    size_t digits = strspn(text, "0123456789");
    unsigned long long number = digits > 0 && digits < 10 && text[digits] == '\0' ? strtoull(text, NULL, 10) : 0;
    return number >= 1 && number <= n_columns ? (size_t)number - 1 : NO_COLUMN;
}

static int no_such_column(const struct loader *l, const char *key, const char *wanted, size_t line, struct fed_error *err) {
    char listed[LISTED] = "", name[FED_SHOWN];
    size_t n = 0;
    for (uint32_t i = 0; i < l->names.n && n < sizeof listed; i++) {
        const struct fed_word *word = &l->names.words[i];
        n += (size_t)snprintf(listed + n, sizeof listed - n, "%s%s", i == 0 ? ": " : ", ",
                              fed_words_show(name, l->names.text + word->at, word->n));
    }
    return fed_error_set(err, FED_EDATA, "%s:%zu: data.%s: there is no column \"%s\" among the %zu found%s%s", l->path, line,
                         key, fed_words_show(name, wanted, strlen(wanted)), l->n_columns, listed,
                         n < sizeof listed ? "" : "...");
}

static int find_column(size_t *out, const struct loader *l, const char *key, const char *wanted, size_t line,
                       struct fed_error *err) {
    uint32_t named = fed_words_find(&l->names, wanted, strlen(wanted));
    size_t column = named != UINT32_MAX ? named : column_by_number(wanted, l->n_columns);
    if (column == NO_COLUMN) {
        return no_such_column(l, key, wanted, line, err);
    }
    *out = column;
    return FED_OK;
}

static int take_names(struct loader *l, const struct fed_csv_cell *cells, size_t n_cells, struct fed_error *err) {
    for (size_t i = 0; i < n_cells; i++) {
        uint32_t number;
        char shown[FED_SHOWN];
        if (cells[i].n == 0) {
            return fed_error_set(err, FED_EDATA, "%s:%zu: column %zu has no name (without a line of names: data.header: no)",
                                 l->path, cells[i].line, i + 1);
        }
        if (fed_words_add(&number, &l->names, cells[i].text, cells[i].n, cells[i].line) != FED_OK) {
            return out_of_memory(l, err);
        }
        if (number != i) {
            return fed_error_set(err, FED_EDATA, "%s:%zu: columns %" PRIu32 " and %zu are both called \"%s\"", l->path,
                                 cells[i].line, number + 1, i + 1, fed_words_show(shown, cells[i].text, cells[i].n));
        }
    }
    return FED_OK;
}

/* A line of names that is an example, for all one can tell: numbers only, and the label is not found among them by name. */
static int refuse_example(const struct loader *l, const struct fed_csv_cell *cells, size_t n_cells, struct fed_error *err) {
    float ignored;
    bool numbers = l->header && fed_words_find(&l->names, l->label, strlen(l->label)) == UINT32_MAX;
    for (size_t i = 0; i < n_cells && numbers; i++) {
        numbers = fed_number_parse(&ignored, cells[i].text, cells[i].n) == FED_OK;
    }
    return !numbers ? FED_OK
                    : fed_error_set(err, FED_EDATA,
                                    "%s:%zu: numbers found where the names of columns are expected; if the first line is an "
                                    "example: data.header: no",
                                    l->path, cells[0].line);
}

static void digest_names(struct loader *l) {
    struct fed_digest_state state;
    fed_digest_init(&state);
    for (uint32_t i = 0; i < l->names.n; i++) {
        if (i != l->label_at && i != l->group_at) {
            const char *name = fed_words_text(&l->names, i);
            fed_digest_update(&state, name, strlen(name) + 1);
        }
    }
    if (l->header) {
        fed_digest_final(l->table.names, &state);
    }
}

/* The first row: how many columns there are, what they are called, which of them are not features. */
static int take_columns(struct loader *l, const struct fed_csv_cell *cells, size_t n_cells, struct fed_error *err) {
    size_t line = cells[0].line;
    if (n_cells > COLUMNS_MOST) {
        return fed_error_set(err, FED_EDATA, "%s:%zu: %zu columns found, at most %zu are allowed", l->path, line, n_cells,
                             COLUMNS_MOST);
    }
    l->n_columns = n_cells;
    l->group_at = NO_COLUMN;
    int rc = l->header ? take_names(l, cells, n_cells, err) : FED_OK;
    if (rc == FED_OK) {
        rc = refuse_example(l, cells, n_cells, err);
    }
    if (rc == FED_OK) {
        rc = find_column(&l->label_at, l, "label", l->label, line, err);
    }
    if (rc == FED_OK && l->group != NULL) {
        rc = find_column(&l->group_at, l, "group", l->group, line, err);
    }
    if (rc != FED_OK) {
        return rc;
    }
    name_column(l->table.label_column, sizeof l->table.label_column, l, l->label_at);
    if (l->group_at == l->label_at) {
        return fed_error_set(err, FED_EDATA, "%s:%zu: data.label and data.group both name %s", l->path, line,
                             l->table.label_column);
    }
    digest_names(l);
    l->table.n_features = (uint32_t)(n_cells - 1 - (l->group != NULL));
    return l->table.n_features > 0
               ? FED_OK
               : fed_error_set(err, FED_EDATA,
                               "%s:%zu: no column of features beside label and group (%zu found, separated by "
                               "commas)",
                               l->path, line, n_cells);
}

/* -- rows --------------------------------------------------------------------------------------------------------------- */

/* Whether the text is a whole number up to 65535, written in the one way there is. */
static bool parse_whole(uint32_t *out, const char *text, size_t n) {
    uint32_t value = 0;
    if (n == 0 || n > 5 || (text[0] == '0' && n > 1) || strspn(text, "0123456789") != n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        value = 10 * value + (uint32_t)(text[i] - '0');
    }
    *out = value;
    return value < FED_TABLE_LABELS;
}

/* The array with room for that many rows; itself, and *rc, if there is no memory. */
static void *resized(void *array, size_t room, size_t row_bytes, int *rc) {
    void *moved = reallocarray(array, room, row_bytes);
    *rc = moved == NULL ? FED_ENOMEM : *rc;
    return moved == NULL ? array : moved;
}

/* Pages that nothing was written to take no memory, and large blocks are moved without copying them: doubling costs
 * addresses only. Labels and numbers that were given up stay so. */
static int resize(struct loader *l, size_t room) {
    struct fed_table *t = &l->table;
    bool first = l->room == 0;
    int rc = FED_OK;
    t->features = resized(t->features, room, t->n_features * sizeof *t->features, &rc);
    if (first || t->labels != NULL) {
        t->labels = resized(t->labels, room, sizeof *t->labels, &rc);
    }
    if (first || t->numbers != NULL) {
        t->numbers = resized(t->numbers, room, sizeof *t->numbers, &rc);
    }
    if (l->group != NULL) {
        t->groups = resized(t->groups, room, sizeof *t->groups, &rc);
    }
    l->room = rc == FED_OK ? room : l->room;
    return rc;
}

static int check_use(const struct loader *l, size_t line, struct fed_error *err) {
    return l->table.labels != NULL || l->table.numbers != NULL
               ? FED_OK
               : fed_error_set(err, FED_EDATA,
                               "%s:%zu: %s: more than %d different labels, and not all of them numbers; is it the label?",
                               l->path, line, l->table.label_column, FED_TABLE_LABELS);
}

static int take_label(struct loader *l, const struct fed_csv_cell *cell, struct fed_error *err) {
    struct fed_table *t = &l->table;
    uint32_t word = UINT32_MAX, whole;
    float number;
    if (cell->n == 0) {
        return refuse_cell(l, cell, l->label_at, "a label", err);
    }
    if (t->labels != NULL && fed_words_add(&word, &t->words, cell->text, cell->n, cell->line) != FED_OK) {
        return out_of_memory(l, err);
    }
    if (t->kind == FED_LABELS_WHOLE && !parse_whole(&whole, cell->text, cell->n)) {
        t->kind = FED_LABELS_NUMBERS;
        t->not_whole = word;
    }
    if (t->numbers != NULL && fed_number_parse(&number, cell->text, cell->n) == FED_OK) {
        t->numbers[t->n_rows] = number;
    } else if (t->numbers != NULL) {
        t->kind = FED_LABELS_WORDS;
        t->no_number = word;
        free(t->numbers);
        t->numbers = NULL;
    }
    if (t->labels != NULL && word < FED_TABLE_LABELS) {
        t->labels[t->n_rows] = (uint16_t)word;
    } else if (t->labels != NULL) {
        free(t->labels);
        t->labels = NULL;
        fed_words_fini(&t->words);
    }
    return check_use(l, cell->line, err);
}

static int take_example(struct loader *l, const struct fed_csv_cell *cells, struct fed_error *err) {
    struct fed_table *t = &l->table;
    float *to = t->features + t->n_rows * t->n_features;
    for (size_t i = 0; i < l->n_columns; i++) {
        int rc = FED_OK;
        if (i == l->label_at) {
            rc = take_label(l, &cells[i], err);
        } else if (i == l->group_at) {
            rc = cells[i].n == 0
                     ? refuse_cell(l, &cells[i], i, "the name of a group", err)
                     : fed_words_add(&t->groups[t->n_rows], &t->group_names, cells[i].text, cells[i].n, cells[i].line);
        } else if ((rc = fed_number_parse(to++, cells[i].text, cells[i].n)) != FED_OK) {
            rc = refuse_cell(l, &cells[i], i, rc == FED_EDATA ? "a number" : "a number that float32 can hold", err);
        }
        if (rc != FED_OK) {
            return rc == FED_ENOMEM ? out_of_memory(l, err) : rc;
        }
    }
    t->n_rows++;
    return FED_OK;
}

static int take_row(void *loader, const struct fed_csv_cell *cells, size_t n_cells, struct fed_error *err) {
    struct loader *l = loader;
    if (l->n_columns == 0) {
        int rc = take_columns(l, cells, n_cells, err);
        if (rc != FED_OK || l->header) {
            return rc;
        }
    }
    if (n_cells != l->n_columns) {
        return fed_error_set(err, FED_EDATA, "%s:%zu: a row of %zu cells, expected %zu as in the first row", l->path,
                             cells[0].line, n_cells, l->n_columns);
    }
    if (l->table.n_rows == UINT32_MAX) {
        return fed_error_set(err, FED_EDATA, "%s:%zu: more than %" PRIu32 " examples", l->path, cells[0].line, UINT32_MAX);
    }
    if (l->table.n_rows == l->room && resize(l, l->room == 0 ? 64 : 2 * l->room) != FED_OK) {
        return out_of_memory(l, err);
    }
    return take_example(l, cells, err);
}

int fed_table_load(struct fed_table *out, const char *path, const char *label, const char *group, bool header,
                   struct fed_error *err) {
    struct loader l = {.path = path, .label = label, .group = group, .header = header};
    const uint8_t *bytes;
    size_t n;
    if (fed_mapped_open(&bytes, &n, path, err) != FED_OK) {
        return FED_EDATA;
    }
    int rc = fed_csv_read(bytes, n, path, take_row, &l, err);
    if (rc == FED_OK && l.table.n_rows == 0) {
        rc = fed_error_set(err, FED_EDATA, "%s: holds no examples%s", path, l.n_columns > 0 ? ", only a line of names" : "");
    }
    if (rc == FED_OK && resize(&l, l.table.n_rows) != FED_OK) {
        rc = out_of_memory(&l, err);
    }
    fed_mapped_close(bytes, n);
    fed_words_fini(&l.names);
    if (rc != FED_OK) {
        fed_table_fini(&l.table);
        return rc;
    }
    *out = l.table;
    return FED_OK;
}

void fed_table_fini(struct fed_table *table) {
    free(table->features);
    free(table->labels);
    free(table->numbers);
    free(table->groups);
    fed_words_fini(&table->words);
    fed_words_fini(&table->group_names);
    *table = (struct fed_table){.n_rows = 0};
}
