/* Addresses to bind, and the files behind them. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/link/link.h"
#include "tests/unit/link_traps/fixture.h"
#include "tests/unit/link_world.h"

static int refuses(struct world *world, const char *endpoint, struct fed_error *err) {
    struct fed_lane *lane = NULL;
    int status = fed_lane_bind_control(&lane, world->server, endpoint, &world->coordinator, FRAME_MAX, err);
    ck_assert_ptr_null(lane);
    return status;
}

START_TEST(a_live_ipc_socket_is_not_stolen) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = bind_control(&world, world.ipc);
    struct fed_error err = {""};
    ck_assert_int_eq(refuses(&world, world.ipc, &err), FED_EADDRESS);
    ck_assert_ptr_nonnull(strstr(err.text, "another process listens there"));
    expect_service(&world, here);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

START_TEST(an_ipc_socket_that_a_dead_process_left_is_taken_over) {
    struct world world;
    world_open(&world);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, world.ipc + strlen("ipc://"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    close(fd);
    struct fed_lane *here = bind_control(&world, world.ipc);
    expect_service(&world, here);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

START_TEST(a_file_at_an_ipc_path_is_not_deleted) {
    struct world world;
    world_open(&world);
    int fd = open(world.ipc + strlen("ipc://"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    struct fed_error err = {""};
    ck_assert_int_eq(refuses(&world, world.ipc, &err), FED_EADDRESS);
    ck_assert_ptr_nonnull(strstr(err.text, "not a socket"));
    struct stat there;
    ck_assert_int_eq(lstat(world.ipc + strlen("ipc://"), &there), 0);
    world_close(&world);
}
END_TEST

START_TEST(a_tcp_port_in_use_is_named) {
    struct world world;
    world_open(&world);
    char endpoint[64];
    int listener = bare_listen(endpoint);
    struct fed_error err = {""};
    ck_assert_int_eq(refuses(&world, endpoint, &err), FED_EADDRESS);
    ck_assert_ptr_nonnull(strstr(err.text, endpoint));
    ck_assert_ptr_nonnull(strstr(err.text, "in use"));
    close(listener);
    world_close(&world);
}
END_TEST

START_TEST(an_address_that_cannot_be_bound_is_a_sentence) {
    struct world world;
    world_open(&world);
    char too_long[200] = "ipc:///";
    memset(too_long + 7, 'x', 107); /* with the slash: 108 bytes */
    char far_too_long[500] = "tcp://";
    memset(far_too_long + 6, 'h', 480);
    static const struct {
        const char *endpoint, *says;
    } fixed[] = {
        {"udp://127.0.0.1:5600", "allowed are tcp://HOST:PORT and ipc://PATH"},
        {"inproc://x", "allowed are"},
        {"127.0.0.1:5600", "allowed are"},
        {"", "allowed are"},
        {"tcp://127.0.0.1", "allowed are"},
        {"tcp://127.0.0.1:port", "allowed are"},
        {"tcp://192.0.2.1:5600", "not an address of this machine"},
        {"tcp://no-such-host.invalid:5600", "not an address of this machine"},
        {"ipc://", "needs a path"},
        {"ipc://*", "needs a path"},
        {"ipc:///no-such-directory/lane", "No such file or directory"},
    };
    struct fed_error err = {""};
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        ck_assert_int_eq(refuses(&world, fixed[i].endpoint, &err), FED_EADDRESS);
        ck_assert_msg(strstr(err.text, fixed[i].says) != NULL, "%s: %s", fixed[i].endpoint, err.text);
    }
    ck_assert_int_eq(refuses(&world, too_long, &err), FED_EADDRESS);
    ck_assert_ptr_nonnull(strstr(err.text, "has 108 bytes and the system allows at most 107"));
    ck_assert_int_eq(refuses(&world, far_too_long, &err), FED_EADDRESS);
    ck_assert_ptr_nonnull(strstr(err.text, "longer than"));
    struct fed_lane *lane = NULL;
    ck_assert_int_eq(fed_lane_connect_bulk(&lane, world.client, too_long, HANDLE, CAPABILITY, FRAME_MAX, &err),
                     FED_EADDRESS);
    ck_assert_int_eq(fed_lane_connect_bulk(&lane, world.client, "tcp://host", HANDLE, CAPABILITY, FRAME_MAX, &err),
                     FED_EADDRESS);
    world_close(&world);
}
END_TEST

START_TEST(an_ipc_path_of_107_bytes_works) {
    struct world world;
    world_open(&world);
    char endpoint[200];
    int n = snprintf(endpoint, sizeof endpoint, "ipc://%s/", world.directory);
    memset(endpoint + n, 'x', (size_t)(6 + 107 - n));
    endpoint[6 + 107] = 0;
    struct fed_lane *here = bind_control(&world, endpoint);
    expect_service(&world, here);
    fed_lane_close(here);
    unlink(endpoint + 6);
    world_close(&world);
}
END_TEST

TCase *addresses_cases(void) {
    TCase *cases = tcase_create("addresses");
    tcase_add_test(cases, a_live_ipc_socket_is_not_stolen);
    tcase_add_test(cases, an_ipc_socket_that_a_dead_process_left_is_taken_over);
    tcase_add_test(cases, a_file_at_an_ipc_path_is_not_deleted);
    tcase_add_test(cases, a_tcp_port_in_use_is_named);
    tcase_add_test(cases, an_address_that_cannot_be_bound_is_a_sentence);
    tcase_add_test(cases, an_ipc_path_of_107_bytes_works);
    return cases;
}
