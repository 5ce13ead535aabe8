/* libfedavg-client: a federated client inside your own program, on data that only your program has.
 *
 *     struct fedavg_client *client;
 *     if (fedavg_client_new(&client) != FEDAVG_OK) ...
 *     fedavg_client_load(client, "ward-7.yaml");             (everything but the data, see fedavg-client.yaml(5))
 *     fedavg_client_set_data(client, &data);
 *     if (fedavg_client_open(client) != FEDAVG_OK || fedavg_client_run(client) != FEDAVG_OK)
 *         fprintf(stderr, "%s\n", fedavg_client_error(client));
 *     fedavg_client_free(client);
 *
 * What it computes is what fedavg-client(8) computes: the same examples in the same order make the same update, bit for bit.
 *
 * Errors    Every function that can fail returns FEDAVG_OK or one of enum fedavg_status; a failure leaves what it was given
 *           as it was, and fedavg_client_error says in one sentence what, where, what was found and what is allowed. The
 *           library never ends the process and never prints, but for log lines on standard error where nobody takes them
 *           (fedavg_client_set_log).
 * Threads   A handle belongs to one thread at a time; only fedavg_client_stop may be called by any thread, and by a signal
 *           handler. A second call meanwhile, or from inside a callback of the same handle, is refused with FEDAVG_EBUSY.
 *           Each client has threads of its own: `workers` that train, with all signals blocked but SIGBUS, two of ZeroMQ.
 *           Several clients in one process know nothing of each other.
 * Callbacks A function of yours that is called has to return: no C++ exception, no longjmp may leave it. Where another
 *           language swallows an exception, what it hands back means nothing, and may be 0: catch it inside, and return
 *           what says that it failed.
 * Lifetime  What is handed over by pointer is borrowed where this header says so, and copied otherwise. After fork(2) the
 *           child must not touch a handle, except to exec.
 * Process   No signal, limit, locale, environment variable or floating-point mode of yours is changed. What is shared by the
 *           whole process is said in fedavg-client(3), PROCESS.
 * ABI       Functions keep their meaning and structs their layout as long as the library is called libfedavg-client.so.1.
 *           Structs begin with their size, and grow at the end only. Enumerations are ints and get new values at the end:
 *           ignore what you do not know. */
#ifndef FEDAVG_CLIENT_H
#define FEDAVG_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define FEDAVG_API __attribute__((visibility("default")))
#define FEDAVG_MUST_CHECK __attribute__((warn_unused_result))
#else
#define FEDAVG_API
#define FEDAVG_MUST_CHECK
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Each asks for another reaction. */
enum fedavg_status {
    FEDAVG_OK = 0,
    FEDAVG_STOPPED = 1,        /* fedavg_client_stop was called: not an error */
    FEDAVG_EFAILED = -1,       /* give up */
    FEDAVG_ECONFIG = -2,       /* put the value right that the sentence names */
    FEDAVG_EDATA = -3,         /* the examples are not what they should be, or do not fit the task */
    FEDAVG_EADDRESS = -6,      /* the system refuses an address; a name that nobody knows now is tried again */
    FEDAVG_EKEY = -7,          /* the key file is missing, damaged, readable by others, or its passphrase is another */
    FEDAVG_EPEER = -8,         /* the coordinator refuses this node, or cannot be reached */
    FEDAVG_EIO = -9,           /* the disk refuses: full, read-only, failing */
    FEDAVG_EINTERRUPTED = -10, /* given up by whoever was asked for a passphrase */
    FEDAVG_ENOMEM = -20,       /* out of memory */
    FEDAVG_EINVAL = -40,       /* a call that cannot be meant: NULL, a number out of range, out of order */
    FEDAVG_EBUSY = -41         /* the handle is in use by another call; its sentence is left alone */
};

/* -- a client ---------------------------------------------------------------------------------------------------------- */

struct fedavg_client;

/* "0.1.0". Static. */
FEDAVG_API const char *fedavg_version(void);
/* A few words for a status. Static, never NULL. */
FEDAVG_API const char *fedavg_status_text(int status);

/* A client with nothing set. The caller owns *out. FEDAVG_ENOMEM, FEDAVG_EFAILED (no descriptor is left). */
FEDAVG_API int fedavg_client_new(struct fedavg_client **out) FEDAVG_MUST_CHECK;

/* Waits for training to stop, which takes a batch at most, wipes keys, closes everything. NULL is allowed.
 * FEDAVG_EBUSY: another call is inside, nothing was freed. */
FEDAVG_API int fedavg_client_free(struct fedavg_client *client);

/* Why the last call that failed did. Never NULL, "" where none has; valid until the next call with this handle. */
FEDAVG_API const char *fedavg_client_error(const struct fedavg_client *client);

/* -- what it is told before it is opened ------------------------------------------------------------------------------- *
 *
 * All of these only take note (FEDAVG_EINVAL, FEDAVG_ENOMEM; FEDAVG_EINVAL too once the client is open); what is wrong with
 * the values is said by fedavg_client_open. Called again, the last call counts. */

/* Settings from a file, fedavg-client.yaml(5). Paths in it are relative to it. path is copied; NULL: no file. */
FEDAVG_API int fedavg_client_load(struct fedavg_client *client, const char *path);

/* One setting by the name it has in the file, "coordinator" or "limits.max_epochs"; it replaces the file's. value NULL: the
 * default. Both are copied. Paths are relative to the working directory. Without a file these have to be set: schema (1),
 * coordinator, coordinator_key, clients.first, state_dir (a directory for the record of what left, or none), and key unless
 * a seed is set. Sentences call what was set here "--set NAME". */
FEDAVG_API int fedavg_client_set(struct fedavg_client *client, const char *name, const char *value);

/* The identity from a secret of 32 random bytes, in the place of a key file, copied into locked memory. Wipe yours. */
#define FEDAVG_SEED_BYTES 32
FEDAVG_API int fedavg_client_set_seed(struct fedavg_client *client, const uint8_t seed[FEDAVG_SEED_BYTES]);

/* Who knows the passphrase of a key file that has one; without, such a file is FEDAVG_EKEY. Called by fedavg_client_open on
 * its thread: writes a text of at most size - 1 bytes and a zero to passphrase (locked memory, wiped after use) and returns
 * 0, or a negative status, with which fedavg_client_open then fails. key_file is valid during the call. */
FEDAVG_API int fedavg_client_set_passphrase(struct fedavg_client *client,
                                            int (*ask)(void *context, const char *key_file, char *passphrase, size_t size),
                                            void *context);

/* The examples, in the place of data.train. They stand for .npy files of the same arrays: an application that holds what
 * ordinary nodes read from such files (from CSV: the columns as float32, numeric labels), in the same order, makes the same
 * bits. */
enum fedavg_type {
    FEDAVG_U8 = 0,  /* uint8_t; as features: pixels, divided by 255 */
    FEDAVG_I32 = 1, /* int32_t */
    FEDAVG_U32 = 2, /* uint32_t */
    FEDAVG_I64 = 3, /* int64_t */
    FEDAVG_F32 = 4  /* float, finite */
};
struct fedavg_data {
    size_t size;         /* sizeof(struct fedavg_data) */
    int feature_type;    /* FEDAVG_U8 or FEDAVG_F32 */
    int label_type;      /* FEDAVG_F32: numbers to be met (mean squared error); another: classes, 0 to 65535 */
    uint64_t n_examples; /* 1 to 2^32 - 1 */
    uint32_t n_features; /* of an example, as many as the model's inputs; images: rows, columns, channels last */
    uint32_t n_labels;   /* of an example, as many as the model's outputs are classified or met, mostly 1 */
    const void *labels;  /* (n_examples, n_labels), one example after the other */

    /* (n_examples, n_features), one example after the other; or NULL, and then they are read when a batch wants them: */
    const void *features;
    /* Writes the features of these n examples, counted from 0, one behind the other to features (n, n_features; aligned to 4
     * bytes) and returns 0; or returns another value: the client at hand declines this attempt, and is asked again in a
     * later one. The same example has to have the same features always, or nothing is reproducible. Called once for all
     * examples by fedavg_client_open, and then by the threads that train, as many at once as there are `workers`. */
    int (*read)(void *context, void *features, const uint32_t *examples, size_t n);
    void *context; /* handed to read */
};
/* data is copied; the arrays, function and context in it are borrowed and must not change until the client is freed. Their
 * numbers are looked at once by fedavg_client_open (FEDAVG_EDATA names the example that is wrong), labels against the
 * model's classes when the coordinator has told the task (FEDAVG_EDATA from fedavg_client_run). NULL: from files. */
FEDAVG_API int fedavg_client_set_data(struct fedavg_client *client, const struct fedavg_data *data);

/* What happens, as it happens. */
enum fedavg_event_kind {
    FEDAVG_EVENT_STATE = 0,    /* state has changed */
    FEDAVG_EVENT_BEGUN = 1,    /* round, attempt: there is work for us */
    FEDAVG_EVENT_TRAINED = 2,  /* round, attempt, client, examples, steps, loss, seconds, examples_per_second */
    FEDAVG_EVENT_ADMITTED = 3, /* round, attempt, clients, examples, seconds, bytes: our update was taken */
    FEDAVG_EVENT_DECLINED = 4, /* round, attempt, word, text: not by us; clients == 1: this client, 0: all we were asked for.
                                  May come again for the same. word: model_too_large, epochs, time, memory (your limits),
                                  no_data, math, norm, failed */
    FEDAVG_EVENT_REFUSED = 5,  /* word, text: by the coordinator; round == 0: this node, not an update. word: as in the
                                  counters of fedavg-status(1), not_enrolled say, or wrong_coordinator_key */
    FEDAVG_EVENT_ENDED = 6,    /* round, attempt, outcome */
    FEDAVG_EVENT_FINISHED = 7  /* round: the last of the run. The client goes on, in case there is another: stop it if not */
};
enum fedavg_state {
    FEDAVG_STATE_AWAY = 0,     /* no connection; it tries again for ever */
    FEDAVG_STATE_GREETING = 1, /* connected, not yet welcomed */
    FEDAVG_STATE_READY = 2,    /* welcomed, waits for work */
    FEDAVG_STATE_WORKING = 3
};
enum fedavg_outcome {
    FEDAVG_OUTCOME_UNKNOWN = 0, /* the coordinator went on without saying */
    FEDAVG_OUTCOME_COMMITTED = 1,
    FEDAVG_OUTCOME_ABANDONED = 2 /* it will be tried again */
};
struct fedavg_event {
    size_t size; /* of this struct in the library */
    int kind, state, outcome;
    uint32_t attempt;
    uint64_t round;             /* from 1 */
    uint64_t client, clients;   /* an id; how many */
    uint64_t examples;          /* n_k: of one client the weight of its update */
    uint64_t steps;             /* of SGD */
    uint64_t bytes;             /* of an update, before it is sealed */
    double loss;                /* mean over the examples of all epochs */
    double seconds;             /* of training, wall time */
    double examples_per_second; /* over all epochs */
    uint64_t bytes_sent;        /* of messages since fedavg_client_open, always there */
    uint64_t bytes_received;
    const char *word, *text; /* a stable word and a sentence, "" where there is none; valid during the call */
};
/* hear is called on the thread that runs or steps, and must not call this handle again but for fedavg_client_stop. The event
 * is valid during the call. NULL: nobody listens. */
FEDAVG_API int fedavg_client_set_events(struct fedavg_client *client,
                                        void (*hear)(void *context, const struct fedavg_event *event), void *context);

/* Log lines, `room event key=value ...`, without a newline; no secret is ever in one. take may be called by the threads that
 * train too, several at once, and must not call this handle. Lines above `level` are not made. NULL: to standard error,
 * errors, warnings and information. */
enum fedavg_log_level { FEDAVG_LOG_ERROR = 0, FEDAVG_LOG_WARN = 1, FEDAVG_LOG_INFO = 2, FEDAVG_LOG_DEBUG = 3 };
FEDAVG_API int fedavg_client_set_log(struct fedavg_client *client, int level,
                                     void (*take)(void *context, int level, const char *line), void *context);

/* What the client may do beyond its handle: the sum of these, 0 by default. */
enum fedavg_permission {
    FEDAVG_ALLOW_OPENBLAS = 1 /* a task that asks for `math: blas` loads OpenBLAS, which first sets OPENBLAS_NUM_THREADS and
                                 OPENBLAS_CORETYPE in the environment; without, such a task is trained in exact arithmetic */
};
FEDAVG_API int fedavg_client_allow(struct fedavg_client *client, unsigned permissions);

/* -- open, run, stop --------------------------------------------------------------------------------------------------- */

/* Reads settings, key and data, and begins to connect; does not wait for the coordinator. FEDAVG_ECONFIG, FEDAVG_EKEY,
 * FEDAVG_EDATA, FEDAVG_EADDRESS, FEDAVG_EIO, FEDAVG_ENOMEM, FEDAVG_EFAILED: the client is as before, and may be told better.
 */
FEDAVG_API int fedavg_client_open(struct fedavg_client *client) FEDAVG_MUST_CHECK;

/* The line that names this node to the operator of the coordinator ("fedavg1:..."), who puts it on the roster. Known once a
 * seed is set or the client is open. FEDAVG_EINVAL: not known yet, or size below FEDAVG_PUBLIC_LINE_MAX. */
#define FEDAVG_PUBLIC_LINE_MAX 104 /* with the terminating zero */
FEDAVG_API int fedavg_client_public_line(struct fedavg_client *client, char *out, size_t size);

/* Waits until the coordinator has said whether it welcomes this node and the data fit its task. FEDAVG_OK;
 * FEDAVG_EPEER: refused, or not reached, which is known after about 3 seconds where nobody listens and 13 where nobody
 * answers; FEDAVG_EDATA; FEDAVG_STOPPED. The client may be run afterwards. */
FEDAVG_API int fedavg_client_check(struct fedavg_client *client) FEDAVG_MUST_CHECK;

/* Works until fedavg_client_stop: FEDAVG_OK. A coordinator that is away or refuses is no reason to return: it is tried again
 * for ever, see the events. FEDAVG_EDATA: the data do not fit the task, nothing was trained. FEDAVG_EFAILED. */
FEDAVG_API int fedavg_client_run(struct fedavg_client *client) FEDAVG_MUST_CHECK;

/* The same in pieces: waits at most timeout_ms (0: not at all; negative: as long as there is nothing to do, half a second at
 * most), does what there is to do, and returns FEDAVG_OK, to be called again; FEDAVG_STOPPED; or why fedavg_client_run would
 * have returned. Training goes on in its own threads meanwhile; a call takes milliseconds, or as long as your callbacks do.
 * Call it at least every second: what this node and the coordinator have to say to each other waits for it. */
FEDAVG_API int fedavg_client_step(struct fedavg_client *client, int timeout_ms) FEDAVG_MUST_CHECK;

/* A descriptor for your event loop (poll, epoll, ...), owned by the client: readable whenever fedavg_client_step(client, 0)
 * has something to do, be it that time has passed. Do nothing with it but wait. FEDAVG_EINVAL (not open), FEDAVG_EFAILED. */
FEDAVG_API int fedavg_client_fd(struct fedavg_client *client, int *out) FEDAVG_MUST_CHECK;

/* One line for people on what the client is at ("round 3, attempt 1, training: 0 of 1 clients trained"), cut to size.
 * FEDAVG_EINVAL: not open, no room at all. */
FEDAVG_API int fedavg_client_standing(struct fedavg_client *client, char *out, size_t size);

/* From any thread and any signal handler: fedavg_client_run and _check return soon, _step with its next call, and all of
 * them at once from then on. Before they were called is not too early; once freed is too late. NULL is allowed. */
FEDAVG_API void fedavg_client_stop(struct fedavg_client *client);

#ifdef __cplusplus
}
#endif

#endif
