/* Plain structs <-> bytes. Every bound is checked here, so that no other room looks at a length a peer claimed.
 *
 * Encoding writes into the caller's buffer and returns the length; decoding fills a caller's struct and allocates nothing
 * that outlives the call (protobuf-c works inside a counting allocator with a budget of 1 MiB). All numbers little-endian.
 * proto/fedavg.proto is the specification: who says what, when, and what makes it invalid. */
#ifndef FED_PROTO_WIRE_H
#define FED_PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/seal/enrolment.h"

#define FED_PROTOCOL_MAJOR 1u
#define FED_PROTOCOL_MINOR 1u
#define FED_CONTROL_MAX ((size_t)64 * 1024) /* a control message */
#define FED_ENROL_MAX ((size_t)512)         /* a message of the enrolment lane */
#define FED_BULK_HEAD_MAX ((size_t)256)     /* the head frame of a bulk message */
#define FED_WORKERS_MAX 1024u
#define FED_CLIENTS_MAX 1024               /* in one ROUND or OFFER */
#define FED_RANGES_MAX 64                  /* hosted ranges in HELLO */
#define FED_TASK_MAX ((size_t)32 * 1024)   /* JSON text of a task */
#define FED_PARAMS_MAX ((uint64_t)1 << 40) /* parameters of a model: far from where a product of sizes could wrap */
#define FED_OBJECT_MAX ((uint64_t)1 << 44) /* plain bytes of a model file or an update */

enum fed_message_kind {
    FED_MSG_HELLO = 1, /* node -> coordinator */
    FED_MSG_STATUS,
    FED_MSG_DECLINE,
    FED_MSG_OFFER,
    FED_MSG_WELCOME, /* coordinator -> node */
    FED_MSG_ROUND,
    FED_MSG_ADMITTED,
    FED_MSG_REFUSED,
    FED_MSG_END,
    FED_MSG_ENROL = 20, /* node -> coordinator, on the enrolment lane */
    FED_MSG_ENROLLED,   /* coordinator -> node, there too */
};

struct fed_id_range {
    uint64_t first, count; /* count >= 1, first + count does not wrap */
};

struct fed_msg_hello {
    uint32_t protocol_minor;
    char build[64], kernel_family[16], kernels[16];
    uint32_t workers; /* 1..FED_WORKERS_MAX: clients trained at once */
    uint32_t n_hosted;
    struct fed_id_range hosted[FED_RANGES_MAX];
    bool has_partition;
    uint8_t partition_digest[32]; /* data and split, where the node was given a partition */
    bool has_model;
    uint8_t model_digest[32]; /* the model it still holds */
    uint64_t instance;        /* of the program, the same on all its connections; 0 = not told */
};

enum fed_phase { FED_PHASE_IDLE, FED_PHASE_DOWNLOAD, FED_PHASE_TRAIN, FED_PHASE_UPLOAD };
struct fed_msg_status {
    uint64_t round;
    uint32_t attempt;
    enum fed_phase phase;
    uint32_t done, total; /* clients of this attempt that were trained, and that were asked for */
};

enum fed_decline_reason {
    FED_DECLINE_MODEL_TOO_LARGE = 1, /* over limits.max_model_mb */
    FED_DECLINE_EPOCHS,              /* over limits.max_epochs */
    FED_DECLINE_TIME,                /* over limits.max_train_s */
    FED_DECLINE_MEMORY,              /* over limits.memory_mb, or an allocation failed */
    FED_DECLINE_NO_DATA,             /* the client has no examples that fit the model */
    FED_DECLINE_MATH,                /* cannot do the run's kernel family */
    FED_DECLINE_STOPPING,            /* the owner stops the node */
    FED_DECLINE_FAILED,              /* training failed; the node's log says why */
    FED_DECLINE_NORM,                /* the update's norm is over the round's ceiling: not for a sum */
};
struct fed_msg_decline {
    uint64_t round;
    uint32_t attempt, part;
    enum fed_decline_reason reason;
    uint32_t n_clients; /* 0 = all of the part */
    uint64_t clients[FED_CLIENTS_MAX];
};

enum fed_encoding { FED_ENCODING_F32 = 1, FED_ENCODING_I64 = 2 };
#define FED_SUITE_1 1 /* X25519, BLAKE2b-256, XChaCha20-Poly1305, 256 KiB chunks */

/* What an update says of itself; its encoded bytes are bound into the update's key. */
struct fed_update_header {
    uint32_t suite; /* any number decodes: the admission room refuses by name what is not FED_SUITE_1 */
    enum fed_encoding encoding;
    uint64_t n_bytes; /* plain length: 4 or 8 bytes a parameter */
    uint64_t n_chunks;
    double train_seconds;              /* of all clients together, informative */
    uint32_t n_clients;                /* f32: exactly 1 */
    uint64_t clients[FED_CLIENTS_MAX]; /* strictly ascending */
    uint32_t weights[FED_CLIENTS_MAX]; /* n_k */
    float losses[FED_CLIENTS_MAX];     /* mean training loss, informative: may be infinite or NaN */
    bool has_norms;                    /* peers of minor 0 do not state them */
    double norms[FED_CLIENTS_MAX];     /* ||delta_k||, finite and >= 0, of the update as it was trained */
};
#define FED_HEADER_MAX ((size_t)40 * 1024)

struct fed_msg_offer {
    uint64_t round;
    uint32_t attempt, part;
    uint8_t e_pk[32];
    size_t n_header;
    uint8_t header[FED_HEADER_MAX]; /* encoded fed_update_header */
};

struct fed_msg_welcome {
    uint32_t protocol_minor;
    uint8_t run_id[16];
    uint8_t task_digest[32]; /* BLAKE2b-256 of the task text */
    size_t n_task;
    char task[FED_TASK_MAX]; /* canonical JSON, see common/config/task.h; not zero-terminated */
    char bulk[256];          /* endpoint; a host of * means that of the control lane */
    uint32_t ping_ms;        /* the node says STATUS at least this often */
    uint32_t idle_ms;        /* the same for a node without work; 0 = ping_ms */
    bool kept;               /* this instance is still known: its parts hold, and transfers go on */
};

/* What node and coordinator agree to be doing; H(terms) is bound into every update of the attempt. */
struct fed_terms {
    uint8_t run_id[16];
    uint64_t round;
    uint32_t attempt;
    uint8_t task_digest[32];
    uint8_t model_digest[32];
    uint64_t n_params;
    uint8_t r_pk[32];
    uint32_t epochs, batch_size; /* batch_size 0 = full */
    float learning_rate;
};
/* BLAKE2b-256 of "fedavg/terms/1" || fields in the order above, little-endian, without padding. */
void fed_terms_digest(uint8_t out[32], const struct fed_terms *terms);

/* What an update of a round is held against besides the task's caps: judged from committed rounds, so the same in every
 * attempt. 0 = none, each. */
struct fed_update_limits {
    double norm_ceiling; /* an update whose norm is larger is refused */
    double clip;         /* an update whose norm is larger is scaled down to it before it is added */
    uint32_t weight_cap; /* a client counts min(n_k, weight_cap) */
};

struct fed_msg_round {
    struct fed_terms terms; /* run_id and task_digest are not sent: both sides know them from WELCOME */
    uint32_t part;          /* number of a group of clients of this node; its list only grows until it is closed */
    bool closed;            /* the list is complete: offer it when all are trained */
    enum fed_encoding encoding;
    uint64_t file_bytes;                /* plain length of the model file (safetensors) */
    uint8_t model_key[32];              /* K_r */
    uint8_t handle[16], capability[16]; /* user and password of the bulk lane, as hex */
    uint64_t deadline_ms;               /* remaining; 0 = none */
    struct fed_update_limits limits;
    uint32_t n_clients;
    uint64_t clients[FED_CLIENTS_MAX]; /* strictly ascending is not required: order of training */
};

struct fed_msg_admitted {
    uint64_t round;
    uint32_t attempt, part;
};

/* Every reason to refuse, on the wire and as a counter. Numbers are never reused. */
enum fed_refusal {
    FED_REFUSAL_NONE = 0,
    FED_REFUSAL_MALFORMED = 1,    /* not a message, or a bound is broken */
    FED_REFUSAL_PROTOCOL = 2,     /* other protocol major */
    FED_REFUSAL_NOT_ENROLLED = 3, /* key not on the roster (any more) */
    FED_REFUSAL_HOSTED = 4,       /* claims clients that the roster does not give it */
    FED_REFUSAL_PARTITION = 5,    /* its data or split is not the task's */
    FED_REFUSAL_ROUND = 6,        /* of another round */
    FED_REFUSAL_ATTEMPT = 7,      /* of another attempt of this round */
    FED_REFUSAL_PART = 8,         /* of a part it was not given, or not with these clients */
    FED_REFUSAL_NOT_PICKED = 9,   /* a client that is not in the cohort */
    FED_REFUSAL_COUNTED = 10,     /* a client that was counted before */
    FED_REFUSAL_SUITE = 11,
    FED_REFUSAL_ENCODING = 12, /* not the encoding asked for, or a partial sum without the right to send one */
    FED_REFUSAL_LENGTH = 13,   /* not the model's length */
    FED_REFUSAL_WEIGHT_ZERO = 14,
    FED_REFUSAL_WEIGHT_CAP = 15, /* over max_weight */
    FED_REFUSAL_SEAL = 16,       /* a chunk did not open, twice */
    FED_REFUSAL_NOT_FINITE = 17,
    FED_REFUSAL_DELTA_CAP = 18,   /* |delta| over max_delta */
    FED_REFUSAL_SUM_BOUND = 19,   /* a partial sum over its bound */
    FED_REFUSAL_LATE = 20,        /* the attempt has what it needs */
    FED_REFUSAL_BUSY = 21,        /* no room now: retry after */
    FED_REFUSAL_NORM = 22,        /* the update's norm is over the round's ceiling */
    FED_REFUSAL_RATE = 23,        /* more than its limits allow; said as BUSY, counted as this */
    FED_REFUSAL_QUARANTINED = 24, /* it speaks of work and is given none now; said as BUSY, counted as this */
    FED_REFUSAL_TOKEN = 25,       /* not a token that enrols these keys */
    FED_REFUSAL_COUNT
};
const char *fed_decline_name(enum fed_decline_reason reason); /* "model_too_large": stable, for logs and programs */
const char *fed_refusal_name(enum fed_refusal refusal);       /* "weight_cap": stable, for counters and the store */

struct fed_msg_refused {
    enum fed_refusal code;
    uint64_t round; /* 0: the HELLO itself */
    uint32_t attempt, part;
    uint32_t retry_after_ms; /* 0 = do not retry this */
};

struct fed_msg_end {
    uint64_t round;
    uint32_t attempt;
    bool committed;
    bool finished; /* the run is over */
    uint32_t retry_after_ms;
};

struct fed_msg_enrol {
    uint8_t certificate[FED_CERTIFICATE_BYTES];
    uint8_t signature[FED_SIGNATURE_BYTES]; /* of the proof, whose first half each side knows */
    struct fed_public_keys keys;            /* the node's */
    uint8_t seal_mac[FED_ENROLMENT_MAC_BYTES];
};

struct fed_msg_enrolled {
    uint8_t certificate_digest[32];
};

struct fed_message {
    enum fed_message_kind kind;
    uint64_t seq; /* counts the sender's messages; for logs */
    union {
        struct fed_msg_hello hello;
        struct fed_msg_status status;
        struct fed_msg_decline decline;
        struct fed_msg_offer offer;
        struct fed_msg_welcome welcome;
        struct fed_msg_round round;
        struct fed_msg_admitted admitted;
        struct fed_msg_refused refused;
        struct fed_msg_end end;
        struct fed_msg_enrol enrol;
        struct fed_msg_enrolled enrolled;
    } as;
};

/* Length written into out (at most FED_CONTROL_MAX), or FED_ENOMEM. The struct must respect its bounds (asserted). */
int fed_message_encode(uint8_t out[FED_CONTROL_MAX], size_t *n_out, const struct fed_message *message) FED_MUST_CHECK;
/* FED_EWIRE: not a message of ours, or a bound is broken. FED_EPEER: of another protocol major, whatever else it says.
 * FED_ENOMEM. On failure out is untouched. */
int fed_message_decode(struct fed_message *out, const uint8_t *bytes, size_t n_bytes) FED_MUST_CHECK;

int fed_update_header_encode(uint8_t out[FED_HEADER_MAX], size_t *n_out,
                             const struct fed_update_header *header) FED_MUST_CHECK;
int fed_update_header_decode(struct fed_update_header *out, const uint8_t *bytes, size_t n_bytes) FED_MUST_CHECK;

/* The bulk lane: a head frame, and for CHUNK the sealed bytes as a second frame. */
enum fed_object_kind { FED_OBJECT_MODEL = 1, FED_OBJECT_UPDATE = 2 };
struct fed_object {
    enum fed_object_kind kind;
    uint64_t round;
    uint32_t attempt, part; /* part: updates only */
};
enum fed_bulk_kind { FED_BULK_GET = 1, FED_BULK_CHUNK = 2 };
struct fed_bulk_head {
    enum fed_bulk_kind kind;
    struct fed_object what;
    uint64_t first; /* GET: first chunk; CHUNK: its index */
    uint32_t count; /* GET: 1..32 chunks; CHUNK: 1 */
};
#define FED_GET_MAX 32
int fed_bulk_encode(uint8_t out[FED_BULK_HEAD_MAX], size_t *n_out, const struct fed_bulk_head *head) FED_MUST_CHECK;
int fed_bulk_decode(struct fed_bulk_head *out, const uint8_t *bytes, size_t n_bytes) FED_MUST_CHECK;

/* "1.4.1": protobuf-c at run time. */
const char *fed_wire_library_version(void);

#endif
