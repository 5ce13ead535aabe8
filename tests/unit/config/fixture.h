/* A directory with one file in it, as a person would have written it, and the sentence by which it is refused. */
#ifndef FED_TESTS_UNIT_CONFIG_FIXTURE_H
#define FED_TESTS_UNIT_CONFIG_FIXTURE_H

#include <check.h>

#include "common/base/status.h"

extern char dir[64];

/* A case whose tests have the directory, each its own, and a seal that was set up. */
TCase *config_case(const char *name);

/* Into the directory; returns its path, which is the same for every file. */
const char *write_file(const char *text, size_t n);

/* The refusal must read as expected, where a leading @ of the expectation stands for the path of the file. */
void expect_sentence(const struct fed_error *err, const char *path, const char *expected);

#define HEAD "schema: 1\nname: t\nseed: 1\n"
#define MODEL "model: {preset: mnist_2nn}\n"
#define ALGORITHM "algorithm: {rounds: 3, fraction: 0.1, epochs: 1, batch_size: 10, learning_rate: 0.2}\n"
#define TASK HEAD MODEL ALGORITHM
#define N(table) ((int)(sizeof(table) / sizeof *(table)))

/* The cases of the room, a file each. */
TCase *yaml_cases(void);
TCase *wrong_tasks_cases(void);
TCase *tasks_cases(void);
TCase *terms_cases(void);
TCase *clients_cases(void);

#endif
