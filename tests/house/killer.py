"""Runs a short task again and again, with a kill -9 at another call each time (tests/faults/kill_at.c).

Every kill point is a run of its own, from start to end. FEDAVG_LONG=1 tries every call, writes also half way through;
otherwise it is every so manieth, writes alternately before and half way through: five rounds of about thirty calls, and a step
that does not divide them, so that calls of all kinds have their turn in one of them. The process that is started next is killed at the same count of calls, so
that the way back is met as well."""
import json
import os

import house

LIBRARY = os.environ.get("FEDAVG_KILL_AT")


def available():
    """Sanitizers want to be the first library of a process: nothing can be preloaded in their builds."""
    return LIBRARY is not None and os.path.exists(LIBRARY)


class Killer:
    def __init__(self, scene, program, child, nodes):
        """child: how the simulation calls the program when it has ended."""
        self.scene, self.program, self.child, self.nodes = scene, program, child, nodes
        self.task = scene.task(hidden=0, clients=4, server={"keep_last": 2},
                               algorithm={"rounds": 12, "fraction": 0.75, "target_accuracy": 0.75})
        self.expected = scene.result(self.task, "untouched", nodes=nodes)
        self.points = self.kills = 0
        self.where = scene.dir / "where"

    def run(self, kind, k, torn):
        """Whether anything was killed at all; the result must not tell."""
        name = f"{kind}-{k}-{torn}"
        log = self.scene.dir / f"{name}.kills"
        env = {"LD_PRELOAD": LIBRARY, "FED_KILL_PROGRAM": self.program, "FED_KILL_CLASS": kind, "FED_KILL_AT": str(k),
               "FED_KILL_WHERE": str(self.where), "FED_KILL_TORN": str(int(torn)), "FED_KILL_LOG": str(log), "FED_KILL_TIMES": "2"}
        process = self.scene.simulate(self.task, name, nodes=self.nodes, env=env)
        where = f"{self.program} killed at {kind} call {k}{' half way' if torn else ''}"
        house.check(process.wait_exit(None) == 0, f"{where}: {process}")
        kills = log.stat().st_size if log.exists() else 0
        said = sum(self.child in line and "was killed by signal 9; starting it again" in line for line in process.log)
        # the last kill of each node may fall behind the end of the run
        house.check(kills - self.nodes <= said <= kills, f"{where}: {kills} kills, {said} of them said: {process}")
        self.same(process, where)
        status = json.loads(self.scene.command("status", "--json", self.scene.dir / name))
        house.check(status["model"] == self.expected.done["model"], f"{where}: status {status}")
        self.points += kills > 0
        self.kills += kills
        return kills > 0

    def same(self, process, where):
        events = process.events()
        for key in ("event", "rounds", "target_round", "accuracy", "model"):
            house.check(events[-1].get(key) == self.expected.done[key], f"{where}: another {key}: {process}: {events[-1]}")
        for event in events:
            if event["event"] == "round":
                house.check(event["model"] == self.expected.models[event["round"]], f"{where}: another round {event['round']}")

    def run_all(self, kind, ways, step=3):
        """ways(k): for each way to be killed at call k, whether it is half way through. Ends with a run that nothing hit."""
        k = 1
        while all(self.run(kind, k, torn) for torn in ways(k)):
            k += 1 if house.LONG else step
        names = sorted(set(self.where.read_text().split()))
        print(f"{self.points} kill points in {k - 1} {kind} calls of {self.program}, {self.kills} kills, always the same models: "
              f"{', '.join(names)}")
        house.check(self.points >= 5, f"only {self.points} kill points: the library does not see the calls")
        return names
