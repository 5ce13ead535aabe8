/* Texts to predict, mapped, and the windows into them: of one text, or of many roles in one file. Inside common/data only.
 *
 * A window is `unroll` characters of a stretch and the one behind them; window i of a stretch begins at i * unroll. */
#ifndef FED_COMMON_DATA_TEXT_H
#define FED_COMMON_DATA_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/data/words.h"

enum fed_text_part {
    FED_TEXT_WHOLE,       /* the file is one text */
    FED_TEXT_ROLES_TRAIN, /* of each role the first 80 % of its lines, rounded down, at least one */
    FED_TEXT_ROLES_TEST,  /* the other lines */
};

/* Neighbouring characters that windows do not leave. */
struct fed_stretch {
    size_t at, n;        /* in the map */
    size_t first_window; /* windows of the stretches before */
};

struct fed_text {
    const uint8_t *map; /* owned */
    size_t n_map;
    uint32_t unroll;
    struct fed_stretch *stretches; /* owned: (n_stretches), one a role */
    uint32_t n_stretches;
    struct fed_words roles; /* their names; empty for a whole text */
    size_t n_windows;
    size_t n_dropped;     /* characters that belong to no window */
    uint32_t n_too_short; /* roles without a window to train on: left out of both parts */
};

/* FED_EDATA names file and line: nothing there, no window, text before the first role, a role without a name or twice.
 * FED_ENOMEM. */
int fed_text_load(struct fed_text *out, const char *path, enum fed_text_part part, uint32_t unroll,
                  struct fed_error *err) FED_MUST_CHECK;
void fed_text_fini(struct fed_text *text);

/* The stretch that holds a window < n_windows, and the window's unroll + 1 characters. */
uint32_t fed_text_stretch(const struct fed_text *text, size_t window);
const uint8_t *fed_text_window(const struct fed_text *text, size_t window);

#endif
