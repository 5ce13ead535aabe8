/* A file that parses points into itself, and what it says can be written again as a header that parses as well. The model
 * is small (2 inputs, 3 hidden units, 2 classes), so that short inputs reach its tensors. */
#include <string.h>

#include "common/model/safetensors.h"
#include "tests/fuzz/fuzz.h"

static void check_good(const struct fed_model *model, const uint8_t *bytes, size_t n, const float *params,
                       const struct fed_safetensors_meta *meta) {
    size_t n_data = model->n_params * sizeof *params, n_header;
    const float *found;
    struct fed_safetensors_meta stated;
    uint8_t *header;
    MUST((const uint8_t *)params + n_data == bytes + n);
    MUST(fed_safetensors_header(&header, &n_header, model, meta) == 0);
    uint8_t *file = malloc(n_header + n_data);
    MUST(file != NULL);
    memcpy(file, header, n_header);
    memcpy(file + n_header, params, n_data);
    MUST(fed_safetensors_parse(&found, &stated, file, n_header + n_data, model, meta->model_digest, NULL) == 0);
    MUST(memcmp(found, params, n_data) == 0 && stated.round == meta->round);
    free(file);
    free(header);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static const struct fed_model_spec spec = {.input = {2}, .n_layers = 2, .layers = {{3, FED_RELU}, {2, FED_LINEAR}}};
    static struct fed_model model;
    if (model.n_params == 0) {
        MUST(fed_model_init(&model, &spec, NULL) == 0);
    }
    const float *params;
    struct fed_safetensors_meta meta;
    uint8_t *aligned = malloc(n > 0 ? n : 1);
    MUST(aligned != NULL);
    memcpy(aligned, bytes, n);
    int rc = fed_safetensors_parse(&params, &meta, aligned, n, &model, NULL, NULL);
    MUST(rc == 0 || rc == FED_EDATA);
    if (rc == 0) {
        check_good(&model, aligned, n, params, &meta);
    }
    free(aligned);
    return 0;
}
