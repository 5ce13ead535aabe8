"""Holds an exported model against independent truths: exported_judge.py JOBS.json, with numpy, onnx and cv2 (Debian's
python3-numpy, python3-onnx, python3-opencv). For exported.py, which starts it.

A job names the files (onnx, npz), the layers of the task, the examples (IDX images, or a text) and what `fedavg evaluate`
said of them. The model has to pass ONNX's checker, and in OpenCV its outputs on the examples have to be those of the layers
computed here in float64 from the arrays of the .npz, and have the loss and the hits that fedavg found. OpenCV 4.6 takes no
symbols and an LSTM only for a batch that is known beforehand: there the batch is fixed and the lookup of symbols done here."""
import json
import sys

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper

TOLERANCE = 1e-4  # of an output; OpenCV adds in another order and in float32
LOSS_TOLERANCE = 1e-5


def same(found, wanted, tolerance, what):
    if found.shape != wanted.shape or not np.all(np.abs(found - wanted) <= tolerance * (1 + np.abs(wanted))):
        worst = np.max(np.abs(found - wanted)) if found.shape == wanted.shape else (found.shape, wanted.shape)
        sys.exit(f"{what}: differs by {worst}")


# -- the layers, as the papers have them ---------------------------------------------------------------------------------

ACTIVATIONS = {"linear": lambda x: x, "relu": lambda x: np.maximum(x, 0), "tanh": np.tanh,
               "sigmoid": lambda x: 1 / (1 + np.exp(-x))}


def windows(x, kernel, stride, padding, fill):
    """(n, c, h, w) -> (n, c, h', w', kernel, kernel); same: as many as h / stride, rounded up."""
    if padding == "same":
        pads = [(0, 0), (0, 0)]
        for extent in x.shape[2:]:
            missing = max((-(-extent // stride) - 1) * stride + kernel - extent, 0)
            pads.append((missing // 2, missing - missing // 2))
        x = np.pad(x, pads, constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), (2, 3))[:, :, ::stride, ::stride]


def lstm(x, ih, hh, bias):
    n, steps, _ = x.shape
    units = hh.shape[1]
    h, c, out = np.zeros((n, units)), np.zeros((n, units)), []
    for t in range(steps):
        i, f, g, o = np.split(x[:, t] @ ih.T + h @ hh.T + bias, 4, axis=1)
        c = ACTIVATIONS["sigmoid"](f) * c + ACTIVATIONS["sigmoid"](i) * np.tanh(g)
        h = ACTIVATIONS["sigmoid"](o) * np.tanh(c)
        out.append(h)
    return np.stack(out, axis=1)


def forward(x, layers, weights):
    counts = {}
    for number, layer in enumerate(layers):
        kind = layer.get("kind", "dense")
        counts[kind] = counts.get(kind, 0) + 1
        stem = {"dense": "fc", "conv2d": "conv", "lstm": "lstm", "embedding": "embed"}.get(kind)
        name = "out" if number + 1 == len(layers) else "embed" if kind == "embedding" else f"{stem}{counts[kind]}"
        w = {part: weights[f"{name}.{part}"].astype(np.float64) for part in
             ("weight", "bias", "weight_ih_l0", "weight_hh_l0", "bias_ih_l0") if f"{name}.{part}" in weights}
        if kind == "dense":
            x = x @ w["weight"].T + w["bias"]
        elif kind == "conv2d":
            seen = windows(x, layer["kernel"], layer.get("stride", 1), layer.get("padding", "same"), 0)
            x = np.einsum("nchwij,ocij->nohw", seen, w["weight"], optimize=True) + w["bias"][:, None, None]
        elif kind == "max_pool":
            seen = windows(x, layer["kernel"], layer.get("stride", layer["kernel"]), layer.get("padding", "valid"), -np.inf)
            x = seen.max(axis=(4, 5))
        elif kind == "flatten":
            x = x.reshape(len(x), -1)
        elif kind == "embedding":
            x = w["weight"][x]
        elif kind == "lstm":
            x = lstm(x, w["weight_ih_l0"], w["weight_hh_l0"], w["bias_ih_l0"])
        x = ACTIVATIONS[layer.get("activation", "linear")](x)
    return x


# -- the examples --------------------------------------------------------------------------------------------------------


def examples(job):
    """Inputs as the model has them, and labels."""
    if "text" in job:
        symbols = np.array([job["vocabulary"].index(c) for c in open(job["text"], newline="").read()])
        n, steps = (len(symbols) - 1) // job["steps"], job["steps"]
        return symbols[:n * steps].reshape(n, steps), symbols[1:n * steps + 1].reshape(n, steps)
    images = np.frombuffer(open(job["images"], "rb").read(), np.uint8, offset=16).astype(np.float32) / np.float32(255)
    labels = np.frombuffer(open(job["labels"], "rb").read(), np.uint8, offset=8)
    return images.reshape([len(labels)] + job["shape"]), labels.astype(np.int64)


# -- the readers ---------------------------------------------------------------------------------------------------------


def for_opencv(model, x, weights):
    """The model and inputs as this OpenCV takes them: three axes, of which it would take the last for channels, and symbols."""
    graph = model.graph
    if not any(node.op_type == "LSTM" for node in graph.node):
        return model, x.astype(np.float32)
    name = graph.input[0].name
    if graph.node[0].op_type == "Gather":
        name = graph.node[0].output[0]
        del graph.node[0]
        x = weights["embed.weight"][x]
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info("four", TensorProto.FLOAT, [x.shape[0], 1, *x.shape[1:]]))
    graph.output[0].type.tensor_type.shape.dim[0].dim_value = x.shape[0]
    graph.initializer.append(helper.make_tensor("three", TensorProto.INT64, [3], [-1, *x.shape[1:]]))
    graph.node.insert(0, helper.make_node("Reshape", ["four", "three"], [name], name="drop_axis"))
    return model, x[:, None].astype(np.float32)


def in_opencv(path, x, weights):
    model, x = for_opencv(onnx.load(path), x, weights)
    net = cv2.dnn.readNetFromONNX(model.SerializeToString())
    net.setInput(x)
    return net.forward().astype(np.float64)


def described(model, job, x, outputs):
    """The checker's word, names, shapes, what is said about the model."""
    onnx.checker.check_model(model, full_check=True)
    shapes = [[dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
              for value in (model.graph.input[0], model.graph.output[0])]
    wanted = [["batch", *x.shape[1:]], ["batch", *outputs.shape[1:]]]
    if shapes != wanted:
        sys.exit(f"shapes {shapes}, not {wanted}")
    if (model.graph.input[0].name, model.graph.output[0].name) != ("input", job["output"]):
        sys.exit(f"names {model.graph.input[0].name} and {model.graph.output[0].name}")
    said = {entry.key: entry.value for entry in model.metadata_props}
    for key, value in job["said"].items():
        if said.get(key) != value:
            sys.exit(f"{key} is {said.get(key)!r}, not {value!r}")
    if job["said"]["fedavg.model"] not in model.doc_string or job["said"]["fedavg.run_id"] not in model.doc_string:
        sys.exit(f"the doc string tells neither run nor model: {model.doc_string}")


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def loss_of(outputs, labels, kind):
    if kind == "binary":
        z = outputs[:, 0]
        return np.mean(np.logaddexp(0, z) - labels * z), (z > 0) == labels
    log = outputs - outputs.max(axis=-1, keepdims=True)
    log = log - np.log(np.exp(log).sum(axis=-1, keepdims=True))
    return -np.mean(np.take_along_axis(log, labels[..., None], -1)), outputs.argmax(-1) == labels


def judge(job):
    weights = np.load(job["npz"])
    x, labels = examples(job)
    outputs = forward(x if "text" in job else x.astype(np.float64), job["layers"], weights)
    described(onnx.load(job["onnx"]), job, x, outputs)
    found = in_opencv(job["onnx"], x, weights)
    same(found, outputs, TOLERANCE, "outputs in OpenCV and of the layers")
    probabilities = in_opencv(job["probabilities"], x, weights)
    wanted = ACTIVATIONS["sigmoid"](outputs) if job["kind"] == "binary" else softmax(outputs)
    same(probabilities, wanted, TOLERANCE, "probabilities in OpenCV and of the layers")
    loss, hits = loss_of(found, labels, job["kind"])
    same(np.array(loss), np.array(job["loss"]), LOSS_TOLERANCE, "loss in OpenCV and in fedavg")
    if np.mean(hits) != job["accuracy"]:
        sys.exit(f"accuracy {np.mean(hits)} in OpenCV, {job['accuracy']} in fedavg")
    apart = np.max(np.abs(found - outputs))
    print(f"    {job['npz']}: {len(x)} examples, loss {loss:.9f} and {job['loss']:.9f}, outputs at most {apart:.1e} apart")


with open(sys.argv[1]) as file:
    for each in json.load(file):
        judge(each)
