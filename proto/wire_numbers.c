/* Numbers as they stand in the packed fields of the wire and in what is digested: little-endian, floats by their bits. */
#include "proto/wire_internal.h"

#include <string.h>

uint8_t *fed_wire_store_le(uint8_t *out, uint64_t value, size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
    return out + n;
}

uint64_t fed_wire_load_le(const uint8_t *bytes, size_t n) {
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

uint32_t fed_wire_float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

float fed_wire_float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint64_t fed_wire_double_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

double fed_wire_double_of(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
