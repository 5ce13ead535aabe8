/* Data that the program hands over are the files of the same numbers: same digest, same split, same batches. */
#include <math.h>
#include <stdalign.h>

#include "common/base/log.h"
#include "common/data/given.h"
#include "common/data/partition.h"
#include "tests/unit/data_world.h"

enum { N = 40, FEATURES = 300, STRIDE = 320, ROWS = 5, CLASSES = 7 };

static alignas(64) float floats[N][FEATURES];
static uint8_t pixels[N][FEATURES];
static uint8_t u8[N];
static int32_t i32[N];
static uint32_t u32[N];
static int64_t i64[N];
static float f32[N];

static const struct {
    enum fed_given_type type;
    const char *descr;
    const void *labels;
    size_t bytes;
} label_types[] = {{FED_GIVEN_U8, "|u1", u8, sizeof u8},
                   {FED_GIVEN_I32, "<i4", i32, sizeof i32},
                   {FED_GIVEN_U32, "<u4", u32, sizeof u32},
                   {FED_GIVEN_I64, "<i8", i64, sizeof i64},
                   {FED_GIVEN_F32, "<f4", f32, sizeof f32}};
#define LABEL_TYPES (sizeof label_types / sizeof *label_types)

static void begin(void) {
    uint32_t state = 1;
    world_begin();
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < FEATURES; k++) {
            state = state * 1664525u + 1013904223u;
            pixels[i][k] = (uint8_t)(state >> 24);
            floats[i][k] = (float)(int32_t)state * 1e-9f;
        }
        u8[i] = (uint8_t)(state >> 8) % CLASSES;
        i32[i] = (int32_t)(u32[i] = u8[i]);
        i64[i] = u8[i];
        f32[i] = (float)u8[i] / 3;
    }
}

/* -- both ways to the same data ----------------------------------------------------------------------------------------- */

static char *write_npy(const char *name, const char *descr, const char *shape, const void *data, size_t n_data) {
    static uint8_t bytes[192 + sizeof floats];
    memset(bytes, ' ', 192);
    memcpy(bytes, "\x93NUMPY\x01\x00\xb6\x00", 10); /* 182 = 192 - 10 */
    int n = snprintf((char *)bytes + 10, 150, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape);
    bytes[10 + n] = ' ';
    bytes[191] = '\n';
    memcpy(bytes + 192, data, n_data);
    return world_write(name, bytes, 192 + n_data);
}

static struct fed_dataset from_files(bool is_u8, size_t label) {
    struct fed_dataset d;
    const struct fed_data_source source = {
        .format = FED_DATA_NPY,
        .train_features = is_u8 ? write_npy("x.npy", "|u1", "(40, 300)", pixels, sizeof pixels)
                                : write_npy("x.npy", "<f4", "(40, 3, 100)", floats, sizeof floats),
        .train_labels =
            write_npy("y.npy", label_types[label].descr, "(40,)", label_types[label].labels, label_types[label].bytes)};
    ck_assert_msg(fed_dataset_load(&d, &source, FED_DATA_TRAIN, &err) == FED_OK, "%s", err.text);
    return d;
}

static int reads, fails_at; /* the how manieth call fails; 0: none */

static int read_features(void *context, void *features, const uint32_t *examples, size_t n) {
    bool is_u8 = *(const bool *)context;
    reads++;
    ck_assert_uint_ge(n, 1);
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_lt(examples[i], N);
        if (is_u8) {
            memcpy((uint8_t *)features + i * FEATURES, pixels[examples[i]], FEATURES);
        } else {
            memcpy((float *)features + i * FEATURES, floats[examples[i]], sizeof floats[0]);
        }
    }
    return reads == fails_at ? 42 : 0;
}

static struct fed_given given(const bool *is_u8, size_t label, bool read) {
    return (struct fed_given){.name = "the pumps",
                              .n_examples = N,
                              .n_features = FEATURES,
                              .n_labels = 1,
                              .feature_type = *is_u8 ? FED_GIVEN_U8 : FED_GIVEN_F32,
                              .label_type = label_types[label].type,
                              .features = read     ? NULL
                                          : *is_u8 ? (const void *)pixels
                                                   : (const void *)floats,
                              .labels = label_types[label].labels,
                              .read = read ? read_features : NULL,
                              .context = (void *)(uintptr_t)is_u8};
}

struct batch {
    alignas(64) float features[ROWS * STRIDE];
    float targets[ROWS];
    uint32_t labels[ROWS];
};

static int fetch(struct batch *out, const struct fed_dataset *d, bool classes) {
    static const uint32_t rows[ROWS] = {17, 3, 39, 3, 0};
    const struct fed_batch batch = {.max_rows = ROWS,
                                    .features = out->features,
                                    .stride = STRIDE,
                                    .n_features = FEATURES,
                                    .labels = classes ? out->labels : NULL,
                                    .targets = classes ? NULL : out->targets,
                                    .n_targets = 1};
    memset(out, 0, sizeof *out);
    return fed_dataset_fetch(d, rows, ROWS, &batch);
}

/* Everything of the dataset that anybody looks at. */
static void must_be_the_same(struct fed_dataset *a, struct fed_dataset *b, bool classes) {
    static struct batch of_a, of_b;
    const struct fed_model model =
        world_model(FEATURES, classes ? CLASSES : 1, classes ? FED_SOFTMAX_CROSS_ENTROPY : FED_MEAN_SQUARED_ERROR, "");
    const struct fed_partition_spec split = {
        .kind = classes ? FED_PARTITION_SHARDS : FED_PARTITION_IID, .clients = 4, .shards_per_client = classes ? 2 : 0};
    struct fed_partition split_a, split_b;
    ck_assert(a->n_examples == b->n_examples && a->n_features == b->n_features && a->n_classes == b->n_classes);
    ck_assert_mem_eq(a->digest, b->digest, sizeof a->digest);
    ck_assert_msg(fed_dataset_fit(a, &model, &err) == FED_OK, "%s", err.text);
    ck_assert_msg(fed_dataset_fit(b, &model, &err) == FED_OK, "%s", err.text);
    ck_assert_int_eq(fetch(&of_a, a, classes), FED_OK);
    ck_assert_int_eq(fetch(&of_b, b, classes), FED_OK);
    ck_assert_mem_eq(&of_a, &of_b, sizeof of_a);
    ck_assert_msg(fed_partition_make(&split_a, a, &split, 7, &err) == FED_OK, "%s", err.text);
    ck_assert_msg(fed_partition_make(&split_b, b, &split, 7, &err) == FED_OK, "%s", err.text);
    ck_assert_mem_eq(split_a.digest, split_b.digest, sizeof split_a.digest);
    fed_partition_fini(&split_a);
    fed_partition_fini(&split_b);
}

static void every_type(bool read) {
    for (size_t label = 0; label < LABEL_TYPES; label++) {
        for (int k = 0; k < 2; k++) {
            const bool is_u8 = k == 1;
            const struct fed_given numbers = given(&is_u8, label, read);
            const struct fed_data_source source = {.given = &numbers};
            struct fed_dataset files = from_files(is_u8, label), handed;
            ck_assert(fed_data_source_has_train(&source));
            ck_assert_msg(fed_dataset_load(&handed, &source, FED_DATA_TRAIN, &err) == FED_OK, "%s", err.text);
            must_be_the_same(&files, &handed, label_types[label].type != FED_GIVEN_F32);
            ck_assert_int_eq(fed_dataset_check_unchanged(&handed, &err), FED_OK);
            fed_dataset_fini(&files);
            fed_dataset_fini(&handed);
        }
    }
}

START_TEST(arrays_stand_for_the_files_of_the_same_numbers) { every_type(false); }
END_TEST

START_TEST(features_that_are_read_stand_for_them_too) {
    every_type(true);
    ck_assert_int_gt(reads, 0);
}
END_TEST

/* -- what is wrong ------------------------------------------------------------------------------------------------------ */

static void must_fail(const struct fed_given *numbers, const char *sentence) {
    struct fed_dataset d;
    ck_assert_int_eq(fed_dataset_from_given(&d, numbers, &err), FED_EDATA);
    ck_assert_str_eq(err.text, sentence);
}

START_TEST(a_number_that_is_none_is_found_when_the_data_are_handed_over) {
    static const bool no = false;
    struct fed_given arrays = given(&no, 0, false), function = given(&no, 0, true);
    floats[11][299] = NAN;
    must_fail(&arrays,
              "the features given: nan found in row 11 (counted from 0), number 299 of it; finite numbers are wanted");
    must_fail(&function, "the pumps: nan read for example 11 (counted from 0), number 299 of it; finite numbers are wanted");
    floats[11][299] = -INFINITY;
    must_fail(&function,
              "the pumps: -inf read for example 11 (counted from 0), number 299 of it; finite numbers are wanted");
}
END_TEST

START_TEST(labels_are_classes_or_finite) {
    static const bool no = false;
    struct fed_given numbers = given(&no, 1, false);
    i32[5] = -1;
    must_fail(&numbers, "the labels given: label -1 found in row 5 (counted from 0), 0 to 65535 are allowed");
    numbers = given(&no, 3, false);
    i64[39] = 65536;
    must_fail(&numbers, "the labels given: label 65536 found in row 39 (counted from 0), 0 to 65535 are allowed");
    numbers = given(&no, 4, false);
    f32[0] = INFINITY;
    must_fail(&numbers, "the labels given: inf found in row 0 (counted from 0), number 0 of it; finite numbers are wanted");
}
END_TEST

START_TEST(shapes_without_numbers_and_crooked_arrays_are_refused) {
    static const bool no = false;
    struct fed_given numbers = given(&no, 0, false);
    numbers.n_examples = 0;
    must_fail(&numbers, "the pumps: 0 examples found, 1 to 4294967295 are allowed");
    numbers.n_examples = (size_t)UINT32_MAX + 1;
    must_fail(&numbers, "the pumps: 4294967296 examples found, 1 to 4294967295 are allowed");
    numbers = given(&no, 0, false);
    numbers.n_features = 0;
    must_fail(&numbers, "the pumps: 0 features and 1 labels an example found, 1 to 67108864 of each are allowed");
    numbers = given(&no, 0, false);
    numbers.n_labels = 0;
    must_fail(&numbers, "the pumps: 300 features and 0 labels an example found, 1 to 67108864 of each are allowed");
    numbers = given(&no, 0, false);
    numbers.features = (const char *)floats + 1;
    must_fail(&numbers, "the pumps: an array of float32 is not aligned to 4 bytes");
}
END_TEST

START_TEST(data_that_do_not_fit_the_model_are_named) {
    static const bool no = false;
    const struct fed_given numbers = given(&no, 0, false);
    const struct fed_model narrow = world_model(FEATURES - 1, CLASSES, FED_SOFTMAX_CROSS_ENTROPY, ""),
                           few = world_model(FEATURES, CLASSES - 1, FED_SOFTMAX_CROSS_ENTROPY, "");
    struct fed_dataset d;
    ck_assert_int_eq(fed_dataset_from_given(&d, &numbers, &err), FED_OK);
    ck_assert_int_eq(fed_dataset_fit(&d, &narrow, &err), FED_EDATA);
    ck_assert_str_eq(err.text, "the pumps: 300 features an example found, but the model takes 299");
    ck_assert_int_eq(fed_dataset_fit(&d, &few, &err), FED_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "the labels of the pumps: 6 found at example "));
    fed_dataset_fini(&d);
}
END_TEST

static char logged[512];

static void take_line(void *context, enum fed_log_level level, const char *line) {
    (void)context;
    ck_assert_int_eq(level, FED_LOG_ERROR);
    snprintf(logged, sizeof logged, "%s", line);
}

START_TEST(a_batch_that_cannot_be_read_is_not_one) {
    static const bool no = false;
    static struct batch b;
    const struct fed_given numbers = given(&no, 0, true);
    const struct fed_model model = world_model(FEATURES, CLASSES, FED_SOFTMAX_CROSS_ENTROPY, "");
    const struct fed_log_sink sink = {FED_LOG_INFO, take_line, NULL};
    struct fed_dataset d;
    ck_assert_int_eq(fed_dataset_from_given(&d, &numbers, &err), FED_OK);
    ck_assert_int_eq(fed_dataset_fit(&d, &model, &err), FED_OK);
    ck_assert_ptr_null(fed_log_redirect(&sink));
    fails_at = reads + 1;
    ck_assert_int_eq(fetch(&b, &d, true), FED_EDATA);
    ck_assert_str_eq(logged,
                     "data not read why=\"the pumps: reading 5 examples from 17 on failed: the function returned 42\"");
    floats[39][7] = NAN;
    ck_assert_int_eq(fetch(&b, &d, true), FED_EDATA);
    ck_assert_ptr_nonnull(strstr(logged, "nan read for example 39 (counted from 0), number 7 of it"));
    for (size_t i = 0; i < ROWS * STRIDE; i++) {
        ck_assert_msg(b.features[i] == 0, "number %zu is %g", i, (double)b.features[i]);
    }
    floats[39][7] = 1;
    ck_assert_int_eq(fetch(&b, &d, true), FED_OK);
    ck_assert(b.features[2 * STRIDE + 7] == 1 && b.features[STRIDE - 1] == 0);
    fed_log_redirect(NULL);
    fed_dataset_fini(&d);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("given");
    TCase *t = tcase_create("given");
    tcase_add_checked_fixture(t, begin, world_end);
    tcase_add_test(t, arrays_stand_for_the_files_of_the_same_numbers);
    tcase_add_test(t, features_that_are_read_stand_for_them_too);
    tcase_add_test(t, a_number_that_is_none_is_found_when_the_data_are_handed_over);
    tcase_add_test(t, labels_are_classes_or_finite);
    tcase_add_test(t, shapes_without_numbers_and_crooked_arrays_are_refused);
    tcase_add_test(t, data_that_do_not_fit_the_model_are_named);
    tcase_add_test(t, a_batch_that_cannot_be_read_is_not_one);
    suite_add_tcase(suite, t);
    return world_run(suite);
}
