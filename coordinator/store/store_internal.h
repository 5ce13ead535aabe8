/* What the files of the store share: the handle, the statements (store_statements.c), and three small helpers. Opening is in
 * store.c, the transactions of a round in store_commit.c, reading in store_rows.c. */
#ifndef FED_COORDINATOR_STORE_STORE_INTERNAL_H
#define FED_COORDINATOR_STORE_STORE_INTERNAL_H

#include "coordinator/store/sql.h"
#include "coordinator/store/store.h"

#define FED_STORE_DIGEST_BYTES 32

enum fed_store_statement {
    APPLICATION_ID,
    USER_VERSION,
    TABLES,
    INSERT_META,
    SELECT_META,
    CHANGE_TASK,
    INSERT_TASK_CHANGE,
    INSERT_ATTEMPT,
    SELECT_ATTEMPT,
    INSERT_ROUND,
    INSERT_UPDATE,
    INSERT_ROLLBACK,
    COPY_RULES,
    COPY_EVALUATION,
    INSERT_QUARANTINE,
    ADD_REFUSAL,
    UNFINISH,
    FINISH,
    INSERT_EVALUATION,
    MARK_TARGET,
    SELECT_NEWEST,
    SELECT_BEST,
    SELECT_LAST_EVALUATED,
    SELECT_ROUNDS,
    SELECT_REFUSALS,
    SELECT_NORMS,
    SELECT_ADMITTED,
    SELECT_GOOD,
    SELECT_FIRST_LOSS,
    SELECT_RECENT_LOSS,
    SELECT_ROLLBACKS,
    SELECT_QUARANTINES,
    INSERT_BUILD,
    SELECT_BUILDS,
    N_STATEMENTS,
};
extern const char *const fed_store_statements[N_STATEMENTS];

struct fed_store {
    char *dir, *path; /* of the run, and of run.db in it */
    int lock;         /* -1: read-only */
    struct fed_sql *sql;
    uint8_t run_id[16];
    char *task_terms, *task_rest;
    bool is_new;
    int version; /* of the file's format, as found */
};

int fed_store_no_memory(const struct fed_store *store, struct fed_error *err);
/* False if the column does not hold exactly n bytes. */
bool fed_store_column(void *out, size_t n, const struct fed_query *q, int column);
/* finished, result_round and target_round. */
int fed_store_read_end(struct fed_store_state *out, struct fed_store *store, struct fed_error *err) FED_MUST_CHECK;

#endif
