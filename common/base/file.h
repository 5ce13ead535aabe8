/* Files that are whole or absent. Every error sentence names the path and what the system said. */
#ifndef FED_COMMON_BASE_FILE_H
#define FED_COMMON_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "common/base/status.h"

/* Opens a regular file for reading and says its size. FED_ENOTFOUND, FED_EIO. */
int fed_file_open(int *fd, size_t *n_bytes, const char *path, struct fed_error *err) FED_MUST_CHECK;

/* Reads a whole regular file of at most max bytes. *out is malloc'ed with one zero byte after the end; the caller owns it.
 * FED_ENOTFOUND, FED_EIO, FED_EDATA (too large), FED_ENOMEM. */
int fed_file_read(uint8_t **out, size_t *n_bytes, const char *path, size_t max, struct fed_error *err) FED_MUST_CHECK;

/* All n bytes, whatever one write takes. FED_EIO: errno says why. */
int fed_file_write_all(int fd, const void *bytes, size_t n) FED_MUST_CHECK;

/* The parts, one after the other, become the file: temporary name beside it, write, fsync, rename, fsync of the directory.
 * At every instant the path holds the old bytes or the new ones. One process writes a path, one call at a time. FED_EIO. */
int fed_file_replace(const char *path, const struct iovec *parts, int n_parts, mode_t mode,
                     struct fed_error *err) FED_MUST_CHECK;

/* The same for a file that something else wrote under a temporary name beside path: fsync, rename, fsync of the directory.
 * On failure the temporary file is removed. FED_EIO. */
int fed_file_settle(const char *temporary, const char *path, struct fed_error *err) FED_MUST_CHECK;

/* The name of a file or directory that was just made lasts: fsync of the directory it stands in. FED_EIO. */
int fed_file_sync_name(const char *path, struct fed_error *err) FED_MUST_CHECK;

/* Creates the directory and its missing parents (mode 0700 each), each to last. FED_EIO. */
int fed_file_make_dirs(const char *path, struct fed_error *err) FED_MUST_CHECK;

/* Takes an exclusive flock on path (created 0600 if missing) without waiting and writes the pid into it. *fd stays open
 * as long as the lock is wanted. FED_ELOCKED names the holder's pid; FED_EIO. */
int fed_file_lock(int *fd, const char *path, struct fed_error *err) FED_MUST_CHECK;

/* Whether path lies on a file system that several machines share (NFS, SMB, FUSE, Ceph and their kin), or none can tell:
 * memory mapped there is not shared between machines, and locks may not hold. */
bool fed_file_is_shared(const char *path);

/* Joins dir and name unless name is absolute. The caller owns *out. FED_ENOMEM. */
int fed_path_join(char **out, const char *dir, const char *name) FED_MUST_CHECK;
/* The directory part of path ("." where there is none). The caller owns *out. FED_ENOMEM. */
int fed_path_dir(char **out, const char *path) FED_MUST_CHECK;

#endif
