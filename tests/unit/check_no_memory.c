/* Whatever reads or writes a file, with memory that runs out at each of its allocations in turn, once and for ever: it says
 * so or goes on, leaks nothing (AddressSanitizer's builds look) and leaves files behind that are whole or absent. A run of
 * coordinator and nodes is starved in the same way by tests/simulation. */
#include <jansson.h>
#include <math.h>
#include <zlib.h>

#include "common/base/log.h"
#include "common/config/client_config.h"
#include "common/config/roster_file.h"
#include "common/config/run_files.h"
#include "common/config/task.h"
#include "common/data/partition.h"
#include "common/model/image.h"
#include "common/model/import.h"
#include "common/seal/key_file.h"
#include "coordinator/nodes/nodes.h"
#include "coordinator/store/status_report.h"
#include "coordinator/store/store.h"
#include "coordinator/terms.h"
#include "include/fedavg/client.h"
#include "tests/faults/fail_alloc.h"
#include "tests/unit/data_world.h"

/* libcheck allocates as well, and dies of it: what is asserted on the way is not counted. */
static bool asserts;

static bool counts(void) { return !asserts; }

/* -- files ---------------------------------------------------------------------------------------------------------- */

static char public_line[FED_PUBLIC_LINE_MAX];

static void write_text(const char *name, const char *text) { world_write(name, text, strlen(text)); }

static void write_idx(void) {
    static const uint8_t images[] = {0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 3, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2};
    static const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 1, 0};
    world_write("images", images, sizeof images);
    world_write("labels", labels, sizeof labels);
    gzFile gz = gzopen(world_path("images.gz"), "w");
    ck_assert_ptr_nonnull(gz);
    ck_assert_int_eq(gzwrite(gz, images, sizeof images), (int)sizeof images);
    ck_assert_int_eq(gzclose(gz), Z_OK);
}

static void write_npy(const char *name, const char *type, const char *shape, size_t n_bytes) {
    uint8_t file[256] = "\x93NUMPY\x01";
    int n = snprintf((char *)file + 10, 119, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", type, shape);
    memset(file + 10 + n, ' ', (size_t)(117 - n));
    file[127] = '\n';
    file[8] = 118;
    world_write(name, file, 128 + n_bytes);
}

static void write_key(void) {
    struct fed_identity identity;
    ck_assert_int_eq(fed_identity_create(&identity, world_path("node.key"), NULL, &err), FED_OK);
    fed_public_line(public_line, &identity.public_keys);
    fed_identity_fini(&identity);
}

static void write_parameters(void) {
    static const char header[] = "{\"out.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                                 "\"out.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[24,32]}}";
    uint8_t bytes[8 + sizeof header - 1 + 32] = {sizeof header - 1};
    memcpy(bytes + 8, header, sizeof header - 1);
    world_write("p.safetensors", bytes, sizeof bytes);
}

static void write_files(void) {
    char text[1024];
    ck_assert_int_eq(fed_seal_setup(&err), FED_OK);
    fed_log_setup(FED_LOG_TEXT, FED_LOG_ERROR);
    world_begin();
    write_idx();
    write_npy("x.npy", "<f4", "4, 3", 48);
    write_npy("y.npy", "|u1", "4,", 4);
    write_text("d.csv", "a,b,c,ward,sick\n1,2,3,east,no\n4,5,6,west,yes\n7,8,9,west,no\n1,1,1,east,yes\n");
    write_text("t.txt", "abcabcabcabcabcabc");
    write_text("r.txt", "\fROMEO\nabcabcabc\nabcabcabcabcabc\nabcabc\n\fJULIET\ncabcabcab\nabcabc\nabcabcabcabcabcabc\n");
    write_parameters();
    write_text("task.yaml",
               "schema: 1\nname: t\nseed: 1\nmodel: {input: 3, classes: [no, yes], layers: [{units: 2}]}\n"
               "data: {format: csv, train: d.csv, test: d.csv, label: sick, group: ward, header: yes,\n"
               "       partition: {kind: natural}}\n"
               "algorithm: {kind: fedavg, rounds: 3, fraction: 1, epochs: 1, batch_size: 10, learning_rate: 0.1}\n");
    write_key();
    snprintf(text, sizeof text,
             "schema: 1\ncoordinator: tcp://127.0.0.1:5600\ncoordinator_key: %s\nkey: node.key\nname: ward-7\n"
             "clients: {first: 1}\ndata: {format: csv, train: d.csv, label: sick, header: yes}\nlimits: {max_epochs: 3}\n",
             public_line);
    write_text("client.yaml", text);
    snprintf(text, sizeof text,
             "schema: 1\nnodes:\n  - {name: ward-7, key: %s, clients: {first: 7, count: 3}, not_before: 2026-01-01}\n",
             public_line);
    write_text("roster", text);
}

/* -- what reads and writes -------------------------------------------------------------------------------------------- */

static int task(struct fed_error *e) {
    struct fed_task t = {0};
    static const char *const sets[] = {"algorithm.rounds=4", "model.layers[0].units=3", "model.classes=[a, b, c]"};
    int rc = fed_task_load(&t, world_path("task.yaml"), sets, 1, e);
    if (rc == FED_OK) {
        fed_task_fini(&t);
    }
    return rc;
}

static int terms(struct fed_error *e) {
    struct fed_task t = {0};
    struct fed_task_terms made, read;
    char *text = NULL, *rest = NULL;
    int rc = fed_task_load(&t, world_path("task.yaml"), NULL, 0, e);
    if (rc != FED_OK) {
        return rc;
    }
    fed_terms_from_task(&made, &t, NULL, 0, 4);
    rc = fed_task_terms_encode(&text, &made);
    if (rc == FED_OK) {
        rc = fed_task_terms_decode(&read, text, strlen(text), e);
    }
    if (rc == FED_OK) {
        rc = fed_terms_rest(&rest, &t);
    }
    free(text);
    free(rest);
    fed_task_fini(&t);
    return rc;
}

static int client_file(struct fed_error *e) {
    struct fed_client_config config = {0};
    int rc = fed_client_config_load(&config, world_path("client.yaml"), NULL, 0, e);
    if (rc == FED_OK) {
        fed_client_config_fini(&config);
    }
    return rc;
}

static int roster(struct fed_error *e) {
    struct fed_roster_file file = {0};
    struct fed_roster *made = NULL;
    struct fed_nodes nodes = {0};
    int rc = fed_roster_file_load(&file, world_path("roster"), e);
    if (rc == FED_OK) {
        rc = fed_roster_file_save(&file, world_path("roster"), e);
    }
    if (rc == FED_OK) {
        rc = fed_roster_new(&made, &file);
    }
    if (rc == FED_OK) {
        rc = fed_nodes_init(&nodes, &made);
    }
    if (rc == FED_OK) {
        fed_nodes_fini(&nodes);
    }
    fed_roster_free(made);
    fed_roster_file_fini(&file);
    return rc;
}

static int key(struct fed_error *e) {
    struct fed_identity identity;
    int rc = fed_identity_load(&identity, world_path("node.key"), e);
    if (rc == FED_OK) {
        fed_identity_fini(&identity);
    }
    return rc;
}

static int new_key(struct fed_error *e) {
    struct fed_identity identity;
    int rc = fed_identity_create(&identity, world_path("new.key"), NULL, e);
    if (rc == FED_OK) {
        fed_identity_fini(&identity);
    }
    bool there = access(world_path("new.key"), F_OK) == 0;
    return there && unlink(world_path("new.key")) != 0 ? FED_EIO : rc;
}

static struct fed_model three_numbers(const char *classes) {
    asserts = true;
    struct fed_model model = world_model(3, 2, FED_SOFTMAX_CROSS_ENTROPY, classes);
    asserts = false;
    return model;
}

static int data_of(const struct fed_data_source *source, const struct fed_model *model, enum fed_partition_kind kind,
                   struct fed_error *e) {
    struct fed_dataset set = {0};
    struct fed_partition partition = {0};
    struct fed_partition_spec spec = {
        .kind = kind, .clients = kind == FED_PARTITION_NATURAL ? 0 : 2, .shards_per_client = 1, .alpha = 1};
    int rc = fed_dataset_load(&set, source, FED_DATA_TRAIN, e);
    if (rc == FED_OK) {
        rc = fed_dataset_fit(&set, model, e);
    }
    if (rc == FED_OK) {
        rc = fed_partition_make(&partition, &set, &spec, 1, e);
    }
    if (rc == FED_OK) {
        fed_partition_fini(&partition);
    }
    fed_dataset_fini(&set);
    return rc;
}

static int idx(struct fed_error *e) {
    struct fed_model model = three_numbers("");
    struct fed_data_source source = {
        .format = FED_DATA_IDX, .train_images = world_path("images"), .train_labels = world_path("labels")};
    return data_of(&source, &model, FED_PARTITION_IID, e);
}

static int idx_gz(struct fed_error *e) {
    struct fed_model model = three_numbers("");
    struct fed_data_source source = {
        .format = FED_DATA_IDX, .train_images = world_path("images.gz"), .train_labels = world_path("labels")};
    return data_of(&source, &model, FED_PARTITION_SHARDS, e);
}

static int parameters(struct fed_error *e) {
    struct fed_model model = three_numbers("");
    float params[8];
    return fed_import_read(params, world_path("p.safetensors"), &model, e);
}

static int run_files(struct fed_error *e) {
    static const struct fed_run_files files = {
        .data = {.format = FED_DATA_CSV, .train = "/a/t.csv", .test = "/", .label = "y", .header = true, .unroll = 80},
        .initial = "/a/first.safetensors"};
    struct fed_run_files again;
    struct json_t *kept = fed_run_files_encode(&files);
    int rc = kept != NULL ? fed_run_files_decode(&again, kept, "run", NULL, 0, e) : FED_ENOMEM;
    if (rc == FED_OK) {
        fed_run_files_fini(&again);
    }
    json_decref(kept);
    return rc;
}

static int npy(struct fed_error *e) {
    struct fed_model model = three_numbers("");
    struct fed_data_source source = {
        .format = FED_DATA_NPY, .train_features = world_path("x.npy"), .train_labels = world_path("y.npy")};
    return data_of(&source, &model, FED_PARTITION_DIRICHLET, e);
}

static int csv(struct fed_error *e) {
    static char label[] = "sick", group[] = "ward";
    struct fed_model model = three_numbers("no\nyes");
    struct fed_data_source source = {
        .format = FED_DATA_CSV, .train = world_path("d.csv"), .label = label, .group = group, .header = true};
    return data_of(&source, &model, FED_PARTITION_NATURAL, e);
}

static struct fed_model text_model(void) {
    struct fed_model_spec spec = {.input = {.steps = 3},
                                  .n_symbols = 4,
                                  .symbols = "\nabc",
                                  .n_layers = 2,
                                  .layers = {{.units = 2, .kind = FED_EMBEDDING}, {.units = 4, .kind = FED_DENSE}}};
    struct fed_model model;
    asserts = true;
    ck_assert_msg(fed_model_init(&model, &spec, &err) == FED_OK, "%s", err.text);
    asserts = false;
    return model;
}

static int text(struct fed_error *e) {
    struct fed_model model = text_model();
    struct fed_data_source source = {.format = FED_DATA_TEXT, .train = world_path("t.txt"), .unroll = 3};
    return data_of(&source, &model, FED_PARTITION_QUANTITY, e);
}

static int roles(struct fed_error *e) {
    struct fed_model model = text_model();
    struct fed_data_source source = {.format = FED_DATA_ROLES, .train = world_path("r.txt"), .unroll = 3};
    return data_of(&source, &model, FED_PARTITION_NATURAL, e);
}

static void remove_dir(const char *dir) {
    char command[160];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

static int commit(struct fed_store *store, const struct fed_model *model, uint64_t round, struct fed_error *e) {
    static const uint8_t run_id[16] = {1};
    struct fed_store_update update = {.node = "ward-7", .client = 7, .weight = 3, .loss = 0.5, .norm = 1};
    struct fed_store_refusal refusal = {.node = "ward-7", .reason = "late", .count = 2};
    struct fed_image *image = NULL;
    int rc = fed_image_new(&image, model, run_id, round);
    if (rc != FED_OK) {
        return fed_error_set(e, rc, "no memory for the model");
    }
    fed_model_initial(image->params, model, round);
    rc = fed_image_finish(image, model, run_id);
    if (rc == FED_OK) {
        struct fed_store_commit c = {.round = round,
                                     .attempt = round > 0,
                                     .header = image->bytes,
                                     .n_header = image->n_header,
                                     .params = image->params,
                                     .n_params_bytes = model->n_params * sizeof(float),
                                     .updates = &update,
                                     .n_updates = round > 0,
                                     .refusals = &refusal,
                                     .n_refusals = round > 0};
        memcpy(c.model_digest, image->digest, sizeof c.model_digest);
        rc = fed_store_commit(store, &c, 3, e);
    } else {
        fed_error_set(e, rc, "no memory for the header");
    }
    fed_image_release(image);
    return rc;
}

/* The newest model as a restart reads it; a run that has none yet has nothing to read. */
static int read_back(struct fed_store *store, const struct fed_model *model, struct fed_error *e) {
    struct fed_store_state state = {0};
    struct fed_image *image = NULL;
    char *path = NULL;
    int rc = fed_store_state(&state, store, e);
    if (rc == FED_OK && state.has_model) {
        rc = fed_store_model_path(&path, store, state.round);
        rc = rc == FED_OK ? fed_image_read(&image, path, model, state.model_digest, e)
                          : fed_error_set(e, rc, "no memory for a path");
    }
    free(path);
    free(state.cohort);
    fed_image_release(image);
    return rc;
}

static int advance_run(struct fed_store *store, const struct fed_model *model, struct fed_error *e) {
    static const uint64_t cohort[] = {7, 8};
    struct fed_store_state state = {0};
    int rc = fed_store_state(&state, store, e);
    free(state.cohort);
    if (rc == FED_OK && !state.has_model) {
        rc = commit(store, model, 0, e);
    }
    if (rc == FED_OK && state.round == 0) {
        rc = fed_store_open_attempt(store, 1, state.attempt + 1, cohort, 2, e);
    }
    if (rc == FED_OK && state.round == 0) {
        rc = commit(store, model, 1, e);
    }
    return rc == FED_OK ? fed_store_evaluation(store, 1, 0.5, 0.25, false, e) : rc;
}

static int report(struct fed_store *store, struct fed_error *e) {
    static struct fed_status_report made, read;
    char *json = NULL;
    int rc = fed_status_report_read(&made, store, e);
    if (rc == FED_OK) {
        rc = fed_status_report_encode(&json, &made);
        rc = rc == FED_OK ? fed_status_report_decode(&read, json, strlen(json), e) : fed_error_set(e, rc, "no memory");
    }
    free(json);
    return rc;
}

static int run(struct fed_error *e) {
    struct fed_model model = three_numbers("");
    struct fed_store *store = NULL;
    int rc = fed_store_open(&store, world_path("run"), "{\"name\":\"t\"}", "{}", e);
    if (rc != FED_OK) {
        return rc;
    }
    rc = advance_run(store, &model, e);
    if (rc == FED_OK) {
        rc = read_back(store, &model, e);
    }
    if (rc == FED_OK) {
        rc = report(store, e);
    }
    fed_store_close(store);
    return rc;
}

/* What a program does that hosts a client; features are read, so that there is a block for them. */
static int read_zeros(void *context, void *features, const uint32_t *examples, size_t n) {
    (void)context;
    (void)examples;
    memset(features, 0, 3 * n * sizeof(float));
    return 0;
}

static int tell(struct fedavg_client *client) {
    static const uint8_t labels[4] = {0, 1, 1, 0};
    static const uint8_t seed[FEDAVG_SEED_BYTES] = {7};
    const struct fedavg_data data = {.size = sizeof data,
                                     .feature_type = FEDAVG_F32,
                                     .label_type = FEDAVG_U8,
                                     .n_examples = 4,
                                     .n_features = 3,
                                     .n_labels = 1,
                                     .labels = labels,
                                     .read = read_zeros};
    int rc = fedavg_client_load(client, world_path("client.yaml"));
    if (rc == FEDAVG_OK) {
        rc = fedavg_client_set(client, "data", NULL);
    }
    if (rc == FEDAVG_OK) {
        rc = fedavg_client_set(client, "key", NULL);
    }
    if (rc == FEDAVG_OK) {
        rc = fedavg_client_set_seed(client, seed);
    }
    return rc == FEDAVG_OK ? fedavg_client_set_data(client, &data) : rc;
}

static int hosted(struct fed_error *e) {
    struct fedavg_client *client = NULL;
    int fd, rc = fedavg_client_new(&client);
    if (rc == FEDAVG_OK) {
        rc = tell(client);
    }
    if (rc == FEDAVG_OK) {
        rc = fedavg_client_open(client);
    }
    if (rc == FEDAVG_OK) {
        rc = fedavg_client_fd(client, &fd);
    }
    if (rc == FEDAVG_OK) {
        rc = fedavg_client_step(client, 0);
    }
    if (rc != FEDAVG_OK) {
        fed_error_set(e, rc, "%s", client != NULL ? fedavg_client_error(client) : fedavg_status_text(rc));
    }
    return fedavg_client_free(client) == FEDAVG_OK ? rc : FED_EFAILED;
}

/* -- starving --------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int (*load)(struct fed_error *e);
    bool writes_run;
} loaders[] = {
    {"task", task, false},
    {"terms", terms, false},
    {"client file", client_file, false},
    {"roster", roster, false},
    {"key", key, false},
    {"new key", new_key, false},
    {"idx", idx, false},
    {"idx.gz", idx_gz, false},
    {"npy", npy, false},
    {"parameters", parameters, false},
    {"run files", run_files, false},
    {"csv", csv, false},
    {"text", text, false},
    {"roles", roles, false},
    {"run", run, true},
    {"hosted client", hosted, false},
};

static void starve(int i, uint64_t k, bool for_ever) {
    struct fed_error e = {""};
    fail_alloc_begin(k, for_ever, counts);
    int rc = loaders[i].load(&e);
    fail_alloc_end();
    ck_assert_msg(rc == FED_OK || rc == FED_ENOMEM || e.text[0] != '\0', "%s: %d without a sentence at allocation %d",
                  loaders[i].name, rc, (int)k);
    ck_assert_msg(strlen(e.text) == 0 || rc != FED_OK, "%s: a sentence and no error: %s", loaders[i].name, e.text);
    rc = loaders[i].load(&e); /* what it left behind does no harm */
    ck_assert_msg(rc == FED_OK, "%s after allocation %d failed: %s", loaders[i].name, (int)k, e.text);
    if (loaders[i].writes_run) {
        remove_dir(world_path("run"));
    }
}

START_TEST(whoever_has_no_memory_says_so_and_does_no_harm) {
    struct fed_error e = {""};
    fail_alloc_begin(0, false, counts);
    int rc = loaders[_i].load(&e);
    uint64_t n = fail_alloc_end();
    ck_assert_msg(rc == FED_OK, "%s: %s", loaders[_i].name, e.text);
    ck_assert_msg(n > 0, "%s allocates nothing: it is not seen", loaders[_i].name);
    if (loaders[_i].writes_run) {
        remove_dir(world_path("run"));
    }
    for (uint64_t k = 1; k <= n; k++) {
        starve(_i, k, false);
        starve(_i, k, true);
    }
    printf("%s: %d allocations\n", loaders[_i].name, (int)n);
}
END_TEST

static void remove_files(void) {
    remove_dir(world_path("run"));
    remove_dir(world_path("state"));
    world_end();
}

int main(void) {
    Suite *suite = suite_create("no memory");
    TCase *t = tcase_create("no memory");
    tcase_add_unchecked_fixture(t, write_files, remove_files);
    tcase_add_loop_test(t, whoever_has_no_memory_says_so_and_does_no_harm, 0, sizeof loaders / sizeof *loaders);
    suite_add_tcase(suite, t);
    return world_run(suite);
}
