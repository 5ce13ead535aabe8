/* Terms that decode make a model, are spelled as ours (they encode to what decodes again, to the same text), and differ in
 * nothing from themselves; what is refused is refused in printable words. */
#include <string.h>

#include "common/config/terms.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static struct fed_task_terms terms, again;
    struct fed_model model;
    struct fed_error err = {.text = ""};
    int rc = fed_task_terms_decode(&terms, (const char *)bytes, n, &err);
    MUST(rc == 0 || (rc == FED_EWIRE && err.text[0] != '\0'));
    must_be_one_line(err.text);
    if (rc == 0) {
        char *first, *second;
        MUST(fed_model_init(&model, &terms.model, NULL) == 0);
        MUST(fed_task_terms_encode(&first, &terms) == 0);
        MUST(fed_task_terms_decode(&again, first, strlen(first), NULL) == 0);
        MUST(fed_task_terms_encode(&second, &again) == 0);
        MUST(strcmp(first, second) == 0);
        fed_task_terms_difference(&err, first, second);
        MUST(err.text[0] == '\0');
        free(first);
        free(second);
    }
    return 0;
}
