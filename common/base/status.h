/* Result codes and the one-sentence error that travels with them.
 *
 * Whatever can fail returns int: 0 or one of these negative codes, each of which asks the caller for a different action.
 * Outputs come first and stay untouched on failure. A function whose failure a person has to act on takes a
 * struct fed_error last and fills it with one sentence: what, where, what is allowed. It is logged once, by whoever
 * decides what happens next; the code also fixes the exit code of a program (see fed_status_exit_code). */
#ifndef FED_COMMON_BASE_STATUS_H
#define FED_COMMON_BASE_STATUS_H

#include <stddef.h>

#define FED_MUST_CHECK __attribute__((warn_unused_result))
#define FED_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

enum fed_status {
    FED_OK = 0,
    FED_EFAILED = -1,       /* give up; the sentence says why */
    FED_ECONFIG = -2,       /* fix the flag, file or value that the sentence names */
    FED_EDATA = -3,         /* a data file is missing, damaged or of another kind */
    FED_ELOCKED = -4,       /* another process holds the run directory */
    FED_EMISMATCH = -5,     /* the run directory belongs to another task or a newer version */
    FED_EADDRESS = -6,      /* an address cannot be bound or resolved */
    FED_EKEY = -7,          /* a key file is missing, damaged or readable by others */
    FED_EPEER = -8,         /* the other side refused us: key not on the roster, wrong coordinator key, other version */
    FED_EIO = -9,           /* the disk refused: full, read-only, failing; nothing was lost, try again */
    FED_EINTERRUPTED = -10, /* stopped by a signal before the work was done */
    FED_EGIVENUP = -11,     /* tried as often as the task allows; the same again would fail again */
    FED_EDIFFERS = -12,     /* computed again, it came out otherwise than it is recorded */
    /* never reach an exit code: */
    FED_ENOMEM = -20,    /* an allocation failed: drop this piece of work */
    FED_EAGAIN = -21,    /* nothing there now, or no room now: wait for the next event */
    FED_EWIRE = -22,     /* bytes that are not a message of ours: drop, count */
    FED_ESEAL = -23,     /* did not open under this key: drop, count, ask again */
    FED_EGONE = -24,     /* the peer of this route has left */
    FED_ENOTFOUND = -25, /* no such entry */
};

/* One sentence for a person. Ownership: the caller's storage. A NULL pointer is allowed everywhere and means "not wanted".
 */
struct fed_error {
    char text[1024];
};

/* Fills err (if not NULL) and returns code, so that a failing function can end with `return fed_error_set(...)`. */
int fed_error_set(struct fed_error *err, int code, const char *format, ...) FED_PRINTF(3, 4);

/* Puts "prefix: " before the sentence already in err; returns code. */
int fed_error_prefix(struct fed_error *err, int code, const char *format, ...) FED_PRINTF(3, 4);

#ifdef __clang_analyzer__ /* it sees one file at a time: here is what these two return */
#define fed_error_set(err, code, ...) (fed_error_set(err, code, __VA_ARGS__), (code))
#define fed_error_prefix(err, code, ...) (fed_error_prefix(err, code, __VA_ARGS__), (code))
#endif

/* A few words for a code, for logs. Never NULL. */
const char *fed_status_text(int code);

/* The documented exit code of a program that ends because of this status: 0..12 (man 7 fedavg, EXIT STATUS). */
int fed_status_exit_code(int code);

#endif
