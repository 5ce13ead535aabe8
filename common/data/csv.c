/* libcsv tells cells and rows but not where they stand. So it is fed one line of the file at a time: a cell that ends in a
 * line began where the one before it ended, and at most one row ends in a line. */
#include "common/data/csv.h"

#include <csv.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define GROWTH 65536 /* bytes by which libcsv's buffer of one cell grows */

struct reader {
    int (*take)(void *context, const struct fed_csv_cell *cells, size_t n_cells, struct fed_error *err);
    void *context;
    struct fed_error *err;
    struct fed_csv_cell *cells; /* of the row so far; their text is set when it ends */
    size_t n_cells, cells_room;
    char *text; /* of these cells, a zero behind each */
    size_t n_text, text_room;
    size_t line, cell_line; /* being read; where the cell being read begins */
    bool in_row;
    int rc;
};

static int make_room(struct reader *r, size_t n) {
    if (r->n_cells == r->cells_room) {
        size_t room = r->cells_room == 0 ? 64 : 2 * r->cells_room;
        struct fed_csv_cell *grown = reallocarray(r->cells, room, sizeof *grown);
        if (grown == NULL) {
            return FED_ENOMEM;
        }
        r->cells = grown;
        r->cells_room = room;
    }
    if (r->text_room - r->n_text <= n) {
        size_t room = 2 * (r->n_text + n + 1);
        char *grown = realloc(r->text, room);
        if (grown == NULL) {
            return FED_ENOMEM;
        }
        r->text = grown;
        r->text_room = room;
    }
    return FED_OK;
}

static void end_cell(void *bytes, size_t n, void *reader) {
    struct reader *r = reader;
    if (r->rc == FED_OK && (r->rc = make_room(r, n)) != FED_OK) {
        fed_error_set(r->err, r->rc, "out of memory");
    }
    if (r->rc == FED_OK) {
        if (n > 0) {
            memcpy(r->text + r->n_text, bytes, n);
        }
        r->text[r->n_text + n] = '\0';
        r->n_text += n + 1;
        r->cells[r->n_cells++] = (struct fed_csv_cell){.n = n, .line = r->cell_line};
        r->cell_line = r->line;
    }
}

static void end_row(int terminator, void *reader) {
    (void)terminator;
    struct reader *r = reader;
    size_t at = 0;
    for (size_t i = 0; i < r->n_cells; i++) {
        r->cells[i].text = r->text + at;
        at += r->cells[i].n + 1;
    }
    if (r->rc == FED_OK) {
        r->rc = r->take(r->context, r->cells, r->n_cells, r->err);
    }
    r->n_cells = r->n_text = 0;
    r->in_row = false;
}

static int no_space(unsigned char c) {
    (void)c;
    return 0;
}

/* Bytes of the line that starts here, its end included: LF, CR LF, or CR alone. */
static size_t line_length(const uint8_t *bytes, size_t n) {
    size_t i = 0;
    while (i < n && bytes[i] != '\n' && bytes[i] != '\r') {
        i++;
    }
    return i + (i < n) + (i + 1 < n && bytes[i] == '\r' && bytes[i + 1] == '\n');
}

static int wrong_quotes(const struct reader *r, const char *path) {
    return fed_error_set(
        r->err, FED_EDATA,
        "%s:%zu: a quote (\") out of place in the cell that begins in line %zu: a cell is quoted as a whole, "
        "and a quote inside it is doubled",
        path, r->line, r->cell_line);
}

static int parser_error(const struct reader *r, struct csv_parser *parser, const char *path) {
    return csv_error(parser) == CSV_EPARSE ? wrong_quotes(r, path) : fed_error_set(r->err, FED_ENOMEM, "out of memory");
}

static int read_lines(struct reader *r, struct csv_parser *parser, const uint8_t *bytes, size_t n, const char *path) {
    for (size_t at = 0, length; at < n; at += length) {
        length = line_length(bytes + at, n - at);
        r->line++;
        if (!r->in_row) {
            r->cell_line = r->line;
            r->in_row = bytes[at] != '\n' && bytes[at] != '\r';
        }
        if (csv_parse(parser, bytes + at, length, end_cell, end_row, r) != length) {
            return parser_error(r, parser, path);
        }
        if (r->rc != FED_OK) {
            return r->rc;
        }
    }
    if (csv_fini(parser, end_cell, end_row, r) != 0) {
        return csv_error(parser) == CSV_EPARSE
                   ? fed_error_set(r->err, FED_EDATA, "%s:%zu: a quote (\") is opened here and never closed", path,
                                   r->cell_line)
                   : parser_error(r, parser, path);
    }
    return r->rc;
}

static int refuse_zeros(const uint8_t *bytes, size_t n, const char *path, struct fed_error *err) {
    const uint8_t *zero = memchr(bytes, 0, n);
    return zero == NULL
               ? FED_OK
               : fed_error_set(err, FED_EDATA, "%s: a zero byte at offset %zu: no text; if it is UTF-16, save it as UTF-8",
                               path, (size_t)(zero - bytes));
}

int fed_csv_read(const uint8_t *bytes, size_t n, const char *path,
                 int (*take)(void *context, const struct fed_csv_cell *cells, size_t n_cells, struct fed_error *err),
                 void *context, struct fed_error *err) {
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    struct reader reader = {.take = take, .context = context, .err = err};
    struct csv_parser parser;
    int rc = n > 0 ? refuse_zeros(bytes, n, path, err) : FED_OK;
    if (rc != FED_OK || n == 0) {
        return rc;
    }
    if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI) != 0) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    csv_set_space_func(&parser, no_space);
    csv_set_blk_size(&parser, GROWTH);
    size_t skip = n >= sizeof mark && memcmp(bytes, mark, sizeof mark) == 0 ? sizeof mark : 0;
    rc = read_lines(&reader, &parser, bytes + skip, n - skip, path);
    csv_free(&parser);
    free(reader.cells);
    free(reader.text);
    return rc;
}
