#include "common/config/data_section.h"

#include <stdlib.h>

const char *fed_data_format_word(unsigned format) {
    (void)format; /* the only one */
    return "idx";
}

const char *fed_data_partition_word(unsigned kind) { return fed_partition_kind_name((enum fed_partition_kind)kind); }

static int check_pair(const char *images, const char *labels, const char *images_key, const char *labels_key,
                      const struct fed_settings_source *source, struct fed_error *err) {
    if ((images != NULL) == (labels != NULL)) {
        return 0;
    }
    const char *absent = images == NULL ? images_key : labels_key;
    return fed_settings_refuse(source, absent, err, "missing, images and labels belong together");
}

/* A number that goes with one kind of partition: there with that kind, absent with the others. */
static int check_number(const char *key, enum fed_partition_kind needed, enum fed_partition_kind kind,
                        const struct fed_settings_source *source, struct fed_error *err) {
    bool given = fed_settings_given(source, key);
    const char *name = fed_partition_kind_name(needed);
    if (given && kind != needed) {
        return fed_settings_refuse(source, key, err, "goes only with kind: %s (to take it back: --set %s=null)", name, key);
    }
    return given || kind != needed ? 0 : fed_settings_refuse(source, key, err, "missing, kind: %s needs it", name);
}

static int check_partition(const struct fed_partition_spec *partition, const struct fed_settings_source *source,
                           struct fed_error *err) {
    static const char kind[] = "data.partition.kind", clients[] = "data.partition.clients",
                      shards[] = "data.partition.shards_per_client", alpha[] = "data.partition.alpha";
    bool any =
        fed_settings_given(source, clients) || fed_settings_given(source, shards) || fed_settings_given(source, alpha);
    if (partition->kind == FED_PARTITION_NONE) {
        return !any ? 0 : fed_settings_refuse(source, kind, err, "missing, expected iid, shards or dirichlet");
    }
    if (!fed_settings_given(source, clients)) {
        return fed_settings_refuse(source, clients, err,
                                   "missing, expected the number of clients to split the data between");
    }
    int code = check_number(shards, FED_PARTITION_SHARDS, partition->kind, source, err);
    if (code == 0) {
        code = check_number(alpha, FED_PARTITION_DIRICHLET, partition->kind, source, err);
    }
    if (code == 0 && (uint64_t)partition->clients * partition->shards_per_client > UINT32_MAX) {
        code = fed_settings_refuse(source, shards, err, "found %u for each of %u clients, expected at most %u shards in all",
                                   partition->shards_per_client, partition->clients, UINT32_MAX);
    }
    return code;
}

int fed_data_section_check(const struct fed_data_source *files, const struct fed_partition_spec *partition,
                           const struct fed_settings_source *source, struct fed_error *err) {
    int code = check_pair(files->train_images, files->train_labels, "data.train.images", "data.train.labels", source, err);
    if (code == 0) {
        code = check_pair(files->test_images, files->test_labels, "data.test.images", "data.test.labels", source, err);
    }
    if (code == 0) {
        code = check_partition(partition, source, err);
    }
    if (code == 0 && partition->kind != FED_PARTITION_NONE && files->train_images == NULL) {
        code =
            fed_settings_refuse(source, "data.partition.kind", err, "splits data.train.images and .labels, not given here");
    }
    return code;
}
