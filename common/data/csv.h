/* The only door to libcsv: a text of comma-separated values (RFC 4180), row by row, and where each cell stands. Inside
 * common/data only.
 *
 * Quotes are read strictly, spaces belong to their cell, rows end with LF, CR LF or CR, lines without a cell are skipped, a
 * byte order mark of UTF-8 in front is, too. */
#ifndef FED_COMMON_DATA_CSV_H
#define FED_COMMON_DATA_CSV_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

struct fed_csv_cell {
    const char *text; /* n characters, none of them zero, then a zero */
    size_t n, line;   /* the line where it begins, from 1 on */
};

/* Hands every row to `take`, which borrows the cells; what it returns other than 0 ends the reading and is returned.
 * FED_EDATA names path, line and what is wrong with the quotes. FED_ENOMEM. */
int fed_csv_read(const uint8_t *bytes, size_t n, const char *path,
                 int (*take)(void *context, const struct fed_csv_cell *cells, size_t n_cells, struct fed_error *err),
                 void *context, struct fed_error *err) FED_MUST_CHECK;

#endif
