#include "cli/cli.h"

#include <stdio.h>

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
