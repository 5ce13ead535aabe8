/* What the libraries that are preloaded before a program of ours share: settings from the environment, and the function
 * behind the one that a library defines anew. */
#ifndef FED_TESTS_FAULTS_PRELOAD_H
#define FED_TESTS_FAULTS_PRELOAD_H

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static inline const char *value_of(const char *name, const char *fallback) {
    const char *value = getenv(name);
    return value != NULL ? value : fallback;
}

static inline void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        abort();
    }
    return found;
}
#define REAL(name) ((__typeof__(&name))real(#name))

/* Whether the path is the directory or lies in it, by the text of both. */
static inline bool is_under(const char *dir, const char *path) {
    size_t n = strlen(dir);
    return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* What open is given besides flags, if it makes a file. */
#define PERMISSIONS_OF(flags)                                                                                               \
    mode_t permissions = 0;                                                                                                 \
    if (((flags)&O_CREAT) != 0 || ((flags)&O_TMPFILE) == O_TMPFILE) {                                                       \
        va_list list;                                                                                                       \
        va_start(list, flags);                                                                                              \
        permissions = va_arg(list, mode_t);                                                                                 \
        va_end(list);                                                                                                       \
    }

#endif
