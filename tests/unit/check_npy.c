/* NPY: what numpy.save writes is read in place, and what it may write besides is refused with the way to change it. */
#include <math.h>

#include "common/data/npy.h"
#include "tests/unit/data_world.h"

/* numpy.save of NumPy 1.24, version 1.0: np.array([[0, 51, 255], [102, 1, 2]], dtype=np.uint8) */
static const uint8_t golden[] = "\x93NUMPY\x01\x00\x76\x00{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }"
                                "                                                          \n"
                                "\x00\x33\xff\x66\x01\x02";

struct array {
    const char *descr, *order, *shape;
    const void *data;
    size_t n_data;
};

/* A file as version 1, 2 or 3 has it, its data at a multiple of 64 bytes. */
static char *write_array(const char *name, int version, struct array a) {
    static uint8_t bytes[4096];
    size_t start = version == 1 ? 10 : 12, data_at = 192;
    memset(bytes, ' ', data_at);
    memcpy(bytes, "\x93NUMPY", 6);
    bytes[6] = (uint8_t)version;
    bytes[7] = 0;
    for (size_t i = 0; i < start - 8; i++) {
        bytes[8 + i] = (uint8_t)((data_at - start) >> (8 * i));
    }
    int n = snprintf((char *)bytes + start, 150, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }", a.descr,
                     a.order != NULL ? a.order : "False", a.shape);
    bytes[start + (size_t)n] = ' ';
    bytes[data_at - 1] = '\n';
    memcpy(bytes + data_at, a.data, a.n_data);
    return world_write(name, bytes, data_at + a.n_data);
}

static int try_load(struct fed_dataset *d, char *features, char *labels) {
    const struct fed_data_source source = {.format = FED_DATA_NPY, .train_features = features, .train_labels = labels};
    return fed_dataset_load(d, &source, FED_DATA_TRAIN, &err);
}

static const float floats[6] = {0, -1.5f, 3e38f, 1e-45f, 0.1f, -0.0f};
static const struct array f4 = {"<f4", NULL, "(2, 3)", floats, sizeof floats};
static const struct array u1 = {"|u1", NULL, "(2,)", "\2\0", 2};

static void gather(struct world_batch *to, struct fed_dataset *d, const struct fed_model *model) {
    static const uint32_t rows[] = {1, 0};
    const struct fed_batch batch = {.features = to->features,
                                    .stride = WORLD_STRIDE,
                                    .labels = model->n_classes > 0 ? to->labels : NULL,
                                    .targets = model->n_classes > 0 ? NULL : to->targets,
                                    .n_targets = model->n_targets};
    world_clear(to);
    ck_assert_msg(fed_dataset_fit(d, model, &err) == FED_OK, "%s", err.text);
    fed_dataset_gather(d, rows, 2, &batch);
}

START_TEST(bytes_are_pixels_and_have_the_digest_of_idx_files) {
    static const uint8_t labels[] = {2, 0};
    struct fed_dataset d, same;
    struct fed_model model = world_model(3, 3, FED_SOFTMAX_CROSS_ENTROPY, "");
    struct world_batch b;
    char *features = world_write("x.npy", golden, sizeof golden - 1);
    ck_assert_msg(try_load(&d, features, write_array("y.npy", 1, u1)) == FED_OK, "%s", err.text);
    ck_assert(d.n_examples == 2 && d.n_features == 3 && d.n_classes == 3 && d.n_groups == 0);
    gather(&b, &d, &model);
    volatile float all = 255, second = 51, third = 102;
    volatile float quotients[] = {second / all, third / all};
    ck_assert(b.features[0] == quotients[1] && b.features[WORLD_STRIDE + 1] == quotients[0]);
    ck_assert(b.features[WORLD_STRIDE] == 0 && b.features[WORLD_STRIDE + 2] == 1 && b.features[3] == -7);
    ck_assert(b.labels[0] == 0 && b.labels[1] == 2 && fed_dataset_label(&d, 0) == 2);
    ck_assert_int_eq(fed_dataset_from_bytes(&same, 2, 3, golden + sizeof golden - 7, labels), FED_OK);
    ck_assert_mem_eq(d.digest, same.digest, 32);
    fed_dataset_fini(&same);
    fed_dataset_fini(&d);
}
END_TEST

START_TEST(floats_arrive_to_the_bit_whatever_the_version_and_the_type_of_labels) {
    static const int32_t i4[] = {2, 0};
    static const uint32_t u4[] = {2, 0};
    static const int64_t i8[] = {2, 0}, large[] = {65535, 256};
    static const struct array labels[] = {{"|u1", NULL, "(2,)", "\2\0", 2},
                                          {"<i4", NULL, "(2,)", i4, sizeof i4},
                                          {"<u4", NULL, "(2, 1)", u4, sizeof u4},
                                          {"<i8", NULL, "(2,)", i8, sizeof i8}};
    struct fed_model model = world_model(3, 3, FED_SOFTMAX_CROSS_ENTROPY, "");
    struct fed_dataset d;
    struct world_batch b;
    for (int version = 1; version <= 3; version++) {
        for (size_t i = 0; i < 4; i++) {
            int rc = try_load(&d, write_array("x.npy", version, f4), write_array("y.npy", version, labels[i]));
            ck_assert_msg(rc == FED_OK, "%s", err.text);
            ck_assert_uint_eq(d.n_classes, 3);
            gather(&b, &d, &model);
            ck_assert_mem_eq(b.features, floats + 3, 12);
            ck_assert_mem_eq(b.features + WORLD_STRIDE, floats, 12);
            ck_assert(b.labels[0] == 0 && b.labels[1] == 2);
            fed_dataset_fini(&d);
        }
    }
    const struct array wide = {"<i8", NULL, "(2,)", large, sizeof large};
    ck_assert_int_eq(try_load(&d, write_array("x.npy", 1, f4), write_array("y.npy", 1, wide)), FED_OK);
    ck_assert_uint_eq(fed_dataset_label(&d, 0), 65535);
    ck_assert_uint_eq(fed_dataset_label(&d, 1), 256);
    ck_assert_uint_eq(fed_dataset_labels(&d), 65536);
    fed_dataset_fini(&d);
}
END_TEST

START_TEST(numbers_to_be_met_may_be_several) {
    struct fed_model one = world_model(3, 1, FED_MEAN_SQUARED_ERROR, ""),
                     three = world_model(3, 3, FED_MEAN_SQUARED_ERROR, ""),
                     classes = world_model(3, 3, FED_SOFTMAX_CROSS_ENTROPY, "");
    struct fed_dataset d;
    struct world_batch b;
    ck_assert_int_eq(try_load(&d, write_array("x.npy", 1, f4), write_array("y.npy", 2, f4)), FED_OK);
    ck_assert(d.n_classes == 0 && fed_dataset_labels(&d) == 0 && fed_dataset_label(&d, 1) == 0);
    gather(&b, &d, &three);
    ck_assert_mem_eq(b.targets, floats + 3, 12);
    ck_assert_mem_eq(b.targets + 3, floats, 12);
    ck_assert_int_eq(fed_dataset_fit(&d, &one, &err), FED_EDATA);
    world_sentence("y.npy: 3 label(s) an example found, but the model gives 1");
    ck_assert_int_eq(fed_dataset_fit(&d, &classes, &err), FED_EDATA);
    world_sentence("y.npy: labels of type <f4 found, but the model has 3 classes: np.save(FILE, y.astype(np.int64)), or "
                   "model.loss: mean_squared_error");
    fed_dataset_fini(&d);
    ck_assert_int_eq(try_load(&d, write_array("x.npy", 1, f4), write_array("y.npy", 1, u1)), FED_OK);
    gather(&b, &d, &one);
    ck_assert(b.targets[0] == 0 && b.targets[1] == 2);
    fed_dataset_fini(&d);
}
END_TEST

START_TEST(labels_of_several_steps_are_nothing_to_sort_by) {
    static const uint8_t steps[] = {0, 2, 1, 2};
    const struct array labels = {"|u1", NULL, "(2, 2)", steps, sizeof steps};
    struct fed_dataset d;
    ck_assert_int_eq(try_load(&d, write_array("x.npy", 1, f4), write_array("y.npy", 1, labels)), FED_OK);
    ck_assert_uint_eq(d.n_classes, 3);
    ck_assert(fed_dataset_labels(&d) == 0 && fed_dataset_label(&d, 1) == 0);
    fed_dataset_fini(&d);
}
END_TEST

#define FEATURES "np.save(FILE, np.ascontiguousarray(x, dtype=np.float32))"

static const struct {
    struct array x;
    const char *sentence;
} wrong_features[] = {
    {{"<f8", NULL, "(2, 3)", "", 0},
     "x.npy: numbers of type \"<f8\" found, allowed are |u1 and <f4 for features: " FEATURES},
    {{">f4", NULL, "(2, 3)", "", 0},
     "x.npy: numbers of type \">f4\" found, allowed are |u1 and <f4 for features: " FEATURES},
    {{"<i8", NULL, "(2, 3)", "", 0},
     "x.npy: numbers of type \"<i8\" found, allowed are |u1 and <f4 for features: " FEATURES},
    {{"|O", NULL, "(2, 3)", "", 0}, "x.npy: numbers of type \"|O\" found"},
    {{"<f4", "True", "(2, 3)", floats, sizeof floats},
     "x.npy: an array in Fortran's order found, C's order is wanted: " FEATURES},
    {{"|u1", "True", "(2, 3)", floats, 6},
     "x.npy: an array in Fortran's order found, C's order is wanted: np.save(FILE, np.ascontiguousarray(x, "
     "dtype=np.uint8))"},
    {{"<f4", NULL, "(2, 3)", floats, sizeof floats - 1}, "x.npy: truncated: 23 bytes of data found, its header promises 24"},
    {{"<f4", NULL, "(1, 3)", floats, 13}, "x.npy: surplus bytes: 13 bytes of data found, its header promises 12"},
    {{"<f4", NULL, "(0, 3)", "", 0}, "x.npy: holds no examples"},
    {{"<f4", NULL, "(3, 0)", "", 0}, "x.npy: holds no examples"},
    {{"<f4", NULL, "()", floats, 4}, "x.npy: its shape is not one of examples"},
    {{"<f4", NULL, "(1, 4294967296, 4294967296)", floats, 4}, "x.npy: its shape is not one of examples"},
    {{"<f4", NULL, "(4294967296, 1)", floats, 4}, "x.npy: its shape is not one of examples"},
    {{"<f4", NULL, "(1, 99999999999999999999)", floats, 4}, "x.npy: its header is not that of a plain array"},
    {{"<f4", NULL, "(1, -3)", floats, 12}, "x.npy: its header is not that of a plain array"},
    {{"<f4", NULL, "(1, 3), 'shape': (1, 3)", floats, 12}, "x.npy: its header is not that of a plain array"},
    {{"<f4", NULL, "(1, 3), 'more': 1", floats, 12}, "x.npy: its header is not that of a plain array"},
    {{"<f4", NULL, "(1,1,1,1,1,1,1,1,1)", floats, 4}, "x.npy: its header is not that of a plain array"},
    {{"<f4", NULL, "(1, 3)} x", floats, 12}, "x.npy: its header is not that of a plain array"},
    {{"<f4", NULL, "[1, 3]", floats, 12}, "x.npy: its header is not that of a plain array"},
    {{"\033[31m", NULL, "(1, 3)", floats, 12}, "x.npy: its header is not that of a plain array"},
    {{"<f4', '<f4", NULL, "(1, 3)", floats, 12}, "x.npy: its header is not that of a plain array"},
    {{"<f4", "Maybe", "(1, 3)", floats, 12}, "x.npy: its header is not that of a plain array"},
};

START_TEST(features_of_another_kind_are_refused_with_what_helps) {
    struct fed_dataset d = {.n_examples = 77};
    ck_assert_int_eq(try_load(&d, write_array("x.npy", 1, wrong_features[_i].x), write_array("y.npy", 1, u1)), FED_EDATA);
    world_sentence(wrong_features[_i].sentence);
    ck_assert_uint_eq(d.n_examples, 77);
}
END_TEST

START_TEST(labels_of_another_kind_are_refused_with_what_helps) {
    static const int64_t i8[] = {0, -1}, large[] = {0, 65536};
    static const float nan_and_inf[] = {0, -INFINITY};
    static const struct {
        struct array y;
        const char *sentence;
    } cases[] = {
        {{"<f8", NULL, "(2,)", "", 0},
         "y.npy: numbers of type \"<f8\" found, allowed are |u1, <i4, <u4, <i8 and <f4 for labels: np.save(FILE, "
         "np.ascontiguousarray(y, dtype=np.float32)) for numbers to be met, dtype=np.int64 for classes"},
        {{"|b1", NULL, "(2,)", "", 0},
         "y.npy: numbers of type \"|b1\" found, allowed are |u1, <i4, <u4, <i8 and <f4 for labels: np.save(FILE, "
         "np.ascontiguousarray(y, dtype=np.int64))"},
        {{"<i8", NULL, "(2,)", i8, sizeof i8}, "y.npy: label -1 found in row 1 (counted from 0), 0 to 65535 are allowed"},
        {{"<i8", NULL, "(2,)", large, sizeof large}, "y.npy: label 65536 found in row 1 (counted from 0)"},
        {{"<f4", NULL, "(2,)", nan_and_inf, sizeof nan_and_inf},
         "y.npy: -inf found in row 1 (counted from 0), number 0 of it; finite numbers are wanted"},
    };
    struct fed_dataset d = {.n_examples = 77};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(try_load(&d, write_array("x.npy", 1, f4), write_array("y.npy", 1, cases[i].y)), FED_EDATA);
        world_sentence(cases[i].sentence);
    }
    const struct array three = {"|u1", NULL, "(3,)", "\0\0\0", 3};
    ck_assert_int_eq(try_load(&d, write_array("x.npy", 1, f4), write_array("y.npy", 1, three)), FED_EDATA);
    ck_assert_ptr_nonnull(strstr(err.text, "x.npy holds 2 examples, but "));
    ck_assert_ptr_nonnull(strstr(err.text, "y.npy holds 3 labels; they must belong together"));
    ck_assert_uint_eq(d.n_examples, 77);
}
END_TEST

START_TEST(a_feature_that_is_no_number_is_named_with_its_row) {
    static const float values[] = {0, 1, 2, 3, NAN, 5};
    const struct array x = {"<f4", NULL, "(2, 3)", values, sizeof values};
    struct fed_dataset d;
    ck_assert_int_eq(try_load(&d, write_array("x.npy", 1, x), write_array("y.npy", 1, u1)), FED_EDATA);
    world_sentence("x.npy: nan found in row 1 (counted from 0), number 1 of it; finite numbers are wanted");
}
END_TEST

START_TEST(what_is_no_such_file_is_refused) {
    uint8_t bytes[sizeof golden];
    struct fed_dataset d;
    char *labels = write_array("y.npy", 1, u1);
    for (size_t n = 0; n < sizeof golden - 1; n++) { /* every cut */
        ck_assert_int_eq(try_load(&d, world_write("x.npy", golden, n), labels), FED_EDATA);
        world_sentence(n < 12 ? "x.npy: not an NPY file" : "x.npy: truncated: ");
    }
    ck_assert_int_eq(try_load(&d, world_write("x.npy", "PK\3\4 and so on", 14), labels), FED_EDATA);
    world_sentence("x.npy: not an NPY file but an archive (NPZ?): write each array to a file of its own, np.save(FILE, x)");
    memcpy(bytes, golden, sizeof golden);
    bytes[6] = 4;
    ck_assert_int_eq(try_load(&d, world_write("x.npy", bytes, sizeof golden - 1), labels), FED_EDATA);
    world_sentence("x.npy: NPY version 4.0 found, 1.0, 2.0 and 3.0 are known");
    ck_assert_int_eq(try_load(&d, world_path("none"), labels), FED_EDATA);
    world_sentence("none: no such file");
    static const uint8_t odd[] =
        "\x93NUMPY\x01\x00\x39\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1)}12345678";
    ck_assert_int_eq(try_load(&d, world_write("x.npy", odd, sizeof odd - 1), labels), FED_EDATA);
    world_sentence("x.npy: its data begin at byte 67, no multiple of 4; np.save would align them");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("npy");
    TCase *t = tcase_create("npy");
    tcase_add_checked_fixture(t, world_begin, world_end);
    tcase_add_test(t, bytes_are_pixels_and_have_the_digest_of_idx_files);
    tcase_add_test(t, floats_arrive_to_the_bit_whatever_the_version_and_the_type_of_labels);
    tcase_add_test(t, numbers_to_be_met_may_be_several);
    tcase_add_test(t, labels_of_several_steps_are_nothing_to_sort_by);
    tcase_add_loop_test(t, features_of_another_kind_are_refused_with_what_helps, 0,
                        sizeof wrong_features / sizeof *wrong_features);
    tcase_add_test(t, labels_of_another_kind_are_refused_with_what_helps);
    tcase_add_test(t, a_feature_that_is_no_number_is_named_with_its_row);
    tcase_add_test(t, what_is_no_such_file_is_refused);
    suite_add_tcase(suite, t);
    return world_run(suite);
}
