"""The wall clock jumps by days, goes backwards or stands still (tests/faults/clock.c): no round notices. Deadlines and pauses
follow CLOCK_BOOTTIME; the time of day only labels rows, and dates of the roster follow it by nature."""
import os

import house

LIBRARY = os.environ.get("FEDAVG_CLOCK")


def no_clock_changes_a_round():
    with house.Scene(train=200, test=50) as scene:
        task = scene.task(hidden=0, clients=4, algorithm={"rounds": 12}, round={"deadline_s": 60})
        expected = scene.result(task, "untouched")
        for how in ("jump", "back", "frozen"):
            log = scene.dir / f"{how}.log"
            process = scene.simulate(task, how, nodes=2, env={"LD_PRELOAD": LIBRARY, "FED_CLOCK": how, "FED_CLOCK_LOG": str(log),
                                                              "FED_CLOCK_PROGRAMS": "fedavg-coordinator,fedavg-client"})
            process.wait_exit(0)
            events = process.events()
            house.check(log.exists(), f"{how}: nobody read the clock")
            house.check({event["round"]: event["model"] for event in events if event["event"] == "round"} == expected.models,
                        f"{how}: other models: {process}")
            for event in events:
                house.check(event["event"] != "abandoned", f"{how}: {event}")
                house.check(0 <= event.get("seconds", 0) < house.PATIENCE, f"{how}: a duration by the wall clock: {event}")
            status = scene.command("status", scene.dir / how)
            house.check("round      12" in status, f"{how}: {status}")


if LIBRARY is None or not os.path.exists(LIBRARY):
    house.skip("nothing can be preloaded in this build")
house.main(no_clock_changes_a_round)
