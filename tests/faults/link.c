/* A bad network on one machine: a coordinator's network namespace and one for each node, joined by links that lose, delay,
 * throttle, reorder and cut, packet by packet. The kernels at both ends and everything above are the real ones.
 *
 *     link SEED NODES      prints "host 0 PATH 10.77.0.1" (the coordinator), "host 1 PATH 10.77.0.2" ..., then "ready"
 *
 * PATH names a namespace (nsenter --net=PATH). Namespaces and devices are nowhere else, so all of it is gone when this
 * process and those inside are. Lines on standard input, each answered by "ok" or "error WHY":
 *
 *     set NODE DIRECTION KEY VALUE...    of one or several: loss (per cent), delay (ms), jitter (per cent of the delay),
 *                                        rate (kbit/s; 0 = no limit), queue (bytes that may wait for the rate; what
 *                                        comes then is dropped), reorder (0 or 1)
 *
 *     cut NODE DIRECTION [MS]            nothing passes; with MS it heals by itself then, and says "healed NODE"
 *
 *     cut-after NODE DIRECTION BYTES     when so many more bytes have passed all is cut, both ways: says "cut NODE"
 *
 *     heal NODE DIRECTION
 *
 *     mark-after NODE DIRECTION BYTES    when so many more bytes have passed: says "passed NODE MICROSECONDS"
 *
 *     forget NODE                        a router lost its table: connections of before are answered with resets
 *
 *     address HOST A.B.C.D               the host has this address, and the old one no longer
 *
 *     count NODE                         says "count NODE up PACKETS BYTES LOST FULL CUT down PACKETS ..."
 *
 * DIRECTION is up (towards the coordinator), down or both. Each direction draws from its own stream: the k-th packet of a
 * direction meets the same luck for the same seed. Needs root and /dev/net/tun; exits with 77 and a sentence without. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { HOSTS_MAX = 64, PACKET_MAX = 2048, WORDS_MAX = 16, LINE_MAX_BYTES = 512, SKIPPED = 77 };
enum { UP, DOWN };
static const char *const direction_names[] = {"up", "down"};

struct pipe {            /* one direction of one node's link */
    double loss, jitter; /* parts of 1 */
    uint64_t delay_us, rate_bps, queue_bytes;
    bool reorder, cut;
    uint64_t random;                     /* state of its stream */
    uint64_t busy_until_us, last_due_us; /* the last bit of what was let in leaves, and arrives */
    uint64_t cut_after;                  /* bytes still to pass before everything is cut; 0 = never */
    uint64_t mark_after;                 /* the count at which to say so; 0 = never */
    uint64_t n_packets, n_bytes, n_lost, n_full, n_cut;
};

enum { PORTS = 65536, TCP = 6, FLAG_SYN = 2, FLAG_RST = 4, FLAG_ACK = 16 };

struct host { /* 0 is the coordinator, whose device has no limits of its own */
    int namespace, tun, config;
    struct in_addr address;
    struct pipe pipes[2];
    uint64_t heals_us; /* 0 = not by itself */
    uint16_t epoch;    /* how often its connections were forgotten */
    uint16_t *known;   /* (PORTS) of the node: the epoch in which a connection of that port began */
};

struct packet {
    uint64_t due_us, order;
    size_t node;
    int direction;
    size_t n;
    uint8_t bytes[];
};

static struct host hosts[HOSTS_MAX];
static size_t n_hosts;
static struct packet **heap; /* by when they are due */
static size_t n_heap, heap_room;
static uint64_t next_order;

static void die(int code, const char *format, ...) {
    va_list list;
    va_start(list, format);
    fputs("link: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    exit(code);
}

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* splitmix64, as a double in [0, 1) */
static double draw(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* -- packets on their way ----------------------------------------------------------------------------------------------- */

static bool sooner(const struct packet *a, const struct packet *b) {
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void push(struct packet *packet) {
    if (n_heap == heap_room) {
        heap_room = heap_room > 0 ? 2 * heap_room : 256;
        heap = realloc(heap, heap_room * sizeof *heap);
        if (heap == NULL) {
            die(1, "out of memory");
        }
    }
    size_t i = n_heap++;
    for (; i > 0 && sooner(packet, heap[(i - 1) / 2]); i = (i - 1) / 2) {
        heap[i] = heap[(i - 1) / 2];
    }
    heap[i] = packet;
}

static struct packet *pop(void) {
    struct packet *first = heap[0], *last = heap[--n_heap];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < n_heap; i = child) {
        child += child + 1 < n_heap && sooner(heap[child + 1], heap[child]);
        if (!sooner(heap[child], last)) {
            break;
        }
        heap[i] = heap[child];
    }
    if (n_heap > 0) {
        heap[i] = last;
    }
    return first;
}

/* When a packet arrives that enters now, or 0: it does not. Both draws are made for every packet, whatever becomes of it. */
static uint64_t due(struct pipe *pipe, size_t n, uint64_t now) {
    bool lost = draw(&pipe->random) < pipe->loss;
    double swing = 1 + pipe->jitter * (2 * draw(&pipe->random) - 1);
    uint64_t start = pipe->busy_until_us > now ? pipe->busy_until_us : now;
    if (pipe->cut) {
        pipe->n_cut++;
        return 0;
    }
    if (pipe->rate_bps > 0) {
        if ((start - now) * pipe->rate_bps / 8000000 + n > pipe->queue_bytes) {
            pipe->n_full++;
            return 0;
        }
        start += n * 8000000 / pipe->rate_bps;
        pipe->busy_until_us = start; /* a packet that is lost has used the line up to there */
    }
    if (lost) {
        pipe->n_lost++;
        return 0;
    }
    uint64_t arrives = start + (uint64_t)((double)pipe->delay_us * swing);
    if (!pipe->reorder && arrives < pipe->last_due_us) {
        arrives = pipe->last_due_us;
    }
    pipe->last_due_us = arrives;
    return arrives;
}

/* -- connections that were forgotten --------------------------------------------------------------------------------------
 */

static uint32_t sum16(const uint8_t *bytes, size_t n) {
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < n; i += 2) {
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    }
    return sum;
}

static void put_checksum(uint8_t *at, uint32_t sum) {
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    at[0] = (uint8_t)(~sum >> 8);
    at[1] = (uint8_t)~sum;
}

/* The answer of a router to a packet of a connection that it does not know: a reset with the number that its sender expects
 * next, from the one it speaks to. */
static void answer_with_reset(int tun, const uint8_t *packet, size_t n_ip) {
    const uint8_t *tcp = packet + n_ip;
    uint8_t reset[40] = {0x45, [3] = sizeof reset, [8] = 64, [9] = TCP};
    memcpy(reset + 12, packet + 16, 4);
    memcpy(reset + 16, packet + 12, 4);
    memcpy(reset + 20, tcp + 2, 2);
    memcpy(reset + 22, tcp, 2);
    memcpy(reset + 24, tcp + 8, 4);
    reset[32] = 5 << 4;
    reset[33] = FLAG_RST;
    put_checksum(reset + 10, sum16(reset, 20));
    put_checksum(reset + 36, sum16(reset + 12, 28) + TCP + 20);
    if (write(tun, reset, sizeof reset) != (ssize_t)sizeof reset) {
        die(1, "a reset does not reach its host: %s", strerror(errno));
    }
}

/* Whether the packet's connection still exists for the router; the sender of one that does not is told. */
static bool known(struct host *node, int direction, int tun, const uint8_t *bytes, size_t n) {
    size_t n_ip = (size_t)(bytes[0] & 15) * 4;
    if (bytes[9] != TCP || n < n_ip + 20) {
        return true;
    }
    const uint8_t *tcp = bytes + n_ip, *end = tcp + (direction == UP ? 0 : 2);
    size_t port = (size_t)end[0] << 8 | end[1];
    if ((tcp[13] & FLAG_SYN) && direction == UP) {
        node->known[port] = node->epoch;
    }
    if (node->known[port] == node->epoch || (tcp[13] & FLAG_RST)) {
        return true;
    }
    if (tcp[13] & FLAG_ACK) {
        answer_with_reset(tun, bytes, n_ip);
    }
    return false;
}

/* Whose link a packet takes: that of the node among sender and receiver. 0: it goes nowhere. */
static size_t route(int *direction, size_t from, const uint8_t *bytes, size_t n) {
    uint32_t target;
    if (n < 20 || bytes[0] >> 4 != 4) {
        return 0;
    }
    memcpy(&target, bytes + 16, sizeof target);
    if (from > 0) {
        *direction = UP;
        return target == hosts[0].address.s_addr ? from : 0;
    }
    *direction = DOWN;
    for (size_t i = 1; i < n_hosts; i++) {
        if (hosts[i].address.s_addr == target) {
            return i;
        }
    }
    return 0;
}

static void take_in(size_t from) {
    uint8_t bytes[PACKET_MAX];
    for (ssize_t n; (n = read(hosts[from].tun, bytes, sizeof bytes)) > 0;) {
        int direction;
        size_t node = route(&direction, from, bytes, (size_t)n);
        bool passes = node > 0 && known(&hosts[node], direction, hosts[from].tun, bytes, (size_t)n);
        uint64_t at = passes ? due(&hosts[node].pipes[direction], (size_t)n, now_us()) : 0;
        if (at > 0) {
            struct packet *packet = malloc(sizeof *packet + (size_t)n);
            if (packet == NULL) {
                die(1, "out of memory");
            }
            *packet = (struct packet){at, next_order++, node, direction, (size_t)n};
            memcpy(packet->bytes, bytes, (size_t)n);
            push(packet);
        }
    }
}

static void hand_out(struct packet *packet) {
    struct host *node = &hosts[packet->node];
    struct pipe *pipe = &node->pipes[packet->direction];
    int tun = packet->direction == UP ? hosts[0].tun : node->tun;
    if (pipe->cut || write(tun, packet->bytes, packet->n) != (ssize_t)packet->n) {
        pipe->n_cut++;
        return;
    }
    pipe->n_packets++;
    pipe->n_bytes += packet->n;
    if (pipe->mark_after > 0 && pipe->n_bytes >= pipe->mark_after) {
        pipe->mark_after = 0;
        printf("passed %zu %llu\n", packet->node, (unsigned long long)now_us());
    }
    if (pipe->cut_after > 0 && pipe->n_bytes >= pipe->cut_after) {
        pipe->cut_after = 0;
        node->pipes[UP].cut = node->pipes[DOWN].cut = true;
        printf("cut %zu\n", packet->node);
    }
}

static void heal(size_t node, unsigned directions) {
    for (int d = UP; d <= DOWN; d++) {
        hosts[node].pipes[d].cut = hosts[node].pipes[d].cut && !(directions & 1u << d);
    }
    hosts[node].heals_us = 0;
}

/* Everything that is due by now; returns when something will be, UINT64_MAX = nothing known. */
static uint64_t deliver(void) {
    uint64_t now = now_us(), next = UINT64_MAX;
    while (n_heap > 0 && heap[0]->due_us <= now) {
        struct packet *packet = pop();
        hand_out(packet);
        free(packet);
    }
    for (size_t i = 1; i < n_hosts; i++) {
        if (hosts[i].heals_us > 0 && hosts[i].heals_us <= now) {
            heal(i, 1u << UP | 1u << DOWN);
            printf("healed %zu\n", i);
        }
        next = hosts[i].heals_us > 0 && hosts[i].heals_us < next ? hosts[i].heals_us : next;
    }
    return n_heap > 0 && heap[0]->due_us < next ? heap[0]->due_us : next;
}

/* -- commands ----------------------------------------------------------------------------------------------------------- */

static bool set_value(struct pipe *pipe, const char *key, double value) {
    if (strcmp(key, "loss") == 0) {
        pipe->loss = value / 100;
    } else if (strcmp(key, "delay") == 0) {
        pipe->delay_us = (uint64_t)(value * 1000);
    } else if (strcmp(key, "jitter") == 0) {
        pipe->jitter = value / 100;
    } else if (strcmp(key, "rate") == 0) {
        pipe->rate_bps = (uint64_t)(value * 1000);
    } else if (strcmp(key, "queue") == 0) {
        pipe->queue_bytes = (uint64_t)value;
    } else if (strcmp(key, "reorder") == 0) {
        pipe->reorder = value != 0;
    } else {
        return false;
    }
    return true;
}

static const char *command_set(size_t node, unsigned directions, char **words, size_t n) {
    for (size_t i = 0; i + 1 < n; i += 2) {
        for (int d = UP; d <= DOWN; d++) {
            if ((directions & 1u << d) && !set_value(&hosts[node].pipes[d], words[i], atof(words[i + 1]))) {
                return "unknown key";
            }
        }
    }
    return n % 2 == 0 && n > 0 ? NULL : "a key without a value";
}

static const char *command_cut(size_t node, unsigned directions, uint64_t ms) {
    for (int d = UP; d <= DOWN; d++) {
        hosts[node].pipes[d].cut = hosts[node].pipes[d].cut || (directions & 1u << d);
    }
    hosts[node].heals_us = ms > 0 ? now_us() + ms * 1000 : 0;
    return NULL;
}

static const char *command_after(size_t node, unsigned directions, uint64_t bytes, bool cut) {
    for (int d = UP; d <= DOWN; d++) {
        struct pipe *pipe = &hosts[node].pipes[d];
        if (directions & 1u << d) {
            *(cut ? &pipe->cut_after : &pipe->mark_after) = pipe->n_bytes + bytes;
        }
    }
    return NULL;
}

static void command_count(size_t node) {
    printf("count %zu", node);
    for (int d = UP; d <= DOWN; d++) {
        const struct pipe *p = &hosts[node].pipes[d];
        printf(" %s %llu %llu %llu %llu %llu", direction_names[d], (unsigned long long)p->n_packets,
               (unsigned long long)p->n_bytes, (unsigned long long)p->n_lost, (unsigned long long)p->n_full,
               (unsigned long long)p->n_cut);
    }
    printf("\n");
}

/* Replaces what was there. All hosts are neighbours, whatever their numbers: the mask is that of 10.0.0.0. */
static bool set_address(struct host *host, struct in_addr address) {
    struct ifreq request = {.ifr_name = "link"};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = address};
    memcpy(&request.ifr_addr, &in, sizeof in);
    if (ioctl(host->config, SIOCSIFADDR, &request) != 0) {
        return false;
    }
    host->address = address;
    in.sin_addr.s_addr = htonl(0xff000000);
    memcpy(&request.ifr_netmask, &in, sizeof in);
    return ioctl(host->config, SIOCSIFNETMASK, &request) == 0;
}

static const char *command_address(size_t host, const char *text) {
    struct in_addr address;
    return inet_pton(AF_INET, text, &address) == 1 && set_address(&hosts[host], address) ? NULL : "not an address";
}

static unsigned parse_direction(const char *word) {
    return strcmp(word, "up") == 0     ? 1u << UP
           : strcmp(word, "down") == 0 ? 1u << DOWN
           : strcmp(word, "both") == 0 ? 1u << UP | 1u << DOWN
                                       : 0;
}

/* NULL, or what is wrong. */
static const char *obey(char **words, size_t n) {
    size_t host = n > 1 ? strtoul(words[1], NULL, 10) : 0;
    if (n < 2 || host >= n_hosts) {
        return "no such host";
    }
    if (strcmp(words[0], "address") == 0 && n == 3) {
        return command_address(host, words[2]);
    }
    if (host == 0) {
        return "not a node";
    }
    if (strcmp(words[0], "count") == 0) {
        command_count(host);
        return NULL;
    }
    if (strcmp(words[0], "forget") == 0) {
        hosts[host].epoch++;
        return NULL;
    }
    unsigned directions = n > 2 ? parse_direction(words[2]) : 0;
    if (directions == 0) {
        return "unknown command or direction";
    }
    uint64_t number = n > 3 ? strtoull(words[3], NULL, 10) : 0;
    if (strcmp(words[0], "set") == 0) {
        return command_set(host, directions, words + 3, n - 3);
    }
    if (strcmp(words[0], "cut") == 0) {
        return command_cut(host, directions, number);
    }
    if ((strcmp(words[0], "cut-after") == 0 || strcmp(words[0], "mark-after") == 0) && number > 0) {
        return command_after(host, directions, number, words[0][0] == 'c');
    }
    if (strcmp(words[0], "heal") == 0) {
        heal(host, directions);
        return NULL;
    }
    return "unknown command";
}

static void obey_line(char *line) {
    char *words[WORDS_MAX], *rest = line;
    size_t n = 0;
    for (char *word; n < WORDS_MAX && (word = strtok_r(rest, " ", &rest)) != NULL;) {
        words[n++] = word;
    }
    const char *wrong = obey(words, n);
    printf(wrong == NULL ? "ok\n" : "error %s\n", wrong);
}

/* False at the end of the input. */
static bool hear_commands(void) {
    static char text[LINE_MAX_BYTES];
    static size_t n;
    ssize_t got = read(STDIN_FILENO, text + n, sizeof text - 1 - n);
    if (got <= 0) {
        return false;
    }
    n += (size_t)got;
    text[n] = '\0';
    char *line = text;
    for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        obey_line(line);
    }
    n -= (size_t)(line - text);
    memmove(text, line, n);
    return n < sizeof text - 1;
}

/* -- start -------------------------------------------------------------------------------------------------------------- */

static void bring_up(int config, const char *name) {
    struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (ioctl(config, SIOCSIFFLAGS, &request) != 0) {
        die(1, "%s does not come up: %s", name, strerror(errno));
    }
}

/* This thread moves into the new namespace; what it opens there stays there. */
static void open_host(struct host *host, size_t i) {
    struct ifreq request = {.ifr_name = "link", .ifr_flags = IFF_TUN | IFF_NO_PI};
    char text[32];
    struct in_addr address;
    if (unshare(CLONE_NEWNET) != 0) {
        die(SKIPPED, "no network namespace can be made: %s", strerror(errno));
    }
    host->known = calloc(PORTS, sizeof *host->known);
    if (host->known == NULL) {
        die(1, "out of memory");
    }
    host->namespace = open("/proc/self/ns/net", O_RDONLY);
    host->tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    host->config = socket(AF_INET, SOCK_DGRAM, 0);
    if (host->namespace < 0 || host->config < 0 || host->tun < 0 || ioctl(host->tun, TUNSETIFF, &request) != 0) {
        die(SKIPPED, "no TUN device can be made: %s", strerror(errno));
    }
    snprintf(text, sizeof text, "10.77.0.%zu", i + 1);
    if (inet_pton(AF_INET, text, &address) != 1 || !set_address(host, address)) {
        die(1, "no address: %s", strerror(errno));
    }
    bring_up(host->config, "link");
    bring_up(host->config, "lo");
    printf("host %zu /proc/%d/fd/%d %s\n", i, (int)getpid(), host->namespace, text);
}

static void watch(int epoll, int fd, size_t number) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = number};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        die(1, "epoll: %s", strerror(errno));
    }
}

static void set_timer(int timer, uint64_t at_us) {
    struct itimerspec when = {0};
    if (at_us != UINT64_MAX) {
        when.it_value = (struct timespec){.tv_sec = (time_t)(at_us / 1000000), .tv_nsec = (long)(at_us % 1000000) * 1000};
    }
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

int main(int argc, char **argv) {
    enum { COMMANDS = HOSTS_MAX, TIMER };
    n_hosts = argc == 3 ? strtoul(argv[2], NULL, 10) + 1 : 0;
    if (n_hosts < 2 || n_hosts > HOSTS_MAX) {
        die(2, "usage: link SEED NODES (1 to %d)", HOSTS_MAX - 1);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    int epoll = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    for (size_t i = 0; i < n_hosts; i++) {
        open_host(&hosts[i], i);
        watch(epoll, hosts[i].tun, i);
        for (int d = UP; d <= DOWN; d++) {
            uint64_t seed = strtoull(argv[1], NULL, 10) * 1000 + 2 * i + (uint64_t)d;
            hosts[i].pipes[d] = (struct pipe){.random = seed, .queue_bytes = 128 << 10};
        }
    }
    watch(epoll, STDIN_FILENO, COMMANDS);
    watch(epoll, timer, TIMER);
    puts("ready");
    for (bool open = true; open;) {
        set_timer(timer, deliver());
        struct epoll_event events[HOSTS_MAX + 2];
        int n = epoll_wait(epoll, events, HOSTS_MAX + 2, -1);
        for (int i = 0; i < n; i++) {
            size_t number = events[i].data.u64;
            uint64_t ticks;
            if (number < n_hosts) {
                take_in(number);
            } else if (number == COMMANDS) {
                open = hear_commands();
            } else if (read(timer, &ticks, sizeof ticks) < 0 && errno != EAGAIN) {
                die(1, "timer: %s", strerror(errno));
            }
        }
    }
    return 0;
}
