/* The questions, in one table: each proposes an answer, and takes one or says what is wrong with it. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/init/init.h"
#include "common/data/partition.h"
#include "common/model/model.h"

struct question {
    const char *name; /* of the option */
    const char *text;
    bool (*applies)(const struct fed_init *init);
    void (*propose)(char out[4096], const struct fed_init *init); /* "": nothing to propose */
    int (*take)(struct fed_init *init, const char *answer, struct fed_error *err);
    bool may_be_none; /* an empty answer, and none is fine */
};

static bool always(const struct fed_init *init) { return init != NULL; }

static int keep(char **out, const char *text, struct fed_error *err) {
    free(*out);
    *out = strdup(text);
    return *out != NULL ? FED_OK : fed_error_set(err, FED_ENOMEM, "out of memory");
}

/* An absolute path of a file that is there. */
static int keep_file(char **out, const char *path, struct fed_error *err) {
    char whole[PATH_MAX];
    if (realpath(path, whole) == NULL) {
        return fed_error_set(err, FED_EDATA, "%s: %s", path, strerror(errno));
    }
    return keep(out, whole, err);
}

static int take_number(uint64_t *out, const char *text, uint64_t least, uint64_t most, struct fed_error *err) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || !isdigit((unsigned char)*text) || *end != '\0' || value < least || value > most) {
        return fed_error_set(err, FED_ECONFIG, "found \"%.60s\", expected a number from %llu to %llu", text,
                             (unsigned long long)least, (unsigned long long)most);
    }
    *out = value;
    return FED_OK;
}

/* -- what for ----------------------------------------------------------------------------------------------------------- */

static void propose_kind(char out[4096], const struct fed_init *init) {
    (void)init;
    strcpy(out, "simulation");
}

static int take_kind(struct fed_init *init, const char *answer, struct fed_error *err) {
    init->real = strcmp(answer, "nodes") == 0;
    return init->real || strcmp(answer, "simulation") == 0
               ? FED_OK
               : fed_error_set(err, FED_ECONFIG, "found \"%.60s\", expected simulation or nodes", answer);
}

/* -- the data ----------------------------------------------------------------------------------------------------------- */

static bool has_labels(const struct fed_init *init) {
    return init->seen.format == FED_DATA_IDX || init->seen.format == FED_DATA_NPY;
}
static bool has_columns(const struct fed_init *init) { return init->seen.format == FED_DATA_CSV; }
static bool has_test(const struct fed_init *init) { return init->test != NULL && has_labels(init); }

static void propose_nothing(char out[4096], const struct fed_init *init) {
    (void)init;
    out[0] = '\0';
}

static int add_file(struct fed_init *init, const char *path, struct fed_error *err) {
    if (init->n_train == FED_INIT_NODES) {
        return fed_error_set(err, FED_ECONFIG, "%s: one file more than the %d that are allowed", path, FED_INIT_NODES);
    }
    int rc = keep_file(&init->train[init->n_train], path, err);
    init->n_train += rc == FED_OK;
    return rc;
}

static void forget_files(struct fed_init *init) {
    while (init->n_train > 0) {
        free(init->train[--init->n_train]);
        init->train[init->n_train] = NULL;
    }
}

/* Several files, one each for a node, where the whole is no file: one a line from the command line, or typed words. */
static int take_data(struct fed_init *init, const char *answer, struct fed_error *err) {
    const char *between = access(answer, F_OK) == 0 ? "" : init->typed ? " " : "\n";
    char *words = strdup(answer), *rest = words;
    int rc = words != NULL ? FED_OK : fed_error_set(err, FED_ENOMEM, "out of memory");
    forget_files(init);
    for (char *word; rc == FED_OK && (word = strsep(&rest, between)) != NULL;) {
        rc = *word != '\0' ? add_file(init, word, err) : FED_OK;
    }
    free(words);
    if (rc == FED_OK && init->n_train == 0) {
        return fed_error_set(err, FED_ECONFIG, "names no file");
    }
    if (rc == FED_OK && init->n_train > 1 && !init->real) {
        return fed_error_set(err, FED_ECONFIG, "a simulation splits one file among its clients: name one");
    }
    return rc == FED_OK ? fed_init_sniff(init, err) : rc;
}

static void propose_labels(char out[4096], const struct fed_init *init) { fed_init_guess_labels(out, init->train[0]); }
static int take_labels(struct fed_init *init, const char *answer, struct fed_error *err) {
    return keep_file(&init->labels, answer, err);
}

static int take_column(char **out, const struct fed_init *init, const char *answer, struct fed_error *err) {
    if (fed_init_column(init, answer) == NULL) {
        return fed_error_set(err, FED_ECONFIG, "%s: there is no column \"%.60s\"; it has %zu, the last is %s",
                             init->train[0], answer, init->seen.n_columns,
                             init->seen.header ? init->seen.columns[init->seen.n_columns - 1].name : "known by its number");
    }
    return keep(out, answer, err);
}

static void propose_label(char out[4096], const struct fed_init *init) {
    char name[80];
    fed_init_guess_label(name, &init->seen);
    snprintf(out, 4096, "%s", name);
}
static int take_label(struct fed_init *init, const char *answer, struct fed_error *err) {
    return take_column(&init->label, init, answer, err);
}

static void propose_group(char out[4096], const struct fed_init *init) {
    char name[80];
    fed_init_guess_group(name, init);
    snprintf(out, 4096, "%s", name);
}

static int take_group(struct fed_init *init, const char *answer, struct fed_error *err) {
    if (fed_init_column(init, answer) == fed_init_column(init, init->label)) {
        return fed_error_set(err, FED_ECONFIG, "column %s is the label already", answer);
    }
    return take_column(&init->group, init, answer, err);
}

static void propose_test(char out[4096], const struct fed_init *init) { fed_init_guess_test(out, init->train[0]); }
static int take_test(struct fed_init *init, const char *answer, struct fed_error *err) {
    return keep_file(&init->test, answer, err);
}

static void propose_test_labels(char out[4096], const struct fed_init *init) { fed_init_guess_labels(out, init->test); }
static int take_test_labels(struct fed_init *init, const char *answer, struct fed_error *err) {
    return keep_file(&init->test_labels, answer, err);
}

/* -- the model ---------------------------------------------------------------------------------------------------------- */

static void propose_model(char out[4096], const struct fed_init *init) {
    char name[32];
    fed_init_guess_model(name, init);
    snprintf(out, 4096, "%s", name);
}

/* "64,32": hidden layers. "0": none. */
static bool take_layers(struct fed_init *init, const char *answer) {
    const char *at = answer;
    init->n_hidden = 0;
    while (init->n_hidden < FED_INIT_LAYERS) {
        char *end;
        unsigned long units = isdigit((unsigned char)*at) ? strtoul(at, &end, 10) : FED_MAX_UNITS + 1;
        if (units > FED_MAX_UNITS || (*end != ',' && *end != '\0') || (units == 0 && strcmp(answer, "0") != 0)) {
            return false;
        }
        if (units > 0) {
            init->hidden[init->n_hidden++] = (uint32_t)units;
        }
        if (*end == '\0') {
            return true;
        }
        at = end + 1;
    }
    return false;
}

static int take_model(struct fed_init *init, const char *answer, struct fed_error *err) {
    struct fed_model_spec spec;
    init->preset[0] = '\0';
    if (fed_model_preset(&spec, answer) == FED_OK) {
        snprintf(init->preset, sizeof init->preset, "%s", answer);
        return FED_OK;
    }
    if (init->seen.format == FED_DATA_TEXT) {
        return fed_error_set(err, FED_ECONFIG, "found \"%.60s\", expected char_lstm, the model for texts", answer);
    }
    return take_layers(init, answer)
               ? FED_OK
               : fed_error_set(err, FED_ECONFIG,
                               "found \"%.60s\", expected the units of hidden layers, such as 32 or 64,32 (0: "
                               "none), or one of %s",
                               answer, fed_model_preset_names());
}

/* -- who and how long --------------------------------------------------------------------------------------------------- */

static bool asks_clients(const struct fed_init *init) { return init->real || init->group == NULL; }

static void propose_clients(char out[4096], const struct fed_init *init) {
    size_t n = init->real ? (init->n_train > 2 ? init->n_train : 2) : init->n_examples / 20;
    snprintf(out, 4096, "%zu", n < 1 ? 1 : !init->real && n > 10 ? 10 : n);
}

static int take_clients(struct fed_init *init, const char *answer, struct fed_error *err) {
    uint64_t n, least = init->real ? init->n_train : 1, most = init->real ? FED_INIT_NODES : init->n_examples;
    int rc = take_number(&n, answer, least, most, err);
    if (rc == FED_OK) {
        init->clients = (uint32_t)n;
    }
    return rc;
}

static void propose_rounds(char out[4096], const struct fed_init *init) {
    snprintf(out, 4096, "%d", init->seen.format == FED_DATA_CSV ? 30 : 20);
}
static int take_rounds(struct fed_init *init, const char *answer, struct fed_error *err) {
    return take_number(&init->rounds, answer, 1, 1000000000, err);
}

static bool is_real(const struct fed_init *init) { return init->real; }

static void propose_host(char out[4096], const struct fed_init *init) {
    (void)init;
    strcpy(out, "127.0.0.1");
}

static int take_host(struct fed_init *init, const char *answer, struct fed_error *err) {
    bool good = strlen(answer) < 256 &&
                strspn(answer, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == strlen(answer);
    return good ? keep(&init->host, answer, err)
                : fed_error_set(err, FED_ECONFIG, "found \"%.60s\", expected a name or an address, such as fl.example.org",
                                answer);
}

static void propose_port(char out[4096], const struct fed_init *init) {
    (void)init;
    strcpy(out, "5600");
}

static int take_port(struct fed_init *init, const char *answer, struct fed_error *err) {
    uint64_t port;
    int rc = take_number(&port, answer, 1024, 65000, err);
    if (rc == FED_OK) {
        init->port = (uint32_t)port;
    }
    return rc;
}

/* The directory's own name, made of the letters that a name may have. */
static void propose_name(char out[4096], const struct fed_init *init) {
    char whole[PATH_MAX];
    size_t n = 0;
    const char *at = strrchr(init->dir, '/'), *base = at != NULL ? at + 1 : init->dir;
    if ((strcmp(base, ".") == 0 || strcmp(base, "..") == 0 || *base == '\0') && realpath(init->dir, whole) != NULL) {
        base = strrchr(whole, '/') + 1;
    }
    for (; *base != '\0' && n < FED_NAME_MAX - 1; base++) {
        char c = (char)tolower((unsigned char)*base);
        out[n++] = isdigit((unsigned char)c) || (c >= 'a' && c <= 'z') ? c : '-';
    }
    out[n] = '\0';
    if (!fed_name_valid(out)) {
        strcpy(out, "task");
    }
}

static int take_name(struct fed_init *init, const char *answer, struct fed_error *err) {
    if (!fed_name_valid(answer)) {
        return fed_error_set(err, FED_ECONFIG, "found \"%.60s\", expected a name of 1 to 63 characters from a-z, 0-9 and -",
                             answer);
    }
    snprintf(init->name, sizeof init->name, "%s", answer);
    return FED_OK;
}

/* -- asking ------------------------------------------------------------------------------------------------------------- */

static const struct question questions[FED_INIT_QUESTIONS] = {
    {"kind", "A simulation on this machine, or real nodes? (simulation, nodes)", always, propose_kind, take_kind, false},
    {"data", "Training data: a file (CSV, IDX, NumPy or text); of real nodes one each", always, propose_nothing, take_data,
     false},
    {"labels", "Its labels", has_labels, propose_labels, take_labels, false},
    {"label", "The column to be learnt", has_columns, propose_label, take_label, false},
    {"group", "A column that says whose a row is", has_columns, propose_group, take_group, true},
    {"test", "Test data, to see how good the model is", always, propose_test, take_test, true},
    {"test-labels", "Its labels", has_test, propose_test_labels, take_test_labels, false},
    {"model", "Units of the hidden layers, such as 64,32 (0: none), or a preset", always, propose_model, take_model, false},
    {"clients", "How many clients", asks_clients, propose_clients, take_clients, false},
    {"rounds", "How many rounds", always, propose_rounds, take_rounds, false},
    {"host", "The name or address under which nodes reach this machine", is_real, propose_host, take_host, false},
    {"port", "The first of two ports for them (the page takes the 80th after it)", is_real, propose_port, take_port, false},
    {"name", "What the task is called", always, propose_name, take_name, false},
};

const char *fed_init_question(size_t i) { return questions[i].name; }

/* One line; FED_EINTERRUPTED at its end. */
static int read_answer(char out[4096], const struct question *q, const char *proposal, struct fed_error *err) {
    fprintf(stderr, "%s [%s]: ", q->text, *proposal != '\0' ? proposal : q->may_be_none ? "none" : "");
    fflush(stderr);
    if (fgets(out, 4096, stdin) == NULL) {
        fputc('\n', stderr);
        return fed_error_set(err, FED_EINTERRUPTED, "given up; nothing was written");
    }
    out[strcspn(out, "\r\n")] = '\0';
    return FED_OK;
}

static int answer_once(struct fed_init *init, const struct question *q, const char *given, bool ask, struct fed_error *err) {
    char proposal[4096] = "", answer[4096] = "";
    int rc = FED_OK;
    q->propose(proposal, init);
    if (given == NULL && ask) {
        rc = read_answer(answer, q, proposal, err);
    }
    if (rc != FED_OK) {
        return rc;
    }
    const char *text = given != NULL ? given : *answer != '\0' ? answer : proposal;
    if (*text == '\0' || strcmp(text, "none") == 0) {
        return q->may_be_none ? FED_OK : fed_error_set(err, FED_ECONFIG, "is needed: %s", q->text);
    }
    init->typed = given == NULL && ask;
    rc = q->take(init, text, err);
    return rc != FED_OK && given == NULL && !ask ? fed_error_prefix(err, rc, "\"%s\" was proposed", text) : rc;
}

/* What a person types may be mended; what the command line says is final. */
static int answer(struct fed_init *init, const struct question *q, const char *given, bool ask, struct fed_error *err) {
    for (;;) {
        int rc = answer_once(init, q, given, ask, err);
        if (rc == FED_OK || rc == FED_EINTERRUPTED || rc == FED_ENOMEM) {
            return rc;
        }
        if (given != NULL || !ask) {
            return fed_error_prefix(err, rc == FED_EDATA ? rc : FED_ECONFIG, "--%s", q->name);
        }
        fprintf(stderr, "  %s\n", err->text);
    }
}

int fed_init_ask(struct fed_init *init, char *const given[FED_INIT_QUESTIONS], bool ask, struct fed_error *err) {
    int rc = FED_OK;
    for (size_t i = 0; rc == FED_OK && i < FED_INIT_QUESTIONS; i++) {
        const struct question *q = &questions[i];
        if (q->take == take_model) { /* everything about the data is known */
            rc = fed_init_examine(init, err);
        }
        if (rc == FED_OK && q->applies(init)) {
            rc = answer(init, q, given[i], ask, err);
        } else if (rc == FED_OK && given[i] != NULL) {
            rc = fed_error_set(err, FED_ECONFIG, "--%s goes not with these data, or this kind of task", q->name);
        }
    }
    return rc;
}
