/* The shape of addresses in files. Whether one can be bound or reached is found out by whoever opens it. */
#ifndef FED_COMMON_CONFIG_ENDPOINT_H
#define FED_COMMON_CONFIG_ENDPOINT_H

#include <stdbool.h>

#define FED_ENDPOINT_BIND "an endpoint to bind, tcp://ADDRESS:PORT (* for any) or ipc://PATH"
#define FED_ENDPOINT_CONNECT "an endpoint to connect to, tcp://HOST:PORT or ipc://PATH"
#define FED_ENDPOINT_HTTP "an address and port, such as 127.0.0.1:5680"

bool fed_endpoint_bind_valid(const char *text);
bool fed_endpoint_connect_valid(const char *text);
bool fed_endpoint_http_valid(const char *text);

#endif
