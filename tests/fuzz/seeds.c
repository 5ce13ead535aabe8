/* Writes one small seed for each kind of input into CORPUS/<harness>/. The same seeds every time. */
#include <string.h>
#include <sys/stat.h>

#include "common/seal/keys.h"
#include "common/seal/seal.h"
#include "proto/wire.h"
#include "tests/fuzz/fuzz.h"

static const char *corpus;

static void write_seed(const char *harness, const char *name, const void *bytes, size_t n) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", corpus, harness);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/%s", corpus, harness, name);
    FILE *file = fopen(path, "wb");
    MUST(file != NULL);
    MUST(fwrite(bytes, 1, n, file) == n);
    MUST(fclose(file) == 0);
}

static void write_message(const char *name, const struct fed_message *message) {
    static uint8_t bytes[FED_CONTROL_MAX];
    size_t n;
    MUST(fed_message_encode(bytes, &n, message) == 0);
    write_seed("message", name, bytes, n);
}

static void write_node_messages(const uint8_t *header, size_t n_header) {
    static struct fed_message hello = {.kind = FED_MSG_HELLO, .seq = 1};
    hello.as.hello = (struct fed_msg_hello){
        .build = "0.1.0",
        .kernel_family = "exact",
        .kernels = "avx2",
        .workers = 2,
        .n_hosted = 2,
        .hosted = {{.first = 0, .count = 100}, {.first = 700, .count = 1}},
        .has_partition = true,
        .has_model = true,
    };
    write_message("hello", &hello);

    static struct fed_message status = {.kind = FED_MSG_STATUS, .seq = 2};
    status.as.status = (struct fed_msg_status){.round = 3, .attempt = 1, .phase = FED_PHASE_TRAIN, .done = 1, .total = 4};
    write_message("status", &status);

    static struct fed_message decline = {.kind = FED_MSG_DECLINE, .seq = 3};
    decline.as.decline = (struct fed_msg_decline){
        .round = 3, .attempt = 1, .part = 1, .reason = FED_DECLINE_NO_DATA, .n_clients = 2, .clients = {5, 9}};
    write_message("decline", &decline);

    static struct fed_message offer = {.kind = FED_MSG_OFFER, .seq = 4};
    offer.as.offer = (struct fed_msg_offer){.round = 3, .attempt = 1, .part = 1, .n_header = n_header};
    memcpy(offer.as.offer.header, header, n_header);
    write_message("offer", &offer);

    static struct fed_message enrol = {.kind = FED_MSG_ENROL, .seq = 5};
    memset(&enrol.as.enrol, 0x5a, sizeof enrol.as.enrol);
    write_message("enrol", &enrol);
}

static void write_coordinator_messages(void) {
    static struct fed_message welcome = {.kind = FED_MSG_WELCOME, .seq = 1};
    welcome.as.welcome =
        (struct fed_msg_welcome){.n_task = 12, .task = "{\"schema\":1}", .bulk = "tcp://*:5601", .ping_ms = 2000};
    write_message("welcome", &welcome);

    static struct fed_message round = {.kind = FED_MSG_ROUND, .seq = 2};
    round.as.round = (struct fed_msg_round){
        .terms = {.round = 3, .attempt = 1, .n_params = 199210, .epochs = 1, .batch_size = 10, .learning_rate = 0.1f},
        .part = 1,
        .closed = true,
        .encoding = FED_ENCODING_I64,
        .file_bytes = 797000,
        .deadline_ms = 600000,
        .limits = {.norm_ceiling = 40.5, .clip = 2.5, .weight_cap = 500},
        .n_clients = 3,
        .clients = {7, 3, 5},
    };
    write_message("round", &round);

    static struct fed_message admitted = {.kind = FED_MSG_ADMITTED, .seq = 3};
    admitted.as.admitted = (struct fed_msg_admitted){.round = 3, .attempt = 1, .part = 1};
    write_message("admitted", &admitted);

    static struct fed_message refused = {.kind = FED_MSG_REFUSED, .seq = 4};
    refused.as.refused = (struct fed_msg_refused){.code = FED_REFUSAL_BUSY, .round = 3, .attempt = 1, .retry_after_ms = 500};
    write_message("refused", &refused);

    static struct fed_message end = {.kind = FED_MSG_END, .seq = 5};
    end.as.end = (struct fed_msg_end){.round = 3, .attempt = 1, .committed = true, .finished = true};
    write_message("end", &end);

    static struct fed_message enrolled = {.kind = FED_MSG_ENROLLED, .seq = 6};
    write_message("enrolled", &enrolled);
}

static size_t write_headers(uint8_t out[FED_HEADER_MAX]) {
    static struct fed_update_header single = {.suite = FED_SUITE_1,
                                              .encoding = FED_ENCODING_F32,
                                              .n_bytes = 400,
                                              .n_chunks = 1,
                                              .train_seconds = 0.5,
                                              .n_clients = 1,
                                              .clients = {7},
                                              .weights = {600},
                                              .losses = {0.25f}};
    static struct fed_update_header sum = {.suite = FED_SUITE_1,
                                           .encoding = FED_ENCODING_I64,
                                           .n_bytes = 1 << 19,
                                           .n_chunks = 2,
                                           .train_seconds = 2,
                                           .n_clients = 3,
                                           .clients = {3, 5, 7},
                                           .weights = {600, 0, UINT32_MAX},
                                           .losses = {0.25f, 1, 2},
                                           .has_norms = true,
                                           .norms = {0.5, 0, 1e300}};
    size_t n;
    MUST(fed_update_header_encode(out, &n, &single) == 0);
    write_seed("header", "single", out, n);
    MUST(fed_update_header_encode(out, &n, &sum) == 0);
    write_seed("header", "sum", out, n);
    return n;
}

static void write_bulk(void) {
    const struct fed_bulk_head get = {.kind = FED_BULK_GET,
                                      .what = {.kind = FED_OBJECT_MODEL, .round = 3, .attempt = 1},
                                      .first = 4,
                                      .count = FED_GET_MAX};
    const struct fed_bulk_head chunk = {.kind = FED_BULK_CHUNK,
                                        .what = {.kind = FED_OBJECT_UPDATE, .round = 3, .attempt = 1, .part = 2},
                                        .first = 5,
                                        .count = 1};
    uint8_t bytes[FED_BULK_HEAD_MAX];
    size_t n;
    MUST(fed_bulk_encode(bytes, &n, &get) == 0);
    write_seed("bulk", "get", bytes, n);
    MUST(fed_bulk_encode(bytes, &n, &chunk) == 0);
    write_seed("bulk", "chunk", bytes, n);
}

static void write_keys(void) {
    static const char key_file[] = "fedavg-secret-1:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA\n";
    const uint8_t seed[FED_KEY_BYTES] = {1};
    struct fed_identity identity;
    char line[FED_PUBLIC_LINE_MAX];
    MUST(fed_identity_from_seed(&identity, seed) == 0);
    fed_public_line(line, &identity.public_keys);
    fed_identity_fini(&identity);
    write_seed("public_line", "line", line, strlen(line));
    write_seed("public_line", "cut", line, 40);
    write_seed("key_file", "key", key_file, sizeof key_file - 1);
    write_seed("key_file", "public_line", line, strlen(line));
}

int main(int argc, char **argv) {
    static uint8_t header[FED_HEADER_MAX];
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS-DIRECTORY\n", argv[0]);
        return 2;
    }
    corpus = argv[1];
    mkdir(corpus, 0777);
    MUST(fed_seal_setup(NULL) == 0);
    size_t n_header = write_headers(header);
    write_node_messages(header, n_header);
    write_coordinator_messages();
    write_bulk();
    write_keys();
    return 0;
}
