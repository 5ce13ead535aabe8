/* The description of the API (coordinator/http/openapi.json, OpenAPI 3.1), compiled in by cmake/openapi.cmake. */
#ifndef FED_COORDINATOR_HTTP_OPENAPI_H
#define FED_COORDINATOR_HTTP_OPENAPI_H

#include <stddef.h>

extern const unsigned char FED_OPENAPI[];
extern const size_t FED_OPENAPI_BYTES;

#endif
