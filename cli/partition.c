/* fedavg partition: what each client of a task gets to see, before anything is trained on it. */
#include <getopt.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "common/base/file.h"
#include "common/config/task.h"
#include "common/data/dataset.h"
#include "common/data/partition.h"
#include "common/seal/digest.h"
#include "common/seal/keys.h"

static const char usage[] = "fedavg partition TASK.yaml [--set KEY=VALUE]... [--svg FILE]\n"
                            "  shows how many examples of each label every client gets; --svg draws it\n";

#define SHOWN_CLIENTS 20
#define DRAWN_CLIENTS 1000

/* counts[k * n_labels + l]: examples of label l that client k has. */
struct table {
    const char *name;
    uint32_t n_clients, n_labels;
    uint32_t *counts; /* owned */
    uint32_t *sizes;  /* (n_clients), owned */
    uint64_t *totals; /* (n_labels), owned */
    uint64_t n_examples;
};

/* -- counting ---------------------------------------------------------------------------------------------------------- */

static void table_fini(struct table *table) {
    free(table->counts);
    free(table->sizes);
    free(table->totals);
}

static int table_init(struct table *out, const char *name, const struct fed_dataset *data,
                      const struct fed_partition *partition) {
    struct table table = {.name = name, .n_clients = partition->n_clients};
    table.n_labels = data->n_classes > 0 ? fed_dataset_labels(data) : 0;
    size_t row = (table.n_labels + 1) * sizeof *table.counts; /* never none, which calloc might answer with NULL */
    table.counts = calloc(table.n_clients, row);
    table.sizes = calloc(table.n_clients, sizeof *table.sizes);
    table.totals = calloc(table.n_labels + 1, sizeof *table.totals);
    uint32_t *rows = calloc(fed_partition_largest(partition), sizeof *rows);
    if (table.counts == NULL || table.sizes == NULL || table.totals == NULL || rows == NULL) {
        table_fini(&table);
        free(rows);
        return FED_ENOMEM;
    }
    for (uint32_t k = 0; k < table.n_clients; k++) {
        size_t n = fed_partition_size(partition, k);
        fed_partition_rows(partition, k, rows);
        for (size_t i = 0; i < n && table.n_labels > 0; i++) {
            uint32_t label = fed_dataset_label(data, rows[i]);
            table.counts[(size_t)k * table.n_labels + label]++;
            table.totals[label]++;
        }
        table.sizes[k] = (uint32_t)n;
        table.n_examples += n;
    }
    free(rows);
    *out = table;
    return 0;
}

static const uint32_t *row_of(const struct table *table, uint32_t k) { return table->counts + (size_t)k * table->n_labels; }

static uint32_t labels_of(const struct table *table, uint32_t k) {
    uint32_t n = 0;
    for (uint32_t l = 0; l < table->n_labels; l++) {
        n += row_of(table, k)[l] > 0;
    }
    return n;
}

/* Total variation: the share of a client's examples that would have to change label to look like everybody's. */
static double distance_of(const struct table *table, uint32_t k) {
    double sum = 0;
    for (uint32_t l = 0; l < table->n_labels; l++) {
        double here = (double)row_of(table, k)[l] / table->sizes[k];
        sum += fabs(here - (double)table->totals[l] / (double)table->n_examples);
    }
    return sum / 2;
}

/* -- the table as text ------------------------------------------------------------------------------------------------- */

static void print_clients(const struct table *table) {
    printf("client    size");
    for (uint32_t l = 0; l < table->n_labels; l++) {
        printf(" %6u", l);
    }
    printf("\n");
    for (uint32_t k = 0; k < table->n_clients && k < SHOWN_CLIENTS; k++) {
        printf("%6u %7u", k, table->sizes[k]);
        for (uint32_t l = 0; l < table->n_labels; l++) {
            uint32_t n = row_of(table, k)[l];
            n > 0 ? printf(" %6u", n) : printf("      .");
        }
        printf("\n");
    }
    if (table->n_clients > SHOWN_CLIENTS) {
        printf("   ... and %u more clients\n", table->n_clients - SHOWN_CLIENTS);
    }
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Sorts the values. */
static void print_spread(const char *what, uint32_t *values, uint32_t n) {
    qsort(values, n, sizeof *values, ascending);
    printf("%-18s min %u, median %u, max %u\n", what, values[0], values[n / 2], values[n - 1]);
}

static int print_summary(const struct table *table) {
    uint32_t *values = calloc(table->n_clients, sizeof *values);
    if (values == NULL) {
        return FED_ENOMEM;
    }
    double distance = 0;
    memcpy(values, table->sizes, table->n_clients * sizeof *values);
    print_spread("examples a client:", values, table->n_clients);
    for (uint32_t k = 0; k < table->n_clients; k++) {
        values[k] = labels_of(table, k);
        distance += distance_of(table, k);
    }
    if (table->n_labels > 0) {
        print_spread("labels a client:", values, table->n_clients);
        printf("%-18s %.3f mean total variation from all clients' labels (0 = like everybody)\n",
               "skew:", distance / table->n_clients);
    }
    free(values);
    return 0;
}

static void print_head(const struct fed_task *task, const struct table *table, const uint8_t digest[FED_DIGEST_BYTES]) {
    char hex[FED_DIGEST_HEX];
    const struct fed_partition_spec *spec = &task->partition;
    fed_hex(hex, digest, FED_DIGEST_BYTES);
    printf("%s: %llu examples", task->name, (unsigned long long)table->n_examples);
    if (table->n_labels > 0) {
        printf(" of %u labels", table->n_labels);
    }
    printf(" over %u clients, %s", table->n_clients, fed_partition_kind_name(spec->kind));
    if (spec->kind == FED_PARTITION_SHARDS) {
        printf(" (%u a client)", spec->shards_per_client);
    } else if (spec->kind == FED_PARTITION_DIRICHLET) {
        printf(" (alpha %g)", spec->alpha);
    }
    printf(", seed %llu\ndigest of data and split: %s\n\n", (unsigned long long)task->seed, hex);
}

/* -- the table as a picture -------------------------------------------------------------------------------------------- */

#define LEFT 70
#define TOP 60
#define CELL_WIDTH 34

static void draw_cells(FILE *out, const struct table *table, uint32_t n_drawn, unsigned height) {
    unsigned every = n_drawn <= 20 ? 1 : n_drawn <= 200 ? 10 : 100;
    for (uint32_t k = 0; k < n_drawn; k++) {
        unsigned y = TOP + k * height;
        if (k % every == 0) {
            fprintf(out, "<text x=\"%d\" y=\"%u\" text-anchor=\"end\">%u</text>\n", LEFT - 6, y + 9, k);
        }
        for (uint32_t l = 0; l < table->n_labels; l++) {
            uint32_t n = row_of(table, k)[l];
            if (n > 0) {
                fprintf(out,
                        "<rect x=\"%u\" y=\"%u\" width=\"%d\" height=\"%u\" fill=\"#1f5fa8\" "
                        "fill-opacity=\"%.3f\"><title>client %u, "
                        "label %u: %u of %u</title></rect>\n",
                        LEFT + l * CELL_WIDTH, y, CELL_WIDTH - 2, height > 3 ? height - 1 : height,
                        0.1 + 0.9 * n / table->sizes[k], k, l, n, table->sizes[k]);
            }
        }
    }
}

static void draw(FILE *out, const struct table *table) {
    uint32_t n_drawn = table->n_clients < DRAWN_CLIENTS ? table->n_clients : DRAWN_CLIENTS;
    unsigned height = n_drawn <= 50 ? 14 : n_drawn <= 200 ? 6 : 2;
    fprintf(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" font-family=\"sans-serif\" font-size=\"11\">\n"
        "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
        "<text x=\"%d\" y=\"20\" font-size=\"14\">%s: labels of each client</text>\n"
        "<text x=\"%d\" y=\"36\">%u of %u clients; the darker, the larger the label's share of the client</text>\n",
        LEFT + table->n_labels * CELL_WIDTH + 20 < 480 ? 480 : LEFT + table->n_labels * CELL_WIDTH + 20,
        TOP + n_drawn * height + 20, LEFT, table->name, LEFT, n_drawn, table->n_clients);
    for (uint32_t l = 0; l < table->n_labels; l++) {
        fprintf(out, "<text x=\"%u\" y=\"%d\" text-anchor=\"middle\">%u</text>\n", LEFT + l * CELL_WIDTH + CELL_WIDTH / 2,
                TOP - 6, l);
    }
    draw_cells(out, table, n_drawn, height);
    fprintf(out, "</svg>\n");
}

static int write_svg(const struct table *table, const char *path, struct fed_error *err) {
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    if (out == NULL) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    draw(out, table);
    int code = fclose(out) == 0 ? 0 : fed_error_set(err, FED_ENOMEM, "out of memory");
    if (code == 0) {
        struct iovec part = {text, n};
        code = fed_file_replace(path, &part, 1, 0644, err);
    }
    free(text);
    return code;
}

/* -- the command ------------------------------------------------------------------------------------------------------- */

static int show(const struct fed_task *task, const char *svg, struct fed_error *err) {
    struct fed_dataset data = {0};
    struct fed_partition partition = {0};
    struct table table = {0};
    if (task->partition.kind == FED_PARTITION_NONE) {
        return fed_error_set(err, FED_ECONFIG, "%s: data.partition: missing, so there is nothing to show", task->path);
    }
    int code = fed_dataset_load(&data, &task->data, FED_DATA_TRAIN, err);
    if (code != 0) {
        return code;
    }
    code = fed_partition_make(&partition, &data, &task->partition, task->seed, err);
    if (code == 0 && table_init(&table, task->name, &data, &partition) != 0) {
        code = fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    if (code == 0) {
        print_head(task, &table, partition.digest);
        print_clients(&table);
        printf("\n");
        code = print_summary(&table);
    }
    if (code == 0 && svg != NULL) {
        code = write_svg(&table, svg, err);
    }
    table_fini(&table);
    fed_partition_fini(&partition);
    fed_dataset_fini(&data);
    return code;
}

int fed_cli_partition(int argc, char **argv) {
    static const struct option options[] = {
        {"set", required_argument, NULL, 's'}, {"svg", required_argument, NULL, 'v'}, {"help", no_argument, NULL, 'h'}, {0}};
    struct fed_error err = {.text = ""};
    struct fed_task task;
    const char *svg = NULL;
    size_t n_sets = 0;
    int exit_code;
    const char **sets = calloc((size_t)argc, sizeof *sets);
    if (sets == NULL) {
        return fed_cli_fail(argv[0], FED_ENOMEM, &err);
    }
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 's': sets[n_sets++] = optarg; break;
        case 'v': svg = optarg; break;
        default: exit_code = c == 'h' ? fed_cli_help(usage) : fed_cli_misused(usage); goto out;
        }
    }
    if (optind + 1 != argc) {
        exit_code = fed_cli_misused(usage);
        goto out;
    }
    int code = fed_seal_setup(&err);
    if (code == 0) {
        code = fed_task_load(&task, argv[optind], sets, n_sets, &err);
    }
    if (code == 0) {
        code = show(&task, svg, &err);
        fed_task_fini(&task);
    }
    exit_code = code == 0 ? 0 : fed_cli_fail(argv[0], code, &err);
out:
    free(sets);
    return exit_code;
}
