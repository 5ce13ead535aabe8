/* Kills a program of ours at a chosen call, so that a test can say "anywhere": preloaded (LD_PRELOAD), it counts the calls
 * of one class that a process makes and raises SIGKILL at the k-th.
 *
 *     FED_KILL_AT=k           which call, from 1 on
 *     FED_KILL_CLASS=disk     writes, syncs, truncations, renames and removals of regular files and directories
 *                    net      sends
 *                    recv     receipts
 *                    crypto   what is sealed and opened, the streams that shuffle an epoch, digests: so the phases of a
 *                             round and the steps of a training in which nothing is written or sent
 *
 *     FED_KILL_LOG=PATH       gets a byte for each kill
 *     FED_KILL_WHERE=PATH     gets the name of the call
 *     FED_KILL_TIMES=n        how many kills there are at most, one process after the other (default 1)
 *     FED_KILL_TORN=1         a write is half done before the kill; other calls are as without
 *     FED_KILL_PROGRAM=name   only this program (default fedavg-coordinator)
 *
 * Between two calls nothing on the disk changes, so that killing before the k-th is killing after the k-1st. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/faults/preload.h"

enum call_class { CLASS_NONE, CLASS_DISK, CLASS_NET, CLASS_RECV, CLASS_CRYPTO };

/* Set before there are threads; `counted` once more by the one that dies. */
static _Atomic enum call_class counted;
static bool torn;
static long kill_at;
static atomic_long calls;

/* How many processes were killed already. */
static long kills(void) {
    struct stat st;
    return stat(value_of("FED_KILL_LOG", ""), &st) == 0 ? (long)st.st_size : 0;
}

__attribute__((constructor)) static void read_environment(void) {
    const char *program = value_of("FED_KILL_PROGRAM", "fedavg-coordinator");
    if (strcmp(program_invocation_short_name, program) != 0 || kills() >= atol(value_of("FED_KILL_TIMES", "1"))) {
        return;
    }
    kill_at = atol(value_of("FED_KILL_AT", "0"));
    torn = strcmp(value_of("FED_KILL_TORN", "0"), "1") == 0;
    const char *class = value_of("FED_KILL_CLASS", "disk");
    counted = strcmp(class, "net") == 0      ? CLASS_NET
              : strcmp(class, "recv") == 0   ? CLASS_RECV
              : strcmp(class, "crypto") == 0 ? CLASS_CRYPTO
                                             : CLASS_DISK;
}

static bool now(enum call_class class) { return class == counted && atomic_fetch_add(&calls, 1) + 1 == kill_at; }

static void append(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
        abort();
    }
    close(fd);
}

static void die(const char *where) {
    char line[64];
    counted = CLASS_NONE; /* what is noted here is not counted */
    if (getenv("FED_KILL_WHERE") != NULL) {
        snprintf(line, sizeof line, "%s\n", where);
        append(getenv("FED_KILL_WHERE"), line);
    }
    append(value_of("FED_KILL_LOG", ""), "x");
    raise(SIGKILL);
}

static bool on_disk(int fd) {
    struct stat st;
    int before = errno;
    bool is = fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
    errno = before;
    return is;
}

static size_t half(size_t n) { return torn ? n / 2 : 0; }

/* -- disk -----------------------------------------------------------------------------------------------------------------
 */

ssize_t write(int fd, const void *bytes, size_t n) {
    ssize_t (*next)(int, const void *, size_t) = (ssize_t(*)(int, const void *, size_t))real("write");
    if (counted == CLASS_DISK && on_disk(fd) && now(CLASS_DISK)) {
        n = next(fd, bytes, half(n)) >= 0 ? n : 0;
        die("write");
    }
    return next(fd, bytes, n);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) {
    ssize_t (*next)(int, const void *, size_t, off_t) = (ssize_t(*)(int, const void *, size_t, off_t))real("pwrite");
    if (counted == CLASS_DISK && now(CLASS_DISK)) {
        n = next(fd, bytes, half(n), at) >= 0 ? n : 0;
        die("pwrite");
    }
    return next(fd, bytes, n, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at) { return pwrite(fd, bytes, n, at); }

#define BEFORE_A_KILL(class, name, type, parameters, arguments)                                                             \
    type name parameters {                                                                                                  \
        type(*next) parameters = (type(*) parameters)real(#name);                                                           \
        if (now(class)) {                                                                                                   \
            die(#name);                                                                                                     \
        }                                                                                                                   \
        return next arguments;                                                                                              \
    }

BEFORE_A_KILL(CLASS_DISK, fsync, int, (int fd), (fd))
BEFORE_A_KILL(CLASS_DISK, fdatasync, int, (int fd), (fd))
BEFORE_A_KILL(CLASS_DISK, ftruncate, int, (int fd, off_t n), (fd, n))
BEFORE_A_KILL(CLASS_DISK, ftruncate64, int, (int fd, off64_t n), (fd, n))
BEFORE_A_KILL(CLASS_DISK, rename, int, (const char *from, const char *to), (from, to))
BEFORE_A_KILL(CLASS_DISK, renameat, int, (int a, const char *from, int b, const char *to), (a, from, b, to))
BEFORE_A_KILL(CLASS_DISK, unlink, int, (const char *path), (path))
BEFORE_A_KILL(CLASS_DISK, unlinkat, int, (int fd, const char *path, int flags), (fd, path, flags))

/* -- net ------------------------------------------------------------------------------------------------------------------
 */

BEFORE_A_KILL(CLASS_NET, send, ssize_t, (int fd, const void *bytes, size_t n, int flags), (fd, bytes, n, flags))
BEFORE_A_KILL(CLASS_NET, sendmsg, ssize_t, (int fd, const struct msghdr *message, int flags), (fd, message, flags))

BEFORE_A_KILL(CLASS_RECV, recv, ssize_t, (int fd, void *bytes, size_t n, int flags), (fd, bytes, n, flags))
BEFORE_A_KILL(CLASS_RECV, recvmsg, ssize_t, (int fd, struct msghdr *message, int flags), (fd, message, flags))

/* -- crypto: libsodium's, by their documented shapes -------------------------------------------------------------------- */

#define byte unsigned char
#define count unsigned long long

int crypto_aead_xchacha20poly1305_ietf_encrypt(byte *c, count *n_c, const byte *m, count n_m, const byte *ad, count n_ad,
                                               const byte *none, const byte *nonce, const byte *key);
int crypto_aead_xchacha20poly1305_ietf_decrypt(byte *m, count *n_m, byte *none, const byte *c, count n_c, const byte *ad,
                                               count n_ad, const byte *nonce, const byte *key);
int crypto_stream_chacha20_ietf_xor_ic(byte *c, const byte *m, count n, const byte *nonce, uint32_t ic, const byte *key);
int crypto_generichash_blake2b_init(void *state, const byte *key, size_t n_key, size_t n_out);

BEFORE_A_KILL(CLASS_CRYPTO, crypto_aead_xchacha20poly1305_ietf_encrypt, int,
              (byte * c, count *n_c, const byte *m, count n_m, const byte *ad, count n_ad, const byte *none,
               const byte *nonce, const byte *key),
              (c, n_c, m, n_m, ad, n_ad, none, nonce, key))
BEFORE_A_KILL(CLASS_CRYPTO, crypto_aead_xchacha20poly1305_ietf_decrypt, int,
              (byte * m, count *n_m, byte *none, const byte *c, count n_c, const byte *ad, count n_ad, const byte *nonce,
               const byte *key),
              (m, n_m, none, c, n_c, ad, n_ad, nonce, key))
BEFORE_A_KILL(CLASS_CRYPTO, crypto_stream_chacha20_ietf_xor_ic, int,
              (byte * c, const byte *m, count n, const byte *nonce, uint32_t ic, const byte *key), (c, m, n, nonce, ic, key))
BEFORE_A_KILL(CLASS_CRYPTO, crypto_generichash_blake2b_init, int, (void *state, const byte *key, size_t n_key, size_t n_out),
              (state, key, n_key, n_out))
