/* The files of the live page, compiled in by cmake/page.cmake. A build that lacks uPlot (deploy/get-page) has "/" alone,
 * which says so. */
#ifndef FED_COORDINATOR_HTTP_ASSETS_H
#define FED_COORDINATOR_HTTP_ASSETS_H

#include <stddef.h>

struct fed_asset {
    const char *path; /* of the request: "/", "/page.js", ... */
    const char *type; /* for Content-Type */
    const unsigned char *bytes;
    size_t n;
    const char *etag; /* of these bytes, in its quotes */
};

extern const struct fed_asset FED_ASSETS[];
extern const size_t FED_ASSETS_COUNT;

/* NULL: there is no such file. */
const struct fed_asset *fed_asset_find(const char *path);

#endif
