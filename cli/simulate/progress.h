/* What a person sees of a simulation: one line that changes on a terminal, a line a second in a log, a summary. */
#ifndef FED_CLI_SIMULATE_PROGRESS_H
#define FED_CLI_SIMULATE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fed_progress {
    bool terminal, quiet, json;
    bool line_open; /* the terminal's cursor stands behind a progress line */
    bool started;   /* the coordinator has said that it starts or resumes */
    uint64_t rounds, first_round, round;
    uint64_t said_ms, started_ms;
    double accuracy, loss; /* of the last round that has any; NaN = not known, or none */
    bool done;
    uint64_t target_round;
    double seconds;
    char run_dir[1024];
};

void fed_progress_init(struct fed_progress *progress, bool quiet, bool json);
/* One line of JSON from the coordinator, without its newline. */
void fed_progress_event(struct fed_progress *progress, const char *line, size_t n);
/* Before anything else is printed: leaves the progress line standing. */
void fed_progress_break(struct fed_progress *progress);
/* The result, on stdout (nothing with json). */
void fed_progress_summary(const struct fed_progress *progress);

#endif
