"""`fedavg doctor` finds a healthy federation healthy, at work or not, and names each illness with the exit code that the daemon
would end with."""
import contextlib
import json
import socket

import house
from house import check


def doctor(scene, *subjects, code=0, arguments=()):
    """The findings, after the exit code was judged."""
    process = scene.start("fedavg", "doctor", *subjects, *arguments, "--json")
    process.wait_exit(code)
    return json.loads(process.out[0])["findings"]


def finding(findings, name, verdict, text):
    """The one of this check with this verdict that holds the text."""
    found = [f for f in findings if f["check"] == name]
    hits = [f for f in found if f["verdict"] == verdict and text in f["what"]]
    check(hits, f'no {verdict} "{text}" of {name} in {found}')
    return hits[0]


def federation(scene):
    """Two nodes of five clients, over TCP, with a page; ports as (control, bulk, http)."""
    ports = house.free_ports(3)
    here = [f"tcp://127.0.0.1:{port}" for port in ports]
    task = scene.task(algorithm={"rounds": 1000000}, server={"http": f"127.0.0.1:{ports[2]}"})
    return house.Daemons(scene, task, [(0, 5, 1), (5, 5, 1)], where=(here[0], here[0], here[1])), ports


def a_healthy_federation_is_found_healthy():
    with house.Scene(train=500, test=100) as scene:
        daemons, _ = federation(scene)
        found = doctor(scene, daemons.task_path)
        check(not [f for f in found if f["verdict"] == "problem"], f"{found}")
        for name in ("server.control", "server.bulk", "server.http"):
            finding(found, "addresses", "ok", name)
        finding(found, "roster", "ok", "2 nodes, 10 clients")
        finding(found, "data", "ok", "500 examples, split over 10 clients")

        coordinator = daemons.coordinator("run")
        coordinator.wait_event("start")
        finding(doctor(scene, daemons.dir / "node-1.yaml"), "coordinator", "ok", "welcomes this node and its data")
        node = daemons.node(0)
        coordinator.wait_log("node joined node=node-0")
        found = doctor(scene, daemons.task_path, daemons.dir / "node-0.yaml", scene.dir / "run")
        finding(found, "addresses", "ok", "a coordinator with this task's key is at work")
        finding(found, "addresses", "ok", "the coordinator of this task answers")
        finding(found, "addresses", "ok", "the coordinator at work is of version")
        finding(found, "coordinator", "ok", "the client is at work, so nothing more was asked")
        finding(found, "at work", "ok", f"process {coordinator.pid}")
        finding(found, "database", "ok", "every page")
        finding(found, "models", "ok", "1 model is there")
        check(not node.said("not on the coordinator's roster") and node.child.poll() is None, f"{node}")
        check(not coordinator.said("node lost node=node-0"), f"it was disturbed: {coordinator}")


def edit(path, **sections):
    """A copy of a JSON file beside it, with other values."""
    value = json.loads(path.read_text())
    for section, values in sections.items():
        value[section] = {**value[section], **values} if isinstance(values, dict) else values
    copy = path.with_name(f"ill-{path.name}")
    copy.write_text(json.dumps(value))
    return copy


def illnesses_of_a_task_are_named():
    with house.Scene(train=500, test=100) as scene:
        daemons, ports = federation(scene)
        task, folder = daemons.task_path, daemons.dir
        key, line = folder / "coordinator.key", folder / "coordinator.pub"

        def ill(check_name, text, code, subject=task):
            finding(doctor(scene, subject, code=code), check_name, "problem", text)

        ill("configuration", "algorithm.rounds: found \"0\"", 2, edit(task, algorithm={"rounds": 0}))
        ill("configuration", "nowhere.yaml", 2, folder / "nowhere.yaml")
        ill("data", "algorithm.max_weight: 49 found, but the largest shard", 2, edit(task, algorithm={"max_weight": 49}))
        ill("data", "nowhere", 3, edit(task, data={"train": {"images": "nowhere", "labels": "nowhere"}}))
        ill("user", "no user nobody-at-all", 2, edit(task, server={"user": "nobody-at-all"}))
        key.chmod(0o644)
        ill("key", "others may use this key file", 7)
        key.chmod(0o600)
        ill("key", "there is no such key file", 7, edit(task, server={"key": "nowhere.key"}))
        before = line.read_text()
        line.write_text((folder / "node-0.pub").read_text())
        ill("key", "is not the public line of its key", 7)
        line.write_text(before)
        ill("roster", "no such file", 2, edit(task, server={"roster": "nowhere"}))
        ill("roster", "not signed by server.enrolment_key", 7, edit(task, server={
            "enrolment_key": scene.command("keygen", "authority", "--enrolment", "--dir", folder)}))
        node = folder / "node-0.pub"
        node.write_text((folder / "node-1.pub").read_text())
        ill("roster", "another key than NAME.pub beside it: node-0", 7)
        node.unlink()
        for name in ("server.bulk", "server.http"):
            with contextlib.closing(socket.socket()) as other:  # never listening, and so refused at once
                other.bind(("127.0.0.1", 0))
                address = f"127.0.0.1:{other.getsockname()[1]}"
                server = {"http": address} if name == "server.http" else {"bulk": f"tcp://{address}"}
                ill("addresses", f"{name}: somebody else holds", 6, edit(task, server=server))
        (folder / "other").mkdir()
        scene.command("keygen", "coordinator", "--dir", folder / "other")
        daemons.coordinator("run").wait_event("start")
        ill("addresses", "it does not have this task's key", 6,
            edit(task, server={"key": str(folder / "other" / "coordinator.key"), "bulk": f"tcp://127.0.0.1:{ports[1]}"}))


def the_run_directory_of_a_task_may_be_named():
    with house.Scene(train=500, test=100) as scene:
        task = scene.task(algorithm={"rounds": 2})
        scene.result(task, "run")
        run = ("--run-dir", scene.dir / "run")
        found = doctor(scene, task, arguments=run)
        check(finding(found, "run directory", "ok", "can be written")["what"].startswith(f"{scene.dir}/run:"), f"{found}")
        finding(found, "run directory", "ok", "a run that is finished with round 2")
        finding(found, "run directory", "ok", "no coordinator is at work in it")
        finding(doctor(scene, task, arguments=("--run-dir", scene.dir / "new")), "run directory", "ok", "can be written")
        other = scene.dir / "other.yaml"
        other.write_text(json.dumps({**json.loads(task.read_text()), "name": "another"}))
        finding(doctor(scene, other, code=5, arguments=run), "run directory", "problem", "and this is task another")
        finding(doctor(scene, task, code=9, arguments=("--run-dir", task)), "run directory", "problem", "is no directory")
        with open(scene.dir / "run" / "run.db", "r+b") as database:
            database.write(b"no database")
        finding(doctor(scene, task, code=3, arguments=run), "run directory", "problem", "run.db")


def illnesses_of_a_client_are_named():
    with house.Scene(train=500, test=100) as scene:
        daemons, _ = federation(scene)
        client, folder = daemons.dir / "node-0.yaml", daemons.dir

        def ill(check_name, text, code, **values):
            finding(doctor(scene, edit(client, **values), code=code), check_name, "problem", text)

        ill("configuration", "coordinator_key", 2, coordinator_key="fedavg1:nonsense")
        ill("data", "nowhere", 3, data={"train": {"images": "nowhere", "labels": "nowhere"}})
        ill("coordinator", "cannot be reached", 8)
        daemons.coordinator("run").wait_event("start")
        ill("coordinator", "does not hold the key that coordinator_key names", 8,
            coordinator_key=(folder / "node-1.pub").read_text().strip())
        scene.command("keygen", "stranger", "--dir", folder)
        ill("coordinator", "is not on the coordinator's roster", 8, key="stranger.key")
        ill("coordinator", "the roster does not give it the clients", 8, clients={"first": 2, "count": 7})
        ill("coordinator", "its data or its split is not the task's", 8, seed=99)


def a_damaged_run_is_named():
    with house.Scene(train=500, test=100) as scene:
        scene.result(scene.task(algorithm={"rounds": 3}), "run")
        run = scene.dir / "run"
        finding(doctor(scene, run), "run", "ok", "finished with round 3")
        finding(doctor(scene, run), "at work", "ok", "no coordinator is at work")
        model = run / "model-3.safetensors"
        whole = model.read_bytes()
        model.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        finding(doctor(scene, run, code=3), "models", "problem", "model-3.safetensors")
        model.unlink()
        finding(doctor(scene, run, code=3), "run", "problem", "model-3.safetensors")
        model.write_bytes(whole)
        database = run / "run.db"
        pages = bytearray(database.read_bytes())
        for page in range(2, len(pages) // 4096):
            pages[page * 4096 + 8:page * 4096 + 40] = bytes(32)
        database.write_bytes(pages)
        found = doctor(scene, run, code=3)
        check([f for f in found if f["verdict"] == "problem" and f["code"] == 3], f"{found}")
        finding(doctor(scene, scene.dir, code=2), "run", "problem", "")


def a_key_with_a_passphrase_stays_shut_without_it():
    with house.Scene(train=500, test=100) as scene:
        daemons, _ = federation(scene)
        secret = scene.dir / "secret"
        secret.write_text("a long one\n")
        secret.chmod(0o600)
        scene.command("keygen", "locked", "--passphrase-file", secret, "--dir", daemons.dir)
        task = edit(daemons.task_path, server={"key": "locked.key"})
        finding(doctor(scene, task), "key", "note", "needs a passphrase and was not opened")
        if house.LONG:  # each opening takes a second
            finding(doctor(scene, task, arguments=("--passphrase-file", secret)), "key", "ok", "its fingerprint is")


house.main(a_healthy_federation_is_found_healthy, illnesses_of_a_task_are_named,
           the_run_directory_of_a_task_may_be_named, illnesses_of_a_client_are_named,
           a_damaged_run_is_named, a_key_with_a_passphrase_stays_shut_without_it)
