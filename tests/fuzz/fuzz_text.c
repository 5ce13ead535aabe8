/* Every window of a text that loads lies in the file, windows of one stretch follow one another, and none crosses a form
 * feed that begins a line. */
#include <string.h>

#include "common/data/text.h"
#include "tests/fuzz/fuzz_file.h"

#define UNROLL 3

static void check_windows(const struct fed_text *text, bool roles) {
    MUST(text->n_windows > 0 && text->n_windows <= text->n_map);
    MUST(text->roles.n == (roles ? text->n_stretches : 0));
    for (size_t i = 0; i < text->n_windows; i++) {
        const uint8_t *window = fed_text_window(text, i);
        MUST(window >= text->map && window + UNROLL + 1 <= text->map + text->n_map);
        if (i > 0 && fed_text_stretch(text, i) == fed_text_stretch(text, i - 1)) {
            MUST(window == fed_text_window(text, i - 1) + UNROLL);
        }
        for (size_t k = 0; k <= UNROLL && roles; k++) {
            const uint8_t *character = window + k;
            MUST(character[0] != '\f' || character[-1] != '\n');
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    struct fed_text text;
    struct fed_error err = {.text = ""};
    for (int part = FED_TEXT_WHOLE; part <= FED_TEXT_ROLES_TEST; part++) {
        int rc = fed_text_load(&text, fuzz_file(bytes, n), (enum fed_text_part)part, UNROLL, &err);
        MUST(rc == FED_OK || rc == FED_EDATA);
        must_be_one_line(err.text);
        if (rc == FED_OK) {
            check_windows(&text, part != FED_TEXT_WHOLE);
            fed_text_fini(&text);
        }
    }
    return 0;
}
