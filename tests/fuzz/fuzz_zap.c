/* Frames of a ZAP request, each a length byte and its bytes: whatever they are, only those who hold the key or the
 * capability enter, and only through the lane that asks for it. */
#include <stdbool.h>
#include <string.h>

#include "common/link/link_internal.h"
#include "tests/fuzz/fuzz.h"

#define FRAMES_MAX 16

static bool let_in;

static bool curve(void *context, const uint8_t key[FED_KEY_BYTES], char user[FED_USER_MAX]) {
    (void)context;
    for (size_t i = 0; i < FED_KEY_BYTES; i++) {
        if (key[i] != 'k') {
            return false;
        }
    }
    strcpy(user, "node");
    return let_in = true;
}

static bool plain(void *context, const char *handle, const char *capability, char user[FED_USER_MAX]) {
    (void)context;
    if (strcmp(handle, "handle") != 0 || strcmp(capability, "capability") != 0) {
        return false;
    }
    strcpy(user, "node/1");
    return let_in = true;
}

static bool is(const struct fed_zap_frame *frame, const char *text) {
    return frame->n == strlen(text) && memcmp(frame->bytes, text, frame->n) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static const struct fed_gate gate = {.curve = curve, .plain = plain};
    struct fed_zap_frame frames[FRAMES_MAX];
    size_t n_frames = 0;
    while (n > 0 && n_frames < FRAMES_MAX) {
        size_t length = bytes[0] < n - 1 ? bytes[0] : n - 1;
        frames[n_frames++] = (struct fed_zap_frame){bytes + 1, length};
        bytes += 1 + length;
        n -= 1 + length;
    }
    char user[FED_USER_MAX] = "nobody";
    let_in = false;
    int status = fed_zap_decide(user, frames, n_frames, &gate);
    MUST(status == 200 || status == 400 || status == 500);
    MUST((status == 200) == let_in);
    if (status != 200) {
        MUST(strcmp(user, "nobody") == 0);
    } else if (strcmp(user, "node") == 0) {
        MUST(n_frames == 7 && is(&frames[0], "1.0") && is(&frames[2], "control") && is(&frames[5], "CURVE"));
    } else {
        MUST(n_frames == 8 && is(&frames[0], "1.0") && is(&frames[2], "bulk") && is(&frames[5], "PLAIN"));
    }
    return 0;
}
