#include "cli/cli.h"

#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/standard.h"

#define CORES_MOST 256

unsigned fed_cli_cores(void) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > CORES_MOST ? CORES_MOST : (unsigned)cores;
}

int fed_cli_fail(const char *command, int code, const struct fed_error *err) {
    fflush(stdout); /* what was found stands before the sentence, also in a pipe */
    fprintf(stderr, "%s: %s\n", command, err->text[0] != '\0' ? err->text : fed_status_text(code));
    return fed_status_exit_code(code);
}

/* How long the synopsis is: up to an empty line, or to one that begins with two spaces and says more. */
static size_t synopsis(const char *usage) {
    const char *line = usage;
    while (*line != '\0' && *line != '\n' && (strncmp(line, "  ", 2) != 0 || line[2] == ' ')) {
        const char *end = strchr(line, '\n');
        line = end != NULL ? end + 1 : line + strlen(line);
    }
    return (size_t)(line - usage);
}

int fed_cli_misused(const char *usage) {
    fprintf(stderr, "usage: %.*s(--help says more)\n", (int)synopsis(usage), usage);
    return fed_status_exit_code(FED_ECONFIG);
}

bool fed_cli_wrong_words(int argc, char **argv, int least, int most, const char *what) {
    int n = argc - optind;
    if (n < least) {
        fprintf(stderr, "%s: %s is missing\n", argv[0], what);
    } else if (n > most) {
        fprintf(stderr, "%s: \"%.200s\" is one word too many\n", argv[0], argv[optind + most]);
    }
    return n < least || n > most;
}

bool fed_cli_wrong_value(const char *command, const char *option, const char *text, const char *expected) {
    fprintf(stderr, "%s: %s: found \"%.60s\", expected %s\n", command, option, text, expected);
    return false;
}

int fed_cli_help(const char *usage) {
    printf("usage: %s", usage);
    return 0;
}

int fed_cli_print_json(struct json_t *object, struct fed_error *err) {
    if (object == NULL) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    int unfit = json_dumpf(object, stdout, JSON_COMPACT) != 0 && !ferror(stdout);
    json_decref(object);
    putchar('\n');
    int code = fed_standard_flush(err);
    return code == FED_OK && unfit ? fed_error_set(err, FED_ENOMEM, "out of memory") : code;
}

json_t *fed_cli_json_path(const char *path) {
    json_t *text = json_string(path);
    return text != NULL ? text : json_null();
}

json_t *fed_cli_json_number(double value) { return isfinite(value) ? json_real(value) : json_null(); }
