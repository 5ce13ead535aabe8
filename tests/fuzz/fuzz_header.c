/* A header that decodes is one that we could have written: it encodes, and comes back as the same bytes. */
#include <string.h>

#include "proto/wire.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static struct fed_update_header header, again;
    static uint8_t first[FED_HEADER_MAX], second[FED_HEADER_MAX];
    size_t n_first, n_second;
    int rc = fed_update_header_decode(&header, bytes, n);
    MUST(rc == 0 || rc == FED_EWIRE);
    if (rc == 0) {
        MUST(fed_update_header_encode(first, &n_first, &header) == 0);
        MUST(fed_update_header_decode(&again, first, n_first) == 0);
        MUST(fed_update_header_encode(second, &n_second, &again) == 0);
        MUST(n_first == n_second && memcmp(first, second, n_first) == 0);
    }
    return 0;
}
