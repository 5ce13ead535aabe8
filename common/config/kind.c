#include "common/config/kind.h"

#include <string.h>

static const struct {
    const char *name;
    const char *page;   /* the manual page that tells of it */
    const char *own[5]; /* keys, or sections with their dot, that no other kind has */
} kinds[] = {
    [FED_CONFIG_TASK] = {"a task", "fedavg-task(5)", {"algorithm.", "model.", "server.", "round."}},
    [FED_CONFIG_CLIENT] = {"a client's file", "fedavg-client.yaml(5)", {"coordinator", "coordinator_key", "state_dir"}},
    [FED_CONFIG_ROSTER] = {"a roster", "fedavg-roster(1)", {"nodes["}},
};
#define N_KINDS (sizeof kinds / sizeof *kinds)

static bool is_own(const char *path, const char *own) {
    size_t n = strlen(own);
    char last = own[n - 1];
    return strncmp(path, own, n) == 0 && (last == '.' || last == '[' || path[n] == '\0');
}

static bool is_of(const struct fed_yaml *yaml, enum fed_config_kind kind) {
    for (size_t i = 0; i < yaml->n_entries; i++) {
        for (const char *const *own = kinds[kind].own; *own != NULL; own++) {
            if (yaml->entries[i].line > 0 && is_own(yaml->entries[i].path, *own)) {
                return true;
            }
        }
    }
    return false;
}

int fed_config_expect(const struct fed_yaml *yaml, const char *path, enum fed_config_kind wanted, struct fed_error *err) {
    if (yaml->n_entries == 0) {
        return fed_error_set(err, FED_ECONFIG, "%s: holds nothing, expected %s: %s", path, kinds[wanted].name,
                             kinds[wanted].page);
    }
    for (size_t kind = 0; kind < N_KINDS && !is_of(yaml, wanted); kind++) {
        if (is_of(yaml, (enum fed_config_kind)kind)) {
            return fed_error_set(err, FED_ECONFIG, "%s: is %s, expected %s: %s", path, kinds[kind].name, kinds[wanted].name,
                                 kinds[wanted].page);
        }
    }
    return FED_OK;
}
