#include "coordinator/http/http_guard.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* The host without its port. False: the port is none, or there is nothing before it. */
static bool split_port(size_t *n, const char *host) {
    const char *bracket = host[0] == '[' ? strchr(host, ']') : NULL,
               *end = bracket != NULL ? bracket + 1 : host + strcspn(host, ":");
    *n = (size_t)(end - host);
    if (*n == 0 || (host[0] == '[' && bracket == NULL)) {
        return false;
    }
    size_t digits = end[0] == ':' ? strspn(end + 1, "0123456789") : 0;
    return end[0] == '\0' || (end[0] == ':' && digits >= 1 && digits <= 5 && end[1 + digits] == '\0');
}

static bool is_text(const char *host, size_t n, const char *text) {
    return strlen(text) == n && strncasecmp(host, text, n) == 0;
}

/* Whatever loopback address: a connection from elsewhere does not come in. */
static bool is_loopback(const char *host, size_t n) {
    static const uint8_t loopback_v6[16] = {[15] = 1};
    char text[INET6_ADDRSTRLEN];
    uint8_t address[16];
    bool is_v6 = n > 2 && host[0] == '[';
    size_t length = is_v6 ? n - 2 : n;
    if (length >= sizeof text) {
        return false;
    }
    memcpy(text, host + is_v6, length);
    text[length] = '\0';
    if (inet_pton(is_v6 ? AF_INET6 : AF_INET, text, address) != 1) {
        return false;
    }
    return is_v6 ? memcmp(address, loopback_v6, sizeof loopback_v6) == 0 : address[0] == 127;
}

static bool is_name(const struct fed_guard *guard, const char *host, size_t n) {
    for (size_t i = 0; i < guard->n_hosts; i++) {
        if (is_text(host, n, guard->hosts[i])) {
            return true;
        }
    }
    return false;
}

static bool bears_token(const struct fed_guard *guard, const char *authorization) {
    static const char scheme[] = "Bearer ";
    if (authorization == NULL || strncasecmp(authorization, scheme, strlen(scheme)) != 0) {
        return false;
    }
    const char *token = authorization + strlen(scheme);
    return fed_bearer_matches(&guard->bearer, token, strlen(token));
}

static unsigned refuse(const char **why, unsigned status, const char *sentence) {
    *why = sentence;
    return status;
}

unsigned fed_guard_judge(const char **why, const struct fed_guard *guard, const struct fed_guard_ask *ask) {
    size_t n = 0;
    bool https = ask->proto != NULL && strcasecmp(ask->proto, "https") == 0;
    if (ask->twice) {
        return refuse(why, 400, "Host, Authorization and X-Forwarded-Proto may each be given once");
    }
    if (ask->host == NULL || !split_port(&n, ask->host)) {
        return refuse(why, 400, "the request does not name its Host");
    }
    bool local = is_text(ask->host, n, "localhost") || is_loopback(ask->host, n), named = is_name(guard, ask->host, n);
    if (!local && !named) {
        return refuse(why, 403, "ask by localhost, by the address it listens on, or by a name of server.http_hosts");
    }
    if (ask->authorization != NULL && !https) {
        return refuse(why, 403,
                      "a token must not travel in clear: the proxy in front has to speak HTTPS, and to say so by "
                      "X-Forwarded-Proto: https; whoever saw this one can use it, so make another");
    }
    if (local && !ask->forwarded) {
        return 0;
    }
    if (guard->n_hosts == 0) {
        return refuse(why, 403,
                      "it was passed on by a proxy, for which server.http_hosts and server.http_token have to be set");
    }
    if (!https) {
        return refuse(why, 403, "whoever comes from afar comes by HTTPS: the proxy has to say X-Forwarded-Proto: https");
    }
    return bears_token(guard, ask->authorization)
               ? 0
               : refuse(why, 401, "the request has to bear the token of server.http_token: Authorization: Bearer TOKEN");
}
