/* A line may hold a secret (a token does): what was decoded on the way is wiped. */
#include "common/seal/line.h"

#include <assert.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "common/seal/digest.h"

#define BASE64 sodium_base64_VARIANT_URLSAFE_NO_PADDING

void fed_base64_format(char *out, const uint8_t *bytes, size_t n) {
    sodium_bin2base64(out, FED_BASE64_CHARS(n) + 1, bytes, n, BASE64);
}

int fed_base64_parse(uint8_t *out, size_t n, const char *text, size_t n_text) {
    size_t n_out = 0;
    /* libsodium refuses spare bits that are set, so that n bytes have exactly one text. */
    bool ok = n_text == FED_BASE64_CHARS(n) && sodium_base642bin(out, n, text, n_text, NULL, &n_out, NULL, BASE64) == 0 &&
              n_out == n;
    if (!ok) {
        sodium_memzero(out, n);
    }
    return ok ? 0 : FED_EWIRE;
}

void fed_line_format(char *out, const char *prefix, const uint8_t *bytes, size_t n) {
    uint8_t whole[FED_LINE_BYTES_MAX + FED_LINE_CHECK_BYTES], digest[FED_DIGEST_BYTES];
    size_t n_prefix = strlen(prefix);
    assert(n <= FED_LINE_BYTES_MAX);
    fed_digest(digest, bytes, n);
    memcpy(whole, bytes, n);
    memcpy(whole + n, digest, FED_LINE_CHECK_BYTES);
    memcpy(out, prefix, n_prefix);
    fed_base64_format(out + n_prefix, whole, n + FED_LINE_CHECK_BYTES);
    sodium_memzero(whole, sizeof whole);
}

static bool is_base64url(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static int check_text(const char *line, size_t n_chars, const char *prefix, const char *what, struct fed_error *err) {
    size_t n_prefix = strlen(prefix);
    if (strncmp(line, prefix, n_prefix) != 0) {
        return fed_error_set(err, FED_ECONFIG, "this is no %s: it must start with %s", what, prefix);
    }
    size_t n = strlen(line);
    if (n != n_prefix + n_chars) {
        return fed_error_set(err, FED_ECONFIG, "the %s has %zu characters where %zu are needed: copy it whole", what, n,
                             n_prefix + n_chars);
    }
    for (size_t i = n_prefix; i < n; i++) {
        if (!is_base64url(line[i])) {
            return fed_error_set(err, FED_ECONFIG, "character %zu of the %s (byte 0x%02x) is not one of A-Z a-z 0-9 - _",
                                 i + 1, what, (unsigned)(unsigned char)line[i]);
        }
    }
    return 0;
}

int fed_line_parse(uint8_t *out, size_t n, const char *line, const char *prefix, const char *what, struct fed_error *err) {
    uint8_t whole[FED_LINE_BYTES_MAX + FED_LINE_CHECK_BYTES], digest[FED_DIGEST_BYTES];
    assert(n <= FED_LINE_BYTES_MAX);
    int rc = check_text(line, FED_LINE_CHARS(n), prefix, what, err);
    if (rc != 0) {
        return rc;
    }
    bool ok = fed_base64_parse(whole, n + FED_LINE_CHECK_BYTES, line + strlen(prefix), FED_LINE_CHARS(n)) == 0;
    if (ok) {
        fed_digest(digest, whole, n);
        ok = sodium_memcmp(digest, whole + n, FED_LINE_CHECK_BYTES) == 0;
    }
    if (ok) {
        memcpy(out, whole, n);
    }
    sodium_memzero(whole, sizeof whole);
    return ok ? 0 : fed_error_set(err, FED_ECONFIG, "the check sum of the %s does not match: it was mistyped or cut", what);
}
