/* The model's part of the terms: all that defines it, so that both sides make the same model of it. Inside common/config
 * only. */
#ifndef FED_COMMON_CONFIG_TERMS_MODEL_H
#define FED_COMMON_CONFIG_TERMS_MODEL_H

#include "common/base/status.h"
#include "common/model/model.h"

struct json_t; /* jansson's */

/* Sets root.model. FED_ENOMEM. */
int fed_terms_put_model(struct json_t *root, const struct fed_model_spec *spec) FED_MUST_CHECK;
/* Reads root.model and makes the model once, to check it. FED_EWIRE with a sentence, FED_ENOMEM. */
int fed_terms_take_model(struct fed_model_spec *out, const struct json_t *root, struct fed_error *err) FED_MUST_CHECK;

#endif
