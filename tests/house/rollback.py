"""A model that is no good is taken back: an enrolled node poisons one round within every cap, the loss explodes, the last good
model becomes the next round, and the run goes on and learns. Which models a run goes through depends on nothing else: not on
how many nodes there are, nor on where the coordinator is killed meanwhile.

FEDAVG_LONG=1 kills it at every call; otherwise at some."""
import json
import os
import sqlite3

import house
import killer

LYING_NODE = os.environ.get("FEDAVG_LYING_NODE", "lying_node")
HONEST = 4  # clients; the liar hosts one more
POISONED, ROUNDS = 2, 5
ROUND_RULES = {"min_reports": 1.0, "deadline_s": 600, "rejoin_s": 600}  # everybody, always: cohorts are the same


class Run:
    """A run whose round POISONED is poisoned by a node that adds next to nothing to all others."""

    def __init__(self, scene, name, nodes, rounds=ROUNDS):
        self.scene, self.name = scene, name
        self.task = scene.task(name, hidden=0, clients=HONEST + 1, algorithm={"rounds": rounds, "fraction": 1.0},
                               round=ROUND_RULES)
        share = HONEST // nodes
        self.daemons = house.Daemons(scene, self.task, [(i * share, share, 1) for i in range(nodes)] + [(HONEST, 1, 1)],
                                     sums=False, name=name)
        self.liar = scene.start(LYING_NODE, self.daemons.dir / f"node-{nodes}.yaml", f"poison@{POISONED},first_only")
        self.nodes = [self.daemons.node(i) for i in range(nodes)]

    def coordinate(self, env=None):
        return self.daemons.coordinator(f"{self.name}-run", env=env)

    def end(self):
        for process in [self.liar, *self.nodes]:
            process.stop()

    def status(self):
        return json.loads(self.scene.command("status", "--json", self.scene.dir / f"{self.name}-run"))

    def models(self):
        with sqlite3.connect(f"file:{self.scene.dir / f'{self.name}-run' / 'run.db'}?mode=ro", uri=True) as db:
            rounds = dict(db.execute("SELECT round, hex(model) FROM rounds").fetchall())
            rollbacks = db.execute("SELECT round, to_round, reason FROM rollbacks").fetchall()
            cohort = db.execute("SELECT node FROM updates WHERE round = ?", (POISONED,)).fetchall()
        house.check(rollbacks == [(POISONED + 1, POISONED - 1, "exploded")], f"rollbacks {rollbacks}")
        house.check((f"node-{len(self.nodes)}",) in cohort, f"the poisoner is not on record: {cohort}")
        return rounds


def undisturbed(scene, name, nodes, rounds=ROUNDS):
    run = Run(scene, name, nodes, rounds)
    coordinator = run.coordinate()
    coordinator.wait_exit(0)
    run.end()
    return run, coordinator


def a_poisoned_round_is_taken_back_and_the_run_goes_on():
    with house.Scene(train=1000, test=300) as scene:
        run, coordinator = undisturbed(scene, "one", 1)
        events = {(event["event"], event.get("round")): event for event in coordinator.events()}
        good, bad = events["round", POISONED - 1], events["round", POISONED]
        back = events["rollback", POISONED + 1]
        house.check(bad["loss"] > 100 * good["loss"], f"the poison did nothing: {bad}")
        house.check((back["to_round"], back["reason"], back["loss"]) == (POISONED - 1, "exploded", bad["loss"]), f"{back}")
        house.check(back["model"] == good["model"] != bad["model"], f"{back} is not {good}")
        last = coordinator.events()[-1]
        house.check(last["event"] == "done" and last["rounds"] == ROUNDS, f"{last}")
        house.check(last["loss"] < 0.9 * good["loss"] and last["accuracy"] > good["accuracy"], f"{good} then {last}")
        rounds = run.models()
        house.check(sorted(rounds) == list(range(ROUNDS + 1)), f"{sorted(rounds)}")
        status = run.status()
        house.check(status["model"] == last["model"] and status["best"]["round"] == ROUNDS, f"{status}")
        told = scene.command("status", scene.dir / "one-run")
        house.check(f"rollbacks  1, the last to round {POISONED - 1} as round {POISONED + 1} (exploded)" in told, told)
        two, _ = undisturbed(scene, "two", 2)
        house.check(two.models() == rounds, "with two nodes other models were committed")


def the_last_round_is_taken_back_too():
    with house.Scene(train=300, test=100) as scene:
        run, coordinator = undisturbed(scene, "last", 1, rounds=POISONED)
        rounds = run.models()
        last = coordinator.events()[-1]
        house.check(last["model"].upper() == rounds[POISONED - 1] == rounds[POISONED + 1], f"{last} of {rounds}")
        again = run.coordinate()
        again.wait_exit(0)
        house.check(again.events()[-1]["model"] == last["model"], f"{again.events()[-1]} after {last}")


def killed_everywhere(kind, stride):
    with house.Scene(train=200, test=50) as scene:
        truth, _ = undisturbed(scene, "truth", 1)
        expected = truth.models()
        k, points = 1, 0
        while True:
            run, log = Run(scene, f"at-{k}", 1), scene.dir / f"{k}.kills"
            env = {"LD_PRELOAD": killer.LIBRARY, "FED_KILL_CLASS": kind, "FED_KILL_AT": str(k), "FED_KILL_LOG": str(log)}
            killed = run.coordinate(env).wait_exit(None) != 0
            if killed:
                house.check(log.exists(), f"ended at call {k}, and not by the kill")
                run.coordinate().wait_exit(0)
            run.end()
            house.check(run.models() == expected, f"killed at call {k}, other models were committed")
            points += killed
            if not killed:
                break
            k += 1 if house.LONG else stride
        print(f"{points} kill points in {k - 1} {kind} calls, always the same models")
        house.check(points >= 3, f"only {points} kill points")


def a_kill_at_any_write_changes_nothing():
    killed_everywhere("disk", 29)


def a_kill_at_any_send_changes_nothing():
    killed_everywhere("net", 29)


def a_round_that_fails_again_and_again_ends_the_simulation():
    with house.Scene(train=200, test=50) as scene:
        task = scene.task(hidden=0, clients=2, algorithm={"learning_rate": 1e6, "fraction": 1.0}, round={"max_attempts": 3})
        process = scene.simulate(task, "run")
        process.wait_exit(11)
        failed = [event for event in process.events() if event["event"] == "abandoned"]
        house.check([event["attempt"] for event in failed] == [1, 2, 3], f"{process}")
        house.check(process.said("3 attempts at round 1 failed one after the other"), f"{process}")
        house.check(process.said("attempts fail one after the other"), f"no alarm: {process}")
        house.check(process.said('client declined') and not process.said("bad data"), f"the data are blamed: {process}")


house.main(a_poisoned_round_is_taken_back_and_the_run_goes_on, the_last_round_is_taken_back_too,
           a_round_that_fails_again_and_again_ends_the_simulation,
           *([a_kill_at_any_write_changes_nothing, a_kill_at_any_send_changes_nothing] if killer.available() else []))
