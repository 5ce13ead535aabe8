/* A table that loads holds what it says: as many rows as fit, every number finite, every label and group one of the words.
 */
#include <math.h>
#include <string.h>

#include "common/data/table.h"
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    struct fed_table table;
    struct fed_error err = {.text = ""};
    for (int kind = 0; kind < 4; kind++) {
        int rc = fed_table_load(&table, fuzz_file(bytes, n), "1", (kind & 1) != 0 ? "2" : NULL, (kind & 2) != 0, &err);
        MUST(rc == FED_OK || rc == FED_EDATA);
        must_be_one_line(err.text);
        if (rc != FED_OK) {
            continue;
        }
        MUST(table.n_rows > 0 && table.n_features > 0 && table.n_rows * (table.n_features + 1) <= n + 1);
        MUST(table.labels != NULL || table.numbers != NULL);
        for (size_t i = 0; i < table.n_rows * table.n_features; i++) {
            MUST(isfinite(table.features[i]));
        }
        for (size_t i = 0; i < table.n_rows; i++) {
            MUST(table.labels == NULL || table.labels[i] < table.words.n);
            MUST(table.numbers == NULL || isfinite(table.numbers[i]));
            MUST(table.groups == NULL || table.groups[i] < table.group_names.n);
        }
        fed_table_fini(&table);
    }
    return 0;
}
