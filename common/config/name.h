/* Names of tasks and nodes: 1 to 63 characters of a-z, 0-9 and -. They become file names, log fields and user ids of the
 * wire, so nothing else is let in. */
#ifndef FED_COMMON_CONFIG_NAME_H
#define FED_COMMON_CONFIG_NAME_H

#include <stdbool.h>

#define FED_NAME_MAX 64 /* with the terminating zero */

bool fed_name_valid(const char *text);

#endif
