/* fedavg show: the page of a run from its directory, as the coordinator served it while the run went on: finished, killed,
 * or somebody else's that still goes on. Nothing is changed; what is committed meanwhile is seen. */
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "cli/cli.h"
#include "common/base/clock.h"
#include "common/base/standard.h"
#include "common/seal/keys.h"
#include "coordinator/http/http.h"
#include "coordinator/http/page.h"

#define ANY_PORT "127.0.0.1:0"
#define LOOK_MS 500 /* at the directory */

static const char usage[] = "fedavg show RUN [--bind ADDRESS:PORT|unix:PATH] [--json]\n"
                            "  RUN     directory of a run, as in runs/mnist\n"
                            "  --bind  where to serve its page, on this machine alone (default: any free port)\n"
                            "\n"
                            "Prints the URL and serves until Ctrl-C. See fedavg-show(1).\n";

static int say_url(const struct fed_http *http, bool json, struct fed_error *err) {
    if (json) {
        return fed_cli_print_json(json_pack("{s:s, s:s}", "event", "page", "url", fed_http_url(http)), err);
    }
    printf("%s\n", fed_http_url(http));
    return fed_standard_flush(err);
}

/* Until one of the signals, which are blocked. */
static void serve(struct fed_http *http, const sigset_t *signals) {
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    while (sigtimedwait(signals, NULL, &pause) < 0) {
        fed_http_poke(http, fed_clock_ms());
    }
}

static int show(const char *dir, const char *bind, bool json, struct fed_error *err) {
    struct fed_page *page = NULL;
    struct fed_http *http = NULL;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* before the thread of HTTP starts */
    signal(SIGPIPE, SIG_IGN);
    int rc = fed_seal_setup(err);
    if (rc == FED_OK) {
        rc = fed_page_new(&page, dir, NULL, NULL, err);
        rc = rc == FED_ENOTFOUND ? FED_ECONFIG : rc; /* the argument named no run */
    }
    if (rc == FED_OK) {
        struct fed_http_config config = {.bind = bind, .what = "--bind", .page = page};
        rc = fed_http_new(&http, &config, err);
    }
    if (rc == FED_OK) {
        rc = say_url(http, json, err);
    }
    if (rc == FED_OK) {
        serve(http, &signals);
    }
    fed_http_free(http);
    fed_page_free(page);
    return rc;
}

int fed_cli_show(int argc, char **argv) {
    static const struct option options[] = {
        {"bind", required_argument, NULL, 'b'}, {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
    struct fed_error err = {.text = ""};
    const char *bind = ANY_PORT;
    bool json = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'b': bind = optarg; break;
        case 'j': json = true; break;
        case 'h': return fed_cli_help(usage);
        default: return fed_cli_misused(usage);
        }
    }
    if (fed_cli_wrong_words(argc, argv, 1, 1, "RUN")) {
        return fed_cli_misused(usage);
    }
    int rc = show(argv[optind], bind, json, &err);
    return rc == FED_OK ? 0 : fed_cli_fail(argv[0], rc, &err);
}
