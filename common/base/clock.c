#include "common/base/clock.h"

#include <time.h>

static uint64_t microseconds(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

uint64_t fed_clock_ms(void) { return microseconds(CLOCK_BOOTTIME) / 1000u; }

uint64_t fed_clock_us(void) { return microseconds(CLOCK_BOOTTIME); }

int64_t fed_clock_wall_ms(void) { return (int64_t)(microseconds(CLOCK_REALTIME) / 1000u); }
