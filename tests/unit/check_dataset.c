/* IDX pairs: read to the byte or refused with a sentence. */
#include <stdbool.h>
#include <zlib.h>

#include "common/seal/digest.h"
#include "tests/unit/data_world.h"

enum { COUNT = 5, ROWS = 2, COLUMNS = 3, PIXELS = ROWS * COLUMNS };

static char images[96], labels[96];
static uint8_t image_bytes[16 + COUNT * PIXELS + 8], label_bytes[8 + COUNT + 8]; /* room for surplus */
static const size_t n_image = 16 + COUNT * PIXELS, n_label = 8 + COUNT;

static void put_be32(uint8_t *p, uint32_t v) {
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(v >> (24 - 8 * i));
    }
}

static void write_plain(const char *path, const uint8_t *bytes, size_t n) {
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

static void write_gzip(const char *path, const char *mode, const uint8_t *bytes, size_t n) {
    gzFile f = gzopen(path, mode);
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(gzwrite(f, bytes, (unsigned)n), (int)n);
    ck_assert_int_eq(gzclose(f), Z_OK);
}

static void make_pair(void) {
    world_begin();
    strcpy(images, world_path("images"));
    strcpy(labels, world_path("labels"));
    memset(image_bytes, 0, sizeof image_bytes);
    memset(label_bytes, 0, sizeof label_bytes);
    put_be32(image_bytes, 0x803);
    put_be32(image_bytes + 4, COUNT);
    put_be32(image_bytes + 8, ROWS);
    put_be32(image_bytes + 12, COLUMNS);
    for (size_t i = 0; i < COUNT * PIXELS; i++) {
        image_bytes[16 + i] = (uint8_t)(i * 37);
    }
    put_be32(label_bytes, 0x801);
    put_be32(label_bytes + 4, COUNT);
    memcpy(label_bytes + 8, "\0\3\1\3\2", COUNT);
    write_plain(images, image_bytes, n_image);
    write_plain(labels, label_bytes, n_label);
}

static int load_pair(struct fed_dataset *out) {
    const struct fed_data_source source = {.train_images = images, .train_labels = labels};
    return fed_dataset_load(out, &source, FED_DATA_TRAIN, &err);
}

/* Fills the first n rows of the batch with these examples. */
static void gather(struct world_batch *to, const struct fed_dataset *d, const uint32_t *rows, size_t n) {
    const struct fed_batch batch = {
        .features = to->features, .stride = WORLD_STRIDE, .n_features = PIXELS, .labels = to->labels, .n_targets = 1};
    world_clear(to);
    fed_dataset_gather(d, rows, n, &batch);
}

static void expect_the_pair(void) {
    static const uint32_t rows[] = {0, 1, 2, 3, 4};
    struct fed_dataset d;
    struct world_batch b;
    ck_assert_msg(load_pair(&d) == 0, "%s", err.text);
    ck_assert_uint_eq(d.n_examples, COUNT);
    ck_assert_uint_eq(d.n_features, PIXELS);
    ck_assert_uint_eq(d.n_classes, 4);
    ck_assert_uint_eq(d.n_groups, 0);
    gather(&b, &d, rows, COUNT);
    for (size_t i = 0; i < COUNT * PIXELS; i++) {
        volatile float pixel = image_bytes[16 + i], all = 255;
        volatile float quotient = pixel / all;
        ck_assert(b.features[i / PIXELS * WORLD_STRIDE + i % PIXELS] == quotient);
    }
    for (size_t i = 0; i < COUNT; i++) {
        ck_assert_uint_eq(b.labels[i], label_bytes[8 + i]);
        ck_assert_uint_eq(fed_dataset_label(&d, i), label_bytes[8 + i]);
    }
    fed_dataset_fini(&d);
}

/* path: the file that the sentence must name first; NULL: the images. */
static void expect_refusal(const char *path, const char *sentence) {
    struct fed_dataset d = {.n_examples = 77};
    char start[256];
    snprintf(start, sizeof start, "%s%s", path == NULL ? images : path, sentence);
    ck_assert_int_eq(load_pair(&d), FED_EDATA);
    ck_assert_msg(strncmp(err.text, start, strlen(start)) == 0, "%s", err.text);
    ck_assert_uint_eq(d.n_examples, 77);
}

static void refuse_image_header(size_t at, uint32_t value, const char *sentence) {
    uint32_t kept = (uint32_t)image_bytes[at] << 24 | (uint32_t)image_bytes[at + 1] << 16 |
                    (uint32_t)image_bytes[at + 2] << 8 | image_bytes[at + 3];
    put_be32(image_bytes + at, value);
    write_plain(images, image_bytes, n_image);
    expect_refusal(NULL, sentence);
    write_gzip(images, "wb", image_bytes, n_image);
    expect_refusal(NULL, sentence);
    put_be32(image_bytes + at, kept);
}

START_TEST(plain_and_gzip_files_read_the_same) {
    expect_the_pair();
    write_gzip(images, "wb9", image_bytes, n_image);
    expect_the_pair();
    write_gzip(labels, "wb1", label_bytes, n_label);
    expect_the_pair();
    write_plain(images, image_bytes, n_image);
    expect_the_pair();
}
END_TEST

START_TEST(gzip_members_follow_one_another) {
    write_gzip(images, "wb", image_bytes, 9); /* the seam lies inside the header */
    write_gzip(images, "ab", image_bytes + 9, 20);
    write_gzip(images, "ab", image_bytes + 29, n_image - 29);
    expect_the_pair();
}
END_TEST

START_TEST(wrong_headers_are_refused_by_what_they_say) {
    refuse_image_header(0, 0x801,
                        ": not an IDX image file: magic 0x00000801, expected 0x00000803 (did you swap images and labels?)");
    refuse_image_header(0, 0x89504e47, ": not an IDX image file: magic 0x89504e47, expected 0x00000803");
    refuse_image_header(0, 0xd03, ": not an IDX image file: magic 0x00000d03");
    refuse_image_header(4, 0, ": holds no examples");
    refuse_image_header(8, 0, ": its header claims 5 examples of 0 x 3, 1 byte to 16 GiB is allowed");
    refuse_image_header(12, UINT32_MAX, ": its header claims 5 examples of 2 x 4294967295");
    refuse_image_header(4, UINT32_MAX, ": its header claims 4294967295 examples of 2 x 3");
    refuse_image_header(4, COUNT + 1, ": truncated: 46 bytes found, its header promises 52 (6 examples of 2 x 3)");
}
END_TEST

START_TEST(sizes_that_wrap_are_refused) {
    put_be32(image_bytes + 4, 1u << 31); /* 2^31 * 2^17 * 2^16 = 2^64 */
    put_be32(image_bytes + 8, 1u << 17);
    put_be32(image_bytes + 12, 1u << 16);
    write_plain(images, image_bytes, n_image);
    expect_refusal(NULL, ": its header claims 2147483648 examples of 131072 x 65536");
}
END_TEST

START_TEST(every_cut_of_a_file_is_refused) {
    for (size_t n = 0; n < n_image; n++) {
        write_plain(images, image_bytes, n);
        expect_refusal(NULL, n < 16 ? ": not an IDX image file: " : ": truncated: ");
        write_gzip(images, "wb", image_bytes, n);
        expect_refusal(NULL, n < 16 ? ": not an IDX image file: " : ": truncated: ");
    }
}
END_TEST

START_TEST(every_cut_of_a_gzip_file_is_refused) {
    uint8_t packed[256];
    write_gzip(images, "wb", image_bytes, n_image);
    FILE *f = fopen(images, "r");
    ck_assert_ptr_nonnull(f);
    size_t n_packed = fread(packed, 1, sizeof packed, f);
    fclose(f);
    for (size_t n = 2; n < n_packed; n++) { /* the check sum at the end is wanted too */
        write_plain(images, packed, n);
        expect_refusal(NULL, ": truncated: its gzip data end too early");
    }
    packed[n_packed - 8] ^= 1; /* CRC */
    write_plain(images, packed, n_packed);
    expect_refusal(NULL, ": damaged gzip data (zlib: incorrect data check)");
}
END_TEST

/* Nobody should need 16 GiB to be told that 40 bytes are too few. */
START_TEST(gzip_data_that_cannot_hold_what_they_promise_are_refused) {
    put_be32(image_bytes + 4, (uint32_t)1 << 22);
    put_be32(image_bytes + 8, 64);
    put_be32(image_bytes + 12, 64);
    write_gzip(images, "wb", image_bytes, n_image);
    expect_refusal(NULL, ": truncated: 61 bytes of gzip data cannot hold the 17179869184 that its header promises");
}
END_TEST

START_TEST(surplus_bytes_are_refused) {
    write_plain(images, image_bytes, n_image + 1);
    expect_refusal(NULL, ": surplus bytes: 47 bytes found, its header promises 46");
    write_gzip(images, "wb", image_bytes, n_image + 8);
    expect_refusal(NULL, ": surplus bytes: at least 47 bytes found, its header promises 46");
    write_gzip(images, "wb", image_bytes, n_image);
    FILE *f = fopen(images, "a");
    ck_assert_ptr_nonnull(f);
    fputs("junk", f);
    fclose(f);
    expect_refusal(NULL, ": damaged gzip data");
    write_plain(images, image_bytes, n_image);
    write_plain(labels, label_bytes, n_label + 1);
    expect_refusal(labels, ": surplus bytes: 14 bytes found, its header promises 13");
}
END_TEST

START_TEST(counts_that_differ_name_both_files) {
    char sentence[256];
    put_be32(label_bytes + 4, COUNT - 1);
    write_plain(labels, label_bytes, n_label - 1);
    snprintf(sentence, sizeof sentence, " holds 5 images, but %s holds 4 labels", labels);
    expect_refusal(NULL, sentence);
}
END_TEST

START_TEST(missing_files_are_named) {
    unlink(labels);
    expect_refusal(labels, ": no such file");
    unlink(images);
    expect_refusal(NULL, ": no such file");
}
END_TEST

START_TEST(digest_is_over_sizes_features_and_labels) {
    struct fed_dataset d;
    uint8_t expected[32], whole[12 + COUNT * PIXELS + COUNT] = {COUNT, 0, 0, 0, 0, 0, 0, 0, PIXELS};
    memcpy(whole + 12, image_bytes + 16, COUNT * PIXELS);
    memcpy(whole + 12 + COUNT * PIXELS, label_bytes + 8, COUNT);
    fed_digest(expected, whole, sizeof whole);
    ck_assert_msg(load_pair(&d) == 0, "%s", err.text);
    ck_assert_mem_eq(d.digest, expected, 32);
    fed_dataset_fini(&d);
}
END_TEST

START_TEST(what_does_not_fit_the_model_is_named) {
    struct fed_dataset d;
    struct fed_model four = world_model(PIXELS, 4, FED_SOFTMAX_CROSS_ENTROPY, ""),
                     many = world_model(PIXELS, 100, FED_SOFTMAX_CROSS_ENTROPY, ""),
                     larger = world_model(784, 4, FED_SOFTMAX_CROSS_ENTROPY, ""),
                     three = world_model(PIXELS, 3, FED_SOFTMAX_CROSS_ENTROPY, "");
    char expected[256];
    ck_assert_msg(load_pair(&d) == 0, "%s", err.text);
    ck_assert_int_eq(fed_dataset_fit(&d, &four, &err), FED_OK);
    ck_assert_int_eq(fed_dataset_fit(&d, &many, &err), FED_OK);
    ck_assert_int_eq(fed_dataset_fit(&d, &larger, &err), FED_EDATA);
    world_sentence("images: 6 features an example found, but the model takes 784");
    ck_assert_int_eq(fed_dataset_fit(&d, &three, &err), FED_EDATA);
    snprintf(expected, sizeof expected,
             "the labels of %s: 3 found at example 1 (counted from 0), but the model has 3 classes, 0 to 2", labels);
    ck_assert_str_eq(err.text, expected);
    fed_dataset_fini(&d);
}
END_TEST

START_TEST(gather_takes_rows_in_any_order_and_leaves_the_padding) {
    static const uint32_t rows[] = {4, 1, 1};
    struct fed_dataset d;
    struct world_batch b;
    ck_assert_msg(load_pair(&d) == 0, "%s", err.text);
    gather(&b, &d, rows, 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(b.labels[i], label_bytes[8 + rows[i]]);
        for (size_t k = 0; k < WORLD_STRIDE; k++) {
            volatile float pixel = image_bytes[16 + rows[i] * PIXELS + k % PIXELS], all = 255;
            volatile float expected = k < PIXELS ? pixel / all : -7;
            ck_assert(b.features[i * WORLD_STRIDE + k] == expected);
        }
    }
    ck_assert_uint_eq(b.labels[3], 0xeeeeeeee);
    fed_dataset_fini(&d);
}
END_TEST

START_TEST(every_byte_scales_to_its_own_quotient) {
    uint8_t bytes[256];
    const uint8_t label = 9;
    const uint32_t row = 0;
    struct fed_dataset d;
    float x[256];
    uint32_t y;
    const struct fed_batch batch = {.features = x, .stride = 256, .n_features = 256, .labels = &y, .n_targets = 1};
    for (int i = 0; i < 256; i++) {
        bytes[i] = (uint8_t)i;
    }
    ck_assert_int_eq(fed_dataset_from_bytes(&d, 1, 256, bytes, &label), FED_OK);
    fed_dataset_gather(&d, &row, 1, &batch);
    for (int i = 0; i < 256; i++) {
        volatile float all = 255;
        volatile float expected = (float)i / all;
        ck_assert(x[i] == expected);
    }
    ck_assert(x[0] == 0 && x[255] == 1 && y == 9);
    fed_dataset_fini(&d);
}
END_TEST

/* A label may also be a number to be met. */
START_TEST(labels_serve_a_squared_error_as_numbers) {
    static const uint32_t rows[] = {1, 4};
    struct fed_dataset d;
    struct fed_model model = world_model(PIXELS, 1, FED_MEAN_SQUARED_ERROR, ""),
                     two = world_model(PIXELS, 2, FED_MEAN_SQUARED_ERROR, "");
    struct world_batch b;
    const struct fed_batch batch = {.features = b.features, .stride = WORLD_STRIDE, .targets = b.targets, .n_targets = 1};
    ck_assert_msg(load_pair(&d) == 0, "%s", err.text);
    ck_assert_int_eq(fed_dataset_fit(&d, &two, &err), FED_EDATA);
    world_sentence("labels: 1 label(s) an example found, but the model gives 2");
    ck_assert_int_eq(fed_dataset_fit(&d, &model, &err), FED_OK);
    fed_dataset_gather(&d, rows, 2, &batch);
    ck_assert(b.targets[0] == 3 && b.targets[1] == 2);
    fed_dataset_fini(&d);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("dataset");
    TCase *t = tcase_create("dataset");
    tcase_add_checked_fixture(t, make_pair, world_end);
    tcase_add_test(t, plain_and_gzip_files_read_the_same);
    tcase_add_test(t, gzip_members_follow_one_another);
    tcase_add_test(t, wrong_headers_are_refused_by_what_they_say);
    tcase_add_test(t, sizes_that_wrap_are_refused);
    tcase_add_test(t, every_cut_of_a_file_is_refused);
    tcase_add_test(t, every_cut_of_a_gzip_file_is_refused);
    tcase_add_test(t, gzip_data_that_cannot_hold_what_they_promise_are_refused);
    tcase_add_test(t, surplus_bytes_are_refused);
    tcase_add_test(t, counts_that_differ_name_both_files);
    tcase_add_test(t, missing_files_are_named);
    tcase_add_test(t, digest_is_over_sizes_features_and_labels);
    tcase_add_test(t, what_does_not_fit_the_model_is_named);
    tcase_add_test(t, gather_takes_rows_in_any_order_and_leaves_the_padding);
    tcase_add_test(t, every_byte_scales_to_its_own_quotient);
    tcase_add_test(t, labels_serve_a_squared_error_as_numbers);
    suite_add_tcase(suite, t);
    return world_run(suite);
}
