/* The header is read and judged before anything is allocated: memory follows what it claims, at most DATA_MAX and no more
 * than a file of this size can hold, and then the bytes must be exactly as many. */
#include "common/data/idx.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/base/mapped.h"

#define HEADER_MAX 16
#define DATA_MAX ((uint64_t)16 << 30)
#define MAGIC_U8 0x800u /* two zero bytes, type "unsigned byte", then the number of dimensions */
#define INFLATE_STEP ((size_t)1 << 30)
#define DEFLATE_MOST 1032 /* bytes that one byte of deflate can stand for: 258 in 2 bits (RFC 1951) */

static const char *kind_name(enum fed_idx_kind kind) { return kind == FED_IDX_IMAGES ? "image" : "label"; }

static size_t header_bytes(enum fed_idx_kind kind) { return 4 + 4 * (size_t)kind; }

static size_t data_bytes(const struct fed_idx *idx) { return (size_t)idx->dims[0] * idx->dims[1] * idx->dims[2]; }

static uint32_t get_be32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static int check_magic(uint32_t magic, const char *path, enum fed_idx_kind kind, struct fed_error *err) {
    enum fed_idx_kind other = kind == FED_IDX_IMAGES ? FED_IDX_LABELS : FED_IDX_IMAGES;
    if (magic == MAGIC_U8 + kind) {
        return 0;
    }
    return fed_error_set(err, FED_EDATA, "%s: not an IDX %s file: magic 0x%08" PRIx32 ", expected 0x%08x%s", path,
                         kind_name(kind), magic, MAGIC_U8 + kind,
                         magic == MAGIC_U8 + other ? " (did you swap images and labels?)" : "");
}

/* Fills idx->dims from the first n bytes of the (inflated) file. */
static int parse_header(struct fed_idx *idx, const uint8_t *bytes, size_t n, const char *path, enum fed_idx_kind kind,
                        struct fed_error *err) {
    int rc = n < 4 ? 0 : check_magic(get_be32(bytes), path, kind, err);
    if (rc != 0) {
        return rc;
    }
    if (n < header_bytes(kind)) {
        return fed_error_set(err, FED_EDATA, "%s: not an IDX %s file: %zu bytes found, its header alone takes %zu", path,
                             kind_name(kind), n, header_bytes(kind));
    }
    uint32_t dims[3] = {1, 1, 1};
    for (size_t i = 0; i < (size_t)kind; i++) {
        dims[i] = get_be32(bytes + 4 + 4 * i);
    }
    if (dims[0] == 0) {
        return fed_error_set(err, FED_EDATA, "%s: holds no examples", path);
    }
    uint64_t pixels = (uint64_t)dims[1] * dims[2];
    if (pixels == 0 || pixels > UINT32_MAX || pixels * dims[0] > DATA_MAX) {
        return fed_error_set(err, FED_EDATA,
                             "%s: its header claims %" PRIu32 " examples of %" PRIu32 " x %" PRIu32
                             ", 1 byte to 16 GiB is allowed",
                             path, dims[0], dims[1], dims[2]);
    }
    memcpy(idx->dims, dims, sizeof dims);
    return 0;
}

static int wrong_size(const char *path, const char *what, const char *more, size_t found, size_t expected,
                      const struct fed_idx *idx, struct fed_error *err) {
    return fed_error_set(err, FED_EDATA,
                         "%s: %s: %s%zu bytes found, its header promises %zu (%" PRIu32 " examples of %" PRIu32 " x %" PRIu32
                         ")",
                         path, what, more, found, expected, idx->dims[0], idx->dims[1], idx->dims[2]);
}

static int load_plain(struct fed_idx *idx, const char *path, enum fed_idx_kind kind, struct fed_error *err) {
    int rc = parse_header(idx, idx->map, idx->n_map, path, kind, err);
    if (rc != 0) {
        return rc;
    }
    size_t expected = header_bytes(kind) + data_bytes(idx);
    if (idx->n_map != expected) {
        return wrong_size(path, idx->n_map < expected ? "truncated" : "surplus bytes", "", idx->n_map, expected, idx, err);
    }
    idx->data = idx->map + header_bytes(kind);
    return 0;
}

/* A gzip file in memory, read like a stream: members follow one another, as gzip(1) has it. */
struct gunzip {
    z_stream z;
    const uint8_t *next;
    size_t left; /* at next */
    bool end;
};

static int gunzip_init(struct gunzip *g, const uint8_t *bytes, size_t n) {
    *g = (struct gunzip){.next = bytes, .left = n};
    return inflateInit2(&g->z, 16 + MAX_WBITS) == Z_OK ? 0 : FED_ENOMEM;
}

static void feed(struct gunzip *g) {
    if (g->z.avail_in == 0) {
        size_t n = g->left < INFLATE_STEP ? g->left : INFLATE_STEP;
        g->z.next_in = (Bytef *)(uintptr_t)g->next;
        g->z.avail_in = (uInt)n;
        g->next += n;
        g->left -= n;
    }
}

/* *got < want only at the end of the last member, whose check sum was right. */
static int gunzip_read(size_t *got, struct gunzip *g, uint8_t *out, size_t want, const char *path, struct fed_error *err) {
    size_t done = 0;
    while (done < want && !g->end) {
        size_t room = want - done < INFLATE_STEP ? want - done : INFLATE_STEP;
        feed(g);
        g->z.next_out = out + done;
        g->z.avail_out = (uInt)room;
        int rc = inflate(&g->z, Z_NO_FLUSH);
        done += room - g->z.avail_out;
        if (rc == Z_STREAM_END) {
            g->end = g->z.avail_in == 0 && g->left == 0;
            rc = inflateReset(&g->z);
        }
        if (rc == Z_BUF_ERROR) {
            return fed_error_set(err, FED_EDATA, "%s: truncated: its gzip data end too early", path);
        }
        if (rc == Z_MEM_ERROR) {
            return fed_error_set(err, FED_ENOMEM, "%s: out of memory to inflate it", path);
        }
        if (rc != Z_OK) {
            return fed_error_set(err, FED_EDATA, "%s: damaged gzip data (zlib: %s)", path,
                                 g->z.msg != NULL ? g->z.msg : zError(rc));
        }
    }
    *got = done;
    return 0;
}

static int load_gzip(struct fed_idx *idx, const char *path, enum fed_idx_kind kind, struct fed_error *err) {
    uint8_t header[HEADER_MAX], *data = NULL;
    struct gunzip g;
    size_t n;
    if (gunzip_init(&g, idx->map, idx->n_map) != 0) {
        return fed_error_set(err, FED_ENOMEM, "%s: out of memory to inflate it", path);
    }
    int rc = gunzip_read(&n, &g, header, header_bytes(kind), path, err);
    if (rc == 0) {
        rc = parse_header(idx, header, n, path, kind, err);
    }
    if (rc != 0) {
        goto out;
    }
    size_t expected = data_bytes(idx);
    if (expected / DEFLATE_MOST > idx->n_map) { /* memory follows what is there, not what a header says */
        rc = fed_error_set(err, FED_EDATA,
                           "%s: truncated: %zu bytes of gzip data cannot hold the %zu that its header promises", path,
                           idx->n_map, expected);
        goto out;
    }
    data = malloc(expected + 1);
    if (data == NULL) {
        rc = fed_error_set(err, FED_ENOMEM, "%s: out of memory for its %zu bytes", path, expected);
        goto out;
    }
    rc = gunzip_read(&n, &g, data, expected + 1, path, err); /* the byte too many shows whether there is one */
    if (rc == 0 && n != expected) {
        size_t in_front = header_bytes(kind);
        rc = wrong_size(path, n < expected ? "truncated" : "surplus bytes", n < expected ? "" : "at least ", in_front + n,
                        in_front + expected, idx, err);
    }
    if (rc == 0) {
        idx->data = idx->inflated = data;
        data = NULL;
    }
out:
    free(data);
    inflateEnd(&g.z);
    return rc;
}

int fed_idx_load(struct fed_idx *out, const char *path, enum fed_idx_kind kind, struct fed_error *err) {
    struct fed_idx idx = {.data = NULL};
    if (fed_mapped_open(&idx.map, &idx.n_map, path, err) != 0) {
        return FED_EDATA;
    }
    bool gzip = idx.n_map >= 2 && idx.map[0] == 0x1f && idx.map[1] == 0x8b;
    int rc = gzip ? load_gzip(&idx, path, kind, err) : load_plain(&idx, path, kind, err);
    if (rc != 0) {
        fed_idx_fini(&idx);
        return rc;
    }
    if (gzip) {
        fed_mapped_close(idx.map, idx.n_map);
        idx.map = NULL;
    }
    *out = idx;
    return 0;
}

void fed_idx_fini(struct fed_idx *idx) {
    fed_mapped_close(idx->map, idx->n_map);
    free(idx->inflated);
    *idx = (struct fed_idx){.data = NULL};
}
