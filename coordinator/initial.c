#include "coordinator/initial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/model/import.h"
#include "common/seal/digest.h"

static bool is_gone(const char *path) { return access(path, F_OK) != 0 && errno == ENOENT; }

int fed_initial_read(float **out, struct fed_task_terms *terms, const struct fed_task_terms *run,
                     const struct fed_task *task, const struct fed_model *model, struct fed_error *err) {
    char hex[FED_DIGEST_HEX];
    if (task->initial == NULL) {
        return FED_OK;
    }
    terms->has_initial = true;
    if (run != NULL && run->has_initial && is_gone(task->initial)) {
        memcpy(terms->initial_digest, run->initial_digest, sizeof terms->initial_digest);
        FED_WARN("model", "initial parameters are gone, the run goes on from its own", FED_STR("file", task->initial));
        return FED_OK;
    }
    float *params = calloc(model->n_params, sizeof *params);
    if (params == NULL) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory for a model of %zu parameters", model->n_params);
    }
    int code = fed_import_read(params, task->initial, model, err);
    if (code == FED_OK) {
        code = fed_import_check_finite(params, task->initial, model, err);
    }
    if (code != FED_OK) {
        free(params);
        return fed_error_prefix(err, code, "%s: model.initial", task->path);
    }
    fed_model_digest(terms->initial_digest, model, params);
    fed_hex(hex, terms->initial_digest, sizeof terms->initial_digest);
    FED_INFO("model", "initial parameters are given", FED_STR("file", task->initial), FED_STR("digest", hex));
    *out = params;
    return FED_OK;
}
