"""The power fails (tests/faults/lost_writes.c): what was not synced is lost, wholly or in parts. What a program has said is
done stands all the same, and what comes after is as if nothing had happened.

FEDAVG_LONG=1 cuts the power before every call that touches the disk, with several dice; otherwise before some."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import house
import killer

LIBRARY = os.environ.get("FEDAVG_LOST_WRITES")
WRITER = os.environ.get("FEDAVG_STORE_WRITER")
ROUNDS = 5
WAYS = ("all", "suffix", "sectors")


class Disk:
    """A directory whose power can be cut."""

    def __init__(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="fedavg-power-"))
        self.renew()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.root, ignore_errors=True)

    def renew(self):
        for name in ("disk", "stash"):
            shutil.rmtree(self.root / name, ignore_errors=True)
            (self.root / name).mkdir()
        (self.root / "log").unlink(missing_ok=True)

    def environment(self, program, at, **more):
        return {"LD_PRELOAD": LIBRARY, "FED_LOST_PROGRAM": program, "FED_LOST_AT": str(at),
                "FED_LOST_DIR": str(self.root / "disk"), "FED_LOST_STASH": str(self.root / "stash"),
                "FED_LOST_LOG": str(self.root / "log"), **{f"FED_LOST_{key.upper()}": str(value) for key, value in more.items()}}

    def run(self, *arguments, env=None):
        done = subprocess.run([str(argument) for argument in arguments], env={**os.environ, **(env or {})},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=house.PATIENCE)
        house.check("lost_writes" not in done.stderr, done.stderr)
        return done

    def cut(self):
        return (self.root / "log").exists()


# -- the run directory -------------------------------------------------------------------------------------------------


def write_store(disk, run="deep/run", env=None):
    """The lines of one life of the writer, as lists of words, and its exit status."""
    done = disk.run(WRITER, disk.root / "disk" / run, ROUNDS, env=env)
    return [line.split() for line in done.stdout.splitlines()], done.returncode


def promises(lines):
    """What the lines of a writer say will be there for ever: (committed round, attempt opened for the next)."""
    committed, opened = -1, 0
    for what, round_, attempt in (line for line in lines if len(line) == 3):
        if what == "committed":
            committed, opened = int(round_), 0
        elif what == "opened":
            opened = int(attempt)
    return committed, opened


def broken_promise(before, after, status):
    """What is wrong with the life after the power cut; None if all is well."""
    first, (committed, opened) = after[0] if after else ["nothing"], promises(before)
    stands = (-1, 0) if first[0] == "new" else (int(first[2]), int(first[3])) if first[0] == "stands" else None
    if stands is None or status != 0:
        return f"refused: {after}"
    if stands < (committed, opened):
        return f"stands at {stands}, but {(committed, opened)} was said"
    if ["finished", str(ROUNDS), "0"] in before and first[:2] != ["stands", "finished"]:
        return f"finished before, now {first}"
    return None


def cut_and_look(disk, at, **how):
    """Whether the power was cut, and what was wrong after it."""
    disk.renew()
    before, _ = write_store(disk, env=disk.environment("store_writer", at, **how))
    if not disk.cut():
        return False, None
    after, status = write_store(disk)
    wrong = broken_promise(before, after, status)
    return True, wrong and f"power cut before call {at} {how}: {wrong}"


def points_of(disk):
    """How many calls of the writer touch the disk: the power is cut at the first that it does not come to."""
    low, high = 1, 4096
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if cut_and_look(disk, middle, mode="all")[0] else (low, middle)
    return low - 1


def what_the_store_has_said_outlives_a_power_cut():
    with Disk() as disk:
        n, lives = points_of(disk), 0
        house.check(n > 100, f"only {n} calls: the library does not see them")
        for at in range(1, n + 1, 1 if house.LONG else 7):
            for mode in WAYS:
                for seed in range(1, (3 if house.LONG else 1) + (mode != "all")):
                    cut, wrong = cut_and_look(disk, at, mode=mode, seed=1000 * at + seed)
                    house.check(cut and wrong is None, wrong or f"no power cut at {at} of {n}")
                    lives += 1
        for seed in range(20 if house.LONG else 3):
            for mode in WAYS:
                wrong = cut_and_look(disk, 0, mode=mode, seed=seed)[1]
                house.check(wrong is None, wrong)
        print(f"{lives} power cuts in {n} calls")


def a_sync_that_is_missing_is_seen():
    """The test's own test: without one class of syncs a promise is broken somewhere."""
    with Disk() as disk:
        for ignored in ("db", "file", "dir"):
            seen = None
            for at in range(0, 120, 3):
                seen = cut_and_look(disk, at, mode="all", ignore=ignored)[1]
                if seen:
                    break
            house.check(seen is not None, f"nobody misses the syncs of class {ignored}")
            print(f"without syncs of class {ignored}: {seen}")


def a_failed_sync_is_not_believed_the_next_time():
    """A sync fails, and what it was to write is lost for good unless it is written anew; the writer tries again and goes on,
    and in the end the power fails."""
    with Disk() as disk:
        fails, k = 0, 1
        while True:
            disk.renew()
            env = disk.environment("store_writer", 0, mode="all", sync_fails=k)
            done = disk.run(WRITER, disk.root / "disk" / "deep" / "run", ROUNDS, 3, env=env)
            if "failed: " not in done.stdout and k > 60:
                break
            before = [line.split() for line in done.stdout.splitlines() if not line.startswith("failed: ")]
            after, status = write_store(disk)
            wrong = broken_promise(before, after, status)
            house.check(wrong is None, f"sync {k} failed: {wrong}\n{done.stdout}")
            fails += "failed: " in done.stdout
            k += 1 if house.LONG else 4
        print(f"{fails} of {k - 1} failed syncs were told")
        house.check(fails > 0, "no sync failed")


# -- whole runs ----------------------------------------------------------------------------------------------------------


def cut_a_coordinator(disk, scene, task, expected, at, way):
    """Whether the power was cut. The simulation starts the coordinator again, and nothing tells afterwards."""
    disk.renew()
    process = scene.start("fedavg", "simulate", task, "--run-dir", disk.root / "disk" / "run", "--nodes", 1, "--threads", 1,
                          "--json", env=disk.environment("fedavg-coordinator", at, mode=way, seed=at))
    process.wait_exit(0)
    where, events = f"power cut before call {at} ({way})", process.events()
    house.check("lost_writes" not in "\n".join(process.log), f"{where}: {process}")
    house.check(events[-1]["model"] == expected.done["model"], f"{where}: another model: {process}")
    reported = 0
    for event in events:
        if event["event"] == "round":
            house.check(event["model"] == expected.models[event["round"]], f"{where}: another round {event['round']}")
            reported = event["round"]
        house.check(event["event"] != "resume" or event["round"] >= reported,
                    f"{where}: round {reported} was reported, and the run stands at {event.get('round')}")
    return disk.cut()


def a_run_goes_on_with_the_same_models_after_a_power_cut():
    with Disk() as disk, house.Scene(train=200, test=50) as scene:
        task = scene.task(hidden=0, clients=4, server={"keep_last": 2})
        expected, at, cuts = scene.result(task, "untouched"), 1, 0
        while cut_a_coordinator(disk, scene, task, expected, at, WAYS[at % 3]):
            cuts += 1
            at += 1 if house.LONG else 23
        print(f"{cuts} power cuts in {at - 1} calls of a coordinator")
        house.check(cuts >= 4, f"only {cuts} power cuts")


def what_a_node_sent_stays_on_record():
    with Disk() as disk, house.Scene(train=200, test=50) as scene:
        task = scene.task(hidden=0, clients=2, algorithm={"rounds": 4, "fraction": 1.0})
        expected, at, cuts = scene.result(task, "untouched").done["model"], 1, 0
        while True:
            disk.renew()
            daemons = house.Daemons(scene, task, [(0, 2, 1)], name=f"daemons-{at}")
            path = daemons.dir / "node-0.yaml"
            path.write_text(json.dumps({**json.loads(path.read_text()), "state_dir": str(disk.root / "disk" / "state")}))
            coordinator = daemons.coordinator(f"run-{at}")
            node = daemons.node(0, env=disk.environment("fedavg-client", at, mode=WAYS[at % 3], seed=at))
            coordinator.wait(lambda: node.open == 0 or coordinator.open == 0 or coordinator.said("report done"), "the end")
            if disk.cut():
                node = daemons.node(0)
            coordinator.wait_exit(0)
            house.check(coordinator.events()[-1]["model"] == expected, f"{coordinator}")
            log = (disk.root / "disk" / "state" / "sent.log").read_text()
            for round_ in range(1, 5):
                house.check(f" round={round_} " in log, f"power cut at {at}: round {round_} is not on record: {log}")
            node.stop()
            if not disk.cut():
                break
            at += 1 if house.LONG else 6
            cuts += 1
        print(f"{cuts} power cuts in {at - 1} calls of a node")
        house.check(cuts >= 3, f"only {cuts} power cuts")


# -- what people write -------------------------------------------------------------------------------------------------


def lives_of(disk, program, step, verify, least=5):
    """step(env) is run with the power cut at each of its calls, of which there are so many at least; verify(done) says what
    is wrong."""
    at = 1
    while True:
        for mode in WAYS:
            disk.renew()
            done = step(disk.environment(program, at, mode=mode, seed=at))
            wrong = verify(done)
            house.check(wrong is None, f"power cut before call {at} ({mode}): {wrong}")
        if not disk.cut():
            house.check(at > least, f"only {at - 1} calls: the library does not see them")
            return at - 1
        at += 1


def a_roster_is_the_old_one_or_the_new_one():
    with Disk() as disk:
        folder, fedavg = disk.root / "disk", house.BIN / "fedavg"
        lines = [disk.run(fedavg, "keygen", f"n{i}", "--dir", disk.root / f"keys{i}").stdout.strip() for i in range(2)]

        def step(env):
            house.check(disk.run(fedavg, "roster", "add", "one", lines[0], "--clients", "1", "--file", folder / "roster")
                        .returncode == 0, "roster add")
            return disk.run(fedavg, "roster", "add", "two", lines[1], "--clients", "2", "--file", folder / "roster", env=env)

        def verify(done):
            listed = disk.run(fedavg, "roster", "list", "--file", folder / "roster")
            names = [name for name in ("one", "two") if name in listed.stdout]
            if listed.returncode != 0 or "one" not in names:
                return f"{listed.stdout} {listed.stderr}"
            return None if done.returncode != 0 or "two" in names else "added, and yet not there"

        print(f"{lives_of(disk, 'fedavg', step, verify)} calls of roster add")


def a_key_is_whole_or_its_refusal_names_it():
    with Disk() as disk:
        folder, fedavg = disk.root / "disk", house.BIN / "fedavg"

        def step(env):
            return disk.run(fedavg, "keygen", "ward", "--dir", folder, env=env)

        def verify(done):
            again = disk.run(fedavg, "keygen", "ward", "--dir", folder)
            said = done.stdout.strip()
            if done.returncode == 0 and (said == "" or (folder / "ward.pub").read_text().strip() not in said):
                return f"the public line that was said is not there: {again.stderr}"
            if again.returncode != 0 and str(folder / "ward.key") not in again.stderr:
                return f"a refusal that names no file: {again.stderr}"
            return None

        print(f"{lives_of(disk, 'fedavg', step, verify)} calls of keygen")


if __name__ == "__main__":
    if not killer.available() or LIBRARY is None:
        house.skip("nothing can be preloaded in this build")
    house.main(what_the_store_has_said_outlives_a_power_cut, a_sync_that_is_missing_is_seen,
               a_failed_sync_is_not_believed_the_next_time, a_roster_is_the_old_one_or_the_new_one,
               a_run_goes_on_with_the_same_models_after_a_power_cut, what_a_node_sent_stays_on_record,
               a_key_is_whole_or_its_refusal_names_it)
