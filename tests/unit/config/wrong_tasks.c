/* Tasks that are wrong, each with the one sentence that says so. */
#include <check.h>
#include <string.h>

#include "common/base/status.h"
#include "common/config/task.h"
#include "tests/unit/config/fixture.h"

#define DATA "data: {train: {images: i, labels: l}}\n"
#define PRESETS "mnist_2nn, mnist_cnn, char_lstm, logistic"
#define INPUT_FORMS "expected a number of inputs, {height, width, channels} or {steps, features}"

static const struct {
    const char *text, *set, *sentence;
} wrong_tasks[] = {
    /* schema, names, numbers */
    {"name: t\n", NULL, "@: schema: missing, expected 1, the only schema this version knows"},
    {"schema: 2\n", NULL, "@:1: schema: found \"2\", expected 1, the only schema this version knows"},
    {"schema: 1\nname: Ward 7\n", NULL,
     "@:2: name: found \"Ward 7\", expected a name of 1 to 63 characters from a-z, 0-9 and -"},
    {"schema: 1\nname: ''\n", NULL, "@:2: name: found \"\", expected a name of 1 to 63 characters from a-z, 0-9 and -"},
    {"schema: 1\nname: a123456789b123456789c123456789d123456789e123456789f123456789g123\n", NULL,
     "@:2: name: found \"a123456789b123456789c123456789d123456789e123456789f123456789...\", expected a name of 1 to 63 "
     "characters from a-z, 0-9 and -"},
    {"schema: 1\nname: t\nseed: -1\n", NULL,
     "@:3: seed: found \"-1\", expected a whole number from 0 to 9223372036854775807"},
    {"schema: 1\nname: t\nseed: 9223372036854775808\n", NULL,
     "@:3: seed: found \"9223372036854775808\", expected a whole number from 0 to 9223372036854775807"},
    {"schema: 1\nname: t\nseed: 99999999999999999999999\n", NULL,
     "@:3: seed: found \"99999999999999999999999\", expected a whole number from 0 to 9223372036854775807"},
    {"schema: 1\nname: t\nseed:\n" MODEL ALGORITHM, NULL,
     "@: seed: missing, expected a whole number from 0 to 9223372036854775807"},
    {TASK, "algorithm.epochs=0", "--set algorithm.epochs: found \"0\", expected a whole number from 1 to 1000000"},
    {TASK, "algorithm.epochs=+5", "--set algorithm.epochs: found \"+5\", expected a whole number from 1 to 1000000"},
    {TASK, "algorithm.epochs=010", "--set algorithm.epochs: found \"010\", expected a whole number from 1 to 1000000"},
    {TASK, "algorithm.epochs=1.0", "--set algorithm.epochs: found \"1.0\", expected a whole number from 1 to 1000000"},
    {TASK, "algorithm.epochs= 1", "--set algorithm.epochs: found \" 1\", expected a whole number from 1 to 1000000"},
    {TASK, "algorithm.epochs=", "--set algorithm.epochs: found \"\", expected a whole number from 1 to 1000000"},
    {TASK, "algorithm.epochs=4294967297",
     "--set algorithm.epochs: found \"4294967297\", expected a whole number from 1 to 1000000"},
    {TASK, "algorithm.batch_size=0",
     "--set algorithm.batch_size: found \"0\", expected a whole number from 1 to 16777216, or the word full"},
    {TASK, "algorithm.batch_size=all",
     "--set algorithm.batch_size: found \"all\", expected a whole number from 1 to 16777216, or the word full"},
    {TASK, "algorithm.rounds=0", "--set algorithm.rounds: found \"0\", expected a whole number from 1 to 1000000000"},
    {HEAD MODEL "algorithm:\n  rounds: 3\n  learning_rate: 0.1abc\n", NULL,
     "@:7: algorithm.learning_rate: found \"0.1abc\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=0.1abc",
     "--set algorithm.learning_rate: found \"0.1abc\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=nan",
     "--set algorithm.learning_rate: found \"nan\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=inf",
     "--set algorithm.learning_rate: found \"inf\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=.inf",
     "--set algorithm.learning_rate: found \".inf\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=1e999",
     "--set algorithm.learning_rate: found \"1e999\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=1e-999",
     "--set algorithm.learning_rate: found \"1e-999\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=0x1p-3",
     "--set algorithm.learning_rate: found \"0x1p-3\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=-0.1",
     "--set algorithm.learning_rate: found \"-0.1\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=0",
     "--set algorithm.learning_rate: found \"0\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=1e",
     "--set algorithm.learning_rate: found \"1e\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=.",
     "--set algorithm.learning_rate: found \".\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.learning_rate=",
     "--set algorithm.learning_rate: found \"\", expected a number greater than 0 and at most 1000000"},
    {TASK, "algorithm.fraction=1.01", "--set algorithm.fraction: found \"1.01\", expected a number from 0 to 1"},
    {TASK, "algorithm.learning_rate_decay=1.1",
     "--set algorithm.learning_rate_decay: found \"1.1\", expected a number greater than 0 and at most 1"},
    {TASK, "algorithm.target_accuracy=97",
     "--set algorithm.target_accuracy: found \"97\", expected a number greater than 0 and at most 1"},
    {TASK, "algorithm.target_accuracy=0",
     "--set algorithm.target_accuracy: found \"0\", expected a number greater than 0 and at most 1"},
    {TASK, "algorithm.target_accuracy=0.97",
     "--set algorithm.target_accuracy: needs data.test to measure it, not given here"},
    {TASK, "algorithm.max_weight=67108865",
     "--set algorithm.max_weight: found \"67108865\", expected a whole number from 1 to 67108864"},
    {TASK, "algorithm.clip_norm=0",
     "--set algorithm.clip_norm: found \"0\", expected a number greater than 0 and at most 1e+09"},
    {TASK, "algorithm.clip_rate=0.3", "--set algorithm.clip_rate: goes with algorithm.clip_norm, not given here"},
    {TASK, "algorithm.clip_quantile=0.3", "--set algorithm.clip_quantile: goes with algorithm.clip_norm, not given here"},
    {TASK, "algorithm.max_share=1.1",
     "--set algorithm.max_share: found \"1.1\", expected a number greater than 0 and at most 1"},
    {TASK, "hygiene.norm_factor=0.5",
     "--set hygiene.norm_factor: found 0.5, expected 0 (no ceiling) or a number from 1 on: "
     "below that, updates as they were in earlier rounds would be refused"},
    {TASK, "hygiene.norm_factor=-1", "--set hygiene.norm_factor: found \"-1\", expected a number from 0 to 1e+09"},
    {TASK, "hygiene.norm_rounds=101", "--set hygiene.norm_rounds: found \"101\", expected a whole number from 1 to 100"},
    {TASK, "round.min_reports=0", "--set round.min_reports: found \"0\", expected a number greater than 0 and at most 1"},
    {TASK, "round.over_select=0.9", "--set round.over_select: found \"0.9\", expected a number from 1 to 100"},
    {TASK, "server.partial_sums=maybe", "--set server.partial_sums: found \"maybe\", expected yes or no"},
    {TASK, "server.keep_last=0", "--set server.keep_last: found \"0\", expected a whole number from 1 to 1000000"},
    {TASK, "limits.messages_per_s=0", "--set limits.messages_per_s: found \"0\", expected a whole number from 1 to 1000000"},
    {TASK, "limits.uploads=5", "--set limits.uploads: found \"5\", expected a whole number from 1 to 4"},
    {TASK, "server.control=5600",
     "--set server.control: found \"5600\", expected an endpoint to bind, tcp://ADDRESS:PORT (* for any) or ipc://PATH"},
    {TASK, "server.control=tcp://*:65536",
     "--set server.control: found \"tcp://*:65536\", expected an endpoint to bind, tcp://ADDRESS:PORT (* for any) or "
     "ipc://PATH"},
    {TASK, "server.bulk=ipc://",
     "--set server.bulk: found \"ipc://\", expected an endpoint to bind, tcp://ADDRESS:PORT (* for any) or ipc://PATH"},
    {TASK, "server.http=8080",
     "--set server.http: found \"8080\", expected 127.0.0.1:PORT, [::1]:PORT or unix:/PATH; to be read from "
     "other machines, put a proxy that speaks TLS in front of it"},
    {TASK, "server.http=10.0.0.1:5680",
     "--set server.http: found \"10.0.0.1:5680\", expected 127.0.0.1:PORT, [::1]:PORT or unix:/PATH; to be read from other "
     "machines, put a proxy that speaks TLS in front of it"},
    {TASK, "server.http=unix:page",
     "--set server.http: found \"unix:page\", expected 127.0.0.1:PORT, [::1]:PORT or unix:/PATH; to be read from other "
     "machines, put a proxy that speaks TLS in front of it"},
    {TASK, "server.http_hosts[0]=a b",
     "--set server.http_hosts[0]: found \"a b\", expected the name of a host, such as fl.example.org, not localhost"},
    {TASK, "server.http_hosts[0]=10.0.0.1",
     "--set server.http_hosts[0]: found \"10.0.0.1\", expected the name of a host, such as fl.example.org, not localhost"},
    {TASK, "server.http_hosts[0]=LocalHost",
     "--set server.http_hosts[0]: found \"LocalHost\", expected the name of a host, such as fl.example.org, not localhost"},
    {TASK "server: {http: '127.0.0.1:1', http_hosts: [fl.example.org]}\n", NULL,
     "@:6: server.http_hosts: needs server.http_token, what whoever comes by such a name must bear"},
    {TASK, "server.http_token=secret", "--set server.http_token: goes with server.http_hosts, not given here"},
    {TASK, "server.roster=", "--set server.roster: found \"\", expected the path of a file"},
    /* unknown keys */
    {HEAD "model: {preset: mnist_2nn}\nalgoritm: {rounds: 3}\n", NULL,
     "@:5: algoritm.rounds: unknown key; did you mean algorithm.rounds?"},
    {HEAD "learning_rate: 0.1\n", NULL, "@:4: learning_rate: unknown key; did you mean algorithm.learning_rate?"},
    {HEAD "round:\n  dedline_s: 3\n", NULL, "@:5: round.dedline_s: unknown key; did you mean round.deadline_s?"},
    {TASK, "algorithm.epoch=5", "--set algorithm.epoch: unknown key; did you mean algorithm.epochs?"},
    {TASK, "model.layers[0].unit=5", "--set model.layers[0].unit: unknown key; did you mean model.layers[].units?"},
    {TASK, "model.layers[].units=5", "--set model.layers[].units: unknown key; did you mean model.layers[].units?"},
    {TASK, "epochs", "--set epochs: expected KEY=VALUE, such as algorithm.epochs=5"},
    {TASK, "=5", "--set =5: expected KEY=VALUE, such as algorithm.epochs=5"},
    {TASK, "server.user=a\nb", "--set: a control character in key or value"},
    {"schema: 1\nname: \"t\\n\"\n", NULL, "@:2: name: a value is one line of text without control characters"},
    {"schema: 1\nname: \"\\u009b31m\"\n", NULL, "@:2: name: a value is one line of text without control characters"},
    {"schema: 1\nnom: |\n  x\n  y\n", NULL, "@:2: nom: a value is one line of text without control characters"},
    /* wrong shape */
    {HEAD "algorithm: fedavg\n", NULL,
     "@:4: algorithm: found \"fedavg\", expected a section or list that holds algorithm.kind"},
    {"schema: 1\nname: t\nseed: {a: 1}\n", NULL,
     "@:3: seed: found a section or list, expected a whole number from 0 to 9223372036854775807"},
    {"schema: 1\nname: t\nseed: [1]\n", NULL,
     "@:3: seed: found a section or list, expected a whole number from 0 to 9223372036854775807"},
    {HEAD "model: {input: 4, layers: [200, 10]}\n", NULL,
     "@:4: model.layers[0]: found \"200\", expected a section or list that holds model.layers[].kind"},
    /* the model */
    {HEAD ALGORITHM, NULL, "@: model: missing, expected preset (one of " PRESETS ") or input and layers"},
    {HEAD "model: {preset: resnet}\n" ALGORITHM, NULL, "@:4: model.preset: found \"resnet\", expected one of " PRESETS},
    {HEAD "model: {preset: logistic, layers: [{units: 10}]}\n" ALGORITHM, NULL,
     "@:4: model.preset: found together with model.layers, expected a preset or input and layers, not both"},
    {HEAD "model: {preset: logistic, input: 4}\n" ALGORITHM, NULL,
     "@:4: model.preset: found together with model.input, expected a preset or input and layers, not both"},
    {HEAD "model: {input: 4}\n" ALGORITHM, NULL,
     "@: model.layers: missing, expected a list of {kind, units, activation, ...}"},
    {HEAD "model: {layers: [{units: 10}]}\n" ALGORITHM, NULL, "@: model.input: missing, " INPUT_FORMS},
    {HEAD "model: {input: 4, layers: [{activation: relu}, {units: 10}]}\n" ALGORITHM, NULL,
     "@:4: model.layers[0].units: missing, expected a whole number from 1 to 1048576"},
    {HEAD "model: {input: 4, layers: [{units: 5}, {units: 10}]}\n" ALGORITHM, NULL,
     "@:4: model.layers[0].activation: missing, expected linear, relu, tanh or sigmoid"},
    {HEAD "model: {input: 4, layers: [{units: 5, activation: gelu}, {units: 10}]}\n" ALGORITHM, NULL,
     "@:4: model.layers[0].activation: found \"gelu\", expected linear, relu, tanh or sigmoid"},
    {HEAD "model: {input: 4, layers: [{units: 10, activation: relu}]}\n" ALGORITHM, NULL,
     "@:4: model.layers[0].activation: relu found, but the last layer must be linear: softmax belongs to the loss"},
    {HEAD "model: {input: 4, layers: [{units: 10}]}\n" ALGORITHM, "model.layers[7].units=3",
     "@:4: model.layers[0].activation: missing, expected linear, relu, tanh or sigmoid"},
    {HEAD "model: {input: 4, layers: [{units: 10}]}\n" ALGORITHM, "model.layers[99999999999999999999].units=3",
     "@:4: model.layers: found 18446744073709551615 layers, expected at most 32"},
    {HEAD "model: {input: 4, layers: [{units: 1048577}]}\n" ALGORITHM, NULL,
     "@:4: model.layers[0].units: found \"1048577\", expected a whole number from 1 to 1048576"},
    /* the data */
    {TASK "data: {format: xml}\n", NULL, "@:6: data.format: found \"xml\", expected idx, csv, npy, text or roles"},
    {TASK "data: {train: {images: i}}\n", NULL, "@: data.train.labels: missing, images and labels belong together"},
    {TASK "data: {test: {labels: i}}\n", NULL, "@: data.test.images: missing, images and labels belong together"},
    {TASK "data: {train: {images: i, labels: l}, partition: {clients: 3}}\n", NULL,
     "@: data.partition.kind: missing, expected iid, shards, dirichlet, quantity or natural"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: iid}}\n", NULL,
     "@: data.partition.clients: missing, expected the number of clients to split the data between"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: none, clients: 3}}\n", NULL,
     "@:6: data.partition.kind: found \"none\", expected iid, shards, dirichlet, quantity or natural"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: shards, clients: 3}}\n", NULL,
     "@: data.partition.shards_per_client: missing, kind: shards needs it"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: dirichlet, clients: 3}}\n", NULL,
     "@: data.partition.alpha: missing, kind: dirichlet needs it"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: shards, clients: 3, shards_per_client: 2}}\n",
     "data.partition.kind=iid",
     "@:6: data.partition.shards_per_client: goes only with kind: shards (to take it back: --set "
     "data.partition.shards_per_client=null)"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: quantity, clients: 3}}\n", NULL,
     "@: data.partition.alpha: missing, kind: quantity needs it"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: natural, alpha: 2}}\n", NULL,
     "@:6: data.partition.alpha: goes only with kind: dirichlet or quantity (to take it back: --set "
     "data.partition.alpha=null)"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: natural, examples_per_client: 2}}\n", NULL,
     "@:6: data.partition.examples_per_client: goes only with kind: iid or dirichlet (to take it back: --set "
     "data.partition.examples_per_client=null)"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: iid, clients: 3, examples_per_client: 0}}\n", NULL,
     "@:6: data.partition.examples_per_client: found \"0\", expected a whole number from 1 to 2147483647"},
    {TASK DATA, "data.partition.examples_per_client=1",
     "@: data.partition.kind: missing, expected iid, shards, dirichlet, quantity or natural"},
    {TASK DATA, "data.partition.alpha=1",
     "@: data.partition.kind: missing, expected iid, shards, dirichlet, quantity or natural"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: dirichlet, clients: 3, alpha: 0}}\n", NULL,
     "@:6: data.partition.alpha: found \"0\", expected a number from 1e-06 to 1000000"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: shards, clients: 65536, shards_per_client: 65536}}\n",
     NULL,
     "@:6: data.partition.shards_per_client: found 65536 for each of 65536 clients, expected at most 4294967295 shards in "
     "all"},
    {TASK "data: {partition: {kind: iid, clients: 3}}\n", NULL,
     "@:6: data.partition.kind: splits data.train, not given here"},
    {TASK "data: {train: {images: i, labels: l}, partition: {kind: iid, clients: 0}}\n", NULL,
     "@:6: data.partition.clients: found \"0\", expected a whole number from 1 to 2147483648"},
    {HEAD MODEL "algorithm: {kind: fedprox, rounds: 3}\n", NULL, "@:5: algorithm.kind: found \"fedprox\", expected fedavg"},
};

START_TEST(a_wrong_task_is_refused_in_one_sentence) {
    struct fed_task task = {.path = (char *)"untouched"};
    struct fed_error err = {.text = ""};
    const char *path = write_file(wrong_tasks[_i].text, strlen(wrong_tasks[_i].text));
    const char *set = wrong_tasks[_i].set;
    ck_assert_int_eq(fed_task_load(&task, path, &set, set != NULL, &err), FED_ECONFIG);
    expect_sentence(&err, path, wrong_tasks[_i].sentence);
    ck_assert_str_eq(task.path, "untouched");
}
END_TEST

TCase *wrong_tasks_cases(void) {
    TCase *cases = config_case("wrong_tasks");
    tcase_add_loop_test(cases, a_wrong_task_is_refused_in_one_sentence, 0, N(wrong_tasks));
    return cases;
}
