"""The Debian packages on a fresh Debian 12 in which a systemd of its own has booted: installed, run as services, upgraded while
a run goes on, removed, purged. Wants root, mmdebstrap, systemd-nspawn and a mirror of Debian. Not of the default suite:
deploy/package --test, or ctest -C packages."""
import csv
import io
import json
import re
import shlex

import house
from fresh_debian import NAMES, NEWER, PROGRAMS, STATE, Machine, make_newer, skip_where_impossible
from house import check, main

COORDINATOR, CLIENT = "fedavg-coordinator@{}.service", "fedavg-client@{}.service"
WARDS = "abc"
ENDLESS = 1_000_000_000


# -- the scene: a coordinator and three wards on one machine, set up as an administrator does ---------------------------------


def task(rounds, name="wards", **server):
    return {
        "schema": 1, "name": "wards", "seed": 1,
        "model": {"input": 4, "classes": ["well", "ill"], "loss": "binary_cross_entropy",
                  "layers": [{"units": 16, "activation": "tanh"}, {"units": 1}]},
        "data": {"format": "csv", "test": "wards-test.csv", "label": "outcome"},
        "algorithm": {"kind": "fedavg", "rounds": rounds, "fraction": 1, "epochs": 2, "batch_size": 10,
                      "learning_rate": 0.1},
        "round": {"min_reports": 1, "rejoin_s": 600},
        "server": {"control": "tcp://127.0.0.1:5600", "bulk": "tcp://127.0.0.1:5601", "roster": "/etc/fedavg/wards/roster",
                   "key": "/etc/fedavg/wards/coordinator.key", "http": f"unix:/run/fedavg/coordinator/{name}/http", **server},
    }


def columns_but_ward(text, ward=None):
    rows = list(csv.reader(io.StringIO(text)))
    return "\n".join(",".join(row[1:]) for row in rows if row[0] in ("ward", ward) or ward is None) + "\n"


def coordinate(machine, name, rounds, **server):
    """/etc/fedavg/NAME with a task."""
    machine.run("install", "-d", "-o", "fedavg", "-g", "fedavg", "-m", "0750", f"/etc/fedavg/{name}")
    test = (house.ROOT / "deploy" / "tasks" / "wards-test.csv").read_text()
    machine.write(f"/etc/fedavg/{name}/wards-test.csv", columns_but_ward(test))
    machine.write(f"/etc/fedavg/{name}/task.yaml", json.dumps(task(rounds, name, **server), indent=1))


def set_up(machine):
    machine.run("sh", "-c", "echo '127.0.0.1 coordinator.example.org' >>/etc/hosts")
    coordinate(machine, "wards", 40)
    public = machine.as_user("fedavg", "keygen", "coordinator", "--dir", "/etc/fedavg/wards")
    train = (house.ROOT / "deploy" / "tasks" / "wards-train.csv").read_text()
    for i, ward in enumerate(WARDS):
        folder = f"/etc/fedavg/ward-{ward}"
        machine.run("install", "-d", "-o", "fedavg", "-g", "fedavg", "-m", "0750", folder)
        line = machine.as_user("fedavg", "keygen", f"ward-{ward}", "--dir", folder)
        machine.as_user("fedavg", "roster", "add", f"ward-{ward}", line, "--clients", str(i), "--file", "/etc/fedavg/wards/roster")
        machine.write(f"{folder}/patients.csv", columns_but_ward(train, ward.upper()))
        machine.write(f"{folder}/client.yaml", json.dumps({
            "schema": 1, "name": f"ward-{ward}", "coordinator": "tcp://coordinator.example.org:5600", "coordinator_key": public,
            "key": f"ward-{ward}.key", "data": {"format": "csv", "train": "patients.csv", "label": "outcome"},
            "clients": {"first": i}}, indent=1))


def named_fedavg(machine):
    """Every file and folder that is named after us."""
    found = machine.run("find", "/", "-xdev", "-path", "/proc", "-prune", "-o", "-name", "*fedavg*", "-print").splitlines()
    return sorted(path for path in found if not path.startswith(("/debs", "/newer")))


# -- claims ------------------------------------------------------------------------------------------------------------


def they_install_with_what_they_need_and_start_nothing(machine):
    machine.run("sh", "-c", "apt-get -qq install -y --no-install-recommends /debs/*.deb")
    user = machine.run("getent", "passwd", "fedavg").split(":")
    check(int(user[2]) < 1000 and user[6].endswith("nologin"), f"the user is no service's: {user}")
    for name in PROGRAMS:
        said = machine.run(name, "--version")
        check(re.match(rf"{name} \d+\.\d+", said), f"{name} --version: {said}")
    check(machine.run("fedavg", "coordinator", "--version").startswith("fedavg-coordinator "), "fedavg does not find its daemons")
    wants = machine.run("find", "/etc/systemd/system", "-name", "*fedavg*")
    check(wants == "", f"enabled by installing: {wants}")
    check(machine.run("stat", "-c", "%U:%a", "/etc/fedavg") == "root:755", "/etc/fedavg")
    machine.run("test", "-e", "/usr/share/doc/fedavg/deploy/tasks/wards.yaml")
    machine.run("grep", "-q", "uPlot", "/usr/bin/fedavg-coordinator")  # its page is whole
    machine.installed = True
    library = re.search(r"libfedavg-client\.so\.1 .*=> (\S+)", machine.run("ldconfig", "-p"))
    check(library, "the linker does not know libfedavg-client.so.1")
    check("not found" not in machine.run("ldd", library[1]), "the library lacks libraries")


def the_lines_of_the_guide_start_a_coordinator(machine):
    """Those of docs/operations.md, as somebody types them who takes what init proposes."""
    guide = (house.ROOT / "docs" / "operations.md").read_text()
    lines = re.search(r"(?m)^(sudo fedavg init(?:.|\n)*?)^```$", guide)[1].splitlines()
    train = (house.ROOT / "deploy" / "tasks" / "wards-train.csv").read_text()
    for ward in "AB":
        rows = [row for row in train.splitlines() if row.startswith(("ward,", f"{ward},"))]
        machine.run("sh", "-c", f"cat >/srv/{ward}.csv", input="\n".join(rows) + "\n")
    for line in lines:
        words = shlex.split(line)
        check(words[0] == "sudo", f"not an administrator's line: {line}")
        words = ["runuser", "-u", words[2], "--", *words[3:]] if words[1] == "-u" else words[1:]
        if words[:2] == ["fedavg", "init"]:
            words += ["--defaults", "--data", "/srv/A.csv", "--data", "/srv/B.csv"]
        machine.run(*words)
    unit = COORDINATOR.format("wards")
    machine.until(lambda: machine.show(unit)["StatusText"] == "round 1 of 30, waits for 2 more clients to join", "its status")
    machine.run("systemctl", "disable", "--quiet", "--now", unit)
    machine.run("rm", "-r", "/etc/fedavg/wards", f"{STATE}/wards")


def a_coordinator_and_three_clients_complete_a_run_as_services(machine):
    set_up(machine)
    clients = [CLIENT.format(f"ward-{ward}") for ward in WARDS]
    machine.run("systemctl", "enable", "--quiet", "--now", COORDINATOR.format("wards"), *clients)
    shown = machine.wait_unit(COORDINATOR.format("wards"), ActiveState="inactive", SubState="dead")
    check(shown["Result"] == "success" and shown["ExecMainStatus"] == "0" and shown["NRestarts"] == "0", f"{shown}")
    status = machine.status("wards")
    check(status["state"] == "finished" and status["round"] == 40 and status["accuracy"] > 0.8, f"{status}")
    for unit in clients:
        check(machine.show(unit)["SubState"] == "running", f"{unit} left with its coordinator")
    lines = machine.journal()
    check(any(priority == 6 and "info report done" in message for priority, message in lines), "the journal has no result")
    check(not [line for line in lines if line[0] <= 3], f"errors: {[line for line in lines if line[0] <= 3]}")
    check(not [line for line in lines if "unlocked" in line[1]], "keys are not in locked memory")
    for ward in WARDS:
        sent = machine.run("cat", f"/var/lib/fedavg/client/ward-{ward}/sent.log").splitlines()
        check(len(sent) == 40, f"ward-{ward} has {len(sent)} updates on record")


def what_they_write_is_their_user_s_alone(machine):
    for folder in ("/var/lib/fedavg/coordinator/wards", "/var/lib/fedavg/client/ward-a"):
        for line in machine.run("find", folder, "-printf", "%u:%g:%m:%y %p\\n").splitlines():
            owner, _, path = line.partition(" ")
            mode = int(owner.split(":")[2], 8)
            check(owner.startswith("fedavg:fedavg:") and mode & 0o077 == 0, f"{path} is {owner}")


def a_service_has_no_power_beyond_its_work(machine):
    machine.write("/etc/fedavg/wards/task.yaml", json.dumps(task(ENDLESS)))
    machine.run("rm", "-r", f"{STATE}/wards")
    machine.run("systemctl", "start", COORDINATOR.format("wards"))
    uid = machine.run("id", "-u", "fedavg")
    for unit in (COORDINATOR.format("wards"), CLIENT.format("ward-a")):
        fields, limits = machine.process(unit)
        check(fields["Uid"] == [uid] * 4, f"{unit} runs as {fields['Uid']}")
        check(all(int(fields[f"Cap{kind}"][0], 16) == 0 for kind in ("Eff", "Prm", "Bnd", "Amb")), f"{unit} has capabilities")
        check(fields["NoNewPrivs"] == ["1"] and fields["Seccomp"] == ["2"] and fields["Umask"] == ["0077"],
              f"{unit}: {fields['NoNewPrivs']} {fields['Seccomp']} {fields['Umask']}")
        check(re.search(r"Max core file size +0 +0 ", limits), f"{unit} may dump its core: {limits}")
        check(re.search(r"Max locked memory +8388608 ", limits), f"{unit} locks: {limits}")


def systemctl_tells_what_they_are_at(machine):
    unit = COORDINATOR.format("wards")
    machine.run("test", "-S", "/run/fedavg/coordinator/wards/http")
    machine.until(lambda: re.match(r"round \d+ of 1000000000, ", machine.show(unit)["StatusText"]), "the coordinator's status")
    machine.until(lambda: re.match(r"round \d+, attempt 1, .* of 1 clients trained$",
                                   machine.show(CLIENT.format("ward-a"))["StatusText"]), "a client's status")
    before = sum("roster reloaded" in message for _, message in machine.journal(unit))
    machine.run("systemctl", "reload", unit)
    machine.wait_unit(unit, ActiveState="active", SubState="running")
    check(sum("roster reloaded" in message for _, message in machine.journal(unit)) > before, "reload did not read the roster")


def one_that_dies_or_hangs_is_started_again_and_goes_on(machine):
    unit = COORDINATOR.format("wards")
    run = machine.status("wards")["run_id"]
    machine.until(lambda: machine.round("wards") > 0, "a first round")
    before = machine.round("wards")
    machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", unit)
    machine.wait_unit(unit, ActiveState="active", NRestarts="1")
    machine.run("mkdir", "-p", f"/run/systemd/system/{unit}.d")
    machine.run("sh", "-c", f"printf '[Service]\\nWatchdogSec=3\\n' >/run/systemd/system/{unit}.d/test.conf && systemctl daemon-reload")
    machine.run("systemctl", "restart", unit)
    machine.wait_unit(unit, ActiveState="active")
    machine.run("systemctl", "kill", "--kill-whom=main", "--signal=STOP", unit)
    machine.wait_unit(unit, ActiveState="active", NRestarts="1")
    check("watchdog" in machine.run("journalctl", f"--unit={unit}").lower(), "it was not the watchdog")
    machine.run("sh", "-c", f"rm -r /run/systemd/system/{unit}.d && systemctl daemon-reload")
    status, since = machine.status("wards"), machine.round("wards")
    check(status["run_id"] == run and since >= before, f"another run: {status}")
    machine.until(lambda: machine.round("wards") > since, "a round after the restart")


def a_mistake_is_told_once_and_not_tried_again(machine):
    coordinate(machine, "mistake", 0)
    unit = COORDINATOR.format("mistake")
    check(machine.ask("systemctl", "start", unit).returncode != 0, "a task with 0 rounds started")
    shown = machine.wait_unit(unit, ActiveState="failed")
    check(shown["ExecMainStatus"] == "2" and shown["NRestarts"] == "0", f"{shown['ExecMainStatus']} {shown['NRestarts']}")
    check("algorithm.rounds" in shown["StatusText"], f"its status says: {shown['StatusText']}")
    machine.run("systemctl", "reset-failed", unit)


def an_upgrade_changes_nothing_in_a_run_that_goes_on(machine):
    unit, node = COORDINATOR.format("wards"), CLIENT.format("ward-a")
    run, before = machine.status("wards")["run_id"], machine.round("wards")
    pids = [machine.show(each)["MainPID"] for each in (unit, node)]
    machine.run("sh", "-c", "dpkg --install /newer/*.deb")
    check(machine.run("dpkg-query", "-W", "-f", "${Version}", "fedavg-coordinator") == NEWER, "not upgraded")
    for each, pid in zip((unit, node), pids):
        shown = machine.wait_unit(each, ActiveState="active", SubState="running")
        check(shown["MainPID"] != pid, f"{each} runs the old program still")
    since = machine.round("wards")
    machine.until(lambda: machine.round("wards") > since + 10, "rounds after the upgrade")
    machine.run("systemctl", "kill", "--kill-whom=main", "--signal=USR1", unit)  # stops after the round at hand
    shown = machine.wait_unit(unit, ActiveState="inactive")
    check(shown["ExecMainStatus"] == "10" and shown["Result"] == "success", f"{shown['ExecMainStatus']} {shown['Result']}")
    upgraded = machine.status("wards")
    check(upgraded["run_id"] == run and upgraded["round"] > since >= before, f"another run, or none: {upgraded}")

    coordinate(machine, "control", upgraded["round"])  # the same task, undisturbed
    machine.run("systemctl", "start", COORDINATOR.format("control"))
    machine.wait_unit(COORDINATOR.format("control"), ActiveState="inactive", Result="success")
    control = machine.status("control")
    check(control["round"] == upgraded["round"] and control["model"] == upgraded["model"],
          f"killed, hung and upgraded: {upgraded['model']}; undisturbed: {control['model']}, round {control['round']}")


def a_node_enrols_itself_with_a_service(machine):
    name, folder = "tokens", f"{STATE}/tokens"
    machine.run("install", "-d", "-o", "fedavg", "-g", "fedavg", "-m", "0700", folder)
    machine.write(f"{folder}/roster", "schema: 1\nnodes: []\n")
    etc = f"/etc/fedavg/{name}"
    machine.run("install", "-d", "-o", "fedavg", "-g", "fedavg", "-m", "0750", etc)
    office = machine.as_user("fedavg", "keygen", "office", "--dir", etc, "--enrolment")
    coordinate(machine, name, 1, roster=f"{folder}/roster", enrol="tcp://127.0.0.1:5602", enrolment_key=office)
    machine.run("systemctl", "start", COORDINATOR.format(name))
    machine.as_user("fedavg", "enroll", "issue", "ward-a", "--clients", "0", "--key", f"{etc}/office.key", "--out", f"{etc}/token")
    machine.as_user("fedavg", "enroll", "join", "--token", f"{etc}/token", "--key", "/etc/fedavg/ward-a/ward-a.key",
                    "--coordinator", "tcp://127.0.0.1:5602", "--coordinator-key",
                    machine.run("cat", "/etc/fedavg/wards/coordinator.pub"))
    check("ward-a" in machine.run("cat", f"{folder}/roster"), "the node is not on the roster")
    machine.wait_unit(COORDINATOR.format(name), ActiveState="inactive", Result="success")  # ward-a trained its one round
    check(machine.status(name)["clients"] == 1, f"{machine.status(name)}")


def removed_they_leave_state_and_purged_only_what_people_wrote(machine):
    machine.run("apt-get", "-qq", "remove", "-y", *NAMES)
    check(machine.ask("systemctl", "is-active", CLIENT.format("ward-a")).stdout.strip() != "active", "still running")
    machine.run("test", "-e", f"{STATE}/wards/run.db")
    machine.run("dpkg", "--purge", *NAMES)
    written = {"/etc/fedavg", *(f"/etc/fedavg/{name}" for name in ("wards", "control", "mistake", "tokens")),
               *(f"/etc/fedavg/ward-{ward}" for ward in WARDS)}
    left = [path for path in named_fedavg(machine) if path not in written]
    check(left == [], f"left behind: {left}")
    machine.run("test", "-e", "/etc/fedavg/wards/coordinator.key")


def claim(function, machine):
    def bound():
        function(machine)
    bound.__name__ = function.__name__
    return bound


def boots(machine):
    check(machine.installed, "there is nothing to boot")
    why = machine.boot()
    if why is not None:
        house.skip(f"the packages were installed, but not one service was tried: systemd does not boot in a container here: {why}")


skip_where_impossible()
with Machine() as at:
    make_newer(at)
    main(*(claim(function, at) for function in (
        they_install_with_what_they_need_and_start_nothing, boots, the_lines_of_the_guide_start_a_coordinator,
        a_coordinator_and_three_clients_complete_a_run_as_services, what_they_write_is_their_user_s_alone,
        a_service_has_no_power_beyond_its_work, systemctl_tells_what_they_are_at,
        one_that_dies_or_hangs_is_started_again_and_goes_on, a_mistake_is_told_once_and_not_tried_again,
        an_upgrade_changes_nothing_in_a_run_that_goes_on, a_node_enrols_itself_with_a_service,
        removed_they_leave_state_and_purged_only_what_people_wrote)))
