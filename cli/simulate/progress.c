#include "cli/simulate/progress.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"

#define LOG_EVERY_MS 1000

void fed_progress_init(struct fed_progress *progress, bool quiet, bool json) {
    *progress = (struct fed_progress){.terminal = isatty(STDERR_FILENO) == 1,
                                      .quiet = quiet,
                                      .json = json,
                                      .started_ms = fed_clock_ms(),
                                      .accuracy = NAN,
                                      .loss = NAN};
}

void fed_progress_break(struct fed_progress *progress) {
    if (progress->line_open) {
        fputc('\n', stderr);
        progress->line_open = false;
    }
}

static void say(struct fed_progress *progress, const char *text) {
    if (progress->quiet) {
        return;
    }
    if (progress->terminal) {
        fprintf(stderr, "\r\033[K%s", text);
        progress->line_open = true;
    } else {
        fprintf(stderr, "%s\n", text);
    }
    fflush(stderr);
}

static double number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void say_round(struct fed_progress *progress, bool last) {
    uint64_t now = fed_clock_ms();
    if (!progress->terminal && !last && now < progress->said_ms + LOG_EVERY_MS) {
        return;
    }
    progress->said_ms = now;
    uint64_t made = progress->round - progress->first_round;
    double each = made > 0 ? (double)(now - progress->started_ms) / 1000.0 / (double)made : 0.0;
    char text[256], score[96] = "";
    if (isfinite(progress->accuracy)) {
        snprintf(score, sizeof score, "  accuracy %.2f %%  loss %.4f", 100.0 * progress->accuracy, progress->loss);
    } else if (isfinite(progress->loss)) {
        snprintf(score, sizeof score, "  loss %.6g", progress->loss);
    }
    snprintf(text, sizeof text, "round %" PRIu64 "/%" PRIu64 "%s  %.3f s a round  at most %.0f s to go", progress->round,
             progress->rounds, score, each, each * (double)(progress->rounds - progress->round));
    say(progress, text);
}

static void hear_start(struct fed_progress *progress, const json_t *event, const char *kind) {
    progress->started = true;
    progress->rounds = (uint64_t)json_integer_value(json_object_get(event, "rounds"));
    progress->first_round = progress->round = (uint64_t)json_integer_value(json_object_get(event, "round"));
    progress->started_ms = fed_clock_ms();
    const char *dir = json_string_value(json_object_get(event, "run_dir"));
    snprintf(progress->run_dir, sizeof progress->run_dir, "%s", dir != NULL ? dir : "");
    if (progress->quiet) {
        return;
    }
    const char *name = json_string_value(json_object_get(event, "name"));
    const char *kernels = json_string_value(json_object_get(event, "kernels"));
    fed_progress_break(progress);
    fprintf(stderr, "%s %s: %" PRIu64 " clients, %" PRIu64 " parameters, kernels %s, round %" PRIu64 " of %" PRIu64 "\n",
            strcmp(kind, "resume") == 0 ? "resuming" : "starting", name != NULL ? name : "",
            (uint64_t)json_integer_value(json_object_get(event, "clients")),
            (uint64_t)json_integer_value(json_object_get(event, "parameters")), kernels != NULL ? kernels : "",
            progress->round, progress->rounds);
}

static void hear_page(struct fed_progress *progress, const json_t *event) {
    const char *url = json_string_value(json_object_get(event, "url"));
    if (url != NULL && !progress->quiet) {
        fed_progress_break(progress);
        fprintf(stderr, "page: %s\n", url);
    }
}

static void hear_round(struct fed_progress *progress, const json_t *event) {
    progress->round = (uint64_t)json_integer_value(json_object_get(event, "round"));
    double accuracy = number(event, "accuracy"), loss = number(event, "loss");
    if (isfinite(accuracy) || isfinite(loss)) {
        progress->accuracy = accuracy;
        progress->loss = loss;
    }
    say_round(progress, progress->round == progress->rounds);
}

/* Nothing that the next line may wipe away. */
static void hear_rollback(struct fed_progress *progress, const json_t *event) {
    const char *reason = json_string_value(json_object_get(event, "reason"));
    progress->round = (uint64_t)json_integer_value(json_object_get(event, "round"));
    if (progress->quiet) {
        return;
    }
    fed_progress_break(progress);
    fprintf(stderr,
            "round %" PRIu64 ": the model of round %" PRIu64 " again, for the one of round %" PRIu64 " is no good (%s)\n",
            progress->round, (uint64_t)json_integer_value(json_object_get(event, "to_round")), progress->round - 1,
            reason != NULL ? reason : "");
}

static void hear_done(struct fed_progress *progress, const json_t *event) {
    progress->done = true;
    progress->round = (uint64_t)json_integer_value(json_object_get(event, "rounds"));
    progress->accuracy = number(event, "accuracy");
    progress->loss = number(event, "loss");
    progress->target_round = (uint64_t)json_integer_value(json_object_get(event, "target_round"));
    progress->seconds = number(event, "seconds");
    fed_progress_break(progress);
}

void fed_progress_event(struct fed_progress *progress, const char *line, size_t n) {
    if (progress->json) {
        printf("%.*s\n", (int)n, line);
        fflush(stdout);
    }
    json_t *event = json_loadb(line, n, 0, NULL);
    const char *kind = json_string_value(json_object_get(event, "event"));
    if (kind == NULL) {
        /* not ours: nothing to show */
    } else if (strcmp(kind, "start") == 0 || strcmp(kind, "resume") == 0) {
        hear_start(progress, event, kind);
    } else if (strcmp(kind, "round") == 0) {
        hear_round(progress, event);
    } else if (strcmp(kind, "rollback") == 0) {
        hear_rollback(progress, event);
    } else if (strcmp(kind, "done") == 0) {
        hear_done(progress, event);
    } else if (strcmp(kind, "page") == 0) {
        hear_page(progress, event);
    } else if (strcmp(kind, "waiting") == 0) {
        const char *why = json_string_value(json_object_get(event, "for"));
        say(progress, why != NULL ? why : "waiting");
    }
    json_decref(event);
}

void fed_progress_summary(const struct fed_progress *progress) {
    if (progress->json || !progress->done) {
        return;
    }
    printf("%" PRIu64 " round%s", progress->round, progress->round == 1 ? "" : "s");
    if (isfinite(progress->accuracy)) {
        printf(", test accuracy %.2f %%", 100.0 * progress->accuracy);
    } else if (isfinite(progress->loss)) {
        printf(", test loss %.6g", progress->loss);
    }
    if (progress->target_round > 0) {
        printf(", target reached in round %" PRIu64, progress->target_round);
    }
    printf(", %.1f s\nrun: %s\n", progress->seconds, progress->run_dir);
}
