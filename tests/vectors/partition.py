#!/usr/bin/env python3
"""Known answers for common/data/partition, written a second time after the prose of partition.h, with lists and sorts
where the C code has counts and a heap. Dirichlet uses this machine's libm: a difference in the last bit of a logarithm
moves a cut with a chance of about 1e-12, so the answers agree all the same.
Run it in this folder to write partition.txt again."""
import hashlib
import math
import struct
import sys

sys.dont_write_bytecode = True
from rng import Stream


def labels_of(n, classes):
    return [(i * i * 7 + i // 13) % classes for i in range(n)]


def cuts(n, parts):
    bounds = [0]
    for i in range(parts):
        bounds.append(bounds[-1] + n // parts + (i < n % parts))
    return list(zip(bounds, bounds[1:]))


def iid(labels, k, _s, _alpha, r):
    rows = list(range(len(labels)))
    r.shuffle(rows)
    return [rows[a:b] for a, b in cuts(len(rows), k)]


def shards(labels, k, s, _alpha, r):
    rows = sorted(range(len(labels)), key=labels.__getitem__)
    pieces = [rows[a:b] for a, b in cuts(len(rows), k * s)]
    order = list(range(k * s))
    r.shuffle(order)
    return [[row for j in order[s * i:s * i + s] for row in pieces[j]] for i in range(k)]


def normal(r):
    while True:
        x, y = 2 * r.f64() - 1, 2 * r.f64() - 1
        s = x * x + y * y
        if 0 < s < 1:
            return x * math.sqrt(-2 * math.log(s) / s)


def log_gamma_variate(alpha, r):
    """Marsaglia and Tsang, A simple method for generating gamma variables, ACM TOMS 26 (2000), with their remark on
    alpha < 1."""
    if alpha < 1:
        boost = math.log(r.f64()) / alpha
        return boost + log_gamma_variate(alpha + 1, r)
    d = alpha - 1 / 3
    c = 1 / math.sqrt(9 * d)
    while True:
        x = normal(r)
        if 1 + c * x > 0:
            v = (1 + c * x) ** 3
            if math.log(r.f64()) < x * x / 2 + d - d * v + d * math.log(v):
                return math.log(d * v)


def dirichlet(labels, k, _s, alpha, r):
    clients = [[] for _ in range(k)]
    for label in sorted(set(labels)):
        rows = [i for i, l in enumerate(labels) if l == label]
        r.shuffle(rows)
        logs = [log_gamma_variate(alpha, r) for _ in range(k)]
        weights = [math.exp(max(x - max(logs), -1000)) for x in logs]
        total, running, at = sum(weights), 0.0, 0
        for client, weight in zip(clients, weights):
            running += weight
            end = int(running / total * len(rows))
            client += rows[at:end]
            at = max(at, end)
        assert at == len(rows)
    for client in clients:
        if not client:
            client.append(max(clients, key=len).pop())  # max takes the first of equals
    return clients


KINDS = {"iid": iid, "shards": shards, "dirichlet": dirichlet}
CASES = [("iid", 60, 10, 7, 0, 0, 1), ("iid", 1000, 10, 1000, 0, 0, 2), ("iid", 5, 2, 1, 0, 0, 3),
         ("shards", 600, 10, 10, 2, 0, 1), ("shards", 617, 10, 25, 3, 0, 2), ("shards", 64, 3, 32, 2, 0, 1),
         ("shards", 100, 256, 1, 1, 0, 9), ("dirichlet", 600, 10, 10, 0, 0.5, 1), ("dirichlet", 2000, 10, 40, 0, 0.1, 2),
         ("dirichlet", 2000, 10, 7, 0, 100.0, 3), ("dirichlet", 300, 5, 300, 0, 1.0, 4),
         ("dirichlet", 500, 10, 100, 0, 1e-6, 5), ("dirichlet", 500, 10, 9, 0, 1e6, 6), ("dirichlet", 40, 1, 1, 0, 0.3, 7)]


def main():
    data_digest = bytes(range(32))
    with open("partition.txt", "w") as out:
        for kind, n, classes, k, s, alpha, seed in CASES:
            clients = KINDS[kind](labels_of(n, classes), k, s, alpha, Stream(seed, "partition", 0, 0))
            rows = [row for client in clients for row in client]
            assert sorted(rows) == list(range(n)) and all(clients)
            first = [0]
            for client in clients:
                first.append(first[-1] + len(client))
            digest = hashlib.blake2b(data_digest + struct.pack(f"<{1 + len(first) + n}I", k, *first, *rows), digest_size=32)
            print(kind, n, classes, k, s, alpha, seed, digest.hexdigest(), max(map(len, clients)), *rows[:5], file=out)


if __name__ == "__main__":
    main()
