/* The format: numpy.lib.format. Six bytes of magic, two of version, the length of a header (u16 in version 1, u32 in 2 and
 * 3), the header (a Python literal: {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 28, 28), }), then the data. Of
 * the language of literals the header may use what NumPy itself writes: strings, True and False, a tuple of whole numbers.
 */
#include "common/data/npy.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mapped.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "arrays are mapped as the little-endian files have them");

#define LABELS_MOST 65535
#define ROW_MOST ((size_t)1 << 26)
#define SHOWN 24

static const char magic[] = "\x93NUMPY";
static const struct {
    const char *descr;
    size_t size;
} types[] = {{"|u1", 1}, {"<i4", 4}, {"<u4", 4}, {"<i8", 8}, {"<f4", 4}};

size_t fed_npy_size(enum fed_npy_type type) { return types[type].size; }

/* -- the header --------------------------------------------------------------------------------------------------------- */

struct header {
    char descr[SHOWN];
    bool has_descr, has_order, has_shape, fortran;
    uint64_t dims[FED_NPY_DIMS];
    size_t n_dims;
};

struct cursor {
    const char *c, *end;
};

static void skip_blanks(struct cursor *at) {
    while (at->c < at->end && (*at->c == ' ' || *at->c == '\n' || *at->c == '\t')) {
        at->c++;
    }
}

/* Whether this text comes next; then it is behind us. */
static bool take(struct cursor *at, const char *text) {
    size_t n = strlen(text);
    skip_blanks(at);
    if ((size_t)(at->end - at->c) < n || memcmp(at->c, text, n) != 0) {
        return false;
    }
    at->c += n;
    return true;
}

static bool is_printable(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (text[i] < ' ' || text[i] > '~') {
            return false;
        }
    }
    return true;
}

/* A string of printable ASCII without escapes, in quotes of either kind. */
static bool take_string(char out[SHOWN], struct cursor *at) {
    skip_blanks(at);
    if (at->c == at->end || (*at->c != '\'' && *at->c != '"')) {
        return false;
    }
    const char *start = at->c + 1, *stop = memchr(start, *at->c, (size_t)(at->end - start));
    if (stop == NULL || stop - start >= SHOWN || !is_printable(start, (size_t)(stop - start)) ||
        memchr(start, '\\', (size_t)(stop - start)) != NULL) {
        return false;
    }
    snprintf(out, SHOWN, "%.*s", (int)(stop - start), start);
    at->c = stop + 1;
    return true;
}

static bool take_whole(uint64_t *out, struct cursor *at) {
    skip_blanks(at);
    const char *start = at->c;
    uint64_t value = 0;
    for (; at->c < at->end && *at->c >= '0' && *at->c <= '9'; at->c++) {
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (uint64_t)(*at->c - '0'), &value)) {
            return false;
        }
    }
    *out = value;
    return at->c > start;
}

static bool take_shape(struct header *h, struct cursor *at) {
    if (!take(at, "(")) {
        return false;
    }
    while (!take(at, ")")) {
        if (h->n_dims == FED_NPY_DIMS || !take_whole(&h->dims[h->n_dims], at)) {
            return false;
        }
        h->n_dims++;
        if (!take(at, ",")) {
            return take(at, ")");
        }
    }
    return true;
}

/* One `'key': value`; each key once. */
static bool take_entry(struct header *h, struct cursor *at) {
    char key[SHOWN];
    if (!take_string(key, at) || !take(at, ":")) {
        return false;
    }
    if (strcmp(key, "descr") == 0 && !h->has_descr) {
        h->has_descr = take_string(h->descr, at);
        return h->has_descr;
    }
    if (strcmp(key, "fortran_order") == 0 && !h->has_order) {
        h->fortran = take(at, "True");
        h->has_order = h->fortran || take(at, "False");
        return h->has_order;
    }
    if (strcmp(key, "shape") == 0 && !h->has_shape) {
        h->has_shape = take_shape(h, at);
        return h->has_shape;
    }
    return false;
}

static bool parse_header(struct header *out, const char *text, size_t n) {
    struct cursor at = {text, text + n};
    struct header h = {.n_dims = 0};
    if (!take(&at, "{")) {
        return false;
    }
    while (!take(&at, "}")) {
        if (!take_entry(&h, &at)) {
            return false;
        }
        if (!take(&at, ",")) {
            if (!take(&at, "}")) {
                return false;
            }
            break;
        }
    }
    skip_blanks(&at);
    *out = h;
    return at.c == at.end && h.has_descr && h.has_order && h.has_shape;
}

/* Where the data begin. */
static int read_header(struct header *out, size_t *data_at, const struct fed_npy *npy, const char *path,
                       struct fed_error *err) {
    const uint8_t *b = npy->map;
    size_t n_magic = sizeof magic - 1;
    if (npy->n_map < 12 || memcmp(b, magic, n_magic) != 0) {
        bool zip = npy->n_map >= 2 && b[0] == 'P' && b[1] == 'K';
        return fed_error_set(err, FED_EDATA, "%s: not an NPY file%s", path,
                             zip ? " but an archive (NPZ?): write each array to a file of its own, np.save(FILE, x)" : "");
    }
    if (b[6] < 1 || b[6] > 3 || b[7] != 0) {
        return fed_error_set(err, FED_EDATA, "%s: NPY version %u.%u found, 1.0, 2.0 and 3.0 are known", path, b[6], b[7]);
    }
    size_t start = b[6] == 1 ? 10 : 12, length = (size_t)b[8] | (size_t)b[9] << 8;
    if (b[6] > 1) {
        length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    }
    if (length > npy->n_map - start) {
        return fed_error_set(err, FED_EDATA, "%s: truncated: %zu bytes found, its header alone takes %zu", path, npy->n_map,
                             start + length);
    }
    *data_at = start + length;
    return parse_header(out, (const char *)b + start, length)
               ? FED_OK
               : fed_error_set(err, FED_EDATA,
                               "%s: its header is not that of a plain array ({'descr': '<f4', 'fortran_order': False, "
                               "'shape': (n, ...)}, at most %d dimensions)",
                               path, FED_NPY_DIMS);
}

/* -- what it says ------------------------------------------------------------------------------------------------------- */

/* What makes the array one that is allowed. */
static const char *remedy(enum fed_npy_use use, const char *descr) {
    bool real = strchr(descr, 'f') != NULL;
    return use == FED_NPY_FEATURES ? strstr(descr, "u1") != NULL ? "np.save(FILE, np.ascontiguousarray(x, dtype=np.uint8))"
                                                                 : "np.save(FILE, np.ascontiguousarray(x, dtype=np.float32))"
           : real
               ? "np.save(FILE, np.ascontiguousarray(y, dtype=np.float32)) for numbers to be met, dtype=np.int64 for classes"
               : "np.save(FILE, np.ascontiguousarray(y, dtype=np.int64))";
}

static int check_type(struct fed_npy *npy, const struct header *h, enum fed_npy_use use, const char *path,
                      struct fed_error *err) {
    static const unsigned allowed[] = {[FED_NPY_FEATURES] = 1u << FED_NPY_U1 | 1u << FED_NPY_F4, [FED_NPY_LABELS] = 0x1f};
    unsigned type = 0;
    while (type < sizeof types / sizeof *types && strcmp(types[type].descr, h->descr) != 0) {
        type++;
    }
    if (type == sizeof types / sizeof *types || (allowed[use] & 1u << type) == 0) {
        return fed_error_set(err, FED_EDATA, "%s: numbers of type \"%s\" found, allowed are %s: %s", path, h->descr,
                             use == FED_NPY_FEATURES ? "|u1 and <f4 for features" : "|u1, <i4, <u4, <i8 and <f4 for labels",
                             remedy(use, h->descr));
    }
    if (h->fortran) {
        return fed_error_set(err, FED_EDATA, "%s: an array in Fortran's order found, C's order is wanted: %s", path,
                             remedy(use, h->descr));
    }
    npy->type = (enum fed_npy_type)type;
    return FED_OK;
}

static int check_shape(struct fed_npy *npy, const struct header *h, size_t data_at, const char *path,
                       struct fed_error *err) {
    uint64_t n_row = 1, bytes;
    bool wraps = h->n_dims == 0;
    for (size_t i = 1; i < h->n_dims; i++) {
        wraps |= __builtin_mul_overflow(n_row, h->dims[i], &n_row);
    }
    if (wraps || h->dims[0] > UINT32_MAX || n_row > ROW_MOST) {
        return fed_error_set(err, FED_EDATA,
                             "%s: its shape is not one of examples, (n, ...) with n below 2^32 and at most %zu numbers each",
                             path, ROW_MOST);
    }
    if (h->dims[0] == 0 || n_row == 0) {
        return fed_error_set(err, FED_EDATA, "%s: holds no examples", path);
    }
    npy->n = (size_t)h->dims[0];
    npy->n_row = (size_t)n_row;
    bytes = h->dims[0] * n_row * fed_npy_size(npy->type); /* below 2^61 */
    if (npy->n_map - data_at != bytes) {
        return fed_error_set(err, FED_EDATA, "%s: %s: %zu bytes of data found, its header promises %" PRIu64, path,
                             npy->n_map - data_at < bytes ? "truncated" : "surplus bytes", npy->n_map - data_at, bytes);
    }
    if (npy->type == FED_NPY_F4 && data_at % sizeof(float) != 0) {
        return fed_error_set(err, FED_EDATA, "%s: its data begin at byte %zu, no multiple of 4; np.save would align them",
                             path, data_at);
    }
    npy->data = npy->map + data_at;
    return FED_OK;
}

static int check_finite(const struct fed_npy *npy, const char *path, struct fed_error *err) {
    const float *values = (const float *)(const void *)npy->data;
    for (size_t i = 0; i < npy->n * npy->n_row; i++) {
        if (!isfinite(values[i])) {
            return fed_error_set(err, FED_EDATA,
                                 "%s: %s found in row %zu (counted from 0), number %zu of it; finite numbers are wanted",
                                 path,
                                 isnan(values[i]) ? "nan"
                                 : values[i] < 0  ? "-inf"
                                                  : "inf",
                                 i / npy->n_row, i % npy->n_row);
        }
    }
    return FED_OK;
}

static int64_t whole_at(const struct fed_npy *npy, size_t i) {
    int32_t i4;
    uint32_t u4;
    int64_t i8;
    switch (npy->type) {
    case FED_NPY_I4: memcpy(&i4, npy->data + i * sizeof i4, sizeof i4); return i4;
    case FED_NPY_U4: memcpy(&u4, npy->data + i * sizeof u4, sizeof u4); return u4;
    case FED_NPY_I8: memcpy(&i8, npy->data + i * sizeof i8, sizeof i8); return i8;
    case FED_NPY_U1:
    case FED_NPY_F4: break;
    }
    return npy->data[i];
}

static int check_classes(const struct fed_npy *npy, const char *path, struct fed_error *err) {
    for (size_t i = 0; i < npy->n * npy->n_row; i++) {
        int64_t label = whole_at(npy, i);
        if (label < 0 || label > LABELS_MOST) {
            return fed_error_set(err, FED_EDATA,
                                 "%s: label %" PRId64 " found in row %zu (counted from 0), 0 to %d are allowed", path, label,
                                 i / npy->n_row, LABELS_MOST);
        }
    }
    return FED_OK;
}

int fed_npy_check(const struct fed_npy *npy, const char *path, enum fed_npy_use use, struct fed_error *err) {
    return npy->type == FED_NPY_F4 ? check_finite(npy, path, err)
           : use == FED_NPY_LABELS ? check_classes(npy, path, err)
                                   : FED_OK;
}

int fed_npy_load(struct fed_npy *out, const char *path, enum fed_npy_use use, struct fed_error *err) {
    struct fed_npy npy = {.map = NULL};
    struct header header;
    size_t data_at = 0;
    if (fed_mapped_open(&npy.map, &npy.n_map, path, err) != 0) {
        return FED_EDATA;
    }
    int rc = read_header(&header, &data_at, &npy, path, err);
    if (rc == FED_OK) {
        rc = check_type(&npy, &header, use, path, err);
    }
    if (rc == FED_OK) {
        rc = check_shape(&npy, &header, data_at, path, err);
    }
    if (rc == FED_OK) {
        rc = fed_npy_check(&npy, path, use, err);
    }
    if (rc != FED_OK) {
        fed_npy_fini(&npy);
        return rc;
    }
    *out = npy;
    return FED_OK;
}

void fed_npy_fini(struct fed_npy *npy) {
    fed_mapped_close(npy->map, npy->n_map);
    *npy = (struct fed_npy){.map = NULL};
}
