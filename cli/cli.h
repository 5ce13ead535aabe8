/* What the subcommands of `fedavg` share. A subcommand gets its own arguments (argv[0] is "fedavg NAME") and returns an exit
 * code: 0, or that of the status it failed with. Results go to stdout, sentences to stderr. */
#ifndef FED_CLI_CLI_H
#define FED_CLI_CLI_H

#include <stdbool.h>

#include "common/base/status.h"

struct json_t;

int fed_cli_doctor(int argc, char **argv);
int fed_cli_backup(int argc, char **argv);
int fed_cli_compare(int argc, char **argv);
int fed_cli_enroll(int argc, char **argv);
int fed_cli_evaluate(int argc, char **argv);
int fed_cli_init(int argc, char **argv);
int fed_cli_export(int argc, char **argv);
int fed_cli_keygen(int argc, char **argv);
int fed_cli_partition(int argc, char **argv);
int fed_cli_plot(int argc, char **argv);
int fed_cli_replay(int argc, char **argv);
int fed_cli_roster(int argc, char **argv);
int fed_cli_show(int argc, char **argv);
int fed_cli_simulate(int argc, char **argv);
int fed_cli_status(int argc, char **argv);

/* Processors that run threads of ours; at least 1. */
unsigned fed_cli_cores(void);

/* Prints "command: sentence" and returns the exit code of the status. */
int fed_cli_fail(const char *command, int code, const struct fed_error *err);
/* Prints the synopsis of the usage and returns the exit code of a wrong command line. */
int fed_cli_misused(const char *usage);
/* True, after a sentence on what is missing or too much, unless least to most words stand behind the options. what: the
 * first that would be missing, "TASK.yaml". */
bool fed_cli_wrong_words(int argc, char **argv, int least, int most, const char *what);
/* Prints "command: --option: found "text", expected what is expected"; false. */
bool fed_cli_wrong_value(const char *command, const char *option, const char *text, const char *expected);
/* Prints the usage because it was asked for; 0. */
int fed_cli_help(const char *usage);

/* What --json prints: the object on one line of stdout. Takes the object over; NULL is FED_ENOMEM. FED_EIO: stdout is closed
 * or full. Sentences about failures stay on stderr, and the exit code tells (fedavg(1), JSON). */
int fed_cli_print_json(struct json_t *object, struct fed_error *err) FED_MUST_CHECK;
/* What JSON cannot say is null there: a path that is not UTF-8, a number that is not finite. NULL without memory. */
struct json_t *fed_cli_json_path(const char *path);
struct json_t *fed_cli_json_number(double value);

#endif
