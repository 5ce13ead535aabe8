"""The operator's and the owners' scene: a coordinator and nodes started by hand over tcp://127.0.0.1, each node hosting one
client with data files of its own, as `fedavg keygen` and `fedavg roster` set them up."""
import gzip
import json
import re
import signal
import struct

import house
from house import check

IMAGE_BYTES = 28 * 28


# -- data --------------------------------------------------------------------------------------------------------------


def examples(kind, first, count):
    """Images and labels [first, first + count) of MNIST's train or test."""
    source, cut = house.find_source(), []
    for what, head, size in (("images-idx3", 16, IMAGE_BYTES), ("labels-idx1", 8, 1)):
        path = house.find_file(source, f"{house.NAMES[kind]}-{what}-ubyte")
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            file.seek(head + first * size)
            cut.append(file.read(count * size))
        check(len(cut[-1]) == count * size, f"{path} holds fewer than {first + count} examples")
    return cut


def images_file(images):
    return struct.pack(">IIII", 0x803, len(images) // IMAGE_BYTES, 28, 28) + images


def labels_file(labels):
    return struct.pack(">II", 0x801, len(labels)) + labels


# -- what a process says -----------------------------------------------------------------------------------------------


def mark(process):
    """Where the log stands now: what is waited for from here on is news."""
    return len(process.log)


def wait_said(process, pattern, since=0):
    """The match of the first line of the log from `since` on in which the pattern is found."""
    expression = re.compile(pattern)
    return process.wait(lambda: next(filter(None, map(expression.search, list(process.log)[since:])), None), f"/{pattern}/")


def wait_round(process, holds=lambda event: True):
    """The first committed round for which this holds."""
    return process.wait(lambda: next((e for e in process.events() if e["event"] == "round" and holds(e)), None), "a round")


# -- the scene ---------------------------------------------------------------------------------------------------------


class Scene(house.Scene):
    """A coordinator's directory and those of its nodes, with their keys, in one place."""

    def __init__(self, preset="logistic", rounds=3, epochs=1, **rules):
        super().__init__(train=1, test=100)
        self.control, self.bulk = house.free_port(), house.free_port()
        self.run_dir, self.roster, self.task_path = self.dir / "run", self.dir / "roster", self.dir / "task.yaml"
        self.public = {"coordinator": self.keygen("coordinator")}
        self.task = {
            "schema": 1, "name": "wards", "seed": 7, "model": {"preset": preset},
            "data": {"format": "idx", "test": self.files("test")},
            "algorithm": {"rounds": rounds, "fraction": 1, "epochs": epochs, "batch_size": 10, "learning_rate": 0.05},
            "round": {"min_reports": 1, **rules},
            "server": {"control": f"tcp://127.0.0.1:{self.control}", "bulk": f"tcp://127.0.0.1:{self.bulk}",
                       "roster": str(self.roster), "key": str(self.dir / "coordinator.key")},
        }

    def keygen(self, name):
        line = self.command("keygen", name, "--dir", self.dir)
        check((self.dir / f"{name}.pub").read_text() == line + "\n", "the public line printed is the one filed")
        return line

    def edit_roster(self, *arguments):
        return self.command("roster", *arguments, "--file", self.roster)

    def enrol(self, name, client):
        return self.edit_roster("add", name, self.public[name], "--clients", client)

    def write_cut(self, name, first, count, zipped=False):
        """NAME-images and NAME-labels: examples [first, first + count) of the training set."""
        paths = {}
        for what, pack, cut in zip(("images", "labels"), (images_file, labels_file), examples("train", first, count)):
            path = self.dir / f"{name}-{what}{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(pack(cut), 1) if zipped else pack(cut))
            paths[what] = str(path)
        return paths

    def add_node(self, name, client, count, enrolled=True, zipped=False, **limits):
        """Keys, a cut of its own, a client file, and (unless told otherwise) an entry on the roster."""
        self.public[name] = self.keygen(name)
        if enrolled:
            self.enrol(name, client)
        self.write_client(name, client, self.write_cut(name, 1000 * client, count, zipped), **limits)

    def write_client(self, name, client, train, key=None, **limits):
        (self.dir / f"{name}.yaml").write_text(json.dumps({
            "schema": 1, "coordinator": f"tcp://127.0.0.1:{self.control}", "coordinator_key": self.public["coordinator"],
            "key": key or f"{name}.key", "data": {"format": "idx", "train": train}, "clients": {"first": client},
            "limits": limits, "state_dir": f"{name}.state"}, indent=1))

    def coordinator(self, *arguments, run_dir=None, **options):
        self.task_path.write_text(json.dumps(self.task, indent=1))
        return self.start("fedavg-coordinator", self.task_path, "--run-dir", run_dir or self.run_dir, "--json",
                          "--allow-root", *arguments, **options)

    def node(self, name, *arguments, **options):
        return self.start("fedavg-client", self.dir / f"{name}.yaml", "--allow-root", *arguments, **options)

    def sent(self, name):
        path = self.dir / f"{name}.state" / "sent.log"
        return path.read_text().splitlines() if path.exists() else []


def stop(process, code=0):
    """As an operator stops a daemon."""
    process.signal(signal.SIGTERM)
    process.wait_exit(code)
