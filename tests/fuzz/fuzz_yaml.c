/* A document that parses can be written, and what was written parses to the same entries; what does not parse is refused in
 * one line. */
#include <string.h>

#include "common/config/yaml.h"
#include "tests/fuzz/fuzz.h"

static void must_be_the_same(const struct fed_yaml *a, const struct fed_yaml *b) {
    MUST(a->n_entries == b->n_entries);
    for (size_t i = 0; i < a->n_entries; i++) {
        MUST(strcmp(a->entries[i].path, b->entries[i].path) == 0);
        MUST(strcmp(a->entries[i].value, b->entries[i].value) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    struct fed_yaml yaml, again;
    struct fed_error err = {.text = ""};
    int rc = fed_yaml_parse(&yaml, (const char *)bytes, n, "file", &err);
    MUST(rc == FED_OK || (rc == FED_ECONFIG && err.text[0] != '\0'));
    must_be_one_line(err.text);
    if (rc == FED_OK) {
        char *text;
        MUST(fed_yaml_format(&text, &yaml) == FED_OK);
        rc = fed_yaml_parse(&again, text, strlen(text), "again", &err);
        MUST(rc == FED_OK);
        must_be_the_same(&yaml, &again);
        free(text);
        fed_yaml_fini(&again);
        fed_yaml_fini(&yaml);
    }
    return 0;
}
