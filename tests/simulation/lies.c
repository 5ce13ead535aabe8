/* A node that lies: it is on the roster, and beside what an honest node says it says it again, changed: other clients, other
 * parts, other attempts, declines of what is not its own, progress that it has not made. */
#include <stdlib.h>
#include <string.h>

#include "proto/bounds.h"
#include "tests/simulation/sim.h"

static uint64_t some_client(void) { return SIM_FIRST_ID + sim_dice(8 * SIM_CLIENTS); }

static uint32_t other(uint32_t number) { return sim_dice(2) == 0 ? (uint32_t)sim_dice(4) : number + (uint32_t)sim_dice(3); }

static int lie_header(struct fed_msg_offer *offer) {
    static struct fed_update_header header;
    if (fed_update_header_decode(&header, offer->header, offer->n_header) != FED_OK || header.n_clients == 0) {
        return FED_EWIRE;
    }
    switch (sim_dice(6)) {
    case 0: header.clients[header.n_clients - 1] += sim_dice(5); break;
    case 1: header.weights[0] = sim_dice(2) == 0 ? 0 : UINT32_MAX; break;
    case 2: header.n_clients = 1; break;
    case 3: header.suite = 7; break;
    case 4: header.n_bytes += 4; break;
    default: header.clients[0] -= sim_dice(2); break;
    }
    if (!fed_bounds_header(&header)) {
        return FED_EWIRE; /* cannot even be said */
    }
    return fed_update_header_encode(offer->header, &offer->n_header, &header);
}

static void lie_offer(struct fed_msg_offer *offer) {
    switch (sim_dice(6)) {
    case 0: offer->part = other(offer->part); break;
    case 1: offer->attempt = other(offer->attempt); break;
    case 2: offer->round += sim_dice(3); break;
    case 3: memset(offer->e_pk, 0, sizeof offer->e_pk); break; /* of low order */
    case 4: break;                                             /* once more */
    default:
        if (lie_header(offer) != FED_OK) {
            offer->part++;
        }
        break;
    }
}

static void say(struct sim_node *node, struct fed_message *message) {
    static uint8_t bytes[FED_CONTROL_MAX];
    size_t n;
    if (fed_bounds_message(message) && fed_message_encode(bytes, &n, message) == FED_OK) {
        sim_link_forge(node->process, bytes, n);
    }
}

static void decline(struct sim_node *node, uint64_t round, uint32_t attempt, uint32_t part, uint64_t client) {
    static struct fed_message message;
    memset(&message, 0, sizeof message);
    message.kind = FED_MSG_DECLINE;
    message.as.decline.round = round;
    message.as.decline.attempt = attempt;
    message.as.decline.part = part;
    message.as.decline.reason = FED_DECLINE_FAILED;
    message.as.decline.n_clients = 1;
    message.as.decline.clients[0] = client;
    say(node, &message);
}

/* It offers an update and gives its client back in the same breath: whoever hosts the client too will deliver another. */
static void decline_what_it_offers(struct sim_node *node, const struct fed_msg_offer *offer) {
    static struct fed_update_header header;
    if (fed_update_header_decode(&header, offer->header, offer->n_header) == FED_OK) {
        decline(node, offer->round, offer->attempt, offer->part, header.clients[sim_dice(header.n_clients)]);
    }
}

static void claim_others(struct sim_node *node, struct fed_message *message) {
    message->as.hello.hosted[0].first = some_client();
    message->as.hello.hosted[0].count = 1 + sim_dice(3);
    say(node, message);
}

static void say_what_is_not_its_to_say(struct sim_node *node) {
    struct fed_message message = {.kind = FED_MSG_END, .as.end = {.round = 1, .attempt = 1, .committed = true}};
    say(node, &message);
}

void sim_lie(struct sim_node *node, const uint8_t *bytes, size_t n) {
    static struct fed_message message;
    if (sim_decode(&message, bytes, n) != FED_OK || !sim_chance(40)) {
        return;
    }
    switch (message.kind) {
    case FED_MSG_HELLO: claim_others(node, &message); break;
    case FED_MSG_OFFER:
        if (sim_dice(3) == 0) {
            decline_what_it_offers(node, &message.as.offer);
        } else {
            lie_offer(&message.as.offer);
            say(node, &message);
        }
        break;
    case FED_MSG_STATUS:
        if (sim_dice(2) == 0) {
            message.as.status.total += 1000;
            message.as.status.done = message.as.status.total;
            say(node, &message);
        } else {
            decline(node, message.as.status.round, message.as.status.attempt, (uint32_t)sim_dice(4), some_client());
        }
        break;
    default: break;
    }
    if (sim_chance(5)) {
        say_what_is_not_its_to_say(node);
    }
    if (sim_chance(5)) {
        sim_link_forge(node->process, bytes, n / 2); /* not a message */
    }
}
