#include "client/scope.h"

#include "common/base/pool.h"

void fed_scope_enter(struct fed_scope *outside, const struct fed_log_sink *sink) {
    fegetenv(&outside->arithmetic);
    fed_numeric_mode_set();
    outside->locale = uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0)); /* glibc makes no new object for "C" */
    outside->log = fed_log_redirect(sink);
}

void fed_scope_leave(const struct fed_scope *outside) {
    fed_log_redirect(outside->log);
    uselocale(outside->locale);
    fesetenv(&outside->arithmetic);
}
