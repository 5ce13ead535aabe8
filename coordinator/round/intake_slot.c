/* One staged update: where its bytes lie, and what pool threads do with them. */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/mapped.h"
#include "coordinator/round/intake_internal.h"

/* -- bytes -------------------------------------------------------------------------------------------------------------- */

void fed_slot_release(struct fed_slot *slot) {
    if (slot->spooled) {
        fed_mapped_unwatch(slot->bytes);
        munmap(slot->bytes, slot->capacity);
    } else {
        free(slot->bytes);
    }
    slot->bytes = NULL;
    slot->capacity = 0;
    slot->spooled = false;
}

static int spool_bytes(struct fed_slot *slot, const char *dir, size_t n) {
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        return FED_EIO;
    }
    void *map = MAP_FAILED;
    if (posix_fallocate(fd, 0, (off_t)n) == 0) {
        map = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    close(fd);
    if (map == MAP_FAILED) {
        return FED_EIO;
    }
    /* of the spool file a failing disk takes pages, and it has no name of its own */
    if (fed_mapped_watch(map, n, dir) != 0) {
        munmap(map, n);
        return FED_ENOMEM;
    }
    slot->bytes = map;
    slot->capacity = n;
    slot->spooled = true;
    return FED_OK;
}

int fed_slot_reserve(struct fed_slot *slot, const struct fed_intake_config *config) {
    size_t n = (size_t)fed_sealed_bytes(slot->header.n_bytes);
    if (slot->capacity >= n && !slot->spooled) {
        return FED_OK;
    }
    fed_slot_release(slot);
    if (n > config->staging_bytes) {
        return spool_bytes(slot, config->spool_dir, n);
    }
    slot->bytes = aligned_alloc(64, (n + 63) / 64 * 64);
    slot->capacity = slot->bytes != NULL ? n : 0;
    return slot->bytes != NULL ? FED_OK : FED_ENOMEM;
}

void fed_slot_free(struct fed_slot *slot) {
    assert(slot->n_jobs == 0);
    free(slot->offer);
    fed_seal_key_free(slot->key);
    free(slot->chunks);
    free(slot->tries);
    free(slot->squares);
    if (slot->spooled) {
        fed_slot_release(slot);
    }
    *slot = (struct fed_slot){.bytes = slot->bytes, .capacity = slot->capacity};
}

void fed_slot_drop(struct fed_slot *slot) {
    if (slot->n_jobs == 0) {
        fed_slot_free(slot);
    } else {
        slot->phase = SLOT_DROPPED;
    }
}

/* Where chunk i lies in the clear: in place, or opened into the job's scratch. */
static int plain_chunk(const uint8_t **out, struct fed_intake_job *job, uint64_t i) {
    struct fed_slot *slot = job->slot;
    uint8_t *sealed = slot->bytes + fed_slot_offset(i);
    if (!slot->spooled) {
        *out = sealed;
        return job->kind == JOB_OPEN
                   ? fed_open_chunk(sealed, slot->key, i, sealed, fed_slot_chunk_bytes(slot, i) + FED_TAG_BYTES)
                   : FED_OK;
    }
    if (job->scratch == NULL && (job->scratch = aligned_alloc(64, FED_CHUNK_BYTES)) == NULL) {
        return FED_ENOMEM;
    }
    *out = job->scratch;
    return fed_open_chunk(job->scratch, slot->key, i, sealed, fed_slot_chunk_bytes(slot, i) + FED_TAG_BYTES);
}

static void open_and_check(struct fed_job *base) {
    struct fed_intake_job *job = (struct fed_intake_job *)(void *)base;
    const struct fed_update_header *header = &job->slot->header;
    size_t n = fed_slot_chunk_bytes(job->slot, job->index);
    const uint8_t *plain = NULL;
    job->rc = plain_chunk(&plain, job, job->index);
    if (job->rc != FED_OK) {
        return;
    }
    size_t bad = 0, n_floats = n / sizeof(float), n_sums = n / sizeof(int64_t);
    const float *delta = (const float *)(const void *)plain;
    const int64_t *part = (const int64_t *)(const void *)plain;
    const struct fed_fixed *fixed = job->intake->config.fixed;
    bool single = header->encoding == FED_ENCODING_F32;
    job->refusal = single ? fed_admit_floats(&bad, &job->squares, fixed, delta, n_floats)
                          : fed_admit_sums(&bad, fixed, &job->slot->limits, header, part, n_sums);
    if (job->refusal != FED_REFUSAL_NONE) {
        job->bad = (size_t)job->index * (FED_CHUNK_BYTES / (single ? sizeof *delta : sizeof *part)) + bad;
        job->value = single ? (double)delta[bad] : (double)part[bad];
    }
}

static void add_chunks(struct fed_job *base) {
    struct fed_intake_job *job = (struct fed_intake_job *)(void *)base;
    const struct fed_update_header *header = &job->slot->header;
    struct fed_aggregate *aggregate = job->intake->config.aggregate;
    for (uint64_t i = job->index; i < header->n_chunks && job->rc == FED_OK; i += job->stride) {
        const uint8_t *plain = NULL;
        job->rc = plain_chunk(&plain, job, i);
        if (job->rc != FED_OK) {
            return;
        }
        size_t n = fed_slot_chunk_bytes(job->slot, i);
        if (header->encoding == FED_ENCODING_F32) {
            fed_aggregate_add(aggregate, (const float *)(const void *)plain, (size_t)i * (FED_CHUNK_BYTES / sizeof(float)),
                              n / sizeof(float), header->weights[0], job->slot->scale);
        } else {
            fed_aggregate_add_sum(aggregate, (const int64_t *)(const void *)plain,
                                  (size_t)i * (FED_CHUNK_BYTES / sizeof(int64_t)), n / sizeof(int64_t));
        }
    }
}

void fed_slot_missing(struct fed_slot *slot, uint64_t i) {
    slot->chunks[i] = CHUNK_MISSING;
    if (i < slot->first_missing) {
        slot->first_missing = i;
    }
}

static struct fed_intake_job *idle_open_job(struct fed_intake *intake) {
    for (unsigned i = 0; i < FED_INTAKE_WINDOW; i++) {
        if (!intake->opens[i].busy) {
            return &intake->opens[i];
        }
    }
    return NULL;
}

void fed_slot_open(struct fed_intake *intake, struct fed_slot *slot, uint64_t index) {
    struct fed_intake_job *job = idle_open_job(intake);
    if (job == NULL) { /* jobs of dropped slots still hold them all: let it come again */
        fed_slot_missing(slot, index);
        slot->n_in_flight--;
        return;
    }
    slot->chunks[index] = CHUNK_OPENING;
    *job = (struct fed_intake_job){.job.run = open_and_check,
                                   .intake = intake,
                                   .kind = JOB_OPEN,
                                   .busy = true,
                                   .slot = slot,
                                   .index = index,
                                   .scratch = job->scratch};
    slot->n_jobs++;
    fed_pool_submit(intake->pool, &job->job);
}

void fed_slot_forget_in_flight(struct fed_slot *slot) {
    for (uint64_t i = 0; i < slot->header.n_chunks; i++) {
        if (slot->chunks[i] == CHUNK_IN_FLIGHT) {
            fed_slot_missing(slot, i);
            slot->n_in_flight--;
        }
    }
}

void fed_slot_add(struct fed_intake *intake, struct fed_slot *slot) {
    for (unsigned t = 0; t < intake->config.threads; t++) {
        struct fed_intake_job *job = &intake->adds[t];
        *job = (struct fed_intake_job){.job.run = add_chunks,
                                       .intake = intake,
                                       .kind = JOB_ADD,
                                       .slot = slot,
                                       .index = t,
                                       .stride = intake->config.threads,
                                       .scratch = job->scratch};
        slot->n_jobs++;
        fed_pool_submit(intake->pool, &job->job);
    }
}
