/* Strangers at fixed rates, for load tests on one machine: attacker CONTROL_PORT BULK_PORT COORDINATOR_LINE KIND=N...
 *
 *     idle=N      N TCP connections that never say a word, opened again when they are closed; not more of them knock at one
 *                 time than wait in the queue of a listener, and who is not let in within a second knocks anew
 *     dribble=N   N connections that say a valid greeting, one byte a second
 *     keys=N      N CURVE handshakes a second with keys that nobody knows
 *     garbage=N   N connections a second on each lane that say garbage: instead of a greeting, or in a frame behind one
 *     oversize=N  N connections a second that announce a frame of 512 MiB behind a greeting and push it until they are cut
 *
 * It speaks to 127.0.0.1 only. On SIGTERM, or when its standard input ends, it says in one line of JSON what it did. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/rng.h"
#include "common/link/link.h"
#include "common/seal/keys.h"
#include "common/seal/seal.h"

#define PEERS_MOST 8192
#define KEYS_MOST 256 /* handshakes that are open at a time */
#define KNOCKS_MOST                                                                                                         \
    32 /* idle peers that are not let in yet: more than the queue holds would be lost, and come ever more seldom */
#define KNOCK_MS 1000
#define TICK_MS 10
#define GREETING_BYTES 64
#define OVERSIZE ((uint64_t)512 << 20)
#define PUSH_BYTES ((size_t)256 << 10)

enum kind { IDLE, DRIBBLE, GARBAGE, OVERSIZED, KINDS };

struct peer {
    int fd;
    enum kind kind;
    unsigned lane, said;
    bool
        knocks; /* IDLE: not greeted yet; a connection may stand on this side alone, for want of room in the other's queue */
    uint64_t next_ms;
};

struct attack {
    uint16_t ports[2];
    struct fed_public_keys coordinator;
    uint64_t wanted[KINDS], keys_per_s; /* idle, dribble: peers; the others: a second */
    uint64_t owed[KINDS], owed_keys;    /* thousandths */
    struct peer peers[PEERS_MOST];
    size_t n_peers, n_of[KINDS], n_knocks;
    struct fed_link *link;
    struct {
        struct fed_lane *lane;
        struct fed_identity identity;
        uint64_t since_ms;
    } keys[KEYS_MOST];
    uint64_t opened[KINDS], cut[KINDS], refused_keys, pushed;
    unsigned turn;
};

static volatile sig_atomic_t stopped;
static void stop(int number) {
    (void)number;
    stopped = 1;
}

static _Noreturn void die(const char *what, const char *why) {
    fprintf(stderr, "attacker: %s: %s\n", what, why);
    exit(1);
}

/* -- raw peers ---------------------------------------------------------------------------------------------------------- */

static void fill_greeting(uint8_t greeting[GREETING_BYTES], unsigned lane) {
    memset(greeting, 0, GREETING_BYTES);
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    memcpy(greeting + 12, lane == 0 ? "CURVE" : "PLAIN", 5);
}

static size_t fill_words(uint8_t *bytes, const struct peer *peer) {
    if (peer->kind == GARBAGE && peer->said % 2 == 0) {
        fed_random_bytes(bytes, 200);
        return 200;
    }
    fill_greeting(bytes, peer->lane);
    uint8_t *frame = bytes + GREETING_BYTES;
    if (peer->kind == GARBAGE) {
        frame[0] = 0x04; /* a command of so many bytes */
        frame[1] = 100;
        fed_random_bytes(frame + 2, 100);
        return GREETING_BYTES + 102;
    }
    frame[0] = 0x06; /* a long command */
    for (int i = 0; i < 8; i++) {
        frame[1 + i] = (uint8_t)(OVERSIZE >> (56 - 8 * i));
    }
    return GREETING_BYTES + 9;
}

static bool open_peer(struct attack *a, enum kind kind, uint64_t now_ms) {
    if (a->n_peers == PEERS_MOST) {
        return false;
    }
    struct peer peer = {.kind = kind, .lane = a->turn % 2, .next_ms = now_ms + a->turn % 1000};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(a->ports[peer.lane])};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a->turn++;
    peer.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (peer.fd < 0) {
        die("socket", strerror(errno));
    }
    if (connect(peer.fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) {
        close(peer.fd);
        return false; /* the door is shut for a moment: tried again */
    }
    peer.said = kind == GARBAGE ? a->turn / 2 % 2 : 0;
    peer.knocks = kind == IDLE;
    peer.next_ms = kind == IDLE ? now_ms + KNOCK_MS : peer.next_ms;
    a->n_knocks += peer.knocks;
    a->peers[a->n_peers++] = peer;
    a->n_of[kind]++;
    a->opened[kind]++;
    return true;
}

static void close_peer(struct attack *a, size_t i) {
    close(a->peers[i].fd);
    a->n_knocks -= a->peers[i].knocks;
    a->cut[a->peers[i].kind]++;
    a->n_of[a->peers[i].kind]--;
    a->peers[i] = a->peers[--a->n_peers];
}

/* False: the connection is gone. */
static bool say(struct attack *a, struct peer *peer, uint64_t now_ms) {
    static uint8_t zeros[PUSH_BYTES];
    uint8_t bytes[512];
    ssize_t n = 0;
    if (peer->kind == DRIBBLE && now_ms >= peer->next_ms) {
        fill_greeting(bytes, peer->lane);
        n = send(peer->fd, bytes + peer->said % GREETING_BYTES, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        peer->said += n == 1;
        peer->next_ms = now_ms + 1000;
    } else if ((peer->kind == GARBAGE && peer->said < 2) || (peer->kind == OVERSIZED && peer->said == 0)) {
        n = send(peer->fd, bytes, fill_words(bytes, peer), MSG_NOSIGNAL | MSG_DONTWAIT);
        peer->said = n > 0 ? 2 : peer->said;
    } else if (peer->kind == OVERSIZED) {
        n = send(peer->fd, zeros, sizeof zeros, MSG_NOSIGNAL | MSG_DONTWAIT);
        a->pushed += n > 0 ? (uint64_t)n : 0;
    }
    return n >= 0 || errno == EAGAIN || errno == EINPROGRESS || errno == ENOTCONN;
}

/* What the other side says is read and forgotten. False: it has closed. */
static bool hear(const struct peer *peer) {
    uint8_t bytes[4096];
    ssize_t n = recv(peer->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN));
}

static void serve_peers(struct attack *a, uint64_t now_ms) {
    static struct pollfd set[PEERS_MOST];
    size_t n = a->n_peers;
    for (size_t i = 0; i < n; i++) {
        bool wants = a->peers[i].kind == OVERSIZED || (a->peers[i].kind == GARBAGE && a->peers[i].said < 2);
        set[i] = (struct pollfd){.fd = a->peers[i].fd, .events = (short)(wants ? POLLIN | POLLOUT : POLLIN)};
    }
    if (poll(set, n, TICK_MS) < 0) {
        return;
    }
    for (size_t i = n; i-- > 0;) { /* backwards: closing moves the last one here */
        struct peer *peer = &a->peers[i];
        bool gone =
            (set[i].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0 || ((set[i].revents & POLLIN) != 0 && !hear(peer));
        bool due = peer->kind == DRIBBLE || (set[i].revents & POLLOUT) != 0;
        if (peer->knocks && !gone && (set[i].revents & POLLIN) != 0) {
            peer->knocks = false;
            a->n_knocks--;
        }
        bool in_vain = peer->knocks && now_ms >= peer->next_ms;
        if (gone || in_vain || (due && !say(a, peer, now_ms))) {
            close_peer(a, i);
        }
    }
}

/* -- handshakes --------------------------------------------------------------------------------------------------------- */

static void shake(struct attack *a, size_t i, uint64_t now_ms) {
    struct fed_error err;
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", a->ports[0]);
    if (fed_identity_generate(&a->keys[i].identity, &err) != FED_OK ||
        fed_lane_connect_control(&a->keys[i].lane, a->link, endpoint, &a->keys[i].identity, a->coordinator.curve, 65536,
                                 &err) != FED_OK) {
        die("handshake", err.text);
    }
    a->keys[i].since_ms = now_ms;
}

static void end_shake(struct attack *a, size_t i) {
    fed_lane_close(a->keys[i].lane);
    fed_identity_fini(&a->keys[i].identity);
    a->keys[i].lane = NULL;
}

static void serve_keys(struct attack *a, uint64_t now_ms) {
    for (size_t i = 0; i < KEYS_MOST; i++) {
        if (a->keys[i].lane == NULL && a->owed_keys >= 1000) {
            a->owed_keys -= 1000;
            shake(a, i, now_ms);
        } else if (a->keys[i].lane != NULL) {
            bool refused = fed_lane_event(a->keys[i].lane) == FED_LINK_REFUSED;
            a->refused_keys += refused;
            if (refused || now_ms > a->keys[i].since_ms + 3000) {
                end_shake(a, i);
            }
        }
    }
}

/* -- the attack --------------------------------------------------------------------------------------------------------- */

static void keep_rates(struct attack *a, uint64_t passed_ms, uint64_t now_ms) {
    for (int kind = 0; kind < KINDS; kind++) {
        if (kind == IDLE || kind == DRIBBLE) { /* not all in one moment: a storm is another test */
            for (int i = 0; i < 64 && a->n_of[kind] < a->wanted[kind] && (kind != IDLE || a->n_knocks < KNOCKS_MOST) &&
                            open_peer(a, (enum kind)kind, now_ms);
                 i++) {
            }
            continue;
        }
        uint64_t lanes = kind == GARBAGE ? 2 : 1;
        a->owed[kind] += passed_ms * a->wanted[kind] * lanes;
        while (a->owed[kind] >= 1000 && open_peer(a, (enum kind)kind, now_ms)) {
            a->owed[kind] -= 1000;
        }
    }
    a->owed_keys += passed_ms * a->keys_per_s;
}

static void read_arguments(struct attack *a, int argc, char **argv) {
    static const char *const names[KINDS] = {"idle=", "dribble=", "garbage=", "oversize="};
    struct fed_error err;
    if (argc < 5) {
        die("usage", "attacker CONTROL_PORT BULK_PORT COORDINATOR_LINE KIND=N...");
    }
    a->ports[0] = (uint16_t)atoi(argv[1]);
    a->ports[1] = (uint16_t)atoi(argv[2]);
    if (fed_public_parse(&a->coordinator, argv[3], &err) != FED_OK) {
        die("key", err.text);
    }
    for (int i = 4; i < argc; i++) {
        bool known = strncmp(argv[i], "keys=", 5) == 0;
        a->keys_per_s = known ? strtoull(argv[i] + 5, NULL, 10) : a->keys_per_s;
        for (int kind = 0; kind < KINDS; kind++) {
            size_t n = strlen(names[kind]);
            if (strncmp(argv[i], names[kind], n) == 0) {
                a->wanted[kind] = strtoull(argv[i] + n, NULL, 10);
                known = true;
            }
        }
        if (!known) {
            die("kind", argv[i]);
        }
    }
}

static bool input_ended(void) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char byte;
    return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, &byte, 1) == 0;
}

int main(int argc, char **argv) {
    static struct attack attack;
    struct fed_error err;
    struct rlimit files;
    read_arguments(&attack, argc, argv);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files); /* what is too little shows at the first socket too many */
    }
    if (fed_seal_setup(&err) != FED_OK || fed_link_new(&attack.link, 1, KEYS_MOST, NULL, &err) != FED_OK) {
        die("start", err.text);
    }
    signal(SIGTERM, stop);
    printf("ready\n");
    fflush(stdout);
    for (uint64_t last_ms = fed_clock_ms(); !stopped && !input_ended();) {
        uint64_t now_ms = fed_clock_ms();
        keep_rates(&attack, now_ms - last_ms, now_ms);
        last_ms = now_ms;
        serve_peers(&attack, now_ms);
        serve_keys(&attack, now_ms);
    }
    printf("{\"idle\": %llu, \"dribble\": %llu, \"garbage\": %llu, \"oversize\": %llu, \"cut\": %llu, \"keys\": %llu, "
           "\"pushed\": %llu}\n",
           (unsigned long long)attack.opened[IDLE], (unsigned long long)attack.opened[DRIBBLE],
           (unsigned long long)attack.opened[GARBAGE], (unsigned long long)attack.opened[OVERSIZED],
           (unsigned long long)(attack.cut[IDLE] + attack.cut[DRIBBLE] + attack.cut[GARBAGE] + attack.cut[OVERSIZED]),
           (unsigned long long)attack.refused_keys, (unsigned long long)attack.pushed);
    fflush(stdout);
    _exit(0); /* connections that are half open need no farewell */
}
