#include "common/config/endpoint.h"

#include <stddef.h>
#include <string.h>

static bool starts_with(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

/* A number from 1 to 65535 without leading zeros. */
static bool port_valid(const char *text) {
    unsigned long port = 0;
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n > 5 || text[n] != '\0' || text[0] == '0') {
        return false;
    }
    for (const char *c = text; *c != '\0'; c++) {
        port = port * 10 + (unsigned long)(*c - '0');
    }
    return port <= 65535;
}

/* HOST:PORT, [IPV6]:PORT; with wildcards also *:PORT and HOST:*. */
static bool host_port_valid(const char *text, bool wildcards) {
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || strpbrk(text, " /\"'") != NULL) {
        return false;
    }
    size_t n_host = (size_t)(colon - text);
    bool bracketed = text[0] == '[' && n_host > 2 && colon[-1] == ']';
    bool star = n_host == 1 && text[0] == '*';
    if ((memchr(text, ':', n_host) != NULL && !bracketed) || (memchr(text, '*', n_host) != NULL && !(star && wildcards))) {
        return false;
    }
    return port_valid(colon + 1) || (wildcards && strcmp(colon + 1, "*") == 0);
}

static bool endpoint_valid(const char *text, bool wildcards) {
    if (starts_with(text, "ipc://")) {
        return text[strlen("ipc://")] != '\0';
    }
    return starts_with(text, "tcp://") && host_port_valid(text + strlen("tcp://"), wildcards);
}

bool fed_endpoint_bind_valid(const char *text) { return endpoint_valid(text, true); }

bool fed_endpoint_connect_valid(const char *text) { return endpoint_valid(text, false); }

bool fed_endpoint_http_valid(const char *text) { return host_port_valid(text, false); }
