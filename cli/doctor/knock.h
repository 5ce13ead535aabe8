/* Who answers at a coordinator's address? Only the handshake, nothing is said: a coordinator at work is not disturbed. */
#ifndef FED_CLI_DOCTOR_KNOCK_H
#define FED_CLI_DOCTOR_KNOCK_H

#include "common/link/link.h"

enum fed_knock {
    FED_KNOCK_WELCOME, /* it holds the key, and lets this identity in */
    FED_KNOCK_REFUSED, /* it holds the key, and does not know this identity */
    FED_KNOCK_OTHER,   /* it does not hold the key, or speaks something else */
    FED_KNOCK_SILENT,  /* something takes the connection and says nothing */
    FED_KNOCK_NOBODY,  /* nobody takes the connection */
};

/* endpoint: to connect to. curve: the key that who answers is to hold. FED_EADDRESS, FED_EFAILED. */
int fed_knock(enum fed_knock *out, struct fed_link *link, const char *endpoint, const struct fed_identity *identity,
              const uint8_t curve[FED_KEY_BYTES], struct fed_error *err) FED_MUST_CHECK;

/* Whether anybody takes a connection there, whoever it is: tcp:// or ipc://. */
bool fed_knock_is_taken(const char *endpoint);

#endif
