#include "coordinator/nodes/nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/seal/digest.h"

#define KEY_DIGITS 16

static int by_first(const void *a, const void *b) {
    uint64_t x = ((const struct fed_host_range *)a)->first, y = ((const struct fed_host_range *)b)->first;
    return (x > y) - (x < y);
}

/* The entries by their first client, each with how far those up to it reach: who may host a client stands right before the
 * first entry that begins behind it. */
static size_t lay_out_ranges(struct fed_host_range *ranges, const struct fed_roster *roster) {
    size_t n = 0;
    for (size_t i = 0; i < fed_roster_size(roster); i++) {
        const struct fed_roster_entry *entry = fed_roster_entry(roster, i);
        if (entry->n_clients > 0) {
            uint64_t last = entry->first_client + (entry->n_clients - 1);
            ranges[n++] = (struct fed_host_range){.first = entry->first_client, .reach = last, .node = i};
        }
    }
    qsort(ranges, n, sizeof *ranges, by_first);
    for (size_t i = 1; i < n; i++) {
        ranges[i].reach = ranges[i].reach > ranges[i - 1].reach ? ranges[i].reach : ranges[i - 1].reach;
    }
    return n;
}

int fed_nodes_init(struct fed_nodes *out, struct fed_roster **roster) {
    size_t n = fed_roster_size(*roster);
    struct fed_node *nodes = calloc(n + 1, sizeof *nodes);
    struct fed_host_range *ranges = calloc(n + 1, sizeof *ranges);
    if (nodes == NULL || ranges == NULL) {
        free(nodes);
        free(ranges);
        return FED_ENOMEM;
    }
    size_t n_ranges = lay_out_ranges(ranges, *roster);
    *out = (struct fed_nodes){.roster = *roster, .nodes = nodes, .n_nodes = n, .ranges = ranges, .n_ranges = n_ranges};
    *roster = NULL;
    return FED_OK;
}

void fed_nodes_fini(struct fed_nodes *nodes) {
    fed_roster_free(nodes->roster);
    if (nodes->nodes != NULL) {
        explicit_bzero(nodes->nodes, nodes->n_nodes * sizeof *nodes->nodes); /* passes */
    }
    free(nodes->nodes);
    free(nodes->ranges);
    *nodes = (struct fed_nodes){0};
}

static bool same_entry(const struct fed_roster_entry *a, const struct fed_roster_entry *b) {
    return memcmp(&a->keys, &b->keys, sizeof a->keys) == 0 && a->first_client == b->first_client &&
           a->n_clients == b->n_clients && a->partial_sums == b->partial_sums && (a->revoked != 0) == (b->revoked != 0) &&
           a->refused == b->refused;
}

bool fed_nodes_entry_changes(const struct fed_nodes *nodes, const struct fed_nodes *next, size_t node) {
    return !same_entry(fed_roster_entry(nodes->roster, node), fed_roster_entry(next->roster, node));
}

/* Old entries first, each in its old place, then the new names. out has room for both. */
static void merge_entries(struct fed_roster_file *out, const struct fed_nodes *nodes, const struct fed_roster_file *file) {
    for (size_t i = 0; i < nodes->n_nodes; i++) {
        struct fed_roster_entry *gone = &out->entries[i];
        *gone = *fed_roster_entry(nodes->roster, i);
        gone->n_clients = 0;
        gone->has_next = gone->has_enrolment = gone->has_next_enrolment = false;
    }
    out->n_entries = nodes->n_nodes;
    for (size_t i = 0; i < file->n_entries; i++) {
        size_t at;
        if (fed_roster_find_name(&at, nodes->roster, file->entries[i].name) != FED_OK) {
            at = out->n_entries++;
        }
        out->entries[at] = file->entries[i];
    }
}

int fed_nodes_prepare(struct fed_nodes *next, const struct fed_nodes *nodes, struct fed_roster_file *file) {
    struct fed_roster_file merged = {0};
    struct fed_roster *roster = NULL;
    merged.entries = calloc(nodes->n_nodes + file->n_entries + 1, sizeof *merged.entries);
    if (merged.entries == NULL) {
        return FED_ENOMEM;
    }
    merge_entries(&merged, nodes, file);
    int rc = fed_roster_new(&roster, &merged);
    if (rc == FED_OK) {
        rc = fed_nodes_init(next, &roster);
    }
    if (rc != FED_OK) {
        fed_roster_file_fini(&merged);
        fed_roster_free(roster);
        return rc;
    }
    fed_roster_file_fini(file);
    return FED_OK;
}

void fed_nodes_take(struct fed_nodes *nodes, struct fed_nodes *next) {
    memcpy(next->nodes, nodes->nodes, nodes->n_nodes * sizeof *nodes->nodes);
    fed_nodes_fini(nodes);
    *nodes = *next;
    *next = (struct fed_nodes){0};
}

void fed_nodes_user(char user[FED_USER_MAX], const struct fed_roster_entry *entry, const uint8_t curve[FED_KEY_BYTES]) {
    char digits[KEY_DIGITS + 1];
    fed_hex(digits, curve, KEY_DIGITS / 2);
    snprintf(user, FED_USER_MAX, "%s.%s", entry->name, digits);
}

/* The node whose name stands before the dot, whether its entry is valid or not. */
static int find_named(size_t *node, const struct fed_nodes *nodes, const char *user) {
    const char *dot = strrchr(user, '.');
    char name[FED_NAME_MAX];
    if (dot == NULL || (size_t)(dot - user) >= sizeof name) {
        return FED_ENOTFOUND;
    }
    memcpy(name, user, (size_t)(dot - user));
    name[dot - user] = '\0';
    return fed_roster_find_name(node, nodes->roster, name);
}

int fed_nodes_find_user(size_t *node, const struct fed_nodes *nodes, const char *user, int64_t wall_s) {
    size_t i;
    if (find_named(&i, nodes, user) != FED_OK || !fed_roster_valid(nodes->roster, i, wall_s)) {
        return FED_ENOTFOUND;
    }
    const struct fed_roster_entry *entry = fed_roster_entry(nodes->roster, i);
    char expect[FED_USER_MAX];
    fed_nodes_user(expect, entry, entry->keys.curve);
    bool known = strcmp(expect, user) == 0;
    if (!known && entry->has_next) {
        fed_nodes_user(expect, entry, entry->next.curve);
        known = strcmp(expect, user) == 0;
    }
    if (!known) {
        return FED_ENOTFOUND;
    }
    *node = i;
    return FED_OK;
}

void fed_nodes_why_not(char out[FED_NODES_WHY_MAX], const struct fed_nodes *nodes, const char *user, int64_t wall_s) {
    char why[FED_ROSTER_WHY_MAX] = "there is no such entry";
    size_t node;
    if (find_named(&node, nodes, user) == FED_OK) {
        fed_roster_why(why, nodes->roster, node, wall_s);
    }
    snprintf(out, FED_NODES_WHY_MAX, "%s: %s", user, why[0] != '\0' ? why : "its entry has another key now");
}

const uint8_t *fed_nodes_seal_key(const struct fed_nodes *nodes, size_t node, const char *user) {
    const struct fed_roster_entry *entry = fed_roster_entry(nodes->roster, node);
    char next[FED_USER_MAX];
    fed_nodes_user(next, entry, entry->next.curve);
    return entry->has_next && strcmp(next, user) == 0 ? entry->next.seal : entry->keys.seal;
}

static bool equal_constant_time(const char *a, const char *b, size_t n) {
    volatile unsigned char difference = 0;
    for (size_t i = 0; i < n; i++) {
        difference = (unsigned char)(difference | (a[i] ^ b[i]));
    }
    return difference == 0;
}

void fed_nodes_pass_user(char user[FED_USER_MAX], size_t node, const char *handle) {
    snprintf(user, FED_USER_MAX, "%zu.%s", node, handle);
}

int fed_nodes_find_pass_user(size_t *node, const struct fed_nodes *nodes, const char *user) {
    char *handle, expect[33];
    size_t i = strtoul(user, &handle, 10);
    if (i >= nodes->n_nodes || !nodes->nodes[i].has_pass || *handle != '.') {
        return FED_ENOTFOUND;
    }
    fed_hex(expect, nodes->nodes[i].pass.handle, 16);
    if (strcmp(expect, handle + 1) != 0) {
        return FED_ENOTFOUND;
    }
    *node = i;
    return FED_OK;
}

/* Any stranger may ask: nothing is formatted for each node. */
static int find_handle(size_t *node, const struct fed_nodes *nodes, const char *handle) {
    uint8_t wanted[sizeof nodes->nodes->pass.handle];
    if (!fed_unhex(wanted, sizeof wanted, handle)) {
        return FED_ENOTFOUND;
    }
    for (size_t i = 0; i < nodes->n_nodes; i++) {
        if (nodes->nodes[i].has_pass && memcmp(nodes->nodes[i].pass.handle, wanted, sizeof wanted) == 0) {
            *node = i;
            return FED_OK;
        }
    }
    return FED_ENOTFOUND;
}

int fed_nodes_find_pass(size_t *node, const struct fed_nodes *nodes, const char *handle, const char *capability) {
    char expect[33];
    size_t i;
    if (strlen(capability) != 32 || find_handle(&i, nodes, handle) != FED_OK) {
        return FED_ENOTFOUND;
    }
    fed_hex(expect, nodes->nodes[i].pass.capability, 16);
    if (!equal_constant_time(expect, capability, 32)) {
        return FED_ENOTFOUND;
    }
    *node = i;
    return FED_OK;
}

void fed_nodes_take_pass(struct fed_nodes *nodes, size_t node) {
    struct fed_node *n = &nodes->nodes[node];
    n->has_bulk = n->has_pass = false;
    explicit_bzero(&n->pass, sizeof n->pass);
}

void fed_nodes_begin(struct fed_nodes *nodes) {
    for (size_t i = 0; i < nodes->n_nodes; i++) {
        struct fed_node *node = &nodes->nodes[i];
        node->asked_before = node->asked;
        node->asked = 0;
        node->down_asked = 0;
    }
}

const char *fed_nodes_name(const struct fed_nodes *nodes, size_t node) {
    return node == FED_STRANGER ? "stranger" : fed_roster_entry(nodes->roster, node)->name;
}

bool fed_nodes_hosts(const struct fed_nodes *nodes, size_t node, uint64_t client) {
    const struct fed_node *n = &nodes->nodes[node];
    if (!n->online || fed_quarantine_holds(&n->quarantine) || !fed_roster_hosts(nodes->roster, node, client)) {
        return false;
    }
    for (uint32_t i = 0; i < n->n_hosted; i++) {
        if (client >= n->hosted[i].first && client - n->hosted[i].first < n->hosted[i].count) {
            return true;
        }
    }
    return false;
}

bool fed_nodes_eligible(const struct fed_nodes *nodes, uint64_t client) {
    size_t low = 0, high = nodes->n_ranges; /* every range below low begins at or before the client, none from high on */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (nodes->ranges[middle].first <= client) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (size_t i = low; i-- > 0 && nodes->ranges[i].reach >= client;) {
        if (fed_nodes_hosts(nodes, nodes->ranges[i].node, client)) {
            return true;
        }
    }
    return false;
}

bool fed_nodes_claim_allowed(const struct fed_nodes *nodes, size_t node, const struct fed_msg_hello *hello) {
    const struct fed_roster_entry *entry = fed_roster_entry(nodes->roster, node);
    for (uint32_t i = 0; i < hello->n_hosted; i++) {
        const struct fed_id_range *range = &hello->hosted[i];
        if (range->first < entry->first_client || range->count > entry->n_clients ||
            range->first - entry->first_client > entry->n_clients - range->count) {
            return false;
        }
    }
    return hello->n_hosted > 0;
}
