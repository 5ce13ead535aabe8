#!/usr/bin/env python3
"""Federated averaging by PyTorch: what a few rounds must come to, for tests/unit/check_torch.c.

The C test makes data, initial parameters and minibatch orders itself, from the rules below, trains with the kernels of
this project and must arrive within 1e-6 of every number here. Needs python3-torch and python3-numpy; run it as
    tests/vectors/torch_rounds.py > tests/vectors/torch_rounds.txt

Rules (integers unless said otherwise)
  generator   s <- s * 6364136223846793005 + 1442695040888963407 mod 2^64, draw = s >> 32. A generator starts at a given s.
  data        generator 1. Clients one after the other, examples one after the other: first the example, in the order of
              the data (an image: lines, pixels, channels; a sequence: steps, channels), then its labels. Numbers: each
              draw d gives 0 unless d % 5 == 0, else d >> 24; x = that / 255, in float32. Symbols: d % symbols. Labels: one,
              or one a step: d % classes; mean squared error: number(d), as many as outputs.
  number(d)   ((d >> 9) - 2^22) * 2^-22, exact in float32.
  parameters  generator 2. One draw a parameter, in canonical order: number(d) * scale.
  orders      generator 3. Rounds, then the round's clients as listed, then epochs: the identity, shuffled downwards: for
              i = n-1 .. 1 swap [i] and [draw % (i + 1)]. Batches are B in a row; the last of an epoch may be shorter.
  training    torch.optim.SGD, new for each client, on the mean loss of the batch (over steps, over outputs); the round's
              model is the mean weighted by n_k.

Output: lines starting with # are prose. Then for each net
  net NAME ROUNDS
  loss R LOSS                  each round: mean over clients' batches' examples of the loss before each step
  tensor NAME SUM NORM COUNT   each tensor after the last round: sum and Euclidean norm of its elements, and
                               COUNT = min(elements, 40) of them, one a line: number i * elements / COUNT
The numbers are those of a run in float64. A second one in float32 has to come within 5e-7 of them, and every round has to
move some parameter by more than 1e-3, or the script refuses to write anything: so that a match says something.

Modules are named as this project names layers, so names and order of the parameters are PyTorch's own. An LSTM's second
bias is zero and frozen, or each gate's bias would learn at twice the rate.
"""
import sys

import numpy as np
import torch
from torch.nn import functional

COHORTS = [[0, 1, 2, 3], [1, 3], [3, 0, 2]]
PROBES = 40


class Plan:
    def __init__(self, rounds, examples, batch, epochs):
        self.rounds, self.examples, self.batch, self.epochs = rounds, examples, batch, epochs


SMALL = Plan(3, [43, 25, 37, 58], 10, 2)  # n_k: none a multiple of the batch
LARGE = Plan(2, [5, 2, 3, 6], 4, 1)


def dense(units, activation="linear"):
    return {"kind": "fc", "units": units, "activation": activation}


def conv2d(units, kernel, stride, padding, activation):
    return {"kind": "conv", "units": units, "kernel": kernel, "stride": stride, "padding": padding,
            "activation": activation}


def max_pool(kernel, stride, padding):
    return {"kind": "pool", "kernel": kernel, "stride": stride, "padding": padding}


def lstm(units):
    return {"kind": "lstm", "units": units}


FLATTEN = {"kind": "flatten"}
CNN = [conv2d(32, 5, 1, "same", "relu"), max_pool(2, 2, "valid"), conv2d(64, 5, 1, "same", "relu"),
       max_pool(2, 2, "valid"), FLATTEN, dense(512, "relu"), dense(10)]
CLASSES, BINARY, SQUARES = "softmax_cross_entropy", "binary_cross_entropy", "mean_squared_error"

# Images are (height, width, channels), sequences (steps, channels), texts (steps,) with a number of symbols.
NETS = [
    {"name": "mnist_2nn", "input": (784,), "layers": [dense(200, "relu"), dense(200, "relu"), dense(10)],
     "scale": 2.0**-4, "lr": 0.125},
    {"name": "gates", "input": (20,), "layers": [dense(33, "tanh"), dense(9, "sigmoid"), dense(4)], "scale": 1.0,
     "lr": 0.5},
    {"name": "logistic", "input": (50,), "layers": [dense(10)], "scale": 2.0**-3, "lr": 0.25},
    {"name": "momentum", "input": (30,), "layers": [dense(17, "relu"), dense(5)], "scale": 0.5, "lr": 2.0**-4,
     "momentum": 0.875, "weight_decay": 2.0**-6},
    {"name": "decay", "input": (30,), "layers": [dense(17, "relu"), dense(5)], "scale": 0.5, "lr": 0.25,
     "weight_decay": 2.0**-6},
    {"name": "binary", "input": (12,), "layers": [dense(8, "tanh"), dense(1)], "loss": BINARY, "scale": 1.0, "lr": 0.5},
    {"name": "squares", "input": (12,), "layers": [dense(8, "sigmoid"), dense(3)], "loss": SQUARES, "scale": 1.0,
     "lr": 0.5},
    {"name": "inside", "input": (11, 9, 2),
     "layers": [conv2d(5, 3, 2, "valid", "tanh"), max_pool(3, 1, "valid"), FLATTEN, dense(4)], "scale": 0.5, "lr": 0.25},
    {"name": "around", "input": (12, 7, 3),
     "layers": [conv2d(6, 5, 2, "same", "relu"), max_pool(3, 2, "same"), conv2d(4, 3, 1, "same", "sigmoid"), FLATTEN,
                dense(5)], "scale": 0.5, "lr": 0.25, "momentum": 0.5, "weight_decay": 2.0**-8},
    {"name": "letters", "input": (6,), "symbols": 7,
     "layers": [{"kind": "embed", "units": 3}, lstm(5), lstm(4), dense(7)], "scale": 0.25, "lr": 0.5},
    {"name": "series", "input": (5, 3), "layers": [lstm(6), FLATTEN, dense(1)], "loss": BINARY, "scale": 0.5, "lr": 0.5,
     "weight_decay": 2.0**-7},
    {"name": "steps", "input": (5, 3), "layers": [lstm(6), dense(2)], "loss": SQUARES, "scale": 1.0, "lr": 0.25,
     "momentum": 0.75},
    {"name": "mnist_cnn", "input": (28, 28, 1), "layers": CNN, "scale": 2.0**-4, "lr": 0.125, "plan": LARGE},
    {"name": "char_lstm", "input": (80,), "symbols": 96,
     "layers": [{"kind": "embed", "units": 8}, lstm(256), lstm(256), dense(96)], "scale": 2.0**-4, "lr": 1.0,
     "plan": LARGE},
]


class Generator:
    def __init__(self, state):
        self.state = state

    def draw(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return self.state >> 32

    def number(self):
        return ((self.draw() >> 9) - 2**22) * 2.0**-22

    def pixel(self):
        d = self.draw()
        return np.float32(d >> 24 if d % 5 == 0 else 0) / np.float32(255)

    def order(self, n):
        items = list(range(n))
        for i in range(n - 1, 0, -1):
            j = self.draw() % (i + 1)
            items[i], items[j] = items[j], items[i]
        return items


def same(n, window, stride):
    """Zeros in front and behind, so that there are ceil(n / stride) outputs; the smaller half in front."""
    total = max(-(-n // stride) * stride - stride + window - n, 0)
    return total // 2, total - total // 2


class Net(torch.nn.Module):
    def __init__(self, net, dtype):
        super().__init__()
        self.net, self.dtype, counts = net, dtype, {}
        self.stack, shape = [], (net["input"][-1],) + tuple(net["input"][:-1]) if len(net["input"]) == 3 else net["input"]
        for layer in net["layers"]:
            kind = layer["kind"]
            counts[kind] = counts.get(kind, 0) + 1
            name = "out" if layer is net["layers"][-1] else "embed" if kind == "embed" else kind + str(counts[kind])
            module, shape = self.make(layer, shape)
            if module is not None:
                self.add_module(name, module.to(dtype))
            self.stack.append((layer, module))
        for name, p in self.named_parameters():
            if name.endswith("bias_hh_l0"):
                p.requires_grad_(False).zero_()
        self.trained = [(name, p) for name, p in self.named_parameters() if p.requires_grad]

    def make(self, layer, shape):
        """The module, or None where there are no parameters, and the shape of what comes out, PyTorch's way."""
        kind = layer["kind"]
        if kind == "fc":
            return torch.nn.Linear(shape[-1], layer["units"]), shape[:-1] + (layer["units"],)
        if kind == "embed":
            return torch.nn.Embedding(self.net["symbols"], layer["units"]), shape + (layer["units"],)
        if kind == "lstm":
            return torch.nn.LSTM(shape[-1], layer["units"], batch_first=True), shape[:-1] + (layer["units"],)
        if kind == "flatten":
            return None, (int(np.prod(shape)),)
        window, stride = layer["kernel"], layer["stride"]
        lines = [-(-n // stride) if layer["padding"] == "same" else (n - window) // stride + 1 for n in shape[1:]]
        if kind == "pool":
            return None, (shape[0], *lines)
        return torch.nn.Conv2d(shape[0], layer["units"], window, stride), (layer["units"], *lines)

    def forward(self, x):
        if len(self.net["input"]) == 3:
            x = x.permute(0, 3, 1, 2)  # channels first
        for layer, module in self.stack:
            if layer.get("padding") == "same":
                across, down = (same(n, layer["kernel"], layer["stride"]) for n in (x.shape[3], x.shape[2]))
                x = functional.pad(x, across + down, value=-np.inf if layer["kind"] == "pool" else 0.0)
            if layer["kind"] == "pool":
                x = functional.max_pool2d(x, layer["kernel"], layer["stride"])
            elif layer["kind"] == "flatten":
                x = x.flatten(1)
            else:
                x = module(x)
            if layer["kind"] == "lstm":
                x = x[0]
            if layer.get("activation", "linear") != "linear":
                x = getattr(torch, layer["activation"])(x)
        return x

    def loss(self, x, y):
        z, kind = self(x), self.net.get("loss", CLASSES)
        if kind == SQUARES:
            return functional.mse_loss(z.flatten(1), y.to(self.dtype))
        if kind == BINARY:
            return functional.binary_cross_entropy_with_logits(z.flatten(), y.flatten().to(self.dtype))
        return functional.cross_entropy(z.reshape(-1, z.shape[-1]), y.flatten())

    def optimizer(self):
        return torch.optim.SGD([p for _, p in self.trained], lr=self.net["lr"], momentum=self.net.get("momentum", 0.0),
                               weight_decay=self.net.get("weight_decay", 0.0))

    def load(self, block):
        with torch.no_grad():
            for _, p in self.trained:
                p.copy_(torch.from_numpy(block[:p.numel()]).view(p.shape))
                block = block[p.numel():]

    def store(self):
        return np.concatenate([p.detach().numpy().ravel() for _, p in self.trained]).astype(np.float64)


def make_shards(net, plan):
    g, shards, symbols = Generator(1), [], net.get("symbols", 0)
    units, kind = net["layers"][-1]["units"], net.get("loss", CLASSES)
    steps = net["input"][0] if (symbols or len(net["input"]) == 2) and FLATTEN not in net["layers"] else 1
    for n in plan.examples:
        examples, labels = [], []
        for _ in range(n):
            size = int(np.prod(net["input"]))
            examples.append([g.draw() % symbols if symbols else g.pixel() for _ in range(size)])
            if kind == SQUARES:
                labels.append([g.number() for _ in range(steps * units)])
            else:
                labels.append([g.draw() % (2 if kind == BINARY else units) for _ in range(steps)])
        x = torch.tensor(np.array(examples, np.int64 if symbols else np.float32)).view(n, *net["input"])
        shards.append((x, torch.tensor(np.array(labels, np.float64 if kind == SQUARES else np.int64))))
    return shards


def make_parameters(net, n):
    g = Generator(2)
    return np.array([g.number() * net["scale"] for _ in range(n)])


def train(model, x, y, plan, orders):
    """Returns the summed loss."""
    optimizer, total = model.optimizer(), 0.0
    for _ in range(plan.epochs):
        order = orders.order(len(y))
        for at in range(0, len(y), plan.batch):
            rows = order[at:at + plan.batch]
            optimizer.zero_grad()
            loss = model.loss(x[rows], y[rows])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
    return total


def federate(model, block, shards, plan):
    """Yields (block, mean loss) after each round."""
    orders = Generator(3)
    for cohort in COHORTS[:plan.rounds]:
        total, loss, mean = sum(plan.examples[k] for k in cohort), 0.0, np.zeros(len(block))
        for k in cohort:
            x, y = shards[k]
            model.load(block)
            loss += train(model, x if x.dtype == torch.int64 else x.to(model.dtype), y, plan, orders)
            mean += model.store() * plan.examples[k] / total
        block = mean
        yield block, loss / (plan.epochs * total)


def run(net):
    plan = net.get("plan", SMALL)
    shards, double, single = make_shards(net, plan), Net(net, torch.float64), Net(net, torch.float32)
    block = before = make_parameters(net, len(double.store()))
    lines = ["net %s %d" % (net["name"], plan.rounds)]
    both = zip(federate(double, block, shards, plan), federate(single, block, shards, plan))
    for number, ((block, loss), (other, _)) in enumerate(both, 1):
        apart, moved = np.abs(block - other).max(), np.abs(block - before).max()
        text = "%s round %d: float32 and float64 are %.1e apart, moved %.1e"
        print(text % (net["name"], number, apart, moved), file=sys.stderr)
        assert apart < 5e-7 and moved > 1e-3
        lines.append("loss %d %.12g" % (number, loss))
        before = block
    for name, p in double.trained:
        v, block = block[:p.numel()], block[p.numel():]
        count = min(len(v), PROBES)
        lines.append("tensor %s %.15g %.15g %d" % (name, v.sum(), np.sqrt((v * v).sum()), count))
        lines += ["%.12g" % v[i * len(v) // count] for i in range(count)]
    return lines


def main():
    torch.set_num_threads(1)
    lines = ["# Made by torch_rounds.py, which says what stands here. PyTorch %s, numpy %s." %
             (torch.__version__, np.__version__)]
    for net in NETS:
        lines += run(net)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
