/* A program with clients inside that does what docs/examples/embed.c does not: two clients in one event loop on a thread
 * that rounds upwards and flushes to zero, a source of data that stumbles, labels that the task does not know.
 *
 *     embedded both SETTINGS CSV SETTINGS CSV | stumbles SETTINGS CSV | misfit SETTINGS CSV
 *
 * Events go to standard output, one a line; the exit status is that of fedavg_client_run. */
#include <fenv.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/fedavg/client.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

enum { MOST = 1000, FEATURES = 3, READ_THAT_FAILS = 60 };

struct pump {
    const char *name;
    float features[MOST][FEATURES];
    int64_t labels[MOST];
    size_t n;
    atomic_int reads;
    bool stumbles, misfits;
    struct fedavg_client *client;
    bool done;
};

static int load(struct pump *pump, const char *path) {
    char line[256];
    FILE *file = fopen(path, "r");
    if (file == NULL || fgets(line, sizeof line, file) == NULL) {
        return -1;
    }
    while (pump->n < MOST && fgets(line, sizeof line, file) != NULL) {
        char *at = line;
        for (size_t k = 0; k < FEATURES; k++, at++) {
            pump->features[pump->n][k] = strtof(at, &at);
        }
        pump->labels[pump->n++] = strtol(at, NULL, 10);
    }
    return fclose(file);
}

static int read_features(void *context, void *features, const uint32_t *examples, size_t n) {
    struct pump *pump = context;
    for (size_t i = 0; i < n; i++) {
        memcpy((float *)features + i * FEATURES, pump->features[examples[i]], sizeof pump->features[0]);
    }
    return atomic_fetch_add(&pump->reads, 1) + 1 == READ_THAT_FAILS ? -1 : 0;
}

static void hear(void *context, const struct fedavg_event *event) {
    struct pump *pump = context;
    switch (event->kind) {
    case FEDAVG_EVENT_BEGUN:
        printf("%s begun round=%" PRIu64 " attempt=%" PRIu32 "\n", pump->name, event->round, event->attempt);
        break;
    case FEDAVG_EVENT_TRAINED: printf("%s trained round=%" PRIu64 "\n", pump->name, event->round); break;
    case FEDAVG_EVENT_DECLINED:
        printf("%s declined round=%" PRIu64 " clients=%" PRIu64 " word=%s\n", pump->name, event->round, event->clients,
               event->word);
        break;
    case FEDAVG_EVENT_ENDED:
        printf("%s ended round=%" PRIu64 " attempt=%" PRIu32 " outcome=%d\n", pump->name, event->round, event->attempt,
               event->outcome);
        break;
    case FEDAVG_EVENT_FINISHED:
        printf("%s finished rounding=%d\n", pump->name, fegetround() == FE_UPWARD);
        fedavg_client_stop(pump->client);
        break;
    default: break;
    }
    fflush(stdout);
}

static int open_client(struct pump *pump, const char *name, const char *settings) {
    pump->name = name;
    struct fedavg_data data = {.size = sizeof data,
                               .feature_type = FEDAVG_F32,
                               .label_type = FEDAVG_I64,
                               .n_features = FEATURES,
                               .n_labels = 1,
                               .features = pump->stumbles ? NULL : pump->features,
                               .labels = pump->labels,
                               .read = pump->stumbles ? read_features : NULL,
                               .context = pump};
    data.n_examples = pump->n;
    pump->labels[5] = pump->misfits ? 2 : pump->labels[5];
    int rc = fedavg_client_new(&pump->client);
    if (rc == FEDAVG_OK) {
        rc = fedavg_client_load(pump->client, settings);
    }
    if (rc == FEDAVG_OK) {
        rc = fedavg_client_set_data(pump->client, &data);
    }
    if (rc == FEDAVG_OK) {
        rc = fedavg_client_set_events(pump->client, hear, pump);
    }
    return rc == FEDAVG_OK ? fedavg_client_open(pump->client) : rc;
}

static void compute_oddly(void) {
    fesetround(FE_UPWARD);
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040);
#endif
}

static int run_both(struct pump pumps[2], char **files) {
    struct pollfd due[2];
    if (load(&pumps[0], files[1]) != 0 || load(&pumps[1], files[3]) != 0) {
        return FEDAVG_EFAILED;
    }
    compute_oddly(); /* not before: decimals would be read upwards */
    for (int i = 0; i < 2; i++) {
        int rc = open_client(&pumps[i], i == 0 ? "a" : "b", files[2 * i]);
        if (rc != FEDAVG_OK || (rc = fedavg_client_fd(pumps[i].client, &due[i].fd)) != FEDAVG_OK) {
            return rc;
        }
        due[i].events = POLLIN;
    }
    while (!pumps[0].done || !pumps[1].done) {
        if (poll(due, 2, -1) < 0) {
            return FEDAVG_EFAILED;
        }
        for (int i = 0; i < 2; i++) {
            int rc = due[i].revents != 0 ? fedavg_client_step(pumps[i].client, 0) : FEDAVG_OK;
            if (rc == FEDAVG_STOPPED) {
                pumps[i].done = true;
                due[i].fd = -1;
            } else if (rc != FEDAVG_OK) {
                return rc;
            }
        }
    }
    return fegetround() == FE_UPWARD ? FEDAVG_OK : FEDAVG_EFAILED;
}

static int run_one(struct pump *pump, const char *mode, char **files) {
    pump->stumbles = strcmp(mode, "stumbles") == 0;
    pump->misfits = strcmp(mode, "misfit") == 0;
    int rc = load(pump, files[1]) == 0 ? open_client(pump, "a", files[0]) : FEDAVG_EFAILED;
    return rc == FEDAVG_OK ? fedavg_client_run(pump->client) : rc;
}

int main(int argc, char **argv) {
    static struct pump pumps[2];
    if (argc != 4 && argc != 6) {
        return 2;
    }
    int rc = argc == 6 ? run_both(pumps, argv + 2) : run_one(&pumps[0], argv[1], argv + 2);
    for (int i = 0; i < 2; i++) {
        if (rc != FEDAVG_OK && pumps[i].client != NULL) {
            fprintf(stderr, "embedded: %s\n", fedavg_client_error(pumps[i].client));
        }
        fedavg_client_free(pumps[i].client);
    }
    return rc == FEDAVG_OK ? 0 : 10 - rc;
}
