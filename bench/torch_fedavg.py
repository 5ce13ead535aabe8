#!/usr/bin/env python3
"""bench/torch_fedavg.py MODEL (--images DIR | --roles FILE) [options]: federated averaging by PyTorch, as fast as we could
make it on a CPU: what bench/run measures this project against.

The same work as `fedavg simulate` of the same numbers: the same files, models, clients a round, epochs, batches (the short
last one included), averaging weighted by examples, and the whole test set evaluated after every round. What it leaves out
is the system: one machine, workers that share memory, no messages, no encryption, nothing written.

What makes it fast: one worker process a core with one thread each, which take clients, and pieces of the test set, as they
become free; all parameters are views of one flat buffer, so that loading and averaging are single operations; gradients by
autograd.grad and one fused update, without an optimizer; channels last for convolutions; time first for LSTMs. The
environment, unless --as-installed: OPENBLAS_CORETYPE of this processor (Debian's OpenBLAS falls back to SSE3 on processors
that it does not know), one thread in OpenBLAS, and a malloc that keeps its memory.

One JSON object a line on standard output, as `fedavg simulate --json` has them. Needs python3-torch and python3-numpy."""
import argparse
import json
import multiprocessing
import os
import resource
import sys
import time

TUNED = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_MMAP_MAX_": "0",
         "MALLOC_TRIM_THRESHOLD_": "4294967296", "MALLOC_TOP_PAD_": "67108864"}


def core_type():
    """What OpenBLAS should take this processor for; None: what it finds itself."""
    try:
        with open("/proc/cpuinfo") as file:
            flags = next((line for line in file if line.startswith("flags")), "").split()
    except OSError:
        return None
    return "SkylakeX" if "avx512f" in flags else "Haswell" if "avx2" in flags else None


def tune_environment():
    """Libraries read these when they are loaded, so the program starts itself once more with them."""
    wanted = dict(TUNED)
    if core_type():
        wanted["OPENBLAS_CORETYPE"] = core_type()
    if any(os.environ.get(key) != value for key, value in wanted.items()):
        os.environ.update(wanted)
        os.execv(sys.executable, [sys.executable] + sys.argv)


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=("2nn", "cnn", "charlstm", "logistic"))
    parser.add_argument("--images", metavar="DIR", help="four IDX files, named as MNIST's are; split IID among the clients")
    parser.add_argument("--roles", metavar="FILE", help="texts of roles: one client each (format roles of fedavg-task(5))")
    parser.add_argument("--clients", type=int, default=100, help="K, of images; default: 100")
    parser.add_argument("--fraction", type=float, default=0.1, help="C; default: 0.1")
    parser.add_argument("--epochs", type=int, default=1, help="E; default: 1")
    parser.add_argument("--batch", type=int, default=10, help="B; default: 10")
    parser.add_argument("--rate", type=float, default=0.1, help="learning rate; default: 0.1")
    parser.add_argument("--rounds", type=int, default=10, help="default: 10")
    parser.add_argument("--unroll", type=int, default=80, help="steps of a window of text; default: 80")
    parser.add_argument("--seed", type=int, default=1, help="default: 1")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="default: one a core")
    parser.add_argument("--as-installed", action="store_true", help="leave the environment as it is")
    a = parser.parse_args()
    if (a.model == "charlstm") != bool(a.roles) or bool(a.images) == bool(a.roles):
        parser.error("charlstm takes --roles, the other models --images")
    return a


arguments = options()
if not arguments.as_installed:
    tune_environment()

import numpy as np  # noqa: E402  (the environment comes first)
import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

SYMBOLS = [10] + list(range(32, 127))  # newline and printable ASCII
PIECES = {"2nn": 1000, "logistic": 1000, "cnn": 100, "charlstm": 50}  # examples evaluated at once


# -- data ----------------------------------------------------------------------------------------------------------------


def read_idx(path):
    raw = np.fromfile(path, np.uint8)
    dims = [int.from_bytes(raw[4 + 4 * i:8 + 4 * i].tobytes(), "big") for i in range(raw[3])]
    return raw[4 + 4 * len(dims):].reshape(dims)


def load_images(folder, part):
    x = read_idx(os.path.join(folder, part + "-images-idx3-ubyte"))
    y = read_idx(os.path.join(folder, part + "-labels-idx1-ubyte"))
    return torch.from_numpy(x.reshape(len(x), -1)).float() / 255, torch.from_numpy(y.astype(np.int64))


def windows(text, unroll):
    """(n, unroll) symbols, and as labels the symbol after each of them."""
    code = np.full(256, -1, np.int64)
    code[SYMBOLS] = np.arange(len(SYMBOLS))
    symbols = code[np.frombuffer(text, np.uint8)]
    if (symbols < 0).any():
        sys.exit("torch_fedavg.py: the text holds other characters than newline and printable ASCII")
    n = max((len(symbols) - 1) // unroll, 0)
    return symbols[:n * unroll].reshape(n, unroll), symbols[1:n * unroll + 1].reshape(n, unroll)


def load_roles(path, unroll):
    """A line that begins with a form feed names the role of the lines after it; the first 80 % of them, at least one, train,
    the others test. A role without a window to train on is left out."""
    roles = []
    with open(path, "rb") as file:
        for line in file:
            if line.startswith(b"\f"):
                roles.append([])
            else:
                roles[-1].append(line)
    parts, train, test, start = [], [], [], 0
    for lines in roles:
        cut = max(len(lines) * 8 // 10, 1)
        x, y = windows(b"".join(lines[:cut]), unroll)
        if len(x) > 0:
            parts.append(torch.arange(start, start + len(x)))
            train.append((x, y))
            test.append(windows(b"".join(lines[cut:]), unroll))
            start += len(x)
    tensors = [torch.from_numpy(np.concatenate([pair[i] for pair in pairs])) for pairs in (train, test) for i in (0, 1)]
    return tensors[:2], tensors[2:], parts


def load():
    """Training and test data, and the rows of each client."""
    if arguments.roles:
        return load_roles(arguments.roles, arguments.unroll)
    train, test = (load_images(arguments.images, part) for part in ("train", "t10k"))
    order = torch.randperm(len(train[0]), generator=torch.Generator().manual_seed(arguments.seed))
    return train, test, list(torch.tensor_split(order, arguments.clients))


# -- models --------------------------------------------------------------------------------------------------------------


class TwoNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.out = nn.Linear(784, 200), nn.Linear(200, 200), nn.Linear(200, 10)

    def forward(self, x):
        return self.out(functional.relu(self.fc2(functional.relu(self.fc1(x)))))


class Logistic(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(784, 10)

    def forward(self, x):
        return self.out(x)


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 5, padding=2), nn.Conv2d(32, 64, 5, padding=2)
        self.fc1, self.out = nn.Linear(64 * 7 * 7, 512), nn.Linear(512, 10)

    def forward(self, x):
        x = functional.max_pool2d(functional.relu(self.conv1(x.view(-1, 1, 28, 28))), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        return self.out(functional.relu(self.fc1(x.flatten(1))))


class CharLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.out = nn.Embedding(len(SYMBOLS), 8), nn.Linear(256, len(SYMBOLS))
        self.lstm = nn.LSTM(8, 256, num_layers=2)
        for name, p in self.lstm.named_parameters():
            if name.startswith("bias_hh"):  # one bias a gate
                p.requires_grad_(False).zero_()

    def forward(self, x):
        return self.out(self.lstm(self.embed(x.t()))[0]).transpose(0, 1)


class Net:
    """A model whose trained parameters are views of one flat buffer; those of filters with their channels last."""

    def __init__(self):
        torch.manual_seed(arguments.seed)
        self.model = {"2nn": TwoNN, "cnn": CNN, "charlstm": CharLSTM, "logistic": Logistic}[arguments.model]()
        self.params = [p for p in self.model.parameters() if p.requires_grad]
        self.flat = torch.empty(sum(p.numel() for p in self.params))
        at = 0
        for p in self.params:
            view, value = self.flat[at:at + p.numel()], p.detach()
            if p.dim() == 4:
                out, channels, height, width = p.shape
                view = view.view(out, height, width, channels).permute(0, 3, 1, 2)
            else:
                view = view.view(p.shape)
            view.copy_(value)
            p.data = view
            at += p.numel()

    def step(self, x, y):
        z = self.model(x)
        loss = functional.cross_entropy(z.reshape(-1, z.shape[-1]), y.reshape(-1))
        gradients = torch.autograd.grad(loss, self.params)
        with torch.no_grad():
            torch._foreach_add_(self.params, gradients, alpha=-arguments.rate)

    def train(self, data, rows, seed):
        """ClientUpdate: E epochs over the client's rows."""
        order = torch.Generator().manual_seed(seed)
        for _ in range(arguments.epochs):
            shuffled = rows[torch.randperm(len(rows), generator=order)]
            x, y = data[0][shuffled], data[1][shuffled]
            for start in range(0, len(rows), arguments.batch):
                self.step(x[start:start + arguments.batch], y[start:start + arguments.batch])

    def evaluate(self, x, y):
        """Summed loss, and labels hit."""
        with torch.no_grad():
            z, y = self.model(x), y.reshape(-1)
            z = z.reshape(-1, z.shape[-1])
            return functional.cross_entropy(z, y, reduction="sum").item(), (z.argmax(1) == y).sum().item()


# -- workers -------------------------------------------------------------------------------------------------------------


class Worker:
    """A process that shares the global parameters, its own sum, and a counter of the work that is taken."""

    def __init__(self, net, train, test, parts, shared, taken):
        self.net, self.train_data, self.test, self.parts = net, train, test, parts
        self.shared, self.taken = shared, taken
        self.sum = torch.zeros_like(shared).share_memory_()
        self.pipe, there = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(target=self.work, args=(there,), daemon=True)
        self.process.start()

    def take(self, n):
        """Numbers below n that no other worker has taken."""
        while True:
            with self.taken.get_lock():
                i = self.taken.value
                self.taken.value += 1
            if i >= n:
                return
            yield i

    def train(self, clients, number):
        self.sum.zero_()
        total = sum(len(self.parts[k]) for k in clients)
        for i in self.take(len(clients)):
            rows = self.parts[clients[i]]
            self.net.flat.copy_(self.shared)
            self.net.train(self.train_data, rows, number * 1000003 + clients[i])
            self.sum.add_(self.net.flat, alpha=len(rows) / total)

    def evaluate(self):
        x, y = self.test
        piece, loss, hits = PIECES[arguments.model], 0.0, 0
        self.net.flat.copy_(self.shared)
        for i in self.take(-(-len(x) // piece)):
            one = self.net.evaluate(x[i * piece:(i + 1) * piece], y[i * piece:(i + 1) * piece])
            loss, hits = loss + one[0], hits + one[1]
        return loss, hits

    def work(self, pipe):
        torch.set_num_threads(1)
        while True:
            what, *details = pipe.recv()
            pipe.send(getattr(self, what)(*details))


def all_of(workers, taken, *message):
    taken.value = 0
    for worker in workers:
        worker.pipe.send(message)
    return [worker.pipe.recv() for worker in workers]


def say(event, **values):
    print(json.dumps({"event": event, **values}), flush=True)


def main():
    torch.set_num_threads(1)
    train, test, parts = load()
    net, taken = Net(), multiprocessing.Value("i", 0)
    shared = net.flat.clone().share_memory_()
    workers = [Worker(net, train, test, parts, shared, taken) for _ in range(arguments.workers)]
    cohort = max(round(arguments.fraction * len(parts)), 1)
    say("start", torch=torch.__version__, workers=len(workers), core_type=os.environ.get("OPENBLAS_CORETYPE", ""),
        model=arguments.model, parameters=net.flat.numel(), clients=len(parts), picked=cohort, train=len(train[0]),
        test=len(test[0]))
    began = time.monotonic()
    for number in range(1, arguments.rounds + 1):
        start = time.monotonic()
        picked = torch.randperm(len(parts), generator=torch.Generator().manual_seed(number))[:cohort].tolist()
        all_of(workers, taken, "train", picked, number)
        shared.copy_(workers[0].sum)
        for worker in workers[1:]:
            shared.add_(worker.sum)
        trained = time.monotonic()
        results = all_of(workers, taken, "evaluate")
        end = time.monotonic()
        say("round", round=number, clients=len(picked), loss=sum(r[0] for r in results) / test[1].numel(),
            accuracy=sum(r[1] for r in results) / test[1].numel(), seconds=round(end - start, 6),
            evaluate_seconds=round(end - trained, 6))
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say("done", rounds=arguments.rounds, seconds=round(time.monotonic() - began, 6), peak_rss_mb=round(rss, 1))


if __name__ == "__main__":
    main()
