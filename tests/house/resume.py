"""A run that was stopped goes on with the same bits; one that cannot or must not go on is refused and left as it is."""
import contextlib
import json
import os
import resource
import signal
import sqlite3

import house

FOR_EVER = 1000000000
WAITED_FOR_S = 600  # nobody is given up meanwhile
FINISHING = "finishing the round; Ctrl-C again stops at once"


def same_models(expected, *processes):
    """Several starts of one run have said the models of `expected`; a stop may fall between a commit and its line."""
    said = {}
    for process in processes:
        for event in process.events():
            if event["event"] == "round":
                house.check(event["round"] not in said, f"round {event['round']} was committed twice")
                said[event["round"]] = event["model"]
    house.check(said.items() <= expected.models.items(), f"the models differ: {processes[-1]}")
    house.check(len(said) > len(expected.models) - len(processes), f"rounds {sorted(said)} of {len(expected.models)}")
    house.check(processes[-1].events()[-1]["model"] == expected.done["model"], f"another final model: {processes[-1]}")


def snapshot(folder):
    """What a refusal must not touch."""
    return {path.name: path.read_bytes() for path in folder.iterdir()
            if path.name.startswith("model-") or path.name == "run.db"}


def a_stop_in_the_middle_changes_nothing():
    """The run has no end when it is stopped, so that the stop always falls into its middle; then it gets one."""
    with house.Scene(train=500, test=100) as scene:
        task = scene.task(algorithm={"rounds": FOR_EVER}, round={"evaluate_every": 3})
        for number in (signal.SIGTERM, signal.SIGINT):
            stopped = scene.simulate(task, f"stopped-{number}")
            stopped.wait_event("round", round=2)
            stopped.signal(number)
            stopped.wait_exit(10)
            house.check(stopped.said("start the same command again to go on"), f"it does not say how to go on: {stopped}")
            last = max(event["round"] for event in stopped.events() if event["event"] == "round")
            end = f"algorithm.rounds={last + 4}"
            rest = scene.result(task, f"stopped-{number}", "--set", end)
            house.check(rest.first["event"] == "resume", f"the second start says {rest.first}")
            same_models(scene.result(task, f"untouched-{number}", "--set", end), stopped, rest.process)


def at_work(scene, run):
    """The round that is being worked on, or None."""
    status = json.loads(scene.command("status", "--json", scene.dir / run))
    return status["round"] + 1 if status["attempt"] > 0 else None


def the_first_interrupt_finishes_the_round():
    """The one node is stopped, so that a round is at work when the interrupt comes, and is waited for."""
    with house.Scene(train=500, test=100) as scene:
        task = scene.task(clients=1, algorithm={"rounds": FOR_EVER}, round={"rejoin_s": WAITED_FOR_S})
        process = scene.simulate(task, "run")
        process.wait_event("round", round=1)
        node, = house.children(process.pid, "fedavg-client")
        os.kill(node, signal.SIGSTOP)
        scene.until(lambda: at_work(scene, "run"))
        at_hand = at_work(scene, "run") or 0  # an update may still have been on its way
        process.signal(signal.SIGINT)
        process.wait_log(FINISHING)
        with contextlib.suppress(ProcessLookupError):
            os.kill(node, signal.SIGCONT)
        process.wait_exit(10)
        said = process.events()[-1]
        house.check(said["event"] == "round" and said["round"] >= at_hand, f"round {at_hand} was not finished: {process.out[-3:]}")
        again = scene.simulate(task, "run")
        again.wait_event("resume", round=said["round"])
        following = again.wait_event("round", round=said["round"] + 1)
        house.check(following["attempt"] == 1, f"an attempt was thrown away: {following}")


def the_second_interrupt_does_not_wait():
    with house.Scene(train=500, test=50) as scene:
        task = scene.task(clients=1, algorithm={"rounds": 1, "epochs": 1000000})  # a round without an end
        process = scene.simulate(task, "run")
        process.wait_event("start")
        scene.until(lambda: at_work(scene, "run"))
        process.signal(signal.SIGINT)
        process.wait_log(FINISHING)
        house.check(process.child.poll() is None, f"the first interrupt did not wait for the round: {process}")
        process.signal(signal.SIGINT)
        process.wait_exit(10)
        house.check(not house.children(None, str(scene.dir)), "a child outlived the simulation")


def a_finished_run_says_its_result_again_and_goes_on_when_asked_for_more():
    with house.Scene(train=500, test=100) as scene:
        task = scene.task(algorithm={"rounds": 3})
        finished = scene.result(task, "run")
        again = scene.result(task, "run")
        house.check(again.first["event"] == "resume" and not again.rounds, f"it trained again: {again.process.out}")
        for key in ("rounds", "accuracy", "target_round", "model"):
            house.check(again.done[key] == finished.done[key], f"{key}: {again.done[key]}, before {finished.done[key]}")
        more = scene.result(task, "run", "--set", "algorithm.rounds=6")
        whole = scene.result(task, "whole", "--set", "algorithm.rounds=6")
        house.check(sorted(more.models) == [4, 5, 6], f"rounds {sorted(more.models)}, expected 4 to 6")
        house.check({**finished.models, **more.models} == whole.models, "the models differ from those of a run in one go")


def another_task_is_refused_by_name():
    with house.Scene(train=500, test=100) as scene:
        task = scene.task(algorithm={"rounds": 2})
        scene.result(task, "run")
        before = snapshot(scene.dir / "run")
        for change, shown in (("algorithm.epochs=5", "algorithm.epochs"), ("seed=8", "seed"),
                              ("data.partition.clients=9", "data.partition")):
            process = scene.simulate(task, "run", "--set", change)
            process.wait_exit(5)
            house.check(process.said(shown) and process.said("another task"), f"{change}: {process}")
            house.check(not process.out, f"{change}: said {process.out}")
        house.check(snapshot(scene.dir / "run") == before, "a refusal changed the run")


# What versions 2 and 3 of run.db added (coordinator/store/schema.c), taken away again.
TO_VERSION_1 = """
    ALTER TABLE updates DROP COLUMN norm; ALTER TABLE rounds DROP COLUMN norm_ceiling; ALTER TABLE rounds DROP COLUMN clip;
    ALTER TABLE rounds DROP COLUMN weight_cap; DROP TABLE rollbacks; DROP TABLE quarantines; DROP TABLE builds; PRAGMA user_version = 1;"""


def a_run_of_the_older_format_goes_on_to_the_same_model():
    with house.Scene(train=500, test=100) as scene:
        task = scene.task(algorithm={"rounds": 6})
        expected = scene.result(task, "untouched")
        first = scene.simulate(task, "old", "--set", "algorithm.rounds=3")
        first.wait_exit(0)
        run = scene.dir / "old"
        with contextlib.closing(sqlite3.connect(run / "run.db", isolation_level=None)) as db:
            db.executescript(TO_VERSION_1)
        status = json.loads(scene.command("status", "--json", run))
        house.check(status["round"] == 3 and not (run / "run.db.v1").exists(), f"reading it: {status}")
        rest = scene.simulate(task, "old", "--log-level", "info")
        rest.wait_exit(0)
        same_models(expected, first, rest)
        house.check(rest.said("run.db brought to a newer format from=1 to=3"), f"it does not say so: {rest}")
        with contextlib.closing(sqlite3.connect(f"file:{run / 'run.db.v1'}?mode=ro", uri=True)) as db:
            kept = db.execute("SELECT (SELECT max(round) FROM rounds), user_version FROM pragma_user_version").fetchone()
        house.check(kept == (3, 1), f"the copy is {kept}")


def a_damaged_model_is_named_and_kept():
    with house.Scene(train=500, test=100) as scene:
        task = scene.task(algorithm={"rounds": 2})
        scene.result(task, "run")
        model = scene.dir / "run" / "model-2.safetensors"
        good = model.read_bytes()
        flipped = bytearray(good)
        flipped[-100] ^= 1
        renamed = good.replace(b"F32", b"F64", 1)
        for damage, bytes_ in (("cut", good[:-5000]), ("flipped", bytes(flipped)), ("empty", b""), ("header", renamed)):
            model.write_bytes(bytes_)
            before = snapshot(scene.dir / "run")
            process = scene.simulate(task, "run", "--set", "algorithm.rounds=4")
            process.wait_exit(3)
            house.check(process.said("model-2.safetensors"), f"{damage}: the file is not named: {process}")
            house.check(snapshot(scene.dir / "run")["model-2.safetensors"] == before["model-2.safetensors"],
                        f"{damage}: the file was touched")
        model.unlink()
        process = scene.simulate(task, "run", "--set", "algorithm.rounds=4")
        process.wait_exit(3)
        house.check(process.said("model-2.safetensors"), f"missing: the file is not named: {process}")
        model.write_bytes(good)
        rest = scene.result(task, "run", "--set", "algorithm.rounds=4")
        house.check(sorted(rest.models) == [3, 4], f"mended, it goes on with rounds {sorted(rest.models)}")


def a_run_belongs_to_one_coordinator_at_a_time():
    with house.Scene(train=500, test=100) as scene:
        daemons = house.Daemons(scene, scene.task(), [(0, 10, 1)])
        first = daemons.coordinator("run")
        first.wait_event("waiting")
        second = daemons.coordinator("run")
        second.wait_exit(4)
        house.check(second.said(str(first.pid)), f"the second does not name the first, {first.pid}: {second}")
        first.signal(signal.SIGTERM)
        first.wait_exit(10)


def a_full_disk_is_an_alarm_and_loses_nothing():
    """The disk is full for the coordinator before its first node comes, and mended after the alarm."""
    with house.Scene(train=500, test=100) as scene:
        task = scene.task(hidden=100, algorithm={"rounds": 3})
        expected = scene.result(task, "untouched")
        daemons = house.Daemons(scene, task, [(0, 10, 1)])
        coordinator = daemons.coordinator("run")
        coordinator.wait_event("waiting")
        before = resource.prlimit(coordinator.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(coordinator.pid, resource.RLIMIT_FSIZE, (200000, before[1]))  # of a model of 318 kB
        daemons.node(0)
        coordinator.wait_log("write failed", 2)  # it does not give up after the first
        house.check(coordinator.said("model-1.safetensors"), f"the file is not named: {coordinator}")
        house.check(not any(event["event"] == "round" for event in coordinator.events()), "a round on a full disk")
        house.check(not (scene.dir / "run" / "model-1.safetensors").exists(), "half a model was left")
        resource.prlimit(coordinator.pid, resource.RLIMIT_FSIZE, before)
        coordinator.wait_exit(0)
        result = house.Result(coordinator)
        house.check(result.models == expected.models, "the models differ")
        house.check(all(event["attempt"] == 1 for event in result.rounds), "a finished round was trained again")


def a_disk_that_is_full_from_the_start_is_exit_code_9():
    with house.Scene(train=500, test=100) as scene:
        daemons = house.Daemons(scene, scene.task(hidden=100), [(0, 10, 1)])
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        coordinator = daemons.coordinator("run", limits=[(resource.RLIMIT_FSIZE, 200000, hard)])
        coordinator.wait_exit(9)
        house.check(coordinator.said("model-0.safetensors"), f"the file is not named: {coordinator}")
        mended = daemons.coordinator("run")
        mended.wait_event("waiting")


house.main(a_stop_in_the_middle_changes_nothing, the_first_interrupt_finishes_the_round,
           the_second_interrupt_does_not_wait,
           a_finished_run_says_its_result_again_and_goes_on_when_asked_for_more, another_task_is_refused_by_name,
           a_run_of_the_older_format_goes_on_to_the_same_model, a_damaged_model_is_named_and_kept, a_run_belongs_to_one_coordinator_at_a_time,
           a_full_disk_is_an_alarm_and_loses_nothing, a_disk_that_is_full_from_the_start_is_exit_code_9)
