/* The input is a play: offers, chunks (honest, damaged, unasked), lost nodes, time, a lane without room, ended attempts.
 * Whatever its order, an update is in the sum exactly once if it was admitted and not at all if not, number by number; what
 * holds a bad value or was damaged is never admitted; and when the play is over an honest node's update still comes in. */
#include <math.h>
#include <poll.h>
#include <string.h>

#include "coordinator/round/intake.h"
#include "tests/fuzz/fuzz.h"

/* 69,649 parameters: two chunks of floats, three of integers. Every update has one value a region of half a chunk of
 * floats, so that what it adds is known without adding it up. */
enum { INPUTS = 4096, UNITS = 17, PARAMS = (INPUTS + 1) * UNITS, REGION = 32768, REGIONS = 3 };
enum { NODES = 3, PARTS = 2, WEIGHT_MOST = 600, STALL_MS = 1000, ASKS_MOST = FED_INTAKE_WINDOW * 4, OPS_MOST = 64 };

enum flavour { HONEST, NOT_FINITE, BEYOND_CAP, LOW_ORDER_KEY, N_FLAVOURS };

struct update {
    bool held, claimed, counted; /* the intake has it; is adding it; it is in the sum of this attempt */
    enum flavour flavour;
    struct fed_update_header header;
    struct fed_seal_key *key;
    int64_t terms[REGIONS]; /* what it adds to each number of a region */
    float values[REGIONS];
};

struct ask {
    size_t node;
    uint32_t part;
    uint64_t chunk;
};

static struct fed_model model;
static struct fed_fixed fixed;
static struct fed_aggregate aggregate;
static struct fed_attempt attempt;
static struct fed_identity nodes[NODES];
static struct fed_intake *intake;
static struct update updates[NODES][PARTS];
static struct ask asks[ASKS_MOST];
static size_t n_asks;
static int64_t expected[REGIONS];
static uint64_t expected_weight, now_ms;
static int get_answer;
static bool claims_refused;

/* -- the coordinator's side --------------------------------------------------------------------------------------------- */

static int get(void *context, size_t node, uint32_t part, uint64_t first, uint32_t count) {
    (void)context;
    MUST(node < NODES && part < PARTS && updates[node][part].held && count >= 1);
    MUST(first + count <= updates[node][part].header.n_chunks);
    if (get_answer != FED_OK || n_asks + count > ASKS_MOST) {
        return get_answer != FED_OK ? get_answer : FED_EAGAIN;
    }
    for (uint32_t i = 0; i < count; i++) {
        asks[n_asks++] = (struct ask){node, part, first + i};
    }
    return FED_OK;
}

static void forget_asks(size_t node) {
    size_t kept = 0;
    for (size_t i = 0; i < n_asks; i++) {
        if (asks[i].node != node) {
            asks[kept++] = asks[i];
        }
    }
    n_asks = kept;
}

static void broken(void *context, size_t node, uint32_t part) {
    (void)context;
    MUST(updates[node][part].held);
    forget_asks(node);
}

static void must_be_of(const struct update *update, const struct fed_update_header *header) {
    MUST(update->held && header->n_clients == update->header.n_clients && header->clients[0] == update->header.clients[0]);
}

static enum fed_refusal claim(void *context, size_t node, uint32_t part, const struct fed_update_header *header) {
    (void)context;
    must_be_of(&updates[node][part], header);
    if (claims_refused) {
        return FED_REFUSAL_LATE;
    }
    updates[node][part].claimed = !updates[node][part].counted;
    return updates[node][part].counted ? FED_REFUSAL_COUNTED : FED_REFUSAL_NONE;
}

static void admitted(void *context, size_t node, uint32_t part, const struct fed_update_header *header) {
    struct update *update = &updates[node][part];
    (void)context;
    must_be_of(update, header);
    MUST(update->flavour == HONEST && !update->counted);
    update->counted = true;
    update->held = update->claimed = false;
    for (int r = 0; r < REGIONS; r++) {
        expected[r] += update->terms[r];
    }
    expected_weight += header->weights[0];
}

static void refused(void *context, size_t node, uint32_t part, enum fed_refusal refusal,
                    const struct fed_update_header *header, const char *why) {
    struct update *update = &updates[node][part];
    (void)context;
    must_be_of(update, header);
    must_be_one_line(why);
    bool values = refusal == FED_REFUSAL_NOT_FINITE || refusal == FED_REFUSAL_DELTA_CAP || refusal == FED_REFUSAL_SUM_BOUND;
    MUST(!values || update->flavour == NOT_FINITE || update->flavour == BEYOND_CAP);
    update->held = false;
}

/* -- the node's side ---------------------------------------------------------------------------------------------------- */

static void plan(struct update *update, bool sum, uint32_t weight, int8_t level) {
    for (int r = 0; r < REGIONS; r++) {
        float value = (float)level / 256.0f * (float)(r + 1);
        update->values[r] = value;
        update->terms[r] = llrint(ldexp((double)value * weight, fixed.exponent));
    }
    if (update->flavour == NOT_FINITE && !sum) {
        update->values[1] = NAN;
    } else if (update->flavour == NOT_FINITE || update->flavour == BEYOND_CAP) {
        update->values[REGIONS - 1] = 2.0f * fixed.max_delta;
        update->terms[REGIONS - 1] = INT64_MAX;
    }
}

static void describe(struct fed_update_header *header, size_t node, uint32_t part, bool sum, uint32_t weight) {
    *header = (struct fed_update_header){.suite = FED_SUITE_1, .n_clients = 1};
    header->encoding = sum ? FED_ENCODING_I64 : FED_ENCODING_F32;
    header->n_bytes = PARAMS * (sum ? sizeof(int64_t) : sizeof(float));
    header->n_chunks = fed_chunk_count(header->n_bytes);
    header->clients[0] = node * PARTS + part;
    header->weights[0] = weight;
}

/* knobs: an arbitrary byte each. */
static void offer(size_t node, uint32_t part, const uint8_t knobs[3]) {
    static struct fed_msg_offer message;
    struct update *update = &updates[node][part], fresh = {.counted = update->counted};
    bool sum = (knobs[0] & 1) != 0;
    struct fed_seal_pair *e;
    fresh.flavour = (enum flavour)((knobs[0] >> 1) % N_FLAVOURS);
    describe(&fresh.header, node, part, sum, 1 + knobs[1] * 2U);
    plan(&fresh, sum, fresh.header.weights[0], (int8_t)knobs[2]);
    message = (struct fed_msg_offer){.round = 3, .attempt = 1, .part = part};
    MUST(fed_update_header_encode(message.header, &message.n_header, &fresh.header) == FED_OK);
    MUST(fed_seal_pair_new(&e) == FED_OK);
    memcpy(message.e_pk, fed_seal_pair_public(e), sizeof message.e_pk);
    MUST(fed_seal_update_key_node(&fresh.key, e, &nodes[node], attempt.terms.r_pk, attempt.terms_digest, message.header,
                                  message.n_header) == FED_OK);
    fed_seal_pair_free(e);
    if (fresh.flavour == LOW_ORDER_KEY) {
        memset(message.e_pk, 0, sizeof message.e_pk);
    }
    if (update->claimed) { /* what is being added stays; what was sealed anew takes the place of what was not */
        fed_seal_key_free(fresh.key);
    } else {
        fed_seal_key_free(update->key);
        fresh.held = true;
        *update = fresh;
    }
    MUST(fed_intake_offer(intake, node, nodes[node].public_keys.seal, &message) == FED_OK);
}

/* Seals chunk i as the update's owner would. Returns its length. */
static size_t seal(uint8_t *out, const struct update *update, uint64_t i) {
    static union {
        float f32[FED_CHUNK_BYTES / sizeof(float)];
        int64_t i64[FED_CHUNK_BYTES / sizeof(int64_t)];
    } plain;
    bool sum = update->header.encoding == FED_ENCODING_I64;
    size_t n = fed_chunk_plain_bytes(update->header.n_bytes, i), per_chunk = FED_CHUNK_BYTES / (sum ? 8 : 4);
    for (size_t k = 0; k < n / (sum ? 8 : 4); k++) {
        size_t region = (i * per_chunk + k) / REGION;
        if (sum) {
            plain.i64[k] = update->terms[region];
        } else {
            plain.f32[k] = update->values[region];
        }
    }
    fed_seal_chunk(out, update->key, i, (const uint8_t *)&plain, n);
    return n + FED_TAG_BYTES;
}

/* Answers the ask at hand. damage: 0 none, else which byte is changed, or how much is cut. */
static void answer(size_t at, uint8_t damage) {
    static uint8_t sealed[FED_CHUNK_BYTES + FED_TAG_BYTES];
    struct ask ask = asks[at];
    const struct update *update = &updates[ask.node][ask.part];
    asks[at] = asks[--n_asks];
    if (!update->held || ask.chunk >= update->header.n_chunks) { /* that update is gone, and perhaps another there */
        return;
    }
    size_t n = seal(sealed, update, ask.chunk);
    if ((damage & 1) != 0) {
        sealed[n * damage / 256] ^= (uint8_t)(damage | 1);
    } else {
        n -= damage;
    }
    int rc = fed_intake_chunk(intake, ask.node, ask.part, ask.chunk, sealed, n, now_ms);
    MUST(rc == FED_OK || rc == FED_EWIRE);
    MUST(rc == FED_EWIRE || damage == 0 || (damage & 1) != 0);
}

static void unasked(size_t node, uint32_t part, const uint8_t knobs[3]) {
    static uint8_t bytes[FED_CHUNK_BYTES + FED_TAG_BYTES];
    uint64_t index = knobs[1] == 255 ? UINT64_MAX : knobs[1] % 4;
    int rc = fed_intake_chunk(intake, node, part, index, bytes, (size_t)knobs[0] * knobs[2] * 4, now_ms);
    MUST(rc == FED_OK || rc == FED_EWIRE);
}

/* -- the play ----------------------------------------------------------------------------------------------------------- */

static void settle(void) {
    fed_intake_work(intake, now_ms);
    while (!fed_intake_idle(intake)) {
        struct pollfd item = {.fd = fed_intake_fd(intake), .events = POLLIN};
        MUST(poll(&item, 1, 60000) == 1);
        fed_intake_work(intake, now_ms);
    }
}

static void check_sum(void) {
    MUST(!fed_intake_spoilt(intake) && aggregate.total_weight == expected_weight);
    for (size_t i = 0; i < PARAMS; i++) {
        MUST(aggregate.sum[i] == expected[i / REGION]);
    }
}

static void begin(void) {
    fed_aggregate_clear(&aggregate);
    memset(expected, 0, sizeof expected);
    expected_weight = 0;
    for (size_t i = 0; i < (size_t)NODES * PARTS; i++) {
        updates[i / PARTS][i % PARTS].counted = false;
    }
    fed_intake_begin(intake, &attempt);
}

static void end(void) {
    fed_intake_end(intake);
    settle();
    check_sum();
    for (size_t i = 0; i < (size_t)NODES * PARTS; i++) {
        updates[i / PARTS][i % PARTS].held = false;
    }
    n_asks = 0;
}

static void lose(size_t node) {
    fed_intake_node_lost(intake, node);
    forget_asks(node);
    settle(); /* what was being added is finished, and counted */
    for (size_t part = 0; part < PARTS; part++) {
        updates[node][part].held = false;
    }
}

static void act(const uint8_t op[5]) {
    size_t node = op[1] % NODES;
    uint32_t part = op[1] / NODES % PARTS;
    switch (op[0] % 10) {
    case 0:
    case 1: offer(node, part, op + 2); break;
    case 2:
    case 3:
        for (unsigned i = 0; i <= op[1] % 8U && n_asks > 0; i++) {
            answer((i * op[2]) % n_asks, 0);
        }
        break;
    case 4:
        if (n_asks > 0) {
            answer(op[1] % n_asks, op[2]);
        }
        break;
    case 5: unasked(node, part, op + 2); break;
    case 6: now_ms += op[1] * 20U; break;
    case 7: lose(node); break;
    case 8:
        get_answer = op[1] % 4 == 1 ? FED_EAGAIN : op[1] % 4 == 2 ? FED_EGONE : FED_OK;
        claims_refused = (op[1] & 4) != 0;
        break;
    default: end(); begin();
    }
    if ((op[4] & 1) != 0) {
        settle();
    } else {
        fed_intake_work(intake, now_ms);
    }
    MUST(fed_intake_wakeup(intake) >= now_ms || fed_intake_wakeup(intake) > 0);
}

/* However it went so far: who is honest is heard. */
static void an_honest_update_comes_in(void) {
    static const uint8_t knobs[3] = {0, 1, 3};
    get_answer = FED_OK;
    claims_refused = false;
    end();
    begin();
    offer(0, 0, knobs);
    for (unsigned i = 0; i < 100 && updates[0][0].held; i++) {
        settle();
        while (n_asks > 0) {
            answer(0, 0);
        }
    }
    settle();
    MUST(updates[0][0].counted);
    end();
}

static void set_up(void) {
    static const struct fed_model_spec spec = {.input = {INPUTS}, .n_layers = 1, .layers = {{UNITS, FED_LINEAR}}};
    static const uint8_t run_id[16] = {7};
    static const struct fed_terms terms = {.round = 3, .attempt = 1, .epochs = 1, .batch_size = 10, .learning_rate = 0.1f};
    struct fed_image *image;
    MUST(fed_seal_setup(NULL) == FED_OK && fed_model_init(&model, &spec, NULL) == FED_OK && model.n_params == PARAMS);
    MUST(fed_fixed_init(&fixed, 4, WEIGHT_MOST, 2048, NULL) == FED_OK);
    MUST(fed_aggregate_init(&aggregate, &fixed, PARAMS) == FED_OK);
    MUST(fed_image_new(&image, &model, run_id, 2) == FED_OK);
    memset(image->params, 0, PARAMS * sizeof(float));
    MUST(fed_image_finish(image, &model, run_id) == FED_OK);
    MUST(fed_attempt_init(&attempt, &terms, image, PARAMS) == FED_OK);
    fed_image_release(image);
    for (int i = 0; i < NODES; i++) {
        const uint8_t seed[FED_KEY_BYTES] = {(uint8_t)i};
        MUST(fed_identity_from_seed(&nodes[i], seed) == FED_OK);
    }
    const struct fed_intake_config config = {.uploads = 3,
                                             .uploads_per_node = 3,
                                             .model = &model,
                                             .fixed = &fixed,
                                             .aggregate = &aggregate,
                                             .threads = 2,
                                             .staging_bytes = (uint64_t)8 << 20,
                                             .spool_dir = "/tmp",
                                             .stall_ms = STALL_MS,
                                             .get = get,
                                             .broken = broken,
                                             .claim = claim,
                                             .admitted = admitted,
                                             .refused = refused};
    MUST(fed_intake_new(&intake, &config, NULL) == FED_OK);
    now_ms = 5000;
    begin();
    end();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    if (intake == NULL) {
        set_up();
    }
    begin();
    for (size_t i = 0; i < OPS_MOST && (i + 1) * 5 <= n; i++) {
        act(bytes + i * 5);
    }
    an_honest_update_comes_in();
    return 0;
}
