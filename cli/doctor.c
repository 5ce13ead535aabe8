/* fedavg doctor: looks at a machine, and at tasks, client files and run directories, with the eyes of the programs that will
 * use them, and says of each thing whether it is well and what to do about it. Changes nothing. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/doctor/doctor.h"
#include "common/base/privilege.h"
#include "common/config/yaml.h"

static const char usage[] =
    "fedavg doctor [TASK.yaml|CLIENT.yaml|RUN]... [--run-dir DIR] [--passphrase-file FILE|-] [--json]\n"
    "  looks at this machine, and at what the arguments name, and says what to do about what is not well\n"
    "  TASK.yaml      as its coordinator would: data, key, roster, addresses, disk\n"
    "  CLIENT.yaml    as the client would: data, key, limits, and whether the coordinator welcomes it\n"
    "  RUN            a run directory: database and models\n"
    "  --run-dir DIR  where the run of TASK.yaml lies, or will lie (default runs/NAME, NAME from the task)\n"
    "  --passphrase-file FILE   where the passphrase of a key is the first line (- is standard input); else such a key\n"
    "                           is not opened\n"
    "  --json         one JSON object\n"
    "Nothing is changed. Exit status 0: no problem; else that of the first one, see fedavg(7).\n";

/* -- the subjects ------------------------------------------------------------------------------------------------------ */

static bool is_directory(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* A client file names its coordinator, which a task never does. What cannot be read is left to the task's loader. */
static bool is_client_file(const char *path) {
    struct fed_yaml yaml;
    if (fed_yaml_load(&yaml, path, NULL) != FED_OK) {
        return false;
    }
    bool found = fed_yaml_find(&yaml, "coordinator") != NULL || fed_yaml_find(&yaml, "coordinator_key") != NULL;
    fed_yaml_fini(&yaml);
    return found;
}

static void examine(struct fed_doctor *doctor, const char *path) {
    if (is_directory(path)) {
        fed_doctor_run(doctor, path);
    } else if (is_client_file(path)) {
        fed_doctor_client(doctor, path);
    } else {
        fed_doctor_task(doctor, path);
    }
}

/* -- what was found ---------------------------------------------------------------------------------------------------- */

static const char *const words[] = {"ok", "note", "problem"};

static size_t count(const struct fed_doctor *doctor, enum fed_finding_kind kind) {
    size_t n = 0;
    for (size_t i = 0; i < doctor->n_found; i++) {
        n += doctor->found[i].kind == kind;
    }
    return n;
}

static const struct fed_finding *first_problem(const struct fed_doctor *doctor) {
    for (size_t i = 0; i < doctor->n_found; i++) {
        if (doctor->found[i].kind == FED_FINDING_PROBLEM) {
            return &doctor->found[i];
        }
    }
    return NULL;
}

static void print_text(const struct fed_doctor *doctor) {
    const char *subject = "";
    for (size_t i = 0; i < doctor->n_found; i++) {
        const struct fed_finding *finding = &doctor->found[i];
        if (strcmp(finding->subject, subject) != 0) {
            printf("%s%s\n", i > 0 ? "\n" : "", finding->subject);
            subject = finding->subject;
        }
        printf("  %-8s %s: %s\n", words[finding->kind], finding->check, finding->what);
        if (finding->advice[0] != '\0') {
            printf("  %-8s   what to do: %s\n", "", finding->advice);
        }
    }
    size_t problems = count(doctor, FED_FINDING_PROBLEM), notes = count(doctor, FED_FINDING_NOTE);
    printf("\n%zu problem%s, %zu note%s\n", problems, problems == 1 ? "" : "s", notes, notes == 1 ? "" : "s");
}

/* Names of files need not be UTF-8; JSON must. */
static json_t *text_json(const char *text) {
    json_t *exact = json_string(text);
    if (exact != NULL) {
        return exact;
    }
    char shown[1024];
    snprintf(shown, sizeof shown, "%s", text);
    for (char *c = shown; *c != '\0'; c++) {
        if ((unsigned char)*c >= 0x80) {
            *c = '?';
        }
    }
    return json_string(shown);
}

static int print_json(const struct fed_doctor *doctor, struct fed_error *err) {
    json_t *findings = json_array();
    for (size_t i = 0; i < doctor->n_found && findings != NULL; i++) {
        const struct fed_finding *f = &doctor->found[i];
        json_t *row =
            json_pack("{s:o, s:s, s:s, s:o, s:o, s:i}", "subject", text_json(f->subject), "check", f->check, "verdict",
                      words[f->kind], "what", text_json(f->what), "do",
                      f->advice[0] != '\0' ? text_json(f->advice) : json_null(), "code", fed_status_exit_code(f->code));
        if (row == NULL || json_array_append_new(findings, row) != 0) {
            json_decref(findings);
            findings = NULL;
        }
    }
    return fed_cli_print_json(json_pack("{s:s, s:I, s:I, s:o}", "event", "doctor", "problems",
                                        (json_int_t)count(doctor, FED_FINDING_PROBLEM), "notes",
                                        (json_int_t)count(doctor, FED_FINDING_NOTE), "findings", findings),
                              err);
}

/* -- the command ------------------------------------------------------------------------------------------------------- */

static int judge(const struct fed_doctor *doctor, bool json, struct fed_error *err) {
    int code = doctor->out_of_memory ? fed_error_set(err, FED_ENOMEM, "out of memory: findings are missing") : FED_OK;
    if (code == FED_OK && json) {
        code = print_json(doctor, err);
    } else if (code == FED_OK) {
        print_text(doctor);
    }
    const struct fed_finding *first = first_problem(doctor);
    if (code == FED_OK && first != NULL) {
        code = fed_error_set(err, first->code, "%zu problem%s, the first with %s: %s", count(doctor, FED_FINDING_PROBLEM),
                             count(doctor, FED_FINDING_PROBLEM) == 1 ? "" : "s", first->check, first->what);
    }
    return code;
}

int fed_cli_doctor(int argc, char **argv) {
    static const struct option options[] = {{"run-dir", required_argument, NULL, 'd'},
                                            {"passphrase-file", required_argument, NULL, 'p'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct fed_error err = {.text = ""};
    struct fed_doctor doctor = {.subject = ""};
    bool json = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'd': doctor.run_dir = optarg; break;
        case 'p': doctor.passphrase_file = optarg; break;
        case 'j': json = true; break;
        case 'h': return fed_cli_help(usage);
        default: return fed_cli_misused(usage);
        }
    }
    int code = fed_seal_setup(&err);
    if (code == FED_OK) {
        fed_doctor_machine(&doctor);
        for (int i = optind; i < argc; i++) {
            examine(&doctor, argv[i]);
        }
        code = judge(&doctor, json, &err);
    }
    free(doctor.found);
    return code == FED_OK ? 0 : fed_cli_fail(argv[0], code, &err);
}
