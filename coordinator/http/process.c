#include "coordinator/http/process.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "coordinator/nodes/descriptors.h"

/* The name of the program, in brackets, may hold anything; what follows its end are numbers (man 5 proc). */
static int read_stat(char *text, size_t room, const char **numbers) {
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, room - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    if (n <= 0) {
        return FED_EIO;
    }
    text[n] = '\0';
    const char *end = strrchr(text, ')');
    *numbers = end != NULL ? end + 1 : text;
    return end != NULL ? FED_OK : FED_EIO;
}

int fed_process_read(struct fed_process *out) {
    struct fed_process process = {0};
    struct fed_descriptors descriptors;
    char text[1024];
    const char *numbers = NULL;
    uint64_t user = 0, system = 0, started = 0, pages = 0;
    int rc = read_stat(text, sizeof text, &numbers);
    if (rc == FED_OK && sscanf(numbers,
                               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
                               " %*d %*d %*d %*d %" SCNu64 " %*d %" SCNu64 " %" SCNu64 " %" SCNu64,
                               &user, &system, &process.threads, &started, &process.virtual_bytes, &pages) != 6) {
        rc = FED_EIO;
    }
    if (rc == FED_OK) {
        rc = fed_descriptors_count(&descriptors);
    }
    if (rc != FED_OK) {
        return rc;
    }
    double ticks = (double)sysconf(_SC_CLK_TCK), age = (double)fed_clock_us() / 1e6 - (double)started / ticks;
    process.cpu_seconds = (double)(user + system) / ticks;
    process.start_seconds = (double)fed_clock_wall_ms() / 1e3 - age;
    process.resident_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    process.descriptors = descriptors.used;
    process.descriptors_most = descriptors.limit;
    *out = process;
    return FED_OK;
}
