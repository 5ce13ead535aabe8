/* Every key of the files that people write, one a line: "task round.deadline_s 600". The third word is the default as the
 * table has it, or "-". check_docs.sh holds the man pages to this list. With --allowed there is a fourth column, all parted
 * by tabs: what is allowed; and a key that must be given has the default "required". docs/make-settings makes a page of
 * that. */
#include <stdio.h>
#include <string.h>

#include "common/config/client_config.h"
#include "common/config/roster_file.h"
#include "common/config/setting.h"
#include "common/config/task.h"

static void list(const char *file, const struct fed_settings *settings, bool allowed) {
    for (size_t i = 0; i < settings->n_rows; i++) {
        const struct fed_setting *row = &settings->rows[i];
        const char *fallback = row->fallback != NULL ? row->fallback : "-";
        char expected[FED_SETTING_EXPECTED_MAX];
        fed_setting_describe(expected, row);
        if (allowed) {
            printf("%s\t%s\t%s\t%s\n", file, row->path, row->required ? "required" : fallback, expected);
        } else {
            printf("%s %s %s\n", file, row->path, fallback);
        }
    }
}

int main(int argc, char **argv) {
    bool allowed = argc == 2 && strcmp(argv[1], "--allowed") == 0;
    list("task", fed_task_settings(), allowed);
    list("client", fed_client_config_settings(), allowed);
    list("roster", fed_roster_file_settings(), allowed);
    return argc == 1 || allowed ? 0 : 2;
}
