/* A model on its way: written once, read back through a file, refused when a byte of it is another. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/model/image.h"

static struct fed_model model;
static const uint8_t run_id[16] = {1, 2, 3, 254};
static char dir[] = "/tmp/fed-image-XXXXXX";
static char path[64];

static void setup(void) {
    struct fed_model_spec spec = {.input = {30}, .n_layers = 2, .layers = {{21, FED_RELU}, {10, FED_LINEAR}}};
    ck_assert_int_eq(fed_model_init(&model, &spec, NULL), FED_OK);
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/model", dir);
}

static void teardown(void) {
    unlink(path);
    ck_assert_int_eq(rmdir(dir), 0);
}

static struct fed_image *make_image(uint64_t round) {
    struct fed_image *image = NULL;
    ck_assert_int_eq(fed_image_new(&image, &model, run_id, round), FED_OK);
    fed_model_initial(image->params, &model, 5);
    ck_assert_int_eq(fed_image_finish(image, &model, run_id), FED_OK);
    return image;
}

static void write_file(const void *bytes, size_t n) {
    const struct iovec part = {(void *)(uintptr_t)bytes, n};
    ck_assert_int_eq(fed_file_replace(path, &part, 1, 0600, NULL), FED_OK);
}

START_TEST(image_comes_back_from_its_file) {
    struct fed_image *image = make_image(7), *read = NULL;
    uint8_t digest[32];
    fed_model_digest(digest, &model, image->params);
    ck_assert_mem_eq(image->digest, digest, 32);
    write_file(image->bytes, image->n_bytes);
    struct fed_error err = {""};
    ck_assert_msg(fed_image_read(&read, path, &model, digest, &err) == FED_OK, "%s", err.text);
    ck_assert_uint_eq(read->round, 7);
    ck_assert_uint_eq(read->n_bytes, image->n_bytes);
    ck_assert_uint_eq(read->n_header, image->n_header);
    ck_assert_mem_eq(read->digest, digest, 32);
    ck_assert_mem_eq(read->bytes, image->bytes, image->n_bytes);
    ck_assert_mem_eq(read->params, image->params, model.n_params * sizeof(float));
    fed_image_release(read);
    fed_image_release(image);
}
END_TEST

START_TEST(header_names_digest_round_and_run) {
    struct fed_image *image = make_image(7);
    char hex[65], run[33];
    for (size_t i = 0; i < 32; i++) {
        snprintf(hex + 2 * i, 3, "%02x", image->digest[i]);
    }
    for (size_t i = 0; i < 16; i++) {
        snprintf(run + 2 * i, 3, "%02x", run_id[i]);
    }
    ck_assert_ptr_nonnull(memmem(image->bytes, image->n_header, hex, 64));
    ck_assert_ptr_nonnull(memmem(image->bytes, image->n_header, run, 32));
    ck_assert_uint_eq((uintptr_t)image->params % 64, 0);
    ck_assert_ptr_eq(image->params, image->bytes + image->n_header);
    fed_image_release(image);
}
END_TEST

START_TEST(the_same_parameters_make_the_same_bytes) {
    struct fed_image *a = make_image(7), *b = make_image(7), *c = make_image(8);
    ck_assert_mem_eq(a->bytes, b->bytes, a->n_bytes);
    ck_assert_mem_eq(a->digest, c->digest, 32);
    ck_assert_int_ne(memcmp(a->bytes, c->bytes, a->n_header), 0);
    fed_image_release(a);
    fed_image_release(b);
    fed_image_release(c);
}
END_TEST

START_TEST(last_holder_frees) { /* the sanitizer counts */
    struct fed_image *image = make_image(1);
    ck_assert_ptr_eq(fed_image_hold(image), image);
    fed_image_release(image);
    ck_assert_uint_eq(atomic_load(&image->references), 1);
    ck_assert_uint_eq(image->round, 1);
    fed_image_release(image);
    fed_image_release(NULL);
}
END_TEST

/* The version of `image` as another program would have received it, with one byte changed. */
static int verify_changed(const struct fed_image *image, size_t at, uint8_t flip, const uint8_t *expect) {
    struct fed_image *copy = NULL;
    struct fed_error err = {""};
    ck_assert_int_eq(fed_image_alloc(&copy, image->n_bytes), FED_OK);
    memcpy(copy->bytes, image->bytes, image->n_bytes);
    copy->bytes[at] ^= flip;
    int rc = fed_image_verify(copy, &model, expect, &err);
    ck_assert_msg(rc == FED_OK || err.text[0] != '\0', "refused without a sentence");
    fed_image_release(copy);
    return rc;
}

START_TEST(damaged_parameters_are_refused) {
    struct fed_image *image = make_image(3);
    ck_assert_int_eq(verify_changed(image, 0, 0, image->digest), FED_OK);
    ck_assert_int_eq(verify_changed(image, 0, 0, NULL), FED_OK);
    for (size_t at = image->n_header; at < image->n_bytes; at += 97) {
        ck_assert_int_eq(verify_changed(image, at, 0x10, NULL), FED_EDATA);
    }
    ck_assert_int_eq(verify_changed(image, image->n_bytes - 1, 0x80, image->digest), FED_EDATA);
    ck_assert_int_eq(verify_changed(image, 0, 1, image->digest), FED_EDATA); /* length of the header */
    fed_image_release(image);
}
END_TEST

START_TEST(another_model_is_refused) {
    struct fed_image *image = make_image(3);
    uint8_t other[32];
    memcpy(other, image->digest, 32);
    other[31] ^= 1;
    ck_assert_int_eq(verify_changed(image, 0, 0, other), FED_EDATA);
    fed_image_release(image);
}
END_TEST

static void expect_unreadable(int code) {
    struct fed_image *read = NULL;
    struct fed_error err = {""};
    ck_assert_int_eq(fed_image_read(&read, path, &model, NULL, &err), code);
    ck_assert_ptr_null(read);
    ck_assert_msg(strstr(err.text, path) != NULL, "the sentence does not name the file: %s", err.text);
}

START_TEST(short_empty_and_missing_files_are_refused) {
    struct fed_image *image = make_image(3);
    write_file(image->bytes, image->n_bytes - 1);
    expect_unreadable(FED_EDATA);
    write_file(image->bytes, image->n_header);
    expect_unreadable(FED_EDATA);
    write_file(image->bytes, 5);
    expect_unreadable(FED_EDATA);
    write_file("", 0);
    expect_unreadable(FED_EDATA);
    unlink(path);
    expect_unreadable(FED_ENOTFOUND);
    fed_image_release(image);
}
END_TEST

START_TEST(impossible_sizes_are_refused) {
    struct fed_image *image = NULL;
    ck_assert_int_eq(fed_image_alloc(&image, 0), FED_ENOMEM);
    ck_assert_int_eq(fed_image_alloc(&image, SIZE_MAX - 10), FED_ENOMEM);
    ck_assert_ptr_null(image);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("image");
    TCase *tests = tcase_create("image");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, image_comes_back_from_its_file);
    tcase_add_test(tests, header_names_digest_round_and_run);
    tcase_add_test(tests, the_same_parameters_make_the_same_bytes);
    tcase_add_test(tests, last_holder_frees);
    tcase_add_test(tests, damaged_parameters_are_refused);
    tcase_add_test(tests, another_model_is_refused);
    tcase_add_test(tests, short_empty_and_missing_files_are_refused);
    tcase_add_test(tests, impossible_sizes_are_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
