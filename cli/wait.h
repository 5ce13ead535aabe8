/* Progress of what takes long and cannot say how far it is (a file is read, a database checked): who waits is told what for,
 * from two seconds on. One line on stderr that changes on a terminal and is gone afterwards; plain lines, every ten seconds,
 * in a log. Nothing with --quiet; stdout is never touched. Work that can count its steps uses working.h. */
#ifndef FED_CLI_WAIT_H
#define FED_CLI_WAIT_H

#include <stdbool.h>

#include "common/base/busy.h"

/* "reading the training data (train.csv)". */
struct fed_busy *fed_wait_begin(bool quiet, const char *format, ...) FED_PRINTF(2, 3);
void fed_wait_end(struct fed_busy *busy);

#endif
