#!/usr/bin/env python3
"""Known answers for identities, terms and the seal: python3 seal.py > seal.txt

Written from the RFCs with Python's integers and hashlib alone, so that it shares no line with libsodium. It first proves
itself on the published vectors. Not for use with real secrets: nothing here is constant-time."""
import base64
import hashlib
import struct

# ---- X25519 (RFC 7748) ----
P = 2**255 - 19
A24 = 121665


def x25519(scalar: bytes, point: bytes) -> bytes:
    k = int.from_bytes(scalar, "little") & ~7 & ((1 << 255) - 1) | (1 << 254)
    u = int.from_bytes(point, "little") & ((1 << 255) - 1)
    x2, z2, x3, z3 = 1, 0, u, 1
    for bit in reversed(range(255)):
        swap = k >> bit & 1
        if swap:
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, u * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + A24 * e) % P
        if swap:
            x2, z2, x3, z3 = x3, z3, x2, z2
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


BASE = (9).to_bytes(32, "little")


# ---- ChaCha20 and Poly1305 (RFC 8439), XChaCha20 (draft-irtf-cfrg-xchacha-03) ----
def rounds(state):
    s = list(state)

    def quarter(a, b, c, d):
        for x, y, z, r in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            t = s[z] ^ s[x]
            s[z] = (t << r | t >> (32 - r)) & 0xFFFFFFFF

    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return s


SIGMA = struct.unpack("<4I", b"expand 32-byte k")


def chacha20(key: bytes, counter: int, nonce: bytes, data: bytes) -> bytes:
    out = bytearray()
    for start in range(0, len(data), 64):
        state = (*SIGMA, *struct.unpack("<8I", key), counter + start // 64, *struct.unpack("<3I", nonce))
        block = struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(rounds(state), state)))
        out += bytes(a ^ b for a, b in zip(data[start:start + 64], block))
    return bytes(out)


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    s = rounds((*SIGMA, *struct.unpack("<8I", key), *struct.unpack("<4I", nonce)))
    return struct.pack("<8I", *s[:4], *s[12:])


def poly1305(key: bytes, data: bytes) -> bytes:
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    a = 0
    for start in range(0, len(data), 16):
        a = (a + int.from_bytes(data[start:start + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((a + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def pad16(data: bytes) -> bytes:
    return data + bytes(-len(data) % 16)


def aead(key: bytes, nonce: bytes, plain: bytes, ad: bytes) -> bytes:
    cipher = chacha20(key, 1, nonce, plain)
    lengths = struct.pack("<QQ", len(ad), len(cipher))
    return cipher + poly1305(chacha20(key, 0, nonce, bytes(32)), pad16(ad) + pad16(cipher) + lengths)


def xaead(key: bytes, nonce: bytes, plain: bytes, ad: bytes) -> bytes:
    return aead(hchacha20(key, nonce[:16]), bytes(4) + nonce[16:], plain, ad)


# ---- published vectors first ----
def prove():
    h = bytes.fromhex
    assert x25519(h("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
                  h("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")) == \
        h("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")  # RFC 7748, 5.2
    assert x25519(BASE, BASE) == h("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")  # the same, once
    text = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
            b"sunscreen would be it.")
    ad = h("50515253c0c1c2c3c4c5c6c7")
    key = bytes(range(0x80, 0xA0))
    sealed = aead(key, h("070000004041424344454647"), text, ad)  # RFC 8439, 2.8.2
    assert sealed[:16] == h("d31a8d34648e60db7b86afbc53ef7ec2") and sealed[-16:] == h("1ae10b594f09e26a7e902ecbd0600691")
    assert hchacha20(bytes(range(32)), h("000000090000004a0000000031415927")) == \
        h("82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc")  # xchacha draft, 2.2.1
    sealed = xaead(key, bytes(range(0x40, 0x58)), text, ad)  # xchacha draft, A.3.1
    assert sealed[:16] == h("bd6d179d3e83d43b9576579493c0e939") and sealed[-16:] == h("c0875924c1c7987947deafd8780acf49")


# ---- our own constructions ----
def digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


def subkey(seed: bytes, number: int) -> bytes:
    """crypto_kdf: BLAKE2b keyed with the seed, salt = number, personal = context."""
    return hashlib.blake2b(b"", digest_size=32, key=seed, salt=struct.pack("<QQ", number, 0),
                           person=b"fedavg-1".ljust(16, b"\0")).digest()


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def terms_bytes() -> bytes:
    return (b"fedavg/terms/1" + bytes(range(16)) + struct.pack("<QI", 0x0102030405060708, 0x11121314)
            + bytes([0xA1]) * 32 + bytes([0xB2]) * 32 + struct.pack("<Q", 1663370) + bytes(range(100, 132))
            + struct.pack("<IIf", 5, 10, 0.1))


def main():
    prove()

    def say(name, value):
        print(f"{name} {value if isinstance(value, str) else value.hex()}")

    print("# Made by seal.py; see there. name, then hex or text.")
    seed = bytes(range(1, 33))
    curve, seal = subkey(seed, 1), subkey(seed, 2)
    curve_pk, seal_pk = x25519(curve, BASE), x25519(seal, BASE)
    say("seed", seed)
    say("secret_line", "fedavg-secret-1:" + base64url(seed))
    say("curve_secret", curve)
    say("seal_secret", seal)
    say("curve_public", curve_pk)
    say("seal_public", seal_pk)
    check = digest(curve_pk + seal_pk)
    say("public_line", "fedavg1:" + base64url(curve_pk + seal_pk + check[:4]))
    say("fingerprint", check[:8])

    say("digest_abc", digest(b"abc"))
    terms = digest(terms_bytes())
    say("terms_digest", terms)

    e, r = bytes(range(40, 72)), bytes(range(200, 232))
    e_pk, r_pk = x25519(e, BASE), x25519(r, BASE)
    header = bytes(range(48))
    shared = x25519(e, r_pk) + x25519(seal, r_pk)
    assert shared == x25519(r, e_pk) + x25519(r, seal_pk)
    key = hashlib.blake2b(b"fedavg/update/1" + e_pk + r_pk + seal_pk + terms + header, digest_size=32, key=shared).digest()
    say("e_secret", e)
    say("e_public", e_pk)
    say("r_secret", r)
    say("r_public", r_pk)
    say("header", header)
    say("update_key", key)
    plain = bytes(i * 7 & 0xFF for i in range(100))
    say("plain", plain)
    for index in (0, 1, 0x1122334455667788):
        say(f"chunk_{index}", xaead(key, struct.pack("<Q", index).ljust(24, b"\0"), plain, b""))


if __name__ == "__main__":
    main()
