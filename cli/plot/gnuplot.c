/* Script, picture and complaints are files in memory, so nobody waits for anybody to read.
 *
 * Everything that others chose (titles, names of tasks, paths) stands in the script between single quotes, within which
 * gnuplot knows nothing but the doubled quote: no backslashes, no `commands`, no @macros. The terminal is told `noenhanced`,
 * else it would read _ and ^ and {} in texts as markup. */
#include "cli/plot/gnuplot.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/utf8.h"

#define PICTURE_MAX ((size_t)256 << 20)
#define NO_PROGRAM 127

void fed_gnuplot_quote(FILE *script, const char *text) {
    fputc('\'', script);
    while (*text != '\0') {
        const char *from = text;
        uint32_t c = fed_utf8_next(&text);
        if (c == FED_UTF8_WRONG || fed_utf8_is_control(c)) {
            fputc('?', script);
        } else if (c == '\'') {
            fputs("''", script);
        } else {
            fwrite(from, 1, (size_t)(text - from), script);
        }
    }
    fputc('\'', script);
}

enum { SCRIPT, PICTURE, COMPLAINTS, N_FILES };

static int open_files(int files[N_FILES], const char *script, size_t n, struct fed_error *err) {
    static const char *const names[N_FILES] = {"gnuplot-script", "gnuplot-picture", "gnuplot-complaints"};
    for (int i = 0; i < N_FILES; i++) {
        files[i] = memfd_create(names[i], MFD_CLOEXEC);
        if (files[i] < 0) {
            return fed_error_set(err, FED_EFAILED, "cannot make room for a picture: %s", strerror(errno));
        }
    }
    return fed_file_write_all(files[SCRIPT], script, n) == FED_OK && lseek(files[SCRIPT], 0, SEEK_SET) == 0
               ? FED_OK
               : fed_error_set(err, FED_EFAILED, "cannot make room for a picture: %s", strerror(errno));
}

/* Numbers with a point and UTF-8, whatever the user's language; fonts are looked for as usual. */
static char **environment(void) {
    static char locale[] = "LC_ALL=C.UTF-8";
    static const char *const kept[] = {
        "PATH=", "HOME=", "TMPDIR=", "FONTCONFIG_FILE=", "FONTCONFIG_PATH=", "XDG_CACHE_HOME="};
    enum { N_KEPT = sizeof kept / sizeof *kept };
    static char *out[N_KEPT + 2];
    size_t n = 0;
    out[n++] = locale;
    for (size_t i = 0; i < N_KEPT; i++) {
        for (char **at = environ; *at != NULL; at++) {
            if (strncmp(*at, kept[i], strlen(kept[i])) == 0) {
                out[n++] = *at;
                break;
            }
        }
    }
    out[n] = NULL;
    return out;
}

static int start(pid_t *pid, const int files[N_FILES]) {
    static char program[] = "gnuplot", defaults[] = "-d", from_stdin[] = "-";
    char *const argv[] = {program, defaults, from_stdin, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0) {
        return rc;
    }
    rc = posix_spawnattr_init(&attributes);
    if (rc == 0) {
        sigemptyset(&none);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
        for (int i = 0; i < N_FILES && rc == 0; i++) {
            rc = posix_spawn_file_actions_adddup2(&actions, files[i], i);
        }
        rc = rc == 0 ? posix_spawnp(pid, program, &actions, &attributes, argv, environment()) : rc;
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static int not_installed(struct fed_error *err) {
    return fed_error_set(err, FED_ECONFIG,
                         "gnuplot draws the charts and is not installed: `apt-get install gnuplot-nox` (Debian, Ubuntu), or "
                         "--json for the numbers");
}

/* The caller owns *out, which is zero-terminated. */
static int read_all(uint8_t **out, size_t *n, int fd, size_t max) {
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_size < 0 || (size_t)st.st_size > max) {
        return FED_EFAILED;
    }
    uint8_t *bytes = malloc((size_t)st.st_size + 1);
    size_t done = 0;
    while (bytes != NULL && done < (size_t)st.st_size) {
        ssize_t got = pread(fd, bytes + done, (size_t)st.st_size - done, (off_t)done);
        if (got <= 0 && errno != EINTR) {
            break;
        }
        done += got > 0 ? (size_t)got : 0;
    }
    if (bytes == NULL) {
        return FED_ENOMEM;
    }
    bytes[done] = '\0';
    *out = bytes;
    *n = done;
    return FED_OK;
}

/* The first line of its complaints that says something: it shows the line of the script and a caret before. */
static void complaint(char *out, size_t n, int fd) {
    uint8_t *text = NULL;
    size_t length, used = 0;
    out[0] = '\0';
    if (read_all(&text, &length, fd, 1 << 20) != FED_OK) {
        return;
    }
    const char *at = strstr((const char *)text, "line ");
    for (at = at != NULL ? at : (const char *)text; *at != '\0' && used + 1 < n; at++) {
        if (*at == '\n' && used > 0) {
            break;
        }
        if (*at != '\n') {
            out[used++] = (char)(*at >= ' ' && *at <= '~' ? *at : '?');
        }
    }
    out[used] = '\0';
    free(text);
}

static int finish(uint8_t **out, size_t *n, const int files[N_FILES], int status, struct fed_error *err) {
    char said[256];
    complaint(said, sizeof said, files[COMPLAINTS]);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_PROGRAM) {
        return not_installed(err);
    }
    if (WIFSIGNALED(status)) {
        return fed_error_set(err, FED_EFAILED, "gnuplot was ended by signal %d", WTERMSIG(status));
    }
    if (WEXITSTATUS(status) != 0) {
        return fed_error_set(err, FED_EFAILED, "gnuplot failed: %s", said[0] != '\0' ? said : "it does not say why");
    }
    uint8_t *picture = NULL;
    size_t length = 0;
    int code = read_all(&picture, &length, files[PICTURE], PICTURE_MAX);
    if (code != FED_OK) {
        return fed_error_set(err, code, "cannot read the picture that gnuplot drew");
    }
    if (length == 0) {
        free(picture);
        return fed_error_set(err, FED_EFAILED, "gnuplot drew nothing: %s", said[0] != '\0' ? said : "it does not say why");
    }
    if (said[0] != '\0') {
        fprintf(stderr, "gnuplot: %s\n", said);
    }
    *out = picture;
    *n = length;
    return FED_OK;
}

int fed_gnuplot_run(uint8_t **out, size_t *n, const char *script, size_t n_script, struct fed_error *err) {
    int files[N_FILES] = {-1, -1, -1}, status = 0, rc;
    pid_t pid = -1;
    int code = open_files(files, script, n_script, err);
    if (code != FED_OK) {
        goto out;
    }
    rc = start(&pid, files);
    if (rc != 0) {
        code = rc == ENOENT ? not_installed(err) : fed_error_set(err, FED_EFAILED, "cannot start gnuplot: %s", strerror(rc));
        goto out;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    code = finish(out, n, files, status, err);
out:
    for (int i = 0; i < N_FILES; i++) {
        if (files[i] >= 0) {
            close(files[i]);
        }
    }
    return code;
}
