"""What a run has made is used: evaluated, with the numbers that the run itself wrote down."""
import json
import pathlib
import shutil
import sqlite3

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


main(evaluation_is_that_of_the_run_bit_for_bit, other_data_are_named_and_missing_ones_are_told)
