/* A split as a picture that needs nothing beside itself: clients down, labels across, and a bar for each client's size. */
#ifndef FED_CLI_PARTITION_SPLIT_SVG_H
#define FED_CLI_PARTITION_SPLIT_SVG_H

#include "cli/partition/split_view.h"

/* FED_EIO, FED_ENOMEM. */
int fed_split_svg_write(const struct fed_split_view *view, const char *path, struct fed_error *err) FED_MUST_CHECK;

#endif
