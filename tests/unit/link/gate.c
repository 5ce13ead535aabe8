/* Who is let in. */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/link/link.h"
#include "common/link/link_internal.h"
#include "tests/unit/link/cases.h"
#include "tests/unit/link_world.h"

struct request {
    struct fed_zap_frame frames[FED_ZAP_FRAMES_MAX + 2];
    size_t n;
};

#define F(text)                                                                                                             \
    { (const uint8_t *)(text), sizeof(text) - 1 }

static const struct request CURVE_REQUEST = {
    {F("1.0"), F("1"), F("control"), F("127.0.0.1"), F(""), F("CURVE"), F("kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk")}, 7};

static const struct request PLAIN_REQUEST = {
    {F("1.0"), F("1"), F("bulk"), F("127.0.0.1"), F(""), F("PLAIN"), F(HANDLE), F(CAPABILITY)}, 8};

static bool only_k(void *context, const uint8_t key[FED_KEY_BYTES], char user[FED_USER_MAX]) {
    (void)context;
    for (int i = 0; i < FED_KEY_BYTES; i++) {
        if (key[i] != 'k') {
            return false;
        }
    }
    strcpy(user, "k");
    return true;
}

static const struct fed_gate GATE = {.curve = only_k, .plain = world_plain};

static int decide(const struct request *request, const struct fed_gate *gate, char user[FED_USER_MAX]) {
    return fed_zap_decide(user, request->frames, request->n, gate);
}

START_TEST(a_known_key_and_a_known_capability_enter_under_their_names) {
    char user[FED_USER_MAX] = "untouched";
    ck_assert_int_eq(decide(&CURVE_REQUEST, &GATE, user), 200);
    ck_assert_str_eq(user, "k");
    ck_assert_int_eq(decide(&PLAIN_REQUEST, &GATE, user), 200);
    ck_assert_str_eq(user, "ward-7/1");
}
END_TEST

static bool anybody(void *context, const uint8_t key[FED_KEY_BYTES], char user[FED_USER_MAX]) {
    (void)context;
    snprintf(user, FED_USER_MAX, "anybody-%c", key[0]);
    return true;
}

/* A key that the gate's enrol lets in gets into its lane and into no other. */
START_TEST(the_enrolment_lane_asks_a_judge_of_its_own) {
    const struct fed_gate both = {.curve = GATE.curve, .plain = GATE.plain, .context = GATE.context, .enrol = anybody};
    struct request enrol = CURVE_REQUEST;
    char user[FED_USER_MAX] = "untouched";
    enrol.frames[2] = (struct fed_zap_frame)F("enrol");
    ck_assert_int_eq(decide(&enrol, &GATE, user), 400);
    ck_assert_int_eq(decide(&enrol, &both, user), 200);
    ck_assert_str_eq(user, "anybody-k");
    const struct fed_gate enrol_alone = {.enrol = anybody};
    ck_assert_int_eq(decide(&CURVE_REQUEST, &enrol_alone, user), 400);
    ck_assert_int_eq(decide(&PLAIN_REQUEST, &enrol_alone, user), 400);
}
END_TEST

START_TEST(an_empty_gate_refuses_everybody) {
    const struct fed_gate closed = {.context = NULL};
    char user[FED_USER_MAX] = "untouched";
    ck_assert_int_eq(decide(&CURVE_REQUEST, &closed, user), 400);
    ck_assert_int_eq(decide(&PLAIN_REQUEST, &closed, user), 400);
    ck_assert_str_eq(user, "untouched");
}
END_TEST

START_TEST(what_is_not_exactly_a_request_of_its_lane_is_refused) {
    static const struct {
        const struct request *of;
        size_t frame;
        struct fed_zap_frame with;
        int status;
    } cases[] = {
        {&CURVE_REQUEST, 0, F("1.1"), 500},
        {&CURVE_REQUEST, 0, F(""), 500},
        {&CURVE_REQUEST, 2, F("bulk"), 400},
        {&CURVE_REQUEST, 2, F(""), 400},
        {&CURVE_REQUEST, 2, F("controls"), 400},
        {&CURVE_REQUEST, 5, F("PLAIN"), 400},
        {&CURVE_REQUEST, 5, F("NULL"), 400},
        {&CURVE_REQUEST, 5, F("GSSAPI"), 400},
        {&CURVE_REQUEST, 6, F("kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"), 400},
        {&CURVE_REQUEST, 6, F("kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"), 400},
        {&CURVE_REQUEST, 6, F("kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkj"), 400},
        {&CURVE_REQUEST, 6, F(""), 400},
        {&PLAIN_REQUEST, 2, F("control"), 400},
        {&PLAIN_REQUEST, 5, F("CURVE"), 400},
        {&PLAIN_REQUEST, 6, F(""), 400},
        {&PLAIN_REQUEST, 6, F(HANDLE "\0"), 400},
        {&PLAIN_REQUEST, 7, F(CAPABILITY "\0"), 400},
        {&PLAIN_REQUEST, 7, F(""), 400},
        {&PLAIN_REQUEST, 7, F("0123456789abcdef0123456789abcdeF"), 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct request request = *cases[i].of;
        request.frames[cases[i].frame] = cases[i].with;
        char user[FED_USER_MAX] = "untouched";
        ck_assert_msg(decide(&request, &GATE, user) == cases[i].status, "case %zu", i);
        ck_assert_str_eq(user, "untouched");
    }
}
END_TEST

START_TEST(a_request_with_a_frame_too_few_or_too_many_is_refused) {
    for (size_t n = 0; n <= FED_ZAP_FRAMES_MAX + 2; n++) {
        struct request request = CURVE_REQUEST;
        request.n = n;
        char user[FED_USER_MAX];
        int expected = n == 7 ? 200 : n == 6 || n == 8 ? 400 : 500;
        ck_assert_int_eq(decide(&request, &GATE, user), expected);
        request = PLAIN_REQUEST;
        request.n = n;
        expected = n == 8 ? 200 : n == 6 || n == 7 ? 400 : 500;
        ck_assert_int_eq(decide(&request, &GATE, user), expected);
    }
}
END_TEST

/* Changes one thing and keeps every frame in an allocation of its exact size, where a sanitizer sees a byte too far. */
static void mutate(struct request *out, const struct request *from, struct fed_rng *rng) {
    *out = (struct request){.n = from->n};
    size_t victim = fed_rng_below(rng, (uint32_t)from->n);
    uint32_t kind = fed_rng_below(rng, 4);
    if (kind == 0) {
        out->n = fed_rng_below(rng, FED_ZAP_FRAMES_MAX + 2);
    }
    for (size_t i = 0; i < out->n; i++) {
        size_t n = from->frames[i].n, size = n;
        if (i == victim && kind == 1) {
            size = fed_rng_below(rng, 600);
        }
        uint8_t *bytes = calloc(size == 0 ? 1 : size, 1);
        ck_assert_ptr_nonnull(bytes);
        if (n > 0) {
            memcpy(bytes, from->frames[i].bytes, n < size ? n : size);
        }
        if (i == victim && kind >= 2 && size > 0) {
            bytes[fed_rng_below(rng, (uint32_t)size)] ^= (uint8_t)(1u << fed_rng_below(rng, 8));
        }
        out->frames[i] = (struct fed_zap_frame){bytes, size};
    }
}

static bool same_frame(const struct fed_zap_frame *a, const struct fed_zap_frame *b) {
    return a->n == b->n && (a->n == 0 || memcmp(a->bytes, b->bytes, a->n) == 0);
}

START_TEST(no_mutated_request_enters) {
    struct fed_rng rng;
    fed_rng_init(&rng, 7, "zap", 0, 0);
    size_t entered = 0;
    for (int i = 0; i < 20000; i++) {
        const struct request *from = i & 1 ? &CURVE_REQUEST : &PLAIN_REQUEST;
        struct request request;
        mutate(&request, from, &rng);
        char user[FED_USER_MAX];
        int status = decide(&request, &GATE, user);
        bool same = request.n == from->n && request.frames[1].n <= 255;
        for (size_t f = 0; same && f < from->n; f++) { /* request id, address and identity are not ours to judge */
            same = f == 1 || f == 3 || f == 4 || same_frame(&request.frames[f], &from->frames[f]);
        }
        ck_assert_int_eq(status == 200, same);
        ck_assert(status == 200 || status == 400 || status == 500);
        entered += status == 200;
        for (size_t f = 0; f < request.n; f++) {
            free((void *)(uintptr_t)request.frames[f].bytes);
        }
    }
    ck_assert_uint_gt(entered, 0);
    ck_assert_uint_lt(entered, 20000);
}
END_TEST

TCase *gate_cases(void) {
    TCase *cases = tcase_create("gate");
    tcase_add_test(cases, a_known_key_and_a_known_capability_enter_under_their_names);
    tcase_add_test(cases, the_enrolment_lane_asks_a_judge_of_its_own);
    tcase_add_test(cases, an_empty_gate_refuses_everybody);
    tcase_add_test(cases, what_is_not_exactly_a_request_of_its_lane_is_refused);
    tcase_add_test(cases, a_request_with_a_frame_too_few_or_too_many_is_refused);
    tcase_add_test(cases, no_mutated_request_enters);
    return cases;
}
