/* A roster that loads can be saved, and what was saved loads to the same nodes; what is refused is refused in one line, as a
 * mistake of the file. */
#include <string.h>

#include "common/config/roster_file.h"
#include "tests/fuzz/fuzz_dir.h"
#include "tests/fuzz/fuzz_file.h"

static void must_be_the_same(const struct fed_roster_entry *a, const struct fed_roster_entry *b) {
    MUST(fed_name_valid(a->name) && strcmp(a->name, b->name) == 0);
    MUST(memcmp(&a->keys, &b->keys, sizeof a->keys) == 0 && a->has_next == b->has_next);
    MUST(!a->has_next || memcmp(&a->next, &b->next, sizeof a->next) == 0);
    MUST(a->first_client == b->first_client && a->n_clients == b->n_clients && a->partial_sums == b->partial_sums);
    MUST(a->not_before == b->not_before && a->not_after == b->not_after && a->revoked == b->revoked);
    MUST(a->has_enrolment == b->has_enrolment && a->has_next_enrolment == b->has_next_enrolment);
    MUST(memcmp(&a->enrolment, &b->enrolment, sizeof a->enrolment) == 0);
    MUST(memcmp(&a->next_enrolment, &b->next_enrolment, sizeof a->next_enrolment) == 0);
}

static void check_good(const struct fed_roster_file *roster, const char *path) {
    struct fed_roster_file again;
    MUST(fed_roster_file_save(roster, path, NULL) == FED_OK);
    MUST(fed_roster_file_load(&again, path, NULL) == FED_OK);
    MUST(again.n_entries == roster->n_entries && again.n_spent == roster->n_spent);
    MUST(again.n_spent == 0 || memcmp(again.spent, roster->spent, again.n_spent * sizeof *again.spent) == 0);
    for (size_t i = 0; i < again.n_entries; i++) {
        must_be_the_same(&roster->entries[i], &again.entries[i]);
    }
    fed_roster_file_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    struct fed_roster_file roster;
    struct fed_error err = {.text = ""};
    int rc = fed_roster_file_load(&roster, fuzz_file(bytes, n), &err);
    MUST(rc == FED_OK || (rc == FED_ECONFIG && err.text[0] != '\0'));
    must_be_one_line(err.text);
    if (rc == FED_OK) {
        char path[128];
        check_good(&roster, fuzz_dir_file(path, "roster"));
        fed_roster_file_fini(&roster);
    }
    return 0;
}
