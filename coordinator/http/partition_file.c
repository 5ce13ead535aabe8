#include "coordinator/http/partition_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "coordinator/http/writer.h"

static uint32_t client_at(uint32_t i, uint32_t n, uint32_t all) { return (uint32_t)((uint64_t)i * all / n); }

static void write_labels(struct fed_writer *writer, const struct fed_dataset *dataset, uint32_t n_labels) {
    for (uint32_t l = 0; l < n_labels; l++) {
        const char *name = fed_dataset_label_name(dataset, l);
        fed_writer_add(writer, l == 0 ? "{\"labels\":[" : ",");
        if (name != NULL) {
            fed_writer_json_text(writer, name);
        } else {
            fed_writer_addf(writer, "\"%" PRIu32 "\"", l);
        }
    }
}

/* rows: room for the largest client. */
static void write_counts(struct fed_writer *writer, const struct fed_dataset *dataset, const struct fed_partition *partition,
                         uint32_t client, uint32_t n_labels, uint32_t *rows) {
    uint32_t counts[FED_PARTITION_LABELS] = {0};
    size_t n = fed_partition_size(partition, client);
    fed_partition_rows(partition, client, rows);
    for (size_t i = 0; i < n; i++) {
        counts[fed_dataset_label(dataset, rows[i])]++;
    }
    for (uint32_t l = 0; l < n_labels; l++) {
        fed_writer_addf(writer, "%s%" PRIu32, l == 0 ? "[" : ",", counts[l]);
    }
    fed_writer_add(writer, "]");
}

int fed_partition_text(char **out, const struct fed_dataset *dataset, const struct fed_partition *partition) {
    struct fed_writer writer = {0};
    uint32_t n_labels = fed_dataset_labels(dataset), all = partition->n_clients;
    uint32_t n = all < FED_PARTITION_SHOWN ? all : FED_PARTITION_SHOWN;
    size_t n_text;
    if (n_labels == 0 || n_labels > FED_PARTITION_LABELS) {
        return FED_ENOTFOUND;
    }
    uint32_t *rows = calloc(fed_partition_largest(partition), sizeof *rows);
    if (rows == NULL) {
        return FED_ENOMEM;
    }
    write_labels(&writer, dataset, n_labels);
    for (uint32_t i = 0; i < n; i++) {
        fed_writer_addf(&writer, "%s%" PRIu32, i == 0 ? "],\"clients\":[" : ",", client_at(i, n, all));
    }
    for (uint32_t i = 0; i < n; i++) {
        fed_writer_add(&writer, i == 0 ? "],\"counts\":[" : ",");
        write_counts(&writer, dataset, partition, client_at(i, n, all), n_labels, rows);
    }
    fed_writer_addf(&writer, "],\"total_clients\":%" PRIu32 "}\n", all);
    free(rows);
    return fed_writer_take(out, &n_text, &writer);
}

int fed_partition_file_write(const char *dir, const char *text, struct fed_error *err) {
    char *path = NULL;
    int code = FED_OK;
    if (fed_path_join(&path, dir, FED_PARTITION_FILE) != FED_OK) {
        return fed_error_set(err, FED_ENOMEM, "%s: out of memory", dir);
    }
    if (access(path, F_OK) != 0) {
        const struct iovec part = {(void *)(uintptr_t)text, strlen(text)};
        code = fed_file_replace(path, &part, 1, 0600, err);
    }
    free(path);
    return code;
}
