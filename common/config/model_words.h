/* The words of a model, as people write them and as terms carry them (UTF-8): the characters of a text and the names of
 * classes. What becomes of them is in struct fed_model_spec. */
#ifndef FED_COMMON_CONFIG_MODEL_WORDS_H
#define FED_COMMON_CONFIG_MODEL_WORDS_H

#include <stddef.h>

#include "common/base/status.h"
#include "common/model/model.h"

#define FED_VOCABULARY_TEXT (2 * FED_MAX_SYMBOLS + 1) /* bytes of a vocabulary in UTF-8, with the terminating zero */

/* A vocabulary: at least two code points of U+0001 to U+00FF, each once; each is the byte of that value, in the order of
 * the symbols. Sets symbols and n_symbols. FED_ECONFIG with what is wrong. */
int fed_model_words_symbols(struct fed_model_spec *spec, const char *text, struct fed_error *err) FED_MUST_CHECK;
/* The way back. Returns out. */
const char *fed_model_words_vocabulary(char out[FED_VOCABULARY_TEXT], const struct fed_model_spec *spec);

/* Adds a class: one line of text that no class before it has. FED_ECONFIG with what is wrong. */
int fed_model_words_add_class(struct fed_model_spec *spec, const char *name, struct fed_error *err) FED_MUST_CHECK;
/* Length of the name that classes begins with; the next one begins one byte further, unless this byte is the zero. */
size_t fed_model_words_class_length(const char *classes);

#endif
