/* The section `data`, the same in a task and in CLIENT.yaml (which has no test data): rows for their tables, and the rules
 * that span several keys. Which keys there are depends on the format:
 *
 *     data: {format: idx, train: {images: FILE, labels: FILE}, test: {images: FILE, labels: FILE}}
 *     data: {format: npy, train: {features: FILE, labels: FILE}, test: {features: FILE, labels: FILE}}
 *     data: {format: csv, train: FILE, test: FILE, label: COLUMN, group: COLUMN, header: yes | no}
 *     data: {format: text, train: FILE, test: FILE, unroll: STEPS}
 *     data: {format: roles, train: FILE, unroll: STEPS}
 *
 * and for all of them
 *
 *       partition: {kind: iid | shards | dirichlet | quantity | natural, clients: K, shards_per_client: S, alpha: A,
 *                   examples_per_client: N} */
#ifndef FED_COMMON_CONFIG_DATA_SECTION_H
#define FED_COMMON_CONFIG_DATA_SECTION_H

#include <stddef.h>
#include <stdint.h>

#include "common/config/setting.h"
#include "common/data/partition.h"
#include "common/data/source.h"

#define FED_UNROLL_MAX 65536
#define FED_SPLIT_MAX ((uint64_t)1 << 31) /* clients: as many as an entry of a roster can host */

const char *fed_data_format_word(unsigned format);
const char *fed_data_partition_word(unsigned kind);

/* type: the target; files, partition: struct fed_data_source and fed_partition_spec in it. */
/* clang-format off */
#define FED_DATA_TRAIN_ROWS(type, files) \
    {"data.format", FED_SETTING_WORD, offsetof(type, files.format), .fallback = "idx", .max = FED_DATA_ROLES, \
     .word = fed_data_format_word}, \
    {"data.train", FED_SETTING_PATH, offsetof(type, files.train)}, \
    {"data.train.images", FED_SETTING_PATH, offsetof(type, files.train_images)}, \
    {"data.train.features", FED_SETTING_PATH, offsetof(type, files.train_features)}, \
    {"data.train.labels", FED_SETTING_PATH, offsetof(type, files.train_labels)}, \
    {"data.label", FED_SETTING_TEXT, offsetof(type, files.label)}, \
    {"data.group", FED_SETTING_TEXT, offsetof(type, files.group)}, \
    {"data.header", FED_SETTING_BOOL, offsetof(type, files.header), .fallback = "yes"}, \
    {"data.unroll", FED_SETTING_U32, offsetof(type, files.unroll), .fallback = "80", .min = 1, .max = FED_UNROLL_MAX}
#define FED_DATA_TEST_ROWS(type, files) \
    {"data.test", FED_SETTING_PATH, offsetof(type, files.test)}, \
    {"data.test.images", FED_SETTING_PATH, offsetof(type, files.test_images)}, \
    {"data.test.features", FED_SETTING_PATH, offsetof(type, files.test_features)}, \
    {"data.test.labels", FED_SETTING_PATH, offsetof(type, files.test_labels)}
#define FED_DATA_PARTITION_ROWS(type, partition) \
    {"data.partition.kind", FED_SETTING_WORD, offsetof(type, partition.kind), \
     .min = FED_PARTITION_IID, .max = FED_PARTITION_NATURAL, .word = fed_data_partition_word}, \
    {"data.partition.clients", FED_SETTING_U32, offsetof(type, partition.clients), .min = 1, .max = FED_SPLIT_MAX}, \
    {"data.partition.shards_per_client", FED_SETTING_U32, offsetof(type, partition.shards_per_client), \
     .min = 1, .max = UINT32_MAX}, \
    {"data.partition.alpha", FED_SETTING_REAL, offsetof(type, partition.alpha), .low = 1e-6, .high = 1e6}, \
    {"data.partition.examples_per_client", FED_SETTING_U32, offsetof(type, partition.examples_per_client), \
     .min = 1, .max = INT32_MAX}
/* clang-format on */

/* FED_ECONFIG: a key of another format, half a pair of files, CSV without its column of labels, a partition of nothing,
 * numbers of one kind given with another, too many shards. */
int fed_data_section_check(const struct fed_data_source *files, const struct fed_partition_spec *partition,
                           const struct fed_settings_source *source, struct fed_error *err) FED_MUST_CHECK;

/* What `data.train` wants to be, for sentences: "the path of a file", "a section of images and labels". */
const char *fed_data_section_expected(enum fed_data_format format);

#endif
