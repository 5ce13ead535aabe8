#include "cli/fetch.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/wait.h"

#define TIMEOUT_S 5L

struct answer {
    char *bytes; /* FED_FETCH_MAX, owned */
    size_t n;
};

static size_t take_bytes(char *bytes, size_t size, size_t n, void *context) {
    struct answer *answer = context;
    n *= size;
    if (n > FED_FETCH_MAX - answer->n) {
        return 0; /* curl gives up */
    }
    memcpy(answer->bytes + answer->n, bytes, n);
    answer->n += n;
    return n;
}

/* The caller owns it; NULL without memory. */
static char *join(const char *base, const char *path) {
    char *out = NULL;
    size_t n = strlen(base);
    while (n > 0 && base[n - 1] == '/') {
        n--;
    }
    return asprintf(&out, "%.*s%s", (int)n, base, path) < 0 ? NULL : out;
}

/* In plain text it is a sentence of /healthz or /readyz; whoever else answers there must not write to the terminal. */
static int say_why(const struct answer *answer, const char *url, struct fed_error *err) {
    const char *end = memchr(answer->bytes, '\n', answer->n);
    bool sentence = answer->n > 0 && answer->bytes[0] != '{' && end != NULL && end - answer->bytes < 256;
    for (const char *c = answer->bytes; sentence && c < end; c++) {
        sentence = *c >= ' ' && *c <= '~';
    }
    return sentence ? fed_error_set(err, FED_EFAILED, "%s: %.*s", url, (int)(end - answer->bytes), answer->bytes)
                    : fed_error_set(err, FED_EFAILED, "%s: the run has not started yet", url);
}

static int get(struct answer *answer, CURL *curl, const char *url, struct fed_error *err) {
    char why[CURL_ERROR_SIZE] = "";
    long status = 0;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    CURLcode rc = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (rc == CURLE_WRITE_ERROR) {
        return fed_error_set(err, FED_EFAILED, "%s: the answer is longer than %zu bytes", url, FED_FETCH_MAX);
    }
    if (rc != CURLE_OK) {
        return fed_error_set(err, FED_EADDRESS, "%s: no answer: %s", url, why[0] != '\0' ? why : curl_easy_strerror(rc));
    }
    switch (status) {
    case 200: return FED_OK;
    case 503: return say_why(answer, url, err);
    case 403: return fed_error_set(err, FED_EADDRESS, "%s: refused: ask by localhost or by the coordinator's address", url);
    default: return fed_error_set(err, FED_EADDRESS, "%s: HTTP status %ld, wanted is 200: not a coordinator?", url, status);
    }
}

int fed_fetch(char **out, size_t *n_bytes, const char *base, const char *path, struct fed_error *err) {
    struct answer answer = {.bytes = malloc(FED_FETCH_MAX)};
    char *url = join(base, path);
    CURL *curl = curl_easy_init();
    struct fed_busy *wait = fed_wait_begin(false, "asking %s", base);
    int code = answer.bytes == NULL || url == NULL || curl == NULL
                   ? fed_error_set(err, FED_ENOMEM, "%s: out of memory", base)
                   : get(&answer, curl, url, err);
    fed_wait_end(wait);
    curl_easy_cleanup(curl);
    free(url);
    if (code != FED_OK) {
        free(answer.bytes);
        return code;
    }
    *out = answer.bytes;
    *n_bytes = answer.n;
    return FED_OK;
}

const char *fed_fetch_library_version(void) { return curl_version_info(CURLVERSION_NOW)->version; }
