/* A key file: its owner and mode, its passphrase, and the public line beside it. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/doctor/doctor.h"
#include "common/base/file.h"
#include "common/seal/key_file.h"

#define LINE_FILE_MAX 4096

/* "ward-7.pub" for "ward-7.key". The caller owns *out; NULL: the key file is not called so. */
static int public_path(char **out, const char *path) {
    size_t n = strlen(path);
    *out = NULL;
    if (n < 5 || strcmp(path + n - 4, ".key") != 0) {
        return FED_OK;
    }
    *out = strdup(path);
    if (*out == NULL) {
        return FED_ENOMEM;
    }
    memcpy(*out + n - 4, ".pub", 4);
    return FED_OK;
}

/* What stands in the .pub file; FED_ENOTFOUND: there is none. */
static int read_public(struct fed_public_keys *out, const char *path, struct fed_error *err) {
    uint8_t *text = NULL;
    size_t n;
    int rc = fed_file_read(&text, &n, path, LINE_FILE_MAX, err);
    if (rc == FED_OK) {
        text[strcspn((char *)text, "\r\n")] = '\0';
        rc = fed_public_parse(out, (char *)text, err);
        free(text);
        return rc == FED_OK ? rc : fed_error_prefix(err, rc, "%s", path);
    }
    return rc;
}

static bool look_at_public(struct fed_doctor *d, const char *path) {
    struct fed_public_keys keys;
    struct fed_error err = {.text = ""};
    char fingerprint[17];
    int rc = read_public(&keys, path, &err);
    if (rc == FED_ENOTFOUND) {
        return true;
    }
    if (rc != FED_OK) {
        return fed_doctor_problem(d, FED_EKEY, "take the file away, or make a new key", "%s", err.text);
    }
    if (d->identity.secret == NULL) { /* its passphrase was not given: believed, for what follows */
        d->identity.public_keys = keys;
        d->has_key = true;
        return true;
    }
    if (memcmp(&keys, &d->identity.public_keys, sizeof keys) != 0) {
        fed_public_fingerprint(fingerprint, &d->identity.public_keys);
        return fed_doctor_problem(d, FED_EKEY,
                                  "do not hand it out; the two files do not belong together: find the other half, "
                                  "or make a new key",
                                  "%s is not the public line of its key, whose fingerprint is %s", path, fingerprint);
    }
    return true;
}

static bool open_key(struct fed_doctor *d, const char *path) {
    struct fed_error err = {.text = ""};
    bool needs_passphrase = false;
    char fingerprint[17];
    int rc = fed_identity_needs_passphrase(&needs_passphrase, path, &err);
    if (rc == FED_OK && needs_passphrase && d->passphrase_file == NULL) {
        return fed_doctor_note(d,
                               "look inside with --passphrase-file FILE; a daemon that restarts by itself needs that, too",
                               "%s needs a passphrase and was not opened", path);
    }
    if (rc == FED_OK) {
        rc = fed_identity_unlock(&d->identity, path, d->passphrase_file, &err);
    }
    if (rc != FED_OK) {
        return fed_doctor_problem(d, rc, NULL, "%s", err.text);
    }
    d->has_key = true;
    fed_public_fingerprint(fingerprint, &d->identity.public_keys);
    return fed_doctor_ok(d, "%s is ours alone; its fingerprint is %s", path, fingerprint);
}

/* Who may write the directory may put another key there. */
static void look_at_directory(struct fed_doctor *d, const char *path) {
    struct stat info;
    char *dir = NULL;
    if (fed_path_dir(&dir, path) == FED_OK && stat(dir, &info) == 0 && (info.st_mode & (S_IWGRP | S_IWOTH)) != 0 &&
        (info.st_mode & S_ISVTX) == 0) {
        fed_doctor_note(d, "chmod go-w, or move the key", "%s: others may write the directory in which the key lies", dir);
    }
    free(dir);
}

bool fed_doctor_key(struct fed_doctor *d, const char *path, const char *how_to_make) {
    char *public = NULL;
    struct stat info;
    if (lstat(path, &info) != 0) {
        return fed_doctor_problem(d, FED_EKEY, how_to_make, "%s: there is no such key file", path);
    }
    bool good = open_key(d, path);
    if (public_path(&public, path) != FED_OK) {
        d->out_of_memory = true;
    }
    if (good) {
        look_at_directory(d, path);
        good = public == NULL || look_at_public(d, public);
    }
    free(public);
    return good;
}
