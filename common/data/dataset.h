/* Examples to train or to test on, read where they lie: plain files are mapped, so many processes over one file share its
 * pages, and numbers become float32 only for the batch at hand.
 *
 *   features   bytes (IDX, NPY u1: pixels, divided by 255), floats (CSV, NPY f4), or windows of a text: `steps` characters
 *   labels     classes 0, 1, ...; words, which the model's list of classes turns into numbers (CSV); numbers to be met (mean
 *              squared error); of a text the character after each of a window's
 *   groups     who an example belongs to, where the data says so: a column of a CSV file, a role of a play
 *
 * A dataset that fits its model is only read from then on, by any number of threads. */
#ifndef FED_COMMON_DATA_DATASET_H
#define FED_COMMON_DATA_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/data/source.h"
#include "common/model/batch.h"
#include "common/model/model.h"

struct fed_dataset {
    size_t n_examples;
    uint32_t n_features;  /* numbers of an example; of a text the steps of a window */
    uint32_t n_classes;   /* largest label + 1; how many different words; of a text, and where labels can only be numbers to
                             be met, 0 */
    uint32_t n_groups;    /* 0: the data does not say */
    size_t n_dropped;     /* characters behind the last whole window of each text */
    uint32_t n_too_short; /* roles without a window to train on, which are left out */
    uint8_t digest[32];   /* of everything that training sees: BLAKE2b-256 over le64 n_examples, le32 n_features, features,
                             labels; where these are not bytes, the name of their layout stands before them */
    uint8_t columns[32];  /* of a table digest of the names of its columns of features, in their order; zeros: no names */
    struct fed_dataset_storage *storage; /* owned */
};

enum fed_data_part { FED_DATA_TRAIN, FED_DATA_TEST };

/* Reads what the source names; its texts are borrowed, for sentences. FED_EDATA with a sentence naming the file, the place
 * in it, what was found and what helps. FED_ENOMEM. */
int fed_dataset_load(struct fed_dataset *out, const struct fed_data_source *source, enum fed_data_part part,
                     struct fed_error *err) FED_MUST_CHECK;
/* Examples in memory, borrowed: features (n_examples, n_features), labels (n_examples). For tests and benchmarks.
 * FED_ENOMEM. */
int fed_dataset_from_bytes(struct fed_dataset *out, size_t n_examples, uint32_t n_features, const uint8_t *features,
                           const uint8_t *labels) FED_MUST_CHECK;
/* Whether the files that are read where they lie are still those that were loaded. Batches of files that were changed hold
 * numbers and labels within bounds, but nobody knows which: what was made of them must not be used. FED_EDATA. */
int fed_dataset_check_unchanged(const struct fed_dataset *dataset, struct fed_error *err) FED_MUST_CHECK;
void fed_dataset_fini(struct fed_dataset *dataset);

/* Makes the data the model's, before any batch: as many features as inputs, labels below the model's classes, words and
 * characters among those that the task knows. FED_EDATA names file, place and remedy. FED_ENOMEM. May be called again for
 * another model, while no other thread reads; on failure the dataset fits the model that it fitted before. */
int fed_dataset_fit(struct fed_dataset *dataset, const struct fed_model *model, struct fed_error *err) FED_MUST_CHECK;

/* FED_EDATA where both have columns with names and these are not the same in the same order: a model would take one column
 * for another. columns: those of what a model is trained on. */
int fed_dataset_check_columns(const struct fed_dataset *dataset, const uint8_t columns[32], const char *trained_on,
                              struct fed_error *err) FED_MUST_CHECK;

/* What partitions sort by: the label as the data has it (words count in the order of their bytes); 0 for texts and for
 * numbers to be met, and where an example has several. */
uint32_t fed_dataset_label(const struct fed_dataset *dataset, size_t example);
/* All labels are below; 0: there are none to sort by. */
uint32_t fed_dataset_labels(const struct fed_dataset *dataset);
/* The word that the label stands for; NULL where labels are numbers. O(labels). */
const char *fed_dataset_label_name(const struct fed_dataset *dataset, uint32_t label);
/* example's group, below n_groups, in the order in which groups begin in the data; and a group's name. */
uint32_t fed_dataset_group(const struct fed_dataset *dataset, size_t example);
const char *fed_dataset_group_name(const struct fed_dataset *dataset, uint32_t group);
/* The name as people see it: at most 40 bytes of it, UTF-8 without control characters, which stand there as "?". Returns
 * out. */
#define FED_GROUP_SHOWN 48
const char *fed_dataset_show_group(char out[FED_GROUP_SHOWN], const struct fed_dataset *dataset, uint32_t group);

/* Copies the examples `rows` (n) into the batch. The dataset fits the model of the batch's network, and its features lie in
 * files or arrays. */
void fed_dataset_gather(const struct fed_dataset *dataset, const uint32_t *rows, size_t n, const struct fed_batch *batch);
/* The same for any dataset. Where the program hands features over as they are wanted (given.h) that may fail: FED_EDATA,
 * logged, and what the batch holds must not be used. */
int fed_dataset_fetch(const struct fed_dataset *dataset, const uint32_t *rows, size_t n,
                      const struct fed_batch *batch) FED_MUST_CHECK;

#endif
