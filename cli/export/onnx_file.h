/* The only door to ONNX's schema (onnx.proto, as its project publishes it, under its own licence) and the code that
 * protobuf-c makes of it: a model file, put together piece by piece and then written.
 *
 * Pieces are copied, values of weights borrowed until the file is written. Without memory nothing is said until then. What
 * is put together here is our own: too many pieces, or names that do not meet, are mistakes of the caller.
 *
 * Operators are those of ONNX's version 11 of 2019, which has all that our layers need: readers of that age understand it.
 */
#ifndef FED_CLI_EXPORT_ONNX_FILE_H
#define FED_CLI_EXPORT_ONNX_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

struct fed_onnx;

enum fed_onnx_type { FED_ONNX_FLOAT, FED_ONNX_INT64 };

#define FED_ONNX_RANK 5        /* most dimensions */
#define FED_ONNX_BATCH "batch" /* the name of the first dimension of inputs and outputs, which may be any number */

/* FED_ENOMEM. name: of the graph; doc: one sentence. */
int fed_onnx_new(struct fed_onnx **out, const char *name, const char *doc) FED_MUST_CHECK;
void fed_onnx_free(struct fed_onnx *onnx); /* NULL is allowed */
/* Something to know about the model, for readers that look. */
void fed_onnx_metadata(struct fed_onnx *onnx, const char *key, const char *value);

/* dims (n): those behind the batch. */
void fed_onnx_input(struct fed_onnx *onnx, const char *name, enum fed_onnx_type type, const uint64_t *dims, size_t n);
void fed_onnx_output(struct fed_onnx *onnx, const char *name, const uint64_t *dims, size_t n);

/* A tensor of weights: values borrowed. */
void fed_onnx_weights(struct fed_onnx *onnx, const char *name, const float *values, const uint64_t *dims, size_t n);
/* The same with room for its values (zeros), to be filled in by the caller; NULL without memory. */
float *fed_onnx_new_weights(struct fed_onnx *onnx, const char *name, const uint64_t *dims, size_t n);

/* A node with one output. inputs: names, ended by NULL; "": an input that is left out. */
void fed_onnx_node(struct fed_onnx *onnx, const char *operator, const char * const * inputs, const char *output);
/* Attributes of the node that was put in last. */
void fed_onnx_set(struct fed_onnx *onnx, const char *key, int64_t value);
void fed_onnx_set_list(struct fed_onnx *onnx, const char *key, const int64_t *values, size_t n);

/* Writes the file, whole or not at all. FED_ENOMEM, FED_EIO; FED_EFAILED: more than the 2 GiB that a protobuf may have. */
int fed_onnx_write(const struct fed_onnx *onnx, const char *path, struct fed_error *err) FED_MUST_CHECK;

#endif
