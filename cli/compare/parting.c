#include "cli/compare/parting.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/store/store_view.h"

/* -- Admitted sets -- */

struct member {
    uint64_t client, weight;
};
struct members {
    struct member *items; /* owned, ascending by client */
    size_t n, room;
    bool no_memory;
};

static void take_member(void *context, const struct fed_store_update *update) {
    struct members *members = context;
    if (members->n == members->room) {
        size_t room = members->room > 0 ? 2 * members->room : 64;
        struct member *more = reallocarray(members->items, room, sizeof *more);
        if (more == NULL) {
            members->no_memory = true;
            return;
        }
        members->items = more;
        members->room = room;
    }
    members->items[members->n++] = (struct member){update->client, update->weight};
}

static int read_members(struct members *out, const struct fed_run_view *run, uint64_t round, struct fed_error *err) {
    int code = fed_store_admitted(run->store, round, take_member, out, err);
    return code == FED_OK && out->no_memory ? fed_error_set(err, FED_ENOMEM, "out of memory for an admitted set") : code;
}

static void count(struct fed_parting_clients *clients, uint64_t id) {
    if (clients->n < FED_PARTING_CLIENTS) {
        clients->ids[clients->n] = id;
    }
    clients->n++;
}

/* Both sides are sorted, so that one walk finds what is in one of them alone. */
static void walk_members(struct fed_parting *out, const struct members sets[2]) {
    const struct member *a = sets[0].items, *a_end = a + sets[0].n, *b = sets[1].items, *b_end = b + sets[1].n;
    while (a < a_end && b < b_end) {
        if (a->client == b->client && a->weight != b->weight) {
            count(&out->reweighed, a->client);
        }
        if (a->client < b->client) {
            count(&out->only[0], a->client);
        } else if (b->client < a->client) {
            count(&out->only[1], b->client);
        }
        bool next_a = a->client <= b->client, next_b = b->client <= a->client;
        a += next_a;
        b += next_b;
    }
    for (; a < a_end; a++) {
        count(&out->only[0], a->client);
    }
    for (; b < b_end; b++) {
        count(&out->only[1], b->client);
    }
}

static int compare_members(struct fed_parting *out, const struct fed_run_view *a, const struct fed_run_view *b,
                           struct fed_error *err) {
    struct members sets[2] = {{0}};
    int code = read_members(&sets[0], a, out->round, err);
    if (code == FED_OK) {
        code = read_members(&sets[1], b, out->round, err);
    }
    if (code == FED_OK) {
        walk_members(out, sets);
    }
    free(sets[0].items);
    free(sets[1].items);
    return code;
}

/* -- Why -- */

static bool tasks_differ(const struct fed_differences *differences) {
    for (size_t i = 0; i < differences->n; i++) { /* a run's name enters no number */
        if (differences->items[i].defines && strcmp(differences->items[i].key, "name") != 0) {
            return true;
        }
    }
    return false;
}

static bool is_exact(const struct fed_run_view *run) {
    json_t *terms = json_loads(fed_store_task_terms(run->store), 0, NULL);
    const char *math = json_string_value(json_object_get(json_object_get(terms, "algorithm"), "math"));
    bool exact = math == NULL || strcmp(math, "exact") == 0;
    json_decref(terms);
    return exact;
}

static bool same_rollback(const struct fed_curve_row *a, const struct fed_curve_row *b) {
    return a->is_rollback == b->is_rollback && (!a->is_rollback || a->rollback_to == b->rollback_to);
}

static int find_why(struct fed_parting *out, const struct fed_run_view *a, const struct fed_run_view *b, size_t row,
                    const struct fed_differences *differences, struct fed_error *err) {
    int code = compare_members(out, a, b, err);
    if (code != FED_OK) {
        return code;
    }
    if (tasks_differ(differences)) {
        out->why = FED_PARTING_TASK;
    } else if (!is_exact(a) || !is_exact(b)) {
        out->why = FED_PARTING_ARITHMETIC;
    } else if (!same_rollback(&a->rows[row], &b->rows[row])) {
        out->why = FED_PARTING_ROLLBACK;
    } else if (out->only[0].n + out->only[1].n + out->reweighed.n > 0) {
        out->why = FED_PARTING_ADMITTED;
    } else {
        out->why = FED_PARTING_NOT_REPRODUCIBLE;
    }
    return FED_OK;
}

static bool same_number(double a, double b) { return a == b || isnan(a) || isnan(b); }

int fed_parting_find(struct fed_parting *out, const struct fed_run_view *a, const struct fed_run_view *b,
                     const struct fed_differences *differences, struct fed_error *err) {
    struct fed_parting parting = {.why = FED_PARTING_NOT};
    size_t n = a->n_rows < b->n_rows ? a->n_rows : b->n_rows, row = 0;
    assert(n > 0);
    for (; row < n; row++) { /* rounds are numbered without gaps, from 0 */
        const struct fed_store_round *x = &a->rows[row].round, *y = &b->rows[row].round;
        if (x->round != y->round || memcmp(x->model_digest, y->model_digest, sizeof x->model_digest) != 0) {
            break;
        }
        if (!parting.judged_otherwise && !(same_number(x->loss, y->loss) && same_number(x->accuracy, y->accuracy))) {
            parting.judged_otherwise = true;
            parting.judged_round = x->round;
        }
    }
    parting.compared = a->rows[n - 1].round.round;
    int code = FED_OK;
    if (row < n) {
        parting.round = a->rows[row].round.round;
        code = find_why(&parting, a, b, row, differences, err);
    }
    if (code == FED_OK) {
        *out = parting;
    }
    return code;
}

const char *fed_parting_name(enum fed_parting_why why) {
    static const char *const names[] = {
        [FED_PARTING_NOT] = "same",
        [FED_PARTING_TASK] = "task",
        [FED_PARTING_ARITHMETIC] = "arithmetic",
        [FED_PARTING_ROLLBACK] = "rollback",
        [FED_PARTING_ADMITTED] = "admitted",
        [FED_PARTING_NOT_REPRODUCIBLE] = "not_reproducible",
    };
    return names[why];
}
