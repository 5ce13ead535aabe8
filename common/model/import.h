/* Parameters from a safetensors file of any origin, PyTorch's say: tensors in any order, with or without metadata. (What a
 * run commits and sends is read by safetensors.h, which allows one form only.)
 *
 * The model says what has to be there: every tensor by its name (the canonical names are PyTorch's), its shape, float32. An
 * lstm's bias_hh_l0, of which PyTorch has a second bias that our canonical block has not, may be there as well and is added
 * to bias_ih_l0. Nothing else may. A file of ours, which states its digest, has to have it. */
#ifndef FED_COMMON_MODEL_IMPORT_H
#define FED_COMMON_MODEL_IMPORT_H

#include <stddef.h>
#include <stdint.h>

#include "common/model/model.h"

/* params (n_params) from the bytes of a file; untouched on failure, values of any kind. FED_EDATA with a sentence that names
 * the tensor. FED_ENOMEM. */
int fed_import_parse(float *params, const uint8_t *bytes, size_t n_bytes, const struct fed_model *model,
                     struct fed_error *err) FED_MUST_CHECK;
/* The same from a file; sentences begin with its path. */
int fed_import_read(float *params, const char *path, const struct fed_model *model, struct fed_error *err) FED_MUST_CHECK;

/* FED_EDATA names the first value that is not finite: nothing can be trained from it. */
int fed_import_check_finite(const float *params, const char *path, const struct fed_model *model,
                            struct fed_error *err) FED_MUST_CHECK;

#endif
