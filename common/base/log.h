/* One event, one line, on stderr: `level room event key=value ...`, or one JSON object with --log-format json.
 *
 *     FED_INFO("round", "committed", FED_U64("round", r), FED_STR("model", hex));
 *
 * Where stderr is the systemd journal (JOURNAL_STREAM names it), every line begins with its priority, "<6>", which the
 * journal takes off and keeps as a field. Thread-safe: a line is written by a single write(2). Nothing secret is ever a
 * field. */
#ifndef FED_COMMON_BASE_LOG_H
#define FED_COMMON_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

enum fed_log_level { FED_LOG_ERROR, FED_LOG_WARN, FED_LOG_INFO, FED_LOG_DEBUG };
enum fed_log_format { FED_LOG_TEXT, FED_LOG_JSON };

enum fed_field_kind { FED_FIELD_STR, FED_FIELD_U64, FED_FIELD_I64, FED_FIELD_F64 };
struct fed_field {
    const char *key; /* [a-z_]+ */
    enum fed_field_kind kind;
    union {
        const char *str;
        uint64_t u64;
        int64_t i64;
        double f64;
    } as;
};
#define FED_STR(k, v) ((struct fed_field){.key = (k), .kind = FED_FIELD_STR, .as.str = (v)})
#define FED_U64(k, v) ((struct fed_field){.key = (k), .kind = FED_FIELD_U64, .as.u64 = (v)})
#define FED_I64(k, v) ((struct fed_field){.key = (k), .kind = FED_FIELD_I64, .as.i64 = (v)})
#define FED_F64(k, v) ((struct fed_field){.key = (k), .kind = FED_FIELD_F64, .as.f64 = (v)})

/* The first field is there for the comma behind it, which goes where an event has no fields; the last one ends the list. */
#define FED_LOG(level, room, event, ...)                                                                                    \
    fed_log_write((level), (room), (event), (const struct fed_field[]){{.key = NULL}, ##__VA_ARGS__, {.key = NULL}} + 1)
#define FED_ERROR(room, ...) FED_LOG(FED_LOG_ERROR, room, __VA_ARGS__)
#define FED_WARN(room, ...) FED_LOG(FED_LOG_WARN, room, __VA_ARGS__)
#define FED_INFO(room, ...) FED_LOG(FED_LOG_INFO, room, __VA_ARGS__)
#define FED_DEBUG(room, ...) FED_LOG(FED_LOG_DEBUG, room, __VA_ARGS__)

/* Default: text, info, not the journal. Looks whether stderr is the journal. Call before threads start. */
void fed_log_setup(enum fed_log_format format, enum fed_log_level least);
/* FED_ENOTFOUND unless text is "text" or "json"; "error", "warn", "info" or "debug". */
int fed_log_parse_format(enum fed_log_format *out, const char *text) FED_MUST_CHECK;
int fed_log_parse_level(enum fed_log_level *out, const char *text) FED_MUST_CHECK;

/* Where the lines of one thread go instead of standard error: to a function that is handed the event without its level, as
 * text, `room event key=value ...`. */
struct fed_log_sink {
    enum fed_log_level least;
    void (*take)(void *context, enum fed_log_level level, const char *line);
    void *context;
};
/* For the calling thread; sink is borrowed until the next call, NULL: standard error. Returns what it was before. */
const struct fed_log_sink *fed_log_redirect(const struct fed_log_sink *sink);

/* fields ends with an entry whose key is NULL. */
void fed_log_write(enum fed_log_level level, const char *room, const char *event, const struct fed_field *fields);

/* The one sentence with which a program ends: "program: sentence", or an event `failed` of the room `program` with the
 * field `why` where events are JSON. Written whatever the level. With the code FED_EINTERRUPTED, as it was asked to, it is
 * an info (to the journal too), and the event is `stopped`. */
void fed_log_failure(const char *program, int code, const char *sentence);

#endif
