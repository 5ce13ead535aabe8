#include "common/base/standard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fed_standard_guard(void) {
    for (int fd = 0; fd <= STDERR_FILENO; fd++) { /* from below: an opened file gets the lowest number that is free */
        int stands = fcntl(fd, F_GETFD) >= 0 ? fd : open("/", O_PATH);
        if (stands != fd) {
            abort(); /* nothing can be said without them */
        }
    }
}

int fed_standard_flush(struct fed_error *err) {
    if (fflush(stdout) != 0) {
        return fed_error_set(err, FED_EIO, "cannot write to the standard output: %s", strerror(errno));
    }
    return ferror(stdout) ? fed_error_set(err, FED_EIO, "cannot write to the standard output") : FED_OK;
}
