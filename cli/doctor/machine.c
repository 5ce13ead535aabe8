/* This machine: what every daemon and every run needs of it. */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "cli/doctor/doctor.h"
#include "common/base/clock.h"
#include "common/base/privilege.h"
#include "common/numeric/kernels.h"

#define LITTLE_MEMORY ((uint64_t)256 << 20)
#define FEW_FILES 1024
#define LOCKED_NEEDED ((uint64_t)64 << 10) /* keys and passphrases, with their guard pages */
#define EARLIEST_S 1767225600              /* 2026-01-01: this program is younger */

static bool look_kernels(struct fed_doctor *d) {
    const struct fed_kernels *kernels;
    struct fed_error err = {.text = ""};
    int code = fed_kernels_choose(&kernels, &err);
    if (code != FED_OK) {
        return fed_doctor_problem(d, code, "unset FEDAVG_KERNELS, or name a set that this processor has", "%s", err.text) ||
               true;
    }
    if (strcmp(kernels->name, "portable") == 0) {
        return fed_doctor_note(d, "nothing has to be done: it is slower, and comes to the same bits",
                               "no AVX2, AVX-512 or NEON here: computes in portable C");
    }
    return fed_doctor_ok(d, "computes with %s; every instruction set comes to the same bits", kernels->name);
}

static bool look_cores(struct fed_doctor *d) {
    cpu_set_t set;
    long there = sysconf(_SC_NPROCESSORS_ONLN);
    int ours = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)there;
    if (ours < there) {
        return fed_doctor_note(d, "that is fine where it is meant; taskset, cpusets and containers do it",
                               "%d of %ld processor cores may be used", ours, there);
    }
    return fed_doctor_ok(d, "%d processor core%s", ours, ours == 1 ? "" : "s");
}

/* The number behind a word in a file of /proc or /sys; UINT64_MAX: not there, or no number. */
static uint64_t read_number(const char *path, const char *label) {
    char line[256];
    uint64_t value = UINT64_MAX;
    FILE *file = fopen(path, "re");
    while (file != NULL && value == UINT64_MAX && fgets(line, sizeof line, file) != NULL) {
        size_t n = strlen(label);
        if (strncmp(line, label, n) == 0) {
            char *end;
            unsigned long long found = strtoull(line + n, &end, 10);
            value = end != line + n ? found : value;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return value;
}

uint64_t fed_doctor_memory(void) {
    uint64_t kib = read_number("/proc/meminfo", "MemAvailable:");
    uint64_t bytes = kib < UINT64_MAX / 1024 ? kib * 1024 : 0;
    uint64_t most = read_number("/sys/fs/cgroup/memory.max", ""), used = read_number("/sys/fs/cgroup/memory.current", "");
    if (most != UINT64_MAX && used != UINT64_MAX && (most > used ? most - used : 0) < bytes) {
        bytes = most > used ? most - used : 0; /* a container's */
    }
    return bytes;
}

static bool look_memory(struct fed_doctor *d) {
    char text[32];
    uint64_t bytes = fed_doctor_memory();
    if (bytes == 0) {
        return fed_doctor_note(d, "is /proc mounted?", "how much memory is free cannot be told");
    }
    if (bytes < LITTLE_MEMORY) {
        return fed_doctor_note(d, "end other programs, or choose a machine with more", "only %s of memory are free",
                               fed_doctor_bytes(text, bytes));
    }
    return fed_doctor_ok(d, "%s of memory are free", fed_doctor_bytes(text, bytes));
}

static bool look_files(struct fed_doctor *d) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return fed_doctor_note(d, NULL, "the limit of open files cannot be read: %s", strerror(errno));
    }
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < FEW_FILES) {
        return fed_doctor_note(d, "for a coordinator raise it: ulimit -Hn, or LimitNOFILE in its unit",
                               "at most %" PRIu64 " files may be open: enough for a client, few for a coordinator",
                               (uint64_t)limit.rlim_max);
    }
    return fed_doctor_ok(d, "%" PRIu64 " files may be open", (uint64_t)limit.rlim_max);
}

/* Swapped out, a key would lie on the disk in the clear. */
static bool look_locked(struct fed_doctor *d) {
    struct rlimit limit;
    bool swaps = read_number("/proc/meminfo", "SwapTotal:") != 0;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) {
        return fed_doctor_note(d, NULL, "the limit of locked memory cannot be read: %s", strerror(errno));
    }
    if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < LOCKED_NEEDED && swaps) {
        return fed_doctor_note(d, "ulimit -l 64, or LimitMEMLOCK=64K in the unit; or encrypt the swap",
                               "only %" PRIu64 " bytes of memory may be locked: keys could be swapped to the disk",
                               (uint64_t)limit.rlim_cur);
    }
    return fed_doctor_ok(d, swaps ? "memory for keys can be locked" : "keys cannot be swapped to a disk: there is no swap");
}

static bool look_dumps(struct fed_doctor *d) {
    struct rlimit limit = {1, 1};
    fed_privilege_protect_secrets();
    if (prctl(PR_GET_DUMPABLE) != 0 || getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_cur != 0) {
        return fed_doctor_note(d, "turn them off for the user of the daemons: ulimit -c 0",
                               "core dumps cannot be forbidden: the memory of a daemon that crashes would lie on the disk");
    }
    return fed_doctor_ok(d, "the daemons forbid core dumps, and nobody can trace them");
}

static bool look_user(struct fed_doctor *d) {
    if (geteuid() == 0) {
        return fed_doctor_note(d, "start the daemons as a user of their own, or set server.user; --allow-root insists",
                               "this is root, as whom the daemons refuse to work");
    }
    return fed_doctor_ok(d, "not root");
}

/* Dates of a roster and of tokens are held against the wall clock. */
static bool look_clock(struct fed_doctor *d) {
    struct timex state = {.modes = 0};
    if (fed_clock_wall_ms() / 1000 < EARLIEST_S) {
        return fed_doctor_problem(d, FED_EFAILED, "set it, or let chrony or systemd-timesyncd do so",
                                  "the clock says a time before 2026: entries of rosters and tokens would not hold yet") ||
               true;
    }
    if (adjtimex(&state) == TIME_ERROR) {
        return fed_doctor_note(d, "start chrony or systemd-timesyncd; in a container that is the host's to do",
                               "the clock is not known to be synchronised; dates of rosters and tokens are held against it");
    }
    return fed_doctor_ok(d, "the clock is synchronised");
}

static const struct fed_doctor_check checks[] = {
    {"processor", look_kernels}, {"cores", look_cores},          {"memory", look_memory},
    {"open files", look_files},  {"locked memory", look_locked}, {"core dumps", look_dumps},
    {"user", look_user},         {"clock", look_clock},          {"libraries", fed_doctor_libraries},
};

void fed_doctor_machine(struct fed_doctor *doctor) {
    doctor->subject = "this machine";
    fed_doctor_run_checks(doctor, checks, sizeof checks / sizeof *checks);
}
