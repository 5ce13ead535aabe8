/* The files of the page as they are compiled in. */
#include "coordinator/http/assets.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool holds(const struct fed_asset *asset, const char *text) {
    return memmem(asset->bytes, asset->n, text, strlen(text)) != NULL;
}

START_TEST(the_page_is_found_or_says_how_to_have_it) {
    const struct fed_asset *page = fed_asset_find("/");
    ck_assert_ptr_nonnull(page);
    ck_assert_str_eq(page->type, "text/html; charset=utf-8");
    ck_assert(holds(page, "</html>"));
    if (FED_ASSETS_COUNT == 1) { /* a build without uPlot */
        ck_assert(holds(page, "deploy/get-page"));
        return;
    }
    ck_assert_str_eq(fed_asset_find("/page.css")->type, "text/css; charset=utf-8");
    ck_assert_str_eq(fed_asset_find("/page.js")->type, "text/javascript; charset=utf-8");
    ck_assert(holds(fed_asset_find("/uPlot.iife.min.js"), "uPlot"));
}
END_TEST

START_TEST(licences_of_all_that_is_bundled_are_there) {
    const struct fed_asset *licences = fed_asset_find("/licences.txt");
    if (FED_ASSETS_COUNT == 1) {
        return;
    }
    ck_assert_ptr_nonnull(licences);
    ck_assert(holds(licences, "== fedavg ==") && holds(licences, "Apache License"));
    ck_assert(holds(licences, "== uplot ==") && holds(licences, "Leon Sorokin"));
}
END_TEST

START_TEST(nothing_else_is_found) {
    static const char *const paths[] = {"", "page.js", "/page", "//", "/index.html", "/page.js/", "/../page.js"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        ck_assert_msg(fed_asset_find(paths[i]) == NULL, "%s", paths[i]);
    }
}
END_TEST

START_TEST(each_file_has_a_type_and_an_etag_of_its_own) {
    size_t total = 0;
    for (size_t i = 0; i < FED_ASSETS_COUNT; i++) {
        const struct fed_asset *asset = &FED_ASSETS[i];
        ck_assert_ptr_eq(fed_asset_find(asset->path), asset);
        ck_assert_msg(strstr(asset->type, "charset=utf-8") != NULL, "%s: %s", asset->path, asset->type);
        size_t n = strlen(asset->etag);
        ck_assert_msg(n > 2 && asset->etag[0] == '"' && asset->etag[n - 1] == '"', "%s: %s", asset->path, asset->etag);
        for (size_t j = 0; j < i; j++) {
            ck_assert_str_ne(asset->etag, FED_ASSETS[j].etag);
        }
        total += asset->n;
    }
    ck_assert_msg(total <= 2000 * 1000, "%zu bytes", total);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("assets");
    TCase *tests = tcase_create("assets");
    tcase_add_test(tests, the_page_is_found_or_says_how_to_have_it);
    tcase_add_test(tests, licences_of_all_that_is_bundled_are_there);
    tcase_add_test(tests, nothing_else_is_found);
    tcase_add_test(tests, each_file_has_a_type_and_an_etag_of_its_own);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
