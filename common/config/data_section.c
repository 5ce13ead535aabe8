#include "common/config/data_section.h"

#include <stdbool.h>
#include <stdio.h>

const char *fed_data_format_word(unsigned format) { return fed_data_format_name((enum fed_data_format)format); }

const char *fed_data_partition_word(unsigned kind) { return fed_partition_kind_name((enum fed_partition_kind)kind); }

const char *fed_data_section_expected(enum fed_data_format format) {
    return format == FED_DATA_IDX   ? "a section of images and labels"
           : format == FED_DATA_NPY ? "a section of features and labels"
                                    : "the path of a file";
}

/* Formats that have a key, as bits. */
enum { IDX = 1 << FED_DATA_IDX, CSV = 1 << FED_DATA_CSV, NPY = 1 << FED_DATA_NPY };
enum { TEXT = 1 << FED_DATA_TEXT, ROLES = 1 << FED_DATA_ROLES };

static const struct {
    const char *path;
    unsigned formats;
} keys[] = {
    {"data.train", CSV | TEXT | ROLES},
    {"data.test", CSV | TEXT},
    {"data.train.images", IDX},
    {"data.test.images", IDX},
    {"data.train.features", NPY},
    {"data.test.features", NPY},
    {"data.train.labels", IDX | NPY},
    {"data.test.labels", IDX | NPY},
    {"data.label", CSV},
    {"data.group", CSV},
    {"data.header", CSV},
    {"data.unroll", TEXT | ROLES},
};

/* "csv, text or roles" */
static void name_formats(char *out, size_t size, unsigned formats) {
    size_t n = 0;
    for (unsigned f = 0; f <= FED_DATA_ROLES && n < size; f++) {
        if ((formats & 1u << f) != 0) {
            const char *before = n == 0 ? "" : formats >> (f + 1) == 0 ? " or " : ", ";
            n += (size_t)snprintf(out + n, size - n, "%s%s", before, fed_data_format_word(f));
        }
    }
}

static int check_keys(enum fed_data_format format, const struct fed_settings_source *source, struct fed_error *err) {
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if ((keys[i].formats & 1u << format) == 0 && fed_settings_given(source, keys[i].path)) {
            char formats[64];
            name_formats(formats, sizeof formats, keys[i].formats);
            return fed_settings_refuse(source, keys[i].path, err,
                                       "goes only with data.format: %s, not with %s (to take it back: --set %s=null)",
                                       formats, fed_data_format_name(format), keys[i].path);
        }
    }
    return 0;
}

/* Both or none. */
static int check_pair(const char *examples, const char *labels, const char *part, const char *what,
                      const struct fed_settings_source *source, struct fed_error *err) {
    if ((examples != NULL) == (labels != NULL)) {
        return 0;
    }
    char absent[64];
    snprintf(absent, sizeof absent, "data.%s.%s", part, examples == NULL ? what : "labels");
    return fed_settings_refuse(source, absent, err, "missing, %s and labels belong together", what);
}

static int check_files(const struct fed_data_source *files, const struct fed_settings_source *source,
                       struct fed_error *err) {
    bool npy = files->format == FED_DATA_NPY;
    const char *what = npy ? "features" : "images";
    int code = check_keys(files->format, source, err);
    if (code == 0) {
        code =
            check_pair(npy ? files->train_features : files->train_images, files->train_labels, "train", what, source, err);
    }
    if (code == 0) {
        code = check_pair(npy ? files->test_features : files->test_images, files->test_labels, "test", what, source, err);
    }
    if (code == 0 && files->format == FED_DATA_CSV && files->label == NULL) {
        code = fed_settings_refuse(source, "data.label", err,
                                   "missing, expected the column of the labels, its name or its number from 1 on");
    }
    return code;
}

/* What goes with which kinds of partition, as bits. */
enum { IID = 1 << FED_PARTITION_IID, SHARDS = 1 << FED_PARTITION_SHARDS, DIRICHLET = 1 << FED_PARTITION_DIRICHLET };
enum { QUANTITY = 1 << FED_PARTITION_QUANTITY };

static const struct {
    const char *path;
    unsigned kinds;
    bool needed;
    const char *names; /* of the kinds */
} numbers[] = {
    {"data.partition.shards_per_client", SHARDS, true, "shards"},
    {"data.partition.alpha", DIRICHLET | QUANTITY, true, "dirichlet or quantity"},
    {"data.partition.examples_per_client", IID | DIRICHLET, false, "iid or dirichlet"},
};
#define N_NUMBERS (sizeof numbers / sizeof *numbers)

static int check_numbers(enum fed_partition_kind kind, const struct fed_settings_source *source, struct fed_error *err) {
    for (size_t i = 0; i < N_NUMBERS; i++) {
        const char *path = numbers[i].path;
        bool given = fed_settings_given(source, path), fits = (numbers[i].kinds & 1u << kind) != 0;
        if (given && !fits) {
            return fed_settings_refuse(source, path, err, "goes only with kind: %s (to take it back: --set %s=null)",
                                       numbers[i].names, path);
        }
        if (!given && fits && numbers[i].needed) {
            return fed_settings_refuse(source, path, err, "missing, kind: %s needs it", fed_partition_kind_name(kind));
        }
    }
    return 0;
}

static int check_partition(const struct fed_partition_spec *partition, const struct fed_settings_source *source,
                           struct fed_error *err) {
    static const char clients[] = "data.partition.clients";
    bool any = fed_settings_given(source, clients);
    for (size_t i = 0; i < N_NUMBERS; i++) {
        any = any || fed_settings_given(source, numbers[i].path);
    }
    if (partition->kind == FED_PARTITION_NONE) {
        return !any ? 0
                    : fed_settings_refuse(source, "data.partition.kind", err,
                                          "missing, expected iid, shards, dirichlet, quantity or natural");
    }
    if (partition->kind != FED_PARTITION_NATURAL && !fed_settings_given(source, clients)) {
        return fed_settings_refuse(source, clients, err,
                                   "missing, expected the number of clients to split the data between");
    }
    int code = check_numbers(partition->kind, source, err);
    if (code == 0 && (uint64_t)partition->clients * partition->shards_per_client > UINT32_MAX) {
        code = fed_settings_refuse(source, "data.partition.shards_per_client", err,
                                   "found %u for each of %u clients, expected at most %u shards in all",
                                   partition->shards_per_client, partition->clients, UINT32_MAX);
    }
    return code;
}

int fed_data_section_check(const struct fed_data_source *files, const struct fed_partition_spec *partition,
                           const struct fed_settings_source *source, struct fed_error *err) {
    int code = check_files(files, source, err);
    if (code == 0) {
        code = check_partition(partition, source, err);
    }
    if (code == 0 && partition->kind != FED_PARTITION_NONE && !fed_data_source_has_train(files)) {
        code = fed_settings_refuse(source, "data.partition.kind", err, "splits data.train, not given here");
    }
    return code;
}
