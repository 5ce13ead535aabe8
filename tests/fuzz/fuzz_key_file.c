/* Only a file of exactly one key line loads, and a boxed one not without its passphrase; any other is refused with a
 * sentence. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/seal/key_file.h"
#include "tests/fuzz/fuzz.h"

static char path[] = "/tmp/fedavg-fuzz-key-XXXXXX";

static void remove_file(void) { unlink(path); }

/* One file for the life of the process, owned by us with mode 0600, as mkstemp makes it. */
static int key_file(void) {
    static int fd = -1;
    if (fd < 0) {
        fd = mkstemp(path);
        MUST(fd >= 0 && atexit(remove_file) == 0 && fed_seal_setup(NULL) == 0);
    }
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    int fd = key_file();
    MUST(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, n, 0) == (ssize_t)n);
    struct fed_identity identity = {0};
    struct fed_error err = {""};
    int rc = fed_identity_unlock(&identity, path, "/dev/null", &err);
    bool boxed = n == 145 && memcmp(bytes, "fedavg-secret-2:", 16) == 0 && bytes[144] == '\n';
    MUST(rc == 0 || (rc == FED_EKEY && err.text[0] != 0) || (rc == FED_ECONFIG && boxed));
    if (rc == 0) {
        MUST(n == 60 && memcmp(bytes, "fedavg-secret-1:", 16) == 0 && bytes[59] == '\n');
        fed_identity_fini(&identity);
    }
    return 0;
}
