/* The edits that `fedavg roster` knows. Each changes one entry of a loaded roster; the rules of the whole file are checked
 * when it is saved. */
#ifndef FED_CLI_ROSTER_EDIT_H
#define FED_CLI_ROSTER_EDIT_H

#include <stdbool.h>

#include "cli/roster/node_options.h"
#include "common/config/roster_file.h"
#include "common/seal/key_file.h"

struct fed_roster_request {
    const char *action, *file, *key, *passphrase_file;
    struct fed_node_options node;
    bool json, finish;
    char **words; /* what is left after the options: NAME, PUBLICLINE */
    int n_words;
    struct fed_identity issuer; /* with key */
};

/* FED_ECONFIG with a sentence, FED_ENOMEM. */
int fed_roster_edit_add(struct fed_roster_file *roster, const struct fed_roster_request *request,
                        struct fed_error *err) FED_MUST_CHECK;
int fed_roster_edit_approve(struct fed_roster_file *roster, const struct fed_roster_request *request,
                            struct fed_error *err) FED_MUST_CHECK;
int fed_roster_edit_remove(struct fed_roster_file *roster, const struct fed_roster_request *request,
                           struct fed_error *err) FED_MUST_CHECK;
int fed_roster_edit_revoke(struct fed_roster_file *roster, const struct fed_roster_request *request,
                           struct fed_error *err) FED_MUST_CHECK;
int fed_roster_edit_readmit(struct fed_roster_file *roster, const struct fed_roster_request *request,
                            struct fed_error *err) FED_MUST_CHECK;
int fed_roster_edit_rotate(struct fed_roster_file *roster, const struct fed_roster_request *request,
                           struct fed_error *err) FED_MUST_CHECK;

#endif
