/* What the loop shows on its board: how the round stands, and a line for each node. A turn of the loop costs a comparison,
 * a node that joins or leaves its one line, and the clock of all lines once a second. Nothing where there is no page. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "coordinator/coordinator_internal.h"

#define GLANCE_MS 100 /* after which all of it is looked at again */

static void fill_live(struct fed_status_live *live, const struct fed_coordinator *c) {
    size_t picked;
    fed_round_cohort(c->round, &picked);
    snprintf(live->phase, sizeof live->phase, "%s", fed_round_phase_name(fed_round_phase(c->round)));
    live->round = fed_round_number(c->round);
    live->attempt = fed_round_attempt(c->round);
    live->picked = picked;
    live->admitted = fed_round_admitted(c->round);
    live->outstanding = fed_round_outstanding(c->round);
    live->goal = fed_round_goal(c->round);
    live->quorum = fed_round_quorum(c->round);
    live->nodes_online = c->n_online;
    live->nodes = c->nodes.n_nodes;
    snprintf(live->waits_for, sizeof live->waits_for, "%s", c->said_waiting ? c->waits_for : "");
}

/* The loop turns with every message; most of them change nothing that is shown. */
static bool looks_the_same(struct fed_coordinator *c, uint64_t now_ms) {
    size_t picked;
    fed_round_cohort(c->round, &picked);
    const struct fed_shown shown = {.phase = fed_round_phase(c->round),
                                    .round = fed_round_number(c->round),
                                    .attempt = fed_round_attempt(c->round),
                                    .picked = picked,
                                    .admitted = fed_round_admitted(c->round),
                                    .outstanding = fed_round_outstanding(c->round),
                                    .online = c->n_online,
                                    .waiting = c->said_waiting,
                                    .news = c->n_evaluated + c->n_alarms + c->n_store_errors};
    bool same = memcmp(&c->shown, &shown, sizeof shown) == 0 && now_ms < c->shown_ms + GLANCE_MS;
    if (!same) {
        c->shown = shown;
        c->shown_ms = now_ms;
    }
    return same;
}

void fed_publish_now(struct fed_coordinator *c, uint64_t now_ms) {
    struct fed_board_now now;
    if (c->board == NULL || looks_the_same(c, now_ms)) {
        return;
    }
    memset(&now, 0, sizeof now);
    fill_live(&now.live, c);
    now.deadline_ms = c->collecting ? c->attempt_end_ms : 0;
    now.rounds = c->task->algorithm.rounds;
    now.clients = fed_roster_population(c->nodes.roster);
    now.quarantined = c->n_quarantined;
    now.evaluated = c->n_evaluated;
    now.store_errors = c->n_store_errors;
    now.alarms = c->n_alarms;
    now.attempts_failed = fed_round_failed(c->round);
    now.reproducible = fed_coordinator_reproducible(c);
    now.store_fails = c->alarm[0] != '\0';
    now.finished = fed_round_phase(c->round) == FED_ROUND_FINISHED;
    snprintf(now.alarm, sizeof now.alarm, "%s", c->alarm[0] != '\0' ? c->alarm : c->doors_alarm);
    fed_board_put(c->board, &now, now_ms);
}

uint64_t fed_publish_poke(struct fed_coordinator *c, uint64_t now_ms) {
    return c->http != NULL ? fed_http_poke(c->http, now_ms) : UINT64_MAX;
}

void fed_publish_alarm(struct fed_coordinator *c, const char *format, ...) {
    char text[sizeof((struct fed_news_item *)0)->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    c->n_alarms++;
    fed_news_add(c->news, fed_clock_wall_ms(), FED_NEWS_ALARM, "%s", text);
}

int fed_publish_open(struct fed_coordinator *c, struct fed_error *err) {
    if (c->task->server.http == NULL) {
        return FED_OK;
    }
    if (fed_board_new(&c->board) != FED_OK || fed_news_new(&c->news) != FED_OK || fed_publish_roster(c) != FED_OK) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory for the page");
    }
    int rc = fed_page_new(&c->page, c->options.run_dir, c->board, c->news, err);
    fed_publish_now(c, fed_clock_ms()); /* now it has something to tell */
    if (rc == FED_OK) {
        const struct fed_server *server = &c->task->server;
        struct fed_http_config config = {.bind = server->http,
                                         .what = "server.http",
                                         .page = c->page,
                                         .hosts = server->http_hosts,
                                         .n_hosts = server->n_http_hosts,
                                         .token = server->http_token,
                                         .may_move = c->options.page_may_move};
        rc = fed_http_new(&c->http, &config, err);
    }
    if (rc == FED_OK) {
        FED_INFO("http", "listening", FED_U64("port", fed_http_port(c->http)));
        fed_report_page(&c->report, fed_http_url(c->http));
    }
    return rc;
}

/* -- nodes -------------------------------------------------------------------------------------------------------------- */

static void fill_heard(struct fed_board_node *line, const struct fed_node *node) {
    uint64_t heard_ms = node->heard_ms > node->bulk_heard_ms ? node->heard_ms : node->bulk_heard_ms;
    line->online = node->online;
    line->heard_ms = heard_ms;
}

static void fill_quarantine(struct fed_board_node *line, const struct fed_quarantine *quarantine) {
    bool holds = fed_quarantine_holds(quarantine);
    line->quarantine_ms = holds ? quarantine->until_ms : 0;
    snprintf(line->reason, sizeof line->reason, "%s", holds ? fed_refusal_name(quarantine->reason) : "");
}

/* Who is on the roster now; entries that are gone host nothing and stay, as in the table of nodes. */
int fed_publish_roster(struct fed_coordinator *c) {
    size_t n = 0;
    if (c->board == NULL) {
        return FED_OK;
    }
    if (fed_board_grow(c->board, c->nodes.n_nodes) != FED_OK) {
        return FED_ENOMEM;
    }
    struct fed_board_node *lines = fed_board_lock(c->board, &n);
    for (size_t i = 0; i < n; i++) {
        const struct fed_roster_entry *entry = fed_roster_entry(c->nodes.roster, i);
        snprintf(lines[i].name, sizeof lines[i].name, "%s", entry->name);
        fed_public_fingerprint(lines[i].fingerprint, &entry->keys);
        lines[i].first_client = entry->first_client;
        lines[i].n_clients = entry->n_clients;
        fill_heard(&lines[i], &c->nodes.nodes[i]);
        fill_quarantine(&lines[i], &c->nodes.nodes[i].quarantine);
    }
    fed_board_unlock(c->board, true);
    return FED_OK;
}

void fed_publish_node(struct fed_coordinator *c, size_t node) {
    size_t n = 0;
    struct fed_board_node *lines = c->board != NULL ? fed_board_lock(c->board, &n) : NULL;
    if (node < n) {
        fill_heard(&lines[node], &c->nodes.nodes[node]);
        fill_quarantine(&lines[node], &c->nodes.nodes[node].quarantine);
    }
    if (c->board != NULL) {
        fed_board_unlock(c->board, true);
    }
}

void fed_publish_trained(struct fed_coordinator *c, size_t node, uint64_t clients, double seconds) {
    size_t n = 0;
    struct fed_board_node *lines = c->board != NULL ? fed_board_lock(c->board, &n) : NULL;
    if (node < n && isfinite(seconds) && seconds > 0) {
        lines[node].trained += clients;
        lines[node].train_seconds += seconds;
    }
    if (c->board != NULL) {
        fed_board_unlock(c->board, false);
    }
}

/* When each of them was heard of; that alone is no news. */
void fed_publish_heard(struct fed_coordinator *c) {
    size_t n = 0;
    if (c->board == NULL) {
        return;
    }
    struct fed_board_node *lines = fed_board_lock(c->board, &n);
    for (size_t i = 0; i < n; i++) {
        if (c->nodes.nodes[i].online) {
            fill_heard(&lines[i], &c->nodes.nodes[i]);
        }
    }
    fed_board_unlock(c->board, false);
}
