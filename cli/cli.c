#include "cli/cli.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CORES_MOST 256

unsigned fed_cli_cores(void) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > CORES_MOST ? CORES_MOST : (unsigned)cores;
}

int fed_cli_fail(const char *command, int code, const struct fed_error *err) {
    fprintf(stderr, "%s: %s\n", command, err->text[0] != '\0' ? err->text : fed_status_text(code));
    return fed_status_exit_code(code);
}

int fed_cli_misused(const char *usage) {
    fprintf(stderr, "usage: %s", usage);
    return fed_status_exit_code(FED_ECONFIG);
}

int fed_cli_help(const char *usage) {
    printf("usage: %s", usage);
    return 0;
}

int fed_cli_print_json(struct json_t *object, struct fed_error *err) {
    if (object == NULL) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    int failed = json_dumpf(object, stdout, JSON_COMPACT) != 0 || putchar('\n') == EOF || fflush(stdout) != 0;
    json_decref(object);
    return failed ? fed_error_set(err, FED_EIO, "cannot write to the standard output: %s", strerror(errno)) : FED_OK;
}
