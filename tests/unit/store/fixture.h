/* A run directory that is not there before a test and gone after it, rounds to fill it with, and ways to look at and damage
 * what stands in it. What returns nothing fails the test unless it works. */
#ifndef FED_TESTS_UNIT_STORE_FIXTURE_H
#define FED_TESTS_UNIT_STORE_FIXTURE_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "coordinator/store/store.h"

extern const char TERMS[];
extern const char REST[];
extern char dir[64]; /* of the run: not there before the first open */

/* A case whose tests have the directory, each its own. */
TCase *store_case(const char *name);

void remove_tree(const char *path);

/* What the run directory says of itself. */
struct fed_store *open_run(void);
int open_fails(struct fed_error *err);
struct fed_store_state state_of(struct fed_store *store);
const char *path_in(const char *name);

/* Files of the run directory. */
bool exists(const char *name);
bool has_model(uint64_t round);
void put_file(const char *name, const char *text);

/* Of the head of run.db, at one of these. */
uint32_t database_word(off_t at);
enum { USER_VERSION_AT = 60, APPLICATION_ID_AT = 68 };

/* Parameters that follow from the round, so that a model file can be judged from its name alone. */
enum { N_PARAMS = 300 };

void params_of(float params[N_PARAMS], uint64_t round);

/* A round with its model: of the clients given, or of two. Two nodes were refused on the way. */
int commit_updates(struct fed_store *store, uint64_t round, uint64_t keep_last, const struct fed_store_update *updates,
                   size_t n_updates, struct fed_error *err);
int try_commit(struct fed_store *store, uint64_t round, uint64_t keep_last, struct fed_error *err);
void commit(struct fed_store *store, uint64_t round, uint64_t keep_last);

/* A new run with the rounds 0 to last, of which three models are kept. */
struct fed_store *run_up_to(uint64_t last);

void evaluate(struct fed_store *store, uint64_t round, double accuracy, bool target);

/* The last committed round has its model whole on disk. */
void check_sound(struct fed_store *store);

/* Names in the run directory, sorted and joined: to see that nothing came or went. */
void list_run(char *out, size_t n);

/* What the callbacks of the store were shown. */
struct rows {
    size_t n;
    struct fed_store_round last;
    uint64_t refused[2];
};

void take_round(void *context, const struct fed_store_round *round);
double reference(struct fed_store *store, uint64_t before, uint64_t window);

/* Files may not grow beyond n bytes from here on. */
void limit_files(rlim_t n);

/* The cases of the room, a file each. */
TCase *opening_cases(void);
TCase *rounds_cases(void);
TCase *hygiene_cases(void);
TCase *versions_cases(void);
TCase *models_cases(void);
TCase *damage_cases(void);
TCase *faults_cases(void);
TCase *reading_cases(void);

#endif
