/* While a job is out, everything in it is the thread's; what the loop keeps for itself stands in struct fed_roster_live. */
#include "coordinator/nodes/roster_live.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/pool.h"
#include "common/config/roster_signed.h"
#include "common/seal/digest.h"

#define REFUSALS_SAID 10 /* entries named in the log at one load; the rest is a number */

struct seen { /* how the file looked */
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime;
};

struct job {
    struct fed_job job; /* first */
    struct fed_roster_live *live;
    bool adds;
    struct fed_roster_entry entry; /* adds */
    int rc;
    struct fed_error err;
    struct fed_roster_file file;
    struct seen seen; /* adds: how the file looked that holds what file holds */
};

struct fed_roster_live {
    const char *path;
    bool has_issuer;
    uint8_t issuer[FED_SIGN_KEY_BYTES];
    struct fed_pool *pool;
    struct job *at_hand; /* owned; out on the pool, or NULL */
    bool again;          /* reload behind it */
    struct seen seen;    /* as of the last watch or load */
    bool missing;        /* said that the file cannot be looked at */

    uint8_t (*verified)[FED_DIGEST_BYTES]; /* (n_verified) ascending; of the job, or of the loop when there is none */
    size_t n_verified;
};

/* -- the file ---------------------------------------------------------------------------------------------------------- */

static bool look(struct seen *out, const char *path) {
    struct stat st;
    if (stat(path, &st) != 0) {
        return false;
    }
    *out = (struct seen){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
    return true;
}

static bool same_look(const struct seen *a, const struct seen *b) {
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime.tv_sec == b->mtime.tv_sec &&
           a->mtime.tv_nsec == b->mtime.tv_nsec;
}

/* -- signatures -------------------------------------------------------------------------------------------------------- */

static int by_digest(const void *a, const void *b) { return memcmp(a, b, FED_DIGEST_BYTES); }

static bool verifies(const struct fed_roster_live *live, const struct fed_roster_entry *entry,
                     const uint8_t digest[FED_DIGEST_BYTES], struct fed_error *why) {
    return (live->n_verified > 0 &&
            bsearch(digest, live->verified, live->n_verified, FED_DIGEST_BYTES, by_digest) != NULL) ||
           fed_roster_entry_verify(entry, live->issuer, why) == 0;
}

static void say_refused(const struct fed_roster_live *live, const char *name, const char *why, size_t n) {
    if (n < REFUSALS_SAID) {
        FED_ERROR("roster", "entry refused", FED_STR("file", live->path), FED_STR("node", name), FED_STR("why", why));
    }
}

/* Marks what does not verify, and remembers what does. */
static int verify_all(struct fed_roster_live *live, struct fed_roster_file *file, struct fed_error *err) {
    if (!live->has_issuer) {
        return 0;
    }
    uint8_t(*verified)[FED_DIGEST_BYTES] = calloc(file->n_entries + 1, FED_DIGEST_BYTES);
    if (verified == NULL) {
        return fed_error_set(err, FED_ENOMEM, "%s: not enough memory", live->path);
    }
    size_t n = 0, refused = 0;
    for (size_t i = 0; i < file->n_entries; i++) {
        struct fed_roster_entry *entry = &file->entries[i];
        struct fed_error why;
        fed_roster_entry_digest(verified[n], entry);
        entry->refused = !verifies(live, entry, verified[n], &why);
        if (entry->refused) {
            say_refused(live, entry->name, why.text, refused++);
        } else {
            n++;
        }
    }
    if (refused > REFUSALS_SAID) {
        FED_ERROR("roster", "entries refused", FED_STR("file", live->path), FED_U64("all", refused));
    }
    qsort(verified, n, FED_DIGEST_BYTES, by_digest);
    free(live->verified);
    live->verified = verified;
    live->n_verified = n;
    return 0;
}

static int load(struct fed_roster_file *out, struct fed_roster_live *live, struct fed_error *err) {
    struct fed_roster_file file = {0};
    int rc = fed_roster_file_load(&file, live->path, err);
    if (rc == 0) {
        rc = verify_all(live, &file, err);
    }
    if (rc == 0) {
        *out = file;
    } else {
        fed_roster_file_fini(&file);
    }
    return rc;
}

/* -- jobs -------------------------------------------------------------------------------------------------------------- */

static bool is_there(const struct fed_roster_file *file, const struct fed_roster_entry *entry) {
    const struct fed_roster_entry *old = fed_roster_file_find(file, entry->name);
    return old != NULL && old->has_enrolment && memcmp(&old->keys, &entry->keys, sizeof entry->keys) == 0 &&
           memcmp(old->enrolment.certificate, entry->enrolment.certificate, FED_CERTIFICATE_BYTES) == 0;
}

static int add_locked(struct job *job) {
    struct fed_roster_live *live = job->live;
    (void)look(&job->seen, live->path);
    int rc = load(&job->file, live, &job->err);
    if (rc != 0 || is_there(&job->file, &job->entry)) {
        return rc == FED_ECONFIG ? FED_EIO : rc; /* a roster that is out of order is no fault of who joins */
    }
    rc = fed_roster_file_add(&job->file, &job->entry);
    if (rc != 0) {
        return fed_error_set(&job->err, rc, "%s: not enough memory", live->path);
    }
    rc = fed_roster_file_save(&job->file, live->path, &job->err);
    if (rc == 0) {
        (void)look(&job->seen, live->path); /* while the lock is held: later it may be the change of somebody else */
    }
    return rc;
}

static void run(struct fed_job *generic) {
    struct job *job = (struct job *)generic;
    struct fed_roster_live *live = job->live;
    int lock = -1;
    if (!job->adds) {
        job->rc = load(&job->file, live, &job->err);
        return;
    }
    job->rc = fed_roster_file_lock(&lock, live->path, &job->err);
    if (job->rc == 0) {
        job->rc = add_locked(job);
        close(lock);
    }
    if (job->rc != 0) {
        fed_roster_file_fini(&job->file);
    }
}

static int submit(struct fed_roster_live *live, const struct fed_roster_entry *entry) {
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        return FED_ENOMEM;
    }
    job->job.run = run;
    job->live = live;
    job->adds = entry != NULL;
    if (entry != NULL) {
        job->entry = *entry;
    }
    live->at_hand = job;
    fed_pool_submit(live->pool, &job->job);
    return 0;
}

/* -- the loop's side --------------------------------------------------------------------------------------------------- */

int fed_roster_live_new(struct fed_roster_live **out, const char *path, const uint8_t issuer[FED_SIGN_KEY_BYTES],
                        struct fed_error *err) {
    struct fed_roster_live *live = calloc(1, sizeof *live);
    if (live == NULL) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory for the roster");
    }
    live->path = path;
    live->has_issuer = issuer != NULL;
    if (issuer != NULL) {
        memcpy(live->issuer, issuer, sizeof live->issuer);
    }
    int rc = fed_pool_new(&live->pool, "fed-roster", 1, err);
    if (rc != 0) {
        free(live);
        return rc;
    }
    *out = live;
    return 0;
}

void fed_roster_live_free(struct fed_roster_live *live) {
    if (live == NULL) {
        return;
    }
    fed_pool_free(live->pool);
    if (live->at_hand != NULL) {
        fed_roster_file_fini(&live->at_hand->file);
        free(live->at_hand);
    }
    free(live->verified);
    free(live);
}

int fed_roster_live_load(struct fed_roster_file *out, struct fed_roster_live *live, struct fed_error *err) {
    (void)look(&live->seen, live->path); /* before it is read: what is written meanwhile is read again */
    return load(out, live, err);
}

void fed_roster_live_reload(struct fed_roster_live *live) {
    (void)look(&live->seen, live->path);
    live->again = live->at_hand != NULL || submit(live, NULL) != 0;
}

void fed_roster_live_try_again(struct fed_roster_live *live) { live->again = true; }

void fed_roster_live_watch(struct fed_roster_live *live) {
    struct seen now;
    bool there = look(&now, live->path);
    if (!there && !live->missing) {
        FED_WARN("roster", "cannot be looked at, the one at hand holds", FED_STR("file", live->path));
    }
    live->missing = !there;
    if (there && !same_look(&now, &live->seen)) {
        live->seen = now;
        live->again = true;
    }
    if (live->again && live->at_hand == NULL) {
        live->again = submit(live, NULL) != 0;
    }
}

int fed_roster_live_add(struct fed_roster_live *live, const struct fed_roster_entry *entry) {
    return live->at_hand != NULL ? FED_EAGAIN : submit(live, entry);
}

int fed_roster_live_fd(const struct fed_roster_live *live) { return fed_pool_fd(live->pool); }

bool fed_roster_live_finished(struct fed_roster_live_result *out, struct fed_roster_live *live) {
    struct job *job = (struct job *)fed_pool_finished(live->pool);
    if (job == NULL) {
        return false;
    }
    *out = (struct fed_roster_live_result){.added = job->adds, .rc = job->rc, .err = job->err, .file = job->file};
    live->at_hand = NULL;
    if (job->adds && job->rc == 0) {
        live->seen = job->seen; /* what we wrote ourselves is at hand */
    }
    free(job);
    if (live->again) {
        live->again = submit(live, NULL) != 0;
    }
    return true;
}
