/* CSV: what stands in the file arrives, to the bit, or the sentence names the cell. */
#include <float.h>
#include <math.h>

#include "common/base/rng.h"
#include "common/data/csv.h"
#include "common/data/number.h"
#include "tests/unit/comma_locale.h"
#include "tests/unit/data_world.h"

static int load_text(struct fed_dataset *d, const char *text, size_t n, const char *label, const char *group, bool header) {
    struct fed_data_source source = {.format = FED_DATA_CSV,
                                     .train = world_write("f.csv", text, n),
                                     .label = (char *)(uintptr_t)label,
                                     .group = (char *)(uintptr_t)group,
                                     .header = header};
    return fed_dataset_load(d, &source, FED_DATA_TRAIN, &err);
}

static struct fed_dataset load(const char *text, const char *label, const char *group, bool header) {
    struct fed_dataset d = {.n_examples = 0};
    ck_assert_msg(load_text(&d, text, strlen(text), label, group, header) == FED_OK, "%s", err.text);
    return d;
}

static void gather(struct world_batch *to, struct fed_dataset *d, const struct fed_model *model, const uint32_t *rows,
                   size_t n) {
    const struct fed_batch batch = {.max_rows = WORLD_ROWS,
                                    .features = to->features,
                                    .stride = WORLD_STRIDE,
                                    .n_features = d->n_features,
                                    .labels = model->n_classes > 0 ? to->labels : NULL,
                                    .targets = model->n_classes > 0 ? NULL : to->targets,
                                    .n_targets = 1};
    world_clear(to);
    ck_assert_msg(fed_dataset_fit(d, model, &err) == FED_OK, "%s", err.text);
    fed_dataset_gather(d, rows, n, &batch);
}

static const char ward[] = "age,outcome,dose,ward\n"
                           "41,sick,0.25,north\n"
                           "62,well,-1e-3,south\n"
                           "7,well,+12.5,north\n"
                           ".5,sick,4.,\"east, upper\"\n";

START_TEST(columns_become_features_labels_and_groups) {
    static const float expected[4][2] = {{41, 0.25f}, {62, -1e-3f}, {7, 12.5f}, {0.5f, 4}};
    static const uint32_t rows[] = {3, 1, 0, 2, 2}, classes[] = {1, 0, 1, 0, 0};
    struct fed_dataset d = load(ward, "outcome", "ward", true);
    struct fed_model model = world_model(2, 2, FED_SOFTMAX_CROSS_ENTROPY, "well\nsick");
    struct world_batch b;
    ck_assert_uint_eq(d.n_examples, 4);
    ck_assert_uint_eq(d.n_features, 2);
    ck_assert_uint_eq(d.n_classes, 2);
    ck_assert_uint_eq(d.n_groups, 3);
    gather(&b, &d, &model, rows, 5);
    for (size_t i = 0; i < 5; i++) {
        ck_assert(b.features[i * WORLD_STRIDE] == expected[rows[i]][0]);
        ck_assert(b.features[i * WORLD_STRIDE + 1] == expected[rows[i]][1]);
        ck_assert(b.features[i * WORLD_STRIDE + 2] == -7);
        ck_assert_uint_eq(b.labels[i], classes[i]);
    }
    ck_assert_uint_eq(fed_dataset_group(&d, 2), 0);
    ck_assert_uint_eq(fed_dataset_group(&d, 3), 2);
    ck_assert_str_eq(fed_dataset_group_name(&d, 1), "south");
    ck_assert_str_eq(fed_dataset_group_name(&d, 2), "east, upper");
    fed_dataset_fini(&d);
}
END_TEST

START_TEST(the_same_data_in_other_clothes_have_the_same_digest) {
    static const char crlf[] = "\xef\xbb\xbf\"age\",dose,outcome\r\n41,0.25,sick\r\n\r\n62,-.001e0,\"well\"\r\n",
                      cr[] = "age,dose,outcome\r41.0,25e-2,sick\r62,-0.0010,well",
                      bare[] = "41,0.25,sick\n62,-1E-3,well\n\n";
    struct fed_dataset first = load(crlf, "outcome", NULL, true), d;
    ck_assert_uint_eq(first.n_examples, 2);
    d = load(cr, "3", NULL, true); /* by number, where no column has that name */
    ck_assert_mem_eq(d.digest, first.digest, 32);
    fed_dataset_fini(&d);
    d = load(bare, "3", NULL, false);
    ck_assert_mem_eq(d.digest, first.digest, 32);
    fed_dataset_fini(&d);
    static const char *const others[] = {"41,0.25,sick\n62,-1E-3,sick\n", "41,0.25,well\n62,-1E-3,sick\n",
                                         "41,0.25,sick\n62,-1.0001E-3,well\n", "41,0.25,sick\n"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        d = load(others[i], "3", NULL, false);
        ck_assert_mem_ne(d.digest, first.digest, 32);
        fed_dataset_fini(&d);
    }
    fed_dataset_fini(&first);
}
END_TEST

START_TEST(names_of_columns_may_be_numbers) {
    struct fed_dataset d = load("0,1,2\n5,6,1\n7,8,0\n", "2", "0", true); /* by name, not the second one */
    ck_assert_uint_eq(d.n_examples, 2);
    ck_assert_uint_eq(fed_dataset_label(&d, 0), 1);
    ck_assert_str_eq(fed_dataset_group_name(&d, 1), "7");
    fed_dataset_fini(&d);
}
END_TEST

START_TEST(labels_mean_what_the_model_asks_for) {
    static const uint32_t rows[] = {0, 1, 2};
    struct fed_dataset d = load("2,0.5\n0,1.5\n7,2.5\n", "1", NULL, false);
    struct fed_model classes = world_model(1, 8, FED_SOFTMAX_CROSS_ENTROPY, ""),
                     named = world_model(1, 3, FED_SOFTMAX_CROSS_ENTROPY, "7\n2\n0"),
                     numbers = world_model(1, 1, FED_MEAN_SQUARED_ERROR, "");
    struct world_batch b;
    ck_assert_uint_eq(d.n_classes, 8);
    gather(&b, &d, &classes, rows, 3);
    ck_assert(b.labels[0] == 2 && b.labels[1] == 0 && b.labels[2] == 7);
    gather(&b, &d, &named, rows, 3); /* a name counts by its place in the list, whatever it looks like */
    ck_assert(b.labels[0] == 1 && b.labels[1] == 2 && b.labels[2] == 0);
    gather(&b, &d, &numbers, rows, 3);
    ck_assert(b.targets[0] == 2 && b.targets[1] == 0 && b.targets[2] == 7);
    gather(&b, &d, &classes, rows, 3);
    ck_assert_uint_eq(b.labels[2], 7);
    fed_dataset_fini(&d);
    d = load("2.5,0.5\n-0.1,1.5\n7,2.5\n", "1", NULL, false);
    ck_assert_uint_eq(d.n_classes, 0);
    gather(&b, &d, &numbers, rows, 3);
    ck_assert(b.targets[0] == 2.5f && b.targets[1] == -0.1f && b.targets[2] == 7);
    fed_dataset_fini(&d);
}
END_TEST

START_TEST(partitions_see_whole_numbers_as_they_are_and_words_in_their_order) {
    struct fed_dataset d = load("b,1\na,1\n\xc3\xa9,1\nb,1\nB,1\n", "1", NULL, false);
    static const uint32_t expected[] = {2, 1, 3, 2, 0};
    ck_assert_uint_eq(fed_dataset_labels(&d), 4);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(fed_dataset_label(&d, i), expected[i]);
    }
    fed_dataset_fini(&d);
    d = load("10,1\n9,1\n300,1\n", "1", NULL, false);
    ck_assert_uint_eq(fed_dataset_labels(&d), 301);
    ck_assert(fed_dataset_label(&d, 0) == 10 && fed_dataset_label(&d, 1) == 9 && fed_dataset_label(&d, 2) == 300);
    fed_dataset_fini(&d);
    d = load("1.5,1\n9,1\n", "1", NULL, false);
    ck_assert_uint_eq(fed_dataset_labels(&d), 0);
    ck_assert(fed_dataset_label(&d, 0) == 0 && fed_dataset_label(&d, 1) == 0);
    fed_dataset_fini(&d);
}
END_TEST

static const struct {
    const char *text, *label, *sentence;
} wrong[] = {
    /* cells */
    {"a,b,y\n1,2,x\n1,2\n", "y", "f.csv:3: a row of 2 cells, expected 3 as in the first row"},
    {"a,b,y\n1,2,x\n1,2,x,\n", "y", "f.csv:3: a row of 4 cells, expected 3 as in the first row"},
    {"a,b,y\n1,2,x\n1,1.2.3,x\n", "y", "f.csv:3: column 2 (b): found \"1.2.3\", expected a number"},
    {"a,b,y\n1,,x\n", "y", "f.csv:2: column 2 (b): an empty cell, expected a number"},
    {"a,b,y\n1, 2,x\n", "y", "f.csv:2: column 2 (b): found \" 2\", expected a number"},
    {"a,b,y\n1,nan,x\n", "y", "f.csv:2: column 2 (b): found \"nan\", expected a number"},
    {"a,b,y\n1,1e39,x\n", "y", "f.csv:2: column 2 (b): found \"1e39\", expected a number that float32 can hold"},
    {"a,b,y\n1,2,\n", "y", "f.csv:2: column 3 (y): an empty cell, expected a label"},
    {"a,b,y\n1,12345678901234567890123456789012345678901234567890x,y\n", "y",
     "f.csv:2: column 2 (b): found \"1234567890123456789012345678901234567890...\", expected a number"},
    /* lines of cells, also behind quoted line ends */
    {"a,\"b\nb\",y\n1,2,x\n3,z,x\n", "y", "f.csv:4: column 2 (b?b): found \"z\", expected a number"},
    {"a,b,y\n1,2,\"x\n\n\r\nx\"\n3,z,x\n", "y", "f.csv:6: column 2 (b): found \"z\", expected a number"},
    {"a,b,y\n\n1,\"2\nz\",x\n", "y", "f.csv:3: column 2 (b): found \"2?z\", expected a number"},
    {"a,b,y\n1,\xc2\x9b" /* CSI, then a byte of Latin-1 */
     "31m \xe4 \xc3\xa4,x\n",
     "y", "f.csv:2: column 2 (b): found \"?31m ? \xc3\xa4\", expected a number"},
    {"a,b,y\n1,a12345678901234567890123456789012345678\xc3\xa4,x\n", "y",
     "f.csv:2: column 2 (b): found \"a12345678901234567890123456789012345678...\", expected a number"},
    {"a,y,b\n1,\"x\nx\",z\n", "y", "f.csv:3: column 3 (b): found \"z\", expected a number"},
    {"a,b,y\r1,2,x\r\r1,z,x\r", "y", "f.csv:4: column 2 (b): found \"z\", expected a number"},
    /* quotes */
    {"a,b,y\n1,2,\"x\n1,2,x\n", "y", "f.csv:2: a quote (\") is opened here and never closed"},
    {"a,b,y\n1,2,5\"\n", "y", "f.csv:2: a quote (\") out of place in the cell that begins in line 2: "},
    {"a,b,y\n1,2,\"x\n1,2,\"y\n", "y", "f.csv:3: a quote (\") out of place in the cell that begins in line 2: "},
    {"a,b,y\n1,2,\"x\" \n", "y", "f.csv:2: a quote (\") out of place"},
    /* columns */
    {"a,b,a\n1,2,x\n", "b", "f.csv:1: columns 1 and 3 are both called \"a\""},
    {"a,,y\n1,2,x\n", "y", "f.csv:1: column 2 has no name (without a line of names: data.header: no)"},
    {"a,b,y\n1,2,x\n", "z", "f.csv:1: data.label: there is no column \"z\" among the 3 found: a, b, y"},
    {"a,b,y\n1,2,x\n", "4", "f.csv:1: data.label: there is no column \"4\" among the 3 found: a, b, y"},
    {"a,b,y\n1,2,x\n", "0", "f.csv:1: data.label: there is no column \"0\""},
    {"1,2,0\n3,4,1\n", "3",
     "f.csv:1: numbers found where the names of columns are expected; if the first line is an example: data.header: no"},
    {"y\n1\n", "y", "f.csv:1: no column of features beside label and group (1 found, separated by commas)"},
    {"a;y\n1;2\n", "1", "f.csv:1: no column of features beside label and group (1 found, separated by commas)"},
    /* nothing */
    {"", "y", "f.csv: holds no examples"},
    {"a,b,y\n", "y", "f.csv: holds no examples, only a line of names"},
};

START_TEST(what_is_wrong_is_named_with_its_line_and_column) {
    struct fed_dataset d = {.n_examples = 77};
    ck_assert_int_eq(load_text(&d, wrong[_i].text, strlen(wrong[_i].text), wrong[_i].label, NULL, true), FED_EDATA);
    world_sentence(wrong[_i].sentence);
    ck_assert_uint_eq(d.n_examples, 77);
}
END_TEST

START_TEST(groups_and_files_can_be_wrong_too) {
    struct fed_dataset d = {.n_examples = 77};
    static const char text[] = "a,g,y\n1,,x\n", sixteen[] = "a\0,\0y\0\n\0";
    ck_assert_int_eq(load_text(&d, text, strlen(text), "y", "g", true), FED_EDATA);
    world_sentence("f.csv:2: column 2 (g): an empty cell, expected the name of a group");
    ck_assert_int_eq(load_text(&d, text, strlen(text), "y", "h", true), FED_EDATA);
    world_sentence("f.csv:1: data.group: there is no column \"h\"");
    ck_assert_int_eq(load_text(&d, text, strlen(text), "y", "3", true), FED_EDATA);
    world_sentence("f.csv:1: data.label and data.group both name column 3 (y)");
    ck_assert_int_eq(load_text(&d, text, strlen(text), "2", "9", false), FED_EDATA);
    world_sentence("f.csv:1: data.group: there is no column \"9\" among the 3 found");
    ck_assert_int_eq(load_text(&d, sixteen, sizeof sixteen - 1, "y", NULL, true), FED_EDATA);
    world_sentence("f.csv: a zero byte at offset 1: no text; if it is UTF-16, save it as UTF-8");
    struct fed_data_source source = {.format = FED_DATA_CSV, .train = world_path("none"), .label = (char *)(uintptr_t) "y"};
    ck_assert_int_eq(fed_dataset_load(&d, &source, FED_DATA_TRAIN, &err), FED_EDATA);
    world_sentence("none: no such file");
    ck_assert_uint_eq(d.n_examples, 77);
}
END_TEST

static const struct {
    const char *text;
    uint32_t inputs, outputs;
    enum fed_loss loss;
    const char *classes, *sentence;
} misfits[] = {
    {"y,a\n1,2\n", 3, 2, FED_SOFTMAX_CROSS_ENTROPY, "",
     "f.csv: 1 features an example found (all columns but label and group), but the model takes 3"},
    {"y,a\nsick,2\nwell,2\nill,2\nill,3\n", 1, 2, FED_SOFTMAX_CROSS_ENTROPY, "well\nsick",
     "f.csv:4: column 1 (y): label \"ill\" found, but model.classes allows only well, sick"},
    {"y,a\n1,2\nsick,2\n", 1, 2, FED_SOFTMAX_CROSS_ENTROPY, "",
     "f.csv:3: column 1 (y): label \"sick\" found, a word: name the classes in model.classes, in the order of their "
     "numbers"},
    {"y,a\n1,2\n\n2,1\n", 1, 2, FED_SOFTMAX_CROSS_ENTROPY, "",
     "f.csv:4: column 1 (y): label \"2\" found, but the model has 2 classes, 0 to 1"},
    {"y,a\n1,2\n2,1\n", 1, 1, FED_BINARY_CROSS_ENTROPY, "",
     "f.csv:3: column 1 (y): label \"2\" found, but the model has 2 classes, 0 to 1"},
    {"y,a\n1,2\n1.0,1\n", 1, 2, FED_SOFTMAX_CROSS_ENTROPY, "",
     "f.csv:3: column 1 (y): label \"1.0\" found, but classes are whole numbers from 0 to 65535"},
    {"y,a\n1,2\n01,1\n", 1, 2, FED_SOFTMAX_CROSS_ENTROPY, "", "f.csv:3: column 1 (y): label \"01\" found, but classes are"},
    {"y,a\n65535,2\n65536,1\n", 1, 2, FED_SOFTMAX_CROSS_ENTROPY, "", "f.csv:3: column 1 (y): label \"65536\" found, but"},
    {"y,a\n1.5,2\nhigh,1\n", 1, 1, FED_MEAN_SQUARED_ERROR, "",
     "f.csv:3: column 1 (y): label \"high\" found, but the loss mean_squared_error needs numbers"},
    {"y,a\n1.5,2\n", 1, 2, FED_MEAN_SQUARED_ERROR, "", "f.csv: 1 label(s) an example found, but the model gives 2"},
};

START_TEST(what_does_not_fit_the_model_is_named_with_the_remedy) {
    struct fed_dataset d = load(misfits[_i].text, "y", NULL, true);
    struct fed_model model = world_model(misfits[_i].inputs, misfits[_i].outputs, misfits[_i].loss, misfits[_i].classes);
    ck_assert_int_eq(fed_dataset_fit(&d, &model, &err), FED_EDATA);
    world_sentence(misfits[_i].sentence);
    fed_dataset_fini(&d);
}
END_TEST

START_TEST(a_misfit_leaves_the_last_fit_alone) {
    static const uint32_t row = 0;
    struct fed_dataset d = load("y,a\nsick,2\nwell,3\n", "y", NULL, true);
    struct fed_model good = world_model(1, 2, FED_SOFTMAX_CROSS_ENTROPY, "well\nsick"),
                     bad = world_model(1, 2, FED_SOFTMAX_CROSS_ENTROPY, "sick\nill");
    struct world_batch b;
    gather(&b, &d, &good, &row, 1);
    ck_assert_int_eq(fed_dataset_fit(&d, &bad, &err), FED_EDATA);
    const struct fed_batch batch = {.features = b.features, .stride = WORLD_STRIDE, .labels = b.labels, .n_targets = 1};
    fed_dataset_gather(&d, &row, 1, &batch);
    ck_assert_uint_eq(b.labels[0], 1);
    fed_dataset_fini(&d);
}
END_TEST

/* More different labels than can be classes: numbers stay numbers, words are refused. */
START_TEST(very_many_labels_can_only_be_numbers) {
    size_t room = 70000 * 16, n = 0;
    char *text = malloc(room);
    ck_assert_ptr_nonnull(text);
    for (int i = 0; i < 70000; i++) {
        n += (size_t)snprintf(text + n, room - n, "%d.5,1\n", i);
    }
    struct fed_dataset d = {.n_examples = 0};
    struct fed_model numbers = world_model(1, 1, FED_MEAN_SQUARED_ERROR, ""),
                     classes = world_model(1, 2, FED_SOFTMAX_CROSS_ENTROPY, "");
    static const uint32_t rows[] = {69999, 0};
    struct world_batch b;
    ck_assert_msg(load_text(&d, text, n, "1", NULL, false) == FED_OK, "%s", err.text);
    gather(&b, &d, &numbers, rows, 2);
    ck_assert(b.targets[0] == 69999.5f && b.targets[1] == 0.5f);
    ck_assert_int_eq(fed_dataset_fit(&d, &classes, &err), FED_EDATA);
    world_sentence("f.csv: column 1: more than 65536 different numbers found, but the model has 2 classes");
    fed_dataset_fini(&d);
    n += (size_t)snprintf(text + n, room - n, "x,1\n");
    ck_assert_int_eq(load_text(&d, text, n, "1", NULL, false), FED_EDATA);
    world_sentence("f.csv:70001: column 1: more than 65536 different labels, and not all of them numbers; is it the label?");
    text[0] = 'x';
    ck_assert_int_eq(load_text(&d, text, n, "1", NULL, false), FED_EDATA);
    world_sentence("f.csv:65537: column 1: more than 65536 different labels");
    free(text);
}
END_TEST

/* -- numbers ------------------------------------------------------------------------------------------------------------ */

static void expect_as_strtof(const char *text) {
    float found, expected = strtof(text, NULL);
    int rc = fed_number_parse(&found, text, strlen(text));
    ck_assert_msg(rc == (isinf(expected) ? FED_EFAILED : FED_OK), "%s: %d", text, rc);
    ck_assert_msg(rc != FED_OK || memcmp(&found, &expected, sizeof found) == 0, "%s: %.9g, expected %.9g", text, found,
                  expected);
}

/* glibc's strtof rounds correctly; it is the independent truth. */
START_TEST(every_number_is_the_nearest_float32) {
    static const char *const texts[] = {"0",
                                        "-0",
                                        "0.000",
                                        "1",
                                        "-1.5",
                                        "16777217",
                                        "16777219",
                                        "0.1",
                                        "123456789.125e-3",
                                        "3.4028235e38",
                                        "3.4028236e38",
                                        "1.17549435e-38",
                                        "1e-45",
                                        "7.0e-46",
                                        "0.7e-45",
                                        "1e400",
                                        "1e-400",
                                        "9007199254740993",
                                        "0.30000000000000004",
                                        "33554434.000000000000000000001",
                                        "8388608.5",
                                        "8388609.5",
                                        "8388609.50000000000000000000000001",
                                        "00000000000000000001",
                                        "1e00000000000000000005",
                                        "1e99999999999999999999",
                                        "1e-99999999999999999999"};
    char text[96];
    struct fed_rng rng;
    fed_rng_init(&rng, 1, FED_RNG_PARTITION, 0, 0);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        expect_as_strtof(texts[i]);
    }
    for (int i = 0; i < 100000; i++) {
        uint32_t bits = fed_rng_u32(&rng);
        float value, next;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) {
            continue;
        }
        next = nextafterf(value, INFINITY);
        snprintf(text, sizeof text, "%.*g", 1 + i % 17, value);
        expect_as_strtof(text);
        snprintf(text, sizeof text, "%.*g", 10 + i % 40, ((double)value + (double)next) / 2); /* a tie, or close to one */
        expect_as_strtof(text);
        snprintf(text, sizeof text, "%.*f", i % 9, (double)(int32_t)bits / 4096);
        expect_as_strtof(text);
    }
}
END_TEST

START_TEST(what_is_no_number_is_refused) {
    static const char *const texts[] = {"",
                                        "+",
                                        "-",
                                        ".",
                                        "-.",
                                        "e5",
                                        "1e",
                                        "1e+",
                                        "1 ",
                                        " 1",
                                        "1,5",
                                        "0x10",
                                        "inf",
                                        "-inf",
                                        "nan",
                                        "1e5.0",
                                        "1.2.3",
                                        "--1",
                                        "1_000",
                                        "1f",
                                        "1\t",
                                        "\xe2\x88\x92"
                                        "1"};
    float ignored = 5;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ck_assert_int_eq(fed_number_parse(&ignored, texts[i], strlen(texts[i])), FED_EDATA);
    }
    ck_assert(ignored == 5);
}
END_TEST

START_TEST(a_locale_with_a_comma_changes_nothing) {
    float value;
    comma_locale();
    ck_assert_int_eq(fed_number_parse(&value, "1.17549435e-38", 14), FED_OK); /* the long way */
    ck_assert(value == FLT_MIN);
    ck_assert_int_eq(fed_number_parse(&value, "1,5", 3), FED_EDATA);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("csv");
    TCase *t = tcase_create("csv");
    tcase_add_checked_fixture(t, world_begin, world_end);
    tcase_add_test(t, columns_become_features_labels_and_groups);
    tcase_add_test(t, the_same_data_in_other_clothes_have_the_same_digest);
    tcase_add_test(t, names_of_columns_may_be_numbers);
    tcase_add_test(t, labels_mean_what_the_model_asks_for);
    tcase_add_test(t, partitions_see_whole_numbers_as_they_are_and_words_in_their_order);
    tcase_add_loop_test(t, what_is_wrong_is_named_with_its_line_and_column, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(t, groups_and_files_can_be_wrong_too);
    tcase_add_loop_test(t, what_does_not_fit_the_model_is_named_with_the_remedy, 0, sizeof misfits / sizeof *misfits);
    tcase_add_test(t, a_misfit_leaves_the_last_fit_alone);
    tcase_add_test(t, very_many_labels_can_only_be_numbers);
    tcase_add_test(t, every_number_is_the_nearest_float32);
    tcase_add_test(t, what_is_no_number_is_refused);
    tcase_add_test(t, a_locale_with_a_comma_changes_nothing);
    suite_add_tcase(suite, t);
    return world_run(suite);
}
