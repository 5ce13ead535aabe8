/* A CSV file as examples: rows of float32, a label each as it is written, perhaps a group each. Inside common/data only. */
#ifndef FED_COMMON_DATA_TABLE_H
#define FED_COMMON_DATA_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/data/words.h"

#define FED_TABLE_LABELS 65536 /* most different labels that can be classes */

/* What all labels of a table are. */
enum fed_table_labels {
    FED_LABELS_WHOLE,   /* whole numbers from 0 to 65535 without sign or leading zero: classes, or numbers to be met */
    FED_LABELS_NUMBERS, /* numbers to be met */
    FED_LABELS_WORDS,
};

struct fed_table {
    size_t n_rows;
    uint32_t n_features;
    float *features; /* owned: (n_rows, n_features), the columns in the order of the file */
    enum fed_table_labels kind;
    uint16_t *labels;       /* owned: (n_rows) number of a word; NULL: numbers, too many different ones to be classes */
    struct fed_words words; /* the labels */
    float *numbers;         /* owned: (n_rows) the labels as numbers; NULL: words */
    uint32_t not_whole, no_number; /* the first words that keep the labels from being whole, and numbers */
    uint32_t *groups;              /* owned: (n_rows) number of a name; NULL: there is no column of groups */
    struct fed_words group_names;
    char label_column[80]; /* "column 3 (outcome)" */
    uint8_t names[32];     /* digest of the names of the columns of features, in their order; zeros without a header */
};

/* label, group (may be NULL): a column by its name, or by its number from 1 on where no column has that name. FED_EDATA
 * names file, line and column: cells missing or too many, a cell that is no finite number, names that are missing or twice,
 * quotes, no examples. FED_ENOMEM. */
int fed_table_load(struct fed_table *out, const char *path, const char *label, const char *group, bool header,
                   struct fed_error *err) FED_MUST_CHECK;
void fed_table_fini(struct fed_table *table);

#endif
