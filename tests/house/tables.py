"""Tables in CSV: rows whose label is a word, and rows whose label is a number to be met, for which there is no accuracy."""
import json
import random

import house
from house import check

WARDS = house.ROOT / "deploy" / "tasks" / "wards.yaml"


def numbers_task(scene):
    """y is a linear function of two columns: one unit can meet it exactly."""
    draw = random.Random(1)
    for name, n in (("train", 200), ("test", 50)):
        rows = [(draw.uniform(-1, 1), draw.uniform(-1, 1)) for _ in range(n)]
        lines = [f"{a:.4f},{b:.4f},{2 * a - b + 0.5:.4f}" for a, b in rows]
        (scene.dir / f"{name}.csv").write_text("\n".join(["a,b,y", *lines]) + "\n")
    path = scene.dir / "numbers.yaml"
    path.write_text(json.dumps({
        "schema": 1, "name": "numbers", "seed": 1,
        "model": {"input": 2, "loss": "mean_squared_error", "layers": [{"units": 1}]},
        "data": {"format": "csv", "train": "train.csv", "test": "test.csv", "label": "y",
                 "partition": {"kind": "iid", "clients": 4}},
        "algorithm": {"rounds": 6, "fraction": 1, "epochs": 2, "batch_size": 10, "learning_rate": 0.1}}))
    return path


def numbers_have_a_loss_and_no_accuracy():
    with house.Scene(train=10, test=10) as scene:
        task = numbers_task(scene)
        run = scene.result(task, "run")
        losses = [event["loss"] for event in run.process.events() if event["event"] == "round"]
        check(len(losses) == 6 and losses[-1] < 1e-4 < losses[0], f"the losses are {losses}")
        told = [event["accuracy"] for event in run.process.events() if event.get("accuracy") is not None]
        check(not told, f"accuracies: {told}")
        check(run.done["loss"] == losses[-1], f"the last line says {run.done}")
        status = json.loads(scene.command("status", "--json", scene.dir / "run"))
        check(status["best"]["round"] == losses.index(min(losses)) + 1, f"the best round is {status['best']}")


def a_finished_run_of_numbers_is_not_evaluated_again():
    with house.Scene(train=10, test=10) as scene:
        task = numbers_task(scene)
        first = scene.result(task, "run")
        again = scene.result(task, "run")
        check([event["event"] for event in again.process.events()] == ["resume", "done"], f"it says {again.process.out}")
        check(again.done["loss"] == first.done["loss"] and again.done["model"] == first.done["model"], f"{again.done}")
        more = scene.result(task, "run", "--set", "algorithm.rounds=8")
        check(sorted(more.models) == [7, 8], f"rounds {sorted(more.models)}, expected 7 and 8")


def a_target_needs_an_accuracy():
    with house.Scene(train=10, test=10) as scene:
        process = scene.simulate(numbers_task(scene), "run", "--set", "algorithm.target_accuracy=0.9")
        process.wait_exit(2)
        check(process.said("goes not with model.loss: mean_squared_error, which has no accuracy"), f"{process}")


def wards_learn_who_is_ill():
    with house.Scene(train=10, test=10) as scene:
        one = scene.result(WARDS, "one")
        check(one.first["clients"] == 6, f"{one.first['clients']} clients, expected one for each ward")
        check(one.done["accuracy"] > 0.85, f"accuracy {one.done['accuracy']}")
        two = scene.result(WARDS, "two", nodes=2)
        check(one.models == two.models, "two nodes make other models than one")


house.main(numbers_have_a_loss_and_no_accuracy, a_finished_run_of_numbers_is_not_evaluated_again, a_target_needs_an_accuracy,
           wards_learn_who_is_ill)
