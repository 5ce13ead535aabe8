/* What the files of the wire share, and nobody else uses:
 *
 *     wire_encode.c  structs -> bytes            wire_unpack.c   protobuf-c's allocations, bounded
 *     wire_decode.c  bytes -> structs            wire_numbers.c  little-endian numbers
 *     wire_terms.c   the digest of the terms     wire_names.c    reasons in words
 *
 * wire_encode.c, wire_decode.c and wire_unpack.c are the only doors to protobuf-c. Its types are named here, its headers are
 * not included. */
#ifndef FED_PROTO_WIRE_INTERNAL_H
#define FED_PROTO_WIRE_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

/* The lowest n bytes of value. Returns the end of what was written. */
uint8_t *fed_wire_store_le(uint8_t *out, uint64_t value, size_t n);
uint64_t fed_wire_load_le(const uint8_t *bytes, size_t n);
uint32_t fed_wire_float_bits(float value);
float fed_wire_float_of(uint32_t bits);
uint64_t fed_wire_double_bits(double value);
double fed_wire_double_of(uint64_t bits);

struct ProtobufCMessage;
struct ProtobufCMessageDescriptor;
/* A message of this type, which costs at most 1 MiB. FED_EWIRE: it is none, or would cost more. FED_ENOMEM. */
int fed_wire_unpack(struct ProtobufCMessage **out, const struct ProtobufCMessageDescriptor *type, const uint8_t *bytes,
                    size_t n_bytes) FED_MUST_CHECK;
/* Wipes it too. */
void fed_wire_unpacked_free(struct ProtobufCMessage *message);

#endif
