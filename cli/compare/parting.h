/* Where the models of two runs part, and why they may. */
#ifndef FED_CLI_COMPARE_PARTING_H
#define FED_CLI_COMPARE_PARTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/run_view.h"
#include "cli/settings_diff.h"

#define FED_PARTING_CLIENTS 8 /* told one by one */

enum fed_parting_why {
    FED_PARTING_NOT,              /* the same model in every round that both have */
    FED_PARTING_TASK,             /* the tasks differ in what defines the result */
    FED_PARTING_ARITHMETIC,       /* one of them computes with a library that promises no bits */
    FED_PARTING_ROLLBACK,         /* one took models back, and the other did not, or not so far */
    FED_PARTING_ADMITTED,         /* the admitted sets of that round differ */
    FED_PARTING_NOT_REPRODUCIBLE, /* nothing differs that may: somebody computed something else */
};

/* Clients of a round that are only in one set; all are counted, the first are named. */
struct fed_parting_clients {
    uint64_t ids[FED_PARTING_CLIENTS];
    uint64_t n;
};

struct fed_parting {
    enum fed_parting_why why;
    uint64_t compared;                             /* the last round that both have */
    uint64_t round;                                /* the first whose models differ, unless FED_PARTING_NOT */
    struct fed_parting_clients only[2], reweighed; /* reweighed: in both sets, with other numbers of examples */
    bool judged_otherwise;                         /* one model has two evaluations: other test data, or another fault */
    uint64_t judged_round;                         /* the first such round */
};

/* differences: of the tasks of a and b. Both have a committed round. FED_EIO, FED_EDATA, FED_ENOMEM. */
int fed_parting_find(struct fed_parting *out, const struct fed_run_view *a, const struct fed_run_view *b,
                     const struct fed_differences *differences, struct fed_error *err) FED_MUST_CHECK;

/* The stable name, as in JSON. */
const char *fed_parting_name(enum fed_parting_why why);

#endif
