/* One format on disk, on the wire and for every reader: safetensors (8-byte little-endian header length, JSON header,
 * raw little-endian float32). The header is padded with spaces so that data starts at a multiple of 64 bytes; tensors
 * stand in canonical order without gaps, so the data section is the canonical block itself. */
#ifndef FED_COMMON_MODEL_SAFETENSORS_H
#define FED_COMMON_MODEL_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "common/model/model.h"

/* Metadata kept in the header's "__metadata__" object. */
struct fed_safetensors_meta {
    uint8_t run_id[16];
    uint64_t round;
    uint8_t model_digest[32];
};

/* Builds the bytes before the data (length prefix and padded header; a function of its arguments only).
 * The caller owns *out. FED_ENOMEM. */
int fed_safetensors_header(uint8_t **out, size_t *n_bytes, const struct fed_model *model,
                           const struct fed_safetensors_meta *meta) FED_MUST_CHECK;

/* Checks that bytes are a safetensors file with exactly the model's tensors (names, shapes, F32, canonical order, no
 * gaps, nothing after the end), that the data's digest is the one in the metadata, and, unless expect is NULL, that this
 * is *expect. On success *params points into bytes (aligned if bytes is). Nothing is used before it is verified.
 * FED_EDATA with a sentence. */
int fed_safetensors_parse(const float **params, struct fed_safetensors_meta *meta, const uint8_t *bytes, size_t n_bytes,
                          const struct fed_model *model, const uint8_t expect[32], struct fed_error *err) FED_MUST_CHECK;

#endif
