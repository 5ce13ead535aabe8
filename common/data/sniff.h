/* What a file of data looks like, before anybody has said how it is to be read: for whoever proposes that. */
#ifndef FED_COMMON_DATA_SNIFF_H
#define FED_COMMON_DATA_SNIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/data/source.h"

#define FED_SNIFF_VALUES 1000 /* different values of a column that are remembered */

struct fed_words;

struct fed_sniffed_column {
    char name[80];            /* "" without a line of names */
    bool numbers;             /* all cells are */
    bool whole;               /* all are whole numbers from 0 to 65535: they could be classes */
    size_t n_empty;           /* cells */
    size_t n_words;           /* cells that are neither empty nor numbers */
    size_t n_values;          /* different ones; FED_SNIFF_VALUES: so many, or more */
    double largest;           /* |x|, of numbers */
    double mean_square;       /* of numbers */
    struct fed_words *values; /* owned */
};

struct fed_sniffed {
    enum fed_data_format format; /* idx, npy, csv or text */
    bool header;                 /* csv: the first row names the columns: none of its cells is a number */
    size_t n_rows;               /* csv: without that one */
    size_t n_columns;
    struct fed_sniffed_column *columns; /* owned, csv alone */
};

/* FED_EDATA with a sentence: missing, empty, no data of a kind that is known (also: separated by something else than commas,
 * rows of different lengths). FED_ENOMEM. */
int fed_sniff(struct fed_sniffed *out, const char *path, struct fed_error *err) FED_MUST_CHECK;
/* Two tables that are to be read alike become one in what is known of them. FED_EDATA: they have not the same columns. */
int fed_sniffed_merge(struct fed_sniffed *into, const char *into_path, const struct fed_sniffed *from, const char *from_path,
                      struct fed_error *err) FED_MUST_CHECK;
void fed_sniffed_fini(struct fed_sniffed *sniffed);
/* i < n_values; borrowed, zero-terminated, in the order in which values first came. */
const char *fed_sniffed_value(const struct fed_sniffed_column *column, size_t i);

#endif
