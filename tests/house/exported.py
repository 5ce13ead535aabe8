"""An exported ONNX model is what it was: ONNX's checker takes it, and OpenCV computes from it what fedavg does."""
import json
import subprocess
import sys

import house
from house import check, main

NEEDS = "numpy, onnx, cv2"
TEXT = "the quick brown fox jumps over the lazy dog and\nthe dog does not mind so the fox jumps again "
LETTERS = "\n abcdefghijklmnopqrstuvwxyz"


def interpreter():
    """A Python with what the judge needs: this one, or the one that Debian's packages belong to."""
    for program in (sys.executable, "/usr/bin/python3"):
        try:
            if subprocess.run([program, "-c", f"import {NEEDS}"], capture_output=True).returncode == 0:
                return program
        except OSError:
            pass
    return house.skip("no Python here imports numpy, onnx and cv2 (Debian: python3-onnx python3-opencv); "
                      "`deploy/install-deps --develop` installs them")


PYTHON = interpreter()


def job_of(scene, task, run, **more):
    """Trains one round, exports, and says what fedavg thinks of the model."""
    scene.result(task, run)
    said = json.loads(scene.command("evaluate", scene.dir / run, "--json"))
    files = {name: str(scene.dir / f"{run}{end}") for name, end in
             (("onnx", ".onnx"), ("npz", ".npz"), ("probabilities", "-p.onnx"))}
    for name, path in files.items():
        scene.command("export", scene.dir / run, "-o", path, *(["--probabilities"] if name == "probabilities" else []))
    about = {"fedavg.run_id": said["run_id"], "fedavg.round": str(said["round"]), "fedavg.model": said["model"]}
    return {**files, "loss": said["loss"], "accuracy": said["accuracy"], "said": about, "output": "logits", "kind": "softmax", **more}


def judge(scene, *jobs):
    path = scene.dir / "jobs.json"
    path.write_text(json.dumps(jobs))
    verdict = subprocess.run([PYTHON, "-B", house.ROOT / "tests" / "house" / "exported_judge.py", path], capture_output=True, text=True)
    check(verdict.returncode == 0, f"{verdict.stdout}{verdict.stderr}")
    print(verdict.stdout, end="")


PAPER_CNN = [{"kind": "conv2d", "units": 32, "kernel": 5, "activation": "relu"}, {"kind": "max_pool", "kernel": 2},
             {"kind": "conv2d", "units": 64, "kernel": 5, "activation": "relu"}, {"kind": "max_pool", "kernel": 2},
             {"kind": "flatten"}, {"units": 512, "activation": "relu"}, {"units": 10}]
# Strides that do not divide, borders that are not even, both paddings, every activation.
ODD_CNN = [{"kind": "conv2d", "units": 5, "kernel": 3, "stride": 2, "padding": "same", "activation": "tanh"},
           {"kind": "max_pool", "kernel": 3, "stride": 2, "padding": "same"},
           {"kind": "conv2d", "units": 7, "kernel": 3, "stride": 2, "padding": "valid", "activation": "sigmoid"},
           {"kind": "max_pool", "kernel": 2, "stride": 1, "padding": "valid"},
           {"kind": "flatten"}, {"units": 9, "activation": "relu"}, {"units": 10}]
NETWORKS = [
    ("2nn", {"preset": "mnist_2nn"}, [784], [{"units": 200, "activation": "relu"}, {"units": 200, "activation": "relu"}, {"units": 10}]),
    ("cnn", {"preset": "mnist_cnn"}, [1, 28, 28], PAPER_CNN),
    ("odd", {"input": {"height": 28, "width": 28}}, [1, 28, 28], ODD_CNN),
    ("sequence", {"input": {"steps": 28, "features": 28}}, [28, 28],
     [{"kind": "lstm", "units": 12}, {"units": 6, "activation": "tanh"}, {"kind": "flatten"}, {"units": 10}]),
]


def task_of(scene, name, model, layers, data=None):
    path = scene.task(name, clients=2, algorithm={"rounds": 1, "fraction": 0.5})
    task = json.loads(path.read_text())
    task["model"] = model if "preset" in model else {**model, "layers": layers}
    task["data"] = data or task["data"]
    path.write_text(json.dumps(task))
    return path


def networks_on_images_compute_in_opencv_what_they_do_here():
    with house.Scene(train=400, test=300) as scene:
        images = scene.files("test")
        judge(scene, *(job_of(scene, task_of(scene, name, model, layers), name, layers=layers, shape=shape, **images)
                       for name, model, shape, layers in NETWORKS))


def a_network_on_text_computes_in_opencv_what_it_does_here():
    with house.Scene(train=10, test=10) as scene:
        text = scene.dir / "letters"
        text.write_text(TEXT * 8)
        layers = [{"kind": "embedding", "units": 8}, {"kind": "lstm", "units": 16}, {"kind": "lstm", "units": 12}, {"units": len(LETTERS)}]
        data = {"format": "text", "train": str(text), "test": str(text), "unroll": 20, "partition": {"kind": "iid", "clients": 2}}
        task = task_of(scene, "text", {"input": {"steps": 20}, "vocabulary": LETTERS}, layers, data)
        job = job_of(scene, task, "text", layers=layers, text=str(text), vocabulary=LETTERS, steps=20)
        job["said"]["fedavg.vocabulary"] = LETTERS
        judge(scene, job)


def a_binary_network_has_one_probability():
    with house.Scene(train=400, test=300) as scene:
        for name in ("train", "test"):  # odd or even
            path = scene.dir / f"{name}-labels-idx1-ubyte"
            path.write_bytes(path.read_bytes()[:8] + bytes(label & 1 for label in path.read_bytes()[8:]))
        layers = [{"units": 8, "activation": "sigmoid"}, {"units": 1}]
        model = {"input": 784, "loss": "binary_cross_entropy", "classes": ["even", "odd"]}
        task = task_of(scene, "binary", model, layers)
        job = job_of(scene, task, "binary", layers=layers, shape=[784], kind="binary", **scene.files("test"))
        job["said"]["fedavg.classes"] = "even\nodd"
        judge(scene, job)


main(networks_on_images_compute_in_opencv_what_they_do_here, a_network_on_text_computes_in_opencv_what_it_does_here,
     a_binary_network_has_one_probability)
