/* What real nodes need: a key each and one for the coordinator, a roster of them, and a client file each. Everything of a
 * node lies in a folder of its own, which is what goes to its machine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/init/init.h"
#include "cli/make_key.h"
#include "common/base/file.h"
#include "common/config/roster_file.h"

void fed_init_node_name(char out[FED_NAME_MAX], size_t i) { snprintf(out, FED_NAME_MAX, "node-%zu", i + 1); }

static int make_key(struct fed_made_key *out, struct fed_init *init, const char *name, const char *dir,
                    struct fed_error *err) {
    const struct fed_key_order order = {.name = name, .dir = dir};
    int rc = fed_make_key(out, &order, err);
    if (rc == FED_OK) {
        rc = fed_init_remember(init, out->secret_path, err);
    }
    return rc;
}

/* -- the client file ---------------------------------------------------------------------------------------------------- */

static void put_train(FILE *out, const struct fed_init *init, const char *name, const char *train) {
    bool pair = init->seen.format == FED_DATA_IDX || init->seen.format == FED_DATA_NPY;
    char file[FED_NAME_MAX + 16];
    snprintf(file, sizeof file, "%s.%s", name, init->seen.format == FED_DATA_CSV ? "csv" : "data");
    fputs("  train: ", out);
    if (pair) {
        fprintf(out, "{%s: ", init->seen.format == FED_DATA_IDX ? "images" : "features");
    }
    fed_init_put_text(out, train != NULL ? train : file);
    if (pair) {
        snprintf(file, sizeof file, "%s.labels", name);
        fputs(", labels: ", out);
        fed_init_put_text(out, train == init->train[0] && init->labels != NULL ? init->labels : file);
        fputs("}", out);
    }
    fputs(train != NULL ? "\n" : "   # to be put here by its owner\n", out);
}

static void put_client(FILE *out, const struct fed_init *init, size_t i, const char *name, const char *coordinator_line) {
    fprintf(out,
            "# %s of %s, written by `fedavg init`. What the keys mean: man 5 fedavg-client.yaml.\n"
            "# On another machine this folder goes there. Better still, its owner makes the key there (fedavg keygen %s) "
            "and sends\n"
            "# %s.pub to the operator, who puts that line into the roster: then no key ever travels.\n"
            "schema: 1\n"
            "name: %s\n"
            "coordinator: \"tcp://%s:%u\"\n"
            "coordinator_key: %s\n"
            "key: %s.key\n",
            name, init->name, name, name, name, init->host, init->port, coordinator_line, name);
    fputs("data:\n", out);
    fed_init_put_columns(out, init);
    put_train(out, init, name, i < init->n_train ? init->train[i] : NULL);
    char line[64];
    snprintf(line, sizeof line, "clients: {first: %zu}", i);
    fed_init_put_line(out, line, NULL, "the number by which the roster knows these data");
    fputs("limits: {max_model_mb: 1024, max_epochs: 20, max_train_s: 3600, memory_mb: 1024}   # work beyond them is "
          "declined\n",
          out);
    fed_init_put_line(out, "state_dir: state", NULL, "state/sent.log: what left this machine");
}

static int write_client(struct fed_init *init, size_t i, const char *name, const char *coordinator_line,
                        struct fed_error *err) {
    char *text = NULL, path[2 * FED_NAME_MAX];
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    if (out == NULL) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    put_client(out, init, i, name, coordinator_line);
    snprintf(path, sizeof path, "%s/client.yaml", name);
    int rc = fclose(out) == 0 ? fed_init_save(init, path, text, n, err) : fed_error_set(err, FED_ENOMEM, "out of memory");
    free(text);
    return rc;
}

static int write_node(struct fed_roster_file *roster, struct fed_init *init, size_t i, const char *coordinator_line,
                      struct fed_error *err) {
    struct fed_roster_entry entry = {.first_client = i, .n_clients = 1};
    struct fed_made_key made = {.secret_path = NULL};
    char *dir = NULL;
    fed_init_node_name(entry.name, i);
    if (fed_path_join(&dir, init->dir, entry.name) != FED_OK) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    int rc = make_key(&made, init, entry.name, dir, err);
    if (rc == FED_OK) {
        rc = fed_public_parse(&entry.keys, made.line, err);
    }
    if (rc == FED_OK && fed_roster_file_add(roster, &entry) != FED_OK) {
        rc = fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    if (rc == FED_OK) {
        rc = write_client(init, i, entry.name, coordinator_line, err);
    }
    fed_made_key_fini(&made);
    free(dir);
    return rc;
}

static int save_roster(struct fed_init *init, const struct fed_roster_file *roster, struct fed_error *err) {
    char *path = NULL;
    int fd = -1;
    if (fed_path_join(&path, init->dir, "roster") != FED_OK) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    int rc = fed_roster_file_lock(&fd, path, err);
    if (rc == FED_OK) {
        rc = fed_roster_file_save(roster, path, err);
        close(fd);
    }
    if (rc == FED_OK) {
        rc = fed_init_remember(init, path, err);
    }
    free(path);
    return rc;
}

int fed_init_write_nodes(struct fed_init *init, struct fed_error *err) {
    struct fed_made_key coordinator = {.secret_path = NULL};
    struct fed_roster_file roster = {.entries = NULL};
    int rc = make_key(&coordinator, init, "coordinator", init->dir, err);
    for (size_t i = 0; rc == FED_OK && i < init->clients; i++) {
        rc = write_node(&roster, init, i, coordinator.line, err);
    }
    if (rc == FED_OK) {
        rc = save_roster(init, &roster, err);
    }
    fed_roster_file_fini(&roster);
    fed_made_key_fini(&coordinator);
    return rc;
}
