"""A coordinator and three nodes, each with one client and data of its own, through what happens in a year of service."""
import re
import signal
import sys

from daemons import Scene, check, main

SENT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ run=[0-9a-f]{32} round=(\d+) attempt=(\d+) model=[0-9a-f]{64} "
                  r"clients=1 examples=(\d+) bytes=(\d+)$")
LOGISTIC_BYTES = (784 * 10 + 10) * 4
EXAMPLES = {"ward-0": 100, "ward-1": 60, "ward-2": 140}


def three_nodes(scene, **options):
    for client, (name, n) in enumerate(EXAMPLES.items()):
        scene.add_node(name, client, n, zipped=client == 1, **options.get(name, {}))
    return {name: scene.start_node(name) for name in EXAMPLES}


def sent_rounds(scene, name):
    """The rounds that sent.log tells of, every line of it as documented."""
    rounds = []
    for line in scene.sent(name):
        found = SENT.match(line)
        check(found, f"a line of sent.log as documented: {line}")
        check(int(found[3]) == EXAMPLES[name], f"{name} sent the weight of its examples: {line}")
        check(int(found[4]) == LOGISTIC_BYTES, f"{name} sent a float for each parameter: {line}")
        rounds.append(int(found[1]))
    return rounds


def committed(coordinator):
    return [(int(r), int(n)) for r, n in re.findall(r'"event":"round","round":(\d+),.*?"clients":(\d+)',
                                                    "\n".join(coordinator.said('"event":"round"')))]


def nodes_that_were_there_first_wait_and_join():
    with Scene(rounds=3) as scene:
        nodes = three_nodes(scene)
        for node in nodes.values():
            node.wait_for("cannot be reached; trying again for ever")
        coordinator = scene.start_coordinator()
        check(coordinator.wait() == 0, "the coordinator ends with 0 after its last round")
        check(committed(coordinator) == [(1, 3), (2, 3), (3, 3)], f"three rounds of three: {committed(coordinator)}")
        coordinator.wait_for('"event":"done","rounds":3')
        for name, node in nodes.items():
            check(sent_rounds(scene, name) == [1, 2, 3], f"one line an update: {scene.sent(name)}")
            node.wait_for("run finished")
            check(node.stop() == 0, "SIGTERM is how a daemon ends: 0")


def a_task_beyond_the_limits_of_an_owner_is_declined():
    with Scene(rounds=2, epochs=3, min_reports=0.6) as scene:
        nodes = three_nodes(scene, **{"ward-1": {"max_epochs": 2}})
        coordinator = scene.start_coordinator()
        check(coordinator.wait() == 0, "the round goes on with the others")
        check(committed(coordinator) == [(1, 2), (2, 2)], f"two rounds of two: {committed(coordinator)}")
        nodes["ward-1"].wait_for("asks for 3 epochs, more than limits.max_epochs: 2")
        coordinator.wait_for("declined node=ward-1")
        check(scene.sent("ward-1") == [], "nothing left the machine that declined")
        check(sent_rounds(scene, "ward-0") == [1, 2] and sent_rounds(scene, "ward-2") == [1, 2], "the others sent theirs")


def a_node_that_was_stopped_takes_part_again():
    with Scene(rounds=1000000) as scene:
        nodes = three_nodes(scene)
        coordinator = scene.start_coordinator()
        coordinator.wait_for('"event":"round"')
        check(nodes["ward-2"].stop() == 0, "a node stops at SIGTERM")
        coordinator.wait_for("node left node=ward-2")
        since = coordinator.mark()
        scene.start_node("ward-2")
        coordinator.wait_for("node joined node=ward-2", since)
        last = int(coordinator.wait_for(r'"event":"round","round":(\d+),.*"clients":3', since)[1])
        coordinator.send(signal.SIGUSR1)
        coordinator.wait()
        check(last in sent_rounds(scene, "ward-2"), f"round {last} has an update of the node that came back")


def a_coordinator_that_was_killed_finds_its_nodes_again():
    with Scene(rounds=1000000) as scene:
        nodes = three_nodes(scene)
        first = scene.start_coordinator()
        before = int(first.wait_for(r'"event":"round","round":([2-9]\d*)')[1])
        check(first.stop(signal.SIGKILL) == -signal.SIGKILL, "kill -9")
        second = scene.start_coordinator()
        resumed = int(second.wait_for(r'"event":"resume".*"round":(\d+)')[1])
        check(resumed >= before, "it goes on from the last committed round")
        after = int(second.wait_for(r'"event":"round","round":(\d+),.*"clients":3')[1])
        check(after == resumed + 1, f"round {after} follows round {resumed}")
        second.send(signal.SIGTERM)
        check(second.wait() == 10, "a stop before the last round ends with 10")
        for name, node in nodes.items():
            check(node.child.poll() is None, f"{name} is the process it was")
            node.stop()


if __name__ == "__main__":
    main([nodes_that_were_there_first_wait_and_join, a_task_beyond_the_limits_of_an_owner_is_declined,
          a_node_that_was_stopped_takes_part_again, a_coordinator_that_was_killed_finds_its_nodes_again])
    sys.exit(0)
