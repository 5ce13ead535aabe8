/* Readers map files; here is one in memory that holds what the fuzzer wants. */
#ifndef FED_TESTS_FUZZ_FUZZ_FILE_H
#define FED_TESTS_FUZZ_FUZZ_FILE_H

#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

/* The path of the one file, filled with these bytes. */
static inline const char *fuzz_file(const uint8_t *bytes, size_t n) {
    static char path[32];
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        MUST(fd >= 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    MUST(ftruncate(fd, 0) == 0);
    for (size_t at = 0; at < n;) {
        ssize_t written = pwrite(fd, bytes + at, n - at, (off_t)at);
        MUST(written > 0);
        at += (size_t)written;
    }
    return path;
}

#endif
