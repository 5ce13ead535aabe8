/* One array that numpy.save wrote, mapped where it lies. Inside common/data only. */
#ifndef FED_COMMON_DATA_NPY_H
#define FED_COMMON_DATA_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

#define FED_NPY_DIMS 8

enum fed_npy_type { FED_NPY_U1, FED_NPY_I4, FED_NPY_U4, FED_NPY_I8, FED_NPY_F4 };

/* Features: u1 or f4, all of them finite. Labels: u1, i4, u4 or i8, all from 0 to 65535, or f4, all of them finite. */
enum fed_npy_use { FED_NPY_FEATURES, FED_NPY_LABELS };

struct fed_npy {
    enum fed_npy_type type;
    size_t n;            /* first dimension, >= 1 */
    size_t n_row;        /* product of the others, >= 1 */
    const uint8_t *data; /* (n, n_row) little-endian, in C order; f4 aligned; in the map */
    const uint8_t *map;  /* owned */
    size_t n_map;
};

/* FED_EDATA names file, what was found, what is allowed, and the expression of NumPy that makes it so. */
int fed_npy_load(struct fed_npy *out, const char *path, enum fed_npy_use use, struct fed_error *err) FED_MUST_CHECK;
void fed_npy_fini(struct fed_npy *npy);
/* The numbers of an array that is there, in a file or not, are allowed. FED_EDATA names the first that is not. */
int fed_npy_check(const struct fed_npy *npy, const char *path, enum fed_npy_use use, struct fed_error *err) FED_MUST_CHECK;

/* Bytes of one number. */
size_t fed_npy_size(enum fed_npy_type type);

#endif
