/* Text that grows while it is written: lines, and JSON where objects of a library would cost more than the text. A failed
 * allocation sticks: everything after it is left out, and fed_writer_take says so. */
#ifndef FED_COORDINATOR_HTTP_WRITER_H
#define FED_COORDINATOR_HTTP_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

struct fed_writer {
    char *bytes; /* owned, zero-terminated once anything was written */
    size_t n, room;
    bool failed;
};

void fed_writer_fini(struct fed_writer *writer);

void fed_writer_add(struct fed_writer *writer, const char *text);
void fed_writer_addf(struct fed_writer *writer, const char *format, ...) FED_PRINTF(2, 3);
/* The fewest digits that read back as the same double (fed_curve_number); not finite: nothing. */
void fed_writer_number(struct fed_writer *writer, double value);
/* JSON: a number or null; a quoted string, in which whatever is not printable ASCII stands as "?". */
void fed_writer_json_number(struct fed_writer *writer, double value);
void fed_writer_json_text(struct fed_writer *writer, const char *text);

/* The text, now the caller's; empty if nothing was written. FED_ENOMEM. */
int fed_writer_take(char **out, size_t *n, struct fed_writer *writer) FED_MUST_CHECK;

#endif
