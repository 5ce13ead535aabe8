/* Who is here: nodes join, fall silent, are given up; the roster changes while they work. The round, the schedule and the
 * intake are told. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "coordinator/coordinator_internal.h"

#define RETURN_MS 5000 /* a node whose connection broke is usually back on another by then */
#define IDLE_MOST_MS 120000u
#define IDLE_MS_PER_NODE 12u /* so that all together are heard of 167 times a second at most */
#define JOIN_AGAIN_MS 10000  /* said to a node that connects again and again: each time its work is handed out anew */
#define TWINS_SAID_MS 60000  /* between two lines on two programs with one key, which push each other out all the time */

/* Tells the round about the cohort's members on this node: reachable again (JOINED), or by nobody any more. */
static void post_presence(struct fed_coordinator *c, size_t node, enum fed_event_kind kind) {
    size_t n;
    const uint64_t *cohort = fed_round_cohort(c->round, &n);
    uint64_t round = fed_round_number(c->round);
    uint32_t attempt = fed_round_attempt(c->round);
    for (size_t i = 0; i < n; i++) {
        bool concerned = fed_roster_hosts(c->nodes.roster, node, cohort[i]) &&
                         fed_nodes_eligible(&c->nodes, cohort[i]) == (kind == FED_EVENT_JOINED);
        if (concerned) {
            fed_loop_post(c,
                          &(struct fed_round_event){.kind = kind, .client = cohort[i], .round = round, .attempt = attempt});
        }
    }
}

void fed_presence_lost(struct fed_coordinator *c, size_t node, const char *why) {
    struct fed_node *n = &c->nodes.nodes[node];
    if (!n->online) {
        return;
    }
    FED_INFO("control", "node left", FED_STR("node", fed_nodes_name(&c->nodes, node)), FED_STR("why", why));
    fed_news_add(c->news, fed_clock_wall_ms(), FED_NEWS_LEFT, "%s: %s", fed_nodes_name(&c->nodes, node), why);
    n->online = n->missed = false;
    c->n_online--;
    fed_publish_node(c, node);
    fed_nodes_take_pass(&c->nodes, node);
    fed_intake_node_lost(c->intake, node);
    fed_schedule_node_lost(c->schedule, node);
    post_presence(c, node, FED_EVENT_GONE);
    fed_loop_post_kind(c, FED_EVENT_TICK);
    fed_say_rounds(c);
}

/* A node that cannot compute as the task asks may train all the same, but then no other run ends in the same bits. */
static void note_family(struct fed_coordinator *c, size_t node, const char *family) {
    struct fed_node *n = &c->nodes.nodes[node];
    const char *wanted = fed_math_name(c->task->algorithm.math);
    if (strcmp(n->family, family) == 0) {
        return;
    }
    snprintf(n->family, sizeof n->family, "%s", family);
    if (*family == '\0' || strcmp(family, wanted) == 0) {
        return;
    }
    if (fed_meter_line(c, node)) {
        FED_WARN("control", "not reproducible", FED_STR("node", fed_nodes_name(&c->nodes, node)), FED_STR("family", family),
                 FED_STR("wanted", wanted));
    }
    c->other_math = true;
}

static void note_hello(struct fed_coordinator *c, struct fed_node *n, const struct fed_route *route,
                       const struct fed_msg_hello *hello) {
    c->n_online += !n->online;
    n->online = true;
    n->control = *route;
    n->instance = hello->instance;
    n->heard_ms = fed_clock_ms();
    n->minor = hello->protocol_minor;
    n->workers = hello->workers;
    n->n_hosted = hello->n_hosted;
    memcpy(n->hosted, hello->hosted, sizeof n->hosted);
}

/* From now on it may be given work. */
static void node_works(struct fed_coordinator *c, size_t node) {
    bool sums = c->task->server.partial_sums && fed_roster_entry(c->nodes.roster, node)->partial_sums;
    fed_schedule_node_ready(c->schedule, node, c->nodes.nodes[node].workers, sums);
    post_presence(c, node, FED_EVENT_JOINED);
    fed_loop_post_kind(c, FED_EVENT_TICK);
    fed_say_rounds(c);
}

/* What it had goes to others, and what is said to it is no more than to anybody who has no work. */
static void node_rests(struct fed_coordinator *c, size_t node) {
    struct fed_node *n = &c->nodes.nodes[node];
    n->missed = false;
    fed_nodes_take_pass(&c->nodes, node);
    fed_intake_node_lost(c->intake, node);
    fed_schedule_node_lost(c->schedule, node);
    post_presence(c, node, FED_EVENT_REFUSED); /* not GONE: nobody waits for it in this attempt */
    fed_loop_post_kind(c, FED_EVENT_TICK);
    fed_say_rounds(c);
}

/* -- quarantine -----------------------------------------------------------------------------------------------------------
 */

static void begin_quarantine(struct fed_coordinator *c, size_t node, const struct fed_quarantine_rules *rules,
                             uint64_t now_ms) {
    struct fed_quarantine *q = &c->nodes.nodes[node].quarantine;
    fed_quarantine_begin(q, rules, now_ms);
    FED_WARN("quarantine", "the node is given no work for a while", FED_STR("node", fed_nodes_name(&c->nodes, node)),
             FED_STR("reason", fed_refusal_name(q->reason)), FED_U64("refusals", q->counted),
             FED_U64("seconds", q->last_ms / 1000));
    fed_news_add(c->news, fed_clock_wall_ms(), FED_NEWS_QUARANTINE, "%s: no work for %llu s (%s)",
                 fed_nodes_name(&c->nodes, node), (unsigned long long)(q->last_ms / 1000), fed_refusal_name(q->reason));
    fed_publish_node(c, node);
    if (c->nodes.nodes[node].online) {
        node_rests(c, node);
    }
    fed_work_quarantine(c, node);
}

void fed_presence_quarantine(struct fed_coordinator *c, uint64_t now_ms) {
    struct fed_quarantine_rules rules = fed_tally_rules(c);
    bool due = c->quarantine_due;
    c->quarantine_due = false;
    c->n_quarantined = 0;
    for (size_t i = 0; i < c->nodes.n_nodes; i++) {
        struct fed_quarantine *q = &c->nodes.nodes[i].quarantine;
        if (due && !fed_quarantine_holds(q) && q->counted >= rules.after) {
            begin_quarantine(c, i, &rules, now_ms);
        } else if (fed_quarantine_ends(q, now_ms)) {
            FED_INFO("quarantine", "the node may try again", FED_STR("node", fed_nodes_name(&c->nodes, i)));
            fed_publish_node(c, i);
            if (c->nodes.nodes[i].online) {
                node_works(c, i);
            }
        }
        c->n_quarantined += fed_quarantine_holds(q);
    }
}

size_t fed_presence_quarantined(const struct fed_coordinator *c) {
    size_t n = 0;
    for (size_t i = 0; i < c->nodes.n_nodes; i++) {
        n += fed_quarantine_holds(&c->nodes.nodes[i].quarantine);
    }
    return n;
}

static void restore_quarantine(void *context, const struct fed_store_quarantine *row) {
    struct fed_coordinator *c = context;
    int64_t wall = fed_clock_wall_ms(), length = row->until_ms - row->since_ms, left = row->until_ms - wall;
    size_t node;
    if (length > 0 && fed_roster_find_name(&node, c->nodes.roster, row->node) == FED_OK) {
        fed_quarantine_restore(&c->nodes.nodes[node].quarantine, (uint64_t)length, left > 0 ? (uint64_t)left : 0,
                               fed_clock_ms());
    }
}

int fed_presence_restore_quarantines(struct fed_coordinator *c, struct fed_error *err) {
    int64_t forgotten = fed_clock_wall_ms() - (int64_t)FED_QUARANTINE_MOST_MS;
    if (c->task->hygiene.quarantine_after == 0) {
        return FED_OK;
    }
    return fed_store_quarantines(c->store, forgotten, restore_quarantine, c, err);
}

/* -- joining ------------------------------------------------------------------------------------------------------------ */

/* Why the program that is here goes. A program that was started again is never heard of again as what it was; one that comes
 * back in the place of its follower runs beside it, and neither gets any work done. */
static const char *replaces(struct fed_coordinator *c, size_t node, uint64_t instance) {
    struct fed_node *n = &c->nodes.nodes[node];
    bool other = instance != n->instance, back = other && instance != 0 && instance == n->pushed_out;
    uint64_t now = fed_clock_ms();
    n->pushed_out = other ? n->instance : n->pushed_out;
    if (back && (n->twins_ms == 0 || now >= n->twins_ms + TWINS_SAID_MS)) {
        n->twins_ms = now;
        FED_WARN("control", "two programs use one key", FED_STR("node", fed_nodes_name(&c->nodes, node)),
                 FED_STR("do", "stop one of them: they push each other out"));
    }
    return back ? "another program with its key pushed it out" : "it connected anew";
}

void fed_presence_joined(struct fed_coordinator *c, size_t node, const struct fed_route *route,
                         const struct fed_msg_hello *hello) {
    struct fed_node *n = &c->nodes.nodes[node];
    bool same = n->workers == hello->workers && n->n_hosted == hello->n_hosted &&
                memcmp(n->hosted, hello->hosted, hello->n_hosted * sizeof *hello->hosted) == 0;
    bool known = n->online && fed_route_equal(&n->control, route);
    if (!(same && known) && !fed_meter_connection(c, node, FED_LANE_CONTROL)) {
        fed_tally_refusal(c, node, FED_REFUSAL_RATE, "it connects again and again");
        fed_say_refused(c, route, &(struct fed_msg_refused){.code = FED_REFUSAL_BUSY, .retry_after_ms = JOIN_AGAIN_MS});
        return;
    }
    /* The same program on another connection: it holds what it was given, and its transfers go on. */
    bool kept = n->online && same && hello->instance != 0 && hello->instance == n->instance;
    if (n->online && !kept && !(same && known)) {
        fed_presence_lost(c, node, replaces(c, node, hello->instance));
    }
    bool fresh = !n->online;
    note_hello(c, n, route, hello);
    note_family(c, node, hello->kernel_family);
    fed_say_welcome(c, node, kept);
    if (fed_round_phase(c->round) == FED_ROUND_FINISHED) {
        fed_say_finished(c, node);
    }
    if (kept && !known) {
        FED_INFO("control", "node is back", FED_STR("node", fed_nodes_name(&c->nodes, node)));
        n->missed = true; /* what was on its way by the old connection is said again */
    }
    if (!fresh || !n->online) {
        return;
    }
    fed_publish_node(c, node);
    fed_news_add(c->news, fed_clock_wall_ms(), FED_NEWS_JOINED, "%s joined", fed_nodes_name(&c->nodes, node));
    FED_INFO("control", "node joined", FED_STR("node", fed_nodes_name(&c->nodes, node)), FED_STR("build", hello->build),
             FED_STR("kernels", hello->kernels), FED_U64("workers", hello->workers), FED_U64("ranges", hello->n_hosted));
    if (!fed_quarantine_holds(&n->quarantine)) {
        node_works(c, node);
    }
}

uint32_t fed_presence_idle_ms(const struct fed_coordinator *c) {
    size_t n = c->nodes.n_nodes < IDLE_MOST_MS / IDLE_MS_PER_NODE ? c->nodes.n_nodes : IDLE_MOST_MS / IDLE_MS_PER_NODE;
    uint32_t idle_ms = (uint32_t)n * IDLE_MS_PER_NODE;
    return idle_ms > FED_PING_MS ? idle_ms : FED_PING_MS;
}

static uint64_t heard_ms(const struct fed_node *node) {
    return node->heard_ms > node->bulk_heard_ms ? node->heard_ms : node->bulk_heard_ms;
}

/* Work brings a node to speak more often than one that has none. Silence of a node whose update has begun to arrive is the
 * intake's to judge: it may be slow, or cut off for a while. */
static bool silent(const struct fed_coordinator *c, size_t node, uint64_t now_ms) {
    const struct fed_node *n = &c->nodes.nodes[node];
    bool busy = c->collecting && n->asked > 0;
    uint64_t since_ms = busy && n->busy_ms > heard_ms(n) ? n->busy_ms : heard_ms(n);
    uint64_t patience_ms = busy ? FED_SILENCE_MS : 3 * (uint64_t)fed_presence_idle_ms(c);
    return now_ms > since_ms + patience_ms && !fed_intake_holds(c->intake, node);
}

void fed_presence_unreachable(struct fed_coordinator *c, size_t node) {
    struct fed_node *n = &c->nodes.nodes[node];
    bool recent = fed_clock_ms() <= heard_ms(n) + RETURN_MS || fed_intake_holds(c->intake, node);
    if (n->instance == 0 || !recent) {
        fed_presence_lost(c, node, "its connection is gone");
    } else {
        n->missed = true; /* it may still be heard on the other lane, and is told again when it is back */
    }
}

/* -- what ends soon ----------------------------------------------------------------------------------------------------- */

#define DAY_S 86400
#define SOON_S ((int64_t)30 * DAY_S)

/* Once a day a node. */
static void warn_of_ends(struct fed_coordinator *c, int64_t now_s) {
    int64_t today = now_s / DAY_S;
    for (size_t i = 0; i < c->nodes.n_nodes; i++) {
        const struct fed_roster_entry *entry = fed_roster_entry(c->nodes.roster, i);
        struct fed_node *node = &c->nodes.nodes[i];
        if (entry->not_after != 0 && entry->not_after - now_s < SOON_S && node->warned_day != today &&
            fed_roster_valid(c->nodes.roster, i, now_s)) {
            char date[FED_ROSTER_DATE_MAX];
            fed_roster_date_format(date, entry->not_after);
            FED_WARN("roster", "entry ends soon", FED_STR("node", entry->name), FED_STR("on", date));
            node->warned_day = today;
        }
    }
}

void fed_presence_tick(struct fed_coordinator *c, uint64_t now_ms) {
    int64_t now_s = fed_wall_seconds();
    fed_roster_live_watch(c->roster_live);
    warn_of_ends(c, now_s);
    for (size_t i = 0; i < c->nodes.n_nodes; i++) {
        struct fed_node *node = &c->nodes.nodes[i];
        if (node->online && silent(c, i, now_ms)) {
            fed_presence_lost(c, i, "it was silent for too long");
        } else if (node->online && !fed_roster_valid(c->nodes.roster, i, now_s)) {
            fed_presence_lost(c, i, "its roster entry is not valid any more");
        }
    }
    fed_publish_heard(c);
    if (c->collecting && now_ms >= c->said_ms + FED_REPEAT_MS) {
        fed_say_rounds_again(c);
        c->said_ms = now_ms;
    }
}

/* -- the roster, live --------------------------------------------------------------------------------------------------- */

void fed_presence_check_cohort(const struct fed_coordinator *c) {
    uint64_t population = fed_roster_population(c->nodes.roster);
    double wanted = c->task->round.over_select * (double)fed_round_cohort_size(c->task->algorithm.fraction, population);
    if (wanted > (double)c->fixed.max_updates) {
        FED_WARN("roster", "cohorts are cut", FED_F64("wanted", ceil(wanted)), FED_U64("most", c->fixed.max_updates),
                 FED_STR("why", "the sums of this run are exact for so many updates; a new run has room for more"));
    }
}

/* Takes the entries out of *file. */
static int take_up(struct fed_coordinator *c, struct fed_roster_file *file) {
    struct fed_nodes next = {0};
    size_t most = c->nodes.n_nodes + file->n_entries;
    if (fed_refusals_grow(c->refusals, most) != FED_OK || fed_schedule_grow(c->schedule, most) != FED_OK ||
        fed_nodes_prepare(&next, &c->nodes, file) != FED_OK) {
        return FED_ENOMEM;
    }
    for (size_t i = 0; i < c->nodes.n_nodes; i++) {
        if (c->nodes.nodes[i].online && fed_nodes_entry_changes(&c->nodes, &next, i)) {
            fed_presence_lost(c, i, "its roster entry changed");
        }
    }
    fed_nodes_take(&c->nodes, &next);
    if (fed_publish_roster(c) != FED_OK) { /* its lines come with the next reload */
        FED_ERROR("http", "not enough memory to show the new roster");
    }
    return FED_OK;
}

void fed_presence_roster(struct fed_coordinator *c) {
    static struct fed_roster_live_result result;
    while (fed_roster_live_finished(&result, c->roster_live)) {
        if (result.rc == FED_OK && take_up(c, &result.file) != FED_OK) {
            result.rc = fed_error_set(&result.err, FED_ENOMEM, "not enough memory; it is tried again");
            fed_roster_live_try_again(c->roster_live);
        }
        fed_roster_file_fini(&result.file);
        if (result.rc == FED_OK) {
            FED_INFO("roster", "reloaded", FED_U64("nodes", c->nodes.n_nodes),
                     FED_U64("clients", fed_roster_population(c->nodes.roster)));
            fed_presence_check_cohort(c);
            fed_loop_post_kind(c, FED_EVENT_TICK);
        } else if (!result.added) {
            FED_ERROR("roster", "not reloaded, the old one holds", FED_STR("why", result.err.text));
        }
        if (result.added) {
            fed_enrol_added(c, result.rc, result.err.text);
        } else {
            fed_notify_ready(c->options.notify); /* again, where SIGHUP asked; else it knows */
        }
    }
}
