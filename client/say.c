/* What the node says on the control lane. Whatever does not get through is said again by whoever keeps the conversation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/session_internal.h"
#include "common/base/clock.h"
#include "common/base/log.h"

static int say(struct fed_session *s, struct fed_message *message) {
    if (s->control == NULL) { /* refused a moment ago; training goes on and may have something to say */
        return FED_EGONE;
    }
    uint8_t *bytes = malloc(FED_CONTROL_MAX);
    size_t n;
    message->seq = ++s->seq;
    int rc = bytes != NULL ? fed_message_encode(bytes, &n, message) : FED_ENOMEM;
    if (rc == FED_OK) {
        rc = fed_lane_send(s->control, NULL, bytes, n, NULL, 0, 0);
    }
    s->bytes_sent += rc == FED_OK ? n : 0;
    free(bytes);
    s->said_ms = fed_clock_ms();
    return rc;
}

void fed_session_say_hello(struct fed_session *s) {
    struct fed_message message = {.kind = FED_MSG_HELLO};
    struct fed_msg_hello *hello = &message.as.hello;
    hello->protocol_minor = FED_PROTOCOL_MINOR;
    snprintf(hello->build, sizeof hello->build, "fedavg %s", FED_VERSION);
    snprintf(hello->kernel_family, sizeof hello->kernel_family, "%s", fed_host_family(s->host));
    snprintf(hello->kernels, sizeof hello->kernels, "%s", fed_host_kernels(s->host));
    hello->workers = s->config->workers;
    hello->instance = s->instance;
    hello->n_hosted = 1;
    hello->hosted[0] = (struct fed_id_range){s->config->first_client, s->config->n_clients};
    const uint8_t *digest = fed_host_partition_digest(s->host);
    if (digest != NULL) {
        hello->has_partition = true;
        memcpy(hello->partition_digest, digest, sizeof hello->partition_digest);
    }
    const struct fed_image *image = fed_host_image(s->host);
    if (image != NULL) {
        hello->has_model = true;
        memcpy(hello->model_digest, image->digest, sizeof hello->model_digest);
    }
    /* A full queue or a connection just lost: it is said again when the link is up. */
    int rc = say(s, &message);
    (void)rc;
}

void fed_session_say_status(struct fed_session *s) {
    struct fed_message message = {.kind = FED_MSG_STATUS};
    struct fed_msg_status *status = &message.as.status;
    if (s->working) {
        status->round = s->terms.round;
        status->attempt = s->terms.attempt;
        fed_parts_progress(s->parts, &status->done, &status->total);
        s->left_said = status->total - status->done;
        status->phase = s->download != NULL            ? FED_PHASE_DOWNLOAD
                        : status->done < status->total ? FED_PHASE_TRAIN
                                                       : FED_PHASE_UPLOAD;
    }
    int rc = say(s, &message); /* the next one says the same and more */
    (void)rc;
}

/* client: NULL = the whole part. */
void fed_session_say_decline(struct fed_session *s, uint32_t part, const uint64_t *client, enum fed_decline_reason reason) {
    fed_session_tell_declined(s, client, reason);
    struct fed_message *message = calloc(1, sizeof *message);
    if (message == NULL) {
        return; /* the coordinator waits until the deadline; nothing else can be said without memory */
    }
    message->kind = FED_MSG_DECLINE;
    message->as.decline.round = s->terms.round;
    message->as.decline.attempt = s->terms.attempt;
    message->as.decline.part = part;
    message->as.decline.reason = reason;
    if (client != NULL) {
        message->as.decline.n_clients = 1;
        message->as.decline.clients[0] = *client;
    }
    if (say(s, message) != FED_OK) {
        FED_WARN("session", "decline not sent", FED_U64("round", s->terms.round), FED_U64("part", part));
    }
    free(message);
}

void fed_session_say_offer(struct fed_session *s, struct fed_part *part) {
    struct fed_message *message = calloc(1, sizeof *message);
    part->said_ms = fed_clock_ms();
    if (message == NULL) {
        return; /* said again later */
    }
    struct fed_msg_offer *offer = &message->as.offer;
    message->kind = FED_MSG_OFFER;
    offer->round = s->terms.round;
    offer->attempt = s->terms.attempt;
    offer->part = part->id;
    memcpy(offer->e_pk, fed_seal_pair_public(part->e), sizeof offer->e_pk);
    offer->n_header = part->n_header;
    memcpy(offer->header, part->header, part->n_header);
    int rc = say(s, message); /* said again until it is answered */
    (void)rc;
    free(message);
}
