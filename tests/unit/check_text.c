/* Texts: windows stand where they should, never reach over an end, and every byte is one that the model knows. */
#include "common/data/text.h"
#include "tests/unit/data_world.h"

enum { UNROLL = 4 };

static int try_load(struct fed_dataset *d, enum fed_data_format format, enum fed_data_part part, const char *text,
                    size_t n) {
    char *path = world_write("t.txt", text, n);
    struct fed_data_source source = {.format = format, .train = path, .test = path, .unroll = UNROLL};
    return fed_dataset_load(d, &source, part, &err);
}

static struct fed_dataset load(enum fed_data_format format, enum fed_data_part part, const char *text) {
    struct fed_dataset d = {.n_examples = 0};
    ck_assert_msg(try_load(&d, format, part, text, strlen(text)) == FED_OK, "%s", err.text);
    return d;
}

/* Reads `steps` symbols and answers with one of them at each step. */
static struct fed_model model_of(const char *symbols, uint32_t steps) {
    uint32_t n = (uint32_t)strlen(symbols);
    struct fed_model_spec spec = {.input = {.steps = steps},
                                  .n_symbols = n,
                                  .n_layers = 2,
                                  .layers = {{.kind = FED_EMBEDDING, .units = 3}, {.kind = FED_DENSE, .units = n}}};
    struct fed_model model;
    memcpy(spec.symbols, symbols, n);
    ck_assert_msg(fed_model_init(&model, &spec, &err) == 0, "%s", err.text);
    return model;
}

/* The windows of the text as characters: "abcd>bcde". */
static void expect_windows(struct fed_dataset *d, const char *symbols, const char *const *expected, size_t n) {
    struct fed_model model = model_of(symbols, UNROLL);
    struct world_batch b;
    const struct fed_batch batch = {
        .max_rows = WORLD_ROWS, .symbols = b.symbols, .n_symbols = UNROLL, .labels = b.labels, .n_targets = UNROLL};
    uint32_t rows[WORLD_ROWS];
    ck_assert_msg(fed_dataset_fit(d, &model, &err) == FED_OK, "%s", err.text);
    ck_assert_uint_eq(d->n_examples, n);
    for (uint32_t i = 0; i < n; i++) {
        rows[i] = (uint32_t)n - 1 - i;
    }
    world_clear(&b);
    fed_dataset_gather(d, rows, n, &batch);
    for (size_t i = 0; i < n; i++) {
        char found[2 * UNROLL + 2] = {[UNROLL] = '>'};
        for (size_t t = 0; t < UNROLL; t++) {
            found[t] = symbols[b.symbols[i * UNROLL + t]];
            found[UNROLL + 1 + t] = symbols[b.labels[i * UNROLL + t]];
        }
        ck_assert_str_eq(found, expected[rows[i]]);
    }
    ck_assert_uint_eq(b.symbols[n * UNROLL], 0xeeeeeeee);
}

START_TEST(a_window_needs_the_character_behind_it) {
    static const struct {
        const char *text;
        size_t windows, dropped;
    } cases[] = {{"abcde", 1, 0}, {"abcdea", 1, 1}, {"abcdeabc", 1, 3}, {"abcdeabca", 2, 0}, {"abcdeabcab", 2, 1}};
    static const char *const windows[] = {"abcd>bcde", "eabc>abca"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fed_dataset d = load(FED_DATA_TEXT, FED_DATA_TRAIN, cases[i].text);
        ck_assert_uint_eq(d.n_dropped, cases[i].dropped);
        ck_assert(d.n_features == UNROLL && d.n_classes == 0 && d.n_groups == 0);
        ck_assert(fed_dataset_labels(&d) == 0 && fed_dataset_label(&d, 0) == 0);
        expect_windows(&d, "edcba", windows, cases[i].windows);
        fed_dataset_fini(&d);
    }
}
END_TEST

/* Ten lines of a: eight train. b has two lines, c one: one each. d is too short, e has no line at all. */
static const char play[] = "\fa\n1\n2\n3\n4\n5\n6\n7\n8\n9\n0\n"
                           "\fd\nabc\n123456789\n"
                           "\fKing (\"b\")\r\nABCDE\nabcdef\n"
                           "\fe\n"
                           "\fc\nabcdeabca";

START_TEST(roles_train_on_their_first_lines_and_no_window_leaves_a_role) {
    static const char *const train[] = {"1\n2\n>\n2\n3", "3\n4\n>\n4\n5", "5\n6\n>\n6\n7",
                                        "ABCD>BCDE",     "abcd>bcde",     "eabc>abca"},
                             *const test[] = {"abcd>bcde"};
    static const char symbols[] = "\n0123456789abcdefABCDE";
    static const uint32_t groups[] = {0, 0, 0, 1, 2, 2};
    struct fed_dataset d = load(FED_DATA_ROLES, FED_DATA_TRAIN, play);
    ck_assert_uint_eq(d.n_groups, 3);
    ck_assert_uint_eq(d.n_too_short, 2);
    ck_assert_uint_eq(d.n_dropped, 3 + 1 + 0); /* "8\n" but for what predicts, the line feed of ABCDE */
    for (uint32_t i = 0; i < 6; i++) {
        ck_assert_uint_eq(fed_dataset_group(&d, i), groups[i]);
    }
    ck_assert_str_eq(fed_dataset_group_name(&d, 0), "a");
    ck_assert_str_eq(fed_dataset_group_name(&d, 1), "King (\"b\")");
    ck_assert_str_eq(fed_dataset_group_name(&d, 2), "c");
    expect_windows(&d, symbols, train, 6);
    fed_dataset_fini(&d);
    d = load(FED_DATA_ROLES, FED_DATA_TEST, play);
    ck_assert_uint_eq(d.n_groups, 3); /* the same roles, though only one has a window here */
    ck_assert_uint_eq(fed_dataset_group(&d, 0), 1);
    expect_windows(&d, symbols, test, 1);
    fed_dataset_fini(&d);
}
END_TEST

START_TEST(a_digest_is_of_the_windows_and_of_where_they_part) {
    struct fed_dataset d = load(FED_DATA_TEXT, FED_DATA_TRAIN, "abcdeabca"), other;
    static const char *const others[] = {"abcdeabcb", "abcde", "abcdeabcaabca"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        other = load(FED_DATA_TEXT, FED_DATA_TRAIN, others[i]);
        ck_assert_mem_ne(other.digest, d.digest, 32);
        fed_dataset_fini(&other);
    }
    other = load(FED_DATA_TEXT, FED_DATA_TRAIN, "abcdeabcax"); /* what is dropped is not trained on */
    ck_assert_mem_eq(other.digest, d.digest, 32);
    fed_dataset_fini(&d);
    fed_dataset_fini(&other);
    d = load(FED_DATA_ROLES, FED_DATA_TRAIN, "\fa\nabcdeabcde\n");
    other = load(FED_DATA_ROLES, FED_DATA_TRAIN, "\fa\nabcde\n\fb\nabcde\n");
    ck_assert_uint_eq(d.n_examples, other.n_examples);
    ck_assert_mem_ne(other.digest, d.digest, 32);
    fed_dataset_fini(&d);
    fed_dataset_fini(&other);
}
END_TEST

static const struct {
    enum fed_data_format format;
    enum fed_data_part part;
    const char *text, *sentence;
} wrong[] = {
    {FED_DATA_TEXT, FED_DATA_TRAIN, "", "t.txt: 0 characters found, one window takes 5 (data.unroll and one more)"},
    {FED_DATA_TEXT, FED_DATA_TEST, "abcd", "t.txt: 4 characters found, one window takes 5"},
    {FED_DATA_ROLES, FED_DATA_TRAIN, "", "t.txt: 0 role(s) found"},
    {FED_DATA_ROLES, FED_DATA_TRAIN, "\fa\nabc\n\fb\nabc\n",
     "t.txt: 2 role(s) found, none with the 5 characters of a window (data.unroll and one more) in its lines to train on"},
    {FED_DATA_ROLES, FED_DATA_TEST, "\fa\nabcdef\n",
     "t.txt: 1 role(s) found, none with the 5 characters of a window (data.unroll and one more) in its lines to test on"},
    {FED_DATA_ROLES, FED_DATA_TRAIN, "abcdef\n\fa\nabcdef\n",
     "t.txt:1: text before the first role; a form feed (byte 12) begins the line that names one"},
    {FED_DATA_ROLES, FED_DATA_TRAIN, "\fa\nabcdef\n\f\r\nabcdef\n", "t.txt:3: a form feed and no name of a role behind it"},
    {FED_DATA_ROLES, FED_DATA_TRAIN, "\fa\nabcdef\n\fb\nabcdef\n\fa\n",
     "t.txt:5: the role \"a\" again, as in line 1; a role's text stands in one place"},
    {FED_DATA_ROLES, FED_DATA_TRAIN, "\fa\nabcdef\n\f", "t.txt:3: a form feed and no name of a role behind it"},
};

START_TEST(what_is_wrong_is_named_with_its_line) {
    struct fed_dataset d = {.n_examples = 77};
    ck_assert_int_eq(try_load(&d, wrong[_i].format, wrong[_i].part, wrong[_i].text, strlen(wrong[_i].text)), FED_EDATA);
    world_sentence(wrong[_i].sentence);
    ck_assert_uint_eq(d.n_examples, 77);
}
END_TEST

static void expect_misfit(struct fed_dataset *d, const struct fed_model *model, const char *sentence) {
    ck_assert_int_eq(fed_dataset_fit(d, model, &err), FED_EDATA);
    world_sentence(sentence);
}

START_TEST(a_byte_that_the_model_does_not_know_is_named_with_its_place) {
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"ab\nabc!abc\n",
         "t.txt:2: column 4: '!' is not among the model's symbols; add it to model.vocabulary, or convert the "
         "file"},
        {"abcab\r\n",
         "t.txt:1: column 6: byte 0x0d is not among the model's symbols; add it to model.vocabulary, or convert "
         "the file (its lines end in CR LF)"},
        {"\xc3\xa4"
         "bcab",
         "t.txt:1: column 1: byte 0xc3 is not among the model's symbols; add it to model.vocabulary, or "
         "convert the file (it is not pure ASCII)"},
        {"abcab ", "t.txt:1: column 6: byte 0x20 is not among"}, /* also where no window reaches */
    };
    struct fed_model model = model_of("\nabc", UNROLL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fed_dataset d = load(FED_DATA_TEXT, FED_DATA_TRAIN, cases[i].text);
        expect_misfit(&d, &model, cases[i].sentence);
        fed_dataset_fini(&d);
    }
    struct fed_dataset d = {.n_examples = 0};
    ck_assert_int_eq(try_load(&d, FED_DATA_TEXT, FED_DATA_TRAIN, "abc\0ab", 6), FED_OK);
    expect_misfit(&d, &model, "t.txt:1: column 4: byte 0x00 is not among");
    fed_dataset_fini(&d);
}
END_TEST

START_TEST(text_and_model_must_be_of_one_kind_and_length) {
    struct fed_model longer = model_of("\nabcde", UNROLL + 1),
                     numbers = world_model(UNROLL, 4, FED_SOFTMAX_CROSS_ENTROPY, ""), reads = model_of("abc", UNROLL);
    struct fed_dataset d = load(FED_DATA_TEXT, FED_DATA_TRAIN, "abcdeabcde\n"), bytes;
    expect_misfit(&d, &longer,
                  "t.txt: windows of 4 characters (data.unroll), each to be followed by one of 6 symbols, found, but "
                  "the model takes 5 steps");
    expect_misfit(&d, &numbers, "t.txt: a text found, but the model takes numbers: its first layer must be an embedding");
    fed_dataset_fini(&d);
    static const uint8_t features[UNROLL] = {0}, label = 0;
    ck_assert_int_eq(fed_dataset_from_bytes(&bytes, 1, UNROLL, features, &label), FED_OK);
    ck_assert_int_eq(fed_dataset_fit(&bytes, &reads, &err), FED_EDATA);
    ck_assert_str_eq(err.text, "memory: numbers found, but the model reads symbols: data.format text or roles");
    fed_dataset_fini(&bytes);
}
END_TEST

/* Many roles: the stretch of a window is found among all of them. */
START_TEST(every_window_of_many_roles_is_its_own) {
    enum { ROLES = 300 };
    char text[ROLES * 40];
    size_t n = 0, windows = 0;
    for (int i = 0; i < ROLES; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "\frole %d\n%.*s\n", i, 1 + i % 20, "abcdefghijklmnopqrstu");
    }
    struct fed_dataset d = load(FED_DATA_ROLES, FED_DATA_TRAIN, text);
    uint32_t group = 0;
    for (int i = 0; i < ROLES; i++) {
        char name[32];
        size_t of_role = (size_t)(1 + i % 20) / UNROLL; /* with its line feed one character more than letters */
        snprintf(name, sizeof name, "role %d", i);
        for (size_t w = 0; w < of_role; w++) {
            ck_assert_uint_eq(fed_dataset_group(&d, windows++), group);
            ck_assert_str_eq(fed_dataset_group_name(&d, group), name);
        }
        group += of_role > 0;
    }
    ck_assert_uint_eq(d.n_examples, windows);
    ck_assert_uint_eq(d.n_groups, group);
    ck_assert_uint_eq(d.n_too_short, ROLES - group);
    fed_dataset_fini(&d);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("text");
    TCase *t = tcase_create("text");
    tcase_add_checked_fixture(t, world_begin, world_end);
    tcase_add_test(t, a_window_needs_the_character_behind_it);
    tcase_add_test(t, roles_train_on_their_first_lines_and_no_window_leaves_a_role);
    tcase_add_test(t, a_digest_is_of_the_windows_and_of_where_they_part);
    tcase_add_loop_test(t, what_is_wrong_is_named_with_its_line, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(t, a_byte_that_the_model_does_not_know_is_named_with_its_place);
    tcase_add_test(t, text_and_model_must_be_of_one_kind_and_length);
    tcase_add_test(t, every_window_of_many_roles_is_its_own);
    suite_add_tcase(suite, t);
    return world_run(suite);
}
