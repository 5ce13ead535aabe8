"""Started as root, a coordinator becomes the user of its task before it reads a key, and serves as that user."""
import contextlib
import json
import os
import pwd
import signal

import house
import wards
from house import check, main

USER = "nobody"


def fields(process):
    """/proc/PID/status, by name."""
    with open(f"/proc/{process.pid}/status") as file:
        return {name: value.split() for name, _, value in (line.partition(":") for line in file)}


def give(path, user):
    os.chown(path, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)


class Handed(wards.Scene):
    """What the coordinator needs is its user's; the rest is root's."""

    def __init__(self, rounds):
        super().__init__(rounds=rounds)
        self.dir.chmod(0o711)
        self.run_dir.mkdir()
        self.add_node("ward-0", 0, 40)
        for path in (self.run_dir, self.dir / "coordinator.key"):
            give(path, USER)
        self.task["server"]["user"] = USER

    def serve(self, *arguments):
        """Not wards.Scene.coordinator: without --allow-root."""
        self.task_path.write_text(json.dumps(self.task, indent=1))
        return self.start("fedavg-coordinator", self.task_path, "--run-dir", self.run_dir, "--json", *arguments)


def a_coordinator_serves_as_its_user_and_cannot_go_back():
    with Handed(rounds=1000000000) as scene:
        coordinator = scene.serve()
        scene.node("ward-0")
        wards.wait_round(coordinator)
        entry, now = pwd.getpwnam(USER), fields(coordinator)
        check(now["Uid"] == [str(entry.pw_uid)] * 4, f"real, effective, saved and file system user: {now['Uid']}")
        check(now["Gid"] == [str(entry.pw_gid)] * 4, f"its groups' ids: {now['Gid']}")
        check("0" not in now["Groups"], f"it is still in root's group: {now['Groups']}")
        check(int(now["CapEff"][0], 16) == 0 and int(now["CapPrm"][0], 16) == 0, f"capabilities: {now['CapEff']}")
        owners = {}
        for path in scene.run_dir.iterdir():
            with contextlib.suppress(FileNotFoundError):  # it writes and removes meanwhile
                owners[path.name] = path.stat().st_uid
        check("run.db" in owners and set(owners.values()) == {entry.pw_uid}, f"what it writes is its user's: {owners}")
        coordinator.signal(signal.SIGHUP)
        wards.wait_said(coordinator, "info roster reloaded")
        wards.stop(coordinator, 10)


def a_key_is_read_after_the_change_of_user():
    with Handed(rounds=1) as scene:
        give(scene.dir / "coordinator.key", "root")
        coordinator = scene.serve()
        coordinator.wait_exit(7)
        check(len(coordinator.log) == 1 and "as whom this process runs, may not open the key file" in coordinator.log[0],
              f"not one sentence about the key: {coordinator}")
        check(list(scene.run_dir.iterdir()) == [], "a run was begun")


def a_user_that_is_none_or_root_is_refused():
    with Handed(rounds=1) as scene:
        for user, sentence in (("no-such-user", 'there is no user "no-such-user" on this machine'),
                               ("root", 'server.user: "root" is root: name another user, or add --allow-root')):
            coordinator = scene.serve("--set", f"server.user={user}")
            coordinator.wait_exit(2)
            check(len(coordinator.log) == 1 and sentence in coordinator.log[0], f"{user}: {coordinator}")
        check(list(scene.run_dir.iterdir()) == [], "a run was begun")


def a_simulation_does_not_change_its_user():
    with Handed(rounds=1) as scene:
        train = {"images": str(scene.dir / "ward-0-images"), "labels": str(scene.dir / "ward-0-labels")}
        scene.task["data"].update(train=train, partition={"kind": "iid", "clients": 2})
        scene.task_path.write_text(json.dumps(scene.task))
        scene.start("fedavg", "simulate", scene.task_path, "--run-dir", scene.dir / "simulated", "--quiet").wait_exit(0)


if os.geteuid() != 0:
    house.skip("only root can become another user")
main(a_coordinator_serves_as_its_user_and_cannot_go_back, a_key_is_read_after_the_change_of_user,
     a_user_that_is_none_or_root_is_refused, a_simulation_does_not_change_its_user)
