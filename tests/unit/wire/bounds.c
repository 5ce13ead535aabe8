/* Messages that our encoder would never make, by a small protobuf writer of its own (struct field): each breaks one bound.
 */
#include <check.h>
#include <string.h>

#include "proto/wire.h"
#include "tests/unit/named_vectors.h"
#include "tests/unit/wire/fixture.h"

struct field {
    unsigned number;
    enum field_type type;
    uint64_t value;    /* VARINT: the number; F32, F64: its bits; BYTES: how many */
    const char *bytes; /* BYTES: what; NULL = all 'x' */
};

static uint8_t *put_field(uint8_t *at, const struct field *field) {
    if (field->type == ABSENT) {
        return at;
    }
    at = put_varint(at, field->number << 3 | field->type);
    if (field->type == VARINT || field->type == BYTES) {
        at = put_varint(at, field->value);
    }
    if (field->type == BYTES && field->bytes == NULL) {
        memset(at, 'x', field->value);
        at += field->value;
    } else if (field->type == BYTES) {
        memcpy(at, field->bytes, field->value);
        at += field->value;
    } else if (field->type != VARINT) {
        size_t n = field->type == F32 ? 4 : 8;
        memcpy(at, &field->value, n);
        at += n;
    }
    return at;
}

/* The base fields, one of them replaced, wrapped into a body of an envelope (0: not wrapped). */
static size_t build(uint8_t *out, unsigned body, const struct field *base, const struct field *other) {
    static uint8_t inner[2 * FED_CONTROL_MAX];
    uint8_t *at = inner;
    for (; base->number != 0; base++) {
        at = put_field(at, base->number == other->number ? other : base);
    }
    size_t n = (size_t)(at - inner);
    at = out;
    if (body != 0) {
        at = put_varint(put_varint(at, 1 << 3), FED_PROTOCOL_MAJOR);
        at = put_varint(put_varint(at, body << 3 | BYTES), n);
    }
    memcpy(at, inner, n);
    return (size_t)(at - out) + n;
}

#define ONE_RANGE "\x08\x05\x10\x01"
#define ID "\1\0\0\0\0\0\0\0"

static const struct field hello_fields[] = {{1, VARINT, 0}, {2, BYTES, 5},  {3, BYTES, 5},
                                            {4, BYTES, 5},  {5, VARINT, 1}, {6, BYTES, 4, ONE_RANGE},
                                            {7, BYTES, 32}, {8, BYTES, 32}, {0}};
static const struct field status_fields[] = {{1, VARINT, 1}, {2, VARINT, 1}, {3, VARINT, 1},
                                             {4, VARINT, 1}, {5, VARINT, 2}, {0}};
static const struct field decline_fields[] = {{1, VARINT, 1}, {2, VARINT, 1}, {3, VARINT, 1},
                                              {4, VARINT, 1}, {5, BYTES, 16}, {0}};
static const struct field offer_fields[] = {{1, VARINT, 1}, {2, VARINT, 1}, {3, VARINT, 1},
                                            {4, BYTES, 32}, {5, BYTES, 50}, {0}};

static const struct field welcome_fields[] = {
    {1, VARINT, 0}, {2, BYTES, 16}, {3, BYTES, 32}, {4, BYTES, 100}, {5, BYTES, 20}, {6, VARINT, 1}, {0}};

static const struct field round_fields[] = {{1, VARINT, 1},  {2, VARINT, 1},  {3, BYTES, 32},  {4, VARINT, 10},
                                            {5, BYTES, 32},  {6, VARINT, 1},  {7, VARINT, 0},  {8, F32, 0x3f800000},
                                            {9, VARINT, 1},  {10, VARINT, 1}, {11, VARINT, 1}, {12, VARINT, 100},
                                            {13, BYTES, 32}, {14, BYTES, 16}, {15, BYTES, 16}, {16, VARINT, 5},
                                            {17, BYTES, 16}, {18, F64, 0},    {19, F64, 0},    {0}};
static const struct field refused_fields[] = {{1, VARINT, 1}, {2, VARINT, 1}, {0}};

static const struct field header_fields[] = {
    {1, VARINT, 1},    {2, VARINT, 1}, {3, VARINT, 262148}, {4, VARINT, 2}, {5, F64, 0x3ff0000000000000},
    {6, BYTES, 8, ID}, {7, BYTES, 4},  {8, BYTES, 4},       {9, BYTES, 0},  {0}};

#define TWO_IDS "\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0"

static const struct field sum_fields[] = {
    {1, VARINT, 1},          {2, VARINT, 2}, {3, VARINT, 8}, {4, VARINT, 1}, {5, F64, 0x3ff0000000000000},
    {6, BYTES, 16, TWO_IDS}, {7, BYTES, 8},  {8, BYTES, 8},  {9, BYTES, 0},  {0}};

#define NO_BODY 0

struct broken {
    unsigned body;
    const struct field *base;
    struct field other; /* replaces the one of its number */
    int expected;
};

#define REFUSED(body, base, ...)                                                                                            \
    { body, base, {__VA_ARGS__}, FED_EWIRE }

#define ALLOWED(body, base, ...)                                                                                            \
    { body, base, {__VA_ARGS__}, 0 }
#define NAN32 0x7fc00000
#define INF32 0x7f800000
#define ONE64 0x3ff0000000000000
#define MINUS64 0xbff0000000000000
#define NAN64 0x7ff8000000000000
#define INF64 0x7ff0000000000000
#define ONE_NORM "\0\0\0\0\0\0\xf0\x3f"

static const struct broken bounds[] = {
    ALLOWED(3, hello_fields, 2, BYTES, 63),
    REFUSED(3, hello_fields, 2, BYTES, 64),
    REFUSED(3, hello_fields, 2, BYTES, 3, "a\0b"),
    REFUSED(3, hello_fields, 2, BYTES, 3, "a\nb"),
    REFUSED(3, hello_fields, 2, BYTES, 2, "\xc3\xa9"),
    ALLOWED(3, hello_fields, 3, BYTES, 15),
    REFUSED(3, hello_fields, 3, BYTES, 16),
    REFUSED(3, hello_fields, 3, BYTES, 1, "\x7f"),
    ALLOWED(3, hello_fields, 4, BYTES, 15),
    REFUSED(3, hello_fields, 4, BYTES, 16),
    REFUSED(3, hello_fields, 4, BYTES, 1, "\x1b"),
    REFUSED(3, hello_fields, 5, VARINT, 0),
    REFUSED(3, hello_fields, 5, ABSENT),
    ALLOWED(3, hello_fields, 6, ABSENT),
    REFUSED(3, hello_fields, 6, BYTES, 0),                                                          /* count 0 */
    REFUSED(3, hello_fields, 6, BYTES, 13, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x01"), /* ends at 2^64 */
    ALLOWED(3, hello_fields, 6, BYTES, 13, "\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x01"), /* ends at 2^64 - 1 */
    REFUSED(3, hello_fields, 6, BYTES, 13, "\x08\x01\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), /* ends at 2^64 */
    ALLOWED(3, hello_fields, 7, ABSENT),
    REFUSED(3, hello_fields, 7, BYTES, 31),
    REFUSED(3, hello_fields, 7, BYTES, 33),
    ALLOWED(3, hello_fields, 8, BYTES, 0),
    REFUSED(3, hello_fields, 8, BYTES, 1),
    REFUSED(3, hello_fields, 8, VARINT, 1), /* wrong wire type */
    REFUSED(4, status_fields, 3, VARINT, 4),
    REFUSED(4, status_fields, 3, VARINT, UINT64_MAX),
    REFUSED(4, status_fields, 4, VARINT, 3),
    REFUSED(5, decline_fields, 4, ABSENT),
    REFUSED(5, decline_fields, 4, VARINT, 10),
    ALLOWED(5, decline_fields, 4, VARINT, 9),
    ALLOWED(5, decline_fields, 5, ABSENT),
    REFUSED(5, decline_fields, 5, BYTES, 15),
    ALLOWED(5, decline_fields, 5, BYTES, 8192),
    REFUSED(5, decline_fields, 5, BYTES, 8200),
    REFUSED(6, offer_fields, 4, BYTES, 31),
    REFUSED(6, offer_fields, 4, BYTES, 64),
    REFUSED(6, offer_fields, 4, ABSENT),
    REFUSED(6, offer_fields, 5, ABSENT),
    ALLOWED(6, offer_fields, 5, BYTES, 40960),
    REFUSED(6, offer_fields, 5, BYTES, 40961),
    REFUSED(7, welcome_fields, 2, BYTES, 15),
    REFUSED(7, welcome_fields, 3, BYTES, 33),
    REFUSED(7, welcome_fields, 4, ABSENT),
    ALLOWED(7, welcome_fields, 4, BYTES, 32768),
    REFUSED(7, welcome_fields, 4, BYTES, 32769),
    REFUSED(7, welcome_fields, 5, ABSENT),
    ALLOWED(7, welcome_fields, 5, BYTES, 255),
    REFUSED(7, welcome_fields, 5, BYTES, 256),
    REFUSED(7, welcome_fields, 5, BYTES, 5, "tcp\0x"),
    REFUSED(7, welcome_fields, 6, VARINT, 0),
    REFUSED(8, round_fields, 3, BYTES, 31),
    REFUSED(8, round_fields, 3, ABSENT),
    REFUSED(8, round_fields, 4, VARINT, 0),
    ALLOWED(8, round_fields, 4, VARINT, (uint64_t)1 << 40),
    REFUSED(8, round_fields, 4, VARINT, ((uint64_t)1 << 40) + 1),
    REFUSED(8, round_fields, 4, VARINT, UINT64_MAX),
    REFUSED(8, round_fields, 5, BYTES, 33),
    REFUSED(8, round_fields, 6, VARINT, 0),
    REFUSED(8, round_fields, 8, ABSENT),
    REFUSED(8, round_fields, 8, F32, NAN32),
    REFUSED(8, round_fields, 8, F32, INF32),
    REFUSED(8, round_fields, 8, F32, 0xbf800000),
    REFUSED(8, round_fields, 8, F32, 0x80000000),
    ALLOWED(8, round_fields, 8, F32, 0x00000001),
    REFUSED(8, round_fields, 9, ABSENT),
    REFUSED(8, round_fields, 9, VARINT, 3),
    REFUSED(8, round_fields, 12, VARINT, 0),
    ALLOWED(8, round_fields, 12, VARINT, (uint64_t)1 << 44),
    REFUSED(8, round_fields, 12, VARINT, ((uint64_t)1 << 44) + 1),
    REFUSED(8, round_fields, 13, BYTES, 16),
    REFUSED(8, round_fields, 14, BYTES, 15),
    REFUSED(8, round_fields, 14, ABSENT),
    REFUSED(8, round_fields, 15, BYTES, 17),
    ALLOWED(8, round_fields, 17, BYTES, 8192),
    REFUSED(8, round_fields, 17, BYTES, 8200),
    REFUSED(8, round_fields, 17, BYTES, 9),
    ALLOWED(8, round_fields, 18, F64, ONE64),
    REFUSED(8, round_fields, 18, F64, NAN64),
    REFUSED(8, round_fields, 18, F64, INF64),
    REFUSED(8, round_fields, 18, F64, MINUS64),
    ALLOWED(8, round_fields, 19, F64, ONE64),
    REFUSED(8, round_fields, 19, F64, NAN64),
    REFUSED(8, round_fields, 19, F64, INF64),
    REFUSED(8, round_fields, 19, F64, MINUS64),
    REFUSED(10, refused_fields, 1, ABSENT),
    REFUSED(10, refused_fields, 1, VARINT, FED_REFUSAL_COUNT),
    ALLOWED(10, refused_fields, 1, VARINT, FED_REFUSAL_COUNT - 1),
    ALLOWED(NO_BODY, header_fields, 1, VARINT, 77),
    REFUSED(NO_BODY, header_fields, 2, ABSENT),
    REFUSED(NO_BODY, header_fields, 2, VARINT, 3),
    REFUSED(NO_BODY, header_fields, 3, VARINT, 0),
    REFUSED(NO_BODY, header_fields, 3, VARINT, 262147),
    ALLOWED(NO_BODY, header_fields, 3, VARINT, 524288),
    REFUSED(NO_BODY, header_fields, 3, VARINT, 524292),
    REFUSED(NO_BODY, header_fields, 4, VARINT, 1),
    REFUSED(NO_BODY, header_fields, 4, VARINT, 3),
    REFUSED(NO_BODY, header_fields, 4, VARINT, UINT64_MAX),
    REFUSED(NO_BODY, header_fields, 5, F64, 0x7ff8000000000000),
    REFUSED(NO_BODY, header_fields, 5, F64, 0x7ff0000000000000),
    REFUSED(NO_BODY, header_fields, 5, F64, 0xbff0000000000000),
    ALLOWED(NO_BODY, header_fields, 5, ABSENT),
    REFUSED(NO_BODY, header_fields, 6, ABSENT),
    REFUSED(NO_BODY, header_fields, 6, BYTES, 7),
    REFUSED(NO_BODY, header_fields, 7, BYTES, 8),
    REFUSED(NO_BODY, header_fields, 7, ABSENT),
    REFUSED(NO_BODY, header_fields, 8, BYTES, 3),
    REFUSED(NO_BODY, header_fields, 8, ABSENT),
    ALLOWED(NO_BODY, header_fields, 9, BYTES, 8, ONE_NORM),
    REFUSED(NO_BODY, header_fields, 9, BYTES, 7),
    REFUSED(NO_BODY, header_fields, 9, BYTES, 16),
    REFUSED(NO_BODY, header_fields, 9, BYTES, 8, "\0\0\0\0\0\0\xf8\x7f"), /* NaN */
    REFUSED(NO_BODY, header_fields, 9, BYTES, 8, "\0\0\0\0\0\0\xf0\x7f"), /* infinite */
    REFUSED(NO_BODY, header_fields, 9, BYTES, 8, "\0\0\0\0\0\0\xf0\xbf"), /* negative */
    REFUSED(NO_BODY, sum_fields, 9, BYTES, 8, ONE_NORM),
    REFUSED(NO_BODY, sum_fields, 2, VARINT, 1), /* two clients in the encoding for one */
    REFUSED(NO_BODY, sum_fields, 3, VARINT, 4),
    REFUSED(NO_BODY, sum_fields, 3, VARINT, 12),
    REFUSED(NO_BODY, sum_fields, 6, BYTES, 8, ID),
    REFUSED(NO_BODY, sum_fields, 6, BYTES, 16),                                     /* the same client twice */
    REFUSED(NO_BODY, sum_fields, 6, BYTES, 16, "\2\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0"), /* descending */
    REFUSED(NO_BODY, sum_fields, 6, BYTES, 16, "\0\1\0\0\0\0\0\0\2\0\0\0\0\0\0\0"), /* descending in all 8 bytes */
};

START_TEST(message_that_breaks_one_bound_is_refused) {
    static uint8_t bytes[2 * FED_CONTROL_MAX];
    static const struct field nothing = {0};
    const struct broken *c = &bounds[_i];
    enum lane lane = c->body == NO_BODY ? HEADER : MESSAGE;
    ck_assert_int_eq(decode(lane, bytes, build(bytes, c->body, c->base, &nothing)), 0);
    ck_assert_int_eq(decode(lane, bytes, build(bytes, c->body, c->base, &c->other)), c->expected);
}
END_TEST

START_TEST(bulk_head_that_breaks_one_bound_is_refused) {
    static const struct {
        const char *bytes;
        size_t n;
        int expected;
    } heads[] = {
        {"\x0a\x0c\x0a\x06\x08\x01\x10\x03\x18\x01\x10\x02\x18\x05", 14, 0},         /* GET model, first 2, count 5 */
        {"\x0a\x0c\x0a\x06\x08\x01\x10\x03\x18\x01\x10\x02\x18\x20", 14, 0},         /* count 32 */
        {"\x0a\x0c\x0a\x06\x08\x01\x10\x03\x18\x01\x10\x02\x18\x21", 14, FED_EWIRE}, /* count 33 */
        {"\x0a\x0a\x0a\x06\x08\x01\x10\x03\x18\x01\x10\x02", 12, FED_EWIRE},         /* count 0 */
        {"\x0a\x0c\x0a\x06\x08\x03\x10\x03\x18\x01\x10\x02\x18\x05", 14, FED_EWIRE}, /* kind 3 */
        {"\x0a\x0a\x0a\x04\x10\x03\x18\x01\x10\x02\x18\x05", 12, FED_EWIRE},         /* kind 0 */
        {"\x0a\x04\x10\x02\x18\x05", 6, FED_EWIRE},                                  /* no object */
        {"\x0a\x0e\x0a\x08\x08\x01\x10\x03\x18\x01\x20\x01\x10\x02\x18\x05", 16, FED_EWIRE}, /* a part of the model */
        {"\x0a\x0e\x0a\x08\x08\x02\x10\x03\x18\x01\x20\x01\x10\x02\x18\x05", 16, 0},         /* a part of an update */
        {"\x0a\x11\x0a\x02\x08\x01\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x18\x01", 19, FED_EWIRE}, /* wraps */
        {"\x12\x0f\x0a\x02\x08\x01\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 17, 0},                 /* CHUNK 2^64 - 1 */
        {"\x12\x02\x10\x01", 4, FED_EWIRE}, /* CHUNK of nothing */
        {"", 0, FED_EWIRE},
    };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        ck_assert_msg(decode(BULK, (const uint8_t *)heads[i].bytes, heads[i].n) == heads[i].expected, "head %zu", i);
    }
}
END_TEST

START_TEST(more_than_64_ranges_are_refused) {
    static struct field fields[80] = {{5, VARINT, 1}};
    static uint8_t bytes[2 * FED_CONTROL_MAX];
    static const struct field nothing = {0};
    for (size_t i = 1; i <= 65; i++) {
        fields[i] = (struct field){6, BYTES, 4, ONE_RANGE};
        fields[i + 1] = nothing;
        ck_assert_int_eq(decode(MESSAGE, bytes, build(bytes, 3, fields, &nothing)), i <= 64 ? 0 : FED_EWIRE);
    }
}
END_TEST

START_TEST(longer_than_the_lane_allows_is_refused) {
    static uint8_t bytes[FED_CONTROL_MAX + 1];
    static const size_t most[] = {FED_CONTROL_MAX, FED_HEADER_MAX, FED_BULK_HEAD_MAX};
    for (int lane = MESSAGE; lane <= BULK; lane++) {
        /* A valid message, filled up with an unknown field to the last byte allowed, then one byte more. */
        for (size_t extra = 0; extra <= 1; extra++) {
            size_t n = random_encoded(bytes, (enum lane)lane, FED_MSG_STATUS, 5);
            size_t fill = most[lane] - n - (lane == BULK ? 4 : 5) + extra;
            uint8_t *at = put_varint(put_varint(bytes + n, 99 << 3 | BYTES), fill);
            memset(at, 0, fill);
            n = (size_t)(at - bytes) + fill;
            ck_assert_uint_eq(n, most[lane] + extra);
            ck_assert_int_eq(decode((enum lane)lane, bytes, n), extra == 0 ? 0 : FED_EWIRE);
        }
    }
}
END_TEST

TCase *bounds_cases(void) {
    TCase *cases = wire_case("bounds");
    tcase_add_loop_test(cases, message_that_breaks_one_bound_is_refused, 0, COUNT(bounds));
    tcase_add_test(cases, bulk_head_that_breaks_one_bound_is_refused);
    tcase_add_test(cases, more_than_64_ranges_are_refused);
    tcase_add_test(cases, longer_than_the_lane_allows_is_refused);
    return cases;
}
