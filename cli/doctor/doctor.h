/* What `fedavg doctor` finds. A subject (this machine, a task, a client file, a run directory) has a table of checks, run in
 * order; each looks at one thing and says one finding or a few. One file of checks a subject, doctor_<subject>.c; what
 * several subjects have (a key, a directory, a roster, addresses) is looked at by functions that they share. */
#ifndef FED_CLI_DOCTOR_DOCTOR_H
#define FED_CLI_DOCTOR_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/config/client_config.h"
#include "common/config/task.h"
#include "common/model/model.h"
#include "common/seal/keys.h"
#include "coordinator/store/store.h"

enum fed_finding_kind { FED_FINDING_OK, FED_FINDING_NOTE, FED_FINDING_PROBLEM };

struct fed_finding {
    enum fed_finding_kind kind;
    int code; /* of a problem: the status that a daemon would end with */
    const char *check;
    char subject[256], what[1024], advice[320]; /* advice "": the sentence says what to do */
};

struct fed_doctor {
    struct fed_finding *found; /* owned */
    size_t n_found, room;
    bool out_of_memory;          /* findings are missing */
    const char *passphrase_file; /* of keys; NULL: those that have one stay shut */
    const char *run_dir;         /* of tasks; NULL: the one that a coordinator chooses by itself */

    /* the subject and the check at hand */
    const char *subject, *check;
    struct fed_task task;
    struct fed_model model;
    struct fed_client_config client;
    struct fed_store *store;
    bool has_key;                 /* public_keys are those of the key file */
    struct fed_identity identity; /* its secret is there only if the file could be opened */
    bool has_roster;              /* the roster was read */
    size_t n_nodes;               /* entries of it */
};

/* False: what the subject's other checks would look at is not there. */
struct fed_doctor_check {
    const char *name;
    bool (*look)(struct fed_doctor *doctor);
};

void fed_doctor_machine(struct fed_doctor *doctor);
void fed_doctor_task(struct fed_doctor *doctor, const char *path);
void fed_doctor_client(struct fed_doctor *doctor, const char *path);
void fed_doctor_run(struct fed_doctor *doctor, const char *dir);

/* -- for the files of checks ------------------------------------------------------------------------------------------- */

void fed_doctor_run_checks(struct fed_doctor *doctor, const struct fed_doctor_check *checks, size_t n);

/* One sentence each. advice NULL: the sentence says it. problem returns false, the others true, so that a check can end with
 * them. */
bool fed_doctor_ok(struct fed_doctor *doctor, const char *format, ...) FED_PRINTF(2, 3);
bool fed_doctor_note(struct fed_doctor *doctor, const char *advice, const char *format, ...) FED_PRINTF(3, 4);
bool fed_doctor_problem(struct fed_doctor *doctor, int code, const char *advice, const char *format, ...) FED_PRINTF(4, 5);

/* The library versions (libraries.c). */
bool fed_doctor_libraries(struct fed_doctor *doctor);
/* A directory that is written to: there or to be made, writable, durable, lockable, with room for need bytes. */
bool fed_doctor_place(struct fed_doctor *doctor, const char *dir, const char *what, uint64_t need);
/* The run in a directory: opens it as `store`, of a format that this version reads, and says where it stands. */
bool fed_doctor_store(struct fed_doctor *doctor, const char *dir);
/* Who is at work in it. */
bool fed_doctor_lock(struct fed_doctor *doctor, const char *dir);
/* A key file and the public line beside it; sets has_key and identity. */
bool fed_doctor_key(struct fed_doctor *doctor, const char *path, const char *how_to_make);
/* The task's roster, and keys that lie beside it. */
bool fed_doctor_roster(struct fed_doctor *doctor);
/* The addresses that the task's coordinator binds: free, or ours already. */
bool fed_doctor_ports(struct fed_doctor *doctor);
/* Bytes of memory that can be had now, within the limits of this process; 0: nobody says. */
uint64_t fed_doctor_memory(void);
/* "1.5 GB", for sentences. Returns out. */
const char *fed_doctor_bytes(char out[32], uint64_t bytes);

#endif
