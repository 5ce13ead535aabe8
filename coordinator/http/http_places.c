#include "coordinator/http/http_places.h"

#include <assert.h>
#include <stdbool.h>

static struct fed_place *first_in(struct fed_places *places, enum fed_place_state state) {
    struct fed_place *first = NULL;
    for (size_t i = 0; i < FED_PLACES_ROOM; i++) {
        struct fed_place *place = &places->places[i];
        if (place->state == state && (first == NULL || place->since < first->since)) {
            first = place;
        }
    }
    return first;
}

static bool counts(const struct fed_place *place) {
    return place->state != FED_PLACE_FREE && place->state != FED_PLACE_LEAVING;
}

static void enter(struct fed_places *places, struct fed_place *place, enum fed_place_state state) {
    places->n -= counts(place);
    place->state = state;
    place->since = places->happened++;
    places->n += counts(place);
}

static struct fed_place *send_away(struct fed_places *places) {
    struct fed_place *place = first_in(places, FED_PLACE_WAITS);
    if (place == NULL) {
        place = first_in(places, FED_PLACE_ANSWERED);
    }
    if (place != NULL) {
        enter(places, place, FED_PLACE_LEAVING);
    }
    return place;
}

struct fed_place *fed_places_take(struct fed_places *places, int fd, struct fed_place **leaves) {
    struct fed_place *place = first_in(places, FED_PLACE_FREE);
    *leaves = NULL;
    if (place == NULL) {
        return NULL;
    }
    if (places->n >= FED_PLACES) {
        *leaves = send_away(places);
    }
    place->fd = fd;
    enter(places, place, FED_PLACE_WAITS);
    return place;
}

void fed_places_change(struct fed_places *places, struct fed_place *place, enum fed_place_state state) {
    assert(state == FED_PLACE_WAITS || state == FED_PLACE_ANSWERED || state == FED_PLACE_STAYS);
    if (place->state != FED_PLACE_LEAVING) {
        enter(places, place, state);
    }
}

void fed_places_free(struct fed_places *places, struct fed_place *place) { enter(places, place, FED_PLACE_FREE); }
