#include "client/sent_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/seal/digest.h"

int fed_sent_log_open(int *fd, const char *state_dir, struct fed_error *err) {
    char *path = NULL;
    int rc = fed_file_make_dirs(state_dir, err);
    if (rc != FED_OK) {
        return rc;
    }
    if (fed_path_join(&path, state_dir, "sent.log") != FED_OK) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory");
    }
    int file = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
        rc = fed_error_set(err, FED_EIO, "%s: cannot be opened for appending: %s", path, strerror(errno));
    } else if ((rc = fed_file_sync_name(path, err)) != FED_OK) { /* a record in a file that a power cut takes away is none */
        close(file);
    } else {
        (void)flock(file, LOCK_SH | LOCK_NB); /* where there are no locks, nobody is told */
        *fd = file;
    }
    free(path);
    return rc;
}

bool fed_sent_log_in_use(const char *state_dir) {
    char *path = NULL;
    if (fed_path_join(&path, state_dir, "sent.log") != FED_OK) {
        return false;
    }
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    bool used = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (fd >= 0) {
        close(fd);
    }
    free(path);
    return used;
}

int fed_sent_log_write(int fd, const struct fed_sent *sent, int64_t wall_ms, struct fed_error *err) {
    char run[33], model[FED_DIGEST_HEX], when[32], line[512], last = '\n';
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    fed_hex(run, sent->run_id, sizeof sent->run_id);
    fed_hex(model, sent->model_digest, sizeof sent->model_digest);
    struct stat before;
    if (fstat(fd, &before) != 0 || (before.st_size > 0 && pread(fd, &last, 1, before.st_size - 1) != 1)) {
        return fed_error_set(err, FED_EIO, "sent.log: cannot be read: %s", strerror(errno));
    }
    /* Half a line that a crash has left does not spoil this one. */
    int n = snprintf(line, sizeof line,
                     "%s%s run=%s round=%" PRIu64 " attempt=%" PRIu32 " model=%s clients=%" PRIu64 " examples=%" PRIu64
                     " bytes=%" PRIu64 "\n",
                     last == '\n' ? "" : "\n", when, run, sent->round, sent->attempt, model, sent->n_clients,
                     sent->n_examples, sent->n_bytes);
    ssize_t written = write(fd, line, (size_t)n);
    if (written != n || fdatasync(fd) != 0) {
        int why = written >= 0 && written != n ? ENOSPC : errno;
        /* Half a line would spoil the next one. Where even this fails, the line stays torn and still nothing is sent. */
        int rc = written > 0 ? ftruncate(fd, before.st_size) : 0;
        (void)rc;
        return fed_error_set(err, FED_EIO, "sent.log: cannot be written: %s; nothing is sent until it can", strerror(why));
    }
    return FED_OK;
}
