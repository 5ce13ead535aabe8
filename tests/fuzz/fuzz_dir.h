/* A directory in memory for what wants to rename, lock and sweep; it goes when the harness ends. */
#ifndef FED_TESTS_FUZZ_FUZZ_DIR_H
#define FED_TESTS_FUZZ_FUZZ_DIR_H

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

static char fuzz_dir_path[32];

/* Takes away all that lies in the directory. */
static inline void fuzz_dir_clear(void) {
    DIR *dir = opendir(fuzz_dir_path);
    MUST(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            MUST(unlinkat(dirfd(dir), entry->d_name, 0) == 0);
        }
    }
    closedir(dir);
}

static inline void fuzz_dir_remove(void) {
    fuzz_dir_clear();
    rmdir(fuzz_dir_path);
}

/* The directory, made at the first call. */
static inline const char *fuzz_dir(void) {
    if (fuzz_dir_path[0] == '\0') {
        snprintf(fuzz_dir_path, sizeof fuzz_dir_path, "%s/fuzz.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        MUST(mkdtemp(fuzz_dir_path) != NULL);
        MUST(atexit(fuzz_dir_remove) == 0);
    }
    return fuzz_dir_path;
}

/* The path of a file in it; returns out. */
static inline const char *fuzz_dir_file(char out[128], const char *name) {
    snprintf(out, 128, "%s/%s", fuzz_dir(), name);
    return out;
}

/* Makes that file of these bytes. */
static inline void fuzz_dir_put(const char *name, const uint8_t *bytes, size_t n) {
    char path[128];
    FILE *file = fopen(fuzz_dir_file(path, name), "wb");
    MUST(file != NULL && fwrite(bytes, 1, n, file) == n && fclose(file) == 0);
}

#endif
