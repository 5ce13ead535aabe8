/* Everything secret that passes through here lies in one block of locked memory, wiped when it is freed. */
#include "common/seal/key_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/seal/line.h"
#include "common/seal/locked.h"

#define PLAIN_PREFIX "fedavg-secret-1:"
#define BOXED_PREFIX "fedavg-secret-2:"
#define PREFIX_CHARS (sizeof PLAIN_PREFIX - 1)
#define PLAIN_CHARS FED_BASE64_CHARS(FED_KEY_BYTES)

#define PASSES_MOST 64u
#define MIB_MOST 4096u
#define BOX_BYTES (crypto_secretbox_MACBYTES + FED_KEY_BYTES)

struct boxed {
    uint8_t salt[crypto_pwhash_SALTBYTES];
    uint8_t passes[4], mib[4]; /* little-endian */
    uint8_t nonce[crypto_secretbox_NONCEBYTES];
    uint8_t box[BOX_BYTES];
};
#define BOXED_CHARS FED_BASE64_CHARS(sizeof(struct boxed))
#define TEXT_MAX (PREFIX_CHARS + BOXED_CHARS + 1) /* with the newline */

_Static_assert(sizeof(struct boxed) == 96 && sizeof BOXED_PREFIX == sizeof PLAIN_PREFIX, "the layout that is documented");

struct secrets {
    uint8_t seed[FED_KEY_BYTES];
    uint8_t key[crypto_secretbox_KEYBYTES];
    char text[168]; /* more than a file may have, to see that there is more */
};
_Static_assert(sizeof(struct secrets) % 8 == 0, "locked memory is aligned by its size");
_Static_assert(TEXT_MAX < sizeof((struct secrets){{0}, {0}, {0}}).text, "one more than the longest");

static int secrets_new(struct secrets **out, struct fed_error *err) {
    void *memory;
    int rc = fed_locked_new(&memory, sizeof(struct secrets));
    if (rc != 0) {
        return fed_error_set(err, rc, "no memory for a secret key");
    }
    *out = memory;
    return 0;
}

static void store_u32(uint8_t out[4], uint32_t value) {
    for (int i = 0; i < 4; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint32_t load_u32(const uint8_t in[4]) {
    return (uint32_t)in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

/* ---- any file that only its owner may see ---- */

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

int fed_secret_file_write(const char *path, const char *what, const char *text, size_t n, struct fed_error *err) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) {
        return fed_error_set(err, FED_EKEY, "%s: exists already, and a %s is never overwritten: choose another name", path,
                             what);
    }
    if (fd < 0) {
        return fed_error_set(err, FED_EIO, "%s: cannot create the %s: %s", path, what, strerror(errno));
    }
    bool failed = fchmod(fd, 0600) != 0 || fed_file_write_all(fd, text, n) != 0 || fsync(fd) != 0;
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
        return fed_error_set(err, FED_EIO, "%s: cannot write the %s: %s", path, what, strerror(why));
    }
    return 0;
}

/* Everything is asked of the open descriptor, so that the file judged is the file read. */
int fed_secret_file_check(int fd, const char *path, const char *what, struct fed_error *err) {
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return fed_error_set(err, FED_EKEY, "%s: cannot look at the %s: %s", path, what, strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) {
        return fed_error_set(err, FED_EKEY, "%s: is not a regular file: name the %s itself", path, what);
    }
    /* As containers are handed secrets: root's, and lent to the one group of the process. */
    bool lent = st.st_uid == 0 && geteuid() != 0 && st.st_gid == getegid();
    if (st.st_uid != geteuid() && !lent) {
        return fed_error_set(err, FED_EKEY,
                             "%s: the %s belongs to user %lu, but this process runs as user %lu: "
                             "run it as the owner, or chown %lu %s",
                             path, what, (unsigned long)st.st_uid, (unsigned long)geteuid(), (unsigned long)geteuid(), path);
    }
    if ((st.st_mode & (lent ? 037 : 077)) != 0) {
        return fed_error_set(err, FED_EKEY, "%s: others may use this %s (mode %04o): chmod %s %s", path, what,
                             (unsigned)(st.st_mode & 07777), lent ? "440" : "600", path);
    }
    return 0;
}

/* ---- the passphrase ---- */

static int stretch(struct secrets *secrets, const struct boxed *boxed, const struct fed_passphrase *passphrase,
                   const char *path, struct fed_error *err) {
    uint32_t mib = load_u32(boxed->mib);
    if (crypto_pwhash(secrets->key, sizeof secrets->key, passphrase->text, passphrase->n, boxed->salt,
                      load_u32(boxed->passes), (size_t)mib << 20, crypto_pwhash_ALG_ARGON2ID13) != 0) {
        return fed_error_set(err, FED_ENOMEM, "%s: not enough memory for its passphrase, which needs %u MiB", path, mib);
    }
    return 0;
}

static int box_text(struct secrets *secrets, const struct fed_passphrase *passphrase, const char *path,
                    struct fed_error *err) {
    struct boxed boxed;
    randombytes_buf(boxed.salt, sizeof boxed.salt);
    randombytes_buf(boxed.nonce, sizeof boxed.nonce);
    store_u32(boxed.passes, crypto_pwhash_OPSLIMIT_MODERATE);
    store_u32(boxed.mib, crypto_pwhash_MEMLIMIT_MODERATE >> 20);
    int rc = stretch(secrets, &boxed, passphrase, path, err);
    if (rc == 0) {
        rc = crypto_secretbox_easy(boxed.box, secrets->seed, sizeof secrets->seed, boxed.nonce, secrets->key);
        assert(rc == 0);
        memcpy(secrets->text, BOXED_PREFIX, PREFIX_CHARS);
        fed_base64_format(secrets->text + PREFIX_CHARS, (const uint8_t *)&boxed, sizeof boxed);
    }
    return rc;
}

static int unbox(struct secrets *secrets, const struct boxed *boxed, const struct fed_passphrase_source *source,
                 const char *path, struct fed_error *err) {
    struct fed_passphrase *passphrase = NULL;
    int rc = source->get(source->context, &passphrase, path, err);
    if (rc == 0) {
        rc = stretch(secrets, boxed, passphrase, path, err);
    }
    if (rc == 0 &&
        crypto_secretbox_open_easy(secrets->seed, boxed->box, sizeof boxed->box, boxed->nonce, secrets->key) != 0) {
        rc = fed_error_set(err, FED_EKEY, "%s: this is not its passphrase (or the key file was altered)", path);
    }
    fed_passphrase_free(passphrase);
    return rc;
}

/* ---- the key file ---- */

int fed_identity_create(struct fed_identity *out, const char *path, const struct fed_passphrase *passphrase,
                        struct fed_error *err) {
    struct secrets *secrets = NULL;
    struct fed_identity made = {0};
    int rc = secrets_new(&secrets, err);
    if (rc != 0) {
        return rc;
    }
    randombytes_buf(secrets->seed, sizeof secrets->seed);
    if (passphrase == NULL) {
        memcpy(secrets->text, PLAIN_PREFIX, PREFIX_CHARS);
        fed_base64_format(secrets->text + PREFIX_CHARS, secrets->seed, sizeof secrets->seed);
    } else {
        rc = box_text(secrets, passphrase, path, err);
    }
    if (rc == 0 && fed_identity_from_seed(&made, secrets->seed) != 0) {
        rc = fed_error_set(err, FED_ENOMEM, "no memory for a secret key");
    }
    if (rc == 0) {
        size_t n = PREFIX_CHARS + (passphrase == NULL ? PLAIN_CHARS : BOXED_CHARS);
        secrets->text[n++] = '\n';
        rc = fed_secret_file_write(path, "key file", secrets->text, n, err);
    }
    fed_locked_free(secrets);
    if (rc != 0) {
        fed_identity_fini(&made);
        return rc;
    }
    *out = made;
    return 0;
}

/* Fills boxed and sets *is_boxed, or fills secrets->seed. */
static int parse(struct boxed *boxed, bool *is_boxed, struct secrets *secrets, size_t n) {
    if (n < PREFIX_CHARS + 1 || secrets->text[n - 1] != '\n') {
        return FED_EKEY;
    }
    const char *body = secrets->text + PREFIX_CHARS;
    size_t n_body = n - 1 - PREFIX_CHARS;
    *is_boxed = memcmp(secrets->text, BOXED_PREFIX, PREFIX_CHARS) == 0;
    if (!*is_boxed) {
        bool plain = memcmp(secrets->text, PLAIN_PREFIX, PREFIX_CHARS) == 0;
        return plain && fed_base64_parse(secrets->seed, sizeof secrets->seed, body, n_body) == 0 ? 0 : FED_EKEY;
    }
    if (fed_base64_parse((uint8_t *)boxed, sizeof *boxed, body, n_body) != 0) {
        return FED_EKEY;
    }
    uint32_t passes = load_u32(boxed->passes), mib = load_u32(boxed->mib);
    return passes >= 1 && passes <= PASSES_MOST && mib >= 1 && mib <= MIB_MOST ? 0 : FED_EKEY;
}

static int read_key_file(struct secrets *secrets, int fd, const char *path, const struct fed_passphrase_source *source,
                         struct fed_error *err) {
    struct boxed boxed;
    bool is_boxed = false;
    size_t n = 0;
    ssize_t got;
    do {
        got = read(fd, secrets->text + n, sizeof secrets->text - n);
        n += got > 0 ? (size_t)got : 0;
    } while ((got > 0 && n < sizeof secrets->text) || (got < 0 && errno == EINTR));
    if (got < 0) {
        return fed_error_set(err, FED_EKEY, "%s: cannot read the key file: %s", path, strerror(errno));
    }
    if (parse(&boxed, &is_boxed, secrets, n) != 0) {
        return fed_error_set(err, FED_EKEY,
                             "%s: is not a key file: it must hold exactly one line, " PLAIN_PREFIX
                             " and %d characters or " BOXED_PREFIX " and %d, as `fedavg keygen` wrote it",
                             path, (int)PLAIN_CHARS, (int)BOXED_CHARS);
    }
    return is_boxed ? unbox(secrets, &boxed, source, path, err) : 0;
}

static int open_key_file(int *out, const char *path, struct fed_error *err) {
    size_t n = strlen(path);
    if (n > 4 && strcmp(path + n - 4, ".pub") == 0) {
        return fed_error_set(err, FED_EKEY, "%s: holds a public line; the key file is %.*s.key", path, (int)(n - 4), path);
    }
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
    int rc = fed_secret_file_check(fd, path, "key file", err);
    if (rc != 0) {
        close(fd);
        return rc;
    }
    *out = fd;
    return 0;
}

int fed_identity_needs_passphrase(bool *out, const char *path, struct fed_error *err) {
    char prefix[PREFIX_CHARS];
    int fd = -1;
    int rc = open_key_file(&fd, path, err);
    if (rc == 0) {
        *out = read(fd, prefix, sizeof prefix) == (ssize_t)sizeof prefix && memcmp(prefix, BOXED_PREFIX, sizeof prefix) == 0;
        close(fd);
    }
    return rc;
}

int fed_identity_unlock_by(struct fed_identity *out, const char *path, const struct fed_passphrase_source *source,
                           struct fed_error *err) {
    struct secrets *secrets = NULL;
    int fd = -1;
    int rc = open_key_file(&fd, path, err);
    if (rc != 0) {
        return rc;
    }
    rc = secrets_new(&secrets, err);
    if (rc == 0) {
        rc = read_key_file(secrets, fd, path, source, err);
    }
    if (rc == 0 && fed_identity_from_seed(out, secrets->seed) != 0) {
        rc = fed_error_set(err, FED_ENOMEM, "no memory for a secret key");
    }
    fed_locked_free(secrets);
    close(fd);
    return rc;
}

static int from_file_or_terminal(void *file, struct fed_passphrase **out, const char *whose, struct fed_error *err) {
    return fed_passphrase_get(out, file, whose, false, err);
}

int fed_identity_unlock(struct fed_identity *out, const char *path, const char *passphrase_file, struct fed_error *err) {
    const struct fed_passphrase_source source = {from_file_or_terminal, (void *)(uintptr_t)passphrase_file};
    return fed_identity_unlock_by(out, path, &source, err);
}

int fed_identity_load(struct fed_identity *out, const char *path, struct fed_error *err) {
    return fed_identity_unlock(out, path, NULL, err);
}
