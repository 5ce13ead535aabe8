/* Regular files that are read where they lie, so that many processes share their pages. Their owner may change them
 * meanwhile: whoever relies on what a map held once asks fed_mapped_check before and after, and a map whose file was cut
 * short ends the program with one sentence instead of a bare signal (fed_mapped_guard). */
#ifndef FED_COMMON_BASE_MAPPED_H
#define FED_COMMON_BASE_MAPPED_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

#define FED_MAPPED_MAX 64 /* maps of one process at a time */

/* Maps the file read-only. *n_bytes may be 0 (then *out is NULL). FED_ENOTFOUND, FED_EIO (also: too many maps). */
int fed_mapped_open(const uint8_t **out, size_t *n_bytes, const char *path, struct fed_error *err) FED_MUST_CHECK;
void fed_mapped_close(const uint8_t *map, size_t n_bytes); /* NULL is allowed */

/* Whether the file is what it was when it was mapped, as far as size and time of change tell; NULL is. A file that was
 * exchanged for another under the same name has not changed: the map shows the old one as long as it stands. FED_EDATA. */
int fed_mapped_check(const uint8_t *map, struct fed_error *err) FED_MUST_CHECK;

/* Memory over a file that somebody else has mapped, to be named by the guard until it is unwatched. FED_ENOMEM: too many.
 */
int fed_mapped_watch(const void *map, size_t n_bytes, const char *path) FED_MUST_CHECK;
void fed_mapped_unwatch(const void *map);

/* From now on SIGBUS in a map names its file on standard error and ends the program with the exit status of FED_EDATA.
 * For main. */
void fed_mapped_guard(void);

#endif
