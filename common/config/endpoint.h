/* The shape of addresses in files. Whether one can be bound or reached is found out by whoever opens it. */
#ifndef FED_COMMON_CONFIG_ENDPOINT_H
#define FED_COMMON_CONFIG_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/status.h"

#define FED_ENDPOINT_BIND "an endpoint to bind, tcp://ADDRESS:PORT (* for any) or ipc://PATH"
#define FED_ENDPOINT_CONNECT "an endpoint to connect to, tcp://HOST:PORT or ipc://PATH"
#define FED_ENDPOINT_HTTP                                                                                                   \
    "127.0.0.1:PORT, [::1]:PORT or unix:/PATH; to be read from other machines, put a proxy that speaks TLS in front of it"

bool fed_endpoint_bind_valid(const char *text);
bool fed_endpoint_connect_valid(const char *text);
bool fed_endpoint_http_valid(const char *text);

/* Where the page listens: never where another machine could reach it. */
#define FED_ENDPOINT_UNIX_MAX 108 /* a socket's path, with the terminating zero */
struct fed_endpoint_http {
    char path[FED_ENDPOINT_UNIX_MAX]; /* of a socket; "" = an address */
    bool is_v6;
    uint8_t address[16]; /* loopback; IPv4 in the first four */
    uint16_t port;       /* 0 = any that is free */
};
/* FED_ECONFIG, without a sentence. A path may be relative here. */
int fed_endpoint_http_parse(struct fed_endpoint_http *out, const char *text) FED_MUST_CHECK;

#endif
