/* One pass over the directory serves counting and sweeping: each entry is either a model, the rest of a write that was cut
 * off (the name that fed_file_replace gives its temporary file), or not ours. */
#include "coordinator/model_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"

#define NAME_MAX_BYTES 48
#define TEMPORARY ".tmp"

enum kind { NOT_OURS, MODEL, CUT_OFF };

static void name_of(char out[NAME_MAX_BYTES], uint64_t round) {
    snprintf(out, NAME_MAX_BYTES, "model-%" PRIu64 ".safetensors", round);
}

static enum kind kind_of(uint64_t *round, const char *entry) {
    char name[NAME_MAX_BYTES];
    uint64_t found;
    if (sscanf(entry, "model-%" SCNu64, &found) != 1) {
        return NOT_OURS;
    }
    name_of(name, found); /* written again, so that signs, blanks and leading zeros do not pass */
    size_t n = strlen(name);
    if (strncmp(entry, name, n) != 0) {
        return NOT_OURS;
    }
    *round = found;
    if (entry[n] == '\0') {
        return MODEL;
    }
    return strncmp(entry + n, TEMPORARY, strlen(TEMPORARY)) == 0 ? CUT_OFF : NOT_OURS;
}

int fed_model_files_path(char **out, const char *dir, uint64_t round) {
    char name[NAME_MAX_BYTES];
    name_of(name, round);
    return fed_path_join(out, dir, name);
}

static int open_directory(DIR **out, const char *dir, struct fed_error *err) {
    *out = opendir(dir);
    return *out != NULL ? FED_OK : fed_error_set(err, FED_EIO, "cannot read directory %s: %s", dir, strerror(errno));
}

/* The next entry, or NULL at the end; a failed read sets *code. */
static const struct dirent *next_entry(int *code, DIR *listing, const char *dir, struct fed_error *err) {
    errno = 0;
    const struct dirent *entry = readdir(listing);
    if (entry == NULL && errno != 0) {
        *code = fed_error_set(err, FED_EIO, "cannot read directory %s: %s", dir, strerror(errno));
    }
    return entry;
}

int fed_model_files_count(size_t *out, const char *dir, struct fed_error *err) {
    DIR *listing;
    const struct dirent *entry;
    uint64_t round;
    size_t n = 0;
    int code = open_directory(&listing, dir, err);
    if (code != FED_OK) {
        return code;
    }
    while ((entry = next_entry(&code, listing, dir, err)) != NULL) {
        n += kind_of(&round, entry->d_name) == MODEL;
    }
    closedir(listing);
    if (code == FED_OK) {
        *out = n;
    }
    return code;
}

int fed_model_files_sweep(const char *dir, bool (*keep)(const void *context, uint64_t round), const void *context,
                          struct fed_error *err) {
    DIR *listing;
    const struct dirent *entry;
    uint64_t round;
    int code = open_directory(&listing, dir, err);
    if (code != FED_OK) {
        return code;
    }
    while ((entry = next_entry(&code, listing, dir, err)) != NULL) {
        enum kind kind = kind_of(&round, entry->d_name);
        if (kind == NOT_OURS || (kind == MODEL && keep(context, round))) {
            continue;
        }
        if (unlinkat(dirfd(listing), entry->d_name, 0) != 0 && errno != ENOENT) {
            code = fed_error_set(err, FED_EIO, "cannot remove %s/%s: %s", dir, entry->d_name, strerror(errno));
        }
    }
    closedir(listing);
    return code;
}
