#include "cli/compare/comparison.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "common/seal/digest.h"

/* -- Finding out -- */

static struct fed_figures figures_of(const struct fed_run_view *run) {
    struct fed_figures out = {
        .last = &run->rows[run->n_rows - 1], .accuracy = (double)NAN, .loss = (double)NAN, .best = (double)NAN};
    bool by_loss = true;
    for (size_t i = 0; i < run->n_rows; i++) {
        const struct fed_store_round *round = &run->rows[i].round;
        if (run->rows[i].rolled_back || (isnan(round->accuracy) && isnan(round->loss))) {
            continue;
        }
        out.evaluated_round = round->round;
        out.accuracy = round->accuracy;
        out.loss = round->loss;
        if (!isnan(round->accuracy) && by_loss) { /* accuracies decide as soon as there is one */
            by_loss = false;
            out.best = -INFINITY;
        }
        if (by_loss ? !(out.best <= round->loss) : round->accuracy > out.best) {
            out.best = by_loss ? round->loss : round->accuracy;
            out.best_round = round->round;
        }
    }
    return out;
}

static void take_build(void *context, const struct fed_store_build *build) {
    struct fed_builds *builds = context;
    if (builds->n_rows == FED_COMPARISON_BUILDS) {
        memmove(builds->rows, builds->rows + 1, (FED_COMPARISON_BUILDS - 1) * sizeof *builds->rows);
        builds->n_rows--;
    }
    builds->rows[builds->n_rows++] = *build;
    builds->n++;
}

int fed_comparison_make(struct fed_comparison *out, const struct fed_run_view runs[2], struct fed_error *err) {
    struct fed_comparison found = {.runs = runs};
    const char *terms[2], *rest[2];
    for (int i = 0; i < 2; i++) {
        terms[i] = fed_store_task_terms(runs[i].store);
        rest[i] = fed_store_task_rest(runs[i].store);
        if (runs[i].n_rows == 0) {
            return fed_error_set(err, FED_EFAILED, "%s has no committed round yet, so there is nothing to compare",
                                 runs[i].path);
        }
    }
    int code = fed_differences_find(&found.task, terms, rest, 2, err);
    for (int i = 0; i < 2 && code == FED_OK; i++) {
        code = fed_store_builds(runs[i].store, take_build, &found.builds[i], err);
    }
    if (code == FED_OK) {
        code = fed_parting_find(&found.models, &runs[0], &runs[1], &found.task, err);
    }
    if (code != FED_OK) {
        fed_comparison_fini(&found);
        return code;
    }
    found.figures[0] = figures_of(&runs[0]);
    found.figures[1] = figures_of(&runs[1]);
    fed_milestones_find(&found.milestones, &runs[0], &runs[1]);
    *out = found;
    return FED_OK;
}

void fed_comparison_fini(struct fed_comparison *comparison) { fed_differences_fini(&comparison->task); }

/* -- Text -- */

#define LABEL "  %-34s"
#define HEAD "%-36s"
#define CELL 26

struct cell {
    char text[64];
};

static struct cell cell_u64(uint64_t value) {
    struct cell cell = {""};
    snprintf(cell.text, sizeof cell.text, "%" PRIu64, value);
    return cell;
}

static struct cell cell_bytes(uint64_t bytes) {
    static const struct {
        double divisor;
        const char *name;
    } units[] = {{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}};
    struct cell cell = {""};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if ((double)bytes >= units[i].divisor) {
            snprintf(cell.text, sizeof cell.text, "%.1f %s", (double)bytes / units[i].divisor, units[i].name);
            return cell;
        }
    }
    snprintf(cell.text, sizeof cell.text, "%" PRIu64 " bytes", bytes);
    return cell;
}

static struct cell cell_seconds(double seconds) {
    struct cell cell = {""};
    if (seconds < 120) {
        snprintf(cell.text, sizeof cell.text, "%.2f s", seconds);
    } else if (seconds < 7200) {
        snprintf(cell.text, sizeof cell.text, "%.1f min", seconds / 60);
    } else {
        snprintf(cell.text, sizeof cell.text, "%.1f h", seconds / 3600);
    }
    return cell;
}

static struct cell cell_level(double value, bool percent) {
    struct cell cell = {"-"};
    if (!isnan(value)) {
        snprintf(cell.text, sizeof cell.text, percent ? "%.2f %%" : "%.5g", percent ? 100 * value : value);
    }
    return cell;
}

static void print_row(FILE *out, const char *label, struct cell a, struct cell b) {
    fprintf(out, LABEL "%-*s %s\n", label, CELL, a.text, b.text);
}

static void print_heads(FILE *out, const struct fed_comparison *c) {
    for (int i = 0; i < 2; i++) {
        const struct fed_run_view *run = &c->runs[i];
        char path[160];
        fed_difference_show(path, sizeof path, run->path);
        fprintf(out, "%c  %s: %s, %s, round %" PRIu64 "\n", 'A' + i, path, run->name[0] != '\0' ? run->name : "(no name)",
                run->finished ? "finished" : "not finished", c->figures[i].last->round.round);
    }
}

static void print_task(FILE *out, const struct fed_comparison *c) {
    bool may_change = false;
    fprintf(out, "\nTask\n");
    if (c->task.n == 0) {
        fprintf(out, "  the same\n");
    }
    for (size_t i = 0; i < c->task.n; i++) {
        const struct fed_difference *item = &c->task.items[i];
        char key[64];
        struct cell a = {""}, b = {""};
        snprintf(key, sizeof key, "%s%s", item->key, item->defines ? "" : " *");
        fed_difference_show(a.text, CELL, item->values[0]);
        fed_difference_show(b.text, CELL, item->values[1]);
        print_row(out, key, a, b);
        may_change = may_change || !item->defines;
    }
    if (may_change) {
        fprintf(out, "  * does not define the result: it may change while a run goes on\n");
    }
}

static void print_builds(FILE *out, const struct fed_comparison *c) {
    fprintf(out, "\nBuilds\n");
    for (int i = 0; i < 2; i++) {
        const struct fed_builds *builds = &c->builds[i];
        if (builds->n == 0) {
            fprintf(out, "  %c  not recorded\n", 'A' + i);
        }
        if (builds->n > builds->n_rows) {
            fprintf(out, "  %c  %zu older ones\n", 'A' + i, builds->n - builds->n_rows);
        }
        for (size_t k = 0; k < builds->n_rows; k++) {
            const struct fed_store_build *row = &builds->rows[k];
            fprintf(out, "  %c  from round %" PRIu64 ": fedavg %s, %s on %s\n", 'A' + i, row->round, row->fedavg,
                    row->kernels, row->cpu);
        }
    }
}

static void print_clients(FILE *out, const struct fed_parting_clients *clients, const char *what) {
    if (clients->n == 0) {
        return;
    }
    fprintf(out, "  %s: %s ", what, clients->n == 1 ? "client" : "clients");
    for (size_t i = 0; i < FED_PARTING_CLIENTS && i < clients->n; i++) {
        fprintf(out, "%s%" PRIu64, i > 0 ? ", " : "", clients->ids[i]);
    }
    if (clients->n > FED_PARTING_CLIENTS) {
        fprintf(out, " and %" PRIu64 " more", clients->n - FED_PARTING_CLIENTS);
    }
    fputc('\n', out);
}

static void print_why(FILE *out, const struct fed_parting *models) {
    switch (models->why) {
    case FED_PARTING_NOT: break;
    case FED_PARTING_TASK: fprintf(out, "  as they must: the tasks differ in what defines the result\n"); break;
    case FED_PARTING_ARITHMETIC:
        fprintf(out, "  as they may: algorithm.math is not exact, and nobody promises the same bits then\n");
        break;
    case FED_PARTING_ROLLBACK: fprintf(out, "  as they must: not the same models were taken back\n"); break;
    case FED_PARTING_ADMITTED: fprintf(out, "  as they must: other updates were admitted in that round\n"); break;
    case FED_PARTING_NOT_REPRODUCIBLE:
        fprintf(out,
                "  NOT REPRODUCIBLE: task, model before it and admitted set are the same, and the model is another one.\n"
                "  Somebody computed something else: a fault of this program, of memory or of a processor, or a node\n"
                "  that did not train as asked or on the same data. `fedavg replay` tells which of the two is right\n");
        break;
    }
    if (models->why == FED_PARTING_ADMITTED) {
        print_clients(out, &models->only[0], "only in A");
        print_clients(out, &models->only[1], "only in B");
        print_clients(out, &models->reweighed, "with other numbers of examples");
    }
}

static void print_models(FILE *out, const struct fed_comparison *c) {
    const struct fed_parting *models = &c->models;
    fprintf(out, "\nModels\n");
    if (models->why == FED_PARTING_NOT) {
        fprintf(out, "  the same, bit for bit, in rounds 0 to %" PRIu64 ", all that both have\n", models->compared);
    } else if (models->round == 0) {
        fprintf(out, "  they part in round 0, the initial model\n");
    } else {
        fprintf(out, "  the same before round %" PRIu64 ", where they part\n", models->round);
    }
    print_why(out, models);
    if (models->judged_otherwise) {
        fprintf(out, "  round %" PRIu64 " is one model with two evaluations: was it other test data?\n",
                models->judged_round);
    }
}

static void print_figures(FILE *out, const struct fed_comparison *c) {
    const struct fed_figures *a = &c->figures[0], *b = &c->figures[1];
    bool percent = !c->milestones.of_loss;
    struct cell model[2] = {{""}, {""}}, best[2] = {{"-"}, {"-"}};
    for (int i = 0; i < 2; i++) {
        char hex[FED_DIGEST_HEX];
        fed_hex(hex, c->figures[i].last->round.model_digest, FED_DIGEST_BYTES);
        snprintf(model[i].text, sizeof model[i].text, "%.16s...", hex);
        if (percent && isnan(c->figures[i].accuracy)) { /* its best is a loss */
            continue;
        }
        best[i] = cell_level(c->figures[i].best, percent);
        if (c->figures[i].best_round > 0) {
            size_t n = strlen(best[i].text);
            snprintf(best[i].text + n, sizeof best[i].text - n, " in round %" PRIu64, c->figures[i].best_round);
        }
    }
    fprintf(out, "\n" HEAD "%-*s B\n", "Figures", CELL, "A");
    print_row(out, "rounds", cell_u64(a->last->round.round), cell_u64(b->last->round.round));
    if (percent) {
        print_row(out, "accuracy", cell_level(a->accuracy, true), cell_level(b->accuracy, true));
    }
    print_row(out, "loss", cell_level(a->loss, false), cell_level(b->loss, false));
    print_row(out, percent ? "best accuracy" : "least loss", best[0], best[1]);
    print_row(out, "sent, both ways", cell_bytes(a->last->bytes_total), cell_bytes(b->last->bytes_total));
    print_row(out, "time", cell_seconds(a->last->seconds_total), cell_seconds(b->last->seconds_total));
    print_row(out, "model", model[0], model[1]);
}

static struct cell cell_reached(const struct fed_reached *by) {
    struct cell cell = {"-"};
    if (by->reached) {
        snprintf(cell.text, sizeof cell.text, "%" PRIu64 ", %.18s, %.18s", by->round, cell_bytes(by->bytes).text,
                 cell_seconds(by->seconds).text);
    }
    return cell;
}

static void print_milestones(FILE *out, const struct fed_milestones *milestones) {
    if (milestones->n == 0) {
        return;
    }
    fprintf(out, "\n" HEAD "%-*s B\n", "First at (round, sent, time)", CELL, "A");
    for (size_t i = 0; i < milestones->n; i++) {
        const struct fed_milestone *item = &milestones->items[i];
        char label[48];
        snprintf(label, sizeof label, milestones->of_loss ? "loss %.5g" : "accuracy %.5g %%",
                 milestones->of_loss ? item->level : 100 * item->level);
        print_row(out, label, cell_reached(&item->by[0]), cell_reached(&item->by[1]));
    }
}

void fed_comparison_print(FILE *out, const struct fed_comparison *comparison) {
    print_heads(out, comparison);
    print_task(out, comparison);
    print_builds(out, comparison);
    print_models(out, comparison);
    print_figures(out, comparison);
    print_milestones(out, &comparison->milestones);
}
