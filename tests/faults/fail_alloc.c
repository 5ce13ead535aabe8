#include "tests/faults/fail_alloc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    bool counts, for_ever;
    bool (*concerned)(void);
    uint64_t k, n, hits;
} state;

void fail_alloc_begin(uint64_t k, bool for_ever, bool (*concerned)(void)) {
    state.counts = true;
    state.for_ever = for_ever;
    state.concerned = concerned;
    state.k = k;
    state.n = state.hits = 0;
}

uint64_t fail_alloc_end(void) {
    state.counts = false;
    return state.n;
}

uint64_t fail_alloc_hits(void) { return state.hits; }

static bool fails(void) {
    if (!state.counts || (state.concerned != NULL && !state.concerned())) {
        return false;
    }
    state.n++;
    bool hit = state.k > 0 && (state.n == state.k || (state.for_ever && state.n > state.k));
    state.hits += hit;
    errno = hit ? ENOMEM : errno;
    return hit;
}

#define FAILING(type, name, parameters, arguments)                                                                          \
    type __real_##name parameters;                                                                                          \
    type __wrap_##name parameters;                                                                                          \
    type __wrap_##name parameters { return fails() ? NULL : __real_##name arguments; }

FAILING(void *, malloc, (size_t n), (n))
FAILING(void *, calloc, (size_t n, size_t size), (n, size))
FAILING(void *, realloc, (void *old, size_t n), (old, n))
FAILING(void *, reallocarray, (void *old, size_t n, size_t size), (old, n, size))
FAILING(void *, aligned_alloc, (size_t alignment, size_t n), (alignment, n))
FAILING(void *, sodium_malloc, (size_t n), (n))
FAILING(char *, strdup, (const char *text), (text))
FAILING(FILE *, open_memstream, (char **text, size_t *n), (text, n))

static int print_or_fail(char **out, const char *format, va_list args) {
    return fails() ? -1 : vasprintf(out, format, args);
}

int __wrap_asprintf(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **out, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = print_or_fail(out, format, args);
    va_end(args);
    return n;
}

/* The same, as fortified programs call it. */
int __wrap___asprintf_chk(char **out, int flag, const char *format, ...) __attribute__((format(printf, 3, 4)));
int __wrap___asprintf_chk(char **out, int flag, const char *format, ...) {
    (void)flag;
    va_list args;
    va_start(args, format);
    int n = print_or_fail(out, format, args);
    va_end(args);
    return n;
}

void *fail_alloc_exempt(void *old, size_t n) {
    void *memory = __real_realloc(old, n > 0 ? n : 1);
    if (memory == NULL) {
        abort();
    }
    return memory;
}
