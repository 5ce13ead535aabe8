/* What the files of the settings share, and nobody else uses:
 *
 *     setting.c        one scalar: text -> field                settings_read.c  a whole file -> a struct
 *     setting_path.c   paths of keys, known and mistyped        settings_say.c   sentences, each with its place in the file
 */
#ifndef FED_COMMON_CONFIG_SETTING_INTERNAL_H
#define FED_COMMON_CONFIG_SETTING_INTERNAL_H

#include "common/config/setting.h"

#define FED_SETTING_PATH_MAX 1024 /* longer than any path of a file; --set is cut, which makes it unknown */
#define FED_SETTING_SHOWN 60      /* characters of a wrong value that a sentence repeats */

/* "model.layers[12].units" -> "model.layers[].units". What is not written as an index is (from --set: "[]", "[01]") stays
 * and gets a mark, so that it is not known. */
void fed_setting_path_plain(char out[FED_SETTING_PATH_MAX], const char *path);
/* Whether long_path lies below path: "a.b" and "a[0]" are below "a". */
bool fed_setting_path_below(const char *long_path, const char *path);
bool fed_setting_is_of_item(const struct fed_setting *row);
/* The key that was probably meant. "" where nothing comes near. */
const char *fed_setting_nearest(const struct fed_settings *settings, const char *plain_path);

/* Puts "FILE:LINE: path: " or "--set path: " before the sentence in err. Returns code. entry NULL: of the whole file. */
int fed_settings_say_at(const struct fed_settings_source *source, const struct fed_yaml_entry *entry, const char *path,
                        int code, struct fed_error *err);
/* Sentences of a key that is none, and of one that lacks. FED_ECONFIG. */
int fed_settings_say_unknown(const struct fed_settings *settings, const struct fed_settings_source *source,
                             const struct fed_yaml_entry *entry, struct fed_error *err);
int fed_settings_say_missing(const struct fed_settings_source *source, const struct fed_setting *row, const char *path,
                             struct fed_error *err);

#endif
