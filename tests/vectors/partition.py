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


def groups_of(n, classes):
    """Numbered in the order in which they begin."""
    names = {}
    return [names.setdefault((i * i * 5 + i // 17) % classes, len(names)) for i in range(n)]


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
    fill_empty(clients)
    return clients


def fill_empty(clients):
    for client in clients:
        if not client:
            client.append(max(clients, key=len).pop())  # max takes the first of equals


def quantity(labels, k, _s, alpha, r):
    shares = [(i + 1) ** -alpha for i in range(k)]
    ends, running = [], 0.0
    for share in shares:
        running += share
        ends.append(running)
    cuts_at = [0] + [int(end / ends[-1] * len(labels)) for end in ends]
    sizes = [[None] * (b - a) for a, b in zip(cuts_at, cuts_at[1:])]
    fill_empty(sizes)
    sizes = [len(size) for size in sizes]
    rows = list(range(len(labels)))
    r.shuffle(rows)
    r.shuffle(sizes)
    return [[rows.pop(0) for _ in range(size)] for size in sizes]


def natural(labels, k, _s, _alpha, _r):
    groups = groups_of(len(labels), k)
    return [[i for i, group in enumerate(groups) if group == g] for g in range(max(groups) + 1)]


def mixed(x):
    """Appleby's finalizer of MurmurHash3."""
    x = (x ^ x >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    x = (x ^ x >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return x ^ x >> 16


def computed_iid(labels, _alpha, each, r):
    half = next(h for h in range(1, 17) if 4**h >= len(labels))
    keys = [r.u32() for _ in range(8)]

    def permuted(x):
        left, right = divmod(x, 2**half)
        for key in keys:
            left, right = right, left ^ mixed((right + key) & 0xFFFFFFFF) % 2**half
        return left * 2**half + right

    rows = []
    for x in range(each):
        x = permuted(x)
        while x >= len(labels):
            x = permuted(x)
        rows.append(x)
    assert len(set(rows)) == each
    return rows


def computed_dirichlet(labels, alpha, each, r):
    rows_of = {c: [i for i, l in enumerate(labels) if l == c] for c in sorted(set(labels))}
    logs = [log_gamma_variate(alpha * (len(rows) / len(labels)), r) for rows in rows_of.values()]
    weights = [math.exp(max(x - max(logs), -1000)) for x in logs]
    bounds = [sum(weights[:i + 1]) / sum(weights) for i in range(len(weights))]
    rows, rest = [], 1.0
    for i in range(each):
        rest *= r.f64() ** (1 / (each - i))
        label = next((c for c, bound in zip(rows_of, bounds) if 1 - rest < bound), max(rows_of))
        rows.append(rows_of[label][r.below(len(rows_of[label]))])
    return rows


LISTED = {"iid": iid, "shards": shards, "dirichlet": dirichlet, "quantity": quantity, "natural": natural}
COMPUTED = {"iid": computed_iid, "dirichlet": computed_dirichlet}
NUMBERS = {"iid": 1, "dirichlet": 3}
# kind, examples, labels, clients (natural: groups at most), shards, alpha, seed
CASES = [("iid", 60, 10, 7, 0, 0, 1), ("iid", 1000, 10, 1000, 0, 0, 2), ("iid", 5, 2, 1, 0, 0, 3),
         ("shards", 600, 10, 10, 2, 0, 1), ("shards", 617, 10, 25, 3, 0, 2), ("shards", 64, 3, 32, 2, 0, 1),
         ("shards", 100, 256, 1, 1, 0, 9), ("dirichlet", 600, 10, 10, 0, 0.5, 1), ("dirichlet", 2000, 10, 40, 0, 0.1, 2),
         ("dirichlet", 2000, 10, 7, 0, 100.0, 3), ("dirichlet", 300, 5, 300, 0, 1.0, 4),
         ("dirichlet", 500, 10, 100, 0, 1e-6, 5), ("dirichlet", 500, 10, 9, 0, 1e6, 6), ("dirichlet", 40, 1, 1, 0, 0.3, 7),
         ("dirichlet", 3000, 700, 20, 0, 0.3, 8), ("quantity", 1000, 10, 20, 0, 1.2, 1), ("quantity", 1000, 10, 1000, 0, 2.0, 2),
         ("quantity", 997, 10, 300, 0, 1.0, 3), ("quantity", 50, 2, 7, 0, 1e6, 4), ("quantity", 503, 2, 10, 0, 1e-6, 5),
         ("quantity", 3, 1, 1, 0, 1.0, 6), ("natural", 600, 10, 25, 0, 0, 1), ("natural", 100, 3, 1, 0, 0, 2)]
# kind, examples, labels, clients, alpha, examples a client, seed
COMPUTED_CASES = [("iid", 600, 10, 10, 0, 60, 1), ("iid", 600, 10, 4294967295, 0, 600, 2), ("iid", 1, 1, 5, 0, 1, 3),
                  ("iid", 65537, 10, 1000000, 0, 8, 4), ("iid", 4096, 10, 1, 0, 40, 5),
                  ("dirichlet", 600, 10, 1000000, 0.3, 60, 1), ("dirichlet", 600, 10, 3, 1e-6, 60, 2),
                  ("dirichlet", 600, 10, 3, 1e6, 1000, 3), ("dirichlet", 50, 1, 2000, 1.0, 5, 4),
                  ("dirichlet", 3000, 700, 4294967295, 20.0, 1, 5), ("dirichlet", 3000, 700, 7, 5.0, 300, 6)]


def print_listed(out, data_digest, kind, n, classes, k, s, alpha, seed):
    clients = LISTED[kind](labels_of(n, classes), k, s, alpha, Stream(seed, "partition", 0, 0))
    rows = [row for client in clients for row in client]
    assert sorted(rows) == list(range(n)) and all(clients)
    first = [0]
    for client in clients:
        first.append(first[-1] + len(client))
    head = struct.pack(f"<{1 + len(first) + n}I", len(clients), *first, *rows)
    digest = hashlib.blake2b(data_digest + head, digest_size=32)
    print(kind, n, classes, k, s, alpha, 0, seed, digest.hexdigest(), max(map(len, clients)), *rows[:5], file=out)


def print_computed(out, data_digest, kind, n, classes, k, alpha, each, seed):
    """The rows are those of the last client; the first one's are in the digest."""

    def rows_of(client):
        return COMPUTED[kind](labels_of(n, classes), alpha, each, Stream(seed, "partition", client + 1, 0))

    head = struct.pack("<4IdQ", 0, NUMBERS[kind], k, each, alpha, seed) + struct.pack(f"<{each}I", *rows_of(0))
    digest = hashlib.blake2b(data_digest + head, digest_size=32)
    print(kind, n, classes, k, 0, alpha, each, seed, digest.hexdigest(), each, *rows_of(k - 1)[-5:], file=out)


def main():
    data_digest = bytes(range(32))
    with open("partition.txt", "w") as out:
        for case in CASES:
            print_listed(out, data_digest, *case)
        for case in COMPUTED_CASES:
            print_computed(out, data_digest, *case)


if __name__ == "__main__":
    main()
