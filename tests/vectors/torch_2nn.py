#!/usr/bin/env python3
"""Federated averaging by PyTorch: what three rounds must come to, for tests/unit/check_torch.c.

The C test makes data, initial parameters and minibatch orders itself, from the rules below, trains with the kernels of
this project and must arrive within 1e-6 of every number here. Needs python3-torch and python3-numpy; run it as
    tests/vectors/torch_2nn.py > tests/vectors/torch_2nn.txt

Rules (integers unless said otherwise)
  generator   s <- s * 6364136223846793005 + 1442695040888963407 mod 2^64, draw = s >> 32. A generator starts at a given s.
  data        generator 1. Clients one after the other, examples one after the other: first the pixels of the example, each
              draw d giving 0 unless d % 5 == 0, else d >> 24; then one draw for its label, d % classes. x = pixel / 255.
  parameters  generator 2. One draw a parameter, in canonical order: ((d >> 9) - 2^22) * 2^-22 * scale, exact in float32.
  orders      generator 3. Rounds, then the round's clients as listed, then epochs: the identity, shuffled downwards: for
              i = n-1 .. 1 swap [i] and [draw % (i + 1)]. Batches are B in a row; the last of an epoch may be shorter.
  training    plain SGD on the mean cross-entropy of the batch; the round's model is the mean weighted by n_k.

Output: lines starting with # are prose. Then for each net and round
  round NET R LOSS          LOSS: mean over clients' batches' examples of the loss before each step
  tensor NAME SUM NORM      for each tensor: sum and Euclidean norm of its elements, in float64
  values COUNT STRIDE       then every STRIDE-th parameter of the block, one a line
PyTorch computes in float32 on the CPU. The same is done in numpy float64, and the script refuses to write anything unless
the two agree within 5e-7 and every round moved some parameter by more than 1e-3, so that a match says something.
"""
import sys

import numpy as np
import torch

BATCH, EPOCHS = 10, 2
EXAMPLES = [43, 25, 37, 58]  # n_k, none a multiple of the batch
COHORTS = [[0, 1, 2, 3], [1, 3], [3, 0, 2]]
NETS = [  # name, inputs, (units, activation)..., scale of initial values, learning rate, stride of what is written
    ("mnist_2nn", 784, [(200, "relu"), (200, "relu"), (10, "linear")], 2.0**-4, 0.1, 97),
    ("gates", 20, [(33, "tanh"), (9, "sigmoid"), (4, "linear")], 1.0, 0.5, 1),
    ("logistic", 50, [(10, "linear")], 2.0**-3, 0.2, 1),
]


class Generator:
    def __init__(self, state):
        self.state = state

    def draw(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return self.state >> 32

    def order(self, n):
        items = list(range(n))
        for i in range(n - 1, 0, -1):
            j = self.draw() % (i + 1)
            items[i], items[j] = items[j], items[i]
        return items


def make_data(inputs, classes):
    g, shards = Generator(1), []
    for n in EXAMPLES:
        x, y = np.zeros((n, inputs), np.uint8), np.zeros(n, np.int64)
        for i in range(n):
            draws = [g.draw() for _ in range(inputs)]
            x[i] = [d >> 24 if d % 5 == 0 else 0 for d in draws]
            y[i] = g.draw() % classes
        shards.append((x, y))
    return shards


def make_tensors(inputs, layers, scale):
    g, tensors, n_in = Generator(2), [], inputs
    for i, (units, _) in enumerate(layers):
        name = "out" if i == len(layers) - 1 else "fc%d" % (i + 1)
        for suffix, shape in ((".weight", (units, n_in)), (".bias", (units,))):
            values = [((g.draw() >> 9) - 2**22) * 2.0**-22 * scale for _ in range(int(np.prod(shape)))]
            tensors.append((name + suffix, np.array(values).reshape(shape)))
        n_in = units
    return tensors


class Torch:
    """float32, autograd, torch.optim.SGD."""

    def __init__(self, tensors):
        self.params = [torch.tensor(t, dtype=torch.float32, requires_grad=True) for _, t in tensors]

    def load(self, values):
        with torch.no_grad():
            for p, v in zip(self.params, values):
                p.copy_(torch.from_numpy(v.astype(np.float32)))

    def store(self):
        return [p.detach().numpy().copy() for p in self.params]

    def step(self, layers, x, y, lr):
        h = torch.from_numpy(x.astype(np.float32)) / 255
        for i, (_, activation) in enumerate(layers):
            h = torch.nn.functional.linear(h, self.params[2 * i], self.params[2 * i + 1])
            h = h if activation == "linear" else getattr(torch, activation)(h)
        loss = torch.nn.functional.cross_entropy(h, torch.from_numpy(y))
        optimizer = torch.optim.SGD(self.params, lr=lr)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item() * len(y)


class Numpy:
    """float64, the backward pass written out."""

    def __init__(self, tensors):
        self.params = [t.copy() for _, t in tensors]

    def load(self, values):
        self.params = [v.astype(np.float64) for v in values]

    def store(self):
        return [p.copy() for p in self.params]

    def step(self, layers, x, y, lr):
        a = [x.astype(np.float64) / 255]
        for i, (_, activation) in enumerate(layers):
            z = a[-1] @ self.params[2 * i].T + self.params[2 * i + 1]
            a.append({"relu": lambda v: np.maximum(v, 0), "tanh": np.tanh, "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
                      "linear": lambda v: v}[activation](z))
        e = np.exp(a[-1] - a[-1].max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        loss = -np.log(p[np.arange(len(y)), y]).sum()
        p[np.arange(len(y)), y] -= 1
        g = p / len(y)
        for i in range(len(layers) - 1, -1, -1):
            out, activation = a[i + 1], layers[i][1]
            g = g * {"relu": lambda: out > 0, "tanh": lambda: 1 - out**2, "sigmoid": lambda: out * (1 - out),
                     "linear": lambda: 1}[activation]()
            w = self.params[2 * i]
            below = g @ w
            self.params[2 * i] = w - lr * (g.T @ a[i])
            self.params[2 * i + 1] = self.params[2 * i + 1] - lr * g.sum(axis=0)
            g = below
        return loss


def federate(trainer, tensors, layers, shards, lr, dtype):
    """Yields (model, mean loss) after each round."""
    orders, model = Generator(3), [t.astype(dtype) for _, t in tensors]
    for cohort in COHORTS:
        total, loss, seen = sum(EXAMPLES[k] for k in cohort), 0.0, 0
        mean = [np.zeros(t.shape, np.float64) for t in model]
        for k in cohort:
            x, y = shards[k]
            trainer.load(model)
            for _ in range(EPOCHS):
                order = orders.order(len(y))
                for at in range(0, len(y), BATCH):
                    rows = order[at:at + BATCH]
                    loss += trainer.step(layers, x[rows], y[rows], lr)
                    seen += len(rows)
            mean = [m + t.astype(np.float64) * EXAMPLES[k] / total for m, t in zip(mean, trainer.store())]
        model = [m.astype(dtype) for m in mean]
        yield model, loss / seen


def flat(tensors):
    return np.concatenate([t.ravel() for t in tensors]).astype(np.float64)


def main():
    torch.set_num_threads(1)
    versions = torch.__version__, np.__version__
    lines = ["# Made by torch_2nn.py, which says what stands here. PyTorch %s, numpy %s." % versions]
    for name, inputs, layers, scale, lr, stride in NETS:
        shards, tensors = make_data(inputs, layers[-1][0]), make_tensors(inputs, layers, scale)
        single = federate(Torch(tensors), tensors, layers, shards, lr, np.float32)
        double = federate(Numpy(tensors), tensors, layers, shards, lr, np.float64)
        before = flat([t for _, t in tensors])
        for number, ((a, loss), (b, _)) in enumerate(zip(single, double), 1):
            block = flat(a)
            apart, moved = np.abs(block - flat(b)).max(), np.abs(block - before).max()
            text = "%s round %d: float32 and float64 are %.1e apart, moved %.1e"
            print(text % (name, number, apart, moved), file=sys.stderr)
            assert apart < 5e-7 and moved > 1e-3
            lines.append("round %s %d %.9g" % (name, number, loss))
            for (tensor, _), value in zip(tensors, a):
                v = value.astype(np.float64)
                lines.append("tensor %s %.17g %.17g" % (tensor, v.sum(), np.sqrt((v * v).sum())))
            sample = block[::stride]
            lines.append("values %d %d" % (len(sample), stride))
            lines += ["%.9g" % v for v in sample]
            before = block
    print("\n".join(lines))


if __name__ == "__main__":
    main()
