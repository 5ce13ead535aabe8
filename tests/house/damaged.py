"""Files that are damaged at rest, or changed under a program that uses them: a refusal that names the file and says what to
do; never another model, never a bare crash."""
import os
import random
import shutil
import signal
import time

import house

SIGNALS = (-11, -6, -7, -4, -8)  # what a bug would end with


def finished_run(scene, task):
    scene.result(task, "whole")
    return scene.dir / "whole"


def judge(scene, task, run, expected, *names):
    """Starts the run again. It ends with the expected model, or refuses in a sentence that holds one of the names."""
    process = scene.simulate(task, run, "--set", "algorithm.rounds=7")
    code = process.wait_exit(None)
    last = process.events()[-1] if process.out else {}
    house.check(code not in SIGNALS and not process.said("was killed by signal"), f"a crash: {process}")
    if code == 0:
        house.check(last["model"] == expected, f"ANOTHER MODEL after {run}: {process}")
        return "went on"
    words = "\n".join(process.log[-3:])
    house.check(any(str(name) in words for name in names), f"{run}: the refusal names none of {names}: {process}")
    return "refused"


def flip(path, offset, bit=1):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ (1 << bit)]))


def damage(scene, task, expected, name, change, *names):
    """change(run directory) is done to a copy of the finished run."""
    copy = scene.dir / name
    shutil.copytree(scene.dir / "whole", copy)
    change(copy)
    verdict = judge(scene, task, name, expected, *(names or (copy / "run.db",)))
    shutil.rmtree(copy)
    return verdict


def a_damaged_run_directory_is_refused_by_name_or_goes_on_the_same():
    with house.Scene(train=200, test=50) as scene:
        task = scene.task(hidden=0, clients=4)
        finished_run(scene, task)
        expected = scene.result(task, "longer", "--set", "algorithm.rounds=7").done["model"]
        dice = random.Random(1)
        verdicts = {}

        def case(name, change, *names, must=None):
            verdict = damage(scene, task, expected, name, change, *names)
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
            house.check(must in (None, verdict), f"{name}: {verdict}")

        size = (scene.dir / "whole" / "model-5.safetensors").stat().st_size
        for offset in (0, 9, 60, size // 2, size - 1):  # a digit of the run's id, at 60, is nothing that a model depends on
            case(f"model-flip-{offset}", lambda run, at=offset: flip(run / "model-5.safetensors", at), "model-5.safetensors",
                 must=None if offset == 60 else "refused")
        case("model-cut", lambda run: os.truncate(run / "model-5.safetensors", size // 2), "model-5", must="refused")
        case("model-empty", lambda run: os.truncate(run / "model-5.safetensors", 0), "model-5", must="refused")
        case("model-gone", lambda run: (run / "model-5.safetensors").unlink(), "model-5", must="refused")
        case("model-swapped", lambda run: shutil.copy(run / "model-4.safetensors", run / "model-5.safetensors"), "model-5",
             must="refused")
        case("db-empty", lambda run: os.truncate(run / "run.db", 0), "run.db", must="refused")
        case("db-gone", lambda run: (run / "run.db").unlink(), "run.db", must="refused")
        case("db-other", lambda run: (run / "run.db").write_bytes(b"not a database" * 100), "run.db", must="refused")
        db = (scene.dir / "whole" / "run.db").stat().st_size
        for part in (1, 2, 3):
            case(f"db-cut-{part}", lambda run, n=part: os.truncate(run / "run.db", db * n // 4), "run.db", must="refused")
        for offset in [18, 24, 100] + [dice.randrange(db) for _ in range(200 if house.LONG else 8)]:
            case(f"db-flip-{offset}", lambda run, at=offset: flip(run / "run.db", at, dice.randrange(8)),
                 *(f"db-flip-{offset}{what}" for what in ("/run.db", "/model-", " holds a run of another task")))
        case("wal-garbage", lambda run: (run / "run.db-wal").write_bytes(dice.randbytes(9000)), must="went on")
        case("shm-garbage", lambda run: (run / "run.db-shm").write_bytes(dice.randbytes(32768)), must="went on")
        case("journal-garbage", lambda run: (run / "run.db-journal").write_bytes(dice.randbytes(9000)), "run.db")
        case("lock-garbage", lambda run: (run / "run.lock").write_bytes(dice.randbytes(64)), must="went on")
        case("lock-is-a-directory", lambda run: ((run / "run.lock").unlink(), (run / "run.lock").mkdir()), "run.lock",
             must="refused")
        case("temporary-left", lambda run: (run / "model-6.safetensors.tmp.1").write_bytes(b"x"), must="went on")
        case("model-from-the-future", lambda run: shutil.copy(run / "model-5.safetensors", run / "model-6.safetensors"),
             must="went on")
        print(verdicts)


def rewrite(path, content):
    """In place, never shorter than it was; and at another moment than the file was mapped."""
    with open(path, "r+b") as file:
        file.write(content)
    moment = time.time() + 5
    os.utime(path, (moment, moment))


def a_node_declines_when_its_data_are_changed_under_it():
    """Its clients are of no use to anybody else, so that the run waits; the node lives, and goes on when it is started
    again with the old data."""
    with house.Scene() as scene:
        task = scene.task(clients=2, hidden=100, algorithm={"rounds": 1000000, "fraction": 1.0},
                          round={"evaluate_every": 1000000})
        daemons = house.Daemons(scene, task, [(0, 2, 1)])
        coordinator = daemons.coordinator("run")
        node = daemons.node(0)
        coordinator.wait_event("round", round=2)
        labels = scene.dir / "train-labels-idx1-ubyte"
        whole = labels.read_bytes()
        rewrite(labels, whole[:8] + b"\xff" * (len(whole) - 8))
        node.wait_log("declines every round")
        house.check(node.said(f"{labels}: was changed while it is in use"), f"no sentence: {node}")
        house.check(node.child.poll() is None, f"the node ended: {node}")
        node.stop()
        labels.write_bytes(whole)
        daemons.node(0)
        coordinator.wait_next_round()
        coordinator.signal(signal.SIGTERM)
        coordinator.wait_exit(10)
        found = {event["round"]: event["model"] for event in coordinator.rounds()}
        expected = scene.result(task, "untouched", "--set", f"algorithm.rounds={max(found)}").models
        house.check(found == expected, f"another model: {coordinator}")
        scene.replay(daemons.task_path, "run")


def data_that_are_cut_short_end_a_program_with_a_sentence():
    """Or the change is seen before the end of the map is touched: a node then declines, a coordinator ends all the same."""
    for victim, name in (("node", "train-images-idx3-ubyte"), ("coordinator", "test-images-idx3-ubyte")):
        with house.Scene() as scene:
            task = scene.task(clients=2, hidden=100, algorithm={"rounds": 1000000, "fraction": 1.0})
            daemons = house.Daemons(scene, task, [(0, 2, 1)])
            coordinator = daemons.coordinator("run")
            process = {"node": daemons.node(0), "coordinator": coordinator}[victim]
            coordinator.wait_event("round", round=2)
            os.truncate(scene.dir / name, 0)
            process.wait(lambda: process.said(f"{name}: was "), f"a sentence about {name}")
            if process.said("was cut short") or victim == "coordinator":
                process.wait_exit(3)


house.main(a_damaged_run_directory_is_refused_by_name_or_goes_on_the_same,
           a_node_declines_when_its_data_are_changed_under_it, data_that_are_cut_short_end_a_program_with_a_sentence)
