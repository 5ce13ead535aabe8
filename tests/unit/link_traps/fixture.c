#include "tests/unit/link_traps/fixture.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <zmq.h>

#include "common/base/clock.h"
#include "common/link/link.h"
#include "common/link/link_internal.h"
#include "tests/unit/link_world.h"

static struct sockaddr_in tcp_address(const char *endpoint) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)strtoul(strrchr(endpoint, ':') + 1, NULL, 10));
    return address;
}

int bare_connect(const char *endpoint) {
    struct sockaddr_in address = tcp_address(endpoint);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

int bare_listen(char endpoint[64]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &n), 0);
    snprintf(endpoint, 64, "tcp://127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}

void greet(int fd, const char *mechanism) {
    uint8_t greeting[64] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0};
    memcpy(greeting + 12, mechanism, strlen(mechanism));
    ck_assert_int_eq(send(fd, greeting, sizeof greeting, MSG_NOSIGNAL), (int)sizeof greeting);
}

bool readable_now(int fd) {
    struct pollfd item = {.fd = fd, .events = POLLIN};
    return poll(&item, 1, 0) == 1;
}

bool is_dropped(struct world *world, int fd) {
    uint64_t end = fed_clock_ms() + BOUND_MS;
    char bytes[512];
    while (fed_clock_ms() < end) {
        turn(world, NULL, fd);
        if (readable_now(fd) && recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) <= 0) {
            return true;
        }
    }
    return false;
}

void expect_service(struct world *world, struct fed_lane *here) {
    struct fed_lane *there = connect_control(world, fed_lane_endpoint(here));
    expect_event(world, there, FED_LINK_UP);
    say(there, NULL, "still here?");
    expect_text(world, here, "still here?", NULL);
    hang_up(world, there);
}

void expect_option(const struct fed_lane *lane, int option, int expected) {
    int value = -1;
    size_t n = sizeof value;
    ck_assert_int_eq(zmq_getsockopt(lane->socket, option, &value, &n), 0);
    ck_assert_msg(value == expected, "option %d is %d instead of %d", option, value, expected);
}
