"""The operator's scene: a coordinator and nodes as real processes over tcp://127.0.0.1, each with files of its own.

Everything waits for a line that a process says or for its end, with a generous bound; nothing waits for time to pass.
The programs lie in FEDAVG_BIN, MNIST (plain IDX or gz) in FEDAVG_TEST_DATA or data/mnist; without data a test is skipped.
"""
import gzip
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("FEDAVG_BIN", ROOT / "build" / "release" / "bin"))
DATA = pathlib.Path(os.environ.get("FEDAVG_TEST_DATA", ROOT / "data" / "mnist"))
BOUND_S = 90  # for one event; a sanitizer on a busy machine stays far below it
SKIPPED = 77

IMAGE_BYTES = 28 * 28


class Failed(Exception):
    pass


def check(condition, claim):
    if not condition:
        raise Failed(claim)


# -- data -----------------------------------------------------------------------------------------------------------------

def _open(name):
    for path, opener in ((DATA / name, open), (DATA / (name + ".gz"), gzip.open)):
        if path.exists():
            return opener(path, "rb")
    print(f"skipped: no {name} in {DATA} (deploy/get-data mnist)")
    sys.exit(SKIPPED)


def examples(kind, first, count):
    """Images and labels [first, first + count) of MNIST's 'train' or 't10k'."""
    with _open(f"{kind}-images-idx3-ubyte") as f:
        f.read(16 + first * IMAGE_BYTES)
        images = f.read(count * IMAGE_BYTES)
    with _open(f"{kind}-labels-idx1-ubyte") as f:
        f.read(8 + first)
        labels = f.read(count)
    check(len(images) == count * IMAGE_BYTES and len(labels) == count, f"{DATA} holds {first + count} examples")
    return images, labels


def images_file(images):
    return struct.pack(">IIII", 0x803, len(images) // IMAGE_BYTES, 28, 28) + images


def labels_file(labels):
    return struct.pack(">II", 0x801, len(labels)) + labels


def write_cut(folder, name, kind, first, count, zipped=False):
    """NAME-images and NAME-labels in folder, as the paths that a YAML file names."""
    images, labels = examples(kind, first, count)
    paths = []
    for what, content in (("images", images_file(images)), ("labels", labels_file(labels))):
        path = pathlib.Path(folder) / f"{name}-{what}{'.gz' if zipped else ''}"
        path.write_bytes(gzip.compress(content, 1) if zipped else content)
        paths.append(path)
    return paths


# -- processes ------------------------------------------------------------------------------------------------------------

class Process:
    """A program whose lines on stdout and stderr are kept and can be waited for."""

    def __init__(self, name, arguments, **options):
        self.name = name
        self.lines = []
        self.heard = threading.Condition()
        self.child = subprocess.Popen([str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, errors="replace", **options)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.child.stdout:
            with self.heard:
                self.lines.append(line.rstrip("\n"))
                self.heard.notify_all()
        with self.heard:
            self.lines.append(None)  # nothing more will come
            self.heard.notify_all()

    @property
    def pid(self):
        return self.child.pid

    def mark(self):
        """Where the lines stand now: what is waited for from here on is news."""
        with self.heard:
            return len(self.lines)

    def wait_for(self, pattern, since=0):
        """The match of the first line from `since` on that pattern is found in."""
        expression, deadline, at = re.compile(pattern), time.monotonic() + BOUND_S, since
        with self.heard:
            while True:
                for line in self.lines[at:]:
                    at += 1
                    if line is None:
                        raise Failed(f"{self.name} ended without saying /{pattern}/")
                    if found := expression.search(line):
                        return found
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Failed(f"{self.name} did not say /{pattern}/ within {BOUND_S} s")
                self.heard.wait(left)

    def said(self, pattern, since=0):
        with self.heard:
            return [line for line in self.lines[since:] if line is not None and re.search(pattern, line)]

    def send(self, number):
        self.child.send_signal(number)

    def wait(self):
        """The exit code, after the last line was read; negative: the signal that ended it."""
        try:
            code = self.child.wait(BOUND_S)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} did not end within {BOUND_S} s") from None
        self.reader.join(BOUND_S)
        return code

    def stop(self, number=signal.SIGTERM):
        self.send(number)
        return self.wait()


def run(*arguments, **options):
    """A program that ends by itself: (exit code, stdout, stderr)."""
    done = subprocess.run([str(a) for a in arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", timeout=BOUND_S, **options)
    return done.returncode, done.stdout, done.stderr


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# -- the scene ------------------------------------------------------------------------------------------------------------

TASK = """schema: 1
name: scene
seed: 7
model: {{preset: {model}}}
data:
  format: idx
  test: {{images: {test[0]}, labels: {test[1]}}}
algorithm: {{kind: fedavg, rounds: {rounds}, fraction: 1, epochs: {epochs}, batch_size: 10, learning_rate: 0.05}}
round: {{min_reports: {min_reports}, rejoin_s: {rejoin_s}, deadline_s: 60}}
server: {{control: "tcp://127.0.0.1:{control}", bulk: "tcp://127.0.0.1:{bulk}", roster: roster, key: coordinator.key}}
"""

CLIENT = """schema: 1
coordinator: tcp://127.0.0.1:{control}
coordinator_key: {coordinator_key}
key: {key}
data: {{format: idx, train: {{images: {images}, labels: {labels}}}}}
clients: {{first: {client}}}
limits: {{max_epochs: {max_epochs}}}
state_dir: {state}
"""


class Scene:
    """A temporary directory with keys, roster, task and client files; ends what it started."""

    def __init__(self, model="logistic", rounds=3, epochs=1, min_reports=1, rejoin_s=30):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="fedavg-house."))
        self.processes = []
        self.control, self.bulk = free_port(), free_port()
        self.run_dir, self.task, self.roster = self.dir / "run", self.dir / "task.yaml", self.dir / "roster"
        self.public = {"coordinator": self.keygen("coordinator")}
        self.task.write_text(TASK.format(model=model, test=write_cut(self.dir, "test", "t10k", 0, 100), rounds=rounds,
                                         epochs=epochs, min_reports=min_reports, rejoin_s=rejoin_s, control=self.control,
                                         bulk=self.bulk))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        for process in self.processes:
            if process.child.poll() is None:
                process.child.kill()
                process.child.wait()
        if error is not None:
            for process in self.processes:
                process.reader.join(BOUND_S)
                print(f"--- {process.name}", *[line for line in process.lines if line is not None], sep="\n")
        shutil.rmtree(self.dir)

    def keygen(self, name):
        code, out, err = run(BIN / "fedavg", "keygen", name, "--dir", self.dir)
        check(code == 0, f"fedavg keygen {name}: {err}")
        check((self.dir / f"{name}.pub").read_text() == out, "the public line printed is the one filed")
        return out.strip()

    def edit_roster(self, *arguments):
        code, out, err = run(BIN / "fedavg", "roster", *arguments, "--file", self.roster)
        check(code == 0, f"fedavg roster {' '.join(arguments)}: {err}")
        return out

    def add_node(self, name, client, examples, enrolled=True, max_epochs=20, zipped=False):
        """Keys, a cut of MNIST of its own, a client file, and (unless told otherwise) an entry on the roster."""
        self.public[name] = self.keygen(name)
        if enrolled:
            self.enrol(name, client)
        images, labels = write_cut(self.dir, name, "train", 1000 * client, examples, zipped)
        self.write_client(name, client, images, labels, max_epochs)

    def enrol(self, name, client):
        return self.edit_roster("add", name, self.public[name], "--clients", str(client))

    def write_client(self, name, client, images, labels, max_epochs=20):
        (self.dir / f"{name}.yaml").write_text(CLIENT.format(
            control=self.control, coordinator_key=self.public["coordinator"], key=f"{name}.key", images=images,
            labels=labels, client=client, max_epochs=max_epochs, state=f"{name}.state"))

    def start(self, name, *arguments, **options):
        process = Process(name, arguments, **options)
        self.processes.append(process)
        return process

    def start_coordinator(self, *more):
        return self.start("coordinator", BIN / "fedavg-coordinator", self.task, "--run-dir", self.run_dir, "--json",
                          "--allow-root", *more)

    def start_node(self, name, *more):
        return self.start(name, BIN / "fedavg-client", self.dir / f"{name}.yaml", "--allow-root", *more)

    def sent(self, name):
        path = self.dir / f"{name}.state" / "sent.log"
        return path.read_text().splitlines() if path.exists() else []


def main(tests):
    """Runs the tests in order; the first that fails ends the program."""
    for test in tests:
        started = time.monotonic()
        try:
            test()
        except Failed as failure:
            print(f"FAILED {test.__name__}: {failure}")
            sys.exit(1)
        print(f"ok {test.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
