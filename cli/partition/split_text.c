#include "cli/partition/split_text.h"

#include <inttypes.h>

#include "common/seal/digest.h"

#define TABLE_CLIENTS 20
#define TABLE_LABELS 16
#define MAP_COLUMNS 72
#define MAP_ROWS 24
#define CELL_MOST 4 /* characters of a client in the map */

static uint32_t least_of(uint32_t a, uint32_t b) { return a < b ? a : b; }

static void print_head(FILE *out, const struct fed_split_view *view) {
    char hex[FED_DIGEST_HEX];
    const struct fed_partition_spec *spec = &view->task->partition;
    fed_hex(hex, view->partition->digest, FED_DIGEST_BYTES);
    fprintf(out, "%s: %zu examples", view->task->name, view->data->n_examples);
    if (view->n_labels > 0) {
        fprintf(out, " of %" PRIu32 " labels", view->n_labels);
    }
    fprintf(out, " over %" PRIu32 " clients, %s", view->n_clients, fed_partition_kind_name(spec->kind));
    if (spec->kind == FED_PARTITION_SHARDS) {
        fprintf(out, " (%" PRIu32 " a client)", spec->shards_per_client);
    } else if (fed_partition_takes_alpha(spec->kind)) {
        fprintf(out, " (alpha %g)", spec->alpha);
    }
    if (spec->examples_per_client > 0) {
        fprintf(out, ", each draws %" PRIu32 " examples of all", spec->examples_per_client);
    }
    fprintf(out, ", seed %" PRIu64 "\ndigest of data and split: %s\n\n", view->task->seed, hex);
}

/* The group's name where clients are groups. */
static void print_name(FILE *out, const struct fed_split_view *view, uint32_t client) {
    char name[FED_GROUP_SHOWN];
    if (view->task->partition.kind == FED_PARTITION_NATURAL) {
        fprintf(out, "  %s", fed_dataset_show_group(name, view->data, client));
    }
    fputc('\n', out);
}

static void print_table(FILE *out, const struct fed_split_view *view) {
    uint32_t n_labels = least_of(view->n_labels, TABLE_LABELS), n = least_of(view->n_seen, TABLE_CLIENTS);
    fprintf(out, "%10s %9s", "client", "examples");
    for (uint32_t l = 0; l < n_labels; l++) {
        fprintf(out, " %6" PRIu32, l);
    }
    fprintf(out, "%s\n", n_labels < view->n_labels ? "  (and more labels)" : "");
    for (uint32_t i = 0; i < n; i++) {
        uint32_t place = fed_split_view_place(i, n, view->n_seen), client = view->seen[place];
        const uint32_t *row = view->counts + (size_t)place * view->n_labels;
        fprintf(out, "%10" PRIu32 " %9zu", client, fed_partition_size(view->partition, client));
        for (uint32_t l = 0; l < n_labels; l++) {
            row[l] > 0 ? fprintf(out, " %6" PRIu32, row[l]) : fprintf(out, "      .");
        }
        print_name(out, view, client);
    }
    if (n < view->n_clients) {
        fprintf(out, "%10s %" PRIu32 " of %" PRIu32 " clients, evenly spaced\n", "", n, view->n_clients);
    }
    fprintf(out, "\n");
}

static void print_cell(FILE *out, unsigned step, uint32_t width, bool colours) {
    static const char shades[] = " .:-=+*#%@";
    static const unsigned char colour[] = {236, 53, 54, 60, 24, 30, 36, 71, 113, 226}; /* dark to bright */
    if (colours) {
        fprintf(out, "\033[48;5;%um", colour[step]);
    }
    for (uint32_t i = 0; i < width; i++) {
        fputc(colours ? ' ' : shades[step], out);
    }
}

static void print_label(FILE *out, uint32_t first, uint32_t after) {
    char text[32];
    snprintf(text, sizeof text, after - first == 1 ? "%" PRIu32 : "%" PRIu32 "-%" PRIu32, first, after - 1);
    fprintf(out, "%13s |", text);
}

/* Labels down, clients across. */
static void print_map(FILE *out, const struct fed_split_view *view, bool colours) {
    uint32_t columns = least_of(view->n_seen, MAP_COLUMNS), rows = least_of(view->n_labels, MAP_ROWS);
    uint32_t width = least_of(MAP_COLUMNS / columns, CELL_MOST);
    fprintf(out, "%13s  clients %" PRIu32 " to %" PRIu32 "%s\n", "label", view->seen[0],
            view->seen[fed_split_view_place(columns - 1, columns, view->n_seen)],
            columns < view->n_clients ? ", a sample evenly spaced" : "");
    for (uint32_t r = 0; r < rows; r++) {
        uint32_t first = fed_split_view_place(r, rows, view->n_labels);
        uint32_t after = fed_split_view_place(r + 1, rows, view->n_labels);
        print_label(out, first, after);
        for (uint32_t c = 0; c < columns; c++) {
            uint32_t place = fed_split_view_place(c, columns, view->n_seen);
            print_cell(out, fed_split_view_step(fed_split_view_share(view, place, first, after)), width, colours);
        }
        fprintf(out, "%s|\n", colours ? "\033[0m" : "");
    }
    fprintf(out, "%13s  share of the client's examples: none ", "");
    for (unsigned step = 0; step <= FED_SPLIT_STEPS; step++) {
        print_cell(out, step, 1, colours);
    }
    fprintf(out, "%s all\n\n", colours ? "\033[0m" : "");
}

static void print_largest(FILE *out, const struct fed_split_view *view) {
    fprintf(out, "The data has no labels, so there are sizes to show%s\n\n",
            view->ranked != NULL ? ", largest first." : ": all are equal.");
    if (view->ranked == NULL) {
        return;
    }
    fprintf(out, "%10s %9s\n", "client", "examples");
    for (uint32_t i = 0; i < view->n_clients && i < TABLE_CLIENTS; i++) {
        uint32_t client = view->ranked[i];
        fprintf(out, "%10" PRIu32 " %9zu", client, fed_partition_size(view->partition, client));
        print_name(out, view, client);
    }
    if (view->n_clients > TABLE_CLIENTS) {
        fprintf(out, "%10s and %" PRIu32 " smaller clients\n", "", view->n_clients - TABLE_CLIENTS);
    }
    fprintf(out, "\n");
}

static void print_spread(FILE *out, const char *what, const struct fed_spread *spread) {
    fprintf(out, "%-18s min %zu, median %zu, max %zu\n", what, spread->least, spread->median, spread->most);
}

static void print_figures(FILE *out, const struct fed_split_view *view) {
    print_spread(out, "examples a client:", &view->sizes);
    if (view->n_labels == 0) {
        return;
    }
    print_spread(out, "labels a client:", &view->labels);
    fprintf(out, "%-18s %.3f (0 alike, 1 apart: the mean total variation between a client's labels and everybody's)\n",
            "skew:", view->skew);
    if (view->n_seen < view->n_clients) {
        fprintf(out, "labels and skew are those of %" PRIu32 " of %" PRIu32 " clients, evenly spaced\n", view->n_seen,
                view->n_clients);
    }
}

void fed_split_text_print(FILE *out, const struct fed_split_view *view, bool colours) {
    print_head(out, view);
    if (view->n_labels == 0) {
        print_largest(out, view);
    } else {
        print_table(out, view);
        print_map(out, view, colours);
    }
    print_figures(out, view);
}
