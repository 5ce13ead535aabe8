#!/usr/bin/env python3
"""Known answers for signatures and for the identity that signs: python3 sign.py > sign.txt

Ed25519 from RFC 8032 with Python's integers and hashlib alone. It first proves itself on the RFC's vectors. Not for use with
real secrets: nothing here is constant-time."""
import hashlib

from seal import P, base64url, digest, subkey

L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
I = pow(2, (P - 1) // 4, P)


def recover_x(y, sign):
    xx = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    if (x * x - xx) % P:
        x = x * I % P
    assert (x * x - xx) % P == 0
    return P - x if x & 1 != sign else x


BY = 4 * pow(5, P - 2, P) % P
BASE = (recover_x(BY, 0), BY)


def add(a, b):
    """The complete addition law, in plain coordinates: slow and short."""
    t = D * a[0] * b[0] * a[1] * b[1] % P
    return ((a[0] * b[1] + b[0] * a[1]) * pow(1 + t, P - 2, P) % P,
            (a[1] * b[1] + a[0] * b[0]) * pow(1 - t, P - 2, P) % P)


def times(k, point):
    total = (0, 1)
    while k:
        if k & 1:
            total = add(total, point)
        point, k = add(point, point), k >> 1
    return total


def encode(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def sha512(data):
    return hashlib.sha512(data).digest()


def expand(seed):
    h = sha512(seed)
    return int.from_bytes(h[:32], "little") & ~7 & ((1 << 254) - 1) | (1 << 254), h[32:]


def public(seed):
    return encode(times(expand(seed)[0], BASE))


def sign(seed, message):
    a, prefix = expand(seed)
    key = encode(times(a, BASE))
    r = int.from_bytes(sha512(prefix + message), "little") % L
    big_r = encode(times(r, BASE))
    k = int.from_bytes(sha512(big_r + key + message), "little") % L
    return big_r + ((r + k * a) % L).to_bytes(32, "little")


# RFC 8032, 7.1, tests 1 to 3: seed, public key, message, signature.
RFC = [bytes.fromhex(word) for word in """
9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60
d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a
-
e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b
4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb
3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c
72
92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00
c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7
fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025
af82
6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a
""".replace("-", "").split("\n")[1:-1]]
VECTORS = [RFC[i:i + 4] for i in range(0, 12, 4)]


def prove():
    for seed, key, message, signature in VECTORS:
        assert public(seed) == key and sign(seed, message) == signature


def main():
    prove()

    def say(name, value):
        print(f"{name} {value if isinstance(value, str) else value.hex()}")

    print("# Made by sign.py; see there. name, then hex or text.")
    for i, (seed, key, message, signature) in enumerate(VECTORS):
        say(f"rfc_seed_{i}", seed)
        say(f"rfc_public_{i}", key)
        if message:
            say(f"rfc_message_{i}", message)
        say(f"rfc_signature_{i}", signature)
    seed = bytes(range(1, 33))
    key = public(subkey(seed, 3))
    say("identity_seed_0", seed)
    say("identity_sign_key_0", key)
    say("identity_sign_line", "fedavg-sign1:" + base64url(key + digest(key)[:4]))
    say("identity_sign_fingerprint", digest(key)[:8])


if __name__ == "__main__":
    main()
