/* One digest for every kernel set, on every processor: two rounds of two clients for each preset, trained by every set that
 * runs here and averaged exactly, end in the models whose digests stand in tests/vectors/digests.txt. That these models are
 * also the right ones is what check_torch shows.
 *
 *     check_digests --write >tests/vectors/digests.txt    after a change that is meant to change results
 *
 * writes them anew, by the plain C that all other sets have to match. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/model/network.h"
#include "common/numeric/fixed.h"
#include "common/seal/digest.h"

enum { CLIENTS = 2, ROUNDS = 2, EXAMPLES = 5, BATCH = 3 }; /* the second batch is short */

static const struct course {
    const char *name, *preset;
    uint32_t steps; /* of a text; 0: as the preset has them */
    struct fed_sgd sgd;
} courses[] = {
    {"mnist_2nn", "mnist_2nn", 0, {.learning_rate = 0.2f}},
    {"mnist_2nn_momentum", "mnist_2nn", 0, {.learning_rate = 0.1f, .momentum = 0.9f, .weight_decay = 0.01f}},
    {"mnist_cnn", "mnist_cnn", 0, {.learning_rate = 0.1f}},
    {"char_lstm", "char_lstm", 12, {.learning_rate = 1.0f}},
};
enum { N_COURSES = sizeof courses / sizeof courses[0] };

static const char *const set_names[] = {"portable", "neon", "avx2", "avx512"};
enum { N_SETS = sizeof set_names / sizeof set_names[0] };

static struct fed_model make_model(const struct course *course) {
    struct fed_model_spec spec = {.loss = FED_SOFTMAX_CROSS_ENTROPY};
    struct fed_model model;
    struct fed_error err = {""};
    ck_assert_int_eq(fed_model_preset(&spec, course->preset), FED_OK);
    spec.input.steps = course->steps > 0 ? course->steps : spec.input.steps;
    ck_assert_msg(fed_model_init(&model, &spec, &err) == FED_OK, "%s", err.text);
    return model;
}

/* Images have margins: columns that are zero in whole batches are skipped, by all sets alike. */
static void draw_batch(const struct fed_batch *batch, const struct fed_model *model, size_t rows, struct fed_rng *rng) {
    for (size_t b = 0; b < rows; b++) {
        for (size_t i = 0; batch->features != NULL && i < batch->n_features; i++) {
            bool ink = i % 28 > 3 && fed_rng_below(rng, 3) == 0;
            batch->features[b * batch->stride + i] = ink ? (float)fed_rng_below(rng, 256) / 255.0f : 0.0f;
        }
        for (size_t i = 0; batch->symbols != NULL && i < batch->n_symbols; i++) {
            batch->symbols[b * batch->n_symbols + i] = fed_rng_below(rng, model->spec.n_symbols);
        }
        for (size_t i = 0; i < batch->n_targets; i++) {
            batch->labels[b * batch->n_targets + i] = fed_rng_below(rng, model->n_classes);
        }
    }
}

/* delta = what the client's examples make of w, less w. */
static void train(float *delta, const float *w, struct fed_network *net, const struct fed_model *model, uint64_t client,
                  const struct fed_sgd *sgd) {
    struct fed_rng rng;
    fed_rng_init(&rng, 5, "test", client, 0);
    fed_network_load(net, w);
    for (size_t first = 0, rows; first < EXAMPLES; first += rows) {
        rows = EXAMPLES - first < BATCH ? EXAMPLES - first : BATCH;
        draw_batch(fed_network_batch(net), model, rows, &rng);
        fed_network_step(net, rows, sgd);
    }
    fed_network_store(net, delta);
    for (size_t i = 0; i < model->n_params; i++) {
        delta[i] -= w[i];
    }
}

/* The model's digest after each round, in hex. */
static void run(char digests[ROUNDS][FED_DIGEST_HEX], const struct course *course, const struct fed_kernels *kernels) {
    struct fed_model model = make_model(course);
    struct fed_network *net;
    struct fed_fixed fixed;
    size_t n = model.n_params;
    float *w = calloc(n, sizeof *w), *delta = calloc(n, sizeof *delta);
    int64_t *sum = calloc(n, sizeof *sum);
    enum fed_network_use use = course->sgd.momentum > 0 ? FED_NETWORK_MOMENTUM : FED_NETWORK_TRAIN;
    ck_assert(w != NULL && delta != NULL && sum != NULL);
    ck_assert_int_eq(fed_network_new(&net, &model, BATCH, use, kernels), FED_OK);
    ck_assert_int_eq(fed_fixed_init(&fixed, 64, CLIENTS, CLIENTS, NULL), FED_OK);
    fed_model_initial(w, &model, 1);
    for (size_t round = 0; round < ROUNDS; round++) {
        uint8_t digest[FED_DIGEST_BYTES];
        memset(sum, 0, n * sizeof *sum);
        for (uint64_t client = 0; client < CLIENTS; client++) { /* the second weighs twice as much */
            train(delta, w, net, &model, round * CLIENTS + client, &course->sgd);
            ck_assert_uint_eq(fed_fixed_check(&fixed, delta, n), n);
            fed_fixed_add(&fixed, sum, delta, n, client + 1, 1);
        }
        ck_assert_uint_eq(fed_fixed_commit(&fixed, w, w, sum, n, CLIENTS * (CLIENTS + 1) / 2), n);
        fed_model_digest(digest, &model, w);
        fed_hex(digests[round], digest, sizeof digest);
    }
    fed_network_free(net);
    free(w);
    free(delta);
    free(sum);
}

static void read_known(char known[ROUNDS][FED_DIGEST_HEX], const char *course) {
    char line[256], name[64], digest[FED_DIGEST_HEX];
    unsigned round, found = 0;
    FILE *file = fopen(FED_VECTORS "/digests.txt", "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%63[^# ] %u %64s", name, &round, digest) == 3 && strcmp(name, course) == 0) {
            ck_assert_uint_eq(round, ++found);
            ck_assert_uint_le(round, ROUNDS);
            strcpy(known[round - 1], digest);
        }
    }
    fclose(file);
    ck_assert_uint_eq(found, ROUNDS);
}

static void expect_known(const char *set) {
    const struct fed_kernels *kernels = fed_kernels_by_name(set);
    for (size_t i = 0; i < N_COURSES && kernels != NULL; i++) {
        char digests[ROUNDS][FED_DIGEST_HEX], known[ROUNDS][FED_DIGEST_HEX];
        read_known(known, courses[i].name);
        run(digests, &courses[i], kernels);
        for (int round = 0; round < ROUNDS; round++) {
            ck_assert_msg(strcmp(digests[round], known[round]) == 0, "%s by %s, round %d: %s, known is %s", courses[i].name,
                          set, round + 1, digests[round], known[round]);
        }
    }
}

START_TEST(every_set_comes_to_the_known_digests) { expect_known(set_names[_i]); }
END_TEST

/* Not a test, but it trains by the same code, which may only fail inside one. */
START_TEST(write_known) {
    printf("# Digests of the models of tests/unit/check_digests.c, which also writes this file: course, round, digest.\n");
    for (size_t i = 0; i < N_COURSES; i++) {
        char digests[ROUNDS][FED_DIGEST_HEX];
        run(digests, &courses[i], fed_kernels_by_name("portable"));
        for (int round = 0; round < ROUNDS; round++) {
            printf("%s %d %s\n", courses[i].name, round + 1, digests[round]);
        }
    }
    ck_assert_int_eq(fflush(stdout), 0);
}
END_TEST

int main(int argc, char **argv) {
    bool writes = argc == 2 && strcmp(argv[1], "--write") == 0;
    Suite *suite = suite_create("digests");
    TCase *sets = tcase_create("sets"), *plain = tcase_create("plain C");
    tcase_set_tags(plain, "native"); /* a call of fmaf each, which valgrind takes minutes for */
    if (writes) {
        tcase_add_test(sets, write_known);
    } else {
        tcase_add_loop_test(plain, every_set_comes_to_the_known_digests, 0, 1);
        tcase_add_loop_test(sets, every_set_comes_to_the_known_digests, 1, N_SETS);
    }
    suite_add_tcase(suite, sets);
    suite_add_tcase(suite, plain);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, writes ? CK_SILENT : CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
