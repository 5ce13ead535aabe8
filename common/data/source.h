/* Where data lies and how it is to be read: the section `data` of a task or a client file. */
#ifndef FED_COMMON_DATA_SOURCE_H
#define FED_COMMON_DATA_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

enum fed_data_format {
    FED_DATA_IDX,   /* LeCun's format: images u8 of 3 dimensions, labels u8 of 1 dimension, plain or gzip by content */
    FED_DATA_CSV,   /* RFC 4180: a column of labels, perhaps one of groups, all others numbers */
    FED_DATA_NPY,   /* NumPy: features u1 or f4 (n, ...), labels u1, i4, i8 or f4 (n) or (n, k), in C order */
    FED_DATA_TEXT,  /* one text, cut into windows */
    FED_DATA_ROLES, /* texts of many roles in one file; the first 80 % of a role's lines train, the rest tests */
};

struct fed_given;

/* All text is owned. NULL = not given. */
struct fed_data_source {
    const struct fed_given *given; /* training data that the program hands over, borrowed; then nothing below is read */
    enum fed_data_format format;
    char *train, *test;                   /* csv, text; roles: train alone */
    char *train_images, *test_images;     /* idx */
    char *train_features, *test_features; /* npy */
    char *train_labels, *test_labels;     /* idx, npy */
    char *label;                          /* csv: column of the labels, by name, or by number from 1 on */
    char *group;                          /* csv: column that says who an example belongs to; NULL: none */
    bool header;                          /* csv: the first line names the columns */
    uint32_t unroll;                      /* text, roles: steps of a window */
};

/* Is there something to read for this part? */
bool fed_data_source_has_train(const struct fed_data_source *source);
bool fed_data_source_has_test(const struct fed_data_source *source);
/* The file to name in a sentence about training or test data; "" if there is none. */
const char *fed_data_source_train_path(const struct fed_data_source *source);
const char *fed_data_source_test_path(const struct fed_data_source *source);
void fed_data_source_fini(struct fed_data_source *source);

const char *fed_data_format_name(enum fed_data_format format); /* idx, csv, npy, text, roles */

#endif
