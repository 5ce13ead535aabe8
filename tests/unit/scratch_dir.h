/* A directory of a test, removed with the files in it. */
#ifndef FED_TESTS_UNIT_SCRATCH_DIR_H
#define FED_TESTS_UNIT_SCRATCH_DIR_H

#include <check.h>
#include <dirent.h>
#include <stddef.h>
#include <unistd.h>

static inline void remove_dir(const char *path) {
    DIR *files = opendir(path);
    for (const struct dirent *entry; files != NULL && (entry = readdir(files)) != NULL;) {
        unlinkat(dirfd(files), entry->d_name, 0);
    }
    if (files != NULL) {
        closedir(files);
    }
    ck_assert_int_eq(rmdir(path), 0);
}

#endif
