#include "coordinator/nodes/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIR_OVERHEAD 3 /* ., .., and the descriptor that looks */

/* Without a free descriptor the folder cannot be opened either, which says all there is to know. */
static int count_entries(uint64_t *out, uint64_t limit) {
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        *out = limit;
        return limit < UINT64_MAX ? FED_OK : FED_EIO;
    }
    uint64_t n = 0;
    while (readdir(dir) != NULL) {
        n++;
    }
    closedir(dir);
    *out = n > DIR_OVERHEAD ? n - DIR_OVERHEAD : 0;
    return FED_OK;
}

int fed_descriptors_count(struct fed_descriptors *out) {
    struct rlimit files;
    struct stat folder;
    uint64_t used = 0, limit = UINT64_MAX;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY) {
        limit = files.rlim_cur;
    }
    int rc = stat("/proc/self/fd", &folder) == 0 ? FED_OK : FED_EIO;
    if (rc == FED_OK && folder.st_size > 0) {
        used = (uint64_t)folder.st_size;
    } else if (rc == FED_OK) {
        rc = count_entries(&used, limit);
    }
    if (rc == FED_OK) {
        *out = (struct fed_descriptors){used, limit};
    }
    return rc;
}

bool fed_descriptors_short(const struct fed_descriptors *now, bool was_short) {
    uint64_t tenth = now->limit / 10;
    return now->limit < UINT64_MAX && now->used > (was_short ? 8 : 9) * tenth;
}

void fed_descriptors_put_by(struct fed_descriptors_reserve *reserve) {
    while (reserve->n < FED_DESCRIPTORS_RESERVED) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            return;
        }
        reserve->fds[reserve->n++] = fd;
    }
}

void fed_descriptors_release(struct fed_descriptors_reserve *reserve) {
    while (reserve->n > 0) {
        close(reserve->fds[--reserve->n]);
    }
}
