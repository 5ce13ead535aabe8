"""kill -9 anywhere, restart, same final model: the coordinator is killed at its writes, and at its sends.

Every kill point is a run of its own, from start to end. FEDAVG_LONG=1 tries every call, writes also half way through;
otherwise it is every third call, writes alternately before and half way through: five rounds of about thirty calls, so that
each call of a round has its turn in one of them. The coordinator that is started next is killed at the same count of calls,
so that the way back is met as well."""
import json
import os

import house

KILL_AT = os.environ.get("FEDAVG_KILL_AT")  # the preloaded library of tests/faults/kill_at.c


class Killer:
    """Runs the same short task again and again, with a kill at the k-th call."""

    def __init__(self, scene):
        self.scene = scene
        self.task = scene.task(hidden=0, clients=4, algorithm={"rounds": 5, "fraction": 0.75}, server={"keep_last": 2})
        self.kills = 0
        self.expected = scene.result(self.task, "untouched")

    def run(self, kind, k, torn):
        """Whether the run was killed at all; its result must not tell."""
        name = f"{kind}-{k}-{torn}"
        log = self.scene.dir / f"{name}.kills"
        env = {"LD_PRELOAD": KILL_AT, "FED_KILL_AT": str(k), "FED_KILL_CLASS": kind, "FED_KILL_LOG": str(log),
               "FED_KILL_TORN": str(int(torn)), "FED_KILL_TIMES": "2"}
        process = self.scene.simulate(self.task, name, env=env)
        where = f"killed at {kind} call {k}{' half way' if torn else ''}"
        house.check(process.wait_exit(None) == 0, f"{where}: {process}")
        kills = log.stat().st_size if log.exists() else 0
        said = sum("the coordinator was killed by signal 9; starting it again" in line for line in process.log)
        house.check(kills == said, f"{where}: {kills} kills, {said} of them said: {process}")
        events = process.events()
        house.check(events[-1]["event"] == "done" and events[-1]["rounds"] == 5, f"{where}: not done: {process}")
        house.check(events[-1]["model"] == self.expected.done["model"], f"{where}: another final model: {process}")
        for event in events:
            if event["event"] == "round":
                house.check(event["model"] == self.expected.models[event["round"]], f"{where}: another round {event['round']}")
        status = json.loads(self.scene.command("status", "--json", self.scene.dir / name))
        house.check(status["round"] == 5, f"{where}: status {status}")
        self.kills += kills
        return kills > 0


def every_kill_point(kind, ways):
    """ways(k): for each way to be killed at call k, whether it is half way through."""
    stride = 1 if house.LONG else 3
    with house.Scene(train=200, test=50) as scene:
        killer = Killer(scene)
        tried, k = 0, 1
        while all(killer.run(kind, k, torn) for torn in ways(k)):
            tried += len(ways(k))
            k += stride
        print(f"{tried} kill points in {k - 1} {kind} calls, {killer.kills} kills, all with the same models")
        house.check(tried >= 10, f"only {tried} kill points: the shim does not see the calls")


def a_kill_at_any_write_changes_nothing():
    every_kill_point("disk", (lambda k: (False, True)) if house.LONG else (lambda k: (k % 2 == 0,)))


def a_kill_at_any_send_changes_nothing():
    every_kill_point("net", lambda k: (False,))


if KILL_AT is None or not os.path.exists(KILL_AT):
    house.skip("no kill_at library in this build (sanitizers want to be first)")
house.main(a_kill_at_any_write_changes_nothing, a_kill_at_any_send_changes_nothing)
