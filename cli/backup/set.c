#include "cli/backup/set.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/base/file.h"
#include "common/seal/digest.h"

#define PIECE ((size_t)1 << 20)
#define LIST_MAX ((size_t)16 << 20)
#define FORMAT 1
#define FILE_MODE 0600

static int no_memory(struct fed_error *err) { return fed_error_set(err, FED_ENOMEM, "out of memory"); }

static int cannot(struct fed_error *err, const char *path, const char *what) {
    return fed_error_set(err, FED_EIO, "%s: cannot %s: %s", path, what, strerror(errno));
}

/* -- Copying and digesting -- */

/* Reads fd to its end; to < 0: only digests. */
static int pass(struct fed_backup_file *file, int fd, const char *from, int to, const char *path,
                const struct fed_backup_watch *watch, struct fed_error *err) {
    struct fed_digest_state state;
    uint8_t *piece = malloc(PIECE);
    int code = piece != NULL ? FED_OK : no_memory(err);
    fed_digest_init(&state);
    file->bytes = 0;
    while (code == FED_OK) {
        ssize_t n = pread(fd, piece, PIECE, (off_t)file->bytes);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            code = n == 0 ? FED_OK : cannot(err, from, "read");
            break;
        }
        fed_digest_update(&state, piece, (size_t)n);
        file->bytes += (uint64_t)n;
        if (to >= 0 && fed_file_write_all(to, piece, (size_t)n) != FED_OK) {
            code = cannot(err, path, "write");
        }
        if (watch != NULL) {
            watch->copied(watch->context, file->bytes);
        }
    }
    fed_digest_final(file->digest, &state);
    free(piece);
    return code;
}

/* Takes file's texts over, also on failure. */
static int append(struct fed_backup_set *set, struct fed_backup_file *file, struct fed_error *err) {
    struct fed_backup_file *more = reallocarray(set->files, set->n_files + 1, sizeof *more);
    if (more == NULL || file->name == NULL || file->from == NULL) {
        set->files = more != NULL ? more : set->files;
        free(file->name);
        free(file->from);
        return no_memory(err);
    }
    set->files = more;
    set->files[set->n_files++] = *file;
    set->n_bytes += file->bytes;
    return FED_OK;
}

int fed_backup_set_copy(struct fed_backup_set *set, const char *dir, const char *name, int fd, const char *from,
                        const struct fed_backup_watch *watch, struct fed_error *err) {
    struct fed_backup_file file = {0};
    char *path = NULL;
    int code = fed_path_join(&path, dir, name) == FED_OK ? FED_OK : no_memory(err);
    int to = code == FED_OK ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE) : -1;
    if (code == FED_OK && to < 0) {
        code = cannot(err, path, "create");
    }
    if (code == FED_OK) {
        code = pass(&file, fd, from, to, path, watch, err);
    }
    if (code == FED_OK && fsync(to) != 0) {
        code = cannot(err, path, "sync");
    }
    if (to >= 0 && close(to) != 0 && code == FED_OK) {
        code = cannot(err, path, "close");
    }
    if (code == FED_OK) {
        file.name = strdup(name);
        file.from = strdup(from);
        code = append(set, &file, err);
    }
    free(path);
    return code;
}

static int digest_file(struct fed_backup_file *file, const char *path, struct fed_error *err) {
    int fd = -1;
    size_t n;
    int code = fed_file_open(&fd, &n, path, err);
    if (code == FED_OK) {
        code = pass(file, fd, path, -1, NULL, NULL, err);
        close(fd);
    }
    return code;
}

int fed_backup_set_add(struct fed_backup_set *set, const char *dir, const char *name, const char *from,
                       struct fed_error *err) {
    struct fed_backup_file file = {0};
    char *path = NULL;
    int code = fed_path_join(&path, dir, name) == FED_OK ? digest_file(&file, path, err) : no_memory(err);
    if (code == FED_OK) {
        file.name = strdup(name);
        file.from = strdup(from);
        code = append(set, &file, err);
    }
    free(path);
    return code == FED_ENOTFOUND ? FED_EIO : code;
}

/* -- The list -- */

json_t *fed_backup_set_json(const struct fed_backup_set *set) {
    json_t *files = json_array();
    for (size_t i = 0; i < set->n_files; i++) {
        const struct fed_backup_file *file = &set->files[i];
        char digest[FED_DIGEST_HEX];
        fed_hex(digest, file->digest, FED_DIGEST_BYTES);
        if (json_array_append_new(files,
                                  json_pack("{s:s, s:I, s:s, s:o}", "name", file->name, "bytes", (json_int_t)file->bytes,
                                            "digest", digest, "from", fed_cli_json_path(file->from))) != 0) {
            json_decref(files);
            return NULL;
        }
    }
    return json_pack("{s:s, s:i, s:s, s:s, s:o, s:s, s:s, s:o, s:o}", "event", "backup", "format", FORMAT, "fedavg",
                     FED_VERSION, "created", set->created, "run", fed_cli_json_path(set->run), "run_id", set->run_id, "name",
                     set->name, "round", set->has_round ? json_integer((json_int_t)set->round) : json_null(), "files",
                     files);
}

int fed_backup_set_write(const struct fed_backup_set *set, const char *dir, struct fed_error *err) {
    json_t *root = fed_backup_set_json(set);
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(1)) : NULL, *path = NULL;
    int code = FED_OK;
    if (text == NULL || fed_path_join(&path, dir, FED_BACKUP_LIST) != FED_OK) {
        code = no_memory(err);
    } else {
        char newline[] = "\n";
        struct iovec parts[] = {{text, strlen(text)}, {newline, 1}};
        code = fed_file_replace(path, parts, 2, FILE_MODE, err);
    }
    json_decref(root);
    free(text);
    free(path);
    return code;
}

static bool parse_digest(uint8_t out[FED_DIGEST_BYTES], const char *hex) {
    char again[FED_DIGEST_HEX];
    if (hex == NULL || strlen(hex) != FED_DIGEST_HEX - 1) {
        return false;
    }
    for (size_t i = 0; i < FED_DIGEST_BYTES; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        out[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    fed_hex(again, out, FED_DIGEST_BYTES);
    return strcmp(again, hex) == 0;
}

/* Names lead nowhere else: no '/' but that of config/, and not "..". */
static bool is_inside(const char *name) {
    const char *last = strncmp(name, "config/", strlen("config/")) == 0 ? name + strlen("config/") : name;
    return *last != '\0' && strchr(last, '/') == NULL && strcmp(last, ".") != 0 && strcmp(last, "..") != 0;
}

static int read_file(struct fed_backup_set *set, const json_t *item, struct fed_error *err) {
    const char *name = json_string_value(json_object_get(item, "name"));
    const char *from = json_string_value(json_object_get(item, "from"));
    json_int_t bytes = json_integer_value(json_object_get(item, "bytes"));
    struct fed_backup_file file = {.bytes = (uint64_t)bytes};
    if (name == NULL || bytes < 0 || !is_inside(name) ||
        !parse_digest(file.digest, json_string_value(json_object_get(item, "digest")))) {
        return FED_EDATA;
    }
    file.name = strdup(name);
    file.from = strdup(from != NULL ? from : "");
    return append(set, &file, err);
}

static int read_list(struct fed_backup_set *set, const json_t *root, const char *path, struct fed_error *err) {
    const char *name = json_string_value(json_object_get(root, "name"));
    const char *run_id = json_string_value(json_object_get(root, "run_id"));
    const char *created = json_string_value(json_object_get(root, "created"));
    const char *run = json_string_value(json_object_get(root, "run"));
    const json_t *files = json_object_get(root, "files"), *round = json_object_get(root, "round");
    int code = FED_OK;
    if (json_integer_value(json_object_get(root, "format")) > FORMAT) {
        return fed_error_set(err, FED_EMISMATCH, "%s was made by a newer fedavg: use that one", path);
    }
    if (name == NULL || run_id == NULL || strlen(run_id) != sizeof set->run_id - 1 || created == NULL ||
        strlen(created) >= sizeof set->created || json_array_size(files) == 0) {
        code = FED_EDATA;
    }
    for (size_t i = 0; code == FED_OK && i < json_array_size(files); i++) {
        code = read_file(set, json_array_get(files, i), err);
    }
    if (code == FED_EDATA) {
        return fed_error_set(err, code, "%s is damaged: it is not the list of a backup", path);
    }
    if (code == FED_OK) {
        memcpy(set->run_id, run_id, sizeof set->run_id);
        memcpy(set->created, created, strlen(created) + 1);
        set->has_round = json_is_integer(round);
        set->round = (uint64_t)json_integer_value(round);
        set->name = strdup(name);
        set->run = strdup(run != NULL ? run : "");
        code = set->name != NULL && set->run != NULL ? FED_OK : no_memory(err);
    }
    return code;
}

int fed_backup_set_read(struct fed_backup_set *out, const char *dir, struct fed_error *err) {
    struct fed_backup_set set = {0};
    uint8_t *text = NULL;
    char *path = NULL;
    size_t n = 0;
    json_t *root = NULL;
    int code = fed_path_join(&path, dir, FED_BACKUP_LIST) == FED_OK ? FED_OK : no_memory(err);
    if (code == FED_OK) {
        code = fed_file_read(&text, &n, path, LIST_MAX, err);
        code = code == FED_ENOTFOUND ? fed_error_set(err, FED_ECONFIG, "%s is no backup: it has no " FED_BACKUP_LIST, dir)
                                     : code;
    }
    if (code == FED_OK) {
        root = json_loadb((const char *)text, n, JSON_REJECT_DUPLICATES, NULL);
        code = read_list(&set, root, path, err);
    }
    json_decref(root);
    free(text);
    free(path);
    if (code == FED_OK) {
        *out = set;
    } else {
        fed_backup_set_fini(&set);
    }
    return code;
}

int fed_backup_set_check(const struct fed_backup_set *set, const char *dir, struct fed_error *err) {
    int code = FED_OK;
    for (size_t i = 0; code == FED_OK && i < set->n_files; i++) {
        const struct fed_backup_file *wanted = &set->files[i];
        struct fed_backup_file found = {0};
        char *path = NULL;
        code = fed_path_join(&path, dir, wanted->name) == FED_OK ? digest_file(&found, path, err) : no_memory(err);
        if (code == FED_ENOTFOUND) {
            code = fed_error_set(err, FED_EDATA, "%s is missing from the backup", path);
        } else if (code == FED_OK && found.bytes != wanted->bytes) {
            code =
                fed_error_set(err, FED_EDATA, "%s is not what was copied: %" PRIu64 " bytes found, %" PRIu64 " were copied",
                              path, found.bytes, wanted->bytes);
        } else if (code == FED_OK && memcmp(found.digest, wanted->digest, sizeof found.digest) != 0) {
            code = fed_error_set(err, FED_EDATA, "%s is not what was copied: its digest differs", path);
        }
        free(path);
    }
    return code;
}

void fed_backup_set_fini(struct fed_backup_set *set) {
    for (size_t i = 0; i < set->n_files; i++) {
        free(set->files[i].name);
        free(set->files[i].from);
    }
    free(set->files);
    free(set->run);
    free(set->name);
    *set = (struct fed_backup_set){0};
}
