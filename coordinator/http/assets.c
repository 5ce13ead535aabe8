/* Looking up a file of the page; there are a dozen. */
#include "coordinator/http/assets.h"

#include <string.h>

const struct fed_asset *fed_asset_find(const char *path) {
    for (size_t i = 0; i < FED_ASSETS_COUNT; i++) {
        if (strcmp(FED_ASSETS[i].path, path) == 0) {
            return &FED_ASSETS[i];
        }
    }
    return NULL;
}
