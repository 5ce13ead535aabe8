/* Runs a harness over every file of a corpus, for builds without libFuzzer. Fails on an empty corpus: it would prove
 * nothing. */
#include <dirent.h>
#include <string.h>

#include "common/base/file.h"
#include "tests/fuzz/fuzz.h"

#define SEED_MAX ((size_t)16 * 1024 * 1024)

static int replay(const char *dir, const char *name) {
    char *path = NULL;
    uint8_t *bytes = NULL;
    size_t n = 0;
    struct fed_error err;
    int rc = fed_path_join(&path, dir, name);
    if (rc == 0) {
        rc = fed_file_read(&bytes, &n, path, SEED_MAX, &err);
    }
    if (rc == 0) {
        uint8_t *exact = malloc(n > 0 ? n : 1); /* no byte more, so that a sanitizer sees a step over the end */
        MUST(exact != NULL);
        memcpy(exact, bytes, n);
        LLVMFuzzerTestOneInput(exact, n);
        free(exact);
    } else {
        fprintf(stderr, "%s\n", err.text);
    }
    free(bytes);
    free(path);
    return rc;
}

int main(int argc, char **argv) {
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (dir == NULL) {
        fprintf(stderr, "usage: %s CORPUS-DIRECTORY\n", argv[0]);
        return 2;
    }
    int failed = 0, files = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.') {
            files++;
            failed += replay(argv[1], entry->d_name) != 0;
        }
    }
    closedir(dir);
    printf("%d files, %d not read\n", files, failed);
    return failed == 0 && files > 0 ? 0 : 1;
}
