/* A passphrase, from a file, from standard input or from the terminal without echo; it lives in guarded memory only and
 * never comes from the command line or the environment, where other users could read it. */
#ifndef FED_COMMON_SEAL_PASSPHRASE_H
#define FED_COMMON_SEAL_PASSPHRASE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/status.h"

#define FED_PASSPHRASE_MAX 1024 /* with the terminating zero */

struct fed_passphrase {
    size_t n; /* 1..FED_PASSPHRASE_MAX - 1, without the zero */
    char text[FED_PASSPHRASE_MAX];
};
/* Empty. FED_ENOMEM. */
int fed_passphrase_new(struct fed_passphrase **out, struct fed_error *err) FED_MUST_CHECK;
void fed_passphrase_free(struct fed_passphrase *passphrase); /* wipes; NULL is allowed */

/* whose: the key file it belongs to, for prompt and sentences. file: its first line is the passphrase; "-" is standard
 * input; NULL asks on the terminal, twice when it is new. FED_ECONFIG: nowhere to ask, empty, too long, the two differ, no
 * such file; FED_EKEY: a file that is not ours or that others may use, as key_file.h checks it (a pipe is neither);
 * FED_EINTERRUPTED: given up at the prompt; FED_EIO; FED_ENOMEM. */
int fed_passphrase_get(struct fed_passphrase **out, const char *file, const char *whose, bool is_new,
                       struct fed_error *err) FED_MUST_CHECK;

/* Where else one may come from. get hands over a passphrase that was made with fed_passphrase_new, or returns a negative
 * status with a sentence. */
struct fed_passphrase_source {
    int (*get)(void *context, struct fed_passphrase **out, const char *whose, struct fed_error *err);
    void *context;
};

#endif
