"""What the house tests share: a temporary directory with a cut of MNIST and small tasks, and programs run in it.

A test waits for events (JSON lines, log lines, the end of a process), never for time; PATIENCE only bounds how long a
broken program can hold it up. FEDAVG_BIN names the folder of the programs, FEDAVG_TEST_DATA a folder with MNIST or
Fashion-MNIST (default: data/mnist, then data/fashion-mnist, of this checkout).
"""
import contextlib
import copy
import ctypes
import gzip
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

PATIENCE = int(os.environ.get("FEDAVG_PATIENCE", 300))  # seconds; a machine that is busy with other things must not fail a test
SKIPPED = 77
ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("FEDAVG_BIN", ROOT / "build" / "release" / "bin")).resolve()
LONG = os.environ.get("FEDAVG_LONG") == "1"
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)

# The keys that the interface promises, by event (fedavg-simulate(1)).
START_KEYS = {"event", "build", "libraries", "kernels", "reproducible", "cpu", "run_id", "task_digest"}
ROUND_KEYS = {"event", "round", "attempt", "clients", "loss", "accuracy", "seconds", "train_seconds", "bytes_down",
              "bytes_up", "model"}
DONE_KEYS = {"event", "rounds", "accuracy", "loss", "target_round", "seconds", "model", "peak_rss_mb"}


class Failed(Exception):
    """The claim does not hold; the text says what was found instead."""


def check(holds, text):
    if not holds:
        raise Failed(text)


def skip(text):
    print(f"skipped: {text}")
    sys.exit(SKIPPED)


def not_tried(text):
    """A claim of several that cannot be looked at here: the test goes on, and deploy/test --long lists these lines."""
    print(f"not tried: {text}", flush=True)


# -- data --------------------------------------------------------------------------------------------------------------

NAMES = {"train": "train", "test": "t10k"}


def find_source():
    """The folder of the data, or the end of the test with a sentence."""
    given = os.environ.get("FEDAVG_TEST_DATA")
    folders = [pathlib.Path(given)] if given else [ROOT / "data" / "mnist", ROOT / "data" / "fashion-mnist"]
    for folder in folders:
        if all(find_file(folder, stem) for stem in stems()):
            return folder
    return skip(f"no MNIST in {' or '.join(map(str, folders))}; `deploy/get-data mnist` fetches it")


def stems():
    return [f"{name}-{kind}" for name in NAMES.values() for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")]


def find_file(folder, stem):
    for path in (folder / stem, folder / f"{stem}.gz"):
        if path.exists():
            return path
    return None


def cut_idx(source, target, n):
    """The first n examples of an IDX file, plain or gzip, as a plain IDX file."""
    with (gzip.open if source.suffix == ".gz" else open)(source, "rb") as file:
        magic = file.read(4)
        shape = struct.unpack(f">{magic[3]}I", file.read(4 * magic[3]))
        size = n
        for extent in shape[1:]:
            size *= extent
        body = file.read(size)
    check(len(body) == size, f"{source} holds fewer than {n} examples")
    target.write_bytes(magic + struct.pack(f">{len(shape)}I", n, *shape[1:]) + body)


# -- processes ---------------------------------------------------------------------------------------------------------


class Process:
    """A program of ours: its JSON lines are events, its standard error is a log."""

    def __init__(self, arguments, env=None, cwd=None, limits=()):
        def before_exec():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            for which, soft, hard in limits:
                import resource
                resource.setrlimit(which, (soft, hard))

        self.arguments = [str(argument) for argument in arguments]
        self.child = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, env={**os.environ, **(env or {})}, cwd=cwd,
                                      preexec_fn=before_exec, start_new_session=True)
        self.pid = self.child.pid
        self.out, self.log, self.parsed = [], [], []
        self.changed = threading.Condition()
        self.open = 2
        self.readers = [threading.Thread(target=self._read, args=pair, daemon=True)
                        for pair in ((self.child.stdout, self.out), (self.child.stderr, self.log))]
        for reader in self.readers:
            reader.start()

    def _read(self, stream, lines):
        for line in stream:
            with self.changed:
                lines.append(line.decode(errors="replace").rstrip("\n"))
                self.changed.notify_all()
        stream.close()
        with self.changed:
            self.open -= 1
            self.changed.notify_all()

    def __str__(self):
        tail = "\n    ".join(self.log[-12:])
        return f"{' '.join(self.arguments)}\n    {tail}"

    def events(self):
        """Each line is parsed once: a fast run says thousands, and is held up by whoever does not read them."""
        with self.changed:
            self.parsed.extend(json.loads(line) for line in self.out[len(self.parsed):])
            return list(self.parsed)

    def wait(self, holds, what):
        """Returns holds() as soon as it is true."""
        end = time.monotonic() + PATIENCE
        with self.changed:
            while not (found := holds()):
                left = end - time.monotonic()
                if left <= 0 or (self.open == 0 and not holds()):
                    raise Failed(f"waited in vain for {what}: {self}")
                self.changed.wait(left)
            return found

    def wait_event(self, kind, **wanted):
        """The first event of this kind with these values."""
        def find():
            for event in self.events():
                if event["event"] == kind and all(event.get(key) == value for key, value in wanted.items()):
                    return event
            return None
        return self.wait(find, f"event {kind} {wanted}")

    def wait_log(self, text, count=1):
        return self.wait(lambda: sum(text in line for line in list(self.log)) >= count, f'"{text}" in the log')

    def wait_exit(self, code=0):
        try:
            found = self.child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failed(f"still running: {self}") from None
        for reader in self.readers:
            reader.join(PATIENCE)
        check(code is None or found == code, f"exit code {found}, not {code}: {self}")
        return found

    def rounds(self):
        """The committed rounds that it has told of."""
        return [event for event in self.events() if event["event"] == "round"]

    def wait_next_round(self):
        """A round that was not yet told of now."""
        n = len(self.rounds())
        return self.wait(lambda: self.rounds()[n:], "one more round")[0]

    def said(self, text):
        return any(text in line for line in list(self.log))

    def signal(self, number):
        self.child.send_signal(number)

    def stop(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        for reader in self.readers:
            reader.join(PATIENCE)


def children(pid, name):
    """The processes that pid (None: anybody) has started whose command line holds this text."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            child = int(entry.name)
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if pid in (None, int(fields[1])) and fields[0] != "Z" and name in (entry / "cmdline").read_text():
                found.append(child)
    return found


def at_work(pid):
    """Whether any thread of the process is: one that is killed may still be in the middle of a write when its first thread is
    gone, and with it the name and the command line of the process."""
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            if task.read_text().rpartition(")")[2].split()[0] not in "ZX":
                return True
    return False


HELD = []  # bound, never listening: they keep these ports from everybody who asks for any


def free_ports(n):
    """Ports of 127.0.0.1 for programs of this test, which ask for them by number and with SO_REUSEADDR."""
    for holder in [socket.socket() for _ in range(n)]:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        HELD.append(holder)
    return [holder.getsockname()[1] for holder in HELD[-n:]]


def free_pair():
    """A port whose successor is free too."""
    while True:
        first, second = socket.socket(), socket.socket()
        for holder in (first, second):
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        first.bind(("127.0.0.1", 0))
        port = first.getsockname()[1]
        with contextlib.suppress(OSError, OverflowError):
            second.bind(("127.0.0.1", port + 1))
            HELD.extend((first, second))
            return port


def free_port():
    return free_ports(1)[0]


# -- the scene ---------------------------------------------------------------------------------------------------------

NODE_LIMITS = {"max_epochs": 1000, "max_train_s": 3600, "max_model_mb": 64, "memory_mb": 512}


class Scene:
    """A directory of its own, removed at the end, and everything that was started in it."""

    def __init__(self, train=2000, test=500):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="fedavg-house-"))
        self.processes = []
        source = find_source()
        for name, n in (("train", train), ("test", test)):
            for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
                cut_idx(find_file(source, f"{NAMES[name]}-{kind}"), self.dir / f"{name}-{kind}", n)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
        for process in self.processes:  # a program that is restarted would hide what a sanitizer has found
            found = [line for line in process.log if "Sanitizer: " in line or "runtime error: " in line]
            check(not found, f"{found}: {process}")

    def files(self, name):
        return {"images": str(self.dir / f"{name}-images-idx3-ubyte"), "labels": str(self.dir / f"{name}-labels-idx1-ubyte")}

    def task(self, name="task", hidden=32, clients=10, partition=None, **sections):
        """Writes a task and returns its path; the sections' values replace those below. JSON is YAML."""
        task = {
            "schema": 1,
            "name": name,
            "seed": 7,
            "model": {"input": 784, "layers": [{"units": hidden, "activation": "relu"}] * (hidden > 0) + [{"units": 10}]},
            "data": {"format": "idx", "train": self.files("train"), "test": self.files("test"),
                     "partition": {"kind": "iid", "clients": clients, **(partition or {})}},
            "algorithm": {"rounds": 5, "fraction": 0.5, "epochs": 1, "batch_size": 10, "learning_rate": 0.1},
            "round": {},
            "hygiene": {},
            "server": {},
            "limits": {},
        }
        for section, values in sections.items():
            task[section].update(values)
        path = self.dir / f"{name}.yaml"
        path.write_text(json.dumps(copy.deepcopy(task), indent=1))
        return path

    def start(self, program, *arguments, before=(), **options):
        """before: words in front of the program, such as nsenter's."""
        process = Process([*before, BIN / program, *arguments], **options)
        self.processes.append(process)
        return process

    def simulate(self, task, run, *arguments, nodes=1, threads=1, env=None):
        """Starts `fedavg simulate --json` in the run directory `run` of the scene."""
        return self.start("fedavg", "simulate", task, "--run-dir", self.dir / run, "--nodes", nodes, "--threads", threads,
                          "--json", *arguments, env=env)

    def result(self, *arguments, **options):
        """Simulates to the end."""
        process = self.simulate(*arguments, **options)
        process.wait_exit(0)
        return Result(process)

    def command(self, *arguments):
        """Runs `fedavg ...` to its end and returns what it printed."""
        process = self.start("fedavg", *arguments)
        process.wait_exit(0)
        return "\n".join(process.out)

    def replay(self, task, run):
        """Checks that the committed models are what the admitted sets in run.db give; returns what it said."""
        return self.command("replay", self.dir / run, "--task", task)

    def until(self, holds):
        """For what no line tells: asks again and again, a breath apart."""
        end = time.monotonic() + PATIENCE
        while not holds():
            check(time.monotonic() < end, "waited in vain for a state that no line tells")
            time.sleep(0.02)


class Result:
    """What a run that is done has said: models by round, and the last event."""

    def __init__(self, process):
        events = process.events()
        check(events and events[-1]["event"] == "done", f"the last line is not done: {process}")
        self.process = process
        self.first, self.done = events[0], events[-1]
        self.rounds = process.rounds()
        self.models = {event["round"]: event["model"] for event in self.rounds}


class Daemons:
    """The coordinator and its nodes started by hand: keys, roster, one CLIENT.yaml a node.

    nodes: a list of (first client, count, workers); ranges may overlap only in simulation, so here they do not.
    where: the endpoint to connect to, and those to bind for control and bulk; over ipc where None."""

    def __init__(self, scene, task, nodes, sums=True, name="daemons", where=None):
        self.scene, self.dir = scene, scene.dir / name
        target, control, bulk = where or (f"ipc://{self.dir}/control", f"ipc://{self.dir}/control", f"ipc://{self.dir}/bulk")
        self.dir.mkdir()
        self.task = json.loads(task.read_text())
        coordinator_line = scene.command("keygen", "coordinator", "--dir", self.dir)
        for i, (first, count, workers) in enumerate(nodes):
            line = scene.command("keygen", f"node-{i}", "--dir", self.dir)
            ids = f"{first}-{first + count - 1}" if count > 1 else str(first)
            scene.command("roster", "add", f"node-{i}", line, "--clients", ids, "--file", self.dir / "roster",
                          *(["--partial-sums"] if sums else []))
            client = {
                "schema": 1,
                "coordinator": target,
                "coordinator_key": coordinator_line,
                "key": f"node-{i}.key",
                "data": {"format": "idx", "train": self.task["data"]["train"], "partition": self.task["data"]["partition"]},
                "seed": self.task["seed"],
                "clients": {"first": first, "count": count},
                "workers": workers,
                "limits": NODE_LIMITS,
                "state_dir": f"state-{i}",
            }
            (self.dir / f"node-{i}.yaml").write_text(json.dumps(client, indent=1))
        self.task["server"].update(control=control, bulk=bulk, roster=str(self.dir / "roster"), key=str(self.dir / "coordinator.key"))
        self.task["round"].setdefault("min_reports", 1.0)
        self.task_path = self.dir / "task.yaml"
        self.task_path.write_text(json.dumps(self.task, indent=1))

    def coordinator(self, run, *arguments, **options):
        return self.scene.start("fedavg-coordinator", self.task_path, "--run-dir", self.scene.dir / run, "--allow-root", "--json",
                                *arguments, **options)

    def node(self, i, *arguments, program="fedavg-client", **options):
        return self.scene.start(program, self.dir / f"node-{i}.yaml", *arguments, "--allow-root", **options)


# -- the test ----------------------------------------------------------------------------------------------------------


def main(*claims):
    """Runs each claim (a function whose name reads as one) and says how it went."""
    chosen = [claim for claim in claims if len(sys.argv) < 2 or claim.__name__ in sys.argv[1:]]
    failures = 0
    for claim in chosen:
        started = time.monotonic()
        try:
            claim()
            verdict = "holds"
        except Failed as failure:
            failures += 1
            verdict = f"FAILED: {failure}"
        print(f"{claim.__name__} ({time.monotonic() - started:.1f} s): {verdict}", flush=True)
    sys.exit(1 if failures else 0)
