/* The parts of an attempt that this node was given, from their first client to the sealed answer. Pure bookkeeping over
 * borrowed values; belongs to the session. */
#ifndef FED_CLIENT_PARTS_H
#define FED_CLIENT_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/host.h"
#include "common/numeric/fixed.h"
#include "common/seal/seal.h"
#include "proto/wire.h"

enum fed_part_state {
    FED_PART_TRAINING, /* clients are being trained, or more may come */
    FED_PART_OFFERED,  /* whole and offered; chunks are sealed as they are asked for */
    FED_PART_DONE,     /* admitted, or refused for good, or declined */
};

enum fed_client_fate { FED_CLIENT_WAITED_FOR, FED_CLIENT_TRAINED, FED_CLIENT_DECLINED };

struct fed_part {
    struct fed_part *next;
    uint32_t id;
    enum fed_part_state state;
    enum fed_encoding encoding;
    bool closed, declined;                         /* declined: as a whole */
    size_t n_clients, n_trained, n_declined, room; /* room: 1 for f32, FED_CLIENTS_MAX for i64 */
    uint64_t *clients;                             /* (room), owned, as the four below */
    enum fed_client_fate *fate;
    uint32_t *weights; /* n_k; in a sum as they were counted */
    float *losses;
    double *norms;
    uint64_t examples; /* of those trained; in a sum some may count for less */
    double train_seconds;
    int64_t *sum;       /* i64: (n_params), owned */
    const float *delta; /* f32: (n_params), borrowed from the host */
    /* offered */
    struct fed_seal_pair *e;  /* owned */
    struct fed_seal_key *key; /* owned */
    size_t n_header;
    uint8_t *header; /* as it travels, owned */
    uint64_t n_bytes;
    uint64_t said_ms, retry_ms;
    bool logged;                          /* in sent.log */
    uint64_t log_failed_ms, log_again_ms; /* sent.log cannot be written: since when (0: it can), and when to try again */
    uint8_t *wanted;                      /* (chunks), owned: asked for and not yet handed to the lane */
    uint64_t n_wanted;
};

/* Takes over the clients that are new in this ROUND: those from *first_fresh on. The part is made when it is not in *list.
 * FED_EWIRE: another encoding than before, or too many clients (f32: more than one). FED_ENOMEM. */
int fed_parts_update(struct fed_part **out, struct fed_part **list, const struct fed_msg_round *round,
                     size_t *first_fresh) FED_MUST_CHECK;
void fed_parts_free(struct fed_part **list);
struct fed_part *fed_parts_find(struct fed_part *list, uint32_t id);

/* The client's update joins every part that waits for it; *n: how many parts did. What goes into a sum is held against the
 * round's limits here: FED_EDATA: it may not, because a value or its weight is beyond the task's caps; FED_EPEER: nor where
 * its norm is over the ceiling. FED_ENOMEM. */
int fed_parts_join(size_t *n, struct fed_part *list, const struct fed_fixed *fixed, const struct fed_update_limits *limits,
                   size_t n_params, const struct fed_host_update *update) FED_MUST_CHECK;
/* The client will not be delivered. Returns the part it leaves, or NULL when no part waits for it. */
struct fed_part *fed_parts_drop_client(struct fed_part *list, uint64_t client);
/* This client of the part was dropped. */
bool fed_part_declined(const struct fed_part *part, uint64_t client);

/* Whether a part still reads this update from the host's memory. */
bool fed_parts_borrow(const struct fed_part *list, const float *delta);

/* Closed, and every client of it was trained or declined, not all declined. */
bool fed_part_complete(const struct fed_part *part);
/* Makes header and key for this attempt: the part can then be offered. FED_ENOMEM, FED_ESEAL. */
int fed_part_seal(struct fed_part *part, size_t n_params, const struct fed_identity *identity,
                  const struct fed_terms *terms) FED_MUST_CHECK;
/* Sealed chunk i; the caller owns *out (free). i < chunk count. FED_ENOMEM. */
int fed_part_chunk(uint8_t **out, size_t *n, const struct fed_part *part, uint64_t i) FED_MUST_CHECK;
uint64_t fed_part_examples(const struct fed_part *part);
/* Trained clients of all parts, and asked for in all parts and not declined: for STATUS. */
void fed_parts_progress(const struct fed_part *list, uint32_t *done, uint32_t *total);

#endif
