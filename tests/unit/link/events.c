/* What an event of a socket means for its connection. */
#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <zmq.h>

#include "common/link/link.h"
#include "common/link/link_internal.h"
#include "tests/unit/link/cases.h"
#include "tests/unit/link_world.h"

struct told {
    uint16_t event;
    uint32_t value;
    enum fed_link_event meaning;
};

static void tell(const struct told *told, size_t n) {
    struct fed_monitor monitor = {.said = FED_LINK_QUIET};
    for (size_t i = 0; i < n; i++) {
        enum fed_link_event meaning = fed_monitor_step(&monitor, told[i].event, told[i].value);
        ck_assert_msg(meaning == told[i].meaning, "event %zu: %d instead of %d", i, meaning, told[i].meaning);
    }
}

#define TELL(...) tell((const struct told[]){__VA_ARGS__}, sizeof((const struct told[]){__VA_ARGS__}) / sizeof(struct told))
#define SUCCEEDED ZMQ_EVENT_HANDSHAKE_SUCCEEDED
#define BROKEN ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
#define AUTH ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
#define PROTOCOL ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
#define DISCONNECTED ZMQ_EVENT_DISCONNECTED
#define CLOSED ZMQ_EVENT_CLOSED
#define RETRIED ZMQ_EVENT_CONNECT_RETRIED

START_TEST(down_is_said_once_until_up) {
    TELL({RETRIED, 0, FED_LINK_DOWN}, {CLOSED, 0, FED_LINK_QUIET}, {RETRIED, 0, FED_LINK_QUIET}, {SUCCEEDED, 0, FED_LINK_UP},
         {DISCONNECTED, 0, FED_LINK_DOWN}, {RETRIED, 0, FED_LINK_QUIET}, {CLOSED, 0, FED_LINK_QUIET},
         {SUCCEEDED, 0, FED_LINK_UP}, {SUCCEEDED, 0, FED_LINK_UP});
}
END_TEST

START_TEST(two_broken_handshakes_in_a_row_are_a_wrong_peer) {
    TELL({BROKEN, EPIPE, FED_LINK_DOWN}, {DISCONNECTED, 0, FED_LINK_QUIET}, {RETRIED, 0, FED_LINK_QUIET},
         {BROKEN, ECONNRESET, FED_LINK_WRONG_PEER}, {DISCONNECTED, 0, FED_LINK_QUIET}, {RETRIED, 0, FED_LINK_QUIET},
         {BROKEN, EPIPE, FED_LINK_QUIET}, {SUCCEEDED, 0, FED_LINK_UP}, {DISCONNECTED, 0, FED_LINK_DOWN},
         {BROKEN, EPIPE, FED_LINK_QUIET}, {BROKEN, EPIPE, FED_LINK_WRONG_PEER});
}
END_TEST

START_TEST(one_broken_handshake_between_others_is_only_down) {
    TELL({BROKEN, EPIPE, FED_LINK_DOWN}, {SUCCEEDED, 0, FED_LINK_UP}, {DISCONNECTED, 0, FED_LINK_DOWN},
         {BROKEN, EPIPE, FED_LINK_QUIET}, {CLOSED, 0, FED_LINK_QUIET}, {BROKEN, EPIPE, FED_LINK_QUIET});
}
END_TEST

START_TEST(a_peer_that_never_answers_is_not_a_wrong_peer) {
    TELL({BROKEN, EAGAIN, FED_LINK_DOWN}, {BROKEN, EAGAIN, FED_LINK_QUIET}, {BROKEN, EAGAIN, FED_LINK_QUIET},
         {SUCCEEDED, 0, FED_LINK_UP});
}
END_TEST

START_TEST(a_refused_socket_says_nothing_more) {
    TELL({AUTH, 400, FED_LINK_REFUSED}, {DISCONNECTED, 0, FED_LINK_QUIET}, {SUCCEEDED, 0, FED_LINK_QUIET});
}
END_TEST

START_TEST(a_peer_of_another_protocol_is_wrong_at_once) {
    TELL({PROTOCOL, 0, FED_LINK_WRONG_PEER}, {DISCONNECTED, 0, FED_LINK_QUIET}, {CLOSED, 0, FED_LINK_DOWN});
}
END_TEST

TCase *events_cases(void) {
    TCase *cases = tcase_create("events");
    tcase_add_test(cases, down_is_said_once_until_up);
    tcase_add_test(cases, two_broken_handshakes_in_a_row_are_a_wrong_peer);
    tcase_add_test(cases, one_broken_handshake_between_others_is_only_down);
    tcase_add_test(cases, a_peer_that_never_answers_is_not_a_wrong_peer);
    tcase_add_test(cases, a_refused_socket_says_nothing_more);
    tcase_add_test(cases, a_peer_of_another_protocol_is_wrong_at_once);
    return cases;
}
