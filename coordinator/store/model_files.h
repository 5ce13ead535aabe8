/* The model files of a run directory: how they are named, and which of them may go. A name that is not exactly ours is
 * somebody else's file and is never touched. */
#ifndef FED_COORDINATOR_STORE_MODEL_FILES_H
#define FED_COORDINATOR_STORE_MODEL_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

/* DIR/model-<round>.safetensors; the caller owns *out. FED_ENOMEM. */
int fed_model_files_path(char **out, const char *dir, uint64_t round) FED_MUST_CHECK;

/* How many model files there are. FED_EIO. */
int fed_model_files_count(size_t *out, const char *dir, struct fed_error *err) FED_MUST_CHECK;

/* Their rounds, ascending; the caller owns *out. FED_EIO, FED_ENOMEM. */
int fed_model_files_list(uint64_t **out, size_t *n, const char *dir, struct fed_error *err) FED_MUST_CHECK;

/* Removes the model files of rounds that keep refuses, and what a write that was cut off has left. Nobody may be writing
 * a model meanwhile. A file that cannot be removed is reported after all others were tried: FED_EIO. */
int fed_model_files_sweep(const char *dir, bool (*keep)(const void *context, uint64_t round), const void *context,
                          struct fed_error *err) FED_MUST_CHECK;

#endif
