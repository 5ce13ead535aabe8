#include "client/parts.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/numeric/norm.h"

struct fed_part *fed_parts_find(struct fed_part *list, uint32_t id) {
    while (list != NULL && list->id != id) {
        list = list->next;
    }
    return list;
}

static void free_part(struct fed_part *part) {
    fed_seal_pair_free(part->e);
    fed_seal_key_free(part->key);
    free(part->header);
    free(part->wanted);
    free(part->sum);
    free(part->clients);
    free(part->fate);
    free(part->weights);
    free(part->losses);
    free(part->norms);
    free(part);
}

/* NULL: no memory. */
static struct fed_part *new_part(uint32_t id, enum fed_encoding encoding) {
    struct fed_part *part = calloc(1, sizeof *part);
    if (part == NULL) {
        return NULL;
    }
    part->id = id;
    part->encoding = encoding;
    part->room = encoding == FED_ENCODING_F32 ? 1 : FED_CLIENTS_MAX;
    part->clients = calloc(part->room, sizeof *part->clients);
    part->fate = calloc(part->room, sizeof *part->fate);
    part->weights = calloc(part->room, sizeof *part->weights);
    part->losses = calloc(part->room, sizeof *part->losses);
    part->norms = calloc(part->room, sizeof *part->norms);
    if (part->clients == NULL || part->fate == NULL || part->weights == NULL || part->losses == NULL ||
        part->norms == NULL) {
        free_part(part);
        return NULL;
    }
    return part;
}

void fed_parts_free(struct fed_part **list) {
    while (*list != NULL) {
        struct fed_part *part = *list;
        *list = part->next;
        free_part(part);
    }
}

static bool holds(const struct fed_part *part, uint64_t client) {
    for (size_t i = 0; i < part->n_clients; i++) {
        if (part->clients[i] == client) {
            return true;
        }
    }
    return false;
}

/* The list as we have it is where the new one begins, or something of it was given back meanwhile. */
static int take_clients(struct fed_part *part, const struct fed_msg_round *round) {
    size_t before = part->n_clients;
    for (size_t i = 0; i < round->n_clients; i++) {
        if ((i < before && part->clients[i] == round->clients[i]) || holds(part, round->clients[i])) {
            continue;
        }
        if (part->n_clients == part->room) {
            part->n_clients = before;
            return FED_EWIRE;
        }
        part->clients[part->n_clients++] = round->clients[i];
    }
    part->closed = part->closed || round->closed;
    return FED_OK;
}

int fed_parts_update(struct fed_part **out, struct fed_part **list, const struct fed_msg_round *round, size_t *first_fresh) {
    struct fed_part *part = fed_parts_find(*list, round->part);
    if (part == NULL) {
        part = new_part(round->part, round->encoding);
        if (part == NULL) {
            return FED_ENOMEM;
        }
        struct fed_part **last = list;
        while (*last != NULL) {
            last = &(*last)->next;
        }
        *last = part;
    }
    *first_fresh = part->n_clients;
    *out = part;
    if (part->state != FED_PART_TRAINING) {
        return FED_OK;
    }
    if (round->encoding != part->encoding) {
        return FED_EWIRE;
    }
    return take_clients(part, round);
}

/* Nobody can look into a sum: what goes into one is judged here, and a single update where it arrives. */
static bool fit_for_sum(const struct fed_fixed *fixed, size_t n_params, const struct fed_host_update *update) {
    bool small = update->norm <= (double)fixed->max_delta; /* and so is each of its values */
    return update->report.n_examples >= 1 && update->report.n_examples <= fixed->max_weight &&
           (small || fed_fixed_check(fixed, update->delta, n_params) == n_params);
}

/* What the coordinator does to a single update: clipped, counted as far as the cap, added. */
static int add_to_sum(struct fed_part *part, uint64_t *weight, const struct fed_fixed *fixed,
                      const struct fed_update_limits *limits, size_t n_params, const struct fed_host_update *update) {
    if (!fit_for_sum(fixed, n_params, update)) {
        return FED_EDATA;
    }
    if (limits->norm_ceiling > 0 && update->norm > limits->norm_ceiling) {
        return FED_EPEER;
    }
    if (part->sum == NULL && (part->sum = calloc(n_params, sizeof *part->sum)) == NULL) {
        return FED_ENOMEM;
    }
    if (limits->weight_cap > 0 && *weight > limits->weight_cap) {
        *weight = limits->weight_cap;
    }
    fed_fixed_add(fixed, part->sum, update->delta, n_params, *weight, fed_norm_clip_scale(update->norm, limits->clip));
    return FED_OK;
}

static int join(struct fed_part *part, size_t i, const struct fed_fixed *fixed, const struct fed_update_limits *limits,
                size_t n_params, const struct fed_host_update *update) {
    uint64_t weight = update->report.n_examples;
    if (part->encoding == FED_ENCODING_I64) {
        int rc = add_to_sum(part, &weight, fixed, limits, n_params, update);
        if (rc != FED_OK) {
            return rc;
        }
    } else {
        part->delta = update->delta;
    }
    part->fate[i] = FED_CLIENT_TRAINED;
    part->n_trained++;
    part->weights[i] = (uint32_t)weight;
    part->norms[i] = update->norm;
    part->losses[i] = (float)update->report.mean_loss;
    part->examples += update->report.n_examples;
    part->train_seconds += update->seconds;
    return FED_OK;
}

int fed_parts_join(size_t *n, struct fed_part *list, const struct fed_fixed *fixed, const struct fed_update_limits *limits,
                   size_t n_params, const struct fed_host_update *update) {
    *n = 0;
    for (struct fed_part *part = list; part != NULL; part = part->next) {
        for (size_t i = 0; part->state == FED_PART_TRAINING && i < part->n_clients; i++) {
            if (part->clients[i] != update->client || part->fate[i] != FED_CLIENT_WAITED_FOR) {
                continue;
            }
            int rc = join(part, i, fixed, limits, n_params, update);
            if (rc != FED_OK) {
                return rc;
            }
            ++*n;
        }
    }
    return FED_OK;
}

struct fed_part *fed_parts_drop_client(struct fed_part *list, uint64_t client) {
    for (struct fed_part *part = list; part != NULL; part = part->next) {
        for (size_t i = 0; part->state == FED_PART_TRAINING && i < part->n_clients; i++) {
            if (part->clients[i] == client && part->fate[i] == FED_CLIENT_WAITED_FOR) {
                part->fate[i] = FED_CLIENT_DECLINED;
                part->n_declined++;
                return part;
            }
        }
    }
    return NULL;
}

bool fed_part_declined(const struct fed_part *part, uint64_t client) {
    for (size_t i = 0; i < part->n_clients; i++) {
        if (part->clients[i] == client) {
            return part->fate[i] == FED_CLIENT_DECLINED;
        }
    }
    return false;
}

bool fed_parts_borrow(const struct fed_part *list, const float *delta) {
    while (list != NULL && list->delta != delta) {
        list = list->next;
    }
    return list != NULL;
}

bool fed_part_complete(const struct fed_part *part) {
    return part->state == FED_PART_TRAINING && part->closed && part->n_trained > 0 &&
           part->n_trained + part->n_declined == part->n_clients;
}

/* Clients ascending, as the header wants them, each with its weight, loss and norm. An update with values that are not
 * finite has no norm to state; the coordinator will say what is wrong with it. */
static void fill_header(struct fed_update_header *header, const struct fed_part *part, size_t n_params) {
    memset(header, 0, sizeof *header);
    header->suite = FED_SUITE_1;
    header->encoding = part->encoding;
    header->n_bytes = (uint64_t)n_params * (part->encoding == FED_ENCODING_I64 ? sizeof(int64_t) : sizeof(float));
    header->n_chunks = fed_chunk_count(header->n_bytes);
    header->train_seconds = part->train_seconds;
    header->has_norms = true;
    for (size_t i = 0; i < part->n_clients; i++) {
        if (part->fate[i] != FED_CLIENT_TRAINED) {
            continue;
        }
        size_t at = header->n_clients++;
        while (at > 0 && header->clients[at - 1] > part->clients[i]) {
            header->clients[at] = header->clients[at - 1];
            header->weights[at] = header->weights[at - 1];
            header->losses[at] = header->losses[at - 1];
            header->norms[at] = header->norms[at - 1];
            at--;
        }
        header->clients[at] = part->clients[i];
        header->weights[at] = part->weights[i];
        header->losses[at] = part->losses[i];
        header->norms[at] = part->norms[i];
        header->has_norms = header->has_norms && isfinite(part->norms[i]);
    }
}

int fed_part_seal(struct fed_part *part, size_t n_params, const struct fed_identity *identity,
                  const struct fed_terms *terms) {
    struct fed_update_header *header = malloc(sizeof *header);
    uint8_t *bytes = malloc(FED_HEADER_MAX), *wanted = NULL, digest[32];
    struct fed_seal_pair *e = NULL;
    struct fed_seal_key *key = NULL;
    size_t n = 0;
    int rc = header != NULL && bytes != NULL ? FED_OK : FED_ENOMEM;
    if (rc != FED_OK) {
        goto out;
    }
    fill_header(header, part, n_params);
    rc = fed_update_header_encode(bytes, &n, header);
    if (rc == FED_OK) {
        rc = fed_seal_pair_new(&e);
    }
    if (rc != FED_OK) {
        goto out;
    }
    wanted = calloc(header->n_chunks, 1);
    if (wanted == NULL) {
        rc = FED_ENOMEM;
        goto out;
    }
    fed_terms_digest(digest, terms);
    rc = fed_seal_update_key_node(&key, e, identity, terms->r_pk, digest, bytes, n);
    if (rc != FED_OK) {
        goto out;
    }
    part->e = e;
    part->key = key;
    part->header = bytes;
    part->n_header = n;
    part->n_bytes = header->n_bytes;
    part->wanted = wanted;
    part->state = FED_PART_OFFERED;
    e = NULL;
    bytes = wanted = NULL;
out:
    fed_seal_pair_free(e);
    free(wanted);
    free(bytes);
    free(header);
    return rc;
}

int fed_part_chunk(uint8_t **out, size_t *n, const struct fed_part *part, uint64_t i) {
    const uint8_t *plain =
        part->encoding == FED_ENCODING_I64 ? (const uint8_t *)part->sum : (const uint8_t *)(const void *)part->delta;
    size_t n_plain = fed_chunk_plain_bytes(part->n_bytes, i);
    uint8_t *sealed = malloc(n_plain + FED_TAG_BYTES);
    if (sealed == NULL) {
        return FED_ENOMEM;
    }
    fed_seal_chunk(sealed, part->key, i, plain + i * FED_CHUNK_BYTES, n_plain);
    *out = sealed;
    *n = n_plain + FED_TAG_BYTES;
    return FED_OK;
}

uint64_t fed_part_examples(const struct fed_part *part) { return part->examples; }

void fed_parts_progress(const struct fed_part *list, uint32_t *done, uint32_t *total) {
    *done = *total = 0;
    for (; list != NULL; list = list->next) {
        *done += (uint32_t)list->n_trained;
        *total += (uint32_t)(list->n_clients - list->n_declined);
    }
}
