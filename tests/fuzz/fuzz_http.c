/* What a request says of itself, as four lines (Host, Authorization, X-Forwarded-Proto, a number of its query) behind a byte
 * of flags: whoever is let in is on this machine or bears the token over HTTPS, and numbers are within their bounds. The
 * first line is an address to listen on as well: never one that another machine reaches. */
#include <string.h>
#include <strings.h>

#include "common/seal/digest.h"
#include "coordinator/http/http_api.h"
#include "coordinator/http/http_guard.h"
#include "tests/fuzz/fuzz.h"

#define TOKEN "0123456789abcdef"
enum { FORWARDED = 1, TWICE = 2, BEHIND = 4, NO_HOST = 8, NO_AUTHORIZATION = 16, NO_PROTO = 32 };

static bool begins(const char *text, const char *with) { return strncasecmp(text, with, strlen(with)) == 0; }

static void try_guard(char *const lines[4], unsigned flags) {
    static char *const names[] = {"fl.example.org"};
    struct fed_guard guard = {.hosts = names, .n_hosts = (flags & BEHIND) != 0};
    struct fed_guard_ask ask = {.host = flags & NO_HOST ? NULL : lines[0],
                                .authorization = flags & NO_AUTHORIZATION ? NULL : lines[1],
                                .proto = flags & NO_PROTO ? NULL : lines[2],
                                .forwarded = (flags & FORWARDED) != 0,
                                .twice = (flags & TWICE) != 0};
    const char *why = NULL;
    fed_digest(guard.bearer.digest, TOKEN, strlen(TOKEN));
    unsigned status = fed_guard_judge(&why, &guard, &ask);
    MUST(status == 0 || status == 400 || status == 401 || status == 403);
    MUST((status == 0) == (why == NULL));
    if (status != 0) {
        must_be_one_line(why);
        return;
    }
    MUST(ask.host != NULL);
    bool here = begins(ask.host, "localhost") || begins(ask.host, "127.") || begins(ask.host, "[");
    bool bears = ask.authorization != NULL && begins(ask.authorization, "bearer ") &&
                 strcmp(ask.authorization + strlen("bearer "), TOKEN) == 0;
    bool https = ask.proto != NULL && strcasecmp(ask.proto, "https") == 0;
    MUST(!ask.twice);
    MUST(here || begins(ask.host, "fl.example.org"));
    MUST((here && !ask.forwarded && (ask.authorization == NULL || https)) || (bears && https && (flags & BEHIND) != 0));
}

static void try_listen(const char *text) {
    struct fed_endpoint_http at;
    int rc = fed_endpoint_http_parse(&at, text);
    MUST(rc == FED_OK || rc == FED_ECONFIG);
    if (rc == FED_OK) {
        MUST(at.path[0] != '\0' ? begins(text, "unix:") && strcmp(at.path, text + strlen("unix:")) == 0
                                : at.is_v6 || at.address[0] == 127);
    }
}

static const char *parameter(void *context, const char *name) {
    (void)name;
    return context;
}

static void try_number(char *text) {
    struct fed_ask ask = {"/", text, parameter};
    struct fed_answer answer = {.fd = -1};
    uint64_t value = 7;
    if (fed_http_number(&value, &answer, &ask, "points", 1000, 2, 5000)) {
        MUST(value >= 2 && value <= 5000 && strtoull(text, NULL, 10) == value);
    } else {
        MUST(answer.status == 400 && answer.text != NULL);
    }
    fed_answer_fini(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    char text[1024], *lines[4], *at = text;
    size_t length = n > 1 ? (n - 1 < sizeof text - 1 ? n - 1 : sizeof text - 1) : 0;
    memcpy(text, bytes + 1 - (n == 0), length);
    text[length] = '\0';
    for (size_t i = 0; i < 4; i++) {
        lines[i] = at;
        at += strcspn(at, "\n");
        if (*at == '\n') {
            *at++ = '\0';
        }
    }
    try_guard(lines, n > 0 ? bytes[0] : 0);
    try_listen(lines[0]);
    try_number(lines[3]);
    return 0;
}
