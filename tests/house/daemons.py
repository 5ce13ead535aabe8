"""A coordinator and three nodes, each with one client and data of its own, through what happens in a year of service."""
import re
import signal

import wards
from house import check, main

SENT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ run=[0-9a-f]{32} round=(\d+) attempt=(\d+) model=[0-9a-f]{64} "
                  r"clients=1 examples=(\d+) bytes=(\d+)$")
LOGISTIC_BYTES = (784 * 10 + 10) * 4
EXAMPLES = {"ward-0": 100, "ward-1": 60, "ward-2": 140}
FOR_EVER = 1000000000


def three_nodes(scene, **limits):
    for client, (name, n) in enumerate(EXAMPLES.items()):
        scene.add_node(name, client, n, zipped=client == 1, **limits.get(name, {}))
    return {name: scene.node(name) for name in EXAMPLES}


def sent_rounds(scene, name):
    """The rounds that sent.log tells of, every line of it as documented."""
    rounds = []
    for line in scene.sent(name):
        found = SENT.match(line)
        check(found, f"not a line of sent.log: {line}")
        check(int(found[3]) == EXAMPLES[name], f"{name} has {EXAMPLES[name]} examples: {line}")
        check(int(found[4]) == LOGISTIC_BYTES, f"an update is a float for each parameter: {line}")
        rounds.append(int(found[1]))
    return rounds


def committed(coordinator):
    return [(e["round"], e["clients"]) for e in coordinator.events() if e["event"] == "round"]


def nodes_that_were_there_first_wait_and_join():
    with wards.Scene(rounds=3) as scene:
        nodes = three_nodes(scene)
        for node in nodes.values():
            wards.wait_said(node, "cannot be reached; trying again for ever")
        coordinator = scene.coordinator()
        coordinator.wait_exit(0)
        check(committed(coordinator) == [(1, 3), (2, 3), (3, 3)], f"not three rounds of three: {committed(coordinator)}")
        check(coordinator.events()[-1]["event"] == "done", f"the last line is not done: {coordinator.out[-1]}")
        for name, node in nodes.items():
            check(sent_rounds(scene, name) == [1, 2, 3], f"not one line an update: {scene.sent(name)}")
            wards.wait_said(node, "run finished")
            wards.stop(node)


def a_task_beyond_the_limits_of_an_owner_is_declined():
    with wards.Scene(rounds=FOR_EVER, epochs=3, min_reports=0.6) as scene:
        nodes = three_nodes(scene, **{"ward-1": {"max_epochs": 2}})
        coordinator = scene.coordinator()
        wards.wait_said(nodes["ward-1"], "asks for 3 epochs, more than limits.max_epochs: 2")
        wards.wait_said(coordinator, "declined node=ward-1 reason=epochs")
        last = committed(coordinator)[-1:] or [(0, 0)]
        wards.wait_round(coordinator, lambda event: event["round"] > last[0][0])
        wards.stop(coordinator, 10)
        check({clients for _, clients in committed(coordinator)} == {2}, "a round did not go on with the two others")
        check(scene.sent("ward-1") == [], "something left the machine that declined")
        check(sent_rounds(scene, "ward-0") and sent_rounds(scene, "ward-2"), "the others did not send theirs")


def a_node_that_was_stopped_takes_part_again():
    with wards.Scene(rounds=FOR_EVER) as scene:
        nodes = three_nodes(scene)
        coordinator = scene.coordinator()
        wards.wait_round(coordinator)
        wards.stop(nodes["ward-2"])
        wards.wait_said(coordinator, "node left node=ward-2")
        alone, since = len(scene.sent("ward-2")), wards.mark(coordinator)
        scene.node("ward-2")
        wards.wait_said(coordinator, "node joined node=ward-2", since)
        last = committed(coordinator)[-1][0]
        wards.wait_round(coordinator, lambda event: event["round"] > last + 1 and event["clients"] == 3)
        check(len(sent_rounds(scene, "ward-2")) > alone, "the node that came back sent nothing")


def a_coordinator_that_was_killed_finds_its_nodes_again():
    with wards.Scene(rounds=FOR_EVER) as scene:
        nodes = three_nodes(scene)
        first = scene.coordinator()
        before = wards.wait_round(first, lambda event: event["round"] >= 2)["round"]
        first.signal(signal.SIGKILL)
        first.wait_exit(-signal.SIGKILL)
        second = scene.coordinator()
        resumed = second.wait_event("resume")["round"]
        check(resumed >= before, f"round {before} was committed, but it went on from {resumed}")
        again = wards.wait_round(second)
        check((again["round"], again["clients"]) == (resumed + 1, 3), f"after round {resumed} came {again}")
        wards.stop(second, 10)
        for name, node in nodes.items():
            check(node.child.poll() is None, f"{name} is not the process it was")
            wards.stop(node)


def two_programs_with_one_key_are_called_that():
    with wards.Scene(rounds=FOR_EVER) as scene:
        scene.add_node("ward-0", 0, 20)
        scene.add_node("ward-1", 1, 20)  # is never started: the run waits
        coordinator = scene.coordinator()
        first = scene.node("ward-0")
        wards.wait_said(coordinator, "node joined node=ward-0")
        again = scene.node("ward-0")
        wards.wait_said(coordinator, "warn control two programs use one key node=ward-0")
        for node in (first, again):
            wards.stop(node)
        wards.stop(coordinator, 10)


main(nodes_that_were_there_first_wait_and_join, a_task_beyond_the_limits_of_an_owner_is_declined,
     a_node_that_was_stopped_takes_part_again, a_coordinator_that_was_killed_finds_its_nodes_again,
     two_programs_with_one_key_are_called_that)
