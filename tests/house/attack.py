"""Attacks on a coordinator that works for honest nodes, over TCP on this machine: what the test hostile.py asserts in small
and bench/hostile measures in full.

An attack is by strangers (tests/faults/attacker.c) or by an enrolled node (lying_node.c), and a run is the same honest work
without it or with it. FEDAVG_ATTACKER and FEDAVG_LYING_NODE name the programs."""
import json
import os
import signal
import subprocess
import time

import house
from house import free_ports

ATTACKER = os.environ.get("FEDAVG_ATTACKER", "attacker")
LYING_NODE = os.environ.get("FEDAVG_LYING_NODE", "lying_node")
HANDSHAKE_S = 0.0006  # what a CURVE handshake may cost; there is no way to refuse a key before it
TICKS = os.sysconf("SC_CLK_TCK")

# Of strangers: what attacker.c is told. The last is all of them at once.
STRANGERS = {
    "idle": ["idle=2000"],
    "dribble": ["dribble=500"],
    "keys": ["keys=50"],
    "garbage": ["garbage=100"],
    "oversize": ["oversize=2"],
}
STRANGERS["strangers"] = [word for words in list(STRANGERS.values()) for word in words]
# Of a node on the roster: the lie that it tells over and over.
ENROLLED = ["flood_hello", "flood_status", "flood_offer", "flood_garbage", "flood_get", "flood_get_beyond", "flood_get_deaf",
            "flood_chunks"]
NAMES = list(STRANGERS) + ENROLLED
DAMAGED = ["cut_everywhere", "flip_everywhere"]  # messages cut at every byte, with every bit flipped; a volley a round


class TcpDaemons(house.Daemons):
    """Like Daemons, but over TCP. The last node's clients are the liar's."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.ports = free_ports(2)
        self.task["server"].update(control=f"tcp://127.0.0.1:{self.ports[0]}", bulk=f"tcp://127.0.0.1:{self.ports[1]}")
        self.task_path.write_text(json.dumps(self.task, indent=1))
        for path in self.dir.glob("node-*.yaml"):
            node = json.loads(path.read_text())
            node["coordinator"] = self.task["server"]["control"]
            path.write_text(json.dumps(node, indent=1))
        self.line = (self.dir / "coordinator.pub").read_text().strip()


class Attacker:
    """Strangers at work."""

    def __init__(self, daemons, words):
        self.child = subprocess.Popen([ATTACKER, *map(str, daemons.ports), daemons.line, *words], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        house.check(self.child.stdout.readline() == "ready\n", "the attacker does not start")

    def stop(self):
        """Ends it and returns what it did."""
        out, _ = self.child.communicate("")
        return json.loads(out)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mb(pid, key="VmHWM"):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(key + ":"))


def run(scene, name, attack, rounds, clients=20, nodes=4, warm_up=4, hidden=200, limits=None, until=()):
    """One run, with this attack or (None) without: then the enrolled liar only declines. Every client is picked and one may
    be missing, so the models are those of the honest clients, whatever the liar does. One node is stopped in the first round
    until the log holds each of these texts. Returns the run's figures."""
    task = scene.task(name, hidden=hidden, clients=clients + 1,
                      algorithm={"rounds": rounds, "fraction": clients / (clients + 1), "learning_rate": 0.05},
                      round={"over_select": (clients + 1) / clients, "deadline_s": 600, "rejoin_s": 600},
                      server={"keep_last": 2}, limits=limits or {})
    share = clients // nodes
    ranges = [(i * share, share, 1) for i in range(nodes)] + [(clients, 1, 1)]
    daemons = TcpDaemons(scene, task, ranges, name=name)
    started, coordinator = time.monotonic(), daemons.coordinator(f"{name}-run")
    liar = scene.start(LYING_NODE, daemons.dir / f"node-{nodes}.yaml", attack if attack in ENROLLED + DAMAGED else "decline")
    liar.wait_log("welcomed")
    strangers = Attacker(daemons, STRANGERS[attack]) if attack in STRANGERS else None
    honest = [daemons.node(0)]
    if until:
        coordinator.wait_log("node joined node=node-0")
        honest[0].signal(signal.SIGSTOP)
    honest += [daemons.node(i) for i in range(1, nodes)]
    for text in until:
        coordinator.wait_log(text)
    honest[0].signal(signal.SIGCONT)
    coordinator.wait_event("round", round=warm_up)
    cpu, began = cpu_seconds(coordinator.pid), time.monotonic()
    coordinator.wait_event("round", round=rounds - 1)  # it is still there to be looked at
    cpu, seconds = cpu_seconds(coordinator.pid) - cpu, time.monotonic() - began
    peak = memory_mb(coordinator.pid)
    told = strangers.stop() if strangers else {}
    coordinator.wait_exit(0)
    for process in [liar, *honest]:
        process.stop()
    measured = rounds - 1 - warm_up
    handshakes = told.get("keys", 0) and 50 * seconds
    return {"result": house.Result(coordinator), "coordinator": coordinator, "liar": liar, "told": told,
            "cpu_ms": 1000 * (cpu - handshakes * HANDSHAKE_S) / measured, "round_ms": 1000 * seconds / measured,
            "peak_mb": peak, "seconds": time.monotonic() - started, "run_dir": scene.dir / f"{name}-run"}
