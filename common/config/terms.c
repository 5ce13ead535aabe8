/* What a file may say and what may travel cannot drift apart: terms_json.h. Decoding is strict by going back: what was
 * understood is encoded again and has to equal what came. */
#include "common/config/terms.h"

#include <assert.h>
#include <float.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/terms_json.h"
#include "common/config/terms_model.h"
#include "common/seal/digest.h"

struct term {
    const char *path;
    size_t offset; /* in struct fed_task_terms */
};

#define TERM(name) offsetof(struct fed_task_terms, name)

static const struct term always[] = {
    {"name", TERM(name)},
    {"seed", TERM(seed)},
    {"algorithm.fraction", TERM(fraction)},
    {"algorithm.epochs", TERM(epochs)},
    {"algorithm.batch_size", TERM(batch_size)},
    {"algorithm.learning_rate", TERM(learning_rate)},
    {"algorithm.learning_rate_decay", TERM(learning_rate_decay)},
    {"algorithm.momentum", TERM(sgd.momentum)},
    {"algorithm.weight_decay", TERM(sgd.weight_decay)},
    {"algorithm.math", TERM(math)},
    {"algorithm.max_delta", TERM(max_delta)},
    {"algorithm.max_weight", TERM(max_weight)},
    {"algorithm.max_updates", TERM(max_updates)},
};
/* Where updates are clipped, where there is a share; texts of tasks without them are as they were before there were any. */
static const struct term clip[] = {
    {"algorithm.clip_norm", TERM(clip.norm)},
    {"algorithm.clip_quantile", TERM(clip.quantile)},
    {"algorithm.clip_rate", TERM(clip.rate)},
};
#define N_CLIP (sizeof clip / sizeof *clip)
static const struct term share = {"algorithm.max_share", TERM(max_share)};

#define N_ALWAYS (sizeof always / sizeof *always)

static const struct term kind = {"data.partition.kind", TERM(partition.kind)};
static const struct term clients = {"data.partition.clients", TERM(partition.clients)};
static const struct term shards = {"data.partition.shards_per_client", TERM(partition.shards_per_client)};
static const struct term alpha = {"data.partition.alpha", TERM(partition.alpha)};
static const struct term each = {"data.partition.examples_per_client", TERM(partition.examples_per_client)};

static const char partition_digest[] = "data.partition.digest", initial_digest[] = "model.initial";

float fed_task_learning_rate(double first, double decay, uint64_t round) {
    double rate = first;
    for (uint64_t r = 1; r < round; r++) {
        rate *= decay;
    }
    return rate > (double)FLT_TRUE_MIN ? (float)rate : FLT_TRUE_MIN;
}

/* -- encode ------------------------------------------------------------------------------------------------------------ */

static int put_term(json_t *root, const struct fed_task_terms *terms, const struct term *term) {
    return fed_terms_put(root, term->path, fed_terms_scalar(term->path, (const char *)terms + term->offset));
}

static int put_digest(json_t *root, const char *path, const uint8_t digest[FED_DIGEST_BYTES]) {
    char hex[FED_DIGEST_HEX];
    fed_hex(hex, digest, FED_DIGEST_BYTES);
    return fed_terms_put(root, path, json_string(hex));
}

/* The number that goes with the kind; NULL for none. */
static const struct term *number_of(enum fed_partition_kind partition_kind) {
    return partition_kind == FED_PARTITION_SHARDS ? &shards : fed_partition_takes_alpha(partition_kind) ? &alpha : NULL;
}

static int put_partition(json_t *root, const struct fed_task_terms *terms) {
    if (!terms->has_partition) {
        return fed_terms_put(root, "data", json_null());
    }
    const struct term *number = number_of(terms->partition.kind);
    bool ok = put_term(root, terms, &kind) == 0 && put_term(root, terms, &clients) == 0 &&
              (number == NULL || put_term(root, terms, number) == 0) &&
              (terms->partition.examples_per_client == 0 || put_term(root, terms, &each) == 0) &&
              put_digest(root, partition_digest, terms->partition_digest) == 0;
    return ok ? 0 : FED_ENOMEM;
}

static int put_options(json_t *root, const struct fed_task_terms *terms) {
    int code = terms->max_share > 0 ? put_term(root, terms, &share) : 0;
    for (size_t i = 0; terms->clip.norm > 0 && i < N_CLIP && code == 0; i++) {
        code = put_term(root, terms, &clip[i]);
    }
    return code;
}

static json_t *to_json(const struct fed_task_terms *terms) {
    json_t *root = json_object();
    int code = fed_terms_put(root, "schema", json_integer(1));
    if (code == 0) {
        code = fed_terms_put(root, "algorithm.kind", json_string("fedavg"));
    }
    for (size_t i = 0; i < N_ALWAYS && code == 0; i++) {
        code = put_term(root, terms, &always[i]);
    }
    if (code == 0) {
        code = put_options(root, terms);
    }
    if (code == 0) {
        code = fed_terms_put_model(root, &terms->model);
    }
    if (code == 0 && terms->has_initial) {
        code = put_digest(root, initial_digest, terms->initial_digest);
    }
    if (code == 0) {
        code = put_partition(root, terms);
    }
    if (code != 0) {
        json_decref(root);
        return NULL;
    }
    return root;
}

int fed_task_terms_encode(char **out, const struct fed_task_terms *terms) {
    assert(terms->seed <= INT64_MAX && terms->max_weight >= 1 && terms->max_updates >= 1 && terms->max_updates <= 1 << 24);
    assert(terms->model.n_layers >= 1 && terms->model.n_layers <= FED_MAX_LAYERS);
    assert(!terms->has_partition || terms->partition.kind != FED_PARTITION_NONE);
    json_t *root = to_json(terms);
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(root);
    if (text == NULL) {
        return FED_ENOMEM;
    }
    assert(strlen(text) <= FED_TERMS_MAX);
    *out = text;
    return 0;
}

/* -- decode ------------------------------------------------------------------------------------------------------------ */

static int take_term(struct fed_task_terms *terms, const json_t *root, const struct term *term, struct fed_error *err) {
    return fed_terms_take((char *)terms + term->offset, term->path, fed_terms_get(root, term->path), err);
}

static int hex_value(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

static int take_digest(uint8_t out[FED_DIGEST_BYTES], const json_t *root, const char *path, struct fed_error *err) {
    const char *hex = json_string_value(fed_terms_get(root, path));
    for (size_t i = 0; hex != NULL && i < FED_DIGEST_BYTES; i++) {
        int high = hex_value(hex[2 * i]), low = high < 0 ? -1 : hex_value(hex[2 * i + 1]);
        if (low < 0) {
            hex = NULL;
        } else {
            out[i] = (uint8_t)(high * 16 + low);
        }
    }
    return hex != NULL ? 0 : fed_error_set(err, FED_EWIRE, "terms: %s is not 64 hex digits", path);
}

static int take_partition(struct fed_task_terms *terms, const json_t *root, struct fed_error *err) {
    if (json_is_null(json_object_get(root, "data"))) {
        return 0;
    }
    terms->has_partition = true;
    int code = take_term(terms, root, &kind, err);
    if (code == 0) {
        code = take_term(terms, root, &clients, err);
    }
    const struct term *number = code == 0 ? number_of(terms->partition.kind) : NULL;
    if (number != NULL) {
        code = take_term(terms, root, number, err);
    }
    if (code == 0 && fed_partition_can_compute(terms->partition.kind) && fed_terms_get(root, each.path) != NULL) {
        code = take_term(terms, root, &each, err);
    }
    if (code == 0 && (uint64_t)terms->partition.clients * terms->partition.shards_per_client > UINT32_MAX) {
        code = fed_error_set(err, FED_EWIRE, "terms: more than %u shards", UINT32_MAX);
    }
    return code == 0 ? take_digest(terms->partition_digest, root, partition_digest, err) : code;
}

static int take_options(struct fed_task_terms *terms, const json_t *root, struct fed_error *err) {
    int code = fed_terms_get(root, share.path) != NULL ? take_term(terms, root, &share, err) : 0;
    for (size_t i = 0; fed_terms_get(root, clip[0].path) != NULL && i < N_CLIP && code == 0; i++) {
        code = take_term(terms, root, &clip[i], err);
    }
    return code;
}

/* Whatever was not understood (a key too many, a number written as a string) makes the two differ. */
static int compare_back(const struct fed_task_terms *terms, const json_t *root, struct fed_error *err) {
    json_t *again = to_json(terms);
    if (again == NULL) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    bool same = json_equal(again, root);
    json_decref(again);
    return same ? 0 : fed_error_set(err, FED_EWIRE, "terms: a key or a type that terms do not have");
}

/* Whether the characters after a backslash are an escape that our writer needs: each character has one spelling. */
static bool escape_is_ours(const char *c, size_t left) {
    if (left >= 1 && memchr("\"\\bfnrt", *c, 7) != NULL) {
        return true;
    }
    if (left < 5 || (memcmp(c, "u000", 4) != 0 && memcmp(c, "u001", 4) != 0) ||
        memchr("0123456789ABCDEF", c[4], 16) == NULL) {
        return false;
    }
    return c[3] == '1' || memchr("89ACD", c[4], 5) == NULL; /* these have letters: b, t, n, f, r */
}

/* *at: the byte that is not. */
static bool spelled_as_ours(const char *text, size_t n, size_t *at) {
    bool inside = false;
    for (*at = 0; *at < n; ++*at) {
        const char *c = text + *at;
        if (*c == '\\') {
            if (!escape_is_ours(c + 1, n - *at - 1)) {
                return false;
            }
            ++*at;
        } else if (!inside && (unsigned char)*c <= ' ') {
            return false;
        } else if (*c == '"') {
            inside = !inside;
        }
    }
    return true;
}

static json_t *parse(const char *text, size_t n, struct fed_error *err) {
    size_t at;
    if (n > FED_TERMS_MAX) {
        fed_error_set(err, FED_EWIRE, "terms: longer than %zu bytes", FED_TERMS_MAX);
        return NULL;
    }
    if (!spelled_as_ours(text, n, &at)) {
        fed_error_set(err, FED_EWIRE, "terms: a space or an escape that nobody needs at byte %zu", at);
        return NULL;
    }
    json_error_t problem;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &problem);
    if (root == NULL) {
        fed_error_set(err, FED_EWIRE, "terms: not JSON");
    }
    return root;
}

int fed_task_terms_decode(struct fed_task_terms *out, const char *text, size_t n, struct fed_error *err) {
    struct fed_task_terms terms = {0};
    json_t *root = parse(text, n, err);
    if (root == NULL) {
        return FED_EWIRE;
    }
    int code = 0;
    for (size_t i = 0; i < N_ALWAYS && code == 0; i++) {
        code = take_term(&terms, root, &always[i], err);
    }
    if (code == 0) {
        code = take_options(&terms, root, err);
    }
    if (code == 0) {
        code = fed_terms_take_model(&terms.model, root, err);
    }
    terms.has_initial = fed_terms_get(root, initial_digest) != NULL;
    if (code == 0 && terms.has_initial) {
        code = take_digest(terms.initial_digest, root, initial_digest, err);
    }
    if (code == 0) {
        code = take_partition(&terms, root, err);
    }
    if (code == 0) {
        code = compare_back(&terms, root, err);
    }
    json_decref(root);
    if (code == 0) {
        *out = terms;
    }
    return code;
}

/* -- difference -------------------------------------------------------------------------------------------------------- */

/* A value as a person writes it: the shortest digits that give the same number, long things cut. */
static void show(char out[64], const json_t *value) {
    if (value == NULL || json_is_null(value)) {
        snprintf(out, 64, "none");
    } else if (json_is_real(value)) {
        for (int digits = 1; digits <= 17; digits++) {
            snprintf(out, 64, "%.*g", digits, json_real_value(value));
            if (strtod(out, NULL) == json_real_value(value)) {
                break;
            }
        }
    } else if (json_is_array(value)) {
        snprintf(out, 64, "%zu of them", json_array_size(value));
    } else { /* text without its quotes: a vocabulary has characters that only JSON can show */
        char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
        size_t quote = json_is_string(value), n = text != NULL ? strlen(text) - 2 * quote : 0;
        snprintf(out, 64, "%.*s", (int)(n < 60 ? n : 60), text != NULL ? text + quote : "");
        free(text);
    }
}

static void add_sentence(struct fed_error *out, const char *path, const json_t *in_run, const json_t *in_task) {
    char run[64], task[64];
    show(run, in_run);
    show(task, in_task);
    size_t n = strlen(out->text);
    snprintf(out->text + n, sizeof out->text - n, "%s%s: %s in the run, %s in the task", n > 0 ? "; " : "", path, run, task);
}

/* Depth is that of our own terms: both texts were written by fed_task_terms_encode. */
static void compare(struct fed_error *out, const char *path, const json_t *in_run, const json_t *in_task) {
    char child[160];
    if (json_is_object(in_run) && json_is_object(in_task)) {
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)in_run, key, value) {
            snprintf(child, sizeof child, "%s%s%s", path, path[0] != '\0' ? "." : "", key);
            compare(out, child, value, json_object_get(in_task, key));
        }
        json_object_foreach((json_t *)in_task, key, value) {
            if (json_object_get(in_run, key) == NULL) {
                snprintf(child, sizeof child, "%s%s%s", path, path[0] != '\0' ? "." : "", key);
                compare(out, child, NULL, value);
            }
        }
    } else if (json_is_array(in_run) && json_is_array(in_task) && json_array_size(in_run) == json_array_size(in_task)) {
        for (size_t i = 0; i < json_array_size(in_run); i++) {
            snprintf(child, sizeof child, "%s[%zu]", path, i);
            compare(out, child, json_array_get(in_run, i), json_array_get(in_task, i));
        }
    } else if (in_run == NULL || in_task == NULL || !json_equal(in_run, in_task)) {
        add_sentence(out, path, in_run, in_task);
    }
}

void fed_task_terms_difference(struct fed_error *out, const char *in_run, const char *in_task) {
    json_t *run = json_loads(in_run, JSON_REJECT_DUPLICATES, NULL),
           *task = json_loads(in_task, JSON_REJECT_DUPLICATES, NULL);
    out->text[0] = '\0';
    if (run == NULL || task == NULL) {
        fed_error_set(out, 0, "the terms of the %s are not readable", run == NULL ? "run" : "task");
    } else {
        compare(out, "", run, task);
    }
    json_decref(run);
    json_decref(task);
}
