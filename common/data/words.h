/* A set of different texts, numbered in the order in which they first came, with the line where that was: labels, groups,
 * names of columns. Inside common/data only. */
#ifndef FED_COMMON_DATA_WORDS_H
#define FED_COMMON_DATA_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

struct fed_word {
    size_t at, n; /* in the text */
    size_t line;
};

/* Zeroed = empty. */
struct fed_words {
    char *text; /* owned: every word with a zero behind it */
    size_t n_text, text_room;
    struct fed_word *words; /* owned: (n) */
    uint32_t n, room;
    uint32_t *slots; /* owned: (n_slots) number of a word + 1, 0: free */
    size_t n_slots;  /* a power of two, more than 3/2 n */
};

/* The number of the word, which is `words->n - 1` if it is new. FED_ENOMEM. */
int fed_words_add(uint32_t *out, struct fed_words *words, const char *text, size_t n, size_t line) FED_MUST_CHECK;
/* UINT32_MAX if there is no such word. */
uint32_t fed_words_find(const struct fed_words *words, const char *text, size_t n);
void fed_words_fini(struct fed_words *words);

/* Zero-terminated; borrowed until the next word is added. */
static inline const char *fed_words_text(const struct fed_words *words, uint32_t i) {
    return words->text + words->words[i].at;
}

#define FED_SHOWN 48
/* As much of it as a sentence shows: whole characters of up to 40 bytes, dots if there are more; control characters, and
 * bytes that are not UTF-8, as "?". text: n characters, then a zero. Returns out. */
const char *fed_words_show(char out[FED_SHOWN], const char *text, size_t n);

#endif
