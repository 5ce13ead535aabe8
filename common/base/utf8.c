#include "common/base/utf8.h"

uint32_t fed_utf8_next(const char **text) {
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    const uint8_t *c = (const uint8_t *)*text;
    unsigned more = *c < 0x80                 ? 0
                    : *c >= 0xc0 && *c < 0xe0 ? 1
                    : *c >= 0xe0 && *c < 0xf0 ? 2
                    : *c >= 0xf0 && *c < 0xf8 ? 3
                                              : 4;
    ++*text;
    if (more > 3) {
        return FED_UTF8_WRONG;
    }
    uint32_t value = more == 0 ? *c : *c & (0x3fu >> more);
    for (unsigned i = 1; i <= more; i++) {
        if ((c[i] & 0xc0) != 0x80) { /* the terminating zero as well */
            return FED_UTF8_WRONG;
        }
        value = value << 6 | (c[i] & 0x3fu);
    }
    if (value < least[more] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) {
        return FED_UTF8_WRONG;
    }
    *text += more;
    return value;
}

bool fed_utf8_one_line(const char *text) {
    while (*text != '\0') {
        if (fed_utf8_is_control(fed_utf8_next(&text))) {
            return false;
        }
    }
    return true;
}
