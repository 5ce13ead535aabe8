#include "coordinator/round/cohort.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NOBODY FED_COHORT_NOBODY

struct fed_cohort_place {
    uint64_t client;
    uint32_t index;
};

static int by_client(const void *a, const void *b) {
    uint64_t x = ((const struct fed_cohort_place *)a)->client, y = ((const struct fed_cohort_place *)b)->client;
    return (x > y) - (x < y);
}

int fed_cohort_set(struct fed_cohort *cohort, uint64_t *clients, size_t n) {
    assert(n >= 1 && n < NOBODY);
    struct fed_cohort_place *places = calloc(n, sizeof *places);
    struct fed_member *members = calloc(n, sizeof *members);
    if (places == NULL || members == NULL) {
        free(clients);
        free(places);
        free(members);
        return FED_ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        places[i] = (struct fed_cohort_place){.client = clients[i], .index = (uint32_t)i};
    }
    qsort(places, n, sizeof *places, by_client);
    fed_cohort_free(cohort);
    *cohort = (struct fed_cohort){.clients = clients, .members = members, .places = places, .n = n};
    return 0;
}

void fed_cohort_free(struct fed_cohort *cohort) {
    free(cohort->clients);
    free(cohort->members);
    free(cohort->places);
    *cohort = (struct fed_cohort){.n = 0};
}

void fed_cohort_begin(struct fed_cohort *cohort) {
    memset(cohort->members, 0, cohort->n * sizeof *cohort->members);
    cohort->n_present = cohort->n;
    cohort->n_absent = cohort->n_counted = 0;
    cohort->absent_first = cohort->absent_last = NOBODY;
}

uint32_t fed_cohort_find(const struct fed_cohort *cohort, uint64_t client) {
    struct fed_cohort_place key = {.client = client};
    const struct fed_cohort_place *place =
        cohort->n == 0 ? NULL : bsearch(&key, cohort->places, cohort->n, sizeof key, by_client);
    return place == NULL ? NOBODY : place->index;
}

static void push_absent(struct fed_cohort *cohort, uint32_t index, uint64_t now_ms) {
    struct fed_member *member = &cohort->members[index];
    member->since_ms = now_ms;
    member->earlier = cohort->absent_last;
    member->later = NOBODY;
    if (cohort->absent_last == NOBODY) {
        cohort->absent_first = index;
    } else {
        cohort->members[cohort->absent_last].later = index;
    }
    cohort->absent_last = index;
    cohort->n_absent++;
}

static void remove_absent(struct fed_cohort *cohort, uint32_t index) {
    const struct fed_member *member = &cohort->members[index];
    if (member->earlier == NOBODY) {
        cohort->absent_first = member->later;
    } else {
        cohort->members[member->earlier].later = member->later;
    }
    if (member->later == NOBODY) {
        cohort->absent_last = member->earlier;
    } else {
        cohort->members[member->later].earlier = member->earlier;
    }
    cohort->n_absent--;
}

void fed_cohort_move(struct fed_cohort *cohort, uint32_t index, enum fed_member_state to, uint64_t now_ms) {
    enum fed_member_state from = cohort->members[index].state;
    assert(from != to && from != FED_MEMBER_COUNTED);
    if (from == FED_MEMBER_ABSENT) {
        remove_absent(cohort, index);
    } else if (to == FED_MEMBER_ABSENT) {
        push_absent(cohort, index, now_ms);
    }
    cohort->n_present -= from == FED_MEMBER_PRESENT;
    cohort->n_present += to == FED_MEMBER_PRESENT;
    cohort->n_counted += to == FED_MEMBER_COUNTED;
    cohort->members[index].state = to;
}

uint64_t fed_cohort_absent_since(const struct fed_cohort *cohort) {
    assert(cohort->n_absent > 0);
    return cohort->members[cohort->absent_first].since_ms;
}

void fed_cohort_expire(struct fed_cohort *cohort, uint64_t now_ms, uint64_t patience_ms) {
    while (cohort->n_absent > 0 && now_ms - fed_cohort_absent_since(cohort) >= patience_ms) {
        fed_cohort_move(cohort, cohort->absent_first, FED_MEMBER_LOST, now_ms);
    }
}
