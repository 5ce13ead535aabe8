"""Descriptors run out: strangers hold them, or the system has none left for the store. Nobody new is let in while they are short,
the accept loop does not spin, nothing is lost, and the run goes on and ends in the model of an undisturbed one."""
import json
import os
import resource
import signal
import socket
import time
import urllib.request

import attack
import house

NODES = [(0, 5, 1), (5, 5, 1)]
FOR_EVER = 1000000000
FEW = 10  # the numbers below are taken for good; what it has put by has higher ones
LEAST = 2300  # descriptors that a coordinator of two nodes asks for at its start, and few more


def begin(scene, name, rounds, **options):
    task = scene.task(name, hidden=0, algorithm={"rounds": rounds, "fraction": 1.0},
                      server={"http": f"127.0.0.1:{attack.free_ports(1)[0]}"})
    daemons = attack.TcpDaemons(scene, task, NODES, name=name)
    return daemons, daemons.coordinator(f"{name}-run", **options)


def truth(scene, rounds):
    daemons, coordinator = begin(scene, "truth", rounds)
    nodes = [daemons.node(i) for i in range(len(NODES))]
    coordinator.wait_exit(0)
    for node in nodes:
        node.stop()
    return house.Result(coordinator).models


def status(coordinator):
    coordinator.wait_log("http listening")
    port = next(line.rpartition("port=")[2] for line in coordinator.log if "http listening" in line)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/status") as answer:
        return json.load(answer)


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def pour(port, n):
    """n connections that say nothing; as many as can be had."""
    found = []
    for _ in range(n):
        one = socket.socket()
        one.settimeout(0.3)  # on one machine an open door answers in microseconds
        try:
            one.connect(("127.0.0.1", port))
        except OSError:
            one.close()
            break
        found.append(one)
    return found


def doors_are_shut_while_strangers_hold_the_descriptors_and_open_again():
    with house.Scene(train=600, test=100) as scene:
        rounds = 6
        expected = truth(scene, rounds)
        daemons, coordinator = begin(scene, "poured", rounds, limits=[(resource.RLIMIT_NOFILE, LEAST, LEAST)])
        coordinator.wait_event("waiting")
        first = daemons.node(0)
        coordinator.wait_log("node joined")
        strangers = attack.Attacker(daemons, [f"idle={2 * LEAST}"])
        cpu, began = attack.cpu_seconds(coordinator.pid), time.monotonic()
        coordinator.wait_log("the doors are shut")
        scene.until(lambda: "descriptors" in (status(coordinator)["alarm"] or ""))
        used = open_files(coordinator.pid)
        house.check(used < LEAST, f"{used} of {LEAST} descriptors are in use")
        coordinator.wait_log("the doors are open again")  # the first strangers were silent for too long
        strangers.stop()
        strangers = attack.Attacker(daemons, [f"idle={2 * LEAST}"])  # who was kept out knocks ever more seldom: others come
        coordinator.wait_log("the doors are shut", count=2)
        busy = (attack.cpu_seconds(coordinator.pid) - cpu) / (time.monotonic() - began)
        house.check(busy < 0.9, f"it spins: {busy:.2f} of a core")
        strangers.stop()
        coordinator.wait_log("the doors are open again", count=2)
        scene.until(lambda: status(coordinator)["alarm"] is None)
        second = daemons.node(1)
        coordinator.wait_exit(0)
        house.check(house.Result(coordinator).models == expected, "the models differ")
        house.check(not coordinator.said("node left"), f"who was connected was lost: {coordinator}")
        for node in (first, second):
            node.stop()


def nothing_is_lost_while_no_file_can_be_opened():
    with house.Scene(train=600, test=100) as scene:
        daemons, coordinator = begin(scene, "starved", FOR_EVER)
        nodes = [daemons.node(i) for i in range(len(NODES))]
        coordinator.wait_event("round", round=3)
        soft, hard = resource.prlimit(coordinator.pid, resource.RLIMIT_NOFILE)
        # far below what is open: the last descriptors may be those of a file that is just being written
        resource.prlimit(coordinator.pid, resource.RLIMIT_NOFILE, (FEW, hard))
        coordinator.wait_log("the doors are shut")
        coordinator.wait_log("Too many open files")
        cpu, began = attack.cpu_seconds(coordinator.pid), time.monotonic()
        waiting = pour(daemons.ports[0], 1)
        coordinator.wait_log("Too many open files", count=2)
        busy = (attack.cpu_seconds(coordinator.pid) - cpu) / (time.monotonic() - began)
        house.check(busy < 0.9, f"it spins: {busy:.2f} of a core")
        house.check(not waiting, "a stranger was let in at a shut door")
        resource.prlimit(coordinator.pid, resource.RLIMIT_NOFILE, (soft, hard))
        coordinator.wait_log("the doors are open again")
        coordinator.wait_next_round()
        coordinator.signal(signal.SIGTERM)
        coordinator.wait_exit(10)
        for node in nodes:
            node.stop()
        models = {event["round"]: event["model"] for event in coordinator.rounds()}
        house.check(models == truth(scene, max(models)), "the models differ")
        house.check(all(event["attempt"] == 1 for event in coordinator.rounds()), f"an attempt was lost: {coordinator}")


if __name__ == "__main__":
    house.main(doors_are_shut_while_strangers_hold_the_descriptors_and_open_again, nothing_is_lost_while_no_file_can_be_opened)
