#!/usr/bin/env python3
"""Known answers for common/base/rng, from an implementation that shares nothing with it.

BLAKE2b is Python's; ChaCha20 is written out here after RFC 8439 and checked against the RFC's own block.
Run it in this folder to write rng.txt again; the other scripts here import Stream.
"""
import hashlib
import struct


def chacha20_block(key, counter, nonce):
    """RFC 8439, section 2.3: sixteen little-endian words."""

    def quarter(s, a, b, c, d):
        for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            mixed = s[z] ^ s[x]
            s[z] = ((mixed << turn) | (mixed >> (32 - turn))) & 0xFFFFFFFF

    start = struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key)
    start += (counter,) + struct.unpack("<3I", nonce)
    s = list(start)
    for _ in range(10):
        quarter(s, 0, 4, 8, 12), quarter(s, 1, 5, 9, 13), quarter(s, 2, 6, 10, 14), quarter(s, 3, 7, 11, 15)
        quarter(s, 0, 5, 10, 15), quarter(s, 1, 6, 11, 12), quarter(s, 2, 7, 8, 13), quarter(s, 3, 4, 9, 14)
    return [(a + b) & 0xFFFFFFFF for a, b in zip(s, start)]


def rfc_block():
    """RFC 8439, section 2.3.2: first and last word of the example."""
    words = chacha20_block(bytes(range(32)), 1, bytes.fromhex("000000090000004a00000000"))
    return words[0], words[15]


assert rfc_block() == (0xE4E7F110, 0x4E3C50A2)


class Stream:
    def __init__(self, seed, purpose, a, b):
        key = struct.pack("<Q", seed).ljust(32, b"\0")
        message = purpose.encode().ljust(16, b"\0") + struct.pack("<QQ", a, b)
        self.key = hashlib.blake2b(message, digest_size=32, key=key).digest()
        self.counter, self.words = 0, []

    def u32(self):
        if not self.words:
            self.words = chacha20_block(self.key, self.counter, bytes(12))[::-1]
            self.counter += 1
        return self.words.pop()

    def below(self, bound):
        while True:
            word = self.u32()
            if word >= 2**32 % bound:
                return word % bound

    def f32(self):
        return (self.u32() >> 8) / 2**24

    def f64(self):
        high = self.u32()
        return (((high << 32 | self.u32()) >> 12) + 0.5) / 2**52

    def shuffle(self, items):
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]


STREAMS = [(0, "partition", 0, 0), (1, "initial", 0, 0), (1, "train", 3, 7), (1, "cohort", 7, 3),
           (2**64 - 1, "sixteen-letters!", 2**63, 2**40 + 5)]
BOUNDS = [1, 2, 3, 10, 60000, 2**31, 2**31 + 1, 3221225473, 2**32 - 1]


def main():
    with open("rng.txt", "w") as out:
        def line(kind, stream, values):
            seed, purpose, a, b = stream
            print(kind, seed, purpose, a, b, *values, file=out)

        for stream in STREAMS:
            r = Stream(*stream)
            words = [r.u32() for _ in range(1000)]  # across the edges of blocks and refills
            line("u32", stream, [f"{w:08x}" for w in words[:8] + words[250:260] + words[990:]])
            r = Stream(*stream)
            line("below", stream, [r.below(bound) for _ in range(8) for bound in BOUNDS])
            r = Stream(*stream)
            line("f32", stream, [r.f32().hex() for _ in range(12)])
            r = Stream(*stream)
            line("f64", stream, [r.f64().hex() for _ in range(12)])
            r = Stream(*stream)
            items = list(range(40))
            r.shuffle(items)
            line("shuffle", stream, items)


if __name__ == "__main__":
    main()
