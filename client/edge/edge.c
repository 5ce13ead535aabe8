/* What the static client has instead of libraries that are found when it runs: it is one file, for machines that have none
 * of them, or others.
 *
 * Names of hosts are resolved by glibc's own files and dns. Anything else in /etc/nsswitch.conf would be a library of that
 * machine, made for its C library and not for the one in here. */
#include <dlfcn.h>
#include <nss.h>
#include <stdio.h>
#include <stdlib.h>

int fed_edge_nothing_to_start(void);
void fed_edge_absent(void);

/* libzmq starts PGM with its first context, and asks whether that went well. */
int fed_edge_nothing_to_start(void) { return 1; }

void fed_edge_absent(void) {
    fputs("fedavg-client: libzmq came to a mechanism or transport that is not part of this program\n", stderr);
    abort();
}

__attribute__((constructor)) static void resolve_without_plugins(void) {
    __nss_configure_lookup("hosts", "files dns");
    __nss_configure_lookup("passwd", "files");
    __nss_configure_lookup("group", "files");
    __nss_configure_lookup("initgroups", "files");
}

/* In place of glibc's: OpenBLAS (common/numeric/blas.c) is all that a client would load. */
void *dlopen(const char *file, int mode) {
    (void)file;
    (void)mode;
    return NULL;
}

char *dlerror(void) { return "this client is one static file and loads no library"; }

void *dlsym(void *restrict handle, const char *restrict name) {
    (void)handle;
    (void)name;
    return NULL;
}

int dlclose(void *handle) {
    (void)handle;
    return -1;
}
