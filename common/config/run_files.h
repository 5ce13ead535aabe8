/* Where the files of a run lie: its data and its initial parameters, under the keys of the task. The coordinator keeps them
 * with what may change from one start to the next, so that a command which is given a run directory finds its data. Nothing
 * of the result depends on them. As JSON, one object of texts, paths absolute:
 *
 *     {"data.format":"csv","data.label":"outcome","data.test":"/srv/wards/test.csv","data.train":"/srv/wards/train.csv"} */
#ifndef FED_COMMON_CONFIG_RUN_FILES_H
#define FED_COMMON_CONFIG_RUN_FILES_H

#include <stddef.h>

#include "common/base/status.h"
#include "common/data/source.h"

struct json_t; /* jansson's */

struct fed_run_files {
    struct fed_data_source data;
    char *initial; /* model.initial; NULL: none */
};

/* Keys with their default, and paths that JSON cannot hold (not UTF-8), are left out. NULL: no memory. */
struct json_t *fed_run_files_encode(const struct fed_run_files *files);

/* stored: such an object, or NULL where the run says nothing. sets: "key=value" laid over it; a data.format among them
 * takes the place of all that is stored about data. name: of the run, for sentences. FED_ECONFIG, FED_ENOMEM. On success the
 * caller owns the contents. */
int fed_run_files_decode(struct fed_run_files *out, const struct json_t *stored, const char *name, const char *const *sets,
                         size_t n_sets, struct fed_error *err) FED_MUST_CHECK;
void fed_run_files_fini(struct fed_run_files *files);

#endif
