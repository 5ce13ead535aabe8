#include "common/seal/bearer.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "common/seal/digest.h"
#include "common/seal/key_file.h"

/* The first line and one byte more than it may have; the buffer is wiped by who calls. */
static int read_line(char *line, size_t room, size_t *n, int fd, const char *path, struct fed_error *err) {
    ssize_t got = 1;
    *n = 0;
    while (*n < room && got != 0) {
        got = read(fd, line + *n, room - *n);
        if (got < 0 && errno != EINTR) {
            return fed_error_set(err, FED_EKEY, "%s: cannot read the token: %s", path, strerror(errno));
        }
        *n += got > 0 ? (size_t)got : 0;
    }
    if (*n > 0 && line[*n - 1] == '\n') {
        (*n)--;
    }
    bool good = *n >= FED_BEARER_LEAST && *n <= FED_BEARER_MOST;
    for (size_t i = 0; i < *n; i++) {
        good = good && line[i] > ' ' && line[i] <= '~';
    }
    return good ? FED_OK
                : fed_error_set(err, FED_EKEY,
                                "%s: is not a token: it must hold one line of %d to %d printable characters without spaces, "
                                "as openssl rand -hex 32 makes it",
                                path, FED_BEARER_LEAST, FED_BEARER_MOST);
}

int fed_bearer_load(struct fed_bearer *out, const char *path, struct fed_error *err) {
    char line[FED_BEARER_MOST + 2];
    size_t n = 0;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return fed_error_set(err, FED_EKEY, "%s: cannot open the token: %s", path, strerror(errno));
    }
    int code = fed_secret_file_check(fd, path, "token", err);
    if (code == FED_OK) {
        code = read_line(line, sizeof line, &n, fd, path, err);
    }
    if (code == FED_OK) {
        fed_digest(out->digest, line, n);
    }
    sodium_memzero(line, sizeof line);
    close(fd);
    return code;
}

bool fed_bearer_matches(const struct fed_bearer *bearer, const char *given, size_t n) {
    uint8_t digest[sizeof bearer->digest];
    fed_digest(digest, given, n);
    return sodium_memcmp(digest, bearer->digest, sizeof digest) == 0;
}
