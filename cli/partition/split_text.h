/* A split on a terminal or in a file: table, heat map and figures. */
#ifndef FED_CLI_PARTITION_SPLIT_TEXT_H
#define FED_CLI_PARTITION_SPLIT_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/partition/split_view.h"

/* colours: of a terminal of 256; else shades are characters. */
void fed_split_text_print(FILE *out, const struct fed_split_view *view, bool colours);

#endif
