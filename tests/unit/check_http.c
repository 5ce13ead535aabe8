/* The page for programs, asked over a real socket by a client that knows no more of HTTP than is written here. */
#include "coordinator/http/http.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "coordinator/http/http_places.h"
#include "tests/unit/scratch_run.h"

static struct fed_board *board;
static struct fed_news *news;
static struct fed_page *page;
static struct fed_http *http;

/* The loop turns, at this attempt. */
static void show(uint32_t attempt) {
    struct fed_board_now now;
    memset(&now, 0, sizeof now);
    now.live.attempt = attempt;
    strcpy(now.live.phase, "collect");
    fed_board_put(board, &now, fed_clock_ms());
}

static int open_at(struct fed_http **out, const char *bind, struct fed_error *err) {
    return fed_http_new(out, &(struct fed_http_config){.bind = bind, .what = "server.http", .page = page}, err);
}

static void start(void) {
    struct fed_error err = {""};
    scratch_open();
    ck_assert_int_eq(fed_board_new(&board), FED_OK);
    ck_assert_int_eq(fed_news_new(&news), FED_OK);
    ck_assert_msg(fed_page_new(&page, scratch_dir, board, news, &err) == FED_OK, "%s", err.text);
    ck_assert_msg(open_at(&http, "127.0.0.1:0", &err) == FED_OK, "%s", err.text);
    ck_assert_uint_ne(fed_http_port(http), 0);
    show(1);
}

static void stop(void) {
    fed_http_free(http);
    fed_page_free(page);
    fed_board_free(board);
    fed_news_free(news);
    scratch_remove();
}

static int begin(uint16_t port, const char *request) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    return fd;
}

/* Sends the bytes, returns all that comes back until the other side closes. */
static const char *exchange(uint16_t port, const char *request) {
    static char reply[64 * 1024];
    int fd = begin(port, request);
    size_t n = 0;
    for (ssize_t got; n < sizeof reply - 1 && (got = recv(fd, reply + n, sizeof reply - 1 - n, 0)) > 0; n += (size_t)got) {
    }
    reply[n] = '\0';
    close(fd);
    return reply;
}

static const char *ask(const char *method, const char *path, const char *host) {
    char request[512];
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", method, path, host);
    return exchange(fed_http_port(http), request);
}

static int status_of(const char *reply) {
    int status = 0;
    sscanf(reply, "HTTP/1.1 %d", &status);
    return status;
}

static const char *body_of(const char *reply) {
    const char *end = strstr(reply, "\r\n\r\n");
    ck_assert_msg(end != NULL, "%s", reply);
    return end + 4;
}

START_TEST(status_is_what_the_run_and_the_loop_say) {
    scratch_commit(0, 0, NULL, 0);
    const char *reply = ask("GET", "/api/v1/status", "localhost");
    ck_assert_int_eq(status_of(reply), 200);
    ck_assert_ptr_nonnull(strstr(reply, "Content-Type: application/json"));
    ck_assert_ptr_nonnull(strstr(body_of(reply), "\"state\":\"collect\",\"round\":0,"));
    ck_assert_ptr_nonnull(strstr(body_of(reply), "\"attempt\":1,"));
    scratch_commit(1, 2, NULL, 0);
    show(7);
    reply = ask("GET", "/api/v1/status", "localhost");
    ck_assert_ptr_nonnull(strstr(body_of(reply), "\"round\":1,"));
    ck_assert_ptr_nonnull(strstr(body_of(reply), "\"attempt\":7,"));
}
END_TEST

START_TEST(every_answer_says_how_to_treat_it) {
    static const char *const paths[] = {"/healthz", "/api/v1/status", "/nothing"};
    for (size_t i = 0; i < 3; i++) {
        const char *reply = ask("GET", paths[i], "localhost");
        ck_assert_ptr_nonnull(strstr(reply, "Cache-Control: no-store"));
        ck_assert_ptr_nonnull(strstr(reply, "X-Content-Type-Options: nosniff"));
        ck_assert_ptr_null(strstr(reply, "Access-Control-Allow"));
    }
}
END_TEST

START_TEST(health_is_ok_and_head_has_no_body) {
    ck_assert_str_eq(body_of(ask("GET", "/healthz", "localhost")), "ok\n");
    const char *reply = ask("HEAD", "/healthz", "localhost");
    ck_assert_int_eq(status_of(reply), 200);
    ck_assert_ptr_nonnull(strstr(reply, "Content-Length: 3"));
    ck_assert_str_eq(body_of(reply), "");
}
END_TEST

START_TEST(other_paths_and_methods_are_refused) {
    static const char *const paths[] = {"/nothing",   "/api/v1/status/", "/api/v1",
                                        "/healthz/x", "/../etc/passwd",  "/HEALTHZ"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const char *reply = ask("GET", paths[i], "localhost");
        ck_assert_msg(status_of(reply) == 404, "%s: %s", paths[i], reply);
        ck_assert_ptr_nonnull(strstr(body_of(reply), "\"error\""));
    }
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const char *reply = ask(methods[i], "/healthz", "localhost");
        ck_assert_msg(status_of(reply) == 405, "%s: %s", methods[i], reply);
        ck_assert_ptr_nonnull(strstr(reply, "Allow: GET, HEAD"));
    }
}
END_TEST

START_TEST(body_is_dropped) {
    const char *reply = exchange(fed_http_port(http), "POST /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                                                      "Content-Length: 5\r\n\r\nhello");
    ck_assert_int_eq(status_of(reply), 405);
}
END_TEST

static const struct {
    const char *host;
    bool ours;
} hosts[] = {
    {"localhost", true},
    {"LocalHost:5680", true},
    {"127.0.0.1", true},
    {"127.0.0.1:80", true},
    {"[::1]", true},
    {"[::1]:5680", true},
    {"evil.example", false},
    {"evil.example:5680", false},
    {"localhost.evil.example", false},
    {"127.0.0.1.evil.example", false},
    {"10.0.0.1", false},
    {"[fe80::1]:80", false},
    {"127.0.0.1@evil.example", false},
    {"127.0.0.2:80", true},
    {"a-name-that-is-longer-than-any-address-could-ever-be-in-text-form-and-then-some:80", false},
};

START_TEST(name_that_points_here_is_not_enough) {
    int status = status_of(ask("GET", "/healthz", hosts[_i].host));
    ck_assert_msg(status == (hosts[_i].ours ? 200 : 403), "%s: %d", hosts[_i].host, status);
}
END_TEST

START_TEST(request_of_two_minds_is_refused) {
    static const char twice[] =
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    ck_assert_int_eq(status_of(exchange(fed_http_port(http), twice)), 400);
    static const char *const none[] = {"::1", "", ":5680", "[", "]", "localhost:", "localhost:x", "localhost:1:2", "[::1"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        int status = status_of(ask("GET", "/healthz", none[i]));
        ck_assert_msg(status == 400 || status == 403, "%s: %d", none[i], status);
    }
}
END_TEST

START_TEST(request_without_host_gets_nothing) {
    int status = status_of(exchange(fed_http_port(http), "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n"));
    ck_assert(status == 403 || status == 400);
    ck_assert_ptr_null(strstr(exchange(fed_http_port(http), "GET /healthz HTTP/1.0\r\n\r\n"), "ok\n"));
}
END_TEST

START_TEST(noise_is_survived) {
    char line[40000];
    memset(line, 'a', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    memcpy(line, "GET /", 5);
    memcpy(line + sizeof line - 5, "\r\n\r\n", 4);
    ck_assert_int_ne(status_of(exchange(fed_http_port(http), line)), 200);
    ck_assert_int_ne(status_of(exchange(fed_http_port(http), "\x16\x03\x01\x02\r\n\r\n")), 200);
    ck_assert_int_eq(status_of(ask("GET", "/healthz", "localhost")), 200);
}
END_TEST

/* Reads until the text has come or the other side closes. */
static void read_until(int fd, char *reply, size_t room, const char *text) {
    size_t n = strlen(reply);
    for (ssize_t got; (text == NULL || strstr(reply, text) == NULL) && (got = recv(fd, reply + n, room - 1 - n, 0)) > 0;) {
        n += (size_t)got;
        reply[n] = '\0';
    }
}

START_TEST(who_reads_the_stream_hears_how_it_ends) {
    static char first[64 * 1024], rest[64 * 1024];
    const char request[] = "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
    int fd = begin(fed_http_port(http), request);
    read_until(fd, first, sizeof first, "\"attempt\":1");
    ck_assert_ptr_nonnull(strstr(first, "event: status"));
    show(77);
    fed_news_add(news, fed_clock_wall_ms(), FED_NEWS_FINISHED, "the run is finished");
    fed_http_free(http);
    http = NULL;
    read_until(fd, rest, sizeof rest, NULL);
    ck_assert_msg(strstr(rest, "\"attempt\":77") != NULL, "%s", rest);
    ck_assert_msg(strstr(rest, "the run is finished") != NULL, "%s", rest);
    size_t n = strlen(rest);
    ck_assert_msg(n > 5 && strcmp(rest + n - 5, "0\r\n\r\n") == 0, "it was cut off: %s", rest);
    close(fd);
}
END_TEST

/* Three times as many as there are places begin a request and never end it. */
START_TEST(who_dribbles_keeps_nobody_waiting) {
    enum { DRIBBLERS = 200, NEWEST = 40 };
    static char stream[64 * 1024];
    char byte;
    int fd[DRIBBLERS];
    int reader = begin(fed_http_port(http), "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    read_until(reader, stream, sizeof stream, "\"attempt\":1");
    for (int i = 0; i < DRIBBLERS; i++) {
        fd[i] = begin(fed_http_port(http), "GET /healthz HTTP/1.1\r\nHost: local");
        (void)send(fd[i / 2], "h", 1, MSG_NOSIGNAL); /* a byte now and then, of those who are still there */
        if (i % 20 == 0) {
            ck_assert_str_eq(body_of(ask("GET", "/healthz", "localhost")), "ok\n");
        }
    }
    ck_assert_str_eq(body_of(ask("GET", "/healthz", "localhost")), "ok\n");
    for (int i = 0; i < DRIBBLERS; i++) {
        if (i < DRIBBLERS - (int)FED_PLACES) {
            ck_assert_msg(recv(fd[i], &byte, 1, 0) <= 0, "%d of %d, long there, was told something", i, DRIBBLERS);
        } else if (i >= DRIBBLERS - NEWEST) {
            ck_assert_msg(recv(fd[i], &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN, "%d of %d had to go", i, DRIBBLERS);
        }
    }
    show(2);
    fed_http_poke(http, fed_clock_ms());
    read_until(reader, stream, sizeof stream, "\"attempt\":2");
    ck_assert_ptr_nonnull(strstr(stream, "\"attempt\":2"));
    for (int i = 0; i < DRIBBLERS; i++) {
        close(fd[i]);
    }
    close(reader);
}
END_TEST

START_TEST(address_in_use_is_said) {
    char bind[32];
    struct fed_http *second = NULL;
    struct fed_error err = {""};
    snprintf(bind, sizeof bind, "127.0.0.1:%u", fed_http_port(http));
    ck_assert_int_eq(open_at(&second, bind, &err), FED_EADDRESS);
    ck_assert_ptr_null(second);
    ck_assert_msg(strstr(err.text, bind) != NULL && strstr(err.text, "in use") != NULL, "%s", err.text);
}
END_TEST

START_TEST(address_is_free_again_after_free) {
    char bind[32];
    snprintf(bind, sizeof bind, "127.0.0.1:%u", fed_http_port(http));
    ck_assert_int_eq(status_of(ask("GET", "/healthz", "localhost")), 200);
    fed_http_free(http);
    ck_assert_int_eq(open_at(&http, bind, NULL), FED_OK);
    ck_assert_int_eq(status_of(ask("GET", "/healthz", "localhost")), 200);
}
END_TEST

START_TEST(only_loopback_and_sockets_are_listened_on) {
    static const char *const texts[] = {"",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        "127.0.0.1:65536",
                                        "127.0.0.1:-1",
                                        "::1:80",
                                        "127.0.0.1:80x",
                                        "localhost:80",
                                        "[127.0.0.1]:80",
                                        "[::1:80",
                                        "[::1]",
                                        "127.0.0.1: 80",
                                        "1.2.3:80",
                                        "*:80",
                                        "[]:80",
                                        "0.0.0.0:80",
                                        "[::]:80",
                                        "10.0.0.1:80",
                                        "192.168.1.1:80",
                                        "[fe80::1]:80",
                                        ":80",
                                        "unix:",
                                        "127.0.0.1:99999999999999999999"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct fed_http *other = NULL;
        struct fed_error err = {""};
        ck_assert_msg(open_at(&other, texts[i], &err) == FED_ECONFIG, "%s", texts[i]);
        ck_assert_msg(strstr(err.text, "a proxy that speaks TLS") != NULL, "%s", err.text);
    }
}
END_TEST

START_TEST(another_port_will_do_only_where_that_is_said) {
    char bind[32];
    struct fed_http *other = NULL;
    snprintf(bind, sizeof bind, "127.0.0.1:%u", fed_http_port(http));
    struct fed_http_config config = {.bind = bind, .what = "server.http", .page = page, .may_move = true};
    ck_assert_int_eq(fed_http_new(&other, &config, NULL), FED_OK);
    ck_assert_uint_ne(fed_http_port(other), fed_http_port(http));
    snprintf(bind, sizeof bind, "http://127.0.0.1:%u/", fed_http_port(other));
    ck_assert_str_eq(fed_http_url(other), bind);
    fed_http_free(other);
}
END_TEST

/* -- a socket in the file system -- */

static char socket_bind[64];
static const char *socket_path(void) {
    snprintf(socket_bind, sizeof socket_bind, "unix:%s/page", scratch_dir);
    return socket_bind + strlen("unix:");
}

static int connect_file(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

START_TEST(socket_is_its_owners_and_goes_with_the_server) {
    struct fed_http *other = NULL;
    struct stat file;
    const char *path = socket_path();
    mode_t mask = umask(0);
    ck_assert_int_eq(open_at(&other, socket_bind, NULL), FED_OK);
    umask(mask);
    ck_assert_int_eq(stat(path, &file), 0);
    ck_assert(S_ISSOCK(file.st_mode));
    ck_assert_uint_eq(file.st_mode & 07777, 0600);
    ck_assert_str_eq(fed_http_url(other), socket_bind);
    static const char request[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    char reply[2048] = "";
    int fd = connect_file(path);
    ck_assert_int_eq(send(fd, request, strlen(request), 0), (ssize_t)strlen(request));
    ck_assert_int_gt(recv(fd, reply, sizeof reply - 1, MSG_WAITALL), 0);
    ck_assert_int_eq(status_of(reply), 200);
    close(fd);
    fed_http_free(other);
    ck_assert_int_ne(stat(path, &file), 0);
}
END_TEST

START_TEST(dead_socket_is_replaced_and_a_live_one_is_not) {
    struct fed_http *first = NULL, *second = NULL;
    struct fed_error err = {""};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = socket_path();
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(dead, (struct sockaddr *)&address, sizeof address), 0);
    close(dead); /* as a process leaves it that was killed */
    ck_assert_int_eq(open_at(&first, socket_bind, NULL), FED_OK);
    ck_assert_int_eq(open_at(&second, socket_bind, &err), FED_EADDRESS);
    ck_assert_msg(strstr(err.text, "in use") != NULL, "%s", err.text);
    int fd = connect_file(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    fed_http_free(first);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fclose(file);
    ck_assert_int_eq(open_at(&second, socket_bind, &err), FED_EADDRESS);
    ck_assert_msg(strstr(err.text, "no socket") != NULL, "%s", err.text);
}
END_TEST

int main(void) {
    TCase *core = tcase_create("core");
    tcase_add_checked_fixture(core, start, stop);
    tcase_add_test(core, status_is_what_the_run_and_the_loop_say);
    tcase_add_test(core, every_answer_says_how_to_treat_it);
    tcase_add_test(core, health_is_ok_and_head_has_no_body);
    tcase_add_test(core, other_paths_and_methods_are_refused);
    tcase_add_test(core, body_is_dropped);
    tcase_add_loop_test(core, name_that_points_here_is_not_enough, 0, sizeof hosts / sizeof *hosts);
    tcase_add_test(core, request_without_host_gets_nothing);
    tcase_add_test(core, noise_is_survived);
    tcase_add_test(core, who_reads_the_stream_hears_how_it_ends);
    tcase_add_test(core, who_dribbles_keeps_nobody_waiting);
    tcase_add_test(core, address_in_use_is_said);
    tcase_add_test(core, address_is_free_again_after_free);
    tcase_add_test(core, request_of_two_minds_is_refused);
    tcase_add_test(core, only_loopback_and_sockets_are_listened_on);
    tcase_add_test(core, another_port_will_do_only_where_that_is_said);
    tcase_add_test(core, socket_is_its_owners_and_goes_with_the_server);
    tcase_add_test(core, dead_socket_is_replaced_and_a_live_one_is_not);
    Suite *suite = suite_create("http");
    suite_add_tcase(suite, core);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
