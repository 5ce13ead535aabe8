/* fedavg backup: a copy of a run that another coordinator can go on from. It becomes DEST when it is whole and verified, and
 * not before. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/backup/make.h"
#include "cli/backup/set.h"
#include "cli/cli.h"
#include "common/base/file.h"
#include "common/base/standard.h"
#include "common/seal/keys.h"

static const char usage[] =
    "fedavg backup RUN DEST [--task TASK.yaml [--with-key]] [--json] [--quiet]\n"
    "       fedavg backup DEST --verify [--json]\n"
    "  copies a run, which a coordinator may be at work in, to the new directory DEST, and verifies the copy;\n"
    "  --task takes the task file and its roster along, --with-key the coordinator's key, too\n";

struct options {
    struct fed_backup_wish wish;
    char *dest; /* without slashes at its end */
    bool verify, json;
};

/* -- The directory -- */

static void remove_dir(const char *path) {
    DIR *dir = opendir(path);
    for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        char *child = NULL;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            unlinkat(dirfd(dir), entry->d_name, 0) != 0 && fed_path_join(&child, path, entry->d_name) == FED_OK) {
            remove_dir(child);
            free(child);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    rmdir(path);
}

static int exists_already(const char *dest, struct fed_error *err) {
    return fed_error_set(err, FED_ECONFIG, "%s exists already: a backup is a new directory", dest);
}

static int make_partial(char **out, const char *dest, struct fed_error *err) {
    struct stat st;
    char *partial;
    if (lstat(dest, &st) == 0) {
        return exists_already(dest, err);
    }
    if (asprintf(&partial, "%s.partial.%ld", dest, (long)getpid()) < 0) {
        return fed_error_set(err, FED_ENOMEM, "out of memory");
    }
    if (mkdir(partial, 0700) != 0) {
        int code = errno == ENOENT
                       ? fed_error_set(err, FED_ECONFIG,
                                       "%s: the directory in which it is to lie is not there; make it first", dest)
                       : fed_error_set(err, FED_EIO, "%s: cannot make the directory: %s", partial, strerror(errno));
        free(partial);
        return code;
    }
    *out = partial;
    return FED_OK;
}

/* All names in it last, then its own does. */
static int settle(const char *partial, const char *dest, struct fed_error *err) {
    char *inside = NULL;
    int code = fed_path_join(&inside, partial, FED_BACKUP_LIST) == FED_OK ? fed_file_sync_name(inside, err)
                                                                          : fed_error_set(err, FED_ENOMEM, "out of memory");
    free(inside);
    if (code != FED_OK) {
        return code;
    }
    if (renameat2(AT_FDCWD, partial, AT_FDCWD, dest, RENAME_NOREPLACE) != 0 &&
        (errno != EINVAL || rename(partial, dest) != 0)) { /* EINVAL: a file system that cannot promise it */
        return errno == EEXIST || errno == ENOTEMPTY
                   ? exists_already(dest, err)
                   : fed_error_set(err, FED_EIO, "%s: cannot rename it to %s: %s", partial, dest, strerror(errno));
    }
    return fed_file_sync_name(dest, err);
}

/* -- Making and verifying -- */

static int make(struct fed_backup_set *out, const struct options *options, struct fed_error *err) {
    char *partial = NULL;
    int code = make_partial(&partial, options->dest, err);
    if (code != FED_OK) {
        return code;
    }
    code = fed_backup_make(out, partial, &options->wish, err);
    if (code == FED_OK) {
        code = fed_backup_set_write(out, partial, err);
    }
    if (code == FED_OK) {
        code = fed_backup_verify(out, partial, err);
        code = code == FED_OK ? FED_OK : fed_error_prefix(err, code, "%s: its copy is not whole", options->wish.run);
    }
    if (code == FED_OK) {
        code = settle(partial, options->dest, err);
    }
    if (code != FED_OK) {
        remove_dir(partial);
    }
    free(partial);
    return code;
}

static int verify(struct fed_backup_set *out, const struct options *options, struct fed_error *err) {
    int code = fed_backup_set_read(out, options->dest, err);
    return code == FED_OK ? fed_backup_verify(out, options->dest, err) : code;
}

/* "task.yaml, roster": what stands in config/. */
static void print_config(const struct fed_backup_set *set) {
    static const char folder[] = "config/";
    const char *comma = "";
    for (size_t i = 0; i < set->n_files; i++) {
        if (strncmp(set->files[i].name, folder, strlen(folder)) == 0) {
            printf("%s%s", *comma != '\0' ? comma : "in config/: ", set->files[i].name + strlen(folder));
            comma = ", ";
        }
    }
    puts(*comma != '\0' ? "" : "not in it: task file, roster and key of the coordinator (--task, --with-key), and the data");
}

static void print_text(const struct options *options, const struct fed_backup_set *set) {
    size_t n_models = 0;
    for (size_t i = 0; i < set->n_files; i++) {
        n_models += strncmp(set->files[i].name, "model-", strlen("model-")) == 0;
    }
    printf("%s: %s, ", options->dest, set->name[0] != '\0' ? set->name : "(no name)");
    if (set->has_round) {
        printf("round %" PRIu64 ", ", set->round);
    }
    printf("%zu %s, %.1f MB in all, %s\n", n_models, n_models == 1 ? "model" : "models", (double)set->n_bytes / 1e6,
           options->verify ? "whole" : "verified");
    print_config(set);
    if (options->wish.with_key) {
        printf("with the coordinator's key in it: keep this backup as you keep the key\n");
    }
}

static int print(const struct options *options, const struct fed_backup_set *set, struct fed_error *err) {
    if (!options->json) {
        print_text(options, set);
        return fed_standard_flush(err);
    }
    json_t *root = fed_backup_set_json(set);
    json_object_set_new(root, "dest", fed_cli_json_path(options->dest));
    json_object_set_new(root, "bytes", json_integer((json_int_t)set->n_bytes));
    json_object_set_new(root, "verified", json_true());
    return fed_cli_print_json(root, err);
}

/* -- The command -- */

/* False, after a sentence. */
static bool go_together(const struct options *options, const char *command, const char *dest) {
    const char *wrong = options->verify && options->wish.task != NULL          ? "--task goes not with --verify"
                        : options->verify && options->wish.with_key            ? "--with-key goes not with --verify"
                        : options->wish.with_key && options->wish.task == NULL ? "--with-key goes with --task"
                        : *dest == '\0'                                        ? "the name of DEST is empty"
                                                                               : NULL;
    if (wrong != NULL) {
        fprintf(stderr, "%s: %s\n", command, wrong);
    }
    return wrong == NULL;
}

/* False: it is over, with this exit code. */
static bool parse(struct options *out, int *exit_code, int argc, char **argv) {
    static const struct option names[] = {{"verify", no_argument, NULL, 'v'},
                                          {"task", required_argument, NULL, 't'},
                                          {"with-key", no_argument, NULL, 'k'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"quiet", no_argument, NULL, 'q'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    for (int c; (c = getopt_long(argc, argv, "h", names, NULL)) != -1;) {
        switch (c) {
        case 'v': out->verify = true; break;
        case 't': out->wish.task = optarg; break;
        case 'k': out->wish.with_key = true; break;
        case 'j': out->json = true; break;
        case 'q': out->wish.quiet = true; break;
        default: *exit_code = c == 'h' ? fed_cli_help(usage) : fed_cli_misused(usage); return false;
        }
    }
    int n_words = out->verify ? 1 : 2;
    if (fed_cli_wrong_words(argc, argv, n_words, n_words, argc == optind && !out->verify ? "RUN" : "DEST") ||
        !go_together(out, argv[0], argv[argc - 1])) {
        *exit_code = fed_cli_misused(usage);
        return false;
    }
    out->wish.run = argv[optind];
    out->dest = argv[argc - 1];
    for (size_t n = strlen(out->dest); n > 1 && out->dest[n - 1] == '/'; n--) {
        out->dest[n - 1] = '\0';
    }
    return true;
}

int fed_cli_backup(int argc, char **argv) {
    struct options options = {0};
    struct fed_backup_set set = {0};
    struct fed_error err = {.text = ""};
    int code = 0;
    if (!parse(&options, &code, argc, argv)) {
        return code;
    }
    code = fed_seal_setup(&err);
    if (code == FED_OK) {
        code = options.verify ? verify(&set, &options, &err) : make(&set, &options, &err);
    }
    if (code == FED_OK) {
        code = print(&options, &set, &err);
    }
    fed_backup_set_fini(&set);
    return code == FED_OK ? 0 : fed_cli_fail(argv[0], code, &err);
}
