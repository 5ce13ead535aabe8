/* A line is put together whole and leaves in one write(2), so lines of many threads and processes never mix.
 * A text line is at most LINE_BYTES long, which a pipe takes in one piece; what does not fit is cut off with "...". */
#include "common/base/log.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"

#define LINE_BYTES 4096
#define CUT "...\n"

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const char *const format_names[] = {"text", "json"};

static const char *const priorities[] = {"<3>", "<4>", "<6>", "<7>"}; /* sd-daemon(3) */

static enum fed_log_format log_format = FED_LOG_TEXT;
static enum fed_log_level log_least = FED_LOG_INFO;
static bool log_to_journal;
static _Thread_local const struct fed_log_sink *log_sink;

/* systemd.exec(5): JOURNAL_STREAM is "device:inode" of the stream that was connected; it is inherited by programs whose
 * stderr has gone elsewhere meanwhile. */
static bool stderr_is_journal(void) {
    const char *stream = getenv("JOURNAL_STREAM");
    uintmax_t device, inode;
    struct stat st;
    int end = 0;
    return stream != NULL && sscanf(stream, "%ju:%ju%n", &device, &inode, &end) == 2 && stream[end] == '\0' &&
           fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void fed_log_setup(enum fed_log_format format, enum fed_log_level least) {
    log_format = format;
    log_least = least;
    log_to_journal = stderr_is_journal();
}

static const char *priority_of(enum fed_log_level level) { return log_to_journal ? priorities[level] : ""; }

int fed_log_parse_format(enum fed_log_format *out, const char *text) {
    for (int i = 0; i < 2; i++) {
        if (strcmp(text, format_names[i]) == 0) {
            *out = (enum fed_log_format)i;
            return 0;
        }
    }
    return FED_ENOTFOUND;
}

int fed_log_parse_level(enum fed_log_level *out, const char *text) {
    for (int i = 0; i < 4; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *out = (enum fed_log_level)i;
            return 0;
        }
    }
    return FED_ENOTFOUND;
}

const struct fed_log_sink *fed_log_redirect(const struct fed_log_sink *sink) {
    const struct fed_log_sink *before = log_sink;
    log_sink = sink;
    return before;
}

static void write_all(const char *bytes, size_t n) {
    while (n > 0) {
        ssize_t done = write(STDERR_FILENO, bytes, n);
        if (done < 0 && errno != EINTR) {
            return; /* nobody is left to be told */
        }
        if (done > 0) {
            bytes += done;
            n -= (size_t)done;
        }
    }
}

struct line {
    size_t n;
    char bytes[LINE_BYTES];
};

static void put(struct line *line, const char *format, ...) FED_PRINTF(2, 3);
static void put(struct line *line, const char *format, ...) {
    size_t room = sizeof line->bytes - line->n;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line->bytes + line->n, room, format, args);
    va_end(args);
    if (n > 0) {
        line->n += (size_t)n < room ? (size_t)n : room - 1;
    }
}

/* Values that a reader could take for something else stand in quotes, and none can start a new line. */
static void put_text(struct line *line, const char *text) {
    bool plain = *text != '\0';
    for (const char *p = text; *p != '\0' && plain; p++) {
        unsigned char c = (unsigned char)*p;
        plain = c > ' ' && c != 0x7f && c != '"' && c != '\\' && c != '=';
    }
    if (plain) {
        put(line, "%s", text);
        return;
    }
    put(line, "\"");
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\') {
            put(line, "\\%c", c);
        } else if (c == '\n') {
            put(line, "\\n");
        } else if (c < ' ' || c == 0x7f) {
            put(line, "\\x%02x", c);
        } else {
            put(line, "%c", c);
        }
    }
    put(line, "\"");
}

static void end_line(struct line *line) {
    if (line->n + 1 < sizeof line->bytes) {
        line->bytes[line->n++] = '\n';
    } else {
        line->n = sizeof line->bytes;
        memcpy(line->bytes + line->n - strlen(CUT), CUT, strlen(CUT));
    }
    write_all(line->bytes, line->n);
}

static void put_event(struct line *line, const char *room, const char *event, const struct fed_field *fields) {
    put(line, "%s %s", room, event);
    for (const struct fed_field *f = fields; f->key != NULL; f++) {
        put(line, " %s=", f->key);
        switch (f->kind) {
        case FED_FIELD_STR: put_text(line, f->as.str == NULL ? "" : f->as.str); break;
        case FED_FIELD_U64: put(line, "%" PRIu64, f->as.u64); break;
        case FED_FIELD_I64: put(line, "%" PRId64, f->as.i64); break;
        case FED_FIELD_F64: put(line, "%.6g", f->as.f64); break;
        }
    }
}

static void write_text(enum fed_log_level level, const char *room, const char *event, const struct fed_field *fields) {
    struct line line = {.n = 0};
    put(&line, "%s%s ", priority_of(level), level_names[level]);
    put_event(&line, room, event, fields);
    end_line(&line);
}

static void hand_over(const struct fed_log_sink *sink, enum fed_log_level level, const char *room, const char *event,
                      const struct fed_field *fields) {
    struct line line = {.n = 0};
    if (level <= sink->least) {
        put_event(&line, room, event, fields);
        sink->take(sink->context, level, line.bytes);
    }
}

/* JSON is UTF-8; bytes that are not become '?'. */
static json_t *json_text(const char *text) {
    json_t *value = json_string(text);
    char *ascii = value == NULL ? strdup(text) : NULL;
    if (ascii != NULL) {
        for (char *p = ascii; *p != '\0'; p++) {
            *p = isascii((unsigned char)*p) ? *p : '?';
        }
        value = json_string(ascii);
        free(ascii);
    }
    return value;
}

static json_t *json_value(const struct fed_field *f) {
    char digits[24];
    switch (f->kind) {
    case FED_FIELD_STR: return f->as.str == NULL ? json_null() : json_text(f->as.str);
    case FED_FIELD_I64: return json_integer(f->as.i64);
    case FED_FIELD_F64: return isfinite(f->as.f64) ? json_real(f->as.f64) : json_null();
    case FED_FIELD_U64:
        if (f->as.u64 <= INT64_MAX) {
            return json_integer((json_int_t)f->as.u64);
        }
        snprintf(digits, sizeof digits, "%" PRIu64, f->as.u64); /* jansson's integers are signed */
        return json_string(digits);
    }
    return NULL;
}

static void put_time(char out[32]) {
    int64_t ms = fed_clock_wall_ms();
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t n = strftime(out, 24, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out + n, 32 - n, ".%03dZ", (int)(ms % 1000));
}

/* False when memory ran out. */
static bool write_json(enum fed_log_level level, const char *room, const char *event, const struct fed_field *fields) {
    char now[32];
    put_time(now);
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:s}", "time", now, "level", level_names[level], "room", room, "event", event);
    char *text = NULL;
    bool ok = object != NULL;
    for (const struct fed_field *f = fields; ok && f->key != NULL; f++) {
        ok = json_object_set_new(object, f->key, json_value(f)) == 0;
    }
    if (ok) {
        text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9));
    }
    json_decref(object);
    if (text == NULL) {
        return false;
    }
    char *line = NULL;
    int n = asprintf(&line, "%s%s\n", priority_of(level), text);
    free(text);
    if (n < 0) {
        return false;
    }
    write_all(line, (size_t)n);
    free(line);
    return true;
}

void fed_log_write(enum fed_log_level level, const char *room, const char *event, const struct fed_field *fields) {
    int saved_errno = errno;
    if (log_sink != NULL) {
        hand_over(log_sink, level, room, event, fields);
    } else if (level <= log_least && (log_format == FED_LOG_TEXT || !write_json(level, room, event, fields))) {
        write_text(level, room, event, fields);
    }
    errno = saved_errno;
}

void fed_log_failure(const char *program, int code, const char *sentence) {
    bool stopped = code == FED_EINTERRUPTED;
    enum fed_log_level level = stopped ? FED_LOG_INFO : FED_LOG_ERROR;
    const struct fed_field fields[] = {FED_STR("why", sentence), {.key = NULL}};
    if (log_format == FED_LOG_JSON && write_json(level, program, stopped ? "stopped" : "failed", fields)) {
        return;
    }
    struct line line = {.n = 0};
    put(&line, "%s%s: %s", priority_of(level), program, sentence);
    end_line(&line);
}
