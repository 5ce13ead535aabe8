#!/usr/bin/env python3
"""Known answers for common/model: shapes, initial values and the model digest, written a second time after the prose of
model.h. Run it in this folder to write model.txt again (a few seconds)."""
import hashlib
import math
import struct
import sys

sys.dont_write_bytecode = True
from rng import Stream


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def tensors(inputs, units):
    for i, n in enumerate(units):
        name = "out" if i + 1 == len(units) else f"fc{i + 1}"
        yield f"{name}.weight", (n, inputs)
        yield f"{name}.bias", (n,)
        inputs = n


def initial(inputs, units, seed):
    stream, values = Stream(seed, "initial", 0, 0), []
    for _, shape in tensors(inputs, units):
        if len(shape) == 2:
            limit = f32(math.sqrt(6 / sum(shape)))
            # 2u - 1 is exact in float32, and the product of two float32 is exact in Python's double: one rounding
            values += [f32((2 * stream.f32() - 1) * limit) for _ in range(math.prod(shape))]
        else:
            values += [0.0] * shape[0]
    return values


def blake(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def digest(inputs, units, values):
    table = b""
    for name, shape in tensors(inputs, units):
        table += name.encode() + b"\0" + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    data = struct.pack(f"<{len(values)}f", *values)
    pieces = [data[i:i + 2**20] for i in range(0, len(data), 2**20)]
    return blake(blake(table) + b"".join(map(blake, pieces))).hex()


# The last one is exactly 1 MiB of parameters, so its data is one whole piece.
MODELS = [("mnist_2nn", 1, 784, (200, 200, 10)), ("mnist_2nn", 2, 784, (200, 200, 10)), ("logistic", 1, 784, (10,)),
          ("-", 7, 3, (5, 4, 2)), ("-", 7, 1023, (256,))]


def main():
    with open("model.txt", "w") as out:
        for preset, seed, inputs, units in MODELS:
            values = initial(inputs, units, seed)
            print(preset, seed, len(values), digest(inputs, units, values), values[0].hex(), values[1].hex(), inputs, *units,
                  file=out)


if __name__ == "__main__":
    main()
