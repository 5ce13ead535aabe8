/* Panels: where each weight stands, zeros around, and back again. */
#include <check.h>
#include <string.h>

#include "common/numeric/panels.h"

#define MOST 70

/* Around the sides of the blocks that weights are moved in. */
static const size_t sizes[] = {1, 3, 4, 5, 15, 16, 17, 31, 32, 33, 63, 65, MOST};
#define N_SIZES (sizeof sizes / sizeof *sizes)

static float weights[MOST * MOST], back[MOST * MOST], panels[MOST * 3 * FED_PANEL + 1], turned[MOST * 3 * FED_PANEL + 1];

/* Weight (j, k) is the number of its place, counted from 1: none is zero, none is another's. */
static void number(size_t n_in, size_t n_out) {
    for (size_t i = 0; i < n_in * n_out; i++) {
        weights[i] = (float)(i + 1);
    }
    for (size_t i = 0; i < sizeof panels / sizeof *panels; i++) {
        panels[i] = turned[i] = -1;
    }
}

static const float *at(const float *in_panels, size_t n_in, size_t k, size_t j) {
    return in_panels + (j / FED_PANEL * n_in + k) * FED_PANEL + j % FED_PANEL;
}

START_TEST(a_panel_holds_32_outputs_as_rows_of_inputs_and_zeros_beyond) {
    for (size_t s = 0; s < N_SIZES * N_SIZES; s++) {
        size_t n_in = sizes[s / N_SIZES], n_out = sizes[s % N_SIZES];
        number(n_in, n_out);
        fed_panels_load(panels, weights, n_in, n_out);
        for (size_t j = 0; j < fed_panels_padded(n_out); j++) {
            for (size_t k = 0; k < n_in; k++) {
                ck_assert(*at(panels, n_in, k, j) == (j < n_out ? weights[j * n_in + k] : 0));
            }
        }
        ck_assert_uint_eq(fed_panels_size(n_in, n_out), n_in * fed_panels_padded(n_out));
        ck_assert(panels[fed_panels_size(n_in, n_out)] == -1);
    }
}
END_TEST

START_TEST(weights_come_back_as_they_went) {
    for (size_t s = 0; s < N_SIZES * N_SIZES; s++) {
        size_t n_in = sizes[s / N_SIZES], n_out = sizes[s % N_SIZES];
        number(n_in, n_out);
        fed_panels_load(panels, weights, n_in, n_out);
        memset(back, 0, sizeof back);
        fed_panels_store(back, panels, n_in, n_out);
        ck_assert_mem_eq(back, weights, n_in * n_out * sizeof *back);
    }
}
END_TEST

START_TEST(turned_over_inputs_are_outputs) {
    for (size_t s = 0; s < N_SIZES * N_SIZES; s++) {
        size_t n_in = sizes[s / N_SIZES], n_out = sizes[s % N_SIZES];
        number(n_in, n_out);
        fed_panels_load(panels, weights, n_in, n_out);
        fed_panels_transpose(turned, panels, n_in, n_out);
        for (size_t k = 0; k < fed_panels_padded(n_in); k++) {
            for (size_t j = 0; j < n_out; j++) {
                ck_assert(*at(turned, n_out, j, k) == (k < n_in ? weights[j * n_in + k] : 0));
            }
        }
        ck_assert(turned[fed_panels_size(n_out, n_in)] == -1);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("panels");
    TCase *layout = tcase_create("layout");
    tcase_add_test(layout, a_panel_holds_32_outputs_as_rows_of_inputs_and_zeros_beyond);
    tcase_add_test(layout, weights_come_back_as_they_went);
    tcase_add_test(layout, turned_over_inputs_are_outputs);
    suite_add_tcase(suite, layout);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
