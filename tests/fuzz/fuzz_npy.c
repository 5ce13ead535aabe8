/* An array that loads lies in the file as large as it says, and all its numbers are what they may be. */
#include <math.h>

#include "common/data/npy.h"
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    struct fed_npy npy;
    struct fed_error err = {.text = ""};
    for (int use = FED_NPY_FEATURES; use <= FED_NPY_LABELS; use++) {
        int rc = fed_npy_load(&npy, fuzz_file(bytes, n), (enum fed_npy_use)use, &err);
        MUST(rc == FED_OK || rc == FED_EDATA);
        must_be_one_line(err.text);
        if (rc == FED_OK) {
            size_t count = npy.n * npy.n_row;
            MUST(npy.data + count * fed_npy_size(npy.type) == npy.map + npy.n_map);
            for (size_t i = 0; npy.type == FED_NPY_F4 && i < count; i++) {
                MUST(isfinite(((const float *)(const void *)npy.data)[i]));
            }
            fed_npy_fini(&npy);
        }
    }
    return 0;
}
