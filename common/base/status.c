#include "common/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int(fed_error_set)(struct fed_error *err, int code, const char *format, ...) {
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
    }
    return code;
}

int(fed_error_prefix)(struct fed_error *err, int code, const char *format, ...) {
    if (err != NULL) {
        struct fed_error tail = *err;
        va_list args;
        va_start(args, format);
        int used = vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        if (used >= 0 && (size_t)used < sizeof err->text) {
            size_t room = sizeof err->text - (size_t)used;
            snprintf(err->text + used, room, ": %.*s", (int)(room > 3 ? room - 3 : 0), tail.text);
        }
    }
    return code;
}

const char *fed_status_text(int code) {
    switch (code) {
    case FED_OK: return "ok";
    case FED_EFAILED: return "failed";
    case FED_ECONFIG: return "wrong configuration";
    case FED_EDATA: return "bad data";
    case FED_ELOCKED: return "locked by another process";
    case FED_EMISMATCH: return "run of another task";
    case FED_EADDRESS: return "address not usable";
    case FED_EKEY: return "bad key file";
    case FED_EPEER: return "refused by the other side";
    case FED_EIO: return "storage failed";
    case FED_EINTERRUPTED: return "interrupted";
    case FED_EGIVENUP: return "tried too often";
    case FED_EDIFFERS: return "computed again, it differs";
    case FED_ENOMEM: return "out of memory";
    case FED_EAGAIN: return "try again later";
    case FED_EWIRE: return "not a valid message";
    case FED_ESEAL: return "seal does not open";
    case FED_EGONE: return "peer is gone";
    case FED_ENOTFOUND: return "not found";
    default: return "unknown status";
    }
}

int fed_status_exit_code(int code) {
    if (code == FED_OK) {
        return 0;
    }
    return code < 0 && code >= FED_EDIFFERS ? -code : 1;
}
