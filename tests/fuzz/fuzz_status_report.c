/* A status that decodes holds nothing that a terminal would obey, encodes, and comes back as the same text. */
#include <string.h>

#include "coordinator/store/status_report.h"
#include "tests/fuzz/fuzz.h"

static void must_be_printable(const char *text) {
    for (; *text != '\0'; text++) {
        MUST(*text >= 0x20 && *text <= 0x7e);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static struct fed_status_report report, again;
    char *first, *second;
    int rc = fed_status_report_decode(&report, (const char *)bytes, n, NULL);
    MUST(rc == 0 || rc == FED_EDATA);
    if (rc == 0) {
        must_be_printable(report.name);
        must_be_printable(report.state);
        MUST(fed_status_report_encode(&first, &report) == 0);
        MUST(fed_status_report_decode(&again, first, strlen(first), NULL) == 0);
        MUST(fed_status_report_encode(&second, &again) == 0);
        MUST(strcmp(first, second) == 0);
        free(first);
        free(second);
    }
    return 0;
}
