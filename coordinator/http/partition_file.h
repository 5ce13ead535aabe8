/* partition.json in the run directory: which client has how many examples of which label, for whoever looks at the run. Of a
 * large partition it tells of FED_PARTITION_SHOWN clients, evenly spaced.
 *
 *     {"labels":["0","1",..],"clients":[0,5,..],"counts":[[12,0,..],..],"total_clients":1000} */
#ifndef FED_COORDINATOR_HTTP_PARTITION_FILE_H
#define FED_COORDINATOR_HTTP_PARTITION_FILE_H

#include "common/base/status.h"
#include "common/data/dataset.h"
#include "common/data/partition.h"

#define FED_PARTITION_FILE "partition.json"
#define FED_PARTITION_SHOWN 200u
#define FED_PARTITION_LABELS 256u /* data with more labels than this, or without any, has no such file */

/* The text, which is the caller's. FED_ENOTFOUND: there is nothing to count; FED_ENOMEM. */
int fed_partition_text(char **out, const struct fed_dataset *dataset, const struct fed_partition *partition) FED_MUST_CHECK;
/* Unless it is there: a run keeps its partition. FED_EIO, FED_ENOMEM. */
int fed_partition_file_write(const char *dir, const char *text, struct fed_error *err) FED_MUST_CHECK;

#endif
