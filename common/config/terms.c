/* Bounds and spelling of each field come from the row of the same path in the task's table, so that what a file may say
 * and what may travel cannot drift apart. Decoding is strict by going back: what was understood is encoded again and has
 * to equal what came. */
#include "common/config/terms.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/setting.h"
#include "common/config/task.h"
#include "common/seal/digest.h"

struct term {
    const char *path;
    size_t offset; /* in struct fed_task_terms */
};

#define TERM(name) offsetof(struct fed_task_terms, name)

static const struct term always[] = {
    {"name", TERM(name)},
    {"seed", TERM(seed)},
    {"model.input", TERM(model.input.channels)},
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
#define N_ALWAYS (sizeof always / sizeof *always)

static const struct term kind = {"data.partition.kind", TERM(partition.kind)};
static const struct term clients = {"data.partition.clients", TERM(partition.clients)};
static const struct term shards = {"data.partition.shards_per_client", TERM(partition.shards_per_client)};
static const struct term alpha = {"data.partition.alpha", TERM(partition.alpha)};
static const struct term each = {"data.partition.examples_per_client", TERM(partition.examples_per_client)};

/* Known to the coordinator alone: no file gives it. */
static const struct fed_setting max_updates = {"algorithm.max_updates", FED_SETTING_U64, 0, .min = 1, .max = 1 << 24};

static const struct fed_setting *row_of(const char *path) {
    if (strcmp(path, max_updates.path) == 0) {
        return &max_updates;
    }
    const struct fed_setting *row = fed_setting_find(fed_task_settings(), path);
    assert(row != NULL);
    return row;
}

#define SECTION_CHARS 32

static const char *section_word(char out[SECTION_CHARS], const char *path, const char *dot) {
    assert(dot - path < SECTION_CHARS);
    snprintf(out, SECTION_CHARS, "%.*s", (int)(dot - path), path);
    return out;
}

/* -- encode ------------------------------------------------------------------------------------------------------------ */

static json_t *scalar(const struct fed_setting *row, const void *field) {
    switch (row->type) {
    case FED_SETTING_NAME: return json_string(field);
    case FED_SETTING_U32: {
        uint32_t value = *(const uint32_t *)field;
        return value == 0 && row->zero_word != NULL ? json_string(row->zero_word) : json_integer(value);
    }
    case FED_SETTING_U64: return json_integer((json_int_t) * (const uint64_t *)field);
    case FED_SETTING_REAL: return json_real(*(const double *)field);
    case FED_SETTING_WORD: return json_string(row->word(*(const unsigned *)field));
    default: assert(!"a term of this type"); return NULL;
    }
}

/* The object that holds the last word of the path, made on the way; *word is that word. NULL: no memory. */
static json_t *make_parent(json_t *root, const char *path, const char **word) {
    json_t *at = root;
    for (const char *dot; at != NULL && (dot = strchr(path, '.')) != NULL; path = dot + 1) {
        char section[SECTION_CHARS];
        section_word(section, path, dot);
        json_t *next = json_object_get(at, section);
        if (next == NULL && json_object_set_new(at, section, json_object()) == 0) {
            next = json_object_get(at, section);
        }
        at = next;
    }
    *word = path;
    return at;
}

/* Takes over value, NULL included. */
static int put(json_t *root, const char *path, json_t *value) {
    const char *word;
    json_t *parent = make_parent(root, path, &word);
    if (parent == NULL) {
        json_decref(value);
        return FED_ENOMEM;
    }
    return json_object_set_new(parent, word, value) == 0 ? 0 : FED_ENOMEM;
}

static int put_term(json_t *root, const struct fed_task_terms *terms, const struct term *term) {
    return put(root, term->path, scalar(row_of(term->path), (const char *)terms + term->offset));
}

static int put_layers(json_t *root, const struct fed_model_spec *spec) {
    json_t *layers = json_array();
    for (uint32_t i = 0; i < spec->n_layers; i++) {
        json_t *layer = json_object();
        if (put(layer, "units", scalar(row_of("model.layers[0].units"), &spec->layers[i].units)) != 0 ||
            put(layer, "activation", scalar(row_of("model.layers[0].activation"), &spec->layers[i].activation)) != 0 ||
            json_array_append(layers, layer) != 0) {
            json_decref(layer);
            json_decref(layers);
            return FED_ENOMEM;
        }
        json_decref(layer);
    }
    return put(root, "model.layers", layers);
}

/* The number that goes with the kind; NULL for none. */
static const struct term *number_of(enum fed_partition_kind partition_kind) {
    return partition_kind == FED_PARTITION_SHARDS ? &shards : fed_partition_takes_alpha(partition_kind) ? &alpha : NULL;
}

static int put_partition(json_t *root, const struct fed_task_terms *terms) {
    if (!terms->has_partition) {
        return put(root, "data", json_null());
    }
    char hex[FED_DIGEST_HEX];
    fed_hex(hex, terms->partition_digest, FED_DIGEST_BYTES);
    const struct term *number = number_of(terms->partition.kind);
    bool ok = put_term(root, terms, &kind) == 0 && put_term(root, terms, &clients) == 0 &&
              (number == NULL || put_term(root, terms, number) == 0) &&
              (terms->partition.examples_per_client == 0 || put_term(root, terms, &each) == 0) &&
              put(root, "data.partition.digest", json_string(hex)) == 0;
    return ok ? 0 : FED_ENOMEM;
}

static json_t *to_json(const struct fed_task_terms *terms) {
    json_t *root = json_object();
    int code = put(root, "schema", json_integer(1));
    if (code == 0) {
        code = put(root, "algorithm.kind", json_string("fedavg"));
    }
    for (size_t i = 0; i < N_ALWAYS && code == 0; i++) {
        code = put_term(root, terms, &always[i]);
    }
    if (code == 0) {
        code = put_layers(root, &terms->model);
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
    *out = text;
    return 0;
}

/* -- decode ------------------------------------------------------------------------------------------------------------ */

static const json_t *get(const json_t *root, const char *path) {
    const json_t *at = root;
    for (const char *dot; at != NULL && (dot = strchr(path, '.')) != NULL; path = dot + 1) {
        char section[SECTION_CHARS];
        at = json_object_get(at, section_word(section, path, dot));
    }
    return at != NULL ? json_object_get(at, path) : NULL;
}

/* The scalar as one would write it in a file, so that the row's own parser judges it. */
static int take(void *field, const char *path, const json_t *value, struct fed_error *err) {
    char number[40];
    const char *text = number;
    if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
    } else if (json_is_real(value)) {
        snprintf(number, sizeof number, "%.17g", json_real_value(value));
    } else if (json_is_string(value)) {
        text = json_string_value(value);
    } else {
        return fed_error_set(err, FED_EWIRE, "terms: %s is missing or no value", path);
    }
    int code = fed_setting_parse(field, row_of(path), text, NULL, err);
    return code == 0 || code == FED_ENOMEM ? code : fed_error_prefix(err, FED_EWIRE, "terms: %s", path);
}

static int take_term(struct fed_task_terms *terms, const json_t *root, const struct term *term, struct fed_error *err) {
    return take((char *)terms + term->offset, term->path, get(root, term->path), err);
}

static int take_model(struct fed_model_spec *spec, const json_t *root, struct fed_error *err) {
    const json_t *layers = get(root, "model.layers");
    size_t n = json_array_size(layers);
    if (n < 1 || n > FED_MAX_LAYERS) {
        return fed_error_set(err, FED_EWIRE, "terms: model.layers has %zu layers, expected 1 to %d", n, FED_MAX_LAYERS);
    }
    spec->n_layers = (uint32_t)n;
    for (uint32_t i = 0; i < spec->n_layers; i++) {
        const json_t *layer = json_array_get(layers, i);
        int code = take(&spec->layers[i].units, "model.layers[0].units", json_object_get(layer, "units"), err);
        if (code == 0) {
            code =
                take(&spec->layers[i].activation, "model.layers[0].activation", json_object_get(layer, "activation"), err);
        }
        if (code != 0) {
            return code;
        }
    }
    if (spec->layers[n - 1].activation != FED_LINEAR) {
        return fed_error_set(err, FED_EWIRE, "terms: the last layer is not linear");
    }
    struct fed_model model;
    return fed_model_init(&model, spec, err) == 0 ? 0 : fed_error_prefix(err, FED_EWIRE, "terms: model");
}

static int hex_value(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

static int take_digest(uint8_t out[FED_DIGEST_BYTES], const json_t *value, struct fed_error *err) {
    const char *hex = json_string_value(value);
    for (size_t i = 0; hex != NULL && i < FED_DIGEST_BYTES; i++) {
        int high = hex_value(hex[2 * i]), low = high < 0 ? -1 : hex_value(hex[2 * i + 1]);
        if (low < 0) {
            hex = NULL;
        } else {
            out[i] = (uint8_t)(high * 16 + low);
        }
    }
    return hex != NULL ? 0 : fed_error_set(err, FED_EWIRE, "terms: data.partition.digest is not 64 hex digits");
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
    if (code == 0 && fed_partition_can_compute(terms->partition.kind) && get(root, each.path) != NULL) {
        code = take_term(terms, root, &each, err);
    }
    if (code == 0 && (uint64_t)terms->partition.clients * terms->partition.shards_per_client > UINT32_MAX) {
        code = fed_error_set(err, FED_EWIRE, "terms: more than %u shards", UINT32_MAX);
    }
    return code == 0 ? take_digest(terms->partition_digest, get(root, "data.partition.digest"), err) : code;
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

static json_t *parse(const char *text, size_t n, struct fed_error *err) {
    for (size_t i = 0; i < n && i < FED_TERMS_MAX; i++) {
        if ((unsigned char)text[i] <= ' ' || text[i] == '\\') {
            fed_error_set(err, FED_EWIRE, "terms: a space or escape at byte %zu", i);
            return NULL;
        }
    }
    json_error_t problem;
    json_t *root = n <= FED_TERMS_MAX ? json_loadb(text, n, JSON_REJECT_DUPLICATES, &problem) : NULL;
    if (root == NULL) {
        fed_error_set(err, FED_EWIRE, "terms: %s", n <= FED_TERMS_MAX ? "not JSON" : "longer than 16 KiB");
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
        code = take_model(&terms.model, root, err);
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
    } else if (json_is_string(value)) {
        snprintf(out, 64, "%.60s", json_string_value(value));
    } else if (json_is_array(value)) {
        snprintf(out, 64, "%zu of them", json_array_size(value));
    } else {
        char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
        snprintf(out, 64, "%.60s", text != NULL ? text : "?");
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
