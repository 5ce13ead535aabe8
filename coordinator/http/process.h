/* What this process takes of the machine. */
#ifndef FED_COORDINATOR_HTTP_PROCESS_H
#define FED_COORDINATOR_HTTP_PROCESS_H

#include <stdint.h>

#include "common/base/status.h"

struct fed_process {
    double cpu_seconds;   /* of all threads, in user and system mode */
    double start_seconds; /* since 1970 */
    uint64_t resident_bytes, virtual_bytes, threads;
    uint64_t descriptors, descriptors_most;
};

/* FED_EIO: there is no /proc. */
int fed_process_read(struct fed_process *out) FED_MUST_CHECK;

#endif
