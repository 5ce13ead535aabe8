/* A fresh identity as two files: NAME.key, for its owner alone, and NAME.pub, the line to hand to others. */
#ifndef FED_CLI_MAKE_KEY_H
#define FED_CLI_MAKE_KEY_H

#include <stdbool.h>

#include "common/config/name.h"
#include "common/seal/key_file.h"

struct fed_key_order {
    const char *name, *dir;      /* dir is made if missing */
    bool signs;                  /* the public line is that of the key that signs enrolments */
    bool ask;                    /* for a passphrase on the terminal */
    const char *passphrase_file; /* "-": standard input; NULL: none */
};

struct fed_made_key {
    char *secret_path, *public_path; /* owned */
    char line[FED_PUBLIC_LINE_MAX];  /* without its newline */
    char fingerprint[17];
};

/* Never over a key file that is there. FED_ECONFIG (the name, the passphrase), FED_EKEY, FED_EIO, FED_ENOMEM. */
int fed_make_key(struct fed_made_key *out, const struct fed_key_order *order, struct fed_error *err) FED_MUST_CHECK;
void fed_made_key_fini(struct fed_made_key *made);

#endif
