/* An enrolled node that lies: lying_node CLIENT.yaml LIE,LIE,... It joins, opens the model of every round as any node does,
 * and then tells the next of its lies, one a round, over and over the last one. LIE@ROUND,...,LIE tells each lie in its
 * round, however often that is tried, and the last one in all others. What a lie leaves open (a part that was neither
 * admitted nor refused for good) it declines, so that no round waits for it. It leaves only by a signal.
 *
 * On stderr: "welcomed", then for each round "lie NAME", and what the coordinator says of it: "refused REASON", "admitted".
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/download.h"
#include "common/base/clock.h"
#include "common/base/rng.h"
#include "common/config/client_config.h"
#include "common/config/terms.h"
#include "common/link/link.h"
#include "common/seal/digest.h"
#include "common/seal/key_file.h"
#include "common/seal/seal.h"

#define BULK_FRAME_MAX (FED_CHUNK_BYTES + FED_TAG_BYTES + 256)
#define PARTS_MAX 256
#define LIES_MAX 64
#define TICK_MS 1000

/* An update as it stands on this side: what is offered, and what its chunks are made of. */
struct update {
    uint64_t client; /* the first of them */
    uint8_t e_pk[FED_KEY_BYTES];
    size_t n_header;
    uint8_t header[FED_HEADER_MAX];
    struct fed_seal_key *key; /* owned, as plain */
    uint8_t *plain;
    uint64_t n_bytes;
};

struct part {
    uint32_t id;
    enum fed_encoding encoding;
    bool closed, told, unsaid; /* unsaid: told, but the lane had no room for the offer */
    uint32_t n_clients;
    uint64_t clients[FED_CLIENTS_MAX];
    struct update update;
};

struct lie;

struct liar {
    struct fed_client_config config;
    struct fed_identity identity;
    struct fed_link *link;
    struct fed_lane *control, *bulk;
    char handle[33]; /* of the pass that bulk was opened with */
    const struct lie *lies[LIES_MAX];
    uint64_t rounds[LIES_MAX]; /* 0 = the next one */
    size_t n_lies, turn;       /* turn: lies told, the one at hand included */
    const struct lie *lie;
    uint64_t seq;
    /* from WELCOME */
    uint8_t run_id[16], task_digest[32];
    char bulk_endpoint[256];
    struct fed_task_terms task;
    struct fed_model model;
    bool welcomed;
    /* the attempt at hand */
    bool working;
    struct fed_terms terms;
    struct fed_download *download;
    struct part parts[PARTS_MAX];
    size_t n_parts;
    struct update old[PARTS_MAX]; /* of an earlier attempt */
    unsigned n_admitted;
    uint64_t n_flooded;
    uint64_t n_malformed, n_foreign,
        n_doubtful; /* damaged: no message, of another protocol; malformed if that is looked at */
};

/* What a lie does. All may be NULL. */
struct lie {
    const char *name;
    void (*header)(struct fed_update_header *header, const struct liar *liar); /* before sealing */
    void (*values)(struct part *part);
    void (*after)(struct fed_update_header *header);      /* to the header that is offered, after sealing */
    void (*offer)(struct fed_msg_offer *offer);           /* to the message */
    bool (*chunk)(uint8_t *bytes, size_t *n, uint64_t i); /* on its way; false: it is not sent */
    void (*instead)(struct liar *liar);                   /* of any offer */
    bool (*flood)(struct liar *liar);                     /* over and over, while it lasts; false: no room */
    bool other_task, other_run;                           /* sealed for terms that differ in this */
    bool deaf;                                            /* never reads what it asked for */
    bool gives_up;                                        /* nobody will say anything of it: declined when told */
    bool norm_left_out;                                   /* what is declined is, for its norm */
    bool replays;                                         /* offers what was sealed for an earlier attempt */
    bool first_only;                                      /* the first client's part is true, the others are declined */
    bool twice;                                           /* ... and then offered again, and its client once more */
};

static _Noreturn void die(const char *what, const char *why) {
    fprintf(stderr, "lying_node: %s: %s\n", what, why);
    exit(1);
}

static void must(int rc, const char *what) {
    if (rc != FED_OK) {
        die(what, fed_status_text(rc));
    }
}

/* -- saying ------------------------------------------------------------------------------------------------------------- */

static bool send_bytes(struct liar *liar, const uint8_t *bytes, size_t n) {
    int rc = fed_lane_send(liar->control, NULL, bytes, n, NULL, 0, 0);
    if (rc != FED_OK) { /* not connected: HELLO is said again when it is; or no room: ROUND asks again */
        fprintf(stderr, "not sent: %s\n", fed_status_text(rc));
    }
    return rc == FED_OK;
}

static size_t encode(uint8_t bytes[FED_CONTROL_MAX], struct liar *liar, struct fed_message *message) {
    size_t n;
    message->seq = ++liar->seq;
    must(fed_message_encode(bytes, &n, message), "encode");
    return n;
}

static bool say(struct liar *liar, struct fed_message *message) {
    static uint8_t bytes[FED_CONTROL_MAX];
    return send_bytes(liar, bytes, encode(bytes, liar, message));
}

static struct fed_message hello_of(const struct liar *liar) {
    struct fed_message message = {.kind = FED_MSG_HELLO};
    struct fed_msg_hello *hello = &message.as.hello;
    snprintf(hello->build, sizeof hello->build, "lying node");
    snprintf(hello->kernels, sizeof hello->kernels, "none");
    hello->workers = 4;
    hello->n_hosted = 1;
    hello->hosted[0] = (struct fed_id_range){liar->config.first_client, liar->config.n_clients};
    return message;
}

static void say_hello(struct liar *liar) {
    struct fed_message message = hello_of(liar);
    say(liar, &message);
}

static void say_status(struct liar *liar) {
    struct fed_message message = {.kind = FED_MSG_STATUS};
    if (liar->working) {
        message.as.status.round = liar->terms.round;
        message.as.status.attempt = liar->terms.attempt;
        message.as.status.phase = FED_PHASE_TRAIN;
    }
    say(liar, &message);
}

static void decline(struct liar *liar, uint32_t part) {
    static struct fed_message message;
    memset(&message, 0, sizeof message);
    message.kind = FED_MSG_DECLINE;
    message.as.decline.round = liar->terms.round;
    message.as.decline.attempt = liar->terms.attempt;
    message.as.decline.part = part;
    message.as.decline.reason = liar->lie->norm_left_out ? FED_DECLINE_NORM : FED_DECLINE_FAILED;
    say(liar, &message);
}

static void decline_all(struct liar *liar) {
    for (size_t i = 0; i < liar->n_parts; i++) {
        liar->parts[i].told = true;
        decline(liar, liar->parts[i].id);
    }
}

static bool say_offer(struct liar *liar, const struct part *part, const struct update *update) {
    static struct fed_message message;
    memset(&message, 0, sizeof message);
    message.kind = FED_MSG_OFFER;
    struct fed_msg_offer *offer = &message.as.offer;
    offer->round = liar->terms.round;
    offer->attempt = liar->terms.attempt;
    offer->part = part->id;
    memcpy(offer->e_pk, update->e_pk, sizeof offer->e_pk);
    offer->n_header = update->n_header;
    memcpy(offer->header, update->header, update->n_header);
    if (liar->lie->offer != NULL) {
        liar->lie->offer(offer);
    }
    return say(liar, &message);
}

/* -- the update --------------------------------------------------------------------------------------------------------- */

static void free_update(struct update *update) {
    fed_seal_key_free(update->key);
    free(update->plain);
    *update = (struct update){0};
}

/* Honest in everything: small values, weight 1. */
static void fill(struct fed_update_header *header, struct part *part, const struct liar *liar) {
    size_t n = liar->model.n_params, width = part->encoding == FED_ENCODING_I64 ? sizeof(int64_t) : sizeof(float);
    memset(header, 0, sizeof *header);
    header->suite = FED_SUITE_1;
    header->encoding = part->encoding;
    header->n_bytes = n * width;
    header->n_clients = part->n_clients;
    for (uint32_t i = 0; i < part->n_clients; i++) {
        header->clients[i] = part->clients[i];
        header->weights[i] = 1;
    }
    if (part->n_clients == 2 && part->clients[0] > part->clients[1]) {
        header->clients[0] = part->clients[1];
        header->clients[1] = part->clients[0];
    }
    part->update.plain = calloc(n + 1, width);
    part->update.n_bytes = n * width;
    for (size_t i = 0; i < n && part->encoding == FED_ENCODING_F32; i++) {
        ((float *)(void *)part->update.plain)[i] = 0.001f * (float)(i % 7);
    }
}

static void seal(struct update *update, struct fed_update_header *header, const struct liar *liar) {
    struct fed_seal_pair *e;
    uint8_t digest[32];
    header->n_chunks = fed_chunk_count(header->n_bytes);
    update->client = header->clients[0];
    update->n_bytes = header->n_bytes;
    struct fed_terms terms = liar->terms;
    terms.task_digest[0] = (uint8_t)(terms.task_digest[0] ^ liar->lie->other_task);
    terms.run_id[0] = (uint8_t)(terms.run_id[0] ^ liar->lie->other_run);
    fed_terms_digest(digest, &terms);
    must(fed_seal_pair_new(&e), "key pair");
    must(fed_update_header_encode(update->header, &update->n_header, header), "header");
    must(fed_seal_update_key_node(&update->key, e, &liar->identity, liar->terms.r_pk, digest, update->header,
                                  update->n_header),
         "key");
    memcpy(update->e_pk, fed_seal_pair_public(e), sizeof update->e_pk);
    fed_seal_pair_free(e);
    if (liar->lie->after != NULL) {
        liar->lie->after(header);
        must(fed_update_header_encode(update->header, &update->n_header, header), "header");
    }
}

static void make_update(struct liar *liar, struct part *part) {
    static struct fed_update_header header;
    fill(&header, part, liar);
    if (liar->lie->header != NULL) {
        liar->lie->header(&header, liar);
    }
    if (liar->lie->values != NULL) {
        liar->lie->values(part);
    }
    seal(&part->update, &header, liar);
}

static struct part *find_part(struct liar *liar, uint32_t id) {
    for (size_t i = 0; i < liar->n_parts; i++) {
        if (liar->parts[i].id == id) {
            return &liar->parts[i];
        }
    }
    return NULL;
}

static struct part *part_of_client(struct liar *liar, uint64_t client) {
    for (size_t i = 0; i < liar->n_parts; i++) {
        if (liar->parts[i].clients[0] == client) {
            return &liar->parts[i];
        }
    }
    return NULL;
}

static bool is_first(const struct liar *liar, const struct part *part) {
    return part->clients[0] == liar->config.first_client;
}

/* What was sealed for this part's clients earlier. */
static struct update *old_of(struct liar *liar, const struct part *part) {
    for (size_t i = 0; i < PARTS_MAX; i++) {
        for (uint32_t k = 0; liar->old[i].key != NULL && k < part->n_clients; k++) {
            if (liar->old[i].client == part->clients[k]) {
                return &liar->old[i];
            }
        }
    }
    die("replay", "there is nothing to replay");
}

/* Once the truth was admitted: it once more, and when that is answered once more under the second part's number. */
static void offer_twice(struct liar *liar) {
    const struct part *first = part_of_client(liar, liar->config.first_client);
    const struct part *second = part_of_client(liar, liar->config.first_client + 1);
    if (liar->n_admitted > 0 && first != NULL && second != NULL) {
        say_offer(liar, liar->n_admitted == 1 ? first : second, &first->update);
    }
}

static void tell_other_part(struct liar *liar, const struct part *part) {
    if (liar->lie->twice) {
        offer_twice(liar);
    } else {
        decline(liar, part->id);
    }
}

static void tell_part(struct liar *liar, struct part *part) {
    part->told = true;
    if (liar->lie->first_only && !is_first(liar, part)) {
        tell_other_part(liar, part);
        return;
    }
    if (liar->lie->replays) {
        struct update *old = old_of(liar, part);
        part->update = *old;
        *old = (struct update){0};
    } else {
        make_update(liar, part);
    }
    part->unsaid = !say_offer(liar, part, &part->update);
}

/* ROUND would not ask again for what was heard. */
static void tell_again(struct liar *liar, struct part *part) {
    if (liar->lie->first_only && !is_first(liar, part)) {
        tell_other_part(liar, part);
    } else if (liar->lie->instead != NULL || liar->lie->gives_up) {
        decline(liar, part->id);
    } else if (part->unsaid) {
        part->unsaid = !say_offer(liar, part, &part->update);
    }
}

static void tell(struct liar *liar) {
    if (liar->lie->instead != NULL) {
        bool told = liar->n_parts > 0 && liar->parts[0].told;
        if (!told) {
            for (size_t i = 0; i < liar->n_parts; i++) {
                liar->parts[i].told = true;
            }
            liar->lie->instead(liar);
        }
        if (told || liar->lie->gives_up) {
            decline_all(liar);
        }
        return;
    }
    for (size_t i = 0; i < liar->n_parts; i++) {
        if (liar->parts[i].closed && !liar->parts[i].told) {
            tell_part(liar, &liar->parts[i]);
        }
    }
}

/* -- lies about the update ---------------------------------------------------------------------------------------------- */

static void a_parameter_less(struct fed_update_header *header, const struct liar *liar) {
    (void)liar;
    header->n_bytes -= header->encoding == FED_ENCODING_I64 ? sizeof(int64_t) : sizeof(float);
}
static void no_weight(struct fed_update_header *header, const struct liar *liar) {
    (void)liar;
    header->weights[0] = 0;
}
static void much_weight(struct fed_update_header *header, const struct liar *liar) {
    header->weights[0] = (uint32_t)liar->task.max_weight + 1;
}
static void client_not_picked(struct fed_update_header *header, const struct liar *liar) {
    (void)liar;
    header->clients[0] = 1000000;
}
static void client_of_another(struct fed_update_header *header, const struct liar *liar) {
    (void)liar;
    header->clients[0] = 0;
}
static void a_sum(struct fed_update_header *header, const struct liar *liar) {
    header->encoding = FED_ENCODING_I64;
    header->n_bytes = liar->model.n_params * sizeof(int64_t);
}
static void other_suite(struct fed_update_header *header, const struct liar *liar) {
    (void)liar;
    header->suite = 99;
}
static void a_nan(struct part *part) { ((float *)(void *)part->update.plain)[70000] = NAN; }
static void an_infinity(struct part *part) { ((float *)(void *)part->update.plain)[0] = -INFINITY; }
static void a_huge_value(struct part *part) { ((float *)(void *)part->update.plain)[1] = 1e30f; }
static void a_huge_sum(struct part *part) { ((int64_t *)(void *)part->update.plain)[40000] = INT64_MAX; }
static void far_too_large(struct part *part) {
    float *values = (float *)(void *)part->update.plain;
    for (size_t i = 0; i < part->update.n_bytes / sizeof(float); i++) {
        values[i] *= 1e6f;
    }
}
static void a_large_norm(struct fed_update_header *header, const struct liar *liar) {
    (void)liar;
    header->has_norms = true;
    header->norms[header->n_clients - 1] = 1e6;
}
/* As large as max_delta allows, stated to be small. */
static void a_large_sum(struct part *part) { ((int64_t *)(void *)part->update.plain)[40000] = (int64_t)1 << 40; }
/* Within every cap, and the ruin of the mean. */
static void all_the_weight(struct fed_update_header *header, const struct liar *liar) {
    header->weights[0] = (uint32_t)liar->task.max_weight;
}
static void all_the_way(struct part *part) {
    size_t n = part->update.n_bytes / sizeof(float);
    for (size_t i = 0; i < n; i++) { /* one output up, the next one down */
        ((float *)(void *)part->update.plain)[i] = 10 * i / n % 2 == 0 ? 64.0f : -64.0f;
    }
}
static void more_weight(struct fed_update_header *header) { header->weights[0]++; }
static void next_round(struct fed_msg_offer *offer) { offer->round++; }
static void next_attempt(struct fed_msg_offer *offer) { offer->attempt++; }
static void other_part(struct fed_msg_offer *offer) { offer->part += 1000; }
static void cut_header(struct fed_msg_offer *offer) { offer->n_header--; }

static bool flipped(uint8_t *bytes, size_t *n, uint64_t i) {
    bytes[*n / 2] = (uint8_t)(bytes[*n / 2] ^ (i == 1));
    return true;
}
static bool missing(uint8_t *bytes, size_t *n, uint64_t i) {
    (void)bytes;
    (void)n;
    return i != 1;
}
static bool never(uint8_t *bytes, size_t *n, uint64_t i) {
    (void)bytes;
    (void)n;
    (void)i;
    return false;
}
static bool short_by_one(uint8_t *bytes, size_t *n, uint64_t i) {
    (void)bytes;
    *n -= i == 1;
    return true;
}

/* -- lies that are no update -------------------------------------------------------------------------------------------- */

static void say_garbage(struct liar *liar) {
    uint8_t bytes[500];
    fed_random_bytes(bytes, sizeof bytes);
    bytes[0] = 0xff; /* no field has this number */
    send_bytes(liar, bytes, sizeof bytes);
}

static void say_too_much(struct liar *liar) {
    size_t n = FED_CONTROL_MAX + 1;
    uint8_t *bytes = calloc(1, n);
    send_bytes(liar, bytes, n);
    free(bytes);
}

/* So much that the connection is cut. */
static void say_far_too_much(struct liar *liar) {
    size_t n = (size_t)4 << 20;
    uint8_t *bytes = calloc(1, n);
    send_bytes(liar, bytes, n);
    free(bytes);
}

static void flood_bulk(struct liar *liar) {
    size_t n = (size_t)4 << 20;
    uint8_t *bytes = calloc(1, n);
    if (liar->bulk != NULL && fed_lane_send(liar->bulk, NULL, bytes, n, NULL, 0, 0) != FED_OK) {
        fprintf(stderr, "not sent\n");
    }
    free(bytes);
}

static void garbage_on_bulk(struct liar *liar) {
    uint8_t bytes[100];
    memset(bytes, 0xff, sizeof bytes);
    if (liar->bulk != NULL && fed_lane_send(liar->bulk, NULL, bytes, sizeof bytes, NULL, 0, 0) != FED_OK) {
        fprintf(stderr, "not sent\n");
    }
}

static void claim_all_clients(struct liar *liar) {
    struct fed_message message = hello_of(liar);
    message.as.hello.hosted[0] = (struct fed_id_range){0, liar->config.first_client + liar->config.n_clients};
    say(liar, &message);
}

static void claim_another_split(struct liar *liar) {
    struct fed_message message = hello_of(liar);
    message.as.hello.has_partition = true;
    memset(message.as.hello.partition_digest, 0xaa, sizeof message.as.hello.partition_digest);
    say(liar, &message);
}

/* The envelope begins with the protocol's number. */
static void speak_protocol_99(struct liar *liar) {
    static uint8_t bytes[FED_CONTROL_MAX];
    struct fed_message message = hello_of(liar);
    size_t n = encode(bytes, liar, &message);
    if (n < 2 || bytes[0] != 0x08 || bytes[1] != FED_PROTOCOL_MAJOR) {
        die("protocol", "the envelope has changed");
    }
    bytes[1] = 99;
    send_bytes(liar, bytes, n);
}

static void say_what_coordinators_say(struct liar *liar) {
    struct fed_message message = {.kind = FED_MSG_END};
    message.as.end.round = liar->terms.round;
    message.as.end.attempt = liar->terms.attempt;
    message.as.end.committed = true;
    say(liar, &message);
}

static void nothing(struct liar *liar) { (void)liar; }

/* -- messages that are damaged, doubled and out of order: every one of them arrives --------------------------------------
 */

/* What the coordinator must say of these bytes, whatever else it knows. */
static void judge_damage(struct liar *liar, const uint8_t *bytes, size_t n) {
    static struct fed_message message;
    static struct fed_update_header header;
    int rc = fed_message_decode(&message, bytes, n);
    bool is_ours = message.kind == FED_MSG_HELLO || message.kind == FED_MSG_STATUS || message.kind == FED_MSG_DECLINE ||
                   message.kind == FED_MSG_OFFER;
    if (rc == FED_EPEER) {
        liar->n_foreign++;
    } else if (rc != FED_OK) {
        liar->n_malformed++;
    } else if (!is_ours ||
               (message.kind == FED_MSG_OFFER &&
                fed_update_header_decode(&header, message.as.offer.header, message.as.offer.n_header) != FED_OK)) {
        liar->n_doubtful++;
    }
}

static void send_surely(struct liar *liar, const uint8_t *bytes, size_t n) {
    while (fed_lane_send(liar->control, NULL, bytes, n, NULL, 0, 0) == FED_EAGAIN) {
        must(fed_link_poll(liar->link, NULL, 0, 1), "poll");
    }
    liar->n_flooded++;
}

/* Of the kinds that a node says: HELLO, STATUS, DECLINE of a part that is not, and an honest OFFER. */
static size_t encode_sample(uint8_t bytes[FED_CONTROL_MAX], struct liar *liar, unsigned which) {
    static struct fed_message message;
    struct part *part = &liar->parts[0];
    memset(&message, 0, sizeof message);
    if (which == 0) {
        message = hello_of(liar);
    } else if (which == 1) {
        message.kind = FED_MSG_STATUS;
        message.as.status.round = liar->terms.round;
        message.as.status.attempt = liar->terms.attempt;
        message.as.status.phase = FED_PHASE_TRAIN;
    } else if (which == 2) {
        message.kind = FED_MSG_DECLINE;
        message.as.decline.round = liar->terms.round;
        message.as.decline.attempt = liar->terms.attempt;
        message.as.decline.part = part->id + 1000;
        message.as.decline.reason = FED_DECLINE_FAILED;
    } else {
        message.kind = FED_MSG_OFFER;
        message.as.offer.round = liar->terms.round;
        message.as.offer.attempt = liar->terms.attempt;
        message.as.offer.part = part->id;
        if (part->update.key == NULL) {
            make_update(liar, part);
        }
        memcpy(message.as.offer.e_pk, part->update.e_pk, sizeof part->update.e_pk);
        message.as.offer.n_header = part->update.n_header;
        memcpy(message.as.offer.header, part->update.header, part->update.n_header);
    }
    return encode(bytes, liar, &message);
}

#define SAMPLES 4

static void say_damage(const struct liar *liar) {
    fprintf(stderr, "damaged %llu malformed %llu protocol %llu doubtful %llu\n", (unsigned long long)liar->n_flooded,
            (unsigned long long)liar->n_malformed, (unsigned long long)liar->n_foreign,
            (unsigned long long)liar->n_doubtful);
}

static void cut_everywhere(struct liar *liar) {
    static uint8_t bytes[FED_CONTROL_MAX];
    for (unsigned which = 0; which < SAMPLES; which++) {
        size_t n = encode_sample(bytes, liar, which);
        for (size_t k = 1; k < n; k++) {
            judge_damage(liar, bytes, k);
            send_surely(liar, bytes, k);
        }
    }
    say_damage(liar);
}

/* Some are as good as true, for example with a bit of their number flipped: so its chunks are kept back. */
static void flip_everywhere(struct liar *liar) {
    static uint8_t bytes[FED_CONTROL_MAX];
    for (unsigned which = 0; which < SAMPLES; which++) {
        size_t n = encode_sample(bytes, liar, which);
        for (size_t bit = 0; bit < 8 * n; bit++) {
            bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1u << bit % 8);
            judge_damage(liar, bytes, n);
            send_surely(liar, bytes, n);
            bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1u << bit % 8);
        }
    }
    say_damage(liar);
}

/* The part is declined before it is offered, everything is said twice, and HELLO comes last. */
static void disorder(struct liar *liar) {
    static uint8_t bytes[FED_CONTROL_MAX];
    decline_all(liar);
    for (unsigned i = 0; i < 2 * SAMPLES; i++) {
        size_t n = encode_sample(bytes, liar, SAMPLES - 1 - i / 2);
        send_surely(liar, bytes, n);
        send_surely(liar, bytes, n);
    }
}

/* -- floods: as fast as the line takes them -------------------------------------------------------------------------------
 */

static bool sent(struct liar *liar, struct fed_message *message) {
    static uint8_t bytes[FED_CONTROL_MAX];
    size_t n = encode(bytes, liar, message);
    return fed_lane_send(liar->control, NULL, bytes, n, NULL, 0, 0) == FED_OK;
}

static bool more_hellos(struct liar *liar) {
    struct fed_message message = hello_of(liar);
    return sent(liar, &message);
}

static bool more_status(struct liar *liar) {
    struct fed_message message = {.kind = FED_MSG_STATUS};
    message.as.status.phase = FED_PHASE_TRAIN;
    return sent(liar, &message);
}

/* Of this attempt, an earlier one, or a later one: all of them refused. */
static bool more_offers(struct liar *liar) {
    static struct fed_message message;
    static struct fed_update_header header;
    struct fed_msg_offer *offer = &message.as.offer;
    message.kind = FED_MSG_OFFER;
    offer->round = liar->terms.round + liar->seq % 3 - 1;
    offer->attempt = liar->terms.attempt;
    offer->part = (uint32_t)(liar->seq % 5);
    memset(&header, 0, sizeof header);
    header.suite = FED_SUITE_1;
    header.encoding = FED_ENCODING_F32;
    header.n_bytes = liar->model.n_params * sizeof(float);
    header.n_chunks = fed_chunk_count(header.n_bytes);
    header.n_clients = 1;
    header.clients[0] = liar->config.first_client + liar->seq % 7;
    header.weights[0] = 1;
    must(fed_update_header_encode(offer->header, &offer->n_header, &header), "header");
    return sent(liar, &message);
}

static bool more_garbage(struct liar *liar) {
    static uint8_t bytes[60000] = {0xff};
    return fed_lane_send(liar->control, NULL, bytes, sizeof bytes, NULL, 0, 0) == FED_OK;
}

static bool get_model(struct liar *liar, uint64_t first) {
    struct fed_bulk_head head = {.kind = FED_BULK_GET,
                                 .what = {FED_OBJECT_MODEL, liar->terms.round, liar->terms.attempt, 0},
                                 .first = first,
                                 .count = 8};
    uint8_t bytes[FED_BULK_HEAD_MAX];
    size_t n;
    must(fed_bulk_encode(bytes, &n, &head), "bulk head");
    return liar->bulk != NULL && fed_lane_send(liar->bulk, NULL, bytes, n, NULL, 0, 0) == FED_OK;
}

static bool more_gets(struct liar *liar) { return get_model(liar, 0); }

/* Of chunks that the model does not have. */
static bool more_gets_beyond(struct liar *liar) { return get_model(liar, 1000000); }

/* Of this attempt and of another, which nobody asked for. */
static bool more_chunks(struct liar *liar) {
    static uint8_t body[FED_CHUNK_BYTES + FED_TAG_BYTES];
    struct fed_bulk_head head = {.kind = FED_BULK_CHUNK,
                                 .what = {FED_OBJECT_UPDATE, liar->terms.round + liar->seq++ % 2, liar->terms.attempt, 0},
                                 .count = 1};
    uint8_t bytes[FED_BULK_HEAD_MAX];
    size_t n;
    struct fed_shared *shared;
    must(fed_bulk_encode(bytes, &n, &head), "bulk head");
    must(fed_shared_new(&shared, body, sizeof body, NULL, NULL), "bulk body");
    bool gone = liar->bulk != NULL && fed_lane_send(liar->bulk, NULL, bytes, n, shared, 0, sizeof body) == FED_OK;
    fed_shared_release(shared);
    return gone;
}

static void flood(struct liar *liar) {
    for (int i = 0; liar->lie->flood != NULL && liar->terms.round > 0 && i < 64 && liar->lie->flood(liar); i++) {
        liar->n_flooded++;
    }
}

static const struct lie lies[] = {
    {.name = "decline", .instead = nothing, .gives_up = true},
    {.name = "first_only", .first_only = true},
    {.name = "twice", .first_only = true, .twice = true},
    {.name = "length", .header = a_parameter_less},
    {.name = "weight_zero", .header = no_weight},
    {.name = "weight_cap", .header = much_weight},
    {.name = "not_picked", .header = client_not_picked},
    {.name = "not_hosted", .header = client_of_another},
    {.name = "encoding", .header = a_sum},
    {.name = "suite", .header = other_suite},
    {.name = "nan", .values = a_nan},
    {.name = "infinity", .values = an_infinity},
    {.name = "delta_cap", .values = a_huge_value},
    {.name = "sum_bound", .values = a_huge_sum},
    {.name = "norm", .values = far_too_large},
    {.name = "norm_left_out", .instead = nothing, .gives_up = true, .norm_left_out = true},
    {.name = "large_norm", .header = a_large_norm},
    {.name = "large_sum", .values = a_large_sum},
    {.name = "poison", .header = all_the_weight, .values = all_the_way},
    {.name = "flipped_header", .after = more_weight},
    {.name = "round", .offer = next_round},
    {.name = "attempt", .offer = next_attempt},
    {.name = "part", .offer = other_part},
    {.name = "cut_header", .offer = cut_header},
    {.name = "flipped_chunk", .chunk = flipped},
    {.name = "missing_chunk", .chunk = missing, .gives_up = true},
    {.name = "short_chunk", .chunk = short_by_one, .gives_up = true},
    {.name = "replay", .replays = true},
    {.name = "garbage", .instead = say_garbage},
    {.name = "oversize_control", .instead = say_too_much, .gives_up = true},
    {.name = "cut_control", .instead = say_far_too_much},
    {.name = "garbage_bulk", .instead = garbage_on_bulk, .gives_up = true},
    {.name = "oversize_bulk", .instead = flood_bulk, .gives_up = true},
    {.name = "hosted", .instead = claim_all_clients},
    {.name = "partition", .instead = claim_another_split},
    {.name = "protocol", .instead = speak_protocol_99},
    {.name = "flood_hello", .instead = nothing, .flood = more_hellos, .gives_up = true},
    {.name = "flood_status", .instead = nothing, .flood = more_status, .gives_up = true},
    {.name = "flood_offer", .instead = nothing, .flood = more_offers, .gives_up = true},
    {.name = "flood_garbage", .instead = nothing, .flood = more_garbage, .gives_up = true},
    {.name = "flood_get", .instead = nothing, .flood = more_gets, .gives_up = true},
    {.name = "flood_get_beyond", .instead = nothing, .flood = more_gets_beyond, .gives_up = true},
    {.name = "flood_get_deaf", .instead = nothing, .flood = more_gets, .deaf = true, .gives_up = true},
    {.name = "flood_chunks", .instead = nothing, .flood = more_chunks, .gives_up = true},
    {.name = "cut_everywhere", .instead = cut_everywhere, .chunk = never, .gives_up = true},
    {.name = "flip_everywhere", .instead = flip_everywhere, .chunk = never, .gives_up = true},
    {.name = "disorder", .instead = disorder, .chunk = never, .gives_up = true},
    {.name = "other_task", .other_task = true},
    {.name = "other_run", .other_run = true},
    {.name = "stall", .chunk = never},
    {.name = "impostor", .instead = say_what_coordinators_say, .gives_up = true},
};

/* -- hearing ------------------------------------------------------------------------------------------------------------ */

static void hear_welcome(struct liar *liar, const struct fed_msg_welcome *welcome) {
    struct fed_error err;
    memcpy(liar->run_id, welcome->run_id, sizeof liar->run_id);
    memcpy(liar->task_digest, welcome->task_digest, sizeof liar->task_digest);
    snprintf(liar->bulk_endpoint, sizeof liar->bulk_endpoint, "%s", welcome->bulk);
    if (fed_task_terms_decode(&liar->task, welcome->task, welcome->n_task, &err) != FED_OK ||
        fed_model_init(&liar->model, &liar->task.model, &err) != FED_OK) {
        die("task", err.text);
    }
    if (!liar->welcomed) {
        fprintf(stderr, "welcomed\n");
    }
    liar->welcomed = true;
}

static void end_attempt(struct liar *liar) {
    for (size_t i = 0; i < liar->n_parts; i++) {
        free_update(&liar->old[i]);
        liar->old[i] = liar->parts[i].update;
    }
    memset(liar->parts, 0, sizeof liar->parts);
    liar->n_parts = 0;
    fed_download_free(liar->download);
    liar->download = NULL;
    liar->working = false;
    liar->n_admitted = 0;
}

static const struct lie *lie_of_round(const struct liar *liar, uint64_t round) {
    size_t i = 0;
    while (i + 1 < liar->n_lies && liar->rounds[i] != round) {
        i++;
    }
    return liar->lies[i];
}

static void begin_attempt(struct liar *liar, const struct fed_msg_round *round) {
    bool same_round = liar->terms.round == round->terms.round;
    end_attempt(liar);
    liar->terms = round->terms;
    memcpy(liar->terms.run_id, liar->run_id, sizeof liar->run_id);
    memcpy(liar->terms.task_digest, liar->task_digest, sizeof liar->task_digest);
    liar->working = true;
    if (liar->rounds[0] > 0) {
        liar->lie = lie_of_round(liar, liar->terms.round);
    } else if (!same_round && liar->turn < liar->n_lies) {
        liar->lie = liar->lies[liar->turn++];
    }
    fprintf(stderr, "round %llu lie %s\n", (unsigned long long)liar->terms.round, liar->lie->name);
    must(fed_download_new(&liar->download, &liar->terms, round), "download");
}

/* Another pass: the coordinator has given up the lane that stands. */
static void take_pass(struct liar *liar, const struct fed_msg_round *round) {
    struct fed_error err;
    char handle[33], capability[33];
    fed_hex(handle, round->handle, sizeof round->handle);
    fed_hex(capability, round->capability, sizeof round->capability);
    if (liar->bulk != NULL && strcmp(handle, liar->handle) == 0) {
        return;
    }
    memcpy(liar->handle, handle, sizeof liar->handle);
    fed_lane_close(liar->bulk);
    liar->bulk = NULL;
    if (fed_lane_connect_bulk(&liar->bulk, liar->link, liar->bulk_endpoint, handle, capability, BULK_FRAME_MAX, &err) !=
        FED_OK) {
        die("bulk lane", err.text);
    }
    if (liar->download != NULL) {
        fed_download_restart(liar->download);
    }
}

static void hear_round(struct liar *liar, const struct fed_msg_round *round) {
    if (!liar->working || round->terms.round != liar->terms.round || round->terms.attempt != liar->terms.attempt) {
        begin_attempt(liar, round);
    }
    take_pass(liar, round);
    struct part *part = find_part(liar, round->part);
    if (part == NULL) {
        if (liar->n_parts == PARTS_MAX) {
            die("round", "too many parts");
        }
        part = &liar->parts[liar->n_parts++];
    }
    if (part->told) {
        tell_again(liar, part);
        return;
    }
    part->id = round->part;
    part->encoding = round->encoding;
    part->closed = round->closed;
    part->n_clients = round->n_clients;
    memcpy(part->clients, round->clients, round->n_clients * sizeof *round->clients);
    if (liar->download == NULL) {
        tell(liar);
    }
}

static void hear_refused(struct liar *liar, const struct fed_msg_refused *refused) {
    fprintf(stderr, "refused %s\n", fed_refusal_name(refused->code));
    bool for_good = refused->retry_after_ms == 0 && refused->round == liar->terms.round &&
                    refused->attempt == liar->terms.attempt && find_part(liar, refused->part) != NULL;
    if (refused->round == 0 && refused->code == FED_REFUSAL_ROUND) {
        say_hello(liar);
    } else if (!for_good) { /* what is refused for good nobody waits for: nothing more need be said of it */
        decline_all(liar);
    }
}

static void hear_admitted(struct liar *liar) {
    fprintf(stderr, "admitted\n");
    liar->n_admitted++;
    if (liar->lie->twice) {
        offer_twice(liar);
    }
}

static void hear_control(struct liar *liar, const struct fed_frame *frame) {
    static struct fed_message message;
    must(fed_message_decode(&message, frame->bytes, frame->n), "message");
    switch (message.kind) {
    case FED_MSG_WELCOME: hear_welcome(liar, &message.as.welcome); break;
    case FED_MSG_ROUND: hear_round(liar, &message.as.round); break;
    case FED_MSG_REFUSED: hear_refused(liar, &message.as.refused); break;
    case FED_MSG_ADMITTED: hear_admitted(liar); break;
    case FED_MSG_END: end_attempt(liar); break;
    default: break;
    }
}

static void free_bytes(void *bytes, void *context) {
    (void)context;
    free(bytes);
}

static void send_chunk(struct liar *liar, const struct part *part, uint64_t i) {
    struct fed_bulk_head head = {.kind = FED_BULK_CHUNK,
                                 .what = {FED_OBJECT_UPDATE, liar->terms.round, liar->terms.attempt, part->id},
                                 .first = i,
                                 .count = 1};
    uint8_t bytes[FED_BULK_HEAD_MAX], *sealed = malloc(FED_CHUNK_BYTES + FED_TAG_BYTES);
    size_t n_head, n = fed_chunk_plain_bytes(part->update.n_bytes, i);
    struct fed_shared *shared;
    fed_seal_chunk(sealed, part->update.key, i, part->update.plain + i * FED_CHUNK_BYTES, n);
    n += FED_TAG_BYTES;
    if (liar->lie->chunk != NULL && !liar->lie->chunk(sealed, &n, i)) {
        free(sealed);
        return;
    }
    must(fed_bulk_encode(bytes, &n_head, &head), "bulk head");
    must(fed_shared_new(&shared, sealed, n, free_bytes, NULL), "bulk body");
    if (fed_lane_send(liar->bulk, NULL, bytes, n_head, shared, 0, n) != FED_OK) {
        fprintf(stderr, "chunk not sent\n");
    }
    fed_shared_release(shared);
}

static void hear_get(struct liar *liar, const struct fed_bulk_head *head) {
    for (size_t p = 0; p < liar->n_parts; p++) {
        const struct part *part = &liar->parts[p];
        if (part->id != head->what.part || part->update.key == NULL) {
            continue;
        }
        uint64_t end = fed_chunk_count(part->update.n_bytes);
        for (uint64_t i = head->first; i < end && i - head->first < head->count; i++) {
            send_chunk(liar, part, i);
        }
        if (liar->lie->gives_up) {
            decline(liar, part->id);
        }
    }
}

static void hear_chunk(struct liar *liar, const struct fed_bulk_head *head, const struct fed_frame *body) {
    struct fed_error err;
    if (liar->download == NULL) {
        return;
    }
    int rc = fed_download_chunk(liar->download, head->first, body->bytes, body->n, fed_clock_ms(), &liar->model, &err);
    if (rc == FED_EAGAIN) {
        return;
    }
    if (rc != FED_OK) {
        die("model", err.text);
    }
    fed_download_free(liar->download);
    liar->download = NULL;
    tell(liar);
}

static void hear_bulk(struct liar *liar) {
    struct fed_bulk_head head;
    for (struct fed_incoming in = {0}; liar->bulk != NULL && fed_lane_recv(&in, liar->bulk) == FED_OK;
         memset(&in, 0, sizeof in)) {
        if (in.head.n > 0 && fed_bulk_decode(&head, in.head.bytes, in.head.n) == FED_OK && liar->working &&
            head.what.round == liar->terms.round && head.what.attempt == liar->terms.attempt) {
            if (head.kind == FED_BULK_GET) {
                hear_get(liar, &head);
            } else {
                hear_chunk(liar, &head, &in.body);
            }
        }
        fed_frame_release(&in.head);
        fed_frame_release(&in.body);
    }
}

static void ask_chunks(struct liar *liar) {
    uint64_t first;
    uint32_t count;
    while (liar->download != NULL && fed_download_wants(liar->download, fed_clock_ms(), &first, &count)) {
        struct fed_bulk_head head = {.kind = FED_BULK_GET,
                                     .what = {FED_OBJECT_MODEL, liar->terms.round, liar->terms.attempt, 0},
                                     .first = first,
                                     .count = count};
        uint8_t bytes[FED_BULK_HEAD_MAX];
        size_t n;
        must(fed_bulk_encode(bytes, &n, &head), "bulk head");
        if (fed_lane_send(liar->bulk, NULL, bytes, n, NULL, 0, 0) != FED_OK) {
            return; /* not connected yet */
        }
        fed_download_asked(liar->download, first, count, fed_clock_ms());
    }
}

static void hear_links(struct liar *liar) {
    for (enum fed_link_event event; (event = fed_lane_event(liar->control)) != FED_LINK_QUIET;) {
        if (event == FED_LINK_UP) {
            say_hello(liar);
        }
        if (event == FED_LINK_REFUSED || event == FED_LINK_WRONG_PEER) {
            die("control lane", "refused");
        }
    }
    while (liar->bulk != NULL && fed_lane_event(liar->bulk) != FED_LINK_QUIET) {
    }
}

static void live(struct liar *liar) {
    uint64_t said_ms = fed_clock_ms();
    for (;;) {
        struct fed_poll_item items[2] = {{.lane = liar->control}, {.lane = liar->bulk}};
        bool floods = liar->lie->flood != NULL && liar->terms.round > 0;
        must(fed_link_poll(liar->link, items, liar->bulk != NULL ? 2 : 1, floods ? 1 : TICK_MS), "poll");
        hear_links(liar);
        for (struct fed_incoming in = {0}; fed_lane_recv(&in, liar->control) == FED_OK; memset(&in, 0, sizeof in)) {
            hear_control(liar, &in.head);
            fed_frame_release(&in.head);
            fed_frame_release(&in.body);
        }
        if (!liar->lie->deaf || liar->download != NULL) {
            hear_bulk(liar);
        }
        ask_chunks(liar);
        flood(liar);
        if (liar->welcomed && fed_clock_ms() - said_ms >= TICK_MS) {
            if (floods) {
                fprintf(stderr, "flooded %llu\n", (unsigned long long)liar->n_flooded);
            }
            say_status(liar);
            said_ms = fed_clock_ms();
        }
    }
}

static void choose_lies(struct liar *liar, char *names) {
    char *rest = NULL;
    for (char *name = strtok_r(names, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
        const struct lie *found = NULL;
        char *at = strchr(name, '@');
        if (at != NULL) {
            *at = '\0';
        }
        for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
            found = strcmp(lies[i].name, name) == 0 ? &lies[i] : found;
        }
        if (found == NULL || liar->n_lies == LIES_MAX) {
            die("lie", name);
        }
        liar->rounds[liar->n_lies] = at != NULL ? strtoull(at + 1, NULL, 10) : 0;
        liar->lies[liar->n_lies++] = found;
    }
    liar->lie = &lies[0];
}

int main(int argc, char **argv) {
    static struct liar liar;
    struct fed_error err;
    if (argc < 3) {
        die("usage", "lying_node CLIENT.yaml LIE,LIE,...");
    }
    choose_lies(&liar, argv[2]);
    if (fed_seal_setup(&err) != FED_OK || fed_client_config_load(&liar.config, argv[1], NULL, 0, &err) != FED_OK ||
        fed_identity_load(&liar.identity, liar.config.key, &err) != FED_OK ||
        fed_link_new(&liar.link, 1, 16, NULL, &err) != FED_OK ||
        fed_lane_connect_control(&liar.control, liar.link, liar.config.coordinator, &liar.identity,
                                 liar.config.coordinator_key.curve, FED_CONTROL_MAX, &err) != FED_OK) {
        die("start", err.text);
    }
    live(&liar);
    return 0;
}
