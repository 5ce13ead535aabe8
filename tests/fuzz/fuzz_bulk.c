/* A bulk head that decodes is one that we could have said: it encodes, and comes back as the same bytes. */
#include <string.h>

#include "proto/wire.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    struct fed_bulk_head head, again;
    uint8_t first[FED_BULK_HEAD_MAX], second[FED_BULK_HEAD_MAX];
    size_t n_first, n_second;
    int rc = fed_bulk_decode(&head, bytes, n);
    MUST(rc == 0 || rc == FED_EWIRE);
    if (rc == 0) {
        MUST(fed_bulk_encode(first, &n_first, &head) == 0);
        MUST(fed_bulk_decode(&again, first, n_first) == 0);
        MUST(fed_bulk_encode(second, &n_second, &again) == 0);
        MUST(n_first == n_second && memcmp(first, second, n_first) == 0);
    }
    return 0;
}
