/* What the files of the status report share. status_report.c: what a run directory knows. status_report_encode.c and
 * status_report_decode.c: the JSON object whose keys are listed in the header. */
#ifndef FED_COORDINATOR_STORE_STATUS_REPORT_INTERNAL_H
#define FED_COORDINATOR_STORE_STATUS_REPORT_INTERNAL_H

#include "coordinator/store/status_report.h"

/* Copies text into out (n bytes): what is too long is cut, what is not printable is "?". */
void fed_status_report_take(char *out, size_t n, const char *text);

#endif
