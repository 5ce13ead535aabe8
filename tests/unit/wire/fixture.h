/* Random messages of every kind, the same message told from another, and what other rooms rely on in one that was decoded.
 */
#ifndef FED_TESTS_UNIT_WIRE_FIXTURE_H
#define FED_TESTS_UNIT_WIRE_FIXTURE_H

#include <check.h>

#include "common/base/rng.h"
#include "proto/wire.h"

extern struct fed_rng rng;

/* A case whose tests begin with the same random numbers. */
TCase *wire_case(const char *name);

void random_bytes(uint8_t *out, size_t n);

/* Valid, of any value; most: of clients, so that a test that tries every bit can stay small. */
void random_message(struct fed_message *m, enum fed_message_kind kind, uint32_t most);
void random_header(struct fed_update_header *header, uint32_t most);
void random_bulk(struct fed_bulk_head *head);

/* Fail where a is not b. */
void same_message(const struct fed_message *a, const struct fed_message *b);

/* It decodes from its bytes as it was. */
void comes_back(const struct fed_message *m);
void same_header(const struct fed_update_header *a, const struct fed_update_header *b);
void same_bulk(const struct fed_bulk_head *a, const struct fed_bulk_head *b);

/* Fail where a bound is broken that other rooms rely on. */
void message_is_bounded(const struct fed_message *m);
void header_is_bounded(const struct fed_update_header *h);
void bulk_is_bounded(const struct fed_bulk_head *head);

enum lane { MESSAGE, HEADER, BULK };

/* What the last decode made. */
union decoded {
    struct fed_message message;
    struct fed_update_header header;
    struct fed_bulk_head bulk;
};

extern union decoded decoded;

/* From a buffer of exactly n bytes, so that a sanitizer sees any step over its end. Whatever decodes is bounded. */
int decode(enum lane lane, const uint8_t *bytes, size_t n);
size_t random_encoded(uint8_t out[FED_CONTROL_MAX], enum lane lane, enum fed_message_kind kind, uint32_t most);

/* Loop tests run over all messages, then header, then bulk. */
enum { N_KINDS = 11, N_LOOPS = N_KINDS + 2 };

enum fed_message_kind loop_kind(int i);

/* Written by hand from the protobuf encoding rules and fedavg.proto. */
extern const uint8_t status_bytes[17];

enum field_type { VARINT = 0, F64 = 1, BYTES = 2, F32 = 5, ABSENT = 9 };

uint8_t *put_varint(uint8_t *at, uint64_t value);

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* The cases of the room, a file each. */
TCase *round_trips_cases(void);
TCase *damage_cases(void);
TCase *bounds_cases(void);
TCase *memory_cases(void);
TCase *terms_cases(void);

#endif
