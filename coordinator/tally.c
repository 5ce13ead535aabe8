/* What was refused: counted until the next commit stores it, and said in the log as often as is worth reading. */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "coordinator/coordinator_internal.h"

void fed_tally_refusal(struct fed_coordinator *c, size_t node, enum fed_refusal refusal, const char *why) {
    fed_tally_note(c, node, refusal, why);
    if (node != FED_STRANGER && c->nodes.nodes != NULL) {
        struct fed_quarantine_rules rules = fed_tally_rules(c);
        c->quarantine_due |= fed_quarantine_count(&c->nodes.nodes[node].quarantine, &rules, refusal, fed_clock_ms());
    }
}

struct fed_quarantine_rules fed_tally_rules(const struct fed_coordinator *c) {
    const struct fed_hygiene *hygiene = &c->task->hygiene;
    return (struct fed_quarantine_rules){.after = hygiene->quarantine_after,
                                         .window_ms = hygiene->quarantine_window_s * 1000,
                                         .first_ms = hygiene->quarantine_s * 1000};
}

void fed_tally_note(struct fed_coordinator *c, size_t node, enum fed_refusal refusal, const char *why) {
    uint64_t left_out;
    if (fed_refusals_count(c->refusals, node, refusal, fed_clock_ms(), &left_out)) {
        FED_WARN("admit", "refused", FED_STR("node", fed_nodes_name(&c->nodes, node)),
                 FED_STR("reason", fed_refusal_name(refusal)), FED_STR("why", why), FED_U64("not_logged", left_out));
        fed_news_add(c->news, fed_clock_wall_ms(), FED_NEWS_REFUSED, "%s: %s%s%s", fed_nodes_name(&c->nodes, node),
                     fed_refusal_name(refusal), why[0] != '\0' ? ": " : "", why);
    }
}

void fed_tally_tick(struct fed_coordinator *c, uint64_t now_ms) {
    size_t node;
    enum fed_refusal refusal;
    uint64_t left_out;
    while (fed_refusals_left_out(c->refusals, now_ms, &node, &refusal, &left_out)) {
        FED_WARN("admit", "refused again and again", FED_STR("node", fed_nodes_name(&c->nodes, node)),
                 FED_STR("reason", fed_refusal_name(refusal)), FED_U64("not_logged", left_out));
        fed_news_add(c->news, fed_clock_wall_ms(), FED_NEWS_REFUSED, "%s: %s, %llu times more",
                     fed_nodes_name(&c->nodes, node), fed_refusal_name(refusal), (unsigned long long)left_out);
    }
}
