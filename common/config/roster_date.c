/* Dates of a roster: days, or seconds where it matters, always UTC. One spelling of each, so that what is written reads back
 * as itself. */
#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "common/config/roster_file.h"

/* The value of text where it matches the form, in which every 0 stands for a digit; else false. */
static bool matches(const char *text, const char *form) {
    size_t i = 0;
    for (; form[i] != '\0' && text[i] != '\0'; i++) {
        if (form[i] == '0' ? !isdigit((unsigned char)text[i]) : text[i] != form[i]) {
            return false;
        }
    }
    return form[i] == text[i];
}

int fed_roster_date_parse(int64_t *out, const char *text) {
    struct tm tm = {0};
    bool with_time = matches(text, "0000-00-00T00:00:00Z");
    if (!with_time && !matches(text, "0000-00-00")) {
        return FED_ECONFIG;
    }
    const char *end = strptime(text, with_time ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%d", &tm);
    if (end == NULL || *end != '\0') {
        return FED_ECONFIG;
    }
    struct tm given = tm;
    time_t seconds = timegm(&tm);
    if (seconds <= 0 || tm.tm_mday != given.tm_mday || tm.tm_sec != given.tm_sec) { /* 30 February became 2 March */
        return FED_ECONFIG;
    }
    *out = seconds;
    return 0;
}

void fed_roster_date_format(char out[FED_ROSTER_DATE_MAX], int64_t seconds) {
    time_t t = (time_t)seconds;
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, FED_ROSTER_DATE_MAX, seconds % 86400 == 0 ? "%Y-%m-%d" : "%Y-%m-%dT%H:%M:%SZ", &tm);
}
