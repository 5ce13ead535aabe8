#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/sent_log.h"
#include "client/session_internal.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rng.h"

#define HELLO_AGAIN_MS 2000
#define OFFER_AGAIN_MS 2000
#define DOWN_SAID_MS 3000
#define BACKOFF_MOST_MS 60000

static void trouble(struct fed_session *s, const char *sentence) {
    if (strcmp(s->said_trouble.text, sentence) != 0) {
        FED_ERROR("session", "no connection", FED_STR("coordinator", s->config->coordinator), FED_STR("why", sentence));
        snprintf(s->said_trouble.text, sizeof s->said_trouble.text, "%s", sentence);
    }
}

static void reopen_later(struct fed_session *s) {
    fed_lane_close(s->control);
    s->control = NULL;
    fed_session_close_bulk(s);
    s->state = FED_SESSION_DOWN;
    uint8_t jitter;
    fed_random_bytes(&jitter, 1);
    s->reconnect_ms = fed_clock_ms() + s->backoff_ms + s->backoff_ms * jitter / 512;
    s->backoff_ms = s->backoff_ms * 2 < BACKOFF_MOST_MS ? s->backoff_ms * 2 : BACKOFF_MOST_MS;
}

/* Asking again at once would be answered alike: a roster is edited by people. */
void fed_session_node_refused(struct fed_session *s, enum fed_refusal refusal) {
    if (refusal == FED_REFUSAL_NOT_ENROLLED) {
        fed_error_set(&s->refusal, FED_EPEER,
                      "%s: this node's key is not on the coordinator's roster (or not valid now); "
                      "send its operator the public line of %s",
                      s->config->coordinator, s->config->key != NULL ? s->config->key : "this node");
    } else {
        fed_error_set(&s->refusal, FED_EPEER, "the coordinator refused this node: %s; ask its operator",
                      refusal == FED_REFUSAL_HOSTED      ? "the roster does not give it the clients that it names"
                      : refusal == FED_REFUSAL_PARTITION ? "its data or its split is not the task's"
                                                         : fed_refusal_name(refusal));
    }
    s->refused = true;
    trouble(s, s->refusal.text);
    fed_session_tell_refused(s, 0, 0, refusal, s->refusal.text);
    reopen_later(s);
}

static int open_control(struct fed_session *s, struct fed_error *err) {
    return fed_lane_connect_control(&s->control, s->link, s->config->coordinator, s->identity,
                                    s->config->coordinator_key.curve, FED_CONTROL_MAX, err);
}

static void hear_lane(struct fed_session *s) {
    for (struct fed_incoming in = {0}; s->control != NULL && fed_lane_recv(&in, s->control) == FED_OK;
         memset(&in, 0, sizeof in)) {
        s->bytes_received += in.head.n;
        fed_session_hear_control(s, &in.head);
        fed_frame_release(&in.head);
        fed_frame_release(&in.body);
    }
}

/* What the coordinator said before it went is here already, though its end is what is heard of first: a run's END is often
 * followed by just that. */
static void hear_last_words(struct fed_session *s) {
    hear_lane(s);
    if (s->control == NULL) { /* it refused this node, which waits now */
        return;
    }
    s->state = FED_SESSION_DOWN;
    fed_session_hear_down(s);
    s->down_since_ms = s->down_since_ms > 0 ? s->down_since_ms : fed_clock_ms();
}

static void hear_link(struct fed_session *s) {
    enum fed_link_event event;
    while (s->control != NULL && (event = fed_lane_event(s->control)) != FED_LINK_QUIET) {
        switch (event) {
        case FED_LINK_UP:
            s->state = FED_SESSION_GREETING;
            s->down_since_ms = 0;
            fed_session_say_hello(s);
            break;
        case FED_LINK_DOWN: hear_last_words(s); break;
        case FED_LINK_REFUSED: fed_session_node_refused(s, FED_REFUSAL_NOT_ENROLLED); break;
        case FED_LINK_WRONG_PEER:
            s->refused = true;
            fed_error_set(&s->refusal, FED_EPEER,
                          "%s does not hold the key that coordinator_key names in %s; "
                          "check the address, then ask its operator for the right public line",
                          s->config->coordinator, s->config->path);
            trouble(s, s->refusal.text);
            fed_session_tell(s, (struct fed_session_news){
                                    .kind = FED_NEWS_REFUSED, .word = "wrong_coordinator_key", .text = s->refusal.text});
            reopen_later(s);
            break;
        case FED_LINK_QUIET: break;
        }
    }
}

static void keep_talking(struct fed_session *s, uint64_t now) {
    if (s->control == NULL && now >= s->reconnect_ms) {
        struct fed_error err;
        if (open_control(s, &err) != FED_OK) {
            FED_ERROR("session", "no connection", FED_STR("why", err.text));
            reopen_later(s);
        }
    }
    if (s->down_since_ms > 0 && now > s->down_since_ms + DOWN_SAID_MS) { /* not for a restart of a second */
        trouble(s, "the coordinator cannot be reached; trying again for ever");
        s->refused = s->options.check;
        fed_error_set(&s->refusal, FED_EPEER, "%s cannot be reached: is the coordinator running, and is this its address?",
                      s->config->coordinator);
    }
    if (s->state == FED_SESSION_GREETING && now >= s->said_ms + HELLO_AGAIN_MS) {
        fed_session_say_hello(s);
    }
    if (s->state != FED_SESSION_READY) {
        return;
    }
    for (struct fed_part *part = s->parts; part != NULL; part = part->next) {
        if (part->state == FED_PART_OFFERED && now >= part->said_ms + OFFER_AGAIN_MS && now >= part->retry_ms) {
            fed_session_say_offer(s, part);
            fed_session_say_where_bulk_is(s);
        }
    }
    if (s->working && s->bulk == NULL && s->capability[0] != '\0') {
        fed_session_open_bulk(s);
    }
    if (now >= s->said_ms + (s->working ? s->ping_ms : s->idle_ms) / 2) {
        fed_session_say_status(s);
    }
}

size_t fed_session_items(struct fed_poll_item items[FED_SESSION_ITEMS], const struct fed_session *s) {
    size_t n = 0;
    items[n++] = (struct fed_poll_item){.fd = fed_host_fd(s->host)};
    if (s->options.stop_fd >= 0) {
        items[n++] = (struct fed_poll_item){.fd = s->options.stop_fd};
    }
    if (s->control != NULL) {
        items[n++] = (struct fed_poll_item){.lane = s->control};
    }
    if (s->bulk != NULL) {
        items[n++] = (struct fed_poll_item){.lane = s->bulk};
    }
    return n;
}

static void do_what_there_is(struct fed_session *s) {
    uint64_t now = fed_clock_ms();
    hear_link(s);
    hear_lane(s);
    fed_session_hear_bulk_link(s, now);
    fed_session_hear_bulk(s);
    s->waiting = fed_session_send_wanted(s);
    fed_session_collect_updates(s);
    fed_session_ask_chunks(s, now);
    keep_talking(s, now);
    fed_session_tell_mood(s);
}

int fed_session_step(struct fed_session *s, int64_t timeout_ms, struct fed_error *err) {
    struct fed_poll_item items[FED_SESSION_ITEMS];
    size_t n = fed_session_items(items, s);
    int64_t most = s->waiting ? FED_SESSION_SEND_AGAIN_MS : FED_SESSION_TICK_MS;
    int rc = fed_link_poll(s->link, items, n, timeout_ms >= 0 && timeout_ms < most ? timeout_ms : most);
    if (rc != FED_OK) {
        return fed_error_set(err, FED_EFAILED, "waiting for messages failed: %s", fed_status_text(rc));
    }
    for (size_t i = 0; s->options.stop_fd >= 0 && i < n; i++) {
        if (items[i].lane == NULL && items[i].fd == s->options.stop_fd && items[i].readable) {
            return fed_error_set(err, FED_EINTERRUPTED, "stopped");
        }
    }
    do_what_there_is(s);
    if (s->data_misfit) {
        return fed_error_set(err, FED_EDATA, "%s", s->task_problem.text);
    }
    bool welcomed = s->state == FED_SESSION_READY; /* now: a welcome of yesterday is no answer */
    if (s->options.check && (welcomed || s->refused)) {
        return welcomed ? FED_OK : fed_error_set(err, FED_EPEER, "%s", s->refusal.text);
    }
    return FED_EAGAIN;
}

void fed_session_set_check(struct fed_session *s, bool check) {
    s->options.check = check;
    s->refused = false; /* a new question */
}

int fed_session_run(struct fed_session *s, struct fed_error *err) {
    int rc;
    do {
        rc = fed_session_step(s, -1, err);
    } while (rc == FED_EAGAIN);
    return rc;
}

int fed_session_new(struct fed_session **out, struct fed_link *link, struct fed_host *host,
                    const struct fed_identity *identity, const struct fed_client_config *config,
                    const struct fed_session_options *options, struct fed_error *err) {
    struct fed_session *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return fed_error_set(err, FED_ENOMEM, "not enough memory");
    }
    s->link = link;
    s->host = host;
    s->identity = identity;
    s->config = config;
    s->options = *options;
    s->sent_log = -1;
    s->backoff_ms = FED_BACKOFF_FIRST_MS;
    s->ping_ms = s->idle_ms = 5000;
    fed_random_bytes(&s->instance, sizeof s->instance);
    s->instance |= 1; /* 0 would say nothing */
    int rc = config->state_dir != NULL ? fed_sent_log_open(&s->sent_log, config->state_dir, err) : FED_OK;
    if (rc == FED_OK) {
        rc = open_control(s, err);
    }
    if (rc != FED_OK) {
        fed_session_free(s);
        return rc;
    }
    *out = s;
    return FED_OK;
}

void fed_session_free(struct fed_session *s) {
    if (s == NULL) {
        return;
    }
    fed_parts_free(&s->parts);
    fed_download_free(s->download);
    fed_lane_close(s->bulk);
    fed_lane_close(s->control);
    if (s->sent_log >= 0) {
        close(s->sent_log);
    }
    explicit_bzero(s, sizeof *s);
    free(s);
}
