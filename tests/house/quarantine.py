"""Quarantine: a node that is refused again and again is given no work for a while, learns nothing but that there is none, and
may then try again. The others go on without it; where there is nobody else the run says what it waits for, and goes on."""
import contextlib
import json
import os
import sqlite3

import house

LYING_NODE = os.environ.get("FEDAVG_LYING_NODE", "lying_node")
HONEST = 4
ROUND_RULES = {"min_reports": 0.5, "deadline_s": 600, "rejoin_s": 600}


ROUNDING_MS = 10  # between the clock of the day, in the store, and the one that the coordinator waits by


def read(scene, run):
    return contextlib.closing(sqlite3.connect(f"file:{scene.dir / run / 'run.db'}?mode=ro", uri=True))


def quarantines(scene, run):
    with read(scene, run) as db:
        return db.execute("SELECT node, reason, refusals, until_ms - since_ms FROM quarantines ORDER BY since_ms").fetchall()


def a_liar_is_out_after_three_lies_and_the_others_go_on():
    with house.Scene(train=300, test=100) as scene:
        task = scene.task(clients=HONEST + 1, algorithm={"rounds": 12, "fraction": 1.0}, round=ROUND_RULES)
        daemons = house.Daemons(scene, task, [(0, HONEST, 2), (HONEST, 1, 1)], sums=False)
        coordinator = daemons.coordinator("run")
        liar = scene.start(LYING_NODE, daemons.dir / "node-1.yaml", "weight_zero")
        liar.wait_log("welcomed")
        daemons.node(0)
        coordinator.wait_exit(0)
        rounds = house.Result(coordinator).rounds
        house.check([event["clients"] for event in rounds] == [HONEST] * 12, f"{rounds}")
        house.check(all(event["attempt"] == 1 for event in rounds), f"a quarantine ended an attempt: {rounds}")
        house.check(quarantines(scene, "run") == [("node-1", "weight_zero", 3, 600000)], f"{quarantines(scene, 'run')}")
        liar.wait_log("refused weight_zero", 3)
        told = [line for line in liar.log if line.startswith("refused")]
        house.check(told.count("refused weight_zero") == 3 and set(told) <= {"refused weight_zero", "refused busy"}, f"{told}")
        house.check(sum(line.startswith("round") for line in liar.log) == 3, f"it was given more work: {liar.log}")
        status = json.loads(scene.command("status", "--json", scene.dir / "run"))
        held = [(row["node"], row["reason"]) for row in status["quarantined"]]
        house.check(held == [("node-1", "weight_zero")], f"{status['quarantined']}")
        house.check("quarantine node-1 until" in scene.command("status", scene.dir / "run"), "people are not told")


def where_there_is_nobody_else_the_run_waits_says_so_and_goes_on():
    with house.Scene(train=300, test=100) as scene:
        task = scene.task(clients=2, algorithm={"rounds": 1, "fraction": 1.0}, round=ROUND_RULES,
                          hygiene={"quarantine_after": 2, "quarantine_s": 1})
        daemons = house.Daemons(scene, task, [(0, 2, 1)], sums=False)
        coordinator = daemons.coordinator("run")
        liar = scene.start(LYING_NODE, daemons.dir / "node-0.yaml", "weight_zero@1,decline")
        event = coordinator.wait_event("waiting", **{"for": "waits for 1 more client to join; 1 node is in quarantine"})
        house.check(event["round"] == 1, f"{event}")
        coordinator.wait_log("the node may try again")
        coordinator.wait_log("the node is given no work for a while", count=2)  # and it lies again: for twice as long
        coordinator.signal(15)
        coordinator.wait_exit(10)
        rows = quarantines(scene, "run")
        house.check([row[3] for row in rows[:2]] == [1000, 2000], f"{rows}")
        liar.stop()
        again = daemons.coordinator("run")  # it is remembered, and served to its end
        honest = daemons.node(0)
        again.wait_exit(0)
        with read(scene, "run") as db:
            early = db.execute("SELECT max(until_ms) - (SELECT committed_ms FROM rounds WHERE round = 1) FROM quarantines").fetchone()[0]
        house.check(early <= ROUNDING_MS, f"a restart was an amnesty: the node worked {early} ms before its time: {again}")
        honest.wait_log("welcomed")


def what_others_could_do_on_its_line_does_not_put_a_node_into_quarantine():
    with house.Scene(train=300, test=100) as scene:
        lies = ["flipped_chunk"] * 4 + ["garbage_bulk"] * 4
        task = scene.task(hidden=200, clients=HONEST + 1, algorithm={"rounds": len(lies), "fraction": 1.0}, round=ROUND_RULES)
        daemons = house.Daemons(scene, task, [(0, HONEST, 2), (HONEST, 1, 1)], sums=False)
        coordinator = daemons.coordinator("run")
        liar = scene.start(LYING_NODE, daemons.dir / "node-1.yaml", ",".join(lies))
        liar.wait_log("welcomed")
        daemons.node(0)
        coordinator.wait_exit(0)
        liar.wait_log("refused seal", 4)
        liar.wait_log(f"round {len(lies)} lie garbage_bulk")  # it was given work to the end
        house.check(liar.log.count("refused seal") == 4, f"{liar.log}")
        house.check(quarantines(scene, "run") == [], f"{quarantines(scene, 'run')}")


house.main(a_liar_is_out_after_three_lies_and_the_others_go_on,
           where_there_is_nobody_else_the_run_waits_says_so_and_goes_on,
           what_others_could_do_on_its_line_does_not_put_a_node_into_quarantine)
