#include "common/config/name.h"

#include <string.h>

bool fed_name_valid(const char *text) {
    size_t n = strlen(text);
    return n >= 1 && n < FED_NAME_MAX && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}
