#!/usr/bin/env python3
"""The known key file with a passphrase, as tests/unit/check_key_file.c holds it: python3 key_file.py > key_file.txt

Argon2id from RFC 9106, XSalsa20-Poly1305 from Bernstein's papers, with Python's integers and hashlib alone. It first proves
itself on published vectors. Not for use with real secrets: nothing here is constant-time."""
import hashlib
import struct

from seal import base64url, poly1305

WORD = (1 << 64) - 1
HALF = (1 << 32) - 1


# ---- Argon2id (RFC 9106) ----
def hash_long(data, n):
    """H', the hash of any length."""
    data = struct.pack("<I", n) + data
    if n <= 64:
        return hashlib.blake2b(data, digest_size=n).digest()
    out, v = b"", hashlib.blake2b(data).digest()
    for _ in range((n + 31) // 32 - 2):
        out += v[:32]
        v = hashlib.blake2b(v).digest() if n - len(out) > 64 else hashlib.blake2b(v, digest_size=n - len(out)).digest()
    return out + v


def mix(v, a, b, c, d):
    def plus(x, y):
        return (x + y + 2 * (x & HALF) * (y & HALF)) & WORD

    def turn(x, n):
        return (x >> n | x << 64 - n) & WORD

    for n in (32, 16):
        v[a] = plus(v[a], v[b])
        v[d] = turn(v[d] ^ v[a], n if n == 32 else 16)
        v[c] = plus(v[c], v[d])
        v[b] = turn(v[b] ^ v[c], 24 if n == 32 else 63)


def permute(block, places):
    v = [block[i] for i in places]
    for i in range(4):
        mix(v, i, 4 + i, 8 + i, 12 + i)
    for i in range(4):
        mix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    for i, place in enumerate(places):
        block[place] = v[i]


def compress(x, y):
    r = [a ^ b for a, b in zip(x, y)]
    z = list(r)
    for row in range(8):
        permute(z, [16 * row + i for i in range(16)])
    for column in range(8):
        permute(z, [16 * row + 2 * column + i for row in range(8) for i in range(2)])
    return [a ^ b for a, b in zip(r, z)]


def argon2id(password, salt, passes, kib, n, lanes=1, secret=b"", ad=b""):
    def field(data):
        return struct.pack("<I", len(data)) + data

    h0 = hashlib.blake2b(struct.pack("<IIIIII", lanes, n, kib, passes, 0x13, 2) + field(password) + field(salt) +
                         field(secret) + field(ad)).digest()
    columns = kib // (4 * lanes) * 4
    part = columns // 4
    memory = [[None] * columns for _ in range(lanes)]
    for lane in range(lanes):
        for i in range(2):
            memory[lane][i] = list(struct.unpack("<128Q", hash_long(h0 + struct.pack("<II", i, lane), 1024)))
    zero = [0] * 128
    for turn in range(passes):
        for piece in range(4):
            for lane in range(lanes):
                addresses = None
                counter = [turn, lane, piece, columns * lanes, passes, 2, 0] + [0] * 121
                for i in range(2 if turn == 0 and piece == 0 else 0, part):
                    column = piece * part + i
                    before = memory[lane][column - 1]
                    if turn == 0 and piece < 2:  # independent of the data
                        if addresses is None or i % 128 == 0:
                            counter[6] += 1
                            addresses = compress(zero, compress(zero, counter))
                        j = addresses[i % 128]
                    else:
                        j = before[0]
                    j1, j2 = j & HALF, j >> 32
                    other = lane if turn == 0 and piece == 0 else j2 % lanes
                    if turn == 0:
                        area = piece * part + (i - 1 if other == lane else -(i == 0))
                    else:
                        area = columns - part + (i - 1 if other == lane else -(i == 0))
                    back = area - 1 - (area * (j1 * j1 >> 32) >> 32)
                    start = 0 if turn == 0 or piece == 3 else (piece + 1) * part
                    new = compress(before, memory[other][(start + back) % columns])
                    old = memory[lane][column]
                    memory[lane][column] = new if old is None else [a ^ b for a, b in zip(new, old)]
    last = memory[0][-1]
    for lane in range(1, lanes):
        last = [a ^ b for a, b in zip(last, memory[lane][-1])]
    return hash_long(struct.pack("<128Q", *last), n)


# ---- XSalsa20-Poly1305 ----
def salsa(key, block, feed):
    c = struct.unpack("<4I", b"expand 32-byte k")
    k, b = struct.unpack("<8I", key), struct.unpack("<4I", block)
    start = [c[0], *k[:4], c[1], *b, c[2], *k[4:], c[3]]
    s = list(start)
    for _ in range(10):
        for quarter in ((0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11),
                        (0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14)):
            p, q, r, t = quarter
            for x, y, z, n in ((q, p, t, 7), (r, q, p, 9), (t, r, q, 13), (p, t, r, 18)):
                w = (s[y] + s[z]) & HALF
                s[x] ^= (w << n | w >> 32 - n) & HALF
    if feed:
        return struct.pack("<16I", *((a + b) & HALF for a, b in zip(s, start)))
    return struct.pack("<8I", *(s[i] for i in (0, 5, 10, 15, 6, 7, 8, 9)))


def secretbox(key, nonce, plain):
    sub = salsa(key, nonce[:16], False)
    stream = b"".join(salsa(sub, nonce[16:] + struct.pack("<Q", i), True) for i in range((len(plain) + 95) // 64))
    sealed = bytes(a ^ b for a, b in zip(plain, stream[32:]))
    return poly1305(stream[:32], sealed) + sealed


def prove():
    assert argon2id(b"\1" * 32, b"\2" * 16, 3, 32, 32, 4, b"\3" * 8, b"\4" * 12).hex() == \
        "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"  # RFC 9106, 5.3
    key = bytes.fromhex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389")
    nonce = bytes.fromhex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37")
    plain = bytes.fromhex("be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c6129"
                          "6cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde"
                          "048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705")
    assert secretbox(key, nonce, plain)[:32].hex() == \
        "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce"  # NaCl, tests/secretbox.c


def main():
    prove()
    seed, salt, nonce = bytes(range(1, 33)), bytes(range(100, 116)), bytes(range(200, 224))
    key = argon2id(b"correct horse", salt, 1, 1024, 32)
    body = salt + struct.pack("<II", 1, 1) + nonce + secretbox(key, nonce, seed)
    print("# Made by key_file.py; see there. The passphrase is: correct horse")
    print("boxed_line fedavg-secret-2:" + base64url(body))


if __name__ == "__main__":
    main()
