/* sent.log: the owner's record of what left this machine, one line an update, written before the first byte goes out:
 *
 *     2026-01-31T12:00:00Z run=<id> round=3 attempt=1 model=<digest> clients=1 examples=600 bytes=796840 */
#ifndef FED_CLIENT_SENT_LOG_H
#define FED_CLIENT_SENT_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/status.h"

struct fed_sent {
    uint8_t run_id[16];
    uint64_t round;
    uint32_t attempt;
    uint8_t model_digest[32]; /* the model it was trained from */
    uint64_t n_clients, n_examples, n_bytes;
};

/* Opens state_dir/sent.log (0600, made with its directory if missing) for appending, and holds a shared lock on it as long
 * as it is open, which tells others that a client is at work. FED_EIO. */
int fed_sent_log_open(int *fd, const char *state_dir, struct fed_error *err) FED_MUST_CHECK;
/* Appends one line and waits until it is on disk. FED_EIO: then the update must not leave. */
int fed_sent_log_write(int fd, const struct fed_sent *sent, int64_t wall_ms, struct fed_error *err) FED_MUST_CHECK;

/* Whether a client has it open. */
bool fed_sent_log_in_use(const char *state_dir);

#endif
