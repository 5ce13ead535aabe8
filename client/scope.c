#include "client/scope.h"

#include "common/base/c_locale.h"
#include "common/base/pool.h"

void fed_scope_enter(struct fed_scope *outside, const struct fed_log_sink *sink) {
    fegetenv(&outside->arithmetic);
    fed_numeric_mode_set();
    outside->locale = fed_c_locale_set();
    outside->log = fed_log_redirect(sink);
}

void fed_scope_leave(const struct fed_scope *outside) {
    fed_log_redirect(outside->log);
    uselocale(outside->locale);
    fesetenv(&outside->arithmetic);
}
