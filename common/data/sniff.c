#include "common/data/sniff.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/mapped.h"
#include "common/data/csv.h"
#include "common/data/number.h"
#include "common/data/words.h"

#define COLUMNS_MOST ((size_t)1 << 16)

struct reader {
    struct fed_sniffed seen;
    const char *path;
};

/* -- the format --------------------------------------------------------------------------------------------------------- */

static size_t count(const uint8_t *bytes, size_t n, char wanted) {
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        found += bytes[i] == (uint8_t)wanted;
    }
    return found;
}

static size_t line_length(const uint8_t *bytes, size_t n) {
    const uint8_t *end = memchr(bytes, '\n', n);
    return end != NULL ? (size_t)(end - bytes) : n;
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcasecmp(text + n - n_end, end) == 0;
}

/* The first two lines have as many commas, and some. */
static bool looks_like_rows(const uint8_t *bytes, size_t n) {
    size_t first = line_length(bytes, n);
    if (first == n) {
        return false;
    }
    size_t commas = count(bytes, first, ','), rest = n - first - 1;
    return commas > 0 && count(bytes + first + 1, line_length(bytes + first + 1, rest), ',') == commas;
}

static int find_format(enum fed_data_format *out, const uint8_t *bytes, size_t n, const char *path, struct fed_error *err) {
    static const uint8_t gzip[] = {0x1f, 0x8b}, numpy[] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
    bool table = ends_with(path, ".csv");
    if (n == 0) { /* and bytes may be NULL */
        return fed_error_set(err, FED_EDATA, "%s: the file is empty", path);
    }
    size_t first = line_length(bytes, n);
    if (ends_with(path, ".csv.gz")) {
        return fed_error_set(err, FED_EDATA, "%s: a table is not read packed: gunzip it first", path);
    }
    if (n >= 6 && memcmp(bytes, numpy, sizeof numpy) == 0) {
        *out = FED_DATA_NPY;
    } else if (n >= 4 && ((bytes[0] == 0 && bytes[1] == 0 && bytes[2] == 8) || memcmp(bytes, gzip, sizeof gzip) == 0)) {
        *out = FED_DATA_IDX;
    } else if (memchr(bytes, '\0', n) != NULL) {
        return fed_error_set(err, FED_EDATA, "%s: is neither IDX, NumPy, CSV nor a plain text", path);
    } else if (table && count(bytes, first, ',') == 0) {
        return fed_error_set(err, FED_EDATA, "%s:1: no commas found; cells must be separated by commas%s", path,
                             memchr(bytes, ';', first) != NULL    ? ", not by semicolons"
                             : memchr(bytes, '\t', first) != NULL ? ", not by tabs"
                                                                  : "");
    } else {
        *out = table || looks_like_rows(bytes, n) ? FED_DATA_CSV : FED_DATA_TEXT;
    }
    return FED_OK;
}

/* -- columns ------------------------------------------------------------------------------------------------------------ */

static bool is_number(float *out, const struct fed_csv_cell *cell) {
    return fed_number_parse(out, cell->text, cell->n) == FED_OK;
}

static int begin(struct reader *r, const struct fed_csv_cell *cells, size_t n, struct fed_error *err) {
    struct fed_sniffed *seen = &r->seen;
    float ignored;
    if (n > COLUMNS_MOST) {
        return fed_error_set(err, FED_EDATA, "%s:%zu: %zu columns found, at most %zu are looked at", r->path, cells[0].line,
                             n, COLUMNS_MOST);
    }
    seen->columns = calloc(n, sizeof *seen->columns);
    if (seen->columns == NULL) {
        return fed_error_set(err, FED_ENOMEM, "%s: out of memory", r->path);
    }
    seen->n_columns = n;
    seen->header = true;
    for (size_t i = 0; i < n; i++) {
        seen->header = seen->header && !is_number(&ignored, &cells[i]);
        seen->columns[i].numbers = seen->columns[i].whole = true;
    }
    for (size_t i = 0; i < n && seen->header; i++) {
        snprintf(seen->columns[i].name, sizeof seen->columns[i].name, "%s", cells[i].text);
    }
    return FED_OK;
}

static int remember(struct fed_sniffed_column *column, const struct fed_csv_cell *cell) {
    uint32_t number;
    if (column->values == NULL && (column->values = calloc(1, sizeof *column->values)) == NULL) {
        return FED_ENOMEM;
    }
    if (column->n_values < FED_SNIFF_VALUES) {
        int rc = fed_words_add(&number, column->values, cell->text, cell->n, cell->line);
        column->n_values = column->values->n;
        return rc;
    }
    return FED_OK;
}

static int take_cell(struct fed_sniffed_column *column, const struct fed_csv_cell *cell) {
    float value = 0;
    if (cell->n == 0) {
        column->n_empty++;
        return FED_OK;
    }
    if (!is_number(&value, cell)) {
        column->numbers = column->whole = false;
        column->n_words++;
    } else {
        double size = fabs((double)value);
        bool plain = strspn(cell->text, "0123456789") == cell->n && (cell->n == 1 || cell->text[0] != '0');
        column->whole = column->whole && plain && value <= 65535;
        column->largest = size > column->largest ? size : column->largest;
        column->mean_square += size * size; /* the sum, until the end */
    }
    return remember(column, cell);
}

static int take_row(void *context, const struct fed_csv_cell *cells, size_t n, struct fed_error *err) {
    struct reader *r = context;
    if (r->seen.columns == NULL) {
        int rc = begin(r, cells, n, err);
        if (rc != FED_OK || r->seen.header) {
            return rc;
        }
    }
    if (n != r->seen.n_columns) {
        return fed_error_set(err, FED_EDATA, "%s:%zu: a row of %zu cells, expected %zu as in the first row", r->path,
                             cells[0].line, n, r->seen.n_columns);
    }
    for (size_t i = 0; i < n; i++) {
        int rc = take_cell(&r->seen.columns[i], &cells[i]);
        if (rc != FED_OK) {
            return fed_error_set(err, rc, "%s: out of memory", r->path);
        }
    }
    r->seen.n_rows++;
    return FED_OK;
}

int fed_sniff(struct fed_sniffed *out, const char *path, struct fed_error *err) {
    struct reader r = {.path = path};
    const uint8_t *bytes;
    size_t n;
    if (fed_mapped_open(&bytes, &n, path, err) != FED_OK) {
        return FED_EDATA;
    }
    int rc = find_format(&r.seen.format, bytes, n, path, err);
    if (rc == FED_OK && r.seen.format == FED_DATA_CSV) {
        rc = fed_csv_read(bytes, n, path, take_row, &r, err);
    }
    fed_mapped_close(bytes, n);
    if (rc == FED_OK && r.seen.format == FED_DATA_CSV && r.seen.n_rows == 0) {
        rc = fed_error_set(err, FED_EDATA, "%s: holds no examples", path);
    }
    if (rc != FED_OK) {
        fed_sniffed_fini(&r.seen);
        return rc;
    }
    for (size_t i = 0; i < r.seen.n_columns; i++) {
        r.seen.columns[i].mean_square /= (double)r.seen.n_rows;
    }
    *out = r.seen;
    return FED_OK;
}

static int merge_column(struct fed_sniffed_column *into, size_t rows, const struct fed_sniffed_column *from, size_t more) {
    into->mean_square = (into->mean_square * (double)rows + from->mean_square * (double)more) / (double)(rows + more);
    into->numbers = into->numbers && from->numbers;
    into->whole = into->whole && from->whole;
    into->n_empty += from->n_empty;
    into->n_words += from->n_words;
    into->largest = from->largest > into->largest ? from->largest : into->largest;
    int rc = FED_OK;
    for (size_t i = 0; i < from->n_values && rc == FED_OK; i++) {
        const char *text = fed_sniffed_value(from, i);
        rc = remember(into, &(struct fed_csv_cell){.text = text, .n = strlen(text), .line = 0});
    }
    return rc;
}

int fed_sniffed_merge(struct fed_sniffed *into, const char *into_path, const struct fed_sniffed *from, const char *from_path,
                      struct fed_error *err) {
    bool same = into->format == from->format && into->header == from->header && into->n_columns == from->n_columns;
    for (size_t i = 0; i < into->n_columns && same; i++) {
        same = strcmp(into->columns[i].name, from->columns[i].name) == 0;
    }
    if (!same) {
        return fed_error_set(err, FED_EDATA, "%s and %s must have the same columns, in the same order", into_path,
                             from_path);
    }
    for (size_t i = 0; i < into->n_columns; i++) {
        if (merge_column(&into->columns[i], into->n_rows, &from->columns[i], from->n_rows) != FED_OK) {
            return fed_error_set(err, FED_ENOMEM, "%s: out of memory", from_path);
        }
    }
    into->n_rows += from->n_rows;
    return FED_OK;
}

void fed_sniffed_fini(struct fed_sniffed *sniffed) {
    for (size_t i = 0; i < sniffed->n_columns; i++) {
        if (sniffed->columns[i].values != NULL) {
            fed_words_fini(sniffed->columns[i].values);
            free(sniffed->columns[i].values);
        }
    }
    free(sniffed->columns);
    *sniffed = (struct fed_sniffed){.columns = NULL};
}

const char *fed_sniffed_value(const struct fed_sniffed_column *column, size_t i) {
    return fed_words_text(column->values, (uint32_t)i);
}
