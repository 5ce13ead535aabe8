/* What the files of the model's description share, and nobody else uses:
 *
 *     model.c          the layers and tensors of a description    model_names.c    words of the task file
 *     model_check.c    what may be described                      model_presets.c  descriptions that have a name
 *     model_shape.c    what goes from layer to layer              model_initial.c  the first parameters
 *     model_digest.c   which parameters these are */
#ifndef FED_COMMON_MODEL_MODEL_INTERNAL_H
#define FED_COMMON_MODEL_MODEL_INTERNAL_H

#include "common/model/model.h"

/* With every dimension >= 1. */
struct fed_shape fed_shape_whole(struct fed_shape shape);
/* What the layer makes of in, which is whole. FED_ECONFIG: the sentence lacks the layer's name, which the caller puts before
 * it. */
int fed_shape_infer(struct fed_shape *out, const struct fed_layer_spec *layer, struct fed_shape in,
                    struct fed_error *err) FED_MUST_CHECK;

/* What can be judged before shapes are known: every enum, bound and place in the stack. FED_ECONFIG. */
int fed_model_check_spec(const struct fed_model_spec *spec, struct fed_error *err) FED_MUST_CHECK;
/* Names of classes are one for each, or none at all. FED_ECONFIG. */
int fed_model_check_classes(const struct fed_model *model, struct fed_error *err) FED_MUST_CHECK;

#endif
