/* A node presents its token to a coordinator: said again until it is answered. */
#ifndef FED_CLI_ROSTER_JOIN_H
#define FED_CLI_ROSTER_JOIN_H

#include "common/seal/token.h"

struct fed_join_options {
    const char *coordinator; /* endpoint of its enrolment lane */
    struct fed_public_keys coordinator_key;
    int64_t timeout_ms;
};

/* 0: the node is on the roster. FED_EPEER with a sentence: the token was refused, nobody answered in time, or who answered
 * is not this coordinator. FED_EADDRESS, FED_ESEAL's kin as FED_EKEY, FED_ENOMEM. */
int fed_join(const struct fed_token *token, const struct fed_identity *node, const struct fed_join_options *options,
             struct fed_error *err) FED_MUST_CHECK;

#endif
