/* The file that holds an identity's seed: one line, mode 0600, owned by the reader, not a symbolic link.
 *
 *     fedavg-secret-1:<base64url of seed>
 *     fedavg-secret-2:<base64url of salt 16 || u32 passes || u32 MiB || nonce 24 || secretbox of seed 48>
 *
 * The second form needs a passphrase: the box's key is argon2id of it (crypto_pwhash, RFC 9106), by default with libsodium's
 * MODERATE limits, 3 passes over 256 MiB. Numbers are little-endian. */
#ifndef FED_COMMON_SEAL_KEY_FILE_H
#define FED_COMMON_SEAL_KEY_FILE_H

#include "common/seal/keys.h"
#include "common/seal/passphrase.h"

/* Makes a fresh identity and writes its key file; never overwrites: FED_EKEY if path exists. passphrase NULL: none. */
int fed_identity_create(struct fed_identity *out, const char *path, const struct fed_passphrase *passphrase,
                        struct fed_error *err) FED_MUST_CHECK;

/* FED_EKEY with a sentence: missing, not a regular file, a symbolic link, owned by somebody else, readable or writable by
 * others, not a key file, another passphrase. Where the file needs a passphrase it is had as passphrase.h says, with its
 * codes; passphrase_file NULL asks on the terminal. */
int fed_identity_unlock(struct fed_identity *out, const char *path, const char *passphrase_file,
                        struct fed_error *err) FED_MUST_CHECK;
/* The same, with the passphrase from elsewhere. */
int fed_identity_unlock_by(struct fed_identity *out, const char *path, const struct fed_passphrase_source *source,
                           struct fed_error *err) FED_MUST_CHECK;
/* The same, with nobody but the terminal to ask. */
int fed_identity_load(struct fed_identity *out, const char *path, struct fed_error *err) FED_MUST_CHECK;

/* Whether it takes a passphrase, without asking for it. Codes as above. */
int fed_identity_needs_passphrase(bool *out, const char *path, struct fed_error *err) FED_MUST_CHECK;

/* Whether the open file is a regular one of ours that nobody else may use, or root's that our group may read and nobody
 * else; else FED_EKEY with a sentence that calls it what.
 */
int fed_secret_file_check(int fd, const char *path, const char *what, struct fed_error *err) FED_MUST_CHECK;
/* Creates path with mode 0600 and this text in it, on the disk when it returns. FED_EKEY if it exists, FED_EIO. */
int fed_secret_file_write(const char *path, const char *what, const char *text, size_t n,
                          struct fed_error *err) FED_MUST_CHECK;

#endif
