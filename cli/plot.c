/* fedavg plot: the curves of some runs in one picture, or as columns. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/cli.h"
#include "cli/plot/gnuplot.h"
#include "cli/plot/script.h"
#include "common/base/file.h"
#include "common/seal/digest.h"

#define FILE_MODE 0644
#define SMOOTH_MOST 10000

static const char usage[] =
    "fedavg plot RUN... (-o|--output) FILE.svg|FILE.png [--x rounds|bytes|seconds] [--y accuracy|loss] [--log]\n"
    "            [--smooth N] [--title TEXT]\n"
    "       fedavg plot RUN... --json\n"
    "  draws the curves of run directories, at work or done, over each other; --json prints the numbers\n";

struct options {
    struct fed_plot plot;
    bool y_given, json;
    const char *file;
};

/* -- Columns as JSON -- */

static json_t *whole(uint64_t value) { return json_integer((json_int_t)value); }

static json_t *columns_json(const struct fed_run_view *run) {
    json_t *columns = json_pack("{s:[], s:[], s:[], s:[], s:[], s:[], s:[]}", "round", "accuracy", "loss", "bytes_total",
                                "seconds_total", "rolled_back", "rollback_to");
    for (size_t i = 0; columns != NULL && i < run->n_rows; i++) {
        const struct fed_curve_row *row = &run->rows[i];
        json_array_append_new(json_object_get(columns, "round"), whole(row->round.round));
        json_array_append_new(json_object_get(columns, "accuracy"), fed_cli_json_number(row->round.accuracy));
        json_array_append_new(json_object_get(columns, "loss"), fed_cli_json_number(row->round.loss));
        json_array_append_new(json_object_get(columns, "bytes_total"), whole(row->bytes_total));
        json_array_append_new(json_object_get(columns, "seconds_total"), fed_cli_json_number(row->seconds_total));
        json_array_append_new(json_object_get(columns, "rolled_back"), json_boolean(row->rolled_back));
        json_array_append_new(json_object_get(columns, "rollback_to"),
                              row->is_rollback ? whole(row->rollback_to) : json_null());
    }
    return columns;
}

static json_t *run_json(const struct fed_run_view *run, const char *label) {
    char id[2 * 16 + 1];
    fed_hex(id, fed_store_run_id(run->store), 16);
    return json_pack("{s:o, s:s, s:s, s:s, s:b, s:o, s:o, s:o}", "run", fed_cli_json_path(run->path), "run_id", id, "name",
                     run->name, "label", label, "finished", (int)run->finished, "target_accuracy",
                     fed_cli_json_number(run->target), "target_round",
                     run->target_round > 0 ? whole(run->target_round) : json_null(), "columns", columns_json(run));
}

static int print_json(const struct fed_plot *plot, struct fed_error *err) {
    json_t *root = json_pack("{s:s, s:[]}", "event", "plot", "runs");
    for (size_t i = 0; i < plot->n_runs; i++) {
        json_array_append_new(json_object_get(root, "runs"), run_json(&plot->runs[i], plot->labels[i]));
    }
    if (json_array_size(json_object_get(root, "runs")) != plot->n_runs) {
        json_decref(root);
        root = NULL;
    }
    return fed_cli_print_json(root, err);
}

/* -- The picture -- */

static int draw(const struct fed_plot *plot, const char *file, struct fed_error *err) {
    char *script = NULL;
    uint8_t *picture = NULL;
    size_t n_script = 0, n_picture = 0;
    FILE *out = open_memstream(&script, &n_script);
    if (out == NULL) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    int code = fed_plot_script(out, plot, err);
    if (fclose(out) != 0 && code == FED_OK) {
        code = fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    if (code == FED_OK) {
        code = fed_gnuplot_run(&picture, &n_picture, script, n_script, err);
    }
    if (code == FED_OK) {
        struct iovec part = {picture, n_picture};
        code = fed_file_replace(file, &part, 1, FILE_MODE, err);
    }
    free(script);
    free(picture);
    return code;
}

/* -- The command -- */

/* Like parse_smooth false after a sentence. */
static bool parse_word(int *out, const char *option, const char *text, const char *const words[3], const char *expected) {
    for (int i = 0; i < 3 && words[i] != NULL; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = i;
            return true;
        }
    }
    return fed_cli_wrong_value("fedavg plot", option, text, expected);
}

static bool parse_smooth(uint32_t *out, const char *text) {
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || *text < '0' || *text > '9' || value < 1 || value > SMOOTH_MOST) {
        char expected[64];
        snprintf(expected, sizeof expected, "a number of rounds from 1 to %d", SMOOTH_MOST);
        return fed_cli_wrong_value("fedavg plot", "--smooth", text, expected);
    }
    *out = (uint32_t)value;
    return true;
}

/* By the last letters of its name. */
static int choose_file(struct options *options, struct fed_error *err) {
    const char *dot = options->file != NULL ? strrchr(options->file, '.') : NULL;
    if (options->json) {
        return options->file == NULL ? FED_OK
                                     : fed_error_set(err, FED_ECONFIG, "-o draws and --json prints: one of them at a time");
    }
    if (dot != NULL && strcasecmp(dot, ".svg") == 0) {
        options->plot.file = FED_PLOT_SVG;
    } else if (dot != NULL && strcasecmp(dot, ".png") == 0) {
        options->plot.file = FED_PLOT_PNG;
    } else {
        return fed_error_set(err, FED_ECONFIG, "-o %s: the name has to end in .svg or .png", options->file);
    }
    return FED_OK;
}

/* -1: go on; otherwise an exit code. */
static int parse(struct options *out, int argc, char **argv) {
    static const struct option names[] = {{"output", required_argument, NULL, 'o'},
                                          {"x", required_argument, NULL, 'x'},
                                          {"y", required_argument, NULL, 'y'},
                                          {"log", no_argument, NULL, 'l'},
                                          {"smooth", required_argument, NULL, 's'},
                                          {"title", required_argument, NULL, 't'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    static const char *const xs[3] = {"rounds", "bytes", "seconds"}, *const ys[3] = {"accuracy", "loss"};
    int x = FED_PLOT_ROUNDS, y = FED_PLOT_ACCURACY;
    for (int c; (c = getopt_long(argc, argv, "o:h", names, NULL)) != -1;) {
        bool good = true;
        switch (c) {
        case 'o': out->file = optarg; break;
        case 'x': good = parse_word(&x, "--x", optarg, xs, "rounds, bytes or seconds"); break;
        case 'y': good = out->y_given = parse_word(&y, "--y", optarg, ys, "accuracy or loss"); break;
        case 'l': out->plot.log = true; break;
        case 's': good = parse_smooth(&out->plot.smooth, optarg); break;
        case 't': out->plot.title = optarg; break;
        case 'j': out->json = true; break;
        case 'h': return fed_cli_help(usage);
        default: good = false; break;
        }
        if (!good) {
            return fed_cli_misused(usage);
        }
    }
    out->plot.x = (enum fed_plot_x)x;
    out->plot.y = (enum fed_plot_y)y;
    out->plot.n_runs = (size_t)(argc - optind);
    bool wrong = fed_cli_wrong_words(argc, argv, 1, argc, "RUN");
    if (!wrong && out->file == NULL && !out->json) {
        fprintf(stderr, "%s: --output FILE.svg or FILE.png is missing, or --json\n", argv[0]);
        wrong = true;
    }
    return wrong ? fed_cli_misused(usage) : -1;
}

static int run(struct options *options, char **paths, struct fed_error *err) {
    struct fed_run_view runs[FED_PLOT_RUNS_MOST] = {0};
    char labels[FED_PLOT_RUNS_MOST][FED_RUN_LABEL];
    struct fed_plot *plot = &options->plot;
    int code = choose_file(options, err);
    if (code == FED_OK && plot->n_runs > FED_PLOT_RUNS_MOST) {
        code = fed_error_set(err, FED_ECONFIG, "%zu runs are more than one picture can show: %d at most", plot->n_runs,
                             FED_PLOT_RUNS_MOST);
    }
    for (size_t i = 0; code == FED_OK && i < plot->n_runs; i++) {
        code = fed_run_view_read(&runs[i], paths[i], err);
    }
    if (code == FED_OK) {
        code = fed_run_labels(labels, runs, plot->n_runs, err);
    }
    if (code == FED_OK) {
        plot->runs = runs;
        plot->labels = (const char(*)[FED_RUN_LABEL])labels;
        if (!options->y_given && !fed_plot_has(runs, plot->n_runs, FED_PLOT_ACCURACY)) {
            plot->y = FED_PLOT_LOSS;
        }
        code = options->json ? print_json(plot, err) : draw(plot, options->file, err);
    }
    for (size_t i = 0; i < FED_PLOT_RUNS_MOST; i++) {
        fed_run_view_fini(&runs[i]);
    }
    return code;
}

int fed_cli_plot(int argc, char **argv) {
    struct options options = {.plot = {.smooth = 1}};
    struct fed_error err = {.text = ""};
    int code = parse(&options, argc, argv);
    if (code >= 0) {
        return code;
    }
    code = run(&options, argv + optind, &err);
    return code == FED_OK ? 0 : fed_cli_fail(argv[0], code, &err);
}
