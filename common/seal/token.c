/* Text and seed lie in one locked block; what is read or written goes from there by read(2) and write(2), past the buffers
 * of stdio. */
#include "common/seal/token.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "common/seal/key_file.h"
#include "common/seal/line.h"
#include "common/seal/locked.h"

#define WHAT "enrolment token"
#define SEED_BYTES 32

struct fed_token {
    uint8_t secret[FED_SIGN_SECRET_BYTES]; /* of the token key */
    uint8_t bytes[FED_CERTIFICATE_BYTES + SEED_BYTES];
    char line[FED_TOKEN_MAX];
    uint8_t pad[7]; /* locked memory is aligned by its size */
};
_Static_assert(sizeof(struct fed_token) % 8 == 0, "locked memory is aligned by its size");
_Static_assert(sizeof FED_TOKEN_PREFIX + FED_LINE_CHARS(FED_CERTIFICATE_BYTES + SEED_BYTES) < FED_TOKEN_MAX,
               "a line must fit, with its newline");

static int token_new(struct fed_token **out, struct fed_error *err) {
    void *memory;
    if (fed_locked_new(&memory, sizeof(struct fed_token)) != 0) {
        return fed_error_set(err, FED_ENOMEM, "no memory for a token");
    }
    memset(memory, 0, sizeof(struct fed_token));
    *out = memory;
    return 0;
}

void fed_token_free(struct fed_token *token) { fed_locked_free(token); }

const uint8_t *fed_token_certificate(const struct fed_token *token) { return token->bytes; }

int fed_token_issue(struct fed_token **out, const struct fed_certificate *what, const struct fed_identity *issuer) {
    struct fed_token *token = NULL;
    struct fed_certificate certificate = *what;
    int rc = token_new(&token, NULL);
    if (rc != 0) {
        return rc;
    }
    uint8_t *seed = token->bytes + FED_CERTIFICATE_BYTES;
    randombytes_buf(seed, SEED_BYTES);
    randombytes_buf(certificate.nonce, sizeof certificate.nonce);
    fed_sign_pair(certificate.token_key, token->secret, seed);
    fed_certificate_sign(token->bytes, &certificate, issuer);
    fed_line_format(token->line, FED_TOKEN_PREFIX, token->bytes, sizeof token->bytes);
    *out = token;
    return 0;
}

/* Of the line that is in place already. */
static int take_line(struct fed_token *token, struct fed_error *err) {
    struct fed_certificate certificate;
    uint8_t key[FED_SIGN_KEY_BYTES];
    int rc = fed_line_parse(token->bytes, sizeof token->bytes, token->line, FED_TOKEN_PREFIX, WHAT, err);
    if (rc != 0) {
        return rc;
    }
    fed_sign_pair(key, token->secret, token->bytes + FED_CERTIFICATE_BYTES);
    if (fed_certificate_read(&certificate, token->bytes) != 0 || memcmp(certificate.token_key, key, sizeof key) != 0) {
        return fed_error_set(err, FED_ECONFIG, "the " WHAT " is not of one piece: ask for another");
    }
    return 0;
}

int fed_token_parse(struct fed_token **out, const char *line, struct fed_error *err) {
    struct fed_token *token = NULL;
    size_t n = strlen(line);
    if (n >= FED_TOKEN_MAX) {
        return fed_error_set(err, FED_ECONFIG, "not an " WHAT ": it has %zu characters", n);
    }
    int rc = token_new(&token, err);
    if (rc == 0) {
        memcpy(token->line, line, n);
        rc = take_line(token, err);
    }
    if (rc != 0) {
        fed_token_free(token);
        return rc;
    }
    *out = token;
    return 0;
}

/* -- files ------------------------------------------------------------------------------------------------------------- */

/* The first line, without its end. What is longer than a token is cut, and then is none. */
static int read_line(struct fed_token *token, int fd, const char *file, struct fed_error *err) {
    size_t n = 0;
    ssize_t got = 1;
    while (n < sizeof token->line - 1 && got != 0 && (n == 0 || token->line[n - 1] != '\n')) {
        got = read(fd, token->line + n, 1);
        if (got < 0 && errno != EINTR) {
            return fed_error_set(err, FED_EIO, "%s: cannot read the token: %s", file, strerror(errno));
        }
        n += got > 0;
    }
    while (n > 0 && (token->line[n - 1] == '\n' || token->line[n - 1] == '\r')) {
        token->line[--n] = '\0';
    }
    return 0;
}

static int open_token(int *fd, const char *file, struct fed_error *err) {
    if (strncmp(file, FED_TOKEN_PREFIX, strlen(FED_TOKEN_PREFIX)) == 0) {
        return fed_error_set(err, FED_ECONFIG,
                             "a token is a secret and never an argument, which every user of this machine can read: put it "
                             "into a file that nobody else may read, or give - and a pipe");
    }
    int opened = open(file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (opened < 0) {
        return fed_error_set(err, FED_ECONFIG, "%s: cannot open the token: %s", file, strerror(errno));
    }
    int rc = fed_secret_file_check(opened, file, "token", err);
    if (rc != 0) {
        close(opened);
        return rc;
    }
    *fd = opened;
    return 0;
}

int fed_token_load(struct fed_token **out, const char *file, struct fed_error *err) {
    struct fed_token *token = NULL;
    int fd = STDIN_FILENO;
    int rc = strcmp(file, "-") == 0 ? 0 : open_token(&fd, file, err);
    if (rc == 0) {
        rc = token_new(&token, err);
    }
    if (rc == 0) {
        rc = read_line(token, fd, file, err);
    }
    if (rc == 0 && (rc = take_line(token, err)) != 0) {
        fed_error_prefix(err, rc, "%s", file);
    }
    if (fd != STDIN_FILENO) {
        close(fd);
    }
    if (rc != 0) {
        fed_token_free(token);
        return rc;
    }
    *out = token;
    return 0;
}

int fed_token_save(const struct fed_token *token, const char *file, struct fed_error *err) {
    struct fed_token *copy = NULL;
    int rc = token_new(&copy, err);
    if (rc != 0) {
        return rc;
    }
    size_t n = strlen(token->line);
    memcpy(copy->line, token->line, n);
    copy->line[n++] = '\n';
    if (strcmp(file, "-") != 0) {
        rc = fed_secret_file_write(file, "token", copy->line, n, err);
    }
    for (size_t at = 0; strcmp(file, "-") == 0 && rc == 0 && at < n;) {
        ssize_t wrote = write(STDOUT_FILENO, copy->line + at, n - at);
        if (wrote < 0 && errno != EINTR) {
            rc = fed_error_set(err, FED_EIO, "cannot write the token: %s", strerror(errno));
        }
        at += wrote > 0 ? (size_t)wrote : 0;
    }
    fed_token_free(copy);
    return rc;
}

void fed_token_prove(struct fed_enrolment *out, const struct fed_token *token, const struct fed_public_keys *node,
                     const struct fed_public_keys *coordinator) {
    memcpy(out->certificate, token->bytes, sizeof out->certificate);
    fed_proof_sign(out->proof, out->certificate, node, coordinator, token->secret);
}
