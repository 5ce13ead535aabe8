/* The clients that this process hosts: their data, the threads that train them, and the updates they have made.
 *
 * An update is kept in memory, unsealed, for the round and model it was made from, so that a repeated attempt costs no
 * training; it leaves only through the session, sealed. Belongs to one thread; training runs on its workers. */
#ifndef FED_CLIENT_HOST_H
#define FED_CLIENT_HOST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/local_sgd.h"
#include "common/config/client_config.h"
#include "common/config/terms.h"
#include "common/model/image.h"

struct fed_host;

/* Training by somebody else than local SGD (a benchmark that echoes, a test that lies). Runs on a worker thread. */
struct fed_host_hook {
    void *context;
    int (*train)(void *context, float *delta, struct fed_sgd_report *report, const float *params, size_t n_params,
                 uint64_t client, const atomic_bool *cancel);
};

/* Loads the data and makes the split; what training has to log goes where the calling thread's lines go now; without data
 * only where a hook trains. config is borrowed. FED_EDATA, FED_ECONFIG. */
int fed_host_new(struct fed_host **out, const struct fed_client_config *config, const struct fed_host_hook *hook,
                 struct fed_error *err) FED_MUST_CHECK;
void fed_host_free(struct fed_host *host);

/* The digest of data and split, or NULL where the data is the owner's own. */
const uint8_t *fed_host_partition_digest(const struct fed_host *host);
/* Tasks that ask for OpenBLAS are trained in exact arithmetic, as where there is none: loading it is a matter of the whole
 * process. Before the first task. */
void fed_host_forbid_blas(struct fed_host *host);
const char *fed_host_kernels(const struct fed_host *host);
/* The family of kernels it trains with, "exact" or "blas"; "" before it knows a task. */
const char *fed_host_family(const struct fed_host *host);

enum fed_limit { FED_LIMIT_NONE, FED_LIMIT_MODEL, FED_LIMIT_EPOCHS, FED_LIMIT_MEMORY };

/* The task of the run, from WELCOME. One that asks for OpenBLAS where there is none is trained in exact arithmetic, with a
 * warning in the log. FED_EDATA: the data does not fit the model. FED_ECONFIG: beyond the owner's limits;
 * *broken (may be NULL) says which. */
int fed_host_set_task(struct fed_host *host, const struct fed_task_terms *terms, enum fed_limit *broken,
                      struct fed_error *err) FED_MUST_CHECK;
const struct fed_model *fed_host_model(const struct fed_host *host); /* after set_task */

/* The data are those that were loaded; after FED_EDATA (and a sentence) nothing may be trained on them any more. Safe on any
 * thread. */
int fed_host_check_data(const struct fed_host *host, struct fed_error *err) FED_MUST_CHECK;

/* Train from this image from now on. Updates made for the same round and model are kept, all others dropped and their
 * training stopped. The image is held. */
void fed_host_begin(struct fed_host *host, struct fed_image *image, float learning_rate);
/* Nothing is wanted any more. keep: another attempt of the round may want the updates that are made or being made. */
void fed_host_end(struct fed_host *host, bool keep);
/* The model still held, or NULL; borrowed. */
struct fed_image *fed_host_image(const struct fed_host *host);

/* Wants the client's update; it is reported by fed_host_finished, at once if it was kept. FED_ENOTFOUND: not hosted here.
 * FED_ENOMEM. */
int fed_host_train(struct fed_host *host, uint64_t client) FED_MUST_CHECK;

struct fed_host_update {
    uint64_t client;
    int rc;             /* FED_OK; FED_EINTERRUPTED: took longer than limits.max_train_s; FED_EDATA: its data were changed
                         meanwhile; FED_ENOMEM */
    const float *delta; /* (n_params), owned by the host until released or dropped */
    double norm;        /* of delta; not finite where delta is not */
    struct fed_sgd_report report;
    double seconds;
};
/* Readable when fed_host_finished may have something. */
int fed_host_fd(const struct fed_host *host);
/* The next client that is done; false if none. Also starts what can start and stops what takes too long. */
bool fed_host_finished(struct fed_host *host, struct fed_host_update *out);
/* The values of this update were used and may be given up if memory is short (it would be trained again). */
void fed_host_release(struct fed_host *host, uint64_t client);

#endif
