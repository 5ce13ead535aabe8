#include "common/model/image.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mapped.h"
#include "common/model/safetensors.h"

int fed_image_alloc(struct fed_image **out, size_t n_bytes) {
    if (n_bytes == 0 || n_bytes > SIZE_MAX - 63) {
        return FED_ENOMEM;
    }
    struct fed_image *image = calloc(1, sizeof *image);
    uint8_t *bytes = aligned_alloc(64, (n_bytes + 63) / 64 * 64);
    if (image == NULL || bytes == NULL) {
        free(image);
        free(bytes);
        return FED_ENOMEM;
    }
    image->bytes = bytes;
    image->n_bytes = n_bytes;
    atomic_init(&image->references, 1);
    *out = image;
    return FED_OK;
}

/* The header with the digest as it stands in the image; its length does not depend on the digest. */
static int build_header(uint8_t **out, size_t *n, const struct fed_image *image, const struct fed_model *model,
                        const uint8_t run_id[16], uint64_t round) {
    struct fed_safetensors_meta meta = {.round = round};
    memcpy(meta.run_id, run_id, sizeof meta.run_id);
    if (image != NULL) {
        memcpy(meta.model_digest, image->digest, sizeof meta.model_digest);
    }
    return fed_safetensors_header(out, n, model, &meta);
}

int fed_image_new(struct fed_image **out, const struct fed_model *model, const uint8_t run_id[16], uint64_t round) {
    uint8_t *header = NULL;
    size_t n_header = 0;
    int rc = build_header(&header, &n_header, NULL, model, run_id, round);
    if (rc != FED_OK) {
        return rc;
    }
    free(header);
    struct fed_image *image = NULL;
    rc = fed_image_alloc(&image, n_header + model->n_params * sizeof(float));
    if (rc != FED_OK) {
        return rc;
    }
    image->round = round;
    image->n_header = n_header;
    image->params = (float *)(void *)(image->bytes + n_header);
    *out = image;
    return FED_OK;
}

int fed_image_finish(struct fed_image *image, const struct fed_model *model, const uint8_t run_id[16]) {
    fed_model_digest(image->digest, model, image->params);
    uint8_t *header = NULL;
    size_t n_header = 0;
    int rc = build_header(&header, &n_header, image, model, run_id, image->round);
    if (rc != FED_OK) {
        return rc;
    }
    assert(n_header == image->n_header);
    memcpy(image->bytes, header, n_header);
    free(header);
    return FED_OK;
}

int fed_image_verify(struct fed_image *image, const struct fed_model *model, const uint8_t expect[32],
                     struct fed_error *err) {
    const float *params = NULL;
    struct fed_safetensors_meta meta;
    int rc = fed_safetensors_parse(&params, &meta, image->bytes, image->n_bytes, model, expect, err);
    if (rc != FED_OK) {
        return rc;
    }
    image->round = meta.round;
    memcpy(image->digest, meta.model_digest, sizeof image->digest);
    image->n_header = (size_t)((const uint8_t *)(const void *)params - image->bytes);
    image->params = (float *)(void *)(image->bytes + image->n_header);
    return FED_OK;
}

int fed_image_read(struct fed_image **out, const char *path, const struct fed_model *model, const uint8_t expect[32],
                   struct fed_error *err) {
    const uint8_t *map = NULL;
    size_t n = 0;
    int rc = fed_mapped_open(&map, &n, path, err);
    if (rc != FED_OK) {
        return rc;
    }
    struct fed_image *image = NULL;
    if (n == 0) {
        rc = fed_error_set(err, FED_EDATA, "%s: the model file is empty; restore it from a backup", path);
        goto out;
    }
    rc = fed_image_alloc(&image, n);
    if (rc != FED_OK) {
        goto out;
    }
    memcpy(image->bytes, map, n);
    rc = fed_image_verify(image, model, expect, err);
    if (rc != FED_OK) {
        rc = fed_error_prefix(err, rc, "%s", path);
        goto out;
    }
    *out = image;
    image = NULL;
out:
    fed_image_release(image);
    fed_mapped_close(map, n);
    return rc;
}

struct fed_image *fed_image_hold(struct fed_image *image) {
    atomic_fetch_add(&image->references, 1);
    return image;
}

void fed_image_release(struct fed_image *image) {
    if (image != NULL && atomic_fetch_sub(&image->references, 1) == 1) {
        free(image->bytes);
        free(image);
    }
}
