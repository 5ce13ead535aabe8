/* A message that decodes is one that we could have said: it encodes, and comes back as the same bytes. */
#include <string.h>

#include "proto/wire.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static struct fed_message message, again;
    static uint8_t first[FED_CONTROL_MAX], second[FED_CONTROL_MAX];
    size_t n_first, n_second;
    int rc = fed_message_decode(&message, bytes, n);
    MUST(rc == 0 || rc == FED_EWIRE || rc == FED_EPEER);
    if (rc == 0) {
        MUST(fed_message_encode(first, &n_first, &message) == 0);
        MUST(fed_message_decode(&again, first, n_first) == 0);
        MUST(fed_message_encode(second, &n_second, &again) == 0);
        MUST(n_first == n_second && memcmp(first, second, n_first) == 0);
    }
    return 0;
}
