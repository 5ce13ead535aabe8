/* The input is a play: chunks of a model (honest, damaged, unasked), new connections, time. What is taken is the model that
 * the terms name, byte for byte; a download that was not given up ends once the coordinator is honest. */
#include <string.h>

#include "client/download.h"
#include "common/seal/seal.h"
#include "tests/fuzz/fuzz.h"

enum { CHUNKS_MOST = 16 };

static struct fed_model model;
static struct fed_image *image; /* what the coordinator has */
static struct fed_seal_key *key;
static struct fed_terms terms;
static struct fed_msg_round round_;
static uint64_t n_chunks, now_ms;
static bool asked[CHUNKS_MOST];

static void set_up(void) {
    static const struct fed_model_spec spec = {.input = {4096}, .n_layers = 1, .layers = {{65, FED_LINEAR}}};
    static const uint8_t run_id[16] = {9};
    MUST(fed_seal_setup(NULL) == FED_OK && fed_model_init(&model, &spec, NULL) == FED_OK);
    MUST(fed_image_new(&image, &model, run_id, 4) == FED_OK);
    fed_model_initial(image->params, &model, 1);
    MUST(fed_image_finish(image, &model, run_id) == FED_OK && fed_seal_key_random(&key) == FED_OK);
    n_chunks = fed_chunk_count(image->n_bytes);
    MUST(n_chunks > 4 && n_chunks <= CHUNKS_MOST);
    terms.round = 5;
    round_.file_bytes = image->n_bytes;
    fed_seal_key_export(round_.model_key, key);
}

/* Gives a chunk; even damage cuts, odd damage changes a byte. */
static int give(struct fed_download *download, uint64_t i, uint8_t damage) {
    static uint8_t sealed[FED_CHUNK_BYTES + FED_TAG_BYTES];
    struct fed_error err = {.text = ""};
    size_t n = i < n_chunks ? fed_chunk_plain_bytes(image->n_bytes, i) : 1;
    fed_seal_chunk(sealed, key, i, image->bytes + (i < n_chunks ? i * FED_CHUNK_BYTES : 0), n);
    n += FED_TAG_BYTES;
    if ((damage & 1) != 0) {
        sealed[n * damage / 256] ^= damage;
    } else {
        n -= damage < n ? damage : n;
    }
    int rc = fed_download_chunk(download, i, sealed, n, now_ms, &model, &err);
    MUST(rc == FED_OK || rc == FED_EAGAIN || ((rc == FED_ESEAL || rc == FED_EDATA) && err.text[0] != '\0'));
    must_be_one_line(err.text);
    if (i < n_chunks) {
        asked[i] = false;
    }
    return rc;
}

static void ask(struct fed_download *download) {
    uint64_t first;
    uint32_t count;
    while (fed_download_wants(download, now_ms, &first, &count)) {
        MUST(count >= 1 && first + count <= n_chunks);
        for (uint64_t i = first; i < first + count; i++) {
            asked[i] = true;
        }
        fed_download_asked(download, first, count, now_ms);
    }
}

static int act(struct fed_download *download, const uint8_t op[2]) {
    switch (op[0] % 5) {
    case 0: return give(download, op[1] % (n_chunks + 1), 0);
    case 1: return give(download, op[0] / 5 % (n_chunks + 1), op[1]);
    case 2: now_ms += op[1] * (uint64_t)100; break;
    case 3: fed_download_restart(download); break;
    default: ask(download);
    }
    return FED_EAGAIN;
}

static int be_honest(struct fed_download *download) {
    int rc = FED_EAGAIN;
    fed_download_restart(download);
    for (uint64_t turns = 0; rc == FED_EAGAIN; turns++) {
        MUST(turns <= n_chunks);
        ask(download);
        for (uint64_t i = 0; i < n_chunks && rc == FED_EAGAIN; i++) {
            rc = asked[i] ? give(download, i, 0) : rc;
        }
    }
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    struct fed_download *download;
    if (image == NULL) {
        set_up();
    }
    bool right = n == 0 || bytes[0] % 8 != 0; /* else the terms name another model */
    memcpy(terms.model_digest, image->digest, sizeof terms.model_digest);
    terms.model_digest[0] ^= right ? 0 : 1;
    round_.terms = terms;
    memset(asked, 0, sizeof asked);
    MUST(fed_download_new(&download, &terms, &round_) == FED_OK);
    int rc = FED_EAGAIN;
    for (size_t i = 1; i + 2 <= n && rc == FED_EAGAIN; i += 2) {
        rc = act(download, bytes + i);
    }
    rc = rc == FED_EAGAIN ? be_honest(download) : rc;
    MUST(rc != FED_OK || right);
    MUST(rc != FED_EDATA || !right);
    if (rc == FED_OK) {
        struct fed_image *got = fed_download_take(download);
        MUST(got != NULL && got->n_bytes == image->n_bytes && memcmp(got->bytes, image->bytes, image->n_bytes) == 0);
        fed_image_release(got);
    }
    fed_download_free(download);
    return 0;
}
