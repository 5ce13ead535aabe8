#!/usr/bin/env python3
"""Known answers for common/model: shapes, initial values and the model digest, written a second time after the prose of
model.h. Run it in this folder to write model.txt again (half a minute)."""
import hashlib
import math
import struct
import sys

sys.dont_write_bytecode = True
from rng import Stream


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


# A stack is what it reads and its layers. What it reads: ("numbers", n), ("image", height, width, channels),
# ("sequence", steps, n) or ("text", steps, symbols). A layer: (kind, units), ("conv2d", units, side, stride, padding),
# ("max_pool", side, stride, padding) or ("flatten",).
def dense(inputs, *units):
    return ("numbers", inputs), [("dense", n) for n in units]


def after_window(n, side, stride, padding):
    return math.ceil(n / stride) if padding == "same" else (n - side) // stride + 1


def tensors(stack):
    """(name, shape, inputs + outputs or None for a bias) in the order of the block."""
    (kind, *shape), layers = stack
    if kind == "image":
        height, width, channels = shape
    else:
        height, width, channels = 1, 1, shape[-1]  # of a text: its symbols
    numbers = {}
    for i, (kind, *rest) in enumerate(layers):
        numbers[kind] = numbers.get(kind, 0) + 1
        name = {"dense": "fc", "conv2d": "conv", "lstm": "lstm"}.get(kind, "") + str(numbers[kind])
        name = "out" if i + 1 == len(layers) else "embed" if kind == "embedding" else name
        if kind == "dense":
            n, = rest
            yield f"{name}.weight", (n, channels), channels + n
            yield f"{name}.bias", (n,), None
            channels = n
        elif kind == "conv2d":
            n, side, stride, padding = rest
            yield f"{name}.weight", (n, channels, side, side), channels * side**2 + n * side**2
            yield f"{name}.bias", (n,), None
            height, width = (after_window(size, side, stride, padding) for size in (height, width))
            channels = n
        elif kind == "max_pool":
            height, width = (after_window(size, *rest) for size in (height, width))
        elif kind == "flatten":
            height, width, channels = 1, 1, height * width * channels
        elif kind == "embedding":
            n, = rest
            yield f"{name}.weight", (channels, n), channels + n
            channels = n
        elif kind == "lstm":
            n, = rest
            yield f"{name}.weight_ih_l0", (4 * n, channels), channels + n
            yield f"{name}.weight_hh_l0", (4 * n, n), n + n
            yield f"{name}.bias_ih_l0", (4 * n,), None
            channels = n


def initial(stack, seed):
    stream, values = Stream(seed, "initial", 0, 0), []
    for _, shape, fans in tensors(stack):
        if fans is not None:
            limit = f32(math.sqrt(6 / fans))
            # 2u - 1 is exact in float32, and the product of two float32 is exact in Python's double: one rounding
            values += [f32((2 * stream.f32() - 1) * limit) for _ in range(math.prod(shape))]
        else:
            values += [0.0] * shape[0]
    return values


def blake(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def digest(stack, values):
    table = b""
    for name, shape, _ in tensors(stack):
        table += name.encode() + b"\0" + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    data = struct.pack(f"<{len(values)}f", *values)
    pieces = [data[i:i + 2**20] for i in range(0, len(data), 2**20)]
    return blake(blake(table) + b"".join(map(blake, pieces))).hex()


MNIST_2NN, LOGISTIC = dense(784, 200, 200, 10), dense(784, 10)
MNIST_CNN = ("image", 28, 28, 1), [("conv2d", 32, 5, 1, "same"), ("max_pool", 2, 2, "valid"),
                                   ("conv2d", 64, 5, 1, "same"), ("max_pool", 2, 2, "valid"),
                                   ("flatten",), ("dense", 512), ("dense", 10)]
CHAR_LSTM = ("text", 80, 96), [("embedding", 8), ("lstm", 256), ("lstm", 256), ("dense", 96)]
# Stacks that are no presets: the same in check_model.c.
STRIDES = ("image", 9, 7, 3), [("conv2d", 5, 3, 2, "same"), ("max_pool", 2, 1, "valid"), ("conv2d", 4, 3, 1, "valid"),
                               ("flatten",), ("dense", 6), ("dense", 2)]
SEQUENCE = ("sequence", 6, 5), [("dense", 4), ("lstm", 7), ("lstm", 3), ("dense", 2)]
TEXT = ("text", 4, 3), [("embedding", 5), ("lstm", 2), ("dense", 3)]

# The fifth is exactly 1 MiB of parameters, so its data is one whole piece.
MODELS = [("mnist_2nn", 1, MNIST_2NN), ("mnist_2nn", 2, MNIST_2NN), ("logistic", 1, LOGISTIC), ("-", 7, dense(3, 5, 4, 2)),
          ("-", 7, dense(1023, 256)), ("mnist_cnn", 1, MNIST_CNN), ("char_lstm", 1, CHAR_LSTM), ("strides", 7, STRIDES),
          ("sequence", 7, SEQUENCE), ("text", 7, TEXT)]


def main():
    with open("model.txt", "w") as out:
        for name, seed, stack in MODELS:
            values = initial(stack, seed)
            (kind, *shape), layers = stack
            plain = [shape[0], *(layer[1] for layer in layers)] if kind == "numbers" else []
            print(name, seed, len(values), digest(stack, values), values[0].hex(), values[1].hex(), *plain, file=out)


if __name__ == "__main__":
    main()
