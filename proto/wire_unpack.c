/* protobuf-c allocates as much as the bytes claim to hold, so that a small message could cost much memory. Here it works
 * inside an allocator with a budget. Invariant: what is freed is wiped first, for a ROUND holds keys. */
#include <stdlib.h>
#include <string.h>

#include "proto/fedavg.pb-c.h"
#include "proto/wire.h"
#include "proto/wire_internal.h"

#define BUDGET_BYTES ((size_t)1024 * 1024)

struct budget {
    size_t left;
    bool starved; /* the system, not the budget, had no memory */
};

struct block {
    _Alignas(16) size_t n; /* bytes that follow */
};

static void *budget_alloc(void *context, size_t n) {
    struct budget *budget = context;
    if (n > BUDGET_BYTES || n + sizeof(struct block) > budget->left) {
        return NULL;
    }
    struct block *block = malloc(sizeof *block + n);
    if (block == NULL) {
        budget->starved = true;
        return NULL;
    }
    budget->left -= sizeof *block + n; /* freeing gives nothing back: the budget bounds the work as well as the memory */
    block->n = n;
    return block + 1;
}

static void budget_free(void *context, void *memory) {
    (void)context;
    if (memory != NULL) {
        struct block *block = (struct block *)memory - 1;
        explicit_bzero(memory, block->n);
        free(block);
    }
}

int fed_wire_unpack(struct ProtobufCMessage **out, const struct ProtobufCMessageDescriptor *type, const uint8_t *bytes,
                    size_t n_bytes) {
    struct budget budget = {.left = BUDGET_BYTES};
    ProtobufCAllocator allocator = {.alloc = budget_alloc, .free = budget_free, .allocator_data = &budget};
    ProtobufCMessage *message = protobuf_c_message_unpack(type, &allocator, n_bytes, bytes);
    if (message == NULL) {
        return budget.starved ? FED_ENOMEM : FED_EWIRE;
    }
    *out = message;
    return 0;
}

void fed_wire_unpacked_free(struct ProtobufCMessage *message) {
    ProtobufCAllocator allocator = {.free = budget_free};
    protobuf_c_message_free_unpacked(message, &allocator);
}

const char *fed_wire_library_version(void) { return protobuf_c_version(); }
