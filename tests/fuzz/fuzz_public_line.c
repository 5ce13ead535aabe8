/* A line that parses is the one line of its keys; any other is refused with a sentence. */
#include <string.h>

#include "common/seal/keys.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    struct fed_public_keys keys;
    struct fed_error err = {""};
    char *line = malloc(n + 1), back[FED_PUBLIC_LINE_MAX];
    MUST(line != NULL);
    memcpy(line, bytes, n);
    line[n] = 0;
    int rc = fed_public_parse(&keys, line, &err);
    MUST(rc == 0 || (rc == FED_ECONFIG && err.text[0] != 0));
    if (rc == 0) {
        fed_public_line(back, &keys);
        MUST(strcmp(back, line) == 0);
    }
    free(line);
    return 0;
}
