/* A program with a client inside: a machine that watches its own pump. The readings are in the memory of the program, no
 * file of them exists, and the rest of the program goes on as before.
 *
 *     cc embed.c $(pkg-config --cflags --libs fedavg-client) -o embed
 *     ./embed pump-1.yaml 1          (as fedavg-client.yaml(5) says, without the section data; 1: which pump this is)
 *     ./embed --csv 1                (the same readings as a file that fedavg-client(8) would read)
 */
#include <fedavg/client.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READINGS = 400, FEATURES = 3 };

struct reading {
    float vibration, current, temperature;
    uint8_t faulty; /* what somebody has found out since */
};

struct pump {
    struct reading readings[READINGS];
    uint8_t labels[READINGS]; /* classes: 0 well, 1 faulty */
};

/* -- the program's own part: readings ----------------------------------------------------------------------------------- */

/* -1 to 1, the same on every machine (a sensor would not be). */
static float noise(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 8388608.0f - 1.0f;
}

static void fill(struct pump *pump, uint32_t which) {
    uint32_t state = which * 2654435761u + 1;
    for (size_t i = 0; i < READINGS; i++) {
        struct reading *r = &pump->readings[i];
        r->faulty = noise(&state) > 0.2f;
        r->vibration = 0.4f * noise(&state) + (r->faulty ? 0.5f : -0.5f);
        r->current = 0.6f * noise(&state) + (r->faulty ? 0.3f : -0.1f);
        r->temperature = 0.5f * noise(&state) + 0.1f * (float)which;
        pump->labels[i] = r->faulty;
    }
}

static void print_csv(const struct pump *pump) {
    printf("vibration,current,temperature,faulty\n");
    for (size_t i = 0; i < READINGS; i++) {
        const struct reading *r = &pump->readings[i];
        printf("%.9g,%.9g,%.9g,%d\n", (double)r->vibration, (double)r->current, (double)r->temperature, r->faulty);
    }
}

/* -- the client's part ---------------------------------------------------------------------------------------------------
 */

/* Called by the threads that train: a batch wants the features of these readings. */
static int read_features(void *context, void *features, const uint32_t *examples, size_t n) {
    const struct pump *pump = context;
    float *out = features;
    for (size_t i = 0; i < n; i++) {
        const struct reading *r = &pump->readings[examples[i]];
        *out++ = r->vibration;
        *out++ = r->current;
        *out++ = r->temperature;
    }
    return 0;
}

static struct fedavg_client *client;

static void on_signal(int number) {
    (void)number;
    fedavg_client_stop(client); /* may be called from here */
}

/* Called by fedavg_client_run. */
static void hear(void *context, const struct fedavg_event *event) {
    (void)context;
    switch (event->kind) {
    case FEDAVG_EVENT_STATE: printf("state %d\n", event->state); break;
    case FEDAVG_EVENT_TRAINED:
        printf("round %" PRIu64 " trained examples=%" PRIu64 " loss=%.6f examples_per_second=%.0f\n", event->round,
               event->examples, event->loss, event->examples_per_second);
        break;
    case FEDAVG_EVENT_ADMITTED: printf("round %" PRIu64 " admitted bytes=%" PRIu64 "\n", event->round, event->bytes); break;
    case FEDAVG_EVENT_DECLINED:
    case FEDAVG_EVENT_REFUSED: printf("round %" PRIu64 " refused %s %s\n", event->round, event->word, event->text); break;
    case FEDAVG_EVENT_FINISHED:
        printf("finished round=%" PRIu64 " sent=%" PRIu64 " received=%" PRIu64 "\n", event->round, event->bytes_sent,
               event->bytes_received);
        fedavg_client_stop(client); /* this program waits for no other run */
        break;
    default: break; /* also what a newer library tells */
    }
    fflush(stdout);
}

static void take_line(void *context, int level, const char *line) {
    (void)context;
    fprintf(stderr, "%s%s\n", level <= FEDAVG_LOG_WARN ? "! " : "", line);
}

static int set_up(struct pump *pump, const char *settings) {
    const struct fedavg_data data = {.size = sizeof data,
                                     .feature_type = FEDAVG_F32,
                                     .label_type = FEDAVG_U8,
                                     .n_examples = READINGS,
                                     .n_features = FEATURES,
                                     .n_labels = 1,
                                     .labels = pump->labels,
                                     .read = read_features,
                                     .context = pump};
    int rc = fedavg_client_load(client, settings);
    if (rc == FEDAVG_OK) {
        rc = fedavg_client_set_data(client, &data);
    }
    if (rc == FEDAVG_OK) {
        rc = fedavg_client_set_events(client, hear, NULL);
    }
    return rc == FEDAVG_OK ? fedavg_client_set_log(client, FEDAVG_LOG_INFO, take_line, NULL) : rc;
}

int main(int argc, char **argv) {
    static struct pump pump;
    if (argc != 3) {
        fprintf(stderr, "usage: embed SETTINGS.yaml|--csv PUMP\n");
        return 2;
    }
    fill(&pump, (uint32_t)strtoul(argv[2], NULL, 10));
    if (strcmp(argv[1], "--csv") == 0) {
        print_csv(&pump);
        return 0;
    }
    int rc = fedavg_client_new(&client);
    if (rc != FEDAVG_OK) {
        fprintf(stderr, "embed: %s\n", fedavg_status_text(rc));
        return 1;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    rc = set_up(&pump, argv[1]);
    if (rc == FEDAVG_OK) {
        rc = fedavg_client_open(client);
    }
    if (rc == FEDAVG_OK) {
        rc = fedavg_client_run(client);
    }
    if (rc != FEDAVG_OK) {
        fprintf(stderr, "embed: %s\n", fedavg_client_error(client));
    }
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    fedavg_client_free(client);
    return rc == FEDAVG_OK ? 0 : 1;
}
