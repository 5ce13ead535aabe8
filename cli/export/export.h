/* A model in formats that others read. Files appear whole or not at all; one that is there already is replaced. */
#ifndef FED_CLI_EXPORT_EXPORT_H
#define FED_CLI_EXPORT_EXPORT_H

#include <stdbool.h>

#include "common/base/status.h"
#include "common/model/model.h"

/* What is said of the model. All text is borrowed, and UTF-8. */
struct fed_export_info {
    const char *name;              /* of the task */
    const char *sentence;          /* which run, round and model it is */
    const char *const (*pairs)[2]; /* (n_pairs) key and value */
    size_t n_pairs;
    bool probabilities; /* ONNX: softmax or sigmoid at the end; else outputs are as they come out of the last layer */
};

/* NumPy's archive of arrays: each tensor under its name, float32. FED_EIO, FED_ENOMEM. */
int fed_export_npz(const char *path, const struct fed_model *model, const float *params, const struct fed_export_info *info,
                   struct fed_error *err) FED_MUST_CHECK;

const char *fed_export_zip_version(void); /* of libzip */

/* ONNX. The input is "input": (batch, inputs); of an image (batch, channels, height, width); of a sequence (batch, steps,
 * inputs); of a text (batch, steps) of int64, the symbols. The output is "logits" (batch, units) or (batch, steps, units),
 * "probabilities" where these are asked for, "output" of mean squared error. FED_ECONFIG: probabilities of a model that has
 * none. FED_EIO, FED_ENOMEM, FED_EFAILED (larger than an ONNX file can be). */
int fed_export_onnx(const char *path, const struct fed_model *model, const float *params, const struct fed_export_info *info,
                    struct fed_error *err) FED_MUST_CHECK;

#endif
