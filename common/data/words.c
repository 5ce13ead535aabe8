#include "common/data/words.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/utf8.h"

#define SHOWN_MOST 40 /* bytes */

/* FNV-1a, whose low bits are good enough for a table that is at most two thirds full. */
static size_t hash(const char *text, size_t n) {
    uint64_t h = 0xcbf29ce484222325;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ (uint8_t)text[i]) * 0x100000001b3;
    }
    return (size_t)(h ^ h >> 32);
}

/* The slot where the word is, or where it belongs. There must be a free one. */
static size_t slot_of(const struct fed_words *words, const char *text, size_t n) {
    size_t mask = words->n_slots - 1, slot = hash(text, n) & mask;
    while (words->slots[slot] != 0) {
        const struct fed_word *word = &words->words[words->slots[slot] - 1];
        if (word->n == n && memcmp(words->text + word->at, text, n) == 0) {
            break;
        }
        slot = (slot + 1) & mask;
    }
    return slot;
}

static int grow_slots(struct fed_words *words) {
    size_t n_slots = words->n_slots == 0 ? 64 : 2 * words->n_slots;
    uint32_t *slots = calloc(n_slots, sizeof *slots);
    if (slots == NULL) {
        return FED_ENOMEM;
    }
    free(words->slots);
    words->slots = slots;
    words->n_slots = n_slots;
    for (uint32_t i = 0; i < words->n; i++) {
        slots[slot_of(words, words->text + words->words[i].at, words->words[i].n)] = i + 1;
    }
    return FED_OK;
}

static int make_room(struct fed_words *words, size_t n) {
    if (words->n == words->room) {
        uint32_t room = words->room == 0 ? 32 : 2 * words->room;
        struct fed_word *grown = room > words->room ? reallocarray(words->words, room, sizeof *grown) : NULL;
        if (grown == NULL) {
            return FED_ENOMEM;
        }
        words->words = grown;
        words->room = room;
    }
    if (words->text_room - words->n_text <= n) {
        size_t room = 2 * (words->n_text + n + 1);
        char *grown = realloc(words->text, room);
        if (grown == NULL) {
            return FED_ENOMEM;
        }
        words->text = grown;
        words->text_room = room;
    }
    return 3 * ((size_t)words->n + 1) > 2 * words->n_slots ? grow_slots(words) : FED_OK;
}

int fed_words_add(uint32_t *out, struct fed_words *words, const char *text, size_t n, size_t line) {
    *out = fed_words_find(words, text, n);
    if (*out != UINT32_MAX) {
        return FED_OK;
    }
    int rc = make_room(words, n);
    if (rc != FED_OK) {
        return rc;
    }
    words->slots[slot_of(words, text, n)] = words->n + 1;
    words->words[words->n] = (struct fed_word){.at = words->n_text, .n = n, .line = line};
    memcpy(words->text + words->n_text, text, n);
    words->text[words->n_text + n] = '\0';
    words->n_text += n + 1;
    *out = words->n++;
    return FED_OK;
}

uint32_t fed_words_find(const struct fed_words *words, const char *text, size_t n) {
    return words->n_slots == 0 ? UINT32_MAX : words->slots[slot_of(words, text, n)] - 1;
}

const char *fed_words_show(char out[FED_SHOWN], const char *text, size_t n) {
    size_t used = 0;
    const char *at = text, *end = text + n;
    while (at < end) {
        const char *next = at;
        uint32_t c = fed_utf8_next(&next);
        bool harmless = c != FED_UTF8_WRONG && !fed_utf8_is_control(c);
        size_t bytes = harmless ? (size_t)(next - at) : 1;
        if (used + bytes > SHOWN_MOST) {
            break;
        }
        memcpy(out + used, harmless ? at : "?", bytes);
        used += bytes;
        at = next;
    }
    strcpy(out + used, at < end ? "..." : "");
    return out;
}

void fed_words_fini(struct fed_words *words) {
    free(words->text);
    free(words->words);
    free(words->slots);
    *words = (struct fed_words){.n = 0};
}
