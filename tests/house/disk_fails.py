"""A disk that is full, read-only or failing (tests/faults/fail_at.c, and a real small file system): nothing that was said to
be done is lost, an alarm says what is wrong, and when the disk is mended the run goes on without a restart, with the same
models.

FEDAVG_LONG=1 lets every call fail; otherwise some."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess

import house
import power_cut

LIBRARY = os.environ.get("FEDAVG_FAIL_AT")
FAULTS = (("write", "ENOSPC"), ("write", "EIO"), ("sync", "EIO"), ("name", "ENOSPC"), ("read", "EIO"), ("write,sync,name", "EROFS"))


def environment(program, folder, calls, error, at, log, **more):
    return {"LD_PRELOAD": LIBRARY, "FED_FAIL_PROGRAM": program, "FED_FAIL_DIR": str(folder), "FED_FAIL_CALLS": calls,
            "FED_FAIL_ERROR": error, "FED_FAIL_AT": str(at), "FED_FAIL_LOG": str(log),
            **{f"FED_FAIL_{key.upper()}": str(value) for key, value in more.items()}}


def a_store_that_fails_for_a_while_loses_nothing():
    """The writer of run directories tries again, as a coordinator does; every call that can fail fails once, and five
    times."""
    tried = alarms = 0
    with power_cut.Disk() as disk:
        for calls, error in FAULTS:
            for count in (1, 5):
                k, hit = 1, True
                while hit:
                    disk.renew()
                    env = environment("store_writer", disk.root, calls, error, k, disk.root / "log", count=count)
                    done = disk.run(power_cut.WRITER, disk.root / "disk" / "run", power_cut.ROUNDS, 9, env=env)
                    hit = disk.cut()
                    lines = [line.split() for line in done.stdout.splitlines() if not line.startswith("failed: ")]
                    after, status = power_cut.write_store(disk, "run")
                    wrong = power_cut.broken_promise(lines, after, status)
                    where = f"{calls} {error} at {k}, {count} times"
                    house.check(done.returncode == 0 and wrong is None, f"{where}: {wrong} {done.stdout} {done.stderr}")
                    alarms += "failed: " in done.stdout
                    tried += hit
                    k += 1 if house.LONG else 37
    print(f"{tried} faults, {alarms} of them told")
    house.check(alarms > 10, f"only {alarms} of {tried} faults were told")


class Coordinator:
    """A simulation whose coordinator's disk fails from the k-th call on until it is mended."""

    def __init__(self, scene):
        self.scene = scene
        self.task = scene.task(hidden=0, clients=4, algorithm={"rounds": 5})
        self.expected = scene.result(self.task, "untouched").done["model"]

    def run(self, calls, error, at):
        """What became of it: "never", "refused" at the start, or "alarm"."""
        name = f"{calls}-{error}-{at}".replace(",", "-")
        folder, log, mended = (self.scene.dir / f"{name}{end}" for end in ("", ".log", ".mended"))
        folder.mkdir()
        env = environment("fedavg-coordinator", folder, calls, error, at, log, until=mended)
        process = self.scene.simulate(self.task, name, env=env)
        process.wait(lambda: process.open == 0 or process.said("write failed"), "an alarm or the end")
        mended.touch()
        code = process.wait_exit(None)
        unread = calls == "read" and process.said("Input/output error")  # of a key, then with the status of keys
        if (code == 9 or (unread and code != 0)) and not process.said("write failed"):
            house.check(process.said(str(folder)), f"{name}: the refusal names no file: {process}")
            process = self.scene.simulate(self.task, name)
            code = process.wait_exit(None)
            verdict = "refused"
        else:
            verdict = "alarm" if log.exists() else "never"
        house.check(code == 0 and process.events()[-1]["model"] == self.expected, f"{name}: {process}")
        house.check(not process.said("starting it again"), f"{name}: restarted: {process}")
        shutil.rmtree(folder)
        return verdict


def a_coordinator_goes_on_when_its_disk_is_mended():
    with house.Scene(train=200, test=50) as scene:
        coordinator, verdicts = Coordinator(scene), {}
        for calls, error in FAULTS if house.LONG else (FAULTS[0], FAULTS[2], FAULTS[5]):
            k, verdict = 1, None
            while verdict != "never":
                verdict = coordinator.run(calls, error, k)
                verdicts[verdict] = verdicts.get(verdict, 0) + 1
                k += 1 if house.LONG else 61
        print(verdicts)
        house.check(verdicts.get("alarm", 0) >= 2 and verdicts.get("refused", 0) >= 2, f"{verdicts}")


def the_status_of_a_live_coordinator_says_what_is_to_be_mended():
    with house.Scene(train=200, test=50) as scene:
        folder, mended, url = scene.dir / "run", scene.dir / "mended", f"127.0.0.1:{house.free_port()}"
        folder.mkdir()
        daemons = house.Daemons(scene, scene.task(hidden=0, clients=4, server={"http": url}), [(0, 4, 1)])
        env = environment("fedavg-coordinator", folder, "sync", "EIO", 20, scene.dir / "log", until=mended)
        process = daemons.coordinator("run", env=env)
        daemons.node(0)
        process.wait_log("write failed")
        scene.until(lambda: json.loads(scene.command("status", "--json", f"http://{url}"))["alarm"] is not None)
        said = scene.command("status", f"http://{url}")
        house.check("ALARM" in said and str(folder) in said, said)
        mended.touch()
        process.wait_exit(0)


def nothing_is_sent_that_cannot_be_recorded():
    """The disk of a node fails; the node holds its update back, and sends it when the disk is mended."""
    with house.Scene(train=200, test=50) as scene:
        task = scene.task(hidden=0, clients=2, algorithm={"rounds": 3, "fraction": 1.0})
        expected = scene.result(task, "untouched").done["model"]
        for calls, error in (("write", "ENOSPC"), ("sync", "EIO")):
            daemons = house.Daemons(scene, task, [(0, 2, 1)], name=f"daemons-{calls}")
            coordinator = daemons.coordinator(f"run-{calls}")
            state, mended = daemons.dir / "state-0", scene.dir / f"mended-{calls}"
            state.mkdir()
            env = environment("fedavg-client", state, calls, error, 2, scene.dir / "log", until=mended)
            node = daemons.node(0, env=env)
            node.wait_log("nothing is sent until it can be recorded")
            house.check(node.said("sent.log: cannot be written"), f"no cause: {node}")
            mended.touch()
            coordinator.wait_exit(0)
            house.check(coordinator.events()[-1]["model"] == expected, f"another model: {coordinator}")
            records = [line for line in (state / "sent.log").read_text().splitlines() if line.endswith(" bytes=7850") or
                       " examples=" in line]
            house.check(len(records) >= 3 and all(line.count(" run=") == 1 for line in records), f"the record: {records}")


def a_full_file_system_is_an_alarm_and_no_more():
    """A real one, of 8 MiB, in a mount namespace of its own: filled up beside the run, and emptied again."""
    inside = os.environ.get("FEDAVG_DISK_FAILS_INSIDE")
    if inside is None:
        command = ["unshare", "--mount", "--map-root-user" if os.geteuid() else "--propagation=private"]
        if subprocess.run([*command, "true"], capture_output=True).returncode != 0:
            house.not_tried("no mount namespace can be made here")
            return
        done = subprocess.run([*command, "python3", "-B", __file__, "a_full_file_system_is_an_alarm_and_no_more"],
                              env={**os.environ, "FEDAVG_DISK_FAILS_INSIDE": "1"}, capture_output=True, text=True)
        house.check(done.returncode == 0, done.stdout + done.stderr)
        return
    with house.Scene(train=200, test=50) as scene:
        task = scene.task(hidden=0, clients=4, algorithm={"rounds": 20}, round={"evaluate_every": 20})
        expected = scene.result(task, "untouched").done["model"]
        small = scene.dir / "small"
        small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", small], check=True)
        try:
            daemons = house.Daemons(scene, task, [(0, 4, 1)])
            process = daemons.coordinator("small/run")
            process.wait_event("waiting")
            with open(small / "ballast", "wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(4096))
            daemons.node(0)
            process.wait_log("write failed")
            status = scene.command("status", small / "run")
            house.check("round" in status, status)
            (small / "ballast").unlink()
            process.wait_exit(0)
            house.check(process.events()[-1]["model"] == expected, f"{process}")
            subprocess.run(["mount", "-o", "remount,ro", small], check=True)
            again = daemons.coordinator("small/run", "--set", "algorithm.rounds=21")
            again.wait_exit(9)
            house.check(again.said(str(small / "run")), f"no file is named: {again}")
        finally:
            subprocess.run(["umount", "--lazy", small], check=True)


if __name__ == "__main__":
    if LIBRARY is None or not pathlib.Path(LIBRARY).exists():
        house.skip("nothing can be preloaded in this build")
    house.main(a_store_that_fails_for_a_while_loses_nothing, a_coordinator_goes_on_when_its_disk_is_mended,
               the_status_of_a_live_coordinator_says_what_is_to_be_mended, nothing_is_sent_that_cannot_be_recorded,
               a_full_file_system_is_an_alarm_and_no_more)
