#include "coordinator/http/writer.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/store/curve.h"

#define FIRST_ROOM 1024

void fed_writer_fini(struct fed_writer *writer) {
    free(writer->bytes);
    *writer = (struct fed_writer){0};
}

/* Room for n more bytes and the zero. */
static bool make_room(struct fed_writer *writer, size_t n) {
    size_t room = writer->room > 0 ? writer->room : FIRST_ROOM;
    if (writer->failed || n >= SIZE_MAX / 4 - writer->n) {
        writer->failed = true;
        return false;
    }
    while (room <= writer->n + n) {
        room *= 2;
    }
    if (room > writer->room) {
        char *bytes = realloc(writer->bytes, room);
        writer->failed = bytes == NULL;
        if (bytes == NULL) {
            return false;
        }
        writer->bytes = bytes;
        writer->room = room;
    }
    return true;
}

static void add_bytes(struct fed_writer *writer, const char *bytes, size_t n) {
    if (make_room(writer, n)) {
        assert(writer->bytes != NULL);
        memcpy(writer->bytes + writer->n, bytes, n);
        writer->n += n;
        writer->bytes[writer->n] = '\0';
    }
}

void fed_writer_add(struct fed_writer *writer, const char *text) { add_bytes(writer, text, strlen(text)); }

void fed_writer_addf(struct fed_writer *writer, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int n = vsnprintf(NULL, 0, format, arguments);
    if (n >= 0 && make_room(writer, (size_t)n)) {
        vsnprintf(writer->bytes + writer->n, (size_t)n + 1, format, again);
        writer->n += (size_t)n;
    }
    va_end(again);
    va_end(arguments);
}

void fed_writer_number(struct fed_writer *writer, double value) {
    char text[FED_CURVE_NUMBER_MAX];
    if (isfinite(value)) {
        fed_curve_number(text, value);
        fed_writer_add(writer, text);
    }
}

void fed_writer_json_number(struct fed_writer *writer, double value) {
    if (isfinite(value)) {
        fed_writer_number(writer, value);
    } else {
        fed_writer_add(writer, "null");
    }
}

void fed_writer_json_text(struct fed_writer *writer, const char *text) {
    fed_writer_add(writer, "\"");
    for (const char *c = text; *c != '\0'; c++) {
        char shown[3] = {*c, '\0', '\0'};
        if (*c == '"' || *c == '\\') {
            shown[0] = '\\';
            shown[1] = *c;
        } else if (*c < 0x20 || *c > 0x7e) {
            shown[0] = '?';
        }
        fed_writer_add(writer, shown);
    }
    fed_writer_add(writer, "\"");
}

int fed_writer_take(char **out, size_t *n, struct fed_writer *writer) {
    if (!writer->failed && writer->bytes == NULL) {
        fed_writer_add(writer, "");
    }
    if (writer->failed) {
        fed_writer_fini(writer);
        return FED_ENOMEM;
    }
    *out = writer->bytes;
    *n = writer->n;
    *writer = (struct fed_writer){0};
    return FED_OK;
}
