#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/doctor/doctor.h"

static struct fed_finding *add(struct fed_doctor *doctor, enum fed_finding_kind kind, int code, const char *advice) {
    if (doctor->n_found == doctor->room) {
        size_t room = doctor->room > 0 ? 2 * doctor->room : 32;
        struct fed_finding *more = reallocarray(doctor->found, room, sizeof *more);
        if (more == NULL) {
            doctor->out_of_memory = true;
            return NULL;
        }
        doctor->found = more;
        doctor->room = room;
    }
    struct fed_finding *finding = &doctor->found[doctor->n_found++];
    *finding = (struct fed_finding){.kind = kind, .code = code, .check = doctor->check};
    snprintf(finding->subject, sizeof finding->subject, "%s", doctor->subject);
    snprintf(finding->advice, sizeof finding->advice, "%s", advice != NULL ? advice : "");
    return finding;
}

static void word(struct fed_finding *finding, const char *format, va_list args) {
    if (finding != NULL) {
        vsnprintf(finding->what, sizeof finding->what, format, args);
    }
}

bool fed_doctor_ok(struct fed_doctor *doctor, const char *format, ...) {
    va_list args;
    va_start(args, format);
    word(add(doctor, FED_FINDING_OK, FED_OK, NULL), format, args);
    va_end(args);
    return true;
}

bool fed_doctor_note(struct fed_doctor *doctor, const char *advice, const char *format, ...) {
    va_list args;
    va_start(args, format);
    word(add(doctor, FED_FINDING_NOTE, FED_OK, advice), format, args);
    va_end(args);
    return true;
}

bool fed_doctor_problem(struct fed_doctor *doctor, int code, const char *advice, const char *format, ...) {
    va_list args;
    va_start(args, format);
    word(add(doctor, FED_FINDING_PROBLEM, code, advice), format, args);
    va_end(args);
    return false;
}

void fed_doctor_run_checks(struct fed_doctor *doctor, const struct fed_doctor_check *checks, size_t n) {
    bool goes_on = true;
    for (size_t i = 0; i < n && goes_on; i++) {
        doctor->check = checks[i].name;
        goes_on = checks[i].look(doctor);
    }
}

const char *fed_doctor_bytes(char out[32], uint64_t bytes) {
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1000;
        unit++;
    }
    snprintf(out, 32, unit > 0 && value < 10 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}
