#include "coordinator/http/board.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct fed_board {
    pthread_mutex_t lock;
    struct fed_board_now now;
    uint64_t turned_ms, version;
    struct fed_board_node *nodes; /* (n_nodes), owned */
    size_t n_nodes;
};

int fed_board_new(struct fed_board **out) {
    struct fed_board *board = calloc(1, sizeof *board);
    if (board == NULL) {
        return FED_ENOMEM;
    }
    pthread_mutex_init(&board->lock, NULL);
    *out = board;
    return FED_OK;
}

void fed_board_free(struct fed_board *board) {
    if (board != NULL) {
        pthread_mutex_destroy(&board->lock);
        free(board->nodes);
        free(board);
    }
}

/* Both were zeros before they were filled. A difference that is none costs a message. */
static bool is_same(const void *now, const void *before, size_t n) { return memcmp(now, before, n) == 0; }

void fed_board_put(struct fed_board *board, const struct fed_board_now *now, uint64_t now_ms) {
    pthread_mutex_lock(&board->lock);
    board->turned_ms = now_ms;
    if (!is_same(now, &board->now, sizeof *now)) {
        memcpy(&board->now, now, sizeof *now);
        board->version++;
    }
    pthread_mutex_unlock(&board->lock);
}

int fed_board_grow(struct fed_board *board, size_t n_nodes) {
    if (n_nodes > SIZE_MAX / 2 / sizeof *board->nodes) {
        return FED_ENOMEM;
    }
    struct fed_board_node *nodes = calloc(n_nodes + 1, sizeof *nodes);
    if (nodes == NULL) {
        return FED_ENOMEM;
    }
    pthread_mutex_lock(&board->lock);
    struct fed_board_node *old = board->nodes;
    if (old != NULL) {
        memcpy(nodes, old, (board->n_nodes < n_nodes ? board->n_nodes : n_nodes) * sizeof *nodes);
    }
    board->nodes = nodes;
    board->n_nodes = n_nodes;
    pthread_mutex_unlock(&board->lock);
    free(old);
    return FED_OK;
}

struct fed_board_node *fed_board_lock(struct fed_board *board, size_t *n_nodes) {
    pthread_mutex_lock(&board->lock);
    *n_nodes = board->n_nodes;
    return board->nodes;
}

void fed_board_unlock(struct fed_board *board, bool changed) {
    board->version += changed;
    pthread_mutex_unlock(&board->lock);
}

uint64_t fed_board_get(struct fed_board *board, struct fed_board_now *now, uint64_t *turned_ms) {
    pthread_mutex_lock(&board->lock);
    if (now != NULL) {
        *now = board->now;
    }
    if (turned_ms != NULL) {
        *turned_ms = board->turned_ms;
    }
    uint64_t version = board->version;
    pthread_mutex_unlock(&board->lock);
    return version;
}

int fed_board_nodes(struct fed_board_node **out, size_t *n, struct fed_board *board) {
    pthread_mutex_lock(&board->lock);
    size_t count = board->n_nodes;
    struct fed_board_node *copy = malloc((count + 1) * sizeof *copy);
    if (copy != NULL && count > 0) {
        memcpy(copy, board->nodes, count * sizeof *copy);
    }
    pthread_mutex_unlock(&board->lock);
    if (copy == NULL) {
        return FED_ENOMEM;
    }
    *out = copy;
    *n = count;
    return FED_OK;
}
