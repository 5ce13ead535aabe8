/* The kernel family blas: the products of kernels.h by OpenBLAS, everything else by the exact set. For tasks that ask for
 * it (algorithm.math); results are as good, but differ in their last places from one processor to another.
 *
 * The library is loaded when it is first asked for, so no program depends on it, and is told to keep to one thread and to
 * use the vectors that the processor has: Debian's 0.3.21 knows no processor after 2020 and would take SSE3 for those, 2.4
 * to 5 times slower. Whoever sets OPENBLAS_CORETYPE has the last word. */
#ifndef FED_COMMON_NUMERIC_BLAS_H
#define FED_COMMON_NUMERIC_BLAS_H

#include "common/base/status.h"
#include "common/numeric/kernels.h"

/* Several threads call the library at once; a serial one must have been built for that (USE_LOCKING), as Debian's is.
 *
 * The environment variable FEDAVG_BLAS names another library to load than libopenblas.so.0. FED_ECONFIG with a sentence
 * that says which could not be loaded, why, and which package holds it. Thread-safe. */
int fed_blas_kernels(const struct fed_kernels **out, struct fed_error *err) FED_MUST_CHECK;

/* What OpenBLAS calls the processor it computes for ("SkylakeX", "NEOVERSEN1"), for the log; "" before it is loaded,
 * "unknown" if the library does not say. */
const char *fed_blas_core(void);

#endif
