"""The rules of deploy/nftables hold to their word, in a network namespace of the test's own: an address that knocks too often or
holds too many connections is left outside, another address is not, and what stands stays."""
import ctypes
import shutil
import socket
import subprocess
import time

import house

RULES = house.ROOT / "deploy" / "nftables" / "fedavg.nft"
CLONE_NEWNET = 0x40000000
BURST, A_SECOND, MOST = 20, 2, 32  # as the rules say
PORT = 5600


def enter_namespace():
    """This process gets a network of its own, with a loopback and nothing else."""
    if shutil.which("nft") is None or shutil.which("ip") is None:
        house.skip("no nft or no ip here")
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        house.skip("no right to make a network namespace")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    if subprocess.run(["nft", "add", "table", "inet", "probe"], stderr=subprocess.DEVNULL).returncode != 0:
        house.skip("this kernel has no nftables")


def load():
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    found = subprocess.run(["nft", "-c", "-f", RULES], stderr=subprocess.PIPE, text=True)
    house.check(found.returncode == 0, f"the rules are not right: {found.stderr}")
    subprocess.run(["nft", "-f", RULES], check=True)


def knock(address, n):
    """Tries n connections from an address of the loopback; those that came about."""
    found = []
    for _ in range(n):
        one = socket.socket()
        one.settimeout(0.05)  # in one machine an answer takes microseconds
        one.bind((address, 0))
        try:
            one.connect(("127.0.0.1", PORT))
            found.append(one)
        except OSError:
            one.close()
    return found


def counted(name):
    out = subprocess.run(["nft", "list", "counter", "inet", "fedavg", name], check=True, stdout=subprocess.PIPE, text=True)
    return int(out.stdout.split("packets")[1].split()[0])


def listener():
    door = socket.create_server(("127.0.0.1", PORT), backlog=1000)
    return door


def an_address_that_knocks_too_often_waits_and_no_other_does():
    load()
    with listener():
        insiders = knock("127.0.0.2", 1)
        began = time.monotonic()
        flood = knock("127.0.0.3", 3 * BURST)
        allowed = BURST + 1 + A_SECOND * (time.monotonic() - began)
        house.check(BURST <= len(flood) <= allowed, f"{len(flood)} of {3 * BURST} knocks were let in, not {BURST} to {allowed:.1f}")
        house.check(counted("too_often") >= 3 * BURST - len(flood) > 0, f"{counted('too_often')} were counted")
        others = knock("127.0.0.4", 3)
        house.check(len(others) == 3, "another address was left outside")
        insiders[0].sendall(b"still here")


def an_address_holds_only_so_many_connections():
    load()
    changed = RULES.read_text().replace("rate over 2/second burst 20", "rate over 1000/second burst 1000")
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    subprocess.run(["nft", "-f", "-"], input=changed, text=True, check=True)
    with listener():
        held = knock("127.0.0.5", MOST + 8)
        house.check(len(held) == MOST, f"{len(held)} connections of one address")
        house.check(counted("too_many") >= 8, f"{counted('too_many')} were counted")
        house.check(len(knock("127.0.0.6", 3)) == 3, "another address was left outside")


enter_namespace()
house.main(an_address_that_knocks_too_often_waits_and_no_other_does, an_address_holds_only_so_many_connections)
