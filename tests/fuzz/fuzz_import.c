/* Parameters of any origin: whatever the bytes are, they are taken whole or not at all. The model is small and has an lstm,
 * whose second bias files may have. */
#include <string.h>

#include "common/model/import.h"
#include "tests/fuzz/fuzz.h"

#define N_PARAMS (4 + 4 + 4 + 2 + 2)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static const struct fed_model_spec spec = {
        .input = {.channels = 1, .steps = 2}, .n_layers = 2, .layers = {{1, .kind = FED_LSTM}, {2, FED_LINEAR}}};
    static struct fed_model model;
    if (model.n_params == 0) {
        MUST(fed_model_init(&model, &spec, NULL) == 0 && model.n_params == N_PARAMS);
    }
    float params[N_PARAMS];
    uint8_t before[sizeof params];
    struct fed_error err = {.text = ""};
    uint8_t *copy = malloc(n > 0 ? n : 1); /* so that a read behind the end is seen */
    MUST(copy != NULL);
    memcpy(copy, bytes, n);
    memset(params, 0x55, sizeof params);
    memcpy(before, params, sizeof params);
    int rc = fed_import_parse(params, copy, n, &model, &err);
    MUST(rc == 0 || rc == FED_EDATA);
    if (rc != 0) {
        MUST(memcmp((const uint8_t *)params, before, sizeof params) == 0 && err.text[0] != '\0');
    }
    free(copy);
    return 0;
}
