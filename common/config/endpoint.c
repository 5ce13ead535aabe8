#include "common/config/endpoint.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdlib.h>
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

static const char UNIX[] = "unix:";

/* A number from 0 to 65535 without leading zeros. */
static bool http_port_parse(uint16_t *out, const char *text) {
    bool zero = strcmp(text, "0") == 0;
    if (zero || port_valid(text)) {
        *out = (uint16_t)strtoul(text, NULL, 10);
    }
    return zero || port_valid(text);
}

int fed_endpoint_http_parse(struct fed_endpoint_http *out, const char *text) {
    static const uint8_t loopback_v6[16] = {[15] = 1};
    struct fed_endpoint_http found = {.path = ""};
    char host[INET6_ADDRSTRLEN];
    if (starts_with(text, UNIX)) {
        const char *path = text + strlen(UNIX);
        size_t n = strlen(path);
        if (n == 0 || n >= sizeof found.path) {
            return FED_ECONFIG;
        }
        memcpy(found.path, path, n + 1);
        *out = found;
        return FED_OK;
    }
    const char *colon = strrchr(text, ':');
    size_t n = colon != NULL ? (size_t)(colon - text) : 0;
    found.is_v6 = n > 2 && text[0] == '[' && text[n - 1] == ']';
    n -= found.is_v6 ? 2 : 0;
    if (n == 0 || n >= sizeof host || !http_port_parse(&found.port, colon + 1)) {
        return FED_ECONFIG;
    }
    memcpy(host, text + found.is_v6, n);
    host[n] = '\0';
    bool known = inet_pton(found.is_v6 ? AF_INET6 : AF_INET, host, found.address) == 1;
    bool loopback = found.is_v6 ? memcmp(found.address, loopback_v6, sizeof loopback_v6) == 0 : found.address[0] == 127;
    if (!known || !loopback) {
        return FED_ECONFIG;
    }
    *out = found;
    return FED_OK;
}

/* In a file a relative path would depend on where the program was started. */
bool fed_endpoint_http_valid(const char *text) {
    struct fed_endpoint_http found;
    return fed_endpoint_http_parse(&found, text) == FED_OK && (found.path[0] == '\0' || found.path[0] == '/');
}
