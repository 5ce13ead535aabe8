/* A model as it lies on disk and travels down: the whole safetensors file in one aligned block, its parameters viewed in
 * place. Shared by reference count between those who read it (sealing, training, evaluation, the store). */
#ifndef FED_COMMON_MODEL_IMAGE_H
#define FED_COMMON_MODEL_IMAGE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/model.h"

struct fed_image {
    uint64_t round;
    uint8_t digest[32]; /* of the parameters (fed_model_digest) */
    uint8_t *bytes;     /* (n_bytes), aligned to 64 */
    size_t n_bytes, n_header;
    float *params; /* bytes + n_header: the canonical block */
    atomic_uint references;
};

/* An image whose parameters are still to be written (by the one caller that holds it). FED_ENOMEM. */
int fed_image_new(struct fed_image **out, const struct fed_model *model, const uint8_t run_id[16],
                  uint64_t round) FED_MUST_CHECK;
/* Digests the parameters and writes the header. Afterwards the image is not changed any more. FED_ENOMEM. */
int fed_image_finish(struct fed_image *image, const struct fed_model *model, const uint8_t run_id[16]) FED_MUST_CHECK;

/* An empty block of n bytes to receive a file into; fed_image_verify then makes it an image. FED_ENOMEM. */
int fed_image_alloc(struct fed_image **out, size_t n_bytes) FED_MUST_CHECK;
/* Checks the file in image->bytes (see fed_safetensors_parse) and fills in the rest. expect may be NULL. FED_EDATA. */
int fed_image_verify(struct fed_image *image, const struct fed_model *model, const uint8_t expect[32],
                     struct fed_error *err) FED_MUST_CHECK;
/* Reads and verifies a model file. FED_EDATA, FED_EIO, FED_ENOMEM. */
int fed_image_read(struct fed_image **out, const char *path, const struct fed_model *model, const uint8_t expect[32],
                   struct fed_error *err) FED_MUST_CHECK;

struct fed_image *fed_image_hold(struct fed_image *image);
void fed_image_release(struct fed_image *image); /* NULL is allowed */

#endif
