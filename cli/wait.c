#include "cli/wait.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define TERMINAL_EVERY_MS 1000
#define LOG_EVERY_MS 10000

static void say_on_terminal(void *context, const char *what, unsigned seconds) {
    (void)context;
    fprintf(stderr, "\r\033[K%s: %u s", what, seconds);
    fflush(stderr);
}

static void say_in_log(void *context, const char *what, unsigned seconds) {
    (void)context;
    fprintf(stderr, "%s: %u s\n", what, seconds);
}

struct fed_busy *fed_wait_begin(bool quiet, const char *format, ...) {
    char what[512];
    va_list args;
    bool terminal = isatty(STDERR_FILENO) == 1;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return quiet ? NULL
                 : fed_busy_begin(terminal ? say_on_terminal : say_in_log, NULL, FED_BUSY_FIRST_MS,
                                  terminal ? TERMINAL_EVERY_MS : LOG_EVERY_MS, "%s", what);
}

void fed_wait_end(struct fed_busy *busy) {
    if (fed_busy_end(busy) > 0 && isatty(STDERR_FILENO) == 1) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
}
