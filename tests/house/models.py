"""What a run has made is used: evaluated, with the numbers that the run itself wrote down, and begun from by other runs."""
import json
import pathlib
import shutil
import sqlite3
import struct

import house
from house import check, main


class Trained(house.Scene):
    """A run of five rounds, of which three models are kept."""

    def __init__(self):
        super().__init__()
        self.task_path = self.task(server={"keep_last": 3})
        self.run = self.dir / "run"
        self.done = self.result(self.task_path, "run").done

    def rows(self, query):
        with sqlite3.connect(f"file:{self.run}/run.db?mode=ro", uri=True) as db:
            return db.execute(query).fetchall()

    def kept(self):
        return sorted(int(path.stem.split("-")[1]) for path in self.run.glob("model-*.safetensors"))

    def json(self, *arguments):
        return json.loads(self.command(*arguments, "--json"))

    def refused(self, code, text, *arguments):
        process = self.start("fedavg", *arguments)
        process.wait_exit(code)
        check(process.said(text) and len(process.log) == 1, f'not one sentence with "{text}": {process}')


def labels(path):
    return path.read_bytes()[8:]


def evaluation_is_that_of_the_run_bit_for_bit():
    with Trained() as scene:
        stored = {row[0]: row[1:] for row in scene.rows("SELECT round, loss, accuracy FROM evaluations")}
        check(len(scene.kept()) >= 3, f"models are missing: {scene.kept()}")
        for n in scene.kept():
            found = scene.json("evaluate", scene.run, "--round", n)
            check((found["loss"], found["accuracy"]) == stored[n] and found["recorded"]["same"], f"round {n}: {found}")
            check(found["round"] == n, f"round {n}: {found}")
        result = scene.json("evaluate", scene.run)
        check((result["round"], result["model"]) == (5, scene.done["model"]), f"not the result: {result}")
        best = scene.json("evaluate", scene.run, "--best")
        check(best["accuracy"] == max(accuracy for _, accuracy in stored.values()), f"not the best: {best} of {stored}")
        said = scene.command("evaluate", scene.run)
        check("the same, to the last bit" in said and "class " in said, said)

        truth = labels(scene.dir / "test-labels-idx1-ubyte")
        for row in result["classes"]:
            counts = result["confusion"][row["class"]]
            check(row["examples"] == truth.count(row["class"]) == sum(counts), f"class {row} of {counts}")
            check(row["correct"] == counts[row["class"]] and len(counts) == 11, f"class {row} of {counts}")
        right = sum(row["correct"] for row in result["classes"])
        check(right / len(truth) == result["accuracy"], f"{right} of {len(truth)} are not {result['accuracy']}")

        alone = scene.json("evaluate", scene.run / "model-5.safetensors")
        check(alone == result, f"a model file of a run is otherwise: {alone}")


def other_data_are_named_and_missing_ones_are_told():
    with Trained() as scene:
        train = scene.json("evaluate", scene.run, "--data", "train")
        check(train["examples"] == 2000 and train["data"] == "train" and "recorded" not in train, f"{train}")
        files = scene.files("train")
        sets = [word for key in files for word in ("--set", f"data.test.{key}={files[key]}")]
        other = scene.json("evaluate", scene.run, *sets)
        check((other["loss"], other["confusion"]) == (train["loss"], train["confusion"]), f"{other} is not {train}")
        named = scene.json("evaluate", scene.run, "--task", scene.task_path)
        check(named["examples"] == 500 and "recorded" not in named, f"{named}")

        away = pathlib.Path(shutil.copy(scene.run / "model-5.safetensors", scene.dir / "away.safetensors"))
        alone = scene.json("evaluate", away, "--task", scene.task_path)
        check(alone["confusion"] == named["confusion"] and alone["model"] == named["model"], f"{alone} is not {named}")
        check("run_id" not in alone, f"a file is of a run: {alone}")

        scene.refused(2, "--task TASK.yaml", "evaluate", away)
        scene.refused(2, "neither a run directory nor a model file", "evaluate", scene.dir / "nowhere")
        scene.refused(2, "there is no run in", "evaluate", scene.dir)
        scene.refused(2, "was not kept (server.keep_last); there are those of round 3, 4, 5", "evaluate", scene.run, "--round", "1")
        scene.refused(2, "there is no round 6 (yet)", "evaluate", scene.run, "--round", "6")
        scene.refused(2, "expected the number of a round", "evaluate", scene.run, "--round", "last")
        wider = scene.task("wider", hidden=33)
        scene.refused(3, "tensor fc1.weight has shape [32, 784], the task's model has [33, 784]", "evaluate", away, "--task", wider)

        whole = (scene.dir / "test-labels-idx1-ubyte")
        whole.rename(scene.dir / "elsewhere")
        scene.refused(3, "test-labels-idx1-ubyte", "evaluate", scene.run)
        found = scene.json("evaluate", scene.run, "--set", f"data.test.labels={scene.dir / 'elsewhere'}")
        check(found["confusion"] == named["confusion"], f"{found} is not {named}")

        damaged = bytearray(away.read_bytes())
        damaged[-1] ^= 1
        away.write_bytes(damaged)
        scene.refused(3, "it is damaged", "evaluate", away, "--task", scene.task_path)


def rewritten(source, target):
    """The same tensors as others may write them: in another order, without metadata, without alignment."""
    data = source.read_bytes()
    n = struct.unpack("<Q", data[:8])[0]
    tensors = {name: tensor for name, tensor in json.loads(data[8:8 + n]).items() if name != "__metadata__"}
    header, body = {}, b""
    for name, tensor in reversed(tensors.items()):
        begin, end = tensor["data_offsets"]
        values = data[8 + n + begin:8 + n + end]
        header[name] = {"dtype": "F32", "shape": tensor["shape"], "data_offsets": [len(body), len(body) + len(values)]}
        body += values
    text = json.dumps(header).encode()
    target.write_bytes(struct.pack("<Q", len(text)) + text + body)


def a_run_begins_where_another_has_ended():
    with Trained() as scene:
        foreign, model = scene.dir / "foreign.safetensors", scene.run / "model-5.safetensors"
        rewritten(model, foreign)
        sets = ["--set", "algorithm.rounds=2", "--set"]
        first = scene.result(scene.task_path, "first", *sets, f"model.initial={foreign}")
        second = scene.result(scene.task_path, "second", *sets, f"model.initial={model}")
        check(first.models == second.models and len(first.models) == 2, f"{first.models} is not {second.models}")
        with sqlite3.connect(f"file:{scene.dir}/first/run.db?mode=ro", uri=True) as db:
            start = db.execute("SELECT hex(model) FROM rounds WHERE round = 0").fetchone()[0].lower()
            terms = json.loads(db.execute("SELECT task_terms FROM meta").fetchone()[0])
        check(start == scene.done["model"] == terms["model"]["initial"], f"it begins with {start}, not {scene.done['model']}")
        check((first.models[1],) not in scene.rows("SELECT lower(hex(model)) FROM rounds"), "it begins anew")

        def goes_on(code, text, initial):
            process = scene.simulate(scene.task_path, "first", "--set", "algorithm.rounds=3", "--set", f"model.initial={initial}")
            process.wait_exit(code)
            check(process.said(text), f'nobody said "{text}": {process}')
        goes_on(5, "model.initial: " + start[:40], scene.run / "model-4.safetensors")
        goes_on(5, "model.initial: " + start[:40], "null")
        foreign.unlink()
        goes_on(0, "initial parameters are gone", foreign)


def parameters_that_do_not_fit_are_named_and_nothing_begins():
    with Trained() as scene:
        model = scene.run / "model-5.safetensors"
        def refused(task, initial, text):
            process = scene.simulate(task, "other", "--set", f"model.initial={initial}")
            process.wait_exit(3)
            check(process.said(text), f'nobody said "{text}": {process}')
            check(not (scene.dir / "other" / "run.db").exists(), "a run was made")
        refused(scene.task("wider", hidden=33), model, "tensor fc1.weight has shape [32, 784], the task's model has [33, 784]")
        refused(scene.task("flat", hidden=0), model, "tensor out.weight has shape [10, 32], the task's model has [10, 784]")
        refused(scene.task_path, scene.dir / "nowhere", "nowhere")
        (scene.dir / "x.npz").write_bytes(b"PK\3\4" + bytes(100))
        refused(scene.task_path, scene.dir / "x.npz", "a ZIP archive, as NumPy's .npz")
        rewritten(model, scene.dir / "bad")
        bad = bytearray((scene.dir / "bad").read_bytes())
        bad[-4:] = struct.pack("<f", float("inf"))
        (scene.dir / "bad").write_bytes(bad)
        refused(scene.task_path, scene.dir / "bad", "of tensor fc1.weight is infinite")


main(evaluation_is_that_of_the_run_bit_for_bit, other_data_are_named_and_missing_ones_are_told,
     a_run_begins_where_another_has_ended, parameters_that_do_not_fit_are_named_and_nothing_begins)
