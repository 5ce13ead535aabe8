/* Memory that runs out, for programs that are linked with -Wl,--wrap= for each allocating function (fail_alloc.cmake): only
 * calls that our own code makes are seen, not those of libraries. */
#ifndef FED_TESTS_FAULTS_FAIL_ALLOC_H
#define FED_TESTS_FAULTS_FAIL_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From now on allocations are counted, from 1 on; the k-th fails (0: none), and for_ever all after it.
 * concerned: which are counted, NULL = all. */
void fail_alloc_begin(uint64_t k, bool for_ever, bool (*concerned)(void));
/* No more. Returns how many were counted. */
uint64_t fail_alloc_end(void);
/* How many failed since the beginning. */
uint64_t fail_alloc_hits(void);

/* Never counted; abort() instead of NULL. For what a test itself needs meanwhile. */
void *fail_alloc_exempt(void *old, size_t n);

#endif
