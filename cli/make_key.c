#include "cli/make_key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"

/* It may be the line of another: one that its owner sent. A key that is there is refused when it is to be made. */
static int refuse_public(const struct fed_made_key *made, struct fed_error *err) {
    return access(made->public_path, F_OK) != 0 || access(made->secret_path, F_OK) == 0
               ? FED_OK
               : fed_error_set(err, FED_EKEY,
                               "%s: exists already, and a public line is never overwritten: choose "
                               "another name or another --dir",
                               made->public_path);
}

static int write_public(const char *path, const char *line, struct fed_error *err) {
    struct iovec parts[] = {{(void *)line, strlen(line)}, {(void *)"\n", 1}};
    return fed_file_replace(path, parts, 2, 0644, err);
}

static int create(struct fed_identity *out, const char *path, const struct fed_key_order *order, struct fed_error *err) {
    struct fed_passphrase *passphrase = NULL;
    int code = 0;
    if (order->ask || order->passphrase_file != NULL) {
        code = fed_passphrase_get(&passphrase, order->passphrase_file, path, true, err);
    }
    if (code == 0) {
        code = fed_identity_create(out, path, passphrase, err);
    }
    fed_passphrase_free(passphrase);
    return code;
}

static void describe(struct fed_made_key *made, const struct fed_identity *identity, bool signs) {
    if (signs) {
        fed_sign_line(made->line, identity->sign_key);
        fed_sign_fingerprint(made->fingerprint, identity->sign_key);
    } else {
        fed_public_line(made->line, &identity->public_keys);
        fed_public_fingerprint(made->fingerprint, &identity->public_keys);
    }
}

int fed_make_key(struct fed_made_key *out, const struct fed_key_order *order, struct fed_error *err) {
    char secret_name[FED_NAME_MAX + 4], public_name[FED_NAME_MAX + 4];
    struct fed_made_key made = {.secret_path = NULL};
    struct fed_identity identity = {0};
    if (!fed_name_valid(order->name)) {
        return fed_error_set(err, FED_ECONFIG, "found \"%.60s\", expected a name of 1 to 63 characters from a-z, 0-9 and -",
                             order->name);
    }
    snprintf(secret_name, sizeof secret_name, "%s.key", order->name);
    snprintf(public_name, sizeof public_name, "%s.pub", order->name);
    int code = fed_seal_setup(err);
    if (code == 0) {
        code = fed_file_make_dirs(order->dir, err);
    }
    if (code == 0 && (fed_path_join(&made.secret_path, order->dir, secret_name) != 0 ||
                      fed_path_join(&made.public_path, order->dir, public_name) != 0)) {
        code = fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    if (code == 0) {
        code = refuse_public(&made, err);
    }
    if (code == 0) {
        code = create(&identity, made.secret_path, order, err);
    }
    if (code == 0) {
        describe(&made, &identity, order->signs);
        fed_identity_fini(&identity);
        code = write_public(made.public_path, made.line, err);
    }
    if (code != 0) {
        fed_made_key_fini(&made);
        return code;
    }
    *out = made;
    return 0;
}

void fed_made_key_fini(struct fed_made_key *made) {
    free(made->secret_path);
    free(made->public_path);
    *made = (struct fed_made_key){.secret_path = NULL};
}
