/* Every key of the files that people write, one a line: "task round.deadline_s 600". The third word is the default as the
 * table has it, or "-". check_docs.sh holds the man pages to this list. */
#include <stdio.h>

#include "common/config/client_config.h"
#include "common/config/roster_file.h"
#include "common/config/setting.h"
#include "common/config/task.h"

static void list(const char *file, const struct fed_settings *settings) {
    for (size_t i = 0; i < settings->n_rows; i++) {
        const struct fed_setting *row = &settings->rows[i];
        printf("%s %s %s\n", file, row->path, row->fallback != NULL ? row->fallback : "-");
    }
}

int main(void) {
    list("task", fed_task_settings());
    list("client", fed_client_config_settings());
    list("roster", fed_roster_file_settings());
    return 0;
}
