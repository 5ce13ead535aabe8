"""Bad input is answered with one sentence and the documented exit code, and nothing is left half-written.

A row: what is done to a good scene, the exit code (fedavg(7)), and the sentence that one person reads on stderr."""
import json
import os
import re
import socket
import struct
import subprocess

import wards
from house import BIN, check, main

CONFIG, DATA, LOCKED, OTHER_TASK, ADDRESS, KEY, PEER, STORAGE = 2, 3, 4, 5, 6, 7, 8, 9


def tree(path):
    """Every file below path with its content; None if there is no such path."""
    if not path.exists():
        return None
    if path.is_file():
        return path.read_bytes()
    return {str(p.relative_to(path)): p.read_bytes() if p.is_file() and not p.is_symlink() else None for p in path.rglob("*")}


def without_logs(lines):
    """What is left when the log's own lines (level room event key=value) are taken away."""
    return [line for line in lines if not re.match(r"(error|warn|info|debug) [a-z_]+ ", line)]


def refused(process, code, sentence, row):
    """The process ends with this code and one sentence."""
    process.wait_exit(None)
    said = without_logs(process.log)
    check(process.child.returncode == code, f"{row}: exit code {process.child.returncode}, not {code}: {process}")
    check(len(said) == 1, f"{row}: not one sentence: {process}")
    check(re.fullmatch(f"fedavg[a-z -]*: .*{sentence}.*", said[0]), f"{row}: not /{sentence}/: {said[0]}")
    check(process.out == [], f"{row}: it said more on stdout: {process.out}")


class Bad(wards.Scene):
    """A scene in which everything is right, with bad files beside the good ones."""

    def __init__(self):
        super().__init__()
        self.add_node("ward-0", 0, 40)
        self.add_node("ward-1", 1, 40, enrolled=False)
        images, labels = wards.examples("train", 0, 40)
        self.write("truncated", wards.images_file(images)[:-1])
        self.write("surplus", wards.images_file(images) + b"x")
        self.write("empty", b"")
        self.write("eleventh-class", wards.labels_file(labels[:5] + b"\x0a" + labels[6:]))
        self.write("fewer-labels", wards.labels_file(labels[:-1]))
        self.write("text", b"not data\n")
        self.good = {"images": str(self.dir / "ward-0-images"), "labels": str(self.dir / "ward-0-labels")}
        self.task["data"]["train"] = self.good
        self.task["data"]["partition"] = {"kind": "iid", "clients": 4}

    def write(self, name, content):
        (self.dir / name).write_bytes(content)
        return self.dir / name

    def sets(self, values):
        return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]

    def in_dir(self, value):
        return str(value).format(dir=self.dir)


# What is wrong with a task, whoever reads it: values for --set.
TASK_ROWS = [
    ("unknown key", {"algorithm.round": 3}, CONFIG, r"--set algorithm.round: unknown key; did you mean algorithm.rounds\?"),
    ("wrong type", {"algorithm.rounds": "ten"}, CONFIG, r'--set algorithm.rounds: found "ten", expected a whole number from 1'),
    ("half a number", {"algorithm.learning_rate": "0.1abc"}, CONFIG, r'found "0.1abc", expected a number greater than 0'),
    ("not a number", {"algorithm.learning_rate": "nan"}, CONFIG, r'found "nan", expected a number greater than 0'),
    ("infinite", {"algorithm.max_delta": "inf"}, CONFIG, r'found "inf", expected a number greater than 0'),
    ("out of range", {"algorithm.fraction": "1.5"}, CONFIG, r'found "1.5", expected a number from 0 to 1'),
    ("too small", {"algorithm.epochs": "0"}, CONFIG, r'found "0", expected a whole number from 1'),
    ("no such model", {"model.preset": "gpt"}, CONFIG, r'found "gpt", expected one of mnist_2nn, mnist_cnn, char_lstm, logistic'),
    ("other schema", {"schema": "2"}, CONFIG, "expected 1, the only schema this version knows"),
    ("target without test data", {"data.test": "null", "algorithm.target_accuracy": "0.9"}, CONFIG, "needs data.test"),
    ("not key=value", {"algorithm.rounds": ""}, CONFIG, "--set algorithm.rounds: "),
    ("missing data file", {"data.test.images": "{dir}/nowhere"}, DATA, "nowhere: no such file"),
    ("truncated data file", {"data.test.images": "{dir}/truncated"}, DATA, "truncated: truncated: 31375 bytes found, "
     "its header promises 31376"),
    ("surplus bytes", {"data.test.images": "{dir}/surplus"}, DATA, "surplus: surplus bytes: 31377 bytes found"),
    ("empty data file", {"data.test.images": "{dir}/empty"}, DATA, "empty: .*0 bytes found"),
    ("not data at all", {"data.test.labels": "{dir}/text"}, DATA, "text: not an IDX label file: magic 0x6e6f7420"),
    ("a directory as data", {"data.test.images": "{dir}"}, DATA, "is a directory, expected a file"),
    ("images and labels swapped", {"data.test.images": "{dir}/ward-0-labels", "data.test.labels": "{dir}/ward-0-images"}, DATA,
     r"ward-0-labels: not an IDX image file: .*\(did you swap images and labels\?\)"),
    ("images without their labels", {"data.test.images": "{dir}/ward-0-images", "data.test.labels": "{dir}/fewer-labels"}, DATA,
     "holds 40 images, but .*fewer-labels holds 39 labels"),
    ("label beyond the model", {"data.test.images": "{dir}/ward-0-images", "data.test.labels": "{dir}/eleventh-class"}, DATA,
     r"10 found at example 5 \(counted from 0\), but the model has 10 classes"),
    ("missing training data", {"data.train.images": "{dir}/nowhere"}, DATA, "nowhere: [Nn]o such file"),
    ("truncated training data", {"data.train.images": "{dir}/truncated"}, DATA, "truncated: truncated"),
    ("training label beyond the model", {"data.train.labels": "{dir}/eleventh-class"}, DATA, "10 found at example 5"),
    ("more clients than examples", {"data.partition.clients": "41"}, CONFIG, "clients: 41 found, 1 to 40 is allowed"),
    ("more shards than examples", {"data.partition.kind": "shards", "data.partition.shards_per_client": "11"}, CONFIG,
     "11 found, which for 4 clients makes 44 shards"),
    ("weights below the largest shard", {"algorithm.max_weight": "9"}, CONFIG,
     "task.*: algorithm.max_weight: 9 found, but the largest shard of the split holds 10 examples"),
]


def simulate_says_what_is_wrong_once():
    with Bad() as scene:
        scene.task_path.write_text(json.dumps(scene.task))
        for row, values, code, sentence in TASK_ROWS:
            sets = scene.sets({key: scene.in_dir(value) for key, value in values.items()})
            process = scene.start("fedavg", "simulate", scene.task_path, "--run-dir", scene.run_dir, "--nodes", 2, "--quiet",
                                  *sets)
            refused(process, code, sentence, f"simulate, {row}")
            check(tree(scene.run_dir) is None, f"simulate, {row}: it left {scene.run_dir}")


def a_coordinator_says_what_is_wrong_and_leaves_nothing():
    with Bad() as scene:
        for row, values, code, sentence in TASK_ROWS:
            sets = scene.sets({key: scene.in_dir(value) for key, value in values.items()})
            refused(scene.coordinator(*sets), code, sentence, f"coordinator, {row}")
            check(tree(scene.run_dir) is None, f"coordinator, {row}: it left {scene.run_dir}")


TABLE = {"input": 2, "classes": ["well", "sick"], "layers": [{"units": 2}]}
READER = {"input": {"steps": 4}, "vocabulary": "\nabc", "layers": [{"kind": "embedding", "units": 3}, {"units": 4}]}
ARRAY = {"input": 3, "layers": [{"units": 2}]}


def npy(descr, shape, data, order="False"):
    """A file as numpy.save writes it."""
    header = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


LABELS = npy("|u1", "(4,)", b"\0\1\0\1")

# What is wrong with a file of examples: its bytes, how the task reads it, by which model.
FILE_ROWS = [
    ("ragged row", b"age,dose,state\n41,0.5,sick\n62,well\n", "csv", TABLE,
     "bad:3: a row of 2 cells, expected 3 as in the first"),
    ("bad cell", b"age,dose,state\n41,0.5,sick\n62,0.5mg,well\n", "csv", TABLE,
     r'bad:3: column 2 \(dose\): found "0.5mg", expected a number'),
    ("empty cell", b"age,dose,state\n41,,sick\n", "csv", TABLE, r"bad:2: column 2 \(dose\): an empty cell, expected a number"),
    ("no such column", b"age,dose,status\n41,1,sick\n", "csv", TABLE,
     'bad:1: data.label: there is no column "state" among the 3 found: age, dose, status'),
    ("quote without end", b'age,dose,state\n41,1,"sick\n', "csv", TABLE,
     r'bad:2: a quote \("\) is opened here and never closed'),
    ("label outside the classes", b"age,dose,state\n41,0.5,sick\n62,0,ill\n", "csv", TABLE,
     r'bad:3: column 3 \(state\): label "ill" found, but model.classes allows only well, sick'),
    ("words without names", b"age,dose,state\n41,0.5,sick\n", "csv", {**TABLE, "classes": None},
     r'bad:2: column 3 \(state\): label "sick" found, a word: name the classes in model.classes'),
    ("another byte", b"abcab\ncab!abc\n", "text", READER,
     "bad:2: column 4: '!' is not among the model's symbols; add it to model.vocabulary, or convert the file"),
    ("lines that end in CR LF", b"\x0ca\r\nabcab\r\ncab\r\n", "roles", READER,
     "bad:2: column 6: byte 0x0d is not among the model's"),
    ("text before the roles", b"abc\n\x0ca\nabcabc\n", "roles", READER, "bad:1: text before the first role"),
    ("wrong type", npy("<f8", "(4, 3)", bytes(96)), "npy", ARRAY,
     r'bad: numbers of type "<f8" found, allowed are \|u1 and <f4 .*np.ascontiguousarray\(x, dtype=np.float32\)'),
    ("Fortran's order", npy("<f4", "(4, 3)", bytes(48), "True"), "npy", ARRAY,
     "bad: an array in Fortran's order found, C's order"),
    ("truncated array", npy("<f4", "(4, 3)", bytes(47)), "npy", ARRAY, "bad: truncated: 47 bytes of data found"),
    ("not a number", npy("<f4", "(4, 3)", bytes(44) + struct.pack("<f", float("nan"))), "npy", ARRAY, "bad: nan found in row 3"),
]


def a_test_file_with_its_columns_in_another_order_is_refused():
    with Bad() as scene:
        scene.task["model"] = TABLE
        train, test = scene.write("bad", b"age,dose,state\n1,2,sick\n"), scene.write("test", b"dose,age,state\n2,1,sick\n")
        scene.task["data"] = {"format": "csv", "train": str(train), "test": str(test), "label": "state",
                              "partition": {"kind": "iid", "clients": 1}}
        refused(scene.coordinator(), DATA, "test:1: its columns of features are not those of .*bad in the same order",
                "coordinator, columns in another order")


def what_is_wrong_with_examples_is_said_with_its_place():
    with Bad() as scene:
        bad = scene.dir / "bad"
        files = {"csv": {"train": str(bad), "label": "state"}, "roles": {"train": str(bad), "unroll": 4},
                 "text": {"train": str(bad), "unroll": 4},
                 "npy": {"train": {"features": str(bad), "labels": str(scene.write("labels", LABELS))}}}
        for row, content, kind, model, sentence in FILE_ROWS:
            scene.write("bad", content)
            scene.task["model"] = {key: value for key, value in model.items() if value is not None}
            scene.task["data"] = {"format": kind, **files[kind], "partition": {"kind": "iid", "clients": 1}}
            refused(scene.coordinator(), DATA, sentence, f"coordinator, {row}")
            process = scene.start("fedavg", "simulate", scene.task_path, "--run-dir", scene.run_dir, "--nodes", 2, "--quiet")
            refused(process, DATA, sentence, f"simulate, {row}")
            check(tree(scene.run_dir) is None, f"{row}: it left {scene.run_dir}")


def a_command_line_that_is_wrong_is_answered_with_the_usage():
    with Bad() as scene:
        scene.task_path.write_text(json.dumps(scene.task))
        for arguments, line in (
                (["fedavg", "train"], r"fedavg: .*train.*"), (["fedavg"], "usage: fedavg .*"),
                (["fedavg", "simulate"], "fedavg simulate: TASK.yaml is missing"),
                (["fedavg", "simulate", scene.task_path, "--nodes", "0"], 'fedavg simulate: --nodes: found "0", expected a number from 1 to 256'),
                (["fedavg", "simulate", scene.task_path, "--nodes", "two"], 'fedavg simulate: --nodes: found "two", expected a number from 1 to 256'),
                (["fedavg", "simulate", scene.task_path, "--threads", "-1"], 'fedavg simulate: --threads: found "-1", expected a number from 1 to 1024'),
                (["fedavg", "simulate", scene.task_path, "--fast"], ".*unrecognized option.*"),
                (["fedavg-coordinator"], "fedavg-coordinator: TASK.yaml is missing"),
                (["fedavg-coordinator", scene.task_path, "--log-level", "loud"],
                 'fedavg-coordinator: --log-level: found "loud", expected error, warn, info or debug'),
                (["fedavg-client", "a", "b"], "fedavg-client: more than one word: b"),
                (["fedavg-client", scene.dir / "nowhere.yaml", "--allow-root"], "fedavg-client: .*nowhere.yaml: .*")):
            process = scene.start(*arguments, cwd=scene.dir)
            process.wait_exit(CONFIG)
            check(process.log and re.fullmatch(line, process.log[0]), f"{arguments}: not /{line}/: {process}")
            check(process.out == [], f"{arguments}: it said more on stdout")
        check(not (scene.dir / "runs").exists(), "a run was begun")


def who_stops_reading_the_log_does_not_end_a_daemon():
    for program in ("fedavg-coordinator", "fedavg-client"):
        reading, writing = os.pipe()
        os.close(reading)
        ended = subprocess.run([BIN / program, "/nowhere.yaml", "--allow-root"], stdin=subprocess.DEVNULL, stderr=writing, check=False)
        os.close(writing)
        check(ended.returncode == CONFIG, f"{program} ended with {ended.returncode}")


def kernels_that_do_not_exist_are_refused():
    with Bad() as scene:
        sentence = 'FEDAVG_KERNELS is "sse9": .*allowed are portable'
        wrong = {"FEDAVG_KERNELS": "sse9"}
        refused(scene.coordinator(env=wrong), CONFIG, sentence, "coordinator")
        refused(scene.node("ward-0", env=wrong), CONFIG, sentence, "client")
        refused(scene.start("fedavg", "simulate", scene.task_path, "--run-dir", scene.run_dir, "--quiet", env=wrong), CONFIG,
                sentence, "simulate")
        check(tree(scene.run_dir) is None, "a run was begun")


def what_is_wrong_with_a_file_is_said_with_its_line():
    with Bad() as scene:
        scene.coordinator("--set", "nope=1").wait_exit(CONFIG)  # has written the task
        good = scene.task_path.read_text()
        for row, text, sentence in (
                ("a mistake", good.replace('"rounds": 3', '"rounds": 3.5'), r'task.yaml:\d+: algorithm.rounds: found "3.5"'),
                ("not YAML", "schema: [1\n", r"task.yaml:\d+"), ("empty", "", "task.yaml"),
                ("a key twice", "schema: 1\nschema: 1\n", r"task.yaml:2: "), ("bytes", "\x01\x02", "task.yaml")):
            scene.task_path.write_text(text)
            process = scene.start("fedavg-coordinator", scene.task_path, "--run-dir", scene.run_dir, "--allow-root")
            refused(process, CONFIG, sentence, row)
        check(tree(scene.run_dir) is None, "a run was begun")


KEY_ROWS = [
    ("readable by others", lambda path: path.chmod(0o640), r"others may use this key file \(mode 0640\): chmod 600"),
    ("missing", lambda path: path.unlink(), "there is no such key file: make one with `fedavg keygen`"),
    ("symbolic link", lambda path: (path.rename(path.with_suffix(".real")), path.symlink_to(path.with_suffix(".real"))),
     "is a symbolic link: name the key file itself"),
    ("garbage", lambda path: path.write_text("secret\n"), "is not a key file: it must hold exactly one line"),
    ("a directory", lambda path: (path.unlink(), path.mkdir()), "is not a regular file"),
    ("the public line", lambda path: path.write_text(path.with_suffix(".pub").read_text()), "is not a key file"),
]


def a_key_file_that_is_not_a_secret_is_refused():
    for row, spoil, sentence in KEY_ROWS:
        with Bad() as scene:
            spoil(scene.dir / "coordinator.key")
            refused(scene.coordinator(), KEY, rf"coordinator\.key: {sentence}", f"coordinator, {row}")
            check(tree(scene.run_dir) is None, f"coordinator, {row}: it left {scene.run_dir}")
            spoil(scene.dir / "ward-0.key")
            refused(scene.node("ward-0"), KEY, rf"ward-0\.key: {sentence}", f"client, {row}")
            check(scene.sent("ward-0") == [], "something was sent")


def a_roster_with_a_mistake_is_refused():
    with Bad() as scene:
        good = scene.roster.read_text()
        entry = '- {{name: {}, key: "{}", clients: {{first: {}, count: 2}}}}\n'
        other = scene.public["ward-1"]
        for row, text, sentence in (
                ("overlapping ranges", good + entry.format("ward-1", other, 0), r"roster:\d+: node ward-1: .*client"),
                ("a name twice", good + entry.format("ward-0", other, 5), "ward-0"),
                ("a key twice", good + entry.format("ward-1", scene.public["ward-0"], 5), "key"),
                ("a key that is none", good + entry.format("ward-1", "fedavg1:abc", 5), "key"),
                ("no roster", None, "no such file")):
            scene.roster.unlink()
            if text is not None:
                scene.roster.write_text(text)
            refused(scene.coordinator(), CONFIG, sentence, row)
            check(tree(scene.run_dir) is None, f"{row}: it left {scene.run_dir}")
            scene.roster.write_text(good)


def an_address_that_is_taken_is_named():
    with Bad() as scene, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for lane in ("control", "bulk"):
            process = scene.coordinator("--set", f"server.{lane}=tcp://127.0.0.1:{port}")
            process.wait_exit(ADDRESS)
            said = without_logs(process.log)
            check(len(said) == 1 and re.search(rf":{port}: the address is in use by another process", said[0]), f"{lane}: {said}")
        refused(scene.coordinator("--set", "server.control=udp://*:1"), CONFIG, 'found "udp://\\*:1", expected', "scheme")


def a_run_directory_is_not_taken_from_its_owner():
    with Bad() as scene:
        holder = scene.coordinator()
        holder.wait_event("start")
        refused(scene.coordinator(), LOCKED, r"run\.lock: held by process \d+; stop it first", "two coordinators")
        wards.stop(holder, 10)
        before = tree(scene.run_dir)
        refused(scene.coordinator("--set", "algorithm.learning_rate=0.3"), OTHER_TASK, "learning_rate", "another task")
        after = tree(scene.run_dir)
        check(before.keys() == after.keys(), f"files came or went: {before.keys() ^ after.keys()}")
        check(all(before[name] == after[name] for name in before if name != "run.lock"), "a file was changed")


def a_directory_that_cannot_be_written_is_named():
    with Bad() as scene:
        scene.write("file", b"")
        refused(scene.coordinator(run_dir=scene.dir / "file"), STORAGE, "file", "a file as run directory")
        refused(scene.coordinator(run_dir="/proc/fedavg"), STORAGE, "/proc/fedavg", "a directory that takes none")
        process = scene.start("fedavg", "simulate", scene.task_path, "--run-dir", scene.dir / "file", "--quiet")
        refused(process, STORAGE, "file", "simulate, a file as run directory")


CLIENT_ROWS = [
    ("unknown key", {"limits.max_epoch": "3"}, CONFIG, r"unknown key; did you mean limits.max_epochs\?"),
    ("coordinator's key is none", {"coordinator_key": "fedavg1:abc"}, CONFIG, "coordinator_key"),
    ("wildcard to connect to", {"coordinator": "tcp://*:5600"}, CONFIG, "coordinator: found"),
    ("two clients of one file", {"clients.count": "2"}, CONFIG, "clients.count: found 2, expected 1"),
    ("seed without a split", {"seed": "1"}, CONFIG, "goes only with data.partition"),
    ("missing data file", {"data.train.images": "{dir}/nowhere"}, DATA, "nowhere: no such file"),
    ("truncated data file", {"data.train.images": "{dir}/truncated"}, DATA, "truncated: truncated"),
    ("images and labels swapped", {"data.train.images": "{dir}/ward-0-labels"}, DATA, r"\(did you swap images and labels\?\)"),
    ("state_dir is a file", {"state_dir": "{dir}/text"}, STORAGE, "text"),
]


def a_node_says_what_is_wrong():
    with Bad() as scene:
        for row, values, code, sentence in CLIENT_ROWS:
            sets = scene.sets({key: scene.in_dir(value) for key, value in values.items()})
            refused(scene.node("ward-0", *sets), code, sentence, f"client, {row}")
            check(scene.sent("ward-0") == [], f"{row}: something was sent")


def a_check_tells_an_owner_whether_the_coordinator_welcomes_the_node():
    with Bad() as scene:
        del scene.task["data"]["train"], scene.task["data"]["partition"]
        scene.coordinator().wait_event("start")
        good = scene.node("ward-0", "--check")
        good.wait_exit(0)
        check(good.out == ["welcome"], f"a welcome: {good.out}")
        refused(scene.node("ward-1", "--check"), PEER, "this node's key is not on the coordinator's roster", "stranger")
        key = f"coordinator_key={scene.public['ward-1']}"
        refused(scene.node("ward-0", "--check", "--set", key), PEER, "does not hold the key that coordinator_key names",
                "wrong coordinator key")
        refused(scene.node("ward-0", "--check", "--set", "clients.first=9"), PEER,
                "the coordinator refused this node: the roster does not give it the clients that it names", "others' clients")


def a_node_whose_data_do_not_fit_the_task_stops_before_any_round():
    with Bad() as scene:
        scene.task["model"] = TABLE
        scene.task["data"] = None
        scene.coordinator().wait_event("start")
        table = scene.write("ward.csv", b"age,dose,state\n41,0.5,sick\n62,0.5,Sick\n")
        client = json.loads((scene.dir / "ward-0.yaml").read_text())
        client["data"] = {"format": "csv", "train": str(table), "label": "state"}
        (scene.dir / "ward-0.yaml").write_text(json.dumps(client))
        sentence = r'ward.csv:3: column 3 \(state\): label "Sick" found, but model.classes allows only well, sick'
        refused(scene.node("ward-0", "--check"), DATA, sentence, "check")
        refused(scene.node("ward-0"), DATA, sentence, "another label")
        table.write_bytes(b"age,state\n41,sick\n")
        refused(scene.node("ward-0"), DATA, "ward.csv: 1 features an example found .*, but the model takes 2", "other columns")
        check(scene.sent("ward-0") == [], "something was sent")
        table.write_bytes(b"age,dose,state\n41,0.5,sick\n62,0.5,well\n")
        good = scene.node("ward-0", "--check")
        good.wait_exit(0)


def root_is_refused_unless_allowed():
    if os.geteuid() != 0:
        return
    with Bad() as scene:
        scene.coordinator("--set", "nope=1").wait_exit(CONFIG)
        sentence = "refuses to run as root: start it as its own user, or add --allow-root"
        refused(scene.start("fedavg-coordinator", scene.task_path, "--run-dir", scene.run_dir), CONFIG, sentence, "coordinator")
        refused(scene.start("fedavg-client", scene.dir / "ward-0.yaml"), CONFIG, sentence, "client")
        check(tree(scene.run_dir) is None and not (scene.dir / "ward-0.state").exists(), "something was written")


main(simulate_says_what_is_wrong_once, a_coordinator_says_what_is_wrong_and_leaves_nothing,
     what_is_wrong_with_examples_is_said_with_its_place, a_test_file_with_its_columns_in_another_order_is_refused,
     a_command_line_that_is_wrong_is_answered_with_the_usage,
     who_stops_reading_the_log_does_not_end_a_daemon, kernels_that_do_not_exist_are_refused, what_is_wrong_with_a_file_is_said_with_its_line,
     a_key_file_that_is_not_a_secret_is_refused, a_roster_with_a_mistake_is_refused, an_address_that_is_taken_is_named,
     a_run_directory_is_not_taken_from_its_owner, a_directory_that_cannot_be_written_is_named, a_node_says_what_is_wrong,
     a_check_tells_an_owner_whether_the_coordinator_welcomes_the_node,
     a_node_whose_data_do_not_fit_the_task_stops_before_any_round, root_is_refused_unless_allowed)
