/* Invariants: a seed lives on the stack of the function that made or read it and is wiped before that function returns;
 * the secrets derived from it exist only in locked memory. */
#include "common/seal/keys.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/seal/digest.h"
#include "common/seal/locked.h"

#define BASE64 sodium_base64_VARIANT_URLSAFE_NO_PADDING
#define BASE64_CHARS(n) (((n)*4 + 2) / 3)

#define SECRET_PREFIX "fedavg-secret-1:"
#define SECRET_PREFIX_CHARS (sizeof SECRET_PREFIX - 1)
#define SECRET_CHARS (SECRET_PREFIX_CHARS + BASE64_CHARS(FED_KEY_BYTES) + 1) /* with the newline */

#define PUBLIC_PREFIX "fedavg1:"
#define PUBLIC_PREFIX_CHARS (sizeof PUBLIC_PREFIX - 1)
#define CHECK_BYTES 4
#define PUBLIC_BYTES (2 * FED_KEY_BYTES + CHECK_BYTES)
#define PUBLIC_CHARS (PUBLIC_PREFIX_CHARS + BASE64_CHARS(PUBLIC_BYTES))

_Static_assert(PUBLIC_CHARS < FED_PUBLIC_LINE_MAX, "a public line must fit");
_Static_assert(FED_KEY_BYTES == crypto_kdf_KEYBYTES && FED_KEY_BYTES == crypto_scalarmult_BYTES &&
                   FED_KEY_BYTES == crypto_scalarmult_SCALARBYTES,
               "one size of key everywhere");

enum { SUBKEY_CURVE = 1, SUBKEY_SEAL = 2 };
static const char kdf_context[crypto_kdf_CONTEXTBYTES] = {'f', 'e', 'd', 'a', 'v', 'g', '-', '1'};

int fed_seal_setup(struct fed_error *err) {
    if (sodium_init() < 0) {
        return fed_error_set(err, FED_EFAILED, "libsodium %s cannot start: the system gives no random bytes",
                             sodium_version_string());
    }
    return 0;
}

const char *fed_seal_library_version(void) { return sodium_version_string(); }

static void derive(uint8_t secret[FED_KEY_BYTES], uint8_t public_key[FED_KEY_BYTES], uint64_t subkey,
                   const uint8_t seed[FED_KEY_BYTES]) {
    int rc = crypto_kdf_derive_from_key(secret, FED_KEY_BYTES, subkey, kdf_context, seed);
    assert(rc == 0);
    rc = crypto_scalarmult_base(public_key, secret);
    assert(rc == 0);
    (void)rc;
}

int fed_identity_from_seed(struct fed_identity *out, const uint8_t seed[FED_KEY_BYTES]) {
    void *secret;
    int rc = fed_locked_new(&secret, sizeof *out->secret);
    if (rc != 0) {
        return rc;
    }
    out->secret = secret;
    derive(out->secret->curve, out->public_keys.curve, SUBKEY_CURVE, seed);
    derive(out->secret->seal, out->public_keys.seal, SUBKEY_SEAL, seed);
    return 0;
}

static int identity_from_seed(struct fed_identity *out, const uint8_t seed[FED_KEY_BYTES], struct fed_error *err) {
    int rc = fed_identity_from_seed(out, seed);
    return rc == 0 ? 0 : fed_error_set(err, rc, "no memory for a secret key");
}

int fed_identity_generate(struct fed_identity *out, struct fed_error *err) {
    uint8_t seed[FED_KEY_BYTES];
    randombytes_buf(seed, sizeof seed);
    int rc = identity_from_seed(out, seed, err);
    sodium_memzero(seed, sizeof seed);
    return rc;
}

void fed_identity_fini(struct fed_identity *identity) {
    fed_locked_free(identity->secret);
    identity->secret = NULL;
}

/* ---- the key file ---- */

static int write_all(int fd, const char *text, size_t n) {
    while (n > 0) {
        ssize_t wrote = write(fd, text, n);
        if (wrote < 0 && errno != EINTR) {
            return -1;
        }
        if (wrote > 0) {
            text += wrote;
            n -= (size_t)wrote;
        }
    }
    return 0;
}

/* The name of a new file survives a power cut only when its directory is on the disk too. */
static int sync_dir_of(const char *path) {
    char *dir = NULL;
    if (fed_path_dir(&dir, path) != 0) {
        errno = ENOMEM;
        return -1;
    }
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(dir);
    if (fd < 0) {
        return -1;
    }
    int rc = fsync(fd);
    int why = errno;
    close(fd);
    errno = why;
    return rc;
}

static int write_key_file(const char *path, const char *text, size_t n, struct fed_error *err) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) {
        return fed_error_set(err, FED_EKEY, "%s: exists already, and a key file is never overwritten: choose another name",
                             path);
    }
    if (fd < 0) {
        return fed_error_set(err, FED_EIO, "%s: cannot create the key file: %s", path, strerror(errno));
    }
    bool failed = fchmod(fd, 0600) != 0 || write_all(fd, text, n) != 0 || fsync(fd) != 0;
    int why = errno;
    if (close(fd) != 0 && !failed) {
        failed = true;
        why = errno;
    }
    if (!failed && sync_dir_of(path) != 0) {
        failed = true;
        why = errno;
    }
    if (failed) {
        unlink(path);
        return fed_error_set(err, FED_EIO, "%s: cannot write the key file: %s", path, strerror(why));
    }
    return 0;
}

int fed_identity_create(struct fed_identity *out, const char *path, struct fed_error *err) {
    uint8_t seed[FED_KEY_BYTES];
    char text[SECRET_CHARS + 1];
    struct fed_identity made = {0};

    randombytes_buf(seed, sizeof seed);
    memcpy(text, SECRET_PREFIX, SECRET_PREFIX_CHARS);
    sodium_bin2base64(text + SECRET_PREFIX_CHARS, sizeof text - SECRET_PREFIX_CHARS, seed, sizeof seed, BASE64);
    text[SECRET_CHARS - 1] = '\n';

    int rc = identity_from_seed(&made, seed, err);
    if (rc == 0) {
        rc = write_key_file(path, text, SECRET_CHARS, err);
    }
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(text, sizeof text);
    if (rc != 0) {
        fed_identity_fini(&made);
        return rc;
    }
    *out = made;
    return 0;
}

/* Everything is asked of the open descriptor, so that the file judged is the file read. */
static int check_key_file(int fd, const char *path, struct fed_error *err) {
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return fed_error_set(err, FED_EKEY, "%s: cannot look at the key file: %s", path, strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) {
        return fed_error_set(err, FED_EKEY, "%s: is not a regular file: name the key file that `fedavg keygen` wrote", path);
    }
    if (st.st_uid != geteuid()) {
        return fed_error_set(err, FED_EKEY,
                             "%s: the key file belongs to user %lu, but this process runs as user %lu: "
                             "run it as the owner, or chown %lu %s",
                             path, (unsigned long)st.st_uid, (unsigned long)geteuid(), (unsigned long)geteuid(), path);
    }
    if ((st.st_mode & 077) != 0) {
        return fed_error_set(err, FED_EKEY, "%s: others may use this key file (mode %04o): chmod 600 %s", path,
                             (unsigned)(st.st_mode & 07777), path);
    }
    return 0;
}

static int parse_secret(uint8_t seed[FED_KEY_BYTES], const char *text, size_t n) {
    size_t n_seed = 0;
    if (n != SECRET_CHARS || memcmp(text, SECRET_PREFIX, SECRET_PREFIX_CHARS) != 0 || text[n - 1] != '\n') {
        return FED_EKEY;
    }
    if (sodium_base642bin(seed, FED_KEY_BYTES, text + SECRET_PREFIX_CHARS, n - SECRET_PREFIX_CHARS - 1, NULL, &n_seed, NULL,
                          BASE64) != 0 ||
        n_seed != FED_KEY_BYTES) {
        return FED_EKEY;
    }
    return 0;
}

static int read_key_file(uint8_t seed[FED_KEY_BYTES], int fd, const char *path, struct fed_error *err) {
    char text[SECRET_CHARS + 1]; /* one more than allowed, to see that there is more */
    size_t n = 0;
    ssize_t got;
    do {
        got = read(fd, text + n, sizeof text - n);
        n += got > 0 ? (size_t)got : 0;
    } while ((got > 0 && n < sizeof text) || (got < 0 && errno == EINTR));

    int rc = 0;
    if (got < 0) {
        rc = fed_error_set(err, FED_EKEY, "%s: cannot read the key file: %s", path, strerror(errno));
    } else if (parse_secret(seed, text, n) != 0) {
        rc = fed_error_set(err, FED_EKEY,
                           "%s: is not a key file: it must hold exactly one line, " SECRET_PREFIX
                           " and %d characters, as `fedavg keygen` wrote it",
                           path, (int)BASE64_CHARS(FED_KEY_BYTES));
    }
    sodium_memzero(text, sizeof text);
    return rc;
}

int fed_identity_load(struct fed_identity *out, const char *path, struct fed_error *err) {
    uint8_t seed[FED_KEY_BYTES];
    /* O_NONBLOCK: a FIFO put in place of the file must not hold the program. */
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ELOOP) {
        return fed_error_set(err, FED_EKEY, "%s: is a symbolic link: name the key file itself", path);
    }
    if (fd < 0 && errno == ENOENT) {
        return fed_error_set(err, FED_EKEY, "%s: there is no such key file: make one with `fedavg keygen`", path);
    }
    if (fd < 0 && errno == EACCES) {
        return fed_error_set(err, FED_EKEY, "%s: user %lu, as whom this process runs, may not open the key file: chown it",
                             path, (unsigned long)geteuid());
    }
    if (fd < 0) {
        return fed_error_set(err, FED_EKEY, "%s: cannot open the key file: %s", path, strerror(errno));
    }
    int rc = check_key_file(fd, path, err);
    if (rc == 0) {
        rc = read_key_file(seed, fd, path, err);
    }
    if (rc == 0) {
        rc = identity_from_seed(out, seed, err);
    }
    sodium_memzero(seed, sizeof seed);
    close(fd);
    return rc;
}

/* ---- the public line ---- */

static void digest_of_keys(uint8_t out[FED_DIGEST_BYTES], const struct fed_public_keys *keys) {
    uint8_t both[2 * FED_KEY_BYTES];
    memcpy(both, keys->curve, FED_KEY_BYTES);
    memcpy(both + FED_KEY_BYTES, keys->seal, FED_KEY_BYTES);
    fed_digest(out, both, sizeof both);
}

void fed_public_line(char out[FED_PUBLIC_LINE_MAX], const struct fed_public_keys *keys) {
    uint8_t bytes[PUBLIC_BYTES], digest[FED_DIGEST_BYTES];
    digest_of_keys(digest, keys);
    memcpy(bytes, keys->curve, FED_KEY_BYTES);
    memcpy(bytes + FED_KEY_BYTES, keys->seal, FED_KEY_BYTES);
    memcpy(bytes + 2 * FED_KEY_BYTES, digest, CHECK_BYTES);
    memcpy(out, PUBLIC_PREFIX, PUBLIC_PREFIX_CHARS);
    sodium_bin2base64(out + PUBLIC_PREFIX_CHARS, FED_PUBLIC_LINE_MAX - PUBLIC_PREFIX_CHARS, bytes, sizeof bytes, BASE64);
}

static bool is_base64url(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static int check_public_text(const char *line, struct fed_error *err) {
    if (strncmp(line, PUBLIC_PREFIX, PUBLIC_PREFIX_CHARS) != 0) {
        return fed_error_set(err, FED_ECONFIG, "not a public key line: it must start with " PUBLIC_PREFIX);
    }
    size_t n = strlen(line);
    if (n != PUBLIC_CHARS) {
        return fed_error_set(err, FED_ECONFIG, "the public key line has %zu characters where %zu are needed: copy it whole",
                             n, (size_t)PUBLIC_CHARS);
    }
    for (size_t i = PUBLIC_PREFIX_CHARS; i < n; i++) {
        if (!is_base64url(line[i])) {
            return fed_error_set(err, FED_ECONFIG,
                                 "character %zu of the public key line (byte 0x%02x) is not one of A-Z a-z 0-9 - _", i + 1,
                                 (unsigned)(unsigned char)line[i]);
        }
    }
    return 0;
}

int fed_public_parse(struct fed_public_keys *out, const char *line, struct fed_error *err) {
    int rc = check_public_text(line, err);
    if (rc != 0) {
        return rc;
    }
    uint8_t bytes[PUBLIC_BYTES], digest[FED_DIGEST_BYTES];
    size_t n_bytes = 0;
    /* Refuses spare bits that are set, so that each key has exactly one line. */
    bool decoded = sodium_base642bin(bytes, sizeof bytes, line + PUBLIC_PREFIX_CHARS, PUBLIC_CHARS - PUBLIC_PREFIX_CHARS,
                                     NULL, &n_bytes, NULL, BASE64) == 0 &&
                   n_bytes == sizeof bytes;
    if (decoded) {
        struct fed_public_keys keys;
        memcpy(keys.curve, bytes, FED_KEY_BYTES);
        memcpy(keys.seal, bytes + FED_KEY_BYTES, FED_KEY_BYTES);
        digest_of_keys(digest, &keys);
        if (memcmp(digest, bytes + 2 * FED_KEY_BYTES, CHECK_BYTES) == 0) {
            *out = keys;
            return 0;
        }
    }
    return fed_error_set(err, FED_ECONFIG, "the check sum of the public key line does not match: it was mistyped or cut");
}

void fed_public_fingerprint(char out[17], const struct fed_public_keys *keys) {
    uint8_t digest[FED_DIGEST_BYTES];
    digest_of_keys(digest, keys);
    fed_hex(out, digest, 8);
}
