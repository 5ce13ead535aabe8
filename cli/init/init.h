/* What `fedavg init` asks, sees and writes: answers (ask.c) about data that it has looked at (look.c) become files
 * (write.c). */
#ifndef FED_CLI_INIT_INIT_H
#define FED_CLI_INIT_INIT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/status.h"
#include "common/config/name.h"
#include "common/data/sniff.h"

#define FED_INIT_NODES 64
#define FED_INIT_PAGE_AFTER 80 /* ports after the first */
#define FED_INIT_LAYERS 8
#define FED_INIT_FILES (2 * FED_INIT_NODES + 4)

struct fed_init {
    /* answers; texts are owned, paths absolute */
    const char *dir;             /* borrowed */
    bool real;                   /* real nodes, not a simulation */
    bool typed;                  /* the answer at hand, by a person on a terminal */
    char *train[FED_INIT_NODES]; /* of real nodes one each, as far as they were named */
    size_t n_train;
    char *labels, *test, *test_labels; /* of the first file; NULL: none */
    char *label, *group;               /* columns of a table */
    char preset[24];                   /* "": the layers below, then the outputs */
    uint32_t hidden[FED_INIT_LAYERS], n_hidden;
    uint32_t clients, port;
    uint64_t rounds;
    char *host;
    char name[FED_NAME_MAX];

    /* what was seen of the data */
    bool has_seen;
    struct fed_sniffed seen;
    size_t n_examples, n_features;
    uint32_t n_classes; /* 0: numbers to be met, or a text */
    bool named;         /* classes are words: the values of the label's column */

    /* what was made, for who reads the end */
    char *files[FED_INIT_FILES]; /* owned */
    size_t n_files;
    char *notes[8]; /* owned: sentences */
    size_t n_notes;
};

/* -- look.c -- */

/* The first file of training data, before anything else is asked about it. */
int fed_init_sniff(struct fed_init *init, struct fed_error *err) FED_MUST_CHECK;
/* All that belongs to the data was answered: counts examples, features and classes, and says what is odd. */
int fed_init_examine(struct fed_init *init, struct fed_error *err) FED_MUST_CHECK;
/* NULL: there is none. */
const struct fed_sniffed_column *fed_init_column(const struct fed_init *init, const char *name);
/* Proposals; "" where there is none. */
void fed_init_guess_labels(char out[4096], const char *train);
void fed_init_guess_test(char out[4096], const char *train);
void fed_init_guess_label(char out[80], const struct fed_sniffed *seen);
void fed_init_guess_group(char out[80], const struct fed_init *init);
void fed_init_guess_model(char out[32], const struct fed_init *init);
double fed_init_guess_rate(const struct fed_init *init);

/* -- ask.c -- */

#define FED_INIT_QUESTIONS 13
/* Their names are options of the command, in the order in which they are asked. */
const char *fed_init_question(size_t i);
/* given[i]: from the command line, NULL = not; several lines: several. ask: on the terminal; else proposals are taken, and
 * what has none is FED_ECONFIG. FED_EINTERRUPTED: given up. */
int fed_init_ask(struct fed_init *init, char *const given[FED_INIT_QUESTIONS], bool ask,
                 struct fed_error *err) FED_MUST_CHECK;

/* -- write.c, nodes.c -- */

/* Nothing is overwritten: FED_ECONFIG names what is there already, and then nothing was written. */
int fed_init_write(struct fed_init *init, struct fed_error *err) FED_MUST_CHECK;
/* Keys, roster and client files. */
int fed_init_write_nodes(struct fed_init *init, struct fed_error *err) FED_MUST_CHECK;
/* The value quoted as YAML wants it. */
void fed_init_put_text(FILE *out, const char *text);
/* A line, and a comment behind it that stands where the others stand. text NULL, or quoted behind the line. */
void fed_init_put_line(FILE *out, const char *line, const char *text, const char *comment);
/* The lines of section `data` that both files have, from "  format:" on. */
void fed_init_put_columns(FILE *out, const struct fed_init *init);
int fed_init_save(struct fed_init *init, const char *name, const char *text, size_t n, struct fed_error *err) FED_MUST_CHECK;
int fed_init_remember(struct fed_init *init, const char *path, struct fed_error *err) FED_MUST_CHECK;
/* "node-3". */
void fed_init_node_name(char out[FED_NAME_MAX], size_t i);

#endif
