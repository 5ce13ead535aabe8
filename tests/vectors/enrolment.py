#!/usr/bin/env python3
"""Known answers for enrolment: certificate, token, proof and the proof of the seal key: python3 enrolment.py > enrolment.txt

From the layouts in docs/protocol.md, with the functions of seal.py and sign.py alone."""
import hashlib
import struct

import seal
import sign
from seal import BASE, base64url, digest, subkey, x25519


def keys_of(seed):
    return x25519(subkey(seed, 1), BASE) + x25519(subkey(seed, 2), BASE)


def certificate(issuer_seed, name, first, count, sums, expires, not_before, not_after, nonce, token_key):
    secret = subkey(issuer_seed, 3)
    body = (name.ljust(64, b"\0") + struct.pack("<QQBqqq", first, count, sums, expires, not_before, not_after) + nonce +
            token_key + sign.public(secret))
    return body + sign.sign(secret, b"fedavg/certificate/1" + body)


def proof(token_seed, cert, node, coordinator):
    return coordinator + sign.sign(token_seed, b"fedavg/enrolment/1" + digest(cert) + node + coordinator)


def main():
    seal.prove()
    sign.prove()

    def say(name, value):
        print(f"{name} {value if isinstance(value, str) else value.hex()}")

    print("# Made by enrolment.py; see there. name, then hex or text.")
    issuer, node, coordinator, token = (bytes(range(i, i + 32)) for i in (1, 50, 100, 150))
    nonce = bytes(range(200, 216))
    cert = certificate(issuer, b"ward-7", 7, 3, 1, 1767225600, 0, 1798785000, nonce, sign.public(token))
    say("issuer_seed", issuer)
    say("node_seed", node)
    say("coordinator_seed", coordinator)
    say("token_seed", token)
    say("nonce", nonce)
    say("certificate", cert)
    say("token", "fedavg-token1:" + base64url(cert + token + digest(cert + token)[:4]))
    say("proof", proof(token, cert, keys_of(node), keys_of(coordinator)))
    say("proof_of_nobody", proof(token, cert, keys_of(node), bytes(64)))
    shared = x25519(subkey(node, 2), keys_of(coordinator)[32:])
    assert shared == x25519(subkey(coordinator, 2), keys_of(node)[32:])
    message = b"fedavg/enrolment-seal/1" + digest(cert) + keys_of(node) + keys_of(coordinator)
    say("seal_mac", hashlib.blake2b(message, digest_size=32, key=shared).digest())


if __name__ == "__main__":
    main()
