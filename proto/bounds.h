/* What every message must satisfy, whoever made it: one predicate, asserted before encoding and asked after decoding.
 * Internal to proto/. */
#ifndef FED_PROTO_BOUNDS_H
#define FED_PROTO_BOUNDS_H

#include <stdbool.h>

#include "proto/wire.h"

bool fed_bounds_message(const struct fed_message *message);
bool fed_bounds_header(const struct fed_update_header *header);
bool fed_bounds_bulk(const struct fed_bulk_head *head);

#endif
