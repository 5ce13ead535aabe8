/* One pass over the directory serves counting and sweeping: each entry is either a model, the rest of a write that was cut
 * off (the name that fed_file_replace gives its temporary file), or not ours. */
#include "coordinator/store/model_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
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

static int by_round(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int fed_model_files_list(uint64_t **out, size_t *n, const char *dir, struct fed_error *err) {
    DIR *listing;
    const struct dirent *entry;
    uint64_t *rounds = NULL, round;
    size_t found = 0;
    int code = open_directory(&listing, dir, err);
    if (code != FED_OK) {
        return code;
    }
    while (code == FED_OK && (entry = next_entry(&code, listing, dir, err)) != NULL) {
        if (kind_of(&round, entry->d_name) != MODEL) {
            continue;
        }
        uint64_t *grown = reallocarray(rounds, found + 1, sizeof *rounds);
        if (grown == NULL) {
            code = fed_error_set(err, FED_ENOMEM, "%s: out of memory", dir);
        } else {
            rounds = grown;
            rounds[found++] = round;
        }
    }
    closedir(listing);
    if (code != FED_OK) {
        free(rounds);
        return code;
    }
    if (found > 0) {
        qsort(rounds, found, sizeof *rounds, by_round);
    }
    *out = rounds;
    *n = found;
    return FED_OK;
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
