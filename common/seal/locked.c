#include "common/seal/locked.h"

#include <sodium.h>
#include <stdatomic.h>

#include "common/base/log.h"

static void warn_once(void) {
    static atomic_flag warned = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&warned)) {
        FED_WARN("seal", "unlocked", FED_STR("why", "the system refused to lock memory, secrets may reach swap"),
                 FED_STR("do", "raise the memlock limit (ulimit -l, LimitMEMLOCK=)"));
    }
}

int fed_locked_new(void **out, size_t n) {
    void *memory = sodium_malloc(n);
    if (memory == NULL) {
        return FED_ENOMEM;
    }
    /* sodium_malloc has locked already but does not tell; locking twice is harmless and its answer is the same. */
    if (sodium_mlock(memory, n) != 0) {
        warn_once();
    }
    *out = memory;
    return 0;
}

void fed_locked_free(void *memory) { sodium_free(memory); }
