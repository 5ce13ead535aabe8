/* The roster's file while a coordinator runs: loaded, verified and extended on a thread of its own, one thing at a time, so
 * that the loop never waits for it. With an enrolment key every entry must verify under it; one that does not is named in
 * the log and marked as refused, and the others hold. Signatures that verified once are not verified again. */
#ifndef FED_COORDINATOR_NODES_ROSTER_LIVE_H
#define FED_COORDINATOR_NODES_ROSTER_LIVE_H

#include "common/config/roster_file.h"

struct fed_roster_live;

struct fed_roster_live_result {
    bool added;                  /* answers fed_roster_live_add, else a reload */
    int rc;                      /* 0: file holds. FED_ECONFIG: a rule forbids it; FED_EIO, FED_ELOCKED: not now */
    struct fed_error err;        /* the sentence */
    struct fed_roster_file file; /* the caller's */
};

/* path is borrowed. issuer NULL: entries need not be signed. FED_ENOMEM, FED_EFAILED. */
int fed_roster_live_new(struct fed_roster_live **out, const char *path, const uint8_t issuer[FED_SIGN_KEY_BYTES],
                        struct fed_error *err) FED_MUST_CHECK;
/* Waits for what is being written; NULL is allowed. */
void fed_roster_live_free(struct fed_roster_live *live);

/* At the start, on the calling thread. */
int fed_roster_live_load(struct fed_roster_file *out, struct fed_roster_live *live, struct fed_error *err) FED_MUST_CHECK;

/* Once more, behind what is at hand. */
void fed_roster_live_reload(struct fed_roster_live *live);
/* The same where the file was replaced or written to since it was last looked at. For every tick. */
void fed_roster_live_watch(struct fed_roster_live *live);
/* What was read could not be taken up: once more, with the next watch. */
void fed_roster_live_try_again(struct fed_roster_live *live);
/* Puts an accepted entry into the file, under its lock; one that is there already is as good. FED_EAGAIN: busy. FED_ENOMEM.
 */
int fed_roster_live_add(struct fed_roster_live *live, const struct fed_roster_entry *entry) FED_MUST_CHECK;

int fed_roster_live_fd(const struct fed_roster_live *live);
/* True: something was finished. */
bool fed_roster_live_finished(struct fed_roster_live_result *out, struct fed_roster_live *live);

#endif
