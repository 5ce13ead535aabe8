/* Every statement that the store knows; the schema they speak to is in schema.c. */
#include "coordinator/store/store_internal.h"

/* Rounds whose model was taken back have no say any more: not as the best, not as a reference for those that follow. */
#define STANDS(ROUND)                                                                                                       \
    "NOT EXISTS (SELECT 1 FROM rollbacks AS back WHERE back.to_round < " ROUND " AND " ROUND " < back.round)"
#define GOOD "loss < 9e999 AND " STANDS("evaluations.round") /* NULL, which is NaN, is not less than anything */

const char *const fed_store_statements[N_STATEMENTS] = {
    [APPLICATION_ID] = "PRAGMA application_id",
    [USER_VERSION] = "PRAGMA user_version",
    [TABLES] = "SELECT count(*) FROM sqlite_schema",
    [INSERT_META] = "INSERT INTO meta (id, run_id, task_terms, task_rest, created_ms) VALUES (1, ?, ?, ?, ?)",
    [SELECT_META] = "SELECT run_id, task_terms, task_rest, result_round, target_round FROM meta",
    [CHANGE_TASK] = "UPDATE meta SET task_rest = ?",
    [INSERT_TASK_CHANGE] = "INSERT INTO task_changes (wall_ms, task_rest) VALUES (?, ?)",
    [INSERT_ATTEMPT] = "INSERT INTO attempts (round, attempt, cohort, opened_ms) VALUES (?, ?, ?, ?)",
    [SELECT_ATTEMPT] = "SELECT attempt, cohort FROM attempts WHERE round = ? ORDER BY attempt DESC LIMIT 1",
    [INSERT_ROUND] = "INSERT INTO rounds (round, attempt, model, clients, weight, bytes_down, bytes_up, seconds,"
                     " train_seconds, committed_ms, norm_ceiling, clip, weight_cap)"
                     " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0))",
    [INSERT_UPDATE] = "INSERT INTO updates (round, client, node, part, weight, loss, norm) VALUES (?, ?, ?, ?, ?, ?, ?)",
    [INSERT_ROLLBACK] =
        "INSERT INTO rollbacks (round, to_round, reason, loss, reference, wall_ms) VALUES (?, ?, ?, ?, ?, ?)",
    [COPY_RULES] = "UPDATE rounds SET (norm_ceiling, clip, weight_cap) ="
                   " (SELECT norm_ceiling, clip, weight_cap FROM rounds WHERE round = ?2) WHERE round = ?1",
    [COPY_EVALUATION] = "INSERT INTO evaluations (round, loss, accuracy)"
                        " SELECT ?1, loss, accuracy FROM evaluations WHERE round = ?2",
    [INSERT_QUARANTINE] = "INSERT OR REPLACE INTO quarantines (node, since_ms, until_ms, reason, refusals)"
                          " VALUES (?, ?, ?, ?, ?)",
    [ADD_REFUSAL] = "INSERT INTO refusals (round, node, reason, count) VALUES (?, ?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET count = count + excluded.count",
    [UNFINISH] = "UPDATE meta SET result_round = NULL WHERE result_round IS NOT NULL",
    [FINISH] = "UPDATE meta SET result_round = ?",
    [INSERT_EVALUATION] = "INSERT OR REPLACE INTO evaluations (round, loss, accuracy) VALUES (?, ?, ?)",
    [MARK_TARGET] = "UPDATE meta SET target_round = CASE WHEN ?2 THEN min(ifnull(target_round, ?1), ?1)"
                    " ELSE nullif(target_round, ?1) END",
    [SELECT_NEWEST] = "SELECT round, model, evaluations.loss, accuracy, evaluations.round IS NOT NULL, norm_ceiling, clip,"
                      " weight_cap, to_round IS NOT NULL FROM rounds LEFT JOIN evaluations USING (round)"
                      " LEFT JOIN rollbacks USING (round) ORDER BY round DESC LIMIT 1",
    [SELECT_BEST] =
        "SELECT round, accuracy FROM evaluations WHERE +round >= 1 AND coalesce(accuracy, loss) IS NOT NULL"
        " AND " STANDS("evaluations.round") " ORDER BY accuracy DESC, iif(accuracy IS NULL, loss, 0), round LIMIT 1",
    [SELECT_LAST_EVALUATED] = "SELECT round, loss, accuracy FROM evaluations ORDER BY round DESC LIMIT 1",
    [SELECT_ROUNDS] = "SELECT round, attempt, clients, weight, loss, accuracy, seconds, train_seconds, bytes_down, bytes_up,"
                      " model, committed_ms, norm_ceiling, clip, weight_cap FROM rounds LEFT JOIN evaluations USING (round)"
                      " WHERE round >= ? ORDER BY round",
    [SELECT_REFUSALS] = "SELECT node, reason, sum(count) FROM refusals GROUP BY node, reason ORDER BY node, reason",
    [SELECT_NORMS] =
        "SELECT round, norm, weight FROM updates WHERE round >= ? AND " STANDS("updates.round") " ORDER BY round, client",
    [SELECT_ADMITTED] = "SELECT node, part, client, weight, loss, norm FROM updates WHERE round = ? ORDER BY client",
    [SELECT_GOOD] = "SELECT ifnull(max(round), 0) FROM evaluations WHERE round < ? AND " GOOD,
    [SELECT_FIRST_LOSS] = "SELECT loss FROM evaluations WHERE round BETWEEN 1 AND ? - 1 AND " GOOD " ORDER BY round LIMIT 1",
    [SELECT_RECENT_LOSS] = "SELECT max(loss) FROM (SELECT loss FROM evaluations WHERE round BETWEEN 1 AND ? - 1 AND " GOOD
                           " ORDER BY round DESC LIMIT ?)",
    [SELECT_ROLLBACKS] = "SELECT round, to_round, reason, loss, reference, wall_ms FROM rollbacks WHERE round >= ?"
                         " ORDER BY round",
    [SELECT_QUARANTINES] = "SELECT node, since_ms, until_ms, reason, refusals FROM quarantines WHERE until_ms > ?"
                           " ORDER BY node, since_ms",
    [INSERT_BUILD] = "INSERT INTO builds (round, since_ms, fedavg, kernels, cpu) SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS"
                     " (SELECT 1 FROM (SELECT * FROM builds ORDER BY id DESC LIMIT 1)"
                     " WHERE fedavg = ?3 AND kernels = ?4 AND cpu = ?5)",
    [SELECT_BUILDS] = "SELECT round, since_ms, fedavg, kernels, cpu FROM builds ORDER BY id",
};
