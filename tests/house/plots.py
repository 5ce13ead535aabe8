"""Runs as people look at them afterwards, or meanwhile: as CSV, as pictures, and one beside the other."""
import csv
import io
import json
import shutil
import sqlite3
import struct
import urllib.request
import xml.etree.ElementTree as xml

import house
from house import check

SVG = "{http://www.w3.org/2000/svg}"


def rows_of(scene, run):
    return list(csv.DictReader(io.StringIO(scene.command("status", scene.dir / run, "--csv") + "\n")))


def two_runs(scene):
    """One task twice, over one node and over two, and once with another seed."""
    task = scene.task(algorithm={"rounds": 4})
    return scene.result(task, "a"), scene.result(task, "b", nodes=2), scene.result(task, "c", "--set", "seed=8")


def csv_tells_what_the_run_said():
    with house.Scene(train=200, test=50) as scene:
        said = scene.result(scene.task(algorithm={"rounds": 4}, round={"evaluate_every": 2}), "run")
        rows = rows_of(scene, "run")
        check([row["round"] for row in rows] == ["0", "1", "2", "3", "4"], f"{rows}")
        bytes_total = 0
        for event, row in zip(said.rounds, rows[1:]):
            for key in ("round", "attempt", "clients", "bytes_down", "bytes_up"):
                check(int(row[key]) == event[key], f"{key}: {row}, {event}")
            for key in ("accuracy", "loss", "seconds", "train_seconds"):
                check(row[key] == "" if event[key] is None else abs(float(row[key]) - event[key]) < 1e-8, f"{key}: {row}, {event}")
            check(row["model"] == event["model"], f"{row}, {event}")
            bytes_total += event["bytes_down"] + event["bytes_up"]
            check(int(row["bytes_total"]) == bytes_total, f"{bytes_total}: {row}")
        columns = json.loads(scene.command("plot", scene.dir / "run", "--json"))["runs"][0]["columns"]
        check(columns["accuracy"] == [float(row["accuracy"]) if row["accuracy"] else None for row in rows], f"{columns}")
        check(columns["bytes_total"][-1] == bytes_total, f"{columns}")


def the_page_hands_out_the_same_lines():
    with house.Scene(train=200, test=50) as scene:
        scene.result(scene.task(algorithm={"rounds": 2}), "run")
        shown = scene.start("fedavg", "show", scene.dir / "run", "--json")
        shown.wait(lambda: shown.out, "an address")
        with urllib.request.urlopen(json.loads(shown.out[0])["url"].rstrip("/") + "/api/v1/rounds.csv") as answer:
            served = answer.read().decode()
        check(served == scene.command("status", scene.dir / "run", "--csv") + "\n", served)


def a_run_at_work_can_be_looked_at():
    with house.Scene(train=200, test=50) as scene:
        process = scene.simulate(scene.task(algorithm={"rounds": 1000000}), "run")
        process.wait_event("round", round=3)
        columns = json.loads(scene.command("plot", scene.dir / "run", "--json"))["runs"][0]["columns"]
        check(columns["round"][:4] == [0, 1, 2, 3], f"{columns}")
        scene.command("compare", scene.dir / "run", scene.dir / "run")
        before = len(process.events())
        process.wait(lambda: len(process.events()) > before, "another round")
        process.signal(9)
        process.wait_exit(-9)
        check(len(rows_of(scene, "run")) >= 4, "a killed run")


def texts(path):
    root = xml.parse(path).getroot()
    check(root.tag == f"{SVG}svg", root.tag)
    return ["".join(text.itertext()).strip() for text in root.iter(f"{SVG}text")]


def pictures_are_drawn_whole_and_alike():
    if shutil.which("gnuplot") is None:
        return house.not_tried("gnuplot is not installed, so that nothing was drawn")
    with house.Scene(train=200, test=50) as scene:
        two_runs(scene)
        runs = [scene.dir / run for run in "abc"]
        title = "$(touch pwned) `touch pwned` <it's> & {/Bold x_y} \\"
        for name in ("one.svg", "other.svg"):
            scene.command("plot", *runs, "-o", scene.dir / name, "--title", title, "--x", "bytes", "--smooth", "2")
        drawn = texts(scene.dir / "one.svg")
        check(title in drawn, f"{drawn}")
        for wanted in (f"task ({runs[0]}): ", f"task ({runs[1]}): ", "task (seed 8): "):
            check(any(text.startswith(wanted[:60]) for text in drawn), f"{wanted} not in {drawn}")
        check((scene.dir / "one.svg").read_bytes() == (scene.dir / "other.svg").read_bytes(), "the same runs, another picture")
        for arguments in (("--y", "loss", "--log"), ("--log",), ("--x", "seconds")):
            scene.command("plot", *runs, "-o", scene.dir / "more.svg", *arguments)
            texts(scene.dir / "more.svg")
        scene.command("plot", runs[0], "-o", scene.dir / "one.png")
        png = (scene.dir / "one.png").read_bytes()
        check(png[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">I", png[16:20])[0] == 1800, png[:32])
        refused = scene.start("fedavg", "plot", runs[0], "-o", scene.dir / "one.pdf")
        refused.wait_exit(2)
        check(refused.said("has to end in .svg or .png"), str(refused))
        check(not list(scene.dir.rglob("pwned")), "a title was obeyed")
        check(not list(scene.dir.glob("*.tmp*")), "something was left behind")


def compared(scene, code, *runs):
    process = scene.start("fedavg", "compare", *(scene.dir / run for run in runs), "--json")
    process.wait_exit(code)
    return json.loads(process.out[0])


def runs_are_told_apart():
    with house.Scene(train=200, test=50) as scene:
        a, _, c = two_runs(scene)
        same = compared(scene, 0, "a", "b")
        check(same["models"]["same"] and same["models"]["compared"] == 4 and same["task"] == [], f"{same}")
        check([[row["round"] for row in builds] for builds in same["builds"]] == [[0], [0]], f"{same['builds']}")
        check(same["builds"][0][0]["fedavg"] == a.first["build"] and same["builds"][0][0]["kernels"] == a.first["kernels"],
              f"{same['builds']}")
        check([run["model"] for run in same["runs"]] == [a.done["model"]] * 2, f"{same}")
        other = compared(scene, 5, "a", "c")
        check({entry["key"]: entry["values"] for entry in other["task"]}["seed"] == [7, 8], f"{other['task']}")
        check(other["models"]["parted"] == 0 and other["models"]["why"] == "task", f"{other['models']}")
        check(other["runs"][1]["accuracy"] == c.done["accuracy"], f"{other['runs']}")
        database = sqlite3.connect(scene.dir / "b" / "run.db")
        database.execute("UPDATE rounds SET model = zeroblob(32) WHERE round = 3")
        database.commit()
        database.close()
        broken = compared(scene, 1, "a", "b")
        check(broken["models"]["why"] == "not_reproducible" and broken["models"]["parted"] == 3, f"{broken['models']}")
        process = scene.start("fedavg", "compare", scene.dir / "a", scene.dir / "b")
        process.wait_exit(1)
        check(any("NOT REPRODUCIBLE" in line for line in process.out) and process.said("NOT REPRODUCIBLE"), str(process))


def lines_for_the_journal_carry_priorities():
    """A service manager says in JOURNAL_STREAM which file the journal is; here a pipe stands in for it."""
    connect = ("sh", "-c", 'export JOURNAL_STREAM="$(stat -L -c %d:%i /dev/fd/2)" && exec "$@"', "sh")
    with house.Scene(train=200, test=50) as scene:
        task, key = scene.task(), scene.dir / "nowhere.key"
        for before, prefix in ((connect, "<3>"), ((), "")):
            process = scene.start("fedavg-coordinator", task, "--run-dir", scene.dir / "run", "--allow-root", "--set",
                                  f"server.key={key}", "--set", f"server.roster={key}", before=before)
            process.wait_exit(None)
            check(process.log[-1].startswith(f"{prefix}fedavg-coordinator: {key}"), str(process))
        process = scene.start("fedavg-coordinator", task, "--run-dir", scene.dir / "run", "--allow-root", "--log-format", "json",
                              "--log-level", "debug", "--set", f"server.key={key}")
        process.wait_exit(None)
        events = [json.loads(line) for line in process.log]
        check(events[-1]["level"] == "error" and events[-1]["event"] == "failed", f"{events[-1]}")


house.main(csv_tells_what_the_run_said, the_page_hands_out_the_same_lines, a_run_at_work_can_be_looked_at, pictures_are_drawn_whole_and_alike,
           runs_are_told_apart, lines_for_the_journal_carry_priorities)
