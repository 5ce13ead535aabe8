/* A model on its way down: sealed chunks asked for with a bounded window, opened into place as they come, verified as a
 * whole before a parameter is used. Resumes by chunk number after a lost connection. */
#ifndef FED_CLIENT_DOWNLOAD_H
#define FED_CLIENT_DOWNLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/model/image.h"
#include "proto/wire.h"

struct fed_download;

/* FED_ENOMEM; FED_EWIRE: no bytes at all. */
int fed_download_new(struct fed_download **out, const struct fed_terms *terms,
                     const struct fed_msg_round *round) FED_MUST_CHECK;
void fed_download_free(struct fed_download *download); /* NULL is allowed */

/* Silence has lasted so long that fed_download_wants will ask again. */
bool fed_download_is_late(const struct fed_download *download, uint64_t now_ms);
/* The run of chunks to ask for next; false: the window is full, or nothing is missing. What was asked for on a
 * connection comes by it, or the connection breaks (fed_download_restart); asking again after a minute of silence, then two
 * and so on, is for a coordinator that forgot, or that looks for this node on another connection. */
bool fed_download_wants(struct fed_download *download, uint64_t now_ms, uint64_t *first, uint32_t *count);
void fed_download_asked(struct fed_download *download, uint64_t first, uint32_t count, uint64_t now_ms);
/* The connection is a new one: what was in flight is missing again. */
void fed_download_restart(struct fed_download *download);

/* FED_EAGAIN: more is to come (also after a chunk that was not asked for, or did not open: it is asked for again).
 * FED_OK: whole, opened and verified: fed_download_take. FED_EDATA, FED_ESEAL: it will never be right. */
int fed_download_chunk(struct fed_download *download, uint64_t index, const uint8_t *sealed, size_t n, uint64_t now_ms,
                       const struct fed_model *model, struct fed_error *err) FED_MUST_CHECK;
/* The image; the caller owns it. */
struct fed_image *fed_download_take(struct fed_download *download);

#endif
