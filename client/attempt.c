/* The attempt at hand: from ROUND over the model and the trained clients to parts that are offered. */
#include <string.h>

#include "client/session_internal.h"
#include "common/base/log.h"

void fed_session_end_attempt(struct fed_session *s, bool keep_updates, enum fed_session_outcome outcome) {
    if (s->working) {
        fed_session_tell_ended(s, outcome);
    }
    fed_parts_free(&s->parts);
    fed_download_free(s->download);
    s->download = NULL;
    s->working = false;
    fed_host_end(s->host, keep_updates);
}

void fed_session_decline_part(struct fed_session *s, struct fed_part *part) {
    part->state = FED_PART_DONE;
    part->declined = true;
    part->n_wanted = 0;
    fed_session_say_decline(s, part->id, NULL, FED_DECLINE_FAILED);
}

static void finish_part(struct fed_session *s, struct fed_part *part) {
    int rc = fed_part_seal(part, s->terms.n_params, s->identity, &s->terms);
    if (rc != FED_OK) {
        FED_ERROR("session", "update not sealed", FED_STR("why", fed_status_text(rc)));
        fed_session_decline_part(s, part);
        return;
    }
    fed_session_say_offer(s, part);
}

static void finish_complete_parts(struct fed_session *s) {
    for (struct fed_part *part = s->parts; part != NULL; part = part->next) {
        if (fed_part_complete(part)) {
            finish_part(s, part);
        }
    }
}

/* What was trained on data that were changed is not sent, and nothing more is trained: the owner has to look. */
static void look_after_data(struct fed_session *s) {
    if (s->task_problem.text[0] == '\0' && fed_host_check_data(s->host, &s->task_problem) != FED_OK) {
        s->task_reason = FED_DECLINE_NO_DATA;
        FED_ERROR("session", "declines every round", FED_STR("why", s->task_problem.text));
    }
}

static void client_failed(struct fed_session *s, uint64_t client, int rc) {
    enum fed_decline_reason reason = rc == FED_EINTERRUPTED ? FED_DECLINE_TIME
                                     : rc == FED_ENOMEM     ? FED_DECLINE_MEMORY
                                     : rc == FED_ENOTFOUND  ? FED_DECLINE_NO_DATA
                                     : rc == FED_EPEER      ? FED_DECLINE_NORM
                                                            : FED_DECLINE_FAILED;
    if (rc == FED_EDATA && s->task_problem.text[0] != '\0') {
        reason = s->task_reason;
    }
    for (struct fed_part *part; (part = fed_parts_drop_client(s->parts, client)) != NULL;) {
        FED_WARN("session", "client declined", FED_U64("client", client), FED_U64("round", s->terms.round),
                 FED_STR("why", fed_decline_name(reason)));
        fed_session_say_decline(s, part->id, &client, reason);
    }
}

static void want_clients(struct fed_session *s, const struct fed_part *part, size_t first) {
    for (size_t i = first; i < part->n_clients; i++) {
        int rc = fed_host_train(s->host, part->clients[i]);
        if (rc != FED_OK) {
            client_failed(s, part->clients[i], rc);
        }
    }
}

void fed_session_model_is_here(struct fed_session *s, struct fed_image *image) {
    fed_host_begin(s->host, image, s->terms.learning_rate);
    for (struct fed_part *part = s->parts; part != NULL; part = part->next) {
        want_clients(s, part, 0);
    }
}

static void say_unfit(const struct fed_session *s, const struct fed_host_update *update) {
    size_t at = fed_fixed_check(&s->fixed, update->delta, s->terms.n_params), element;
    if (at == s->terms.n_params) {
        FED_WARN("session", "update has too many examples for the task", FED_U64("client", update->client),
                 FED_U64("examples", update->report.n_examples), FED_U64("allowed", s->fixed.max_weight));
        return;
    }
    const struct fed_tensor *tensor = fed_model_locate(fed_host_model(s->host), at, &element);
    FED_WARN("session", "update beyond max_delta", FED_U64("client", update->client), FED_STR("tensor", tensor->name),
             FED_U64("element", element), FED_F64("value", (double)update->delta[at]),
             FED_F64("allowed", (double)s->fixed.max_delta));
}

/* The coordinator need not hear of every client: of half of those it thinks are still to be trained, and of each of the last
 * ones, so that there are always two for each worker. */
static bool worth_saying(const struct fed_session *s) {
    uint32_t done, total;
    fed_parts_progress(s->parts, &done, &total);
    return total - done < 2 * s->config->workers || total - done <= s->left_said / 2;
}

static void tell_trained(struct fed_session *s, const struct fed_host_update *update) {
    double seen = (double)update->report.n_examples * s->task.epochs;
    double per_second = update->seconds > 0 ? seen / update->seconds : 0;
    fed_session_tell(s, (struct fed_session_news){.kind = FED_NEWS_TRAINED,
                                                  .round = s->terms.round,
                                                  .attempt = s->terms.attempt,
                                                  .client = update->client,
                                                  .clients = 1,
                                                  .examples = update->report.n_examples,
                                                  .steps = update->report.n_steps,
                                                  .loss = update->report.mean_loss,
                                                  .seconds = update->seconds,
                                                  .examples_per_second = per_second});
}

void fed_session_collect_updates(struct fed_session *s) {
    struct fed_host_update update;
    bool any = false;
    while (fed_host_finished(s->host, &update)) {
        size_t joined = 0;
        int rc = update.rc;
        if (rc == FED_OK) {
            rc = fed_parts_join(&joined, s->parts, &s->fixed, &s->limits, s->terms.n_params, &update);
        }
        if (update.rc == FED_EDATA) {
            look_after_data(s);
        }
        if (rc != FED_OK) {
            client_failed(s, update.client, rc);
        }
        if (rc == FED_EDATA && update.rc == FED_OK) {
            say_unfit(s, &update);
        }
        if (rc == FED_EPEER && update.rc == FED_OK) {
            FED_WARN("session", "update over the round's norm ceiling", FED_U64("client", update.client),
                     FED_F64("norm", update.norm), FED_F64("ceiling", s->limits.norm_ceiling));
        }
        if (rc == FED_OK && joined > 0) {
            tell_trained(s, &update);
        }
        if (update.rc == FED_OK && !fed_parts_borrow(s->parts, update.delta)) {
            fed_host_release(s->host, update.client);
        }
        any = true;
    }
    if (any && s->working) {
        finish_complete_parts(s);
        if (worth_saying(s)) {
            fed_session_say_status(s);
        }
    }
}

bool fed_session_same_attempt(const struct fed_session *s, uint64_t round, uint32_t attempt) {
    return s->working && s->terms.round == round && s->terms.attempt == attempt;
}

static bool older(const struct fed_session *s, uint64_t round, uint32_t attempt) {
    return s->heard_round && (round < s->terms.round || (round == s->terms.round && attempt < s->terms.attempt));
}

static void begin_attempt(struct fed_session *s, const struct fed_msg_round *round) {
    bool again = s->terms.round == round->terms.round &&
                 memcmp(s->terms.model_digest, round->terms.model_digest, sizeof s->terms.model_digest) == 0;
    /* What is still being trained of another round stops now, not when its model has come. */
    fed_session_end_attempt(s, again, FED_OUTCOME_UNKNOWN);
    s->terms = round->terms;
    s->limits = round->limits;
    memcpy(s->terms.run_id, s->run_id, sizeof s->terms.run_id);
    memcpy(s->terms.task_digest, s->task_digest, sizeof s->terms.task_digest);
    s->working = true;
    fed_session_tell(
        s, (struct fed_session_news){.kind = FED_NEWS_BEGUN, .round = s->terms.round, .attempt = s->terms.attempt});
}

static bool terms_are_the_tasks(const struct fed_session *s, const struct fed_terms *terms) {
    return terms->epochs == s->task.epochs && terms->batch_size == s->task.batch_size &&
           terms->n_params == fed_host_model(s->host)->n_params && terms->round >= 1;
}

/* What is held is the model that this attempt starts from. */
static bool holds_model(const struct fed_session *s) {
    const struct fed_image *held = fed_host_image(s->host);
    return held != NULL && memcmp(held->digest, s->terms.model_digest, sizeof held->digest) == 0 &&
           held->round + 1 == s->terms.round;
}

static void start_download(struct fed_session *s, const struct fed_msg_round *round) {
    if (holds_model(s)) {
        fed_session_model_is_here(s, fed_host_image(s->host));
        return;
    }
    uint64_t most = s->config->limits.max_model_mb << 20;
    int rc = round->file_bytes <= most + (1 << 20) ? fed_download_new(&s->download, &s->terms, round) : FED_ECONFIG;
    if (rc != FED_OK) {
        FED_WARN("session", "model not fetched", FED_U64("bytes", round->file_bytes), FED_STR("why", fed_status_text(rc)));
        fed_session_say_decline(s, round->part, NULL, rc == FED_ECONFIG ? FED_DECLINE_MODEL_TOO_LARGE : FED_DECLINE_MEMORY);
        fed_session_end_attempt(s, true, FED_OUTCOME_UNKNOWN);
    }
}

/* The coordinator would not ask for what was declined if it had heard so. */
static void decline_again(struct fed_session *s, struct fed_part *part, const struct fed_msg_round *round) {
    if (part->declined) {
        fed_session_decline_part(s, part);
        return;
    }
    for (size_t i = 0; part->n_declined > 0 && i < round->n_clients; i++) {
        if (fed_part_declined(part, round->clients[i])) {
            fed_session_say_decline(s, part->id, &round->clients[i], FED_DECLINE_FAILED);
        }
    }
}

void fed_session_hear_round(struct fed_session *s, const struct fed_msg_round *round) {
    if (older(s, round->terms.round, round->terms.attempt)) {
        return;
    }
    /* A restored run may come to the same attempt again, with other secrets; and an attempt that has neither its model nor a
     * download of it was not begun: training from what is held would be training from another model. */
    bool fresh = !fed_session_same_attempt(s, round->terms.round, round->terms.attempt) ||
                 memcmp(s->terms.r_pk, round->terms.r_pk, sizeof s->terms.r_pk) != 0 ||
                 (s->download == NULL && !holds_model(s));
    s->heard_round = true;
    look_after_data(s);
    if (s->task_problem.text[0] != '\0' || !terms_are_the_tasks(s, &round->terms)) {
        if (fresh) {
            fed_session_end_attempt(s, true, FED_OUTCOME_UNKNOWN);
            s->terms.round = round->terms.round;
            s->terms.attempt = round->terms.attempt;
        }
        fed_session_say_decline(s, round->part, NULL, s->task_problem.text[0] != '\0' ? s->task_reason : FED_DECLINE_FAILED);
        return;
    }
    if (fresh) {
        begin_attempt(s, round);
    }
    fed_session_take_pass(s, round);
    struct fed_part *part;
    size_t first_fresh;
    int rc = fed_parts_update(&part, &s->parts, round, &first_fresh);
    if (rc != FED_OK) {
        FED_WARN("session", "part not taken", FED_U64("part", round->part), FED_STR("why", fed_status_text(rc)));
        fed_session_say_decline(s, round->part, NULL, FED_DECLINE_FAILED);
        return;
    }
    if (fresh) {
        start_download(s, round);
    } else {
        decline_again(s, part, round);
        if (s->download == NULL) {
            want_clients(s, part, first_fresh);
        }
    }
    fed_session_collect_updates(s); /* what was kept from an earlier attempt is there at once */
    finish_complete_parts(s);
    fed_session_say_status(s);
}
