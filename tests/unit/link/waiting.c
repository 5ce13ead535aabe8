/* What ends the waiting. */
#include <check.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/link/link.h"
#include "common/link/link_internal.h"
#include "tests/unit/link/cases.h"
#include "tests/unit/link_world.h"

START_TEST(poll_tells_which_descriptor_is_readable_among_many) {
    struct world world;
    world_open(&world);
    enum { PIPES = 40 };
    int ends[PIPES][2];
    struct fed_poll_item items[PIPES];
    for (int i = 0; i < PIPES; i++) {
        ck_assert_int_eq(pipe(ends[i]), 0);
        items[i] = (struct fed_poll_item){.fd = ends[i][0], .readable = true};
    }
    OK(fed_link_poll(world.server, items, PIPES, 0));
    for (int i = 0; i < PIPES; i++) {
        ck_assert(!items[i].readable);
    }
    ck_assert_int_eq(write(ends[37][1], "x", 1), 1);
    OK(fed_link_poll(world.server, items, PIPES, BOUND_MS));
    for (int i = 0; i < PIPES; i++) {
        ck_assert_int_eq(items[i].readable, i == 37);
        close(ends[i][0]);
        close(ends[i][1]);
    }
    world_close(&world);
}
END_TEST

static void ignore(int number) { (void)number; }

START_TEST(a_signal_ends_the_waiting_with_nothing_readable) {
    struct world world;
    world_open(&world);
    struct fed_lane *here = bind_bulk(&world, world.ipc);
    struct sigaction action = {.sa_handler = ignore};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval often = {.it_interval = {.tv_usec = 20000}, .it_value = {.tv_usec = 20000}};
    setitimer(ITIMER_REAL, &often, NULL);
    struct fed_poll_item item = {.lane = here, .readable = true, .event = true};
    OK(fed_link_poll(world.server, &item, 1, -1));
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0}}, NULL);
    ck_assert(!item.readable);
    ck_assert(!item.event);
    fed_lane_close(here);
    world_close(&world);
}
END_TEST

TCase *waiting_cases(void) {
    TCase *cases = tcase_create("waiting");
    tcase_add_test(cases, poll_tells_which_descriptor_is_readable_among_many);
    tcase_add_test(cases, a_signal_ends_the_waiting_with_nothing_readable);
    return cases;
}
