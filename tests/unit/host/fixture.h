/* A host of a node, of a small task: its trainings are counted and held back by a hook, or made on the data of a directory.
 */
#ifndef FED_TESTS_UNIT_HOST_FIXTURE_H
#define FED_TESTS_UNIT_HOST_FIXTURE_H

#include <check.h>

#include "client/host.h"

#define BOUND_MS 60000

enum {
    FIRST = 100,
    COUNT = 8,
    INPUTS = 1500,
    UNITS = 32,
    PARAMS = UNITS * (INPUTS + 1),
    EXAMPLES = 50,
    FEATURES = 16,
    CLASSES = 4
};

struct counter {
    atomic_int calls[COUNT], inside, most_inside, cancelled;
    atomic_bool held;  /* trainings wait until this is false, or they are cancelled */
    atomic_int gather; /* trainings wait until as many have begun */
    atomic_int rc;
};

int count_training(void *context, float *delta, struct fed_sgd_report *report, const float *params, size_t n_params,
                   uint64_t client, const atomic_bool *cancel);
extern char dir[32], images[64], labels[64];
extern struct counter counter;
extern struct fed_client_config config;
extern struct fed_task_terms terms;
extern struct fed_model model;
extern struct fed_host *host;
void task_of(uint32_t inputs, uint32_t classes);

/* A case whose tests have a directory with data, a task and the settings of a node; the host is theirs to open. */
TCase *host_case(const char *name);

void open_host(bool hooked);
struct fed_image *make_image(uint64_t round, uint64_t seed);
void begin(uint64_t round, uint64_t seed);

/* Waits for the next client that is done. */
struct fed_host_update next_update(void);
void expect_nothing(void);
void want(uint64_t client);
int calls(uint64_t client);
void wait_until_begun(uint64_t client, int n);
void expect_refused(int code, enum fed_limit limit, const char *word);

/* The cases of the room, a file each. */
TCase *attempts_cases(void);
TCase *limits_cases(void);
TCase *data_cases(void);

#endif
