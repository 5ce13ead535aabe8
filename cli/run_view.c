#include "cli/run_view.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/utf8.h"
#include "coordinator/store/store_view.h"

struct reading {
    struct fed_run_view *view;
    size_t room;
    bool no_memory;
};

static void take_row(void *context, const struct fed_curve_row *row) {
    struct reading *reading = context;
    struct fed_run_view *view = reading->view;
    if (view->n_rows == reading->room) {
        size_t room = reading->room > 0 ? 2 * reading->room : 256;
        struct fed_curve_row *more = reallocarray(view->rows, room, sizeof *more);
        if (more == NULL) {
            reading->no_memory = true;
            return;
        }
        view->rows = more;
        reading->room = room;
    }
    view->rows[view->n_rows++] = *row;
}

/* The task was checked when the run was made; a database that others damaged may say anything. */
static void read_task(struct fed_run_view *view) {
    json_t *terms = json_loads(fed_store_task_terms(view->store), 0, NULL);
    json_t *rest = json_loads(fed_store_task_rest(view->store), 0, NULL);
    const char *name = json_string_value(json_object_get(terms, "name"));
    double target = json_number_value(json_object_get(rest, "target_accuracy"));
    if (name != NULL && strlen(name) < sizeof view->name && fed_utf8_one_line(name)) {
        memcpy(view->name, name, strlen(name) + 1);
    }
    view->target = target > 0 && target <= 1 ? target : (double)NAN;
    json_decref(terms);
    json_decref(rest);
}

static int read_end(struct fed_run_view *view, struct fed_error *err) {
    struct fed_store_end end;
    int code = fed_store_end(&end, view->store, err);
    if (code == FED_OK) {
        view->finished = end.finished;
        view->target_round = end.target_round;
    }
    return code;
}

int fed_run_view_read(struct fed_run_view *out, const char *path, struct fed_error *err) {
    struct fed_run_view view = {.path = path};
    struct reading reading = {.view = &view};
    int code = fed_store_open_readonly(&view.store, path, err);
    if (code == FED_ENOTFOUND) {
        code = FED_ECONFIG; /* the argument named no run */
    }
    if (code == FED_OK) {
        read_task(&view);
        code = read_end(&view, err);
    }
    if (code == FED_OK) {
        code = fed_curve_read(view.store, take_row, &reading, err);
    }
    if (code == FED_OK && reading.no_memory) {
        code = fed_error_set(err, FED_ENOMEM, "%s: out of memory for its rounds", path);
    }
    if (code == FED_OK) {
        *out = view;
    } else {
        fed_run_view_fini(&view);
    }
    return code;
}

void fed_run_view_fini(struct fed_run_view *view) {
    free(view->rows);
    fed_store_close(view->store);
    *view = (struct fed_run_view){0};
}
