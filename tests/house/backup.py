"""A backup that is made while a run goes on is a run to go on from: whole, of one instant, with the same final model."""
import json
import os
import shutil
import signal

import house
import wards
from house import check

FOR_EVER = 1000000000
COPIES = 12 if house.LONG else 3


def back_up(scene, run, name, *arguments):
    """The list of a new backup, as it is printed and filed."""
    said = json.loads(scene.command("backup", run, scene.dir / name, "--json", *arguments))
    filed = json.loads((scene.dir / name / "backup.json").read_text())
    check(said["verified"] and all(said[key] == value for key, value in filed.items()), f"{said}, filed is {filed}")
    return said


def run_of_two_wards():
    scene = wards.Scene(rounds=FOR_EVER, rejoin_s=1, evaluate_every=1)
    scene.task["server"]["keep_last"] = 2
    for client in range(2):
        scene.add_node(f"ward-{client}", client, 100)
    return scene


def nodes_follow_a_run_that_was_restored_from_a_copy():
    """They have been in later rounds; the coordinator comes back from an older one, and nothing else is different."""
    with run_of_two_wards() as scene:
        coordinator = scene.coordinator()
        nodes = [scene.node(f"ward-{client}") for client in range(2)]
        wards.wait_round(coordinator, lambda event: event["round"] >= 3)
        copy = back_up(scene, scene.run_dir, "copy")
        last = copy["round"] + 6
        wards.wait_round(coordinator, lambda event: event["round"] >= last)
        coordinator.signal(signal.SIGKILL)
        coordinator.wait_exit(-signal.SIGKILL)
        said = {event["round"]: event["model"] for event in coordinator.events() if event["event"] == "round"}
        shutil.rmtree(scene.run_dir)
        shutil.copytree(scene.dir / "copy", scene.run_dir)
        again = scene.coordinator("--set", f"algorithm.rounds={last}")
        again.wait_event("resume", round=copy["round"])
        again.wait_exit(0)
        models = {event["round"]: event["model"] for event in again.events() if event["event"] == "round"}
        check(sorted(models) == list(range(copy["round"] + 1, last + 1)), f"rounds {sorted(models)} after {copy['round']}")
        check(all(said[number] == model for number, model in models.items()), f"{models}, before {said}")
        check(again.events()[-1]["model"] == said[last], f"another final model: {again}")
        check(all(node.child.poll() in (None, 0) for node in nodes), "a node gave up")


def everybody_killed_and_restored_ends_with_the_same_model():
    with house.Scene(train=500, test=100) as scene:
        task = scene.task(algorithm={"rounds": FOR_EVER})
        process = scene.simulate(task, "run")
        process.wait_event("round", round=3)
        copy = back_up(scene, scene.dir / "run", "copy", "--task", task)
        process.stop()
        check([entry["name"] for entry in copy["files"] if entry["name"].startswith("config/")] == ["config/task.yaml"],
              f"{copy['files']}")
        end = f"algorithm.rounds={copy['round'] + 3}"
        rest = scene.result(task, "copy", "--set", end)
        whole = scene.result(task, "whole", "--set", end)
        check(rest.first["event"] == "resume" and rest.first["round"] == copy["round"], f"{rest.first}")
        check(rest.done["model"] == whole.done["model"], f"{rest.done}, in one go {whole.done}")


def copies_of_a_hurried_run_are_all_whole():
    """Rounds are committed, and models removed, all the time."""
    with run_of_two_wards() as scene:
        coordinator = scene.coordinator()
        for client in range(2):
            scene.node(f"ward-{client}")
        wards.wait_round(coordinator)
        rounds = []
        for i in range(COPIES):
            rounds.append(back_up(scene, scene.run_dir, f"copy-{i}")["round"])
            scene.command("backup", "--verify", scene.dir / f"copy-{i}")
            wards.wait_round(coordinator, lambda event: event["round"] > rounds[-1] + 1)
        check(rounds == sorted(set(rounds)), f"rounds {rounds}")
        check(not list(scene.dir.glob("*.partial*")), "something was left behind")


def a_copy_of_a_backup_and_of_a_run_at_rest_says_the_same():
    with house.Scene(train=200, test=50) as scene:
        scene.result(scene.task(algorithm={"rounds": 2}), "run")
        before = {path.name: path.read_bytes() for path in (scene.dir / "run").iterdir() if path.name != "run.lock"}
        one, other = back_up(scene, scene.dir / "run", "one"), back_up(scene, scene.dir / "one", "other")
        check([(entry["name"], entry["digest"]) for entry in one["files"] if entry["name"] != "run.db"] ==
              [(entry["name"], entry["digest"]) for entry in other["files"] if entry["name"] != "run.db"], f"{one}, {other}")
        after = {path.name: path.read_bytes() for path in (scene.dir / "run").iterdir() if path.name != "run.lock"}
        check(before == after, "the run was changed")
        check(json.loads(scene.command("compare", scene.dir / "run", scene.dir / "other", "--json"))["models"]["same"], "models")


def keys_come_along_when_asked_for_and_stay_private():
    with run_of_two_wards() as scene:
        scene.task["algorithm"]["rounds"] = 1
        coordinator = scene.coordinator()
        for client in range(2):
            scene.node(f"ward-{client}")
        coordinator.wait_exit(0)
        back_up(scene, scene.run_dir, "plain", "--task", scene.task_path)
        back_up(scene, scene.run_dir, "keyed", "--task", scene.task_path, "--with-key")
        check(sorted(os.listdir(scene.dir / "plain" / "config")) == ["roster", "task.yaml"], "a key that nobody asked for")
        for name in ("roster", "task.yaml", "coordinator.key"):
            check((scene.dir / "keyed" / "config" / name).read_bytes() == (scene.dir / name).read_bytes(), name)
        for folder, _, files in os.walk(scene.dir / "keyed"):
            check(os.stat(folder).st_mode & 0o777 == 0o700, folder)
            for name in files:
                check(os.stat(os.path.join(folder, name)).st_mode & 0o777 == 0o600, name)


def refused(scene, code, text, *arguments):
    process = scene.start("fedavg", "backup", *arguments)
    process.wait_exit(code)
    check(len(process.log) == 1 and text in process.log[0] and not process.out, f"not one sentence with {text}: {process}")


def what_is_not_whole_is_noticed():
    with house.Scene(train=200, test=50) as scene:
        scene.result(scene.task(algorithm={"rounds": 2}), "run")
        names = [entry["name"] for entry in back_up(scene, scene.dir / "run", "good")["files"]]
        check("partition.json" in names, f"the page of the copy has no partition: {names}")
        other = scene.dir / "other.yaml"
        other.write_text(json.dumps({**json.loads((scene.dir / "task.yaml").read_text()), "name": "another"}))
        refused(scene, 5, "is task another, but", scene.dir / "run", scene.dir / "mixed", "--task", other)
        alone = scene.start("fedavg", "backup", scene.dir / "run", scene.dir / "mixed", "--with-key")
        alone.wait_exit(2)
        check("--with-key goes with --task" in alone.log[0], f"{alone}")
        check(not list(scene.dir.glob("mixed*")), "something was left behind")
        for name in names:
            shutil.copytree(scene.dir / "good", scene.dir / "bad")
            path = scene.dir / "bad" / name
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
            refused(scene, 3, f"{path} is not what was copied", "--verify", scene.dir / "bad")
            path.write_bytes(data[:-1])
            refused(scene, 3, f"{path} is not what was copied", "--verify", scene.dir / "bad")
            path.unlink()
            refused(scene, 3, f"{path} is missing", "--verify", scene.dir / "bad")
            shutil.rmtree(scene.dir / "bad")
        (scene.dir / "good" / "backup.json").write_text("{}")
        refused(scene, 3, "is damaged", "--verify", scene.dir / "good")
        refused(scene, 2, "is no backup", "--verify", scene.dir / "run")


def a_run_that_is_damaged_makes_no_backup():
    with house.Scene(train=200, test=50) as scene:
        scene.result(scene.task(algorithm={"rounds": 2}), "run")
        model = scene.dir / "run" / "model-2.safetensors"
        data = bytearray(model.read_bytes())
        data[-1] ^= 1
        model.write_bytes(data)
        refused(scene, 3, f"{scene.dir / 'run'}: its copy is not whole: ", scene.dir / "run", scene.dir / "copy")
        model.unlink()
        refused(scene, 3, "the model of its last round (2) is missing", scene.dir / "run", scene.dir / "copy")
        refused(scene, 2, "there is no run in", scene.dir, scene.dir / "copy")
        refused(scene, 2, "exists already", scene.dir / "run", scene.dir / "run")
        refused(scene, 2, "in which it is to lie is not there", scene.dir / "run", scene.dir / "no" / "where")
        check(not list(scene.dir.glob("copy*")) and not list(scene.dir.glob("*.partial*")), "something was left behind")


house.main(nodes_follow_a_run_that_was_restored_from_a_copy, everybody_killed_and_restored_ends_with_the_same_model,
           copies_of_a_hurried_run_are_all_whole, a_copy_of_a_backup_and_of_a_run_at_rest_says_the_same,
           keys_come_along_when_asked_for_and_stay_private, what_is_not_whole_is_noticed,
           a_run_that_is_damaged_makes_no_backup)
