/* The only door to libzip. An .npz is a ZIP archive of .npy files; stored, not packed: weights do not get smaller. Its bytes
 * are a function of the model and of what is said of it: entries have no time. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#include "cli/export/export.h"
#include "common/base/file.h"

#define HEADER 128     /* of every array, a multiple of 64 */
#define FIRST_DAY 0x21 /* 1 January 1980, the first day of ZIP's calendar */

const char *fed_export_zip_version(void) { return zip_libzip_version(); }

/* NumPy's format 1.0: a magic word, the length of a Python literal, and that, padded with spaces to whole cache lines. */
static void write_header(char out[HEADER], const struct fed_tensor *tensor) {
    char shape[96];
    int n = 0;
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        n += snprintf(shape + n, sizeof shape - (size_t)n, "%s%" PRIu64, i > 0 ? ", " : "", tensor->dims[i]);
    }
    memset(out, ' ', HEADER);
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (char)(HEADER - 10);
    out[9] = 0;
    n = snprintf(out + 10, HEADER - 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (%s%s), }", shape,
                 tensor->n_dims == 1 ? "," : "");
    out[10 + n] = ' ';
    out[HEADER - 1] = '\n';
}

static int say(const char *path, const char *why, struct fed_error *err) {
    return fed_error_set(err, FED_EIO, "%s: cannot write the archive: %s", path, why);
}

/* header lives until the archive is closed. */
static int add_tensor(zip_t *zip, char header[HEADER], const struct fed_tensor *tensor, const float *params) {
    char name[sizeof tensor->name + 8];
    zip_buffer_fragment_t parts[] = {
        {(zip_uint8_t *)header, HEADER},
        {(zip_uint8_t *)(uintptr_t)(const void *)(params + tensor->offset), tensor->count * sizeof *params},
    };
    write_header(header, tensor);
    snprintf(name, sizeof name, "%s.npy", tensor->name);
    zip_source_t *source = zip_source_buffer_fragment(zip, parts, 2, 0);
    zip_int64_t index = source != NULL ? zip_file_add(zip, name, source, ZIP_FL_ENC_UTF_8) : -1;
    if (index < 0) {
        zip_source_free(source);
        return FED_EIO;
    }
    bool ok = zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0) == 0 &&
              zip_file_set_dostime(zip, (zip_uint64_t)index, 0, FIRST_DAY, 0) == 0;
    return ok ? FED_OK : FED_EIO;
}

static int write_archive(const char *temporary, const char *path, char (*headers)[HEADER], const struct fed_model *model,
                         const float *params, const struct fed_export_info *info, struct fed_error *err) {
    int why = 0;
    zip_t *zip = zip_open(temporary, ZIP_CREATE | ZIP_TRUNCATE, &why);
    if (zip == NULL) {
        zip_error_t error;
        zip_error_init_with_code(&error, why);
        say(path, zip_error_strerror(&error), err);
        zip_error_fini(&error);
        return FED_EIO;
    }
    int code = zip_set_archive_comment(zip, info->sentence, (zip_uint16_t)strlen(info->sentence)) == 0 ? FED_OK : FED_EIO;
    for (uint32_t i = 0; code == FED_OK && i < model->n_tensors; i++) {
        code = add_tensor(zip, headers[i], &model->tensors[i], params);
    }
    if (code != FED_OK || zip_close(zip) != 0) { /* which is when it is written */
        say(path, zip_strerror(zip), err);
        zip_discard(zip);
        return FED_EIO;
    }
    return FED_OK;
}

int fed_export_npz(const char *path, const struct fed_model *model, const float *params, const struct fed_export_info *info,
                   struct fed_error *err) {
    char(*headers)[HEADER] = calloc(model->n_tensors, sizeof *headers), *temporary = NULL;
    if (headers == NULL || asprintf(&temporary, "%s.tmp%ld", path, (long)getpid()) < 0) {
        free(headers);
        return fed_error_set(err, FED_ENOMEM, "%s: not enough memory", path);
    }
    int code = write_archive(temporary, path, headers, model, params, info, err);
    if (code == FED_OK) {
        code = fed_file_settle(temporary, path, err);
    } else {
        unlink(temporary);
    }
    free(temporary);
    free(headers);
    return code;
}
