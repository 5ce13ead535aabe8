/* Who holds the places of the server, and who has to go where they run out, so that whoever comes next is heard at once: the
 * one that has waited longest without having sent a whole request; where all have sent one, the one whose answer began
 * first. Readers of the stream are never sent away: they are few (FED_STREAMS_MOST). Pure; all of it belongs to the thread
 * of HTTP. */
#ifndef FED_COORDINATOR_HTTP_HTTP_PLACES_H
#define FED_COORDINATOR_HTTP_HTTP_PLACES_H

#include <stddef.h>
#include <stdint.h>

#define FED_PLACES 64u
#define FED_PLACES_LEAVING 16u /* more, for those that were sent away and are not gone yet */
#define FED_PLACES_ROOM (FED_PLACES + FED_PLACES_LEAVING)

enum fed_place_state {
    FED_PLACE_FREE,
    FED_PLACE_WAITS, /* for a request, or for the rest of one */
    FED_PLACE_ANSWERED,
    FED_PLACE_STAYS,   /* reads the stream */
    FED_PLACE_LEAVING, /* was sent away */
};

struct fed_place {
    enum fed_place_state state;
    int fd;
    uint64_t since; /* what happened so far when it came into this state */
};

struct fed_places {
    struct fed_place places[FED_PLACES_ROOM];
    uint64_t happened;
    size_t n; /* neither free nor leaving */
};

/* A connection comes, and waits. *leaves: the one that has to go for it, or NULL; the caller ends it, and says so with
 * fed_places_free when it has ended. NULL: not even a place for that; the caller ends the new one. */
struct fed_place *fed_places_take(struct fed_places *places, int fd, struct fed_place **leaves);
/* WAITS, ANSWERED or STAYS. Of one that is leaving nothing changes. */
void fed_places_change(struct fed_places *places, struct fed_place *place, enum fed_place_state state);
void fed_places_free(struct fed_places *places, struct fed_place *place);

#endif
