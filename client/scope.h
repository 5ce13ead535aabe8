/* How a thread of somebody else's computes, formats and logs while it is inside the library: round-to-nearest without FTZ
 * and DAZ, the locale "C", log lines to whom they belong. All of it is the thread's own, and is given back on the way out
 * and for the time of a callback. */
#ifndef FED_CLIENT_SCOPE_H
#define FED_CLIENT_SCOPE_H

#include <fenv.h>
#include <locale.h>

#include "common/base/log.h"

struct fed_scope {
    fenv_t arithmetic;
    locale_t locale;
    const struct fed_log_sink *log;
};

/* sink: where log lines go from now on; borrowed until the thread leaves. */
void fed_scope_enter(struct fed_scope *outside, const struct fed_log_sink *sink);
void fed_scope_leave(const struct fed_scope *outside);

#endif
