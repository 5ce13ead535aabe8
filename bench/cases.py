"""What bench/run and bench/memory measure: each case is a task for `fedavg simulate` and the same work for
bench/torch_fedavg.py. Only what both need lives here."""
import contextlib
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
MNIST = os.path.join(ROOT, "data/mnist")
ROLES, CHARACTERS = 10, 3000  # of the char-LSTM's case: clients, and what each one trains on

IMAGES = """data:
  format: idx
  train: {{images: {mnist}/train-images-idx3-ubyte, labels: {mnist}/train-labels-idx1-ubyte}}
  test: {{images: {mnist}/t10k-images-idx3-ubyte, labels: {mnist}/t10k-labels-idx1-ubyte}}
  partition: {{kind: iid, clients: {clients}}}"""
TEXTS = """data: {{format: roles, train: {roles}, unroll: 80, partition: {{kind: natural}}}}"""
TASK = """schema: 1
name: bench
seed: 1
model: {{preset: {preset}}}
{data}
algorithm: {{kind: fedavg, rounds: {rounds}, fraction: {fraction}, epochs: {epochs}, batch_size: {batch}, learning_rate: {rate}}}
"""


class Case:
    """whole: the measure is all rounds of a run together, not one of them. bar: ours is to be that many times faster than
    PyTorch, or, of whole runs, to take at most that many seconds. rounds: of one run of ours and one of PyTorch."""

    def __init__(self, name, title, preset, torch_model, rounds, bar, clients=100, fraction=0.1, epochs=1, rate=0.1,
                 whole=False):
        self.name, self.title, self.preset, self.torch_model = name, title, preset, torch_model
        self.rounds, self.bar, self.clients, self.fraction = rounds, bar, clients, fraction
        self.epochs, self.batch, self.rate, self.whole = epochs, 10, rate, whole

    def task(self, path, rounds, roles):
        """Writes the task file."""
        data = TEXTS.format(roles=roles) if self.torch_model == "charlstm" else \
            IMAGES.format(mnist=MNIST, clients=self.clients)
        with open(path, "w") as file:
            file.write(TASK.format(preset=self.preset, data=data, rounds=rounds, fraction=self.fraction,
                                   epochs=self.epochs, batch=self.batch, rate=self.rate))

    def torch_arguments(self, rounds, roles):
        data = ["--roles", roles] if self.torch_model == "charlstm" else \
            ["--images", MNIST, "--clients", str(self.clients)]
        return [self.torch_model] + data + ["--fraction", str(self.fraction), "--epochs", str(self.epochs), "--batch",
                                            str(self.batch), "--rate", str(self.rate), "--rounds", str(rounds)]


CASES = [
    Case("2nn", "2NN on MNIST, 10 of 100 clients, E = 1, B = 10", "mnist_2nn", "2nn", (21, 9), 5.0),
    Case("2nn-e5", "2NN on MNIST, 10 of 100 clients, E = 5, B = 10", "mnist_2nn", "2nn", (9, 4), 10.0, epochs=5),
    Case("cnn", "CNN on MNIST, 10 of 100 clients, E = 1, B = 10", "mnist_cnn", "cnn", (4, 3), 1.4),
    Case("charlstm", "char-LSTM, 10 roles of 3000 characters, E = 1, B = 10, unroll 80", "char_lstm", "charlstm", (6, 4),
         4.0, fraction=1.0),
    Case("logistic", "softmax regression on MNIST, 10 of 1000 clients, E = 1, B = 10, 100 rounds together", "logistic",
         "logistic", (100, 100), 2.0, clients=1000, fraction=0.01, whole=True),
]


def chosen(names, program):
    """The cases of these names; all, if there are none."""
    known = {case.name: case for case in CASES}
    for name in names:
        if name not in known:
            sys.exit(f"{program}: {name}: no such case; there are {', '.join(known)}")
    return [known[name] for name in names] or CASES


def check(cases, build, program):
    """Ends the program, saying what to do, where something is missing."""
    if not os.path.exists(os.path.join(build, "bin/fedavg")):
        sys.exit(f"{program}: no programs in {build}; build first: deploy/build release")
    if any(case.torch_model != "charlstm" for case in cases) and not os.path.isdir(MNIST):
        sys.exit(f"{program}: no MNIST in {MNIST}; fetch it first: deploy/get-data mnist")


def read_text(path):
    """The file's newlines and printable ASCII; without a file the plays, if they are there, else this project's documents."""
    folder = os.path.join(ROOT, "data/shakespeare")
    if path is not None:
        if not os.path.isfile(path):
            sys.exit(f"bench: {path}: no such file (--text)")
        paths = [path]
    elif os.path.isdir(folder):
        paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".txt")]
    else:
        names = subprocess.run(["git", "-C", ROOT, "ls-files", "*.md", "*.scd", "LICENSE"], stdout=subprocess.PIPE, text=True,
                               check=True).stdout.split()
        paths = [os.path.join(ROOT, name) for name in names]
    text = b"".join(open(path, "rb").read() for path in paths)
    lines = [line for line in text.split(b"\n") if not line.startswith(b"\f")]
    return bytes(c for c in b"\n".join(lines) if c == 10 or 32 <= c < 127)


def write_roles(path, text_path):
    """Cuts the text into roles whose first 80 % of lines are exactly CHARACTERS characters long."""
    lines = read_text(text_path).splitlines(keepends=True)
    with open(path, "wb") as file:
        for role in range(ROLES):
            file.write(b"\frole %d\n" % (role + 1))
            train, n = [], 0
            while n < CHARACTERS:
                if not lines:
                    sys.exit(f"bench: the text is too short for {ROLES} roles of {CHARACTERS} characters")
                line = lines.pop(0)
                train.append(line if n + len(line) <= CHARACTERS else line[:CHARACTERS - n - 1] + b"\n")
                n += len(train[-1])
            test = [lines.pop(0) for _ in range(-(-len(train) // 4)) if lines]
            assert (len(train) + len(test)) * 8 // 10 == len(train)
            file.write(b"".join(train + test))


@contextlib.contextmanager
def workspace(wanted, text_path):
    """A directory for the time of a measurement, and in it the roles, if a case wants them."""
    with tempfile.TemporaryDirectory(prefix="fedavg-bench-") as scratch:
        roles = os.path.join(scratch, "roles.txt")
        if any(case.torch_model == "charlstm" for case in wanted):
            write_roles(roles, text_path)
        yield scratch, roles
