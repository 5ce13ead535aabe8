/* Which of our three kinds of files one is: who mixes them up is told so, instead of which key is unknown. */
#ifndef FED_COMMON_CONFIG_KIND_H
#define FED_COMMON_CONFIG_KIND_H

#include "common/base/status.h"
#include "common/config/yaml.h"

enum fed_config_kind { FED_CONFIG_TASK, FED_CONFIG_CLIENT, FED_CONFIG_ROSTER };

/* FED_ECONFIG where the file, path, holds what only another kind has, or nothing at all. A file that could be any is fine.
 */
int fed_config_expect(const struct fed_yaml *yaml, const char *path, enum fed_config_kind wanted,
                      struct fed_error *err) FED_MUST_CHECK;

#endif
