/* Bytes as one word of text: a prefix that says what they are, then base64url (RFC 4648, without padding) of the bytes and
 * the first 4 bytes of their BLAKE2b-256, so that a mistyped or cut word never becomes something else. */
#ifndef FED_COMMON_SEAL_LINE_H
#define FED_COMMON_SEAL_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

#define FED_LINE_CHECK_BYTES 4
/* Characters after the prefix, for n bytes; and those of n bytes without a check sum. */
#define FED_BASE64_CHARS(n) (((n)*4 + 2) / 3)
#define FED_LINE_CHARS(n) FED_BASE64_CHARS((n) + FED_LINE_CHECK_BYTES)

/* out: strlen(prefix) + FED_LINE_CHARS(n) + 1. n <= FED_LINE_BYTES_MAX. */
#define FED_LINE_BYTES_MAX 512
void fed_line_format(char *out, const char *prefix, const uint8_t *bytes, size_t n);
/* Exactly n bytes. what: what the sentence calls it, "public key line". FED_ECONFIG with a sentence that repeats nothing of
 * the line: wrong prefix, length, character or check sum. */
int fed_line_parse(uint8_t *out, size_t n, const char *line, const char *prefix, const char *what,
                   struct fed_error *err) FED_MUST_CHECK;

/* Without prefix and check sum. out: FED_BASE64_CHARS(n) + 1. */
void fed_base64_format(char *out, const uint8_t *bytes, size_t n);
/* n_text characters that are exactly n bytes in their one canonical form. FED_EWIRE; out is then wiped or untouched. */
int fed_base64_parse(uint8_t *out, size_t n, const char *text, size_t n_text) FED_MUST_CHECK;

#endif
