/* What a large roster costs, all entries signed: to read it at the start and again, to take it up on the coordinator's loop,
 * to find a key at a handshake, to add who joins. CPU milliseconds; linear in the number of entries.
 *
 *     build/release/bench/bench_roster [ENTRIES]     (default 10000) */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/calibration.h"
#include "common/config/roster_signed.h"
#include "coordinator/nodes/nodes.h"
#include "coordinator/nodes/roster_live.h"

#define LOOKUPS 100000

static struct fed_error err;

static void must(int rc) {
    if (rc != 0) {
        fprintf(stderr, "bench_roster: %s\n", err.text[0] != '\0' ? err.text : fed_status_text(rc));
        exit(1);
    }
}

static double cpu_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static struct fed_roster_entry entry_of(size_t i, const struct fed_identity *issuer) {
    struct fed_roster_entry entry = {.first_client = i, .n_clients = 1};
    struct fed_identity identity;
    must(fed_identity_generate(&identity, &err));
    snprintf(entry.name, sizeof entry.name, "ward-%zu", i);
    entry.keys = identity.public_keys;
    fed_identity_fini(&identity);
    must(fed_roster_entry_approve(&entry, false, issuer, 1));
    return entry;
}

static void wait_for(struct fed_roster_live *live, struct fed_roster_live_result *result) {
    struct pollfd item = {.fd = fed_roster_live_fd(live), .events = POLLIN};
    while (!fed_roster_live_finished(result, live)) {
        poll(&item, 1, -1);
    }
    must(result->rc);
}

static void take_up(struct fed_nodes *nodes, struct fed_roster_file *file) {
    struct fed_nodes next;
    size_t n_changed = 0;
    double began = cpu_ms();
    must(fed_nodes_prepare(&next, nodes, file));
    for (size_t i = 0; i < nodes->n_nodes; i++) {
        n_changed += fed_nodes_entry_changes(nodes, &next, i);
    }
    fed_nodes_take(nodes, &next);
    printf("taking it up, on the loop      %8.1f ms (%zu changed)\n", cpu_ms() - began, n_changed);
}

static void look_up(const struct fed_nodes *nodes) {
    double began = cpu_ms();
    for (size_t i = 0; i < LOOKUPS; i++) {
        size_t node;
        const struct fed_roster_entry *entry = fed_roster_entry(nodes->roster, i * 7919 % nodes->n_nodes);
        must(fed_roster_find_curve(&node, nodes->roster, entry->keys.curve, 2, NULL));
    }
    printf("finding a key, at a handshake  %8.2f us\n", (cpu_ms() - began) * 1e3 / LOOKUPS);
}

static void measure(const char *path, const struct fed_identity *issuer, const struct fed_roster_entry *joiner) {
    static struct fed_roster_live_result result;
    struct fed_roster_live *live;
    struct fed_roster_file file;
    struct fed_roster *roster;
    struct fed_nodes nodes;
    must(fed_roster_live_new(&live, path, issuer->sign_key, &err));
    double began = cpu_ms();
    must(fed_roster_live_load(&file, live, &err));
    printf("reading it, at the start       %8.1f ms\n", cpu_ms() - began);
    must(fed_roster_new(&roster, &file));
    must(fed_nodes_init(&nodes, &roster));
    began = cpu_ms();
    fed_roster_live_reload(live);
    wait_for(live, &result);
    printf("reading it again, on a thread  %8.1f ms\n", cpu_ms() - began);
    take_up(&nodes, &result.file);
    look_up(&nodes);
    began = cpu_ms();
    must(fed_roster_live_add(live, joiner));
    wait_for(live, &result);
    printf("adding one, on a thread        %8.1f ms\n", cpu_ms() - began);
    fed_roster_file_fini(&result.file);
    fed_nodes_fini(&nodes);
    fed_roster_live_free(live);
}

int main(int argc, char **argv) {
    size_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000;
    char dir[] = "/tmp/bench-roster-XXXXXX", path[64], lock[72];
    struct fed_identity issuer;
    struct fed_roster_file file = {.entries = calloc(n + 1, sizeof *file.entries), .n_entries = n};
    if (n < 1 || file.entries == NULL || mkdtemp(dir) == NULL) {
        fprintf(stderr, "usage: bench_roster [ENTRIES]\n");
        free(file.entries);
        return 2;
    }
    snprintf(path, sizeof path, "%s/roster", dir);
    snprintf(lock, sizeof lock, "%s.lock", path);
    must(fed_seal_setup(&err));
    must(fed_identity_generate(&issuer, &err));
    for (size_t i = 0; i < n; i++) {
        file.entries[i] = entry_of(i, &issuer);
    }
    struct fed_roster_entry joiner = entry_of(n, &issuer);
    double began = cpu_ms();
    must(fed_roster_file_save(&file, path, &err));
    calibration_print();
    printf("%zu entries\nwriting it                     %8.1f ms\n", n, cpu_ms() - began);
    measure(path, &issuer, &joiner);
    fed_roster_file_fini(&file);
    fed_identity_fini(&issuer);
    unlink(path);
    unlink(lock);
    rmdir(dir);
    return 0;
}
