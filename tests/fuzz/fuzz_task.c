/* A task that loads makes a model, and terms that a node would take; what is refused is refused in one line, as a mistake of
 * the file. */
#include <string.h>

#include "common/config/task.h"
#include "coordinator/terms.h"
#include "tests/fuzz/fuzz_file.h"

static void check_good(const struct fed_task *task) {
    static struct fed_task_terms terms, again;
    struct fed_model model;
    char *text, *rest;
    MUST(fed_model_init(&model, &task->model, NULL) == FED_OK);
    MUST(fed_name_valid(task->name));
    fed_terms_from_task(&terms, task, NULL, 600, 100);
    MUST(fed_task_terms_encode(&text, &terms) == FED_OK);
    MUST(fed_task_terms_decode(&again, text, strlen(text), NULL) == FED_OK);
    MUST(fed_terms_rest(&rest, task) == FED_OK);
    must_be_one_line(rest);
    free(text);
    free(rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static struct fed_task task;
    struct fed_error err = {.text = ""};
    int rc = fed_task_load(&task, fuzz_file(bytes, n), NULL, 0, &err);
    MUST(rc == FED_OK || (rc == FED_ECONFIG && err.text[0] != '\0'));
    must_be_one_line(err.text);
    if (rc == FED_OK) {
        check_good(&task);
        fed_task_fini(&task);
    }
    return 0;
}
