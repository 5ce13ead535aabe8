/* The libraries that this program runs with, against the least versions that it is built with (cmake/libraries.cmake, which
 * also defines the words FED_LEAST_... here). */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor/doctor.h"
#include "cli/export/export.h"
#include "cli/fetch.h"
#include "common/config/yaml.h"
#include "common/link/link.h"
#include "coordinator/http/http.h"
#include "coordinator/store/sql.h"
#include "proto/wire.h"

static const struct {
    const char *name, *least;
    const char *(*version)(void);
} libraries[] = {
    {"libsodium", FED_LEAST_SODIUM, fed_seal_library_version},
    {"libzmq", FED_LEAST_ZMQ, fed_link_version},
    {"libprotobuf-c", FED_LEAST_PROTOBUFC, fed_wire_library_version},
    {"SQLite", FED_LEAST_SQLITE, fed_sql_library_version},
    {"libyaml", FED_LEAST_YAML, fed_yaml_library_version},
    {"jansson", FED_LEAST_JANSSON, jansson_version_str},
    {"libmicrohttpd", FED_LEAST_MICROHTTPD, fed_http_library_version},
    {"libcurl", FED_LEAST_CURL, fed_fetch_library_version},
    {"libzip", FED_LEAST_ZIP, fed_export_zip_version},
};

bool fed_doctor_libraries(struct fed_doctor *d) {
    char text[512] = "";
    size_t n = 0;
    bool good = true;
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        const char *version = libraries[i].version();
        if (strverscmp(version, libraries[i].least) < 0) {
            good =
                fed_doctor_problem(d, FED_EFAILED, "bring the system up to date", "%s %s is too old: %s or newer is needed",
                                   libraries[i].name, version, libraries[i].least);
        }
        n += (size_t)snprintf(text + n, n < sizeof text ? sizeof text - n : 0, "%s%s %s", i > 0 ? ", " : "",
                              libraries[i].name, version);
    }
    if (good) {
        fed_doctor_ok(d, "fedavg %s with %s", FED_VERSION, text);
    }
    return true;
}
