"""Nodes that are killed with -9 at random, stopped, and come back all at once: rounds go on while enough are left, nobody
counts twice, and the models are what the admitted sets give. And a coordinator that sees nodes come and go for long: it does
not grow.

FEDAVG_LONG=1: more rounds, stops of ten seconds, and 1000 clients over 100 rounds."""
import contextlib
import json
import os
import pathlib
import random
import signal
import time

import house


def connections_of(pid):
    """How many sockets it has."""
    found = 0
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += os.readlink(entry).startswith("socket:")
    return found


class Crowd:
    """Nodes of two clients each, every one of which may be killed and started again."""

    def __init__(self, scene, task, n, clients=2, name="crowd"):
        self.scene = scene
        self.daemons = house.Daemons(scene, task, [(clients * i, clients, 1) for i in range(n)], name=name)
        self.coordinator = self.daemons.coordinator(name + "-run")
        self.coordinator.wait_event("waiting")
        self.alone = connections_of(self.coordinator.pid)
        self.nodes = [self.daemons.node(i) for i in range(n)]

    def kill(self, i):
        self.nodes[i].stop()
        self.scene.processes.remove(self.nodes[i])

    def start(self, i):
        self.nodes[i] = self.daemons.node(i)

    def has_sent(self, i, round_):
        record = self.daemons.dir / f"state-{i}" / "sent.log"
        return record.exists() and f" round={round_} " in record.read_text()

    def rounds(self, first, last):
        """Yields after each of these rounds was committed."""
        for round_ in range(first, last + 1):
            self.coordinator.wait_event("round", round=round_)
            yield round_

    def replay(self, name="crowd"):
        said = self.scene.replay(self.daemons.task_path, name + "-run")
        last = json.loads(self.scene.command("status", "--json", self.scene.dir / (name + "-run")))
        house.check(last["model"] in said, f"{said}, but {last['model']} is the last")
        for event in self.coordinator.rounds():  # a stop may fall between a commit and its line
            house.check(event["round"] < last["round"] or event["model"] == last["model"], f"{event}, but {last}")


ROUNDS = 30 if house.LONG else 4
FOR_EVER = 1000000000


def a_third_of_the_nodes_is_killed_each_round_and_nothing_changes():
    """All are waited for, and all come back: the models are those of a run that nobody touched."""
    with house.Scene(train=800, test=50) as scene:
        task = scene.task(hidden=0, clients=16, algorithm={"rounds": ROUNDS, "fraction": 1.0}, round={"min_reports": 1.0})
        expected = scene.result(task, "untouched").models
        crowd, dice = Crowd(scene, task, 8), random.Random(1)
        for _ in crowd.rounds(1, ROUNDS - 1):
            chosen = dice.sample(range(8), 3)
            for i in chosen:
                crowd.kill(i)
            for i in chosen:
                crowd.start(i)
        crowd.coordinator.wait_exit(0)
        events = crowd.coordinator.events()
        house.check({e["round"]: e["model"] for e in events if e["event"] == "round"} == expected, f"{crowd.coordinator}")
        crowd.replay()


def rounds_go_on_without_the_killed_and_are_what_their_admitted_sets_say():
    """The killed stay away for a round; half of the clients are enough."""
    with house.Scene(train=800, test=50) as scene:
        task = scene.task(hidden=0, clients=16, algorithm={"rounds": FOR_EVER, "fraction": 1.0},
                          round={"min_reports": 0.5, "rejoin_s": 0})
        crowd, dice, away = Crowd(scene, task, 8), random.Random(2), []
        for _ in range(ROUNDS - 1):
            crowd.coordinator.wait_next_round()
            for i in away:
                crowd.start(i)
            away = dice.sample(range(8), 3)
            for i in away:
                crowd.kill(i)
        crowd.coordinator.wait(lambda: crowd.coordinator.rounds()[-1]["clients"] < 16, "a round without the killed")
        crowd.coordinator.signal(signal.SIGTERM)
        crowd.coordinator.wait_exit(10)
        events = crowd.coordinator.rounds()
        house.check(all(event["clients"] >= 8 for event in events), f"{[event['clients'] for event in events]}")
        crowd.replay()


TURNS = 5 if house.LONG else 2  # storms and stops, in turn


def stopped_nodes_and_storms_of_reconnection_change_nothing():
    with house.Scene(train=800, test=50) as scene:
        task = scene.task(hidden=0, clients=16, algorithm={"rounds": TURNS + 1, "fraction": 1.0}, round={"min_reports": 1.0})
        expected = scene.result(task, "untouched").models
        crowd = Crowd(scene, task, 8)
        for round_ in crowd.rounds(1, TURNS):
            if round_ % 2 == 1:  # a storm: all at once
                for i in range(8):
                    crowd.kill(i)
                for i in range(8):
                    crowd.start(i)
            else:
                for i in (0, 3, 5):
                    crowd.nodes[i].signal(signal.SIGSTOP)
                if house.LONG:
                    time.sleep(10)  # what is tested is this time itself
                for i in (1, 2, 4, 6, 7):  # who is not stopped works on
                    scene.until(lambda: crowd.has_sent(i, round_ + 1))
                for i in (0, 3, 5):
                    crowd.nodes[i].signal(signal.SIGCONT)
        crowd.coordinator.wait_exit(0)
        events = crowd.coordinator.events()
        house.check({e["round"]: e["model"] for e in events if e["event"] == "round"} == expected, f"{crowd.coordinator}")
        crowd.replay()


def memory_of(pid):
    """KiB that are the process's own."""
    return int(pathlib.Path(f"/proc/{pid}/status").read_text().partition("RssAnon:")[2].split()[0])


def a_coordinator_does_not_grow_while_nodes_come_and_go():
    """Half of the nodes leave after each round, and the others come back: 1000 clients on 10 nodes."""
    n, rounds = (10, 100) if house.LONG else (4, 3)
    with house.Scene(train=2000, test=50) as scene:
        task = scene.task(hidden=0, clients=100 * n, algorithm={"rounds": 1000000, "fraction": 0.02},
                          round={"min_reports": 0.2, "rejoin_s": 0, "evaluate_every": 1000000})
        crowd, seen = Crowd(scene, task, n, clients=100), []
        half = [list(range(0, n, 2)), list(range(1, n, 2))]
        for turn in range(rounds):
            said = len(crowd.coordinator.out)
            crowd.coordinator.wait(lambda: any('"event":"round"' in line for line in crowd.coordinator.out[said:]), "a round")
            for i in half[turn % 2]:
                crowd.kill(i)
            for i in half[1 - turn % 2] if turn > 0 else []:
                crowd.start(i)
            seen.append(memory_of(crowd.coordinator.pid))
        for node in crowd.nodes:
            node.stop()
        scene.until(lambda: connections_of(crowd.coordinator.pid) <= crowd.alone)  # nobody has left one behind
        crowd.coordinator.signal(signal.SIGTERM)
        crowd.coordinator.wait_exit(10)
        crowd.replay()
        quarter = max(len(seen) // 4, 1)
        early, late = seen[quarter:2 * quarter], seen[-quarter:]
        slope = sorted(late)[quarter // 2] - sorted(early)[quarter // 2]
        per_hundred = slope * 100 / (len(seen) - 2 * quarter)
        print(f"{len(seen)} times: own memory {early[0]} to {late[-1]} KiB, {per_hundred:.0f} KiB per 100 rounds")
        house.check(not house.LONG or per_hundred < 1024, f"{per_hundred:.0f} KiB per 100 rounds")


house.main(a_third_of_the_nodes_is_killed_each_round_and_nothing_changes,
           rounds_go_on_without_the_killed_and_are_what_their_admitted_sets_say,
           stopped_nodes_and_storms_of_reconnection_change_nothing, a_coordinator_does_not_grow_while_nodes_come_and_go)
