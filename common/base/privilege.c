#include "common/base/privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static int become(const char *user, bool allow_root, struct fed_error *err) {
    errno = 0;
    const struct passwd *entry = getpwnam(user);
    if (entry == NULL) {
        return fed_error_set(err, FED_ECONFIG, "server.user: there is no user \"%s\" on this machine", user);
    }
    if (entry->pw_uid == 0 && !allow_root) {
        return fed_error_set(err, FED_ECONFIG, "server.user: \"%s\" is root: name another user, or add --allow-root", user);
    }
    if (initgroups(user, entry->pw_gid) != 0 || setgid(entry->pw_gid) != 0 || setuid(entry->pw_uid) != 0) {
        return fed_error_set(err, FED_ECONFIG, "server.user: cannot become \"%s\": %s", user, strerror(errno));
    }
    return FED_OK;
}

int fed_privilege_check(bool allow_root, const char *user, struct fed_error *err) {
    if (geteuid() != 0) {
        const struct passwd *self = user != NULL ? getpwuid(geteuid()) : NULL;
        if (user != NULL && (self == NULL || strcmp(self->pw_name, user) != 0)) {
            return fed_error_set(err, FED_ECONFIG, "server.user: \"%s\" is wanted, but only root can become another user",
                                 user);
        }
        return FED_OK;
    }
    if (user != NULL) {
        return become(user, allow_root, err);
    }
    if (!allow_root) {
        return fed_error_set(err, FED_ECONFIG, "refuses to run as root: start it as its own user, or add --allow-root");
    }
    return FED_OK;
}

void fed_privilege_protect_secrets(void) {
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
}
