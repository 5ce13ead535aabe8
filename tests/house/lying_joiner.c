/* Presents a genuine token dishonestly: lying_joiner HOW ENDPOINT COORDINATORLINE TOKENFILE KEYFILE OTHERKEYFILE. Exit 8
 * when it is refused as a token, 0 when it is enrolled, 1 otherwise. */
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/link/link.h"
#include "common/seal/key_file.h"
#include "common/seal/token.h"
#include "proto/wire.h"

#define PATIENCE_MS 60000

static int make(struct fed_message *out, const char *how, const struct fed_token *token, const struct fed_identity *node,
                const struct fed_identity *other, const struct fed_public_keys *coordinator) {
    struct fed_msg_enrol *enrol = &out->as.enrol;
    struct fed_enrolment enrolment;
    struct fed_public_keys keys = node->public_keys;
    *out = (struct fed_message){.kind = FED_MSG_ENROL};
    if (strcmp(how, "seal") == 0) { /* somebody else's seal key under one's own name */
        memcpy(keys.seal, other->public_keys.seal, sizeof keys.seal);
    } else if (strcmp(how, "curve") == 0) { /* for a key that is not that of the connection */
        keys = other->public_keys;
    }
    fed_token_prove(&enrolment, token, &keys, strcmp(how, "coordinator") == 0 ? &other->public_keys : coordinator);
    memcpy(enrol->certificate, enrolment.certificate, sizeof enrol->certificate);
    memcpy(enrol->signature, enrolment.proof + sizeof *coordinator, sizeof enrol->signature);
    enrol->keys = keys;
    int rc = fed_enrolment_mac_node(enrol->seal_mac, enrol->certificate, node, coordinator);
    enrol->signature[0] ^= strcmp(how, "proof") == 0;
    enrol->certificate[64] ^= strcmp(how, "certificate") == 0; /* another client than it was issued for */
    return rc;
}

static int ask(struct fed_link *link, struct fed_lane *lane, const struct fed_message *message) {
    static uint8_t bytes[FED_CONTROL_MAX];
    static struct fed_message answer;
    size_t n;
    bool said = false;
    if (fed_message_encode(bytes, &n, message) != 0) {
        return 1;
    }
    for (uint64_t end = fed_clock_ms() + PATIENCE_MS; fed_clock_ms() < end;) {
        struct fed_poll_item item = {.lane = lane};
        struct fed_incoming in = {0};
        if (fed_link_poll(link, &item, 1, 1000) != 0) {
            return 1;
        }
        if (!said && fed_lane_event(lane) == FED_LINK_UP) {
            said = fed_lane_send(lane, NULL, bytes, n, NULL, 0, 0) == 0;
        }
        if (fed_lane_recv(&in, lane) == 0) {
            int rc = fed_message_decode(&answer, in.head.bytes, in.head.n);
            fed_frame_release(&in.head);
            fed_frame_release(&in.body);
            bool refused = rc == 0 && answer.kind == FED_MSG_REFUSED && answer.as.refused.code == FED_REFUSAL_TOKEN;
            return refused ? 8 : rc == 0 && answer.kind == FED_MSG_ENROLLED ? 0 : 1;
        }
    }
    return 1;
}

int main(int argc, char **argv) {
    struct fed_error err = {""};
    struct fed_public_keys coordinator;
    struct fed_token *token = NULL;
    struct fed_identity node = {0}, other = {0};
    struct fed_link *link = NULL;
    struct fed_lane *lane = NULL;
    static struct fed_message message;
    int code = 1;
    if (argc == 7 && fed_seal_setup(&err) == 0 && fed_public_parse(&coordinator, argv[3], &err) == 0 &&
        fed_token_load(&token, argv[4], &err) == 0 && fed_identity_load(&node, argv[5], &err) == 0 &&
        fed_identity_load(&other, argv[6], &err) == 0 && make(&message, argv[1], token, &node, &other, &coordinator) == 0 &&
        fed_link_new(&link, 1, 4, NULL, &err) == 0 &&
        fed_lane_connect_control(&lane, link, argv[2], &node, coordinator.curve, FED_ENROL_MAX, &err) == 0) {
        code = ask(link, lane, &message);
    }
    fprintf(stderr, "%s\n", err.text);
    fed_lane_close(lane);
    fed_link_free(link);
    fed_token_free(token);
    fed_identity_fini(&node);
    fed_identity_fini(&other);
    return code;
}
