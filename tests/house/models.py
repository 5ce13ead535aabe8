"""What a run has made is used: evaluated, with the numbers that the run itself wrote down, exported, begun from by other
runs, and computed again."""
import ast
import json
import pathlib
import shutil
import sqlite3
import struct
import zipfile

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
        check(process.said(text) and (len(process.log) == 1 or process.log[1].startswith("usage:")), f'not one sentence with "{text}": {process}')


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


def a_table(path, columns, n):
    """Patients, sick where age and pressure come to much."""
    rows = [{"age": i * 37 % 101 / 101, "pressure": i * 53 % 89 / 89, "ward": "abc"[i % 3]} for i in range(n)]
    lines = [",".join(str({**row, "sick": "yes" if row["age"] + row["pressure"] > 1 else "no"}[name]) for name in columns)
             for row in rows]
    path.write_text("\n".join([",".join(columns), *lines]) + "\n")


def a_table_with_columns_in_another_order_is_refused():
    with house.Scene(train=10, test=10) as scene:
        for name, columns, n in (("train", ["age", "pressure", "ward", "sick"], 300), ("test", ["age", "pressure", "ward", "sick"], 90),
                                 ("other", ["pressure", "age", "ward", "sick"], 90)):
            a_table(scene.dir / f"{name}.csv", columns, n)
        path = scene.task(algorithm={"fraction": 1.0, "learning_rate": 0.3})
        task = json.loads(path.read_text())
        task["model"] = {"input": 2, "classes": ["no", "yes"], "layers": [{"units": 8, "activation": "tanh"}, {"units": 2}]}
        task["data"] = {"format": "csv", "train": "train.csv", "test": "test.csv", "label": "sick", "group": "ward",
                        "partition": {"kind": "natural"}}
        path.write_text(json.dumps(task))
        scene.result(path, "run")
        run = scene.dir / "run"
        found = json.loads(scene.command("evaluate", run, "--json"))
        check([row["name"] for row in found["classes"]] == ["no", "yes"] and found["recorded"]["same"], f"{found}")
        check(json.loads(scene.command("replay", run, "--json"))["same"], "it does not come out again")
        swapped = scene.start("fedavg", "evaluate", run, "--set", f"data.test={scene.dir / 'other.csv'}")
        swapped.wait_exit(3)
        check(swapped.said("in the same order"), f"columns are mixed up: {swapped}")


def tensors(path):
    """Name, shape and bytes of each tensor of a safetensors file, in its order."""
    data = path.read_bytes()
    n = struct.unpack("<Q", data[:8])[0]
    for name, tensor in json.loads(data[8:8 + n]).items():
        if name != "__metadata__":
            begin, end = tensor["data_offsets"]
            yield name, tensor["shape"], data[8 + n + begin:8 + n + end]


def arrays(path):
    """Name, shape and bytes of each array of an .npz file, as NumPy's description of the format has them."""
    with zipfile.ZipFile(path) as archive:
        check(archive.testzip() is None, f"{path} is damaged")
        for info in archive.infolist():
            data = archive.read(info)
            check(data[:8] == b"\x93NUMPY\x01\x00" and info.filename.endswith(".npy"), f"{info.filename} is no array")
            n = struct.unpack("<H", data[8:10])[0]
            header = ast.literal_eval(data[10:10 + n].decode())
            check(header["descr"] == "<f4" and not header["fortran_order"] and data[9 + n:10 + n] == b"\n", f"{header}")
            check((10 + n) % 64 == 0, f"the values of {info.filename} are not aligned")
            yield info.filename[:-4], list(header["shape"]), data[10 + n:]


def a_model_is_exported_whole():
    with Trained() as scene:
        model = scene.run / "model-5.safetensors"
        for name in ("a.npz", "b.npz", "a.safetensors", "a.onnx", "b.onnx"):
            said = scene.json("export", scene.run, "-o", scene.dir / name)
            check((said["round"], said["model"]) == (5, scene.done["model"]), f"{said}")
            check(said["bytes"] == (scene.dir / name).stat().st_size, f"{said}")
        check((scene.dir / "a.safetensors").read_bytes() == model.read_bytes(), "the safetensors file is another")
        check(list(arrays(scene.dir / "a.npz")) == list(tensors(model)), "the arrays are not the tensors")
        with zipfile.ZipFile(scene.dir / "a.npz") as archive:
            check(scene.done["model"] in archive.comment.decode(), f"it does not say what it is: {archive.comment}")
        for end in ("npz", "onnx"):
            check((scene.dir / f"a.{end}").read_bytes() == (scene.dir / f"b.{end}").read_bytes(), f"two {end} files differ")
        for name, _, values in tensors(model):
            check(values in (scene.dir / "a.onnx").read_bytes(), f"{name} is not in the ONNX file")

        old = scene.json("export", scene.run, "--round", "4", "-o", scene.dir / "old.npz")
        check(old["round"] == 4 and list(arrays(scene.dir / "old.npz")) == list(tensors(scene.run / "model-4.safetensors")), f"{old}")
        best = scene.json("export", scene.run, "--best", "-o", scene.dir / "best.npz")
        check(best["model"] == scene.json("evaluate", scene.run, "--best")["model"], f"{best}")
        away = pathlib.Path(shutil.copy(model, scene.dir / "away.safetensors"))
        alone = scene.json("export", away, "--task", scene.task_path, "-o", scene.dir / "alone.npz")
        check(list(arrays(scene.dir / "alone.npz")) == list(tensors(model)) and "run_id" not in alone, f"{alone}")

        scene.refused(2, "ends in none of .safetensors, .npz and .onnx", "export", scene.run, "-o", scene.dir / "model.pt")
        scene.refused(2, "--probabilities goes with .onnx", "export", scene.run, "-o", scene.dir / "x.npz", "--probabilities")
        scene.refused(2, "was not kept (server.keep_last)", "export", scene.run, "--round", "1", "-o", scene.dir / "x.npz")
        for end in ("npz", "onnx", "safetensors"):
            scene.refused(9, f"nowhere/x.{end}", "export", scene.run, "-o", scene.dir / "nowhere" / f"x.{end}")
        left = [path.name for path in scene.dir.iterdir() if "tmp" in path.name or path.name.startswith("x.")]
        check(not left, f"left behind: {left}")


def rewritten(source, target):
    """The same tensors as others may write them: in another order, without metadata, without alignment."""
    header, body = {}, b""
    for name, shape, values in reversed(list(tensors(source))):
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(values)]}
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
        scene.refused(3, "foreign.safetensors", "replay", scene.dir / "first")
        check(scene.json("replay", scene.dir / "first", "--set", f"model.initial={model}")["same"], "it does not come out again")
        scene.refused(3, "not the parameters that the run began from", "replay", scene.dir / "first", "--set",
                      f"model.initial={scene.run / 'model-4.safetensors'}")


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


ALGORITHM = {"rounds": 8, "fraction": 0.3, "learning_rate": 0.3, "clip_norm": 2.0, "max_share": 0.6, "momentum": 0.5}


def a_run_whose_clips_and_caps_move_comes_out_again():
    with house.Scene() as scene:
        task = scene.task(partition={"kind": "quantity", "clients": 10, "alpha": 1.0}, algorithm=ALGORITHM)
        scene.result(task, "run")
        with sqlite3.connect(f"file:{scene.dir}/run/run.db?mode=ro", uri=True) as db:
            clips, caps = zip(*db.execute("SELECT clip, weight_cap FROM rounds WHERE round > 0"))
            clipped = db.execute("SELECT count(*) FROM updates JOIN rounds USING (round) WHERE norm > clip").fetchone()[0]
        check(len(set(clips)) > 3 and len(set(caps)) > 3 and clipped > 3, f"nothing moves: {clips}, {caps}, {clipped} clipped")
        check(json.loads(scene.command("replay", scene.dir / "run", "--json"))["same"], "it does not come out again")


def a_run_with_rollbacks_comes_out_again():
    with house.Scene() as scene:
        task = scene.task(partition={"kind": "shards", "clients": 10, "shards_per_client": 1}, algorithm=ALGORITHM,
                          hygiene={"rollback_factor": 1.3})
        scene.result(task, "run")
        run = scene.dir / "run"
        with sqlite3.connect(f"file:{run}/run.db?mode=ro", uri=True) as db:
            back = dict(db.execute("SELECT round, to_round FROM rollbacks"))
            models = [row[0] for row in db.execute("SELECT lower(hex(model)) FROM rounds WHERE round > 0")]
        check(any(to > 0 for to in back.values()) and any(to in back for to in back.values()), f"no rollback to speak of: {back}")
        whole = json.loads(scene.command("replay", run, "--json"))
        check(whole["same"] and (whole["from"], whole["to"], whole["model"]) == (0, len(models), models[-1]), f"{whole}")
        last = max(back)
        part = json.loads(scene.command("replay", run, "--from", last, "--json"))
        check(part["same"] and part["updates"] < whole["updates"], f"{part}")
        early = json.loads(scene.command("replay", run, "--to", "3", "--json"))
        check(early["same"] and (early["to"], early["model"]) == (3, models[2]), f"{early}")


# What is changed in run.db, and the sentence about it. Rounds 1 and 2 stay as they are.
LIES = [
    ("UPDATE rounds SET model = zeroblob(32) WHERE round = 3", "round 3: it comes out as model"),
    ("UPDATE updates SET norm = norm * 1.5 WHERE round = 3", "round 3: the update of client"),
    ("UPDATE updates SET weight = weight + 1 WHERE round = 3", "round 3: client"),
    ("UPDATE rounds SET weight = weight + 1 WHERE round = 3", "round 3: 5 updates of weight"),
    ("DELETE FROM updates WHERE round = 3 AND client = (SELECT min(client) FROM updates WHERE round = 3)", "round 3: 4 updates"),
    ("UPDATE updates SET client = 1000000 WHERE round = 3 AND client = (SELECT max(client) FROM updates WHERE round = 3)",
     "round 3: client 1000000 counts 0"),
    ("UPDATE rounds SET clip = 1 WHERE round = 3", "round 3: a clip of 0 and a weight cap of 0 follow"),
    ("UPDATE rounds SET norm_ceiling = 1e-9 WHERE round = 3", "above the ceiling of 1.0000000000000001e-09 that is recorded"),
    ("DELETE FROM rounds WHERE round = 3", "round 3 is missing"),
]


def the_first_round_that_is_not_what_it_says_is_named():
    with Trained() as scene:
        for i, (lie, text) in enumerate(LIES):
            copy = scene.dir / f"lie-{i}"
            shutil.copytree(scene.run, copy)
            with sqlite3.connect(copy / "run.db") as db:
                db.execute(lie)
            scene.refused(12, text, "replay", copy)
        told = scene.start("fedavg", "replay", scene.dir / "lie-0", "--json")
        told.wait_exit(12)
        found = json.loads(told.out[0])
        check((found["same"], found["differs"]) == (False, 3) and "round 3" in found["reason"], f"{found}")
        check(scene.json("replay", scene.dir / "lie-0", "--to", "2")["same"], "rounds before it are refused")

        scene.refused(2, "was not kept (server.keep_last)", "replay", scene.run, "--from", "2")
        scene.refused(2, "round 6 is not committed (yet)", "replay", scene.run, "--from", "6")
        scene.refused(2, "there is no run in", "replay", scene.dir)
        other = bytearray((scene.dir / "train-images-idx3-ubyte").read_bytes())
        other[-1] ^= 1
        (scene.dir / "other").write_bytes(other)
        scene.refused(3, "are not those of the run", "replay", scene.run, "--set", f"data.train.images={scene.dir / 'other'}")
        (scene.dir / "train-images-idx3-ubyte").unlink()
        scene.refused(3, "train-images-idx3-ubyte", "replay", scene.run)


main(evaluation_is_that_of_the_run_bit_for_bit, other_data_are_named_and_missing_ones_are_told, a_model_is_exported_whole,
     a_table_with_columns_in_another_order_is_refused,
     a_run_begins_where_another_has_ended, parameters_that_do_not_fit_are_named_and_nothing_begins,
     a_run_whose_clips_and_caps_move_comes_out_again, a_run_with_rollbacks_comes_out_again,
     the_first_round_that_is_not_what_it_says_is_named)
