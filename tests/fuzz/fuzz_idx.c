/* An IDX file that loads holds exactly the bytes that its dimensions say; reading all of them is for the sanitizer to judge.
 */
#include "common/data/idx.h"
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static const enum fed_idx_kind kinds[] = {FED_IDX_LABELS, FED_IDX_IMAGES};
    struct fed_idx idx;
    for (size_t i = 0; i < 2; i++) {
        int rc = fed_idx_load(&idx, fuzz_file(bytes, n), kinds[i], NULL);
        MUST(rc == FED_OK || rc == FED_EDATA);
        if (rc == FED_OK) {
            size_t count = (size_t)idx.dims[0] * idx.dims[1] * idx.dims[2];
            volatile uint8_t sum = 0;
            for (size_t k = 0; k < count; k++) {
                sum = (uint8_t)(sum + idx.data[k]);
            }
            MUST(count > 0 && (idx.inflated != NULL) != (idx.map != NULL));
            fed_idx_fini(&idx);
        }
    }
    return 0;
}
