/* Which kernel set runs here. All give the same bits, so the choice is only about speed. */
#include "common/numeric/kernels.h"

#include <stdlib.h>
#include <string.h>

#include "common/numeric/kernels_internal.h"

#if defined(__x86_64__)
#define NAMES "portable, avx2 and avx512"

static bool has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

static bool has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
}
#elif defined(__aarch64__)
#define NAMES "portable and neon"
#else
#define NAMES "portable"
#endif

static bool always(void) { return true; }

/* Fastest first. */
static const struct {
    const struct fed_kernels *set;
    bool (*runs_here)(void);
} sets[] = {
#if defined(__x86_64__)
    {&fed_kernels_avx512, has_avx512},
    {&fed_kernels_avx2, has_avx2},
#elif defined(__aarch64__)
    {&fed_kernels_neon, always},
#endif
    {&fed_kernels_portable, always},
};

#define N_SETS (sizeof sets / sizeof *sets)

const char *fed_math_name(enum fed_math math) { return math == FED_MATH_BLAS ? "blas" : "exact"; }

const struct fed_kernels *fed_kernels_by_name(const char *name) {
    for (size_t i = 0; i < N_SETS; i++) {
        if (strcmp(sets[i].set->name, name) == 0) {
            return sets[i].runs_here() ? sets[i].set : NULL;
        }
    }
    return NULL;
}

int fed_kernels_choose(const struct fed_kernels **out, struct fed_error *err) {
    const char *name = getenv("FEDAVG_KERNELS");
    if (name != NULL && *name != '\0') {
        const struct fed_kernels *set = fed_kernels_by_name(name);
        if (set == NULL) {
            return fed_error_set(err, FED_ECONFIG,
                                 "FEDAVG_KERNELS is \"%s\": not a kernel set that this processor runs; allowed are " NAMES
                                 ", or leave it unset for the fastest one",
                                 name);
        }
        *out = set;
        return FED_OK;
    }
    size_t i = 0;
    while (!sets[i].runs_here()) {
        i++;
    }
    *out = sets[i].set;
    return FED_OK;
}
