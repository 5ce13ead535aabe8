"""The roster is the operator's hand on the door while the coordinator runs: SIGHUP admits, revokes and changes keys."""
import signal

import wards
from house import check, main

FOR_EVER = 1000000000


def reload(scene, coordinator, *edit):
    since = wards.mark(coordinator)
    scene.edit_roster(*edit)
    coordinator.signal(signal.SIGHUP)
    wards.wait_said(coordinator, "info roster reloaded", since)
    return since


def next_round(coordinator, clients):
    """A round of this many clients that was not yet committed now."""
    last = max((e["round"] for e in coordinator.events() if e["event"] == "round"), default=0)
    return wards.wait_round(coordinator, lambda event: event["round"] > last + 1 and event["clients"] == clients)["round"]


def a_node_that_was_refused_is_let_in_after_it_was_added():
    with wards.Scene(rounds=FOR_EVER, rejoin_s=1) as scene:
        scene.add_node("ward-0", 0, 50)
        scene.add_node("ward-1", 1, 50, enrolled=False)
        coordinator = scene.coordinator()
        scene.node("ward-0")
        stranger = scene.node("ward-1")
        wards.wait_said(coordinator, "refused node=stranger reason=not.enrolled why=\"no entry of the roster has its key, which begins with [0-9a-f]{16}\"")
        wards.wait_said(stranger, "this node's key is not on the coordinator's roster")
        next_round(coordinator, clients=1)
        reload(scene, coordinator, "add", "ward-1", scene.public["ward-1"], "--clients", "1")
        wards.wait_said(coordinator, "node joined node=ward-1")
        wards.wait_said(stranger, "welcomed")
        next_round(coordinator, clients=2)
        check(len([line for line in stranger.log if "not on the coordinator's roster" in line]) == 1,
              f"the same trouble was said more than once: {stranger}")


def a_node_that_was_removed_is_refused_from_its_next_message_on():
    with wards.Scene(rounds=FOR_EVER, rejoin_s=1) as scene:
        for client in range(2):
            scene.add_node(f"ward-{client}", client, 50)
        coordinator = scene.coordinator()
        nodes = [scene.node(f"ward-{client}") for client in range(2)]
        next_round(coordinator, clients=2)
        since = reload(scene, coordinator, "remove", "ward-1")
        wards.wait_said(coordinator, "node left node=ward-1 why=\"its roster entry changed\"", since)
        wards.wait_said(coordinator, "refused node=stranger reason=not.enrolled why=\"ward-1\\.[0-9a-f]{16}: its entry was removed", since)
        wards.wait_said(nodes[1], "this node's key is not on the coordinator's roster")
        next_round(coordinator, clients=1)
        sent = len(scene.sent("ward-1"))
        next_round(coordinator, clients=1)
        check(len(scene.sent("ward-1")) == sent, "it sent an update after it was removed")
        check(nodes[1].child.poll() is None, "it does not wait for its return")
        reload(scene, coordinator, "add", "ward-1", scene.public["ward-1"], "--clients", "1")
        next_round(coordinator, clients=2)


def a_key_is_changed_while_the_old_one_still_works():
    with wards.Scene(rounds=FOR_EVER, rejoin_s=1) as scene:
        for client in range(2):
            scene.add_node(f"ward-{client}", client, 50)
        coordinator = scene.coordinator()
        scene.node("ward-0")
        old = scene.node("ward-1")
        next_round(coordinator, clients=2)
        reload(scene, coordinator, "rotate", "ward-1", scene.keygen("ward-1-next"))
        next_round(coordinator, clients=2)  # with the old key
        wards.stop(old)
        since = wards.mark(coordinator)
        train = {what: str(scene.dir / f"ward-1-{what}") for what in ("images", "labels")}
        scene.write_client("ward-1", 1, train, key="ward-1-next.key")
        new = scene.node("ward-1")
        wards.wait_said(coordinator, "node joined node=ward-1", since)
        sent = len(scene.sent("ward-1"))
        next_round(coordinator, clients=2)  # with the new one
        check(len(scene.sent("ward-1")) > sent, "the new key sent nothing")
        reload(scene, coordinator, "rotate", "ward-1", "--finish")
        next_round(coordinator, clients=2)
        wards.stop(new)
        scene.write_client("ward-1", 1, train)
        last = scene.node("ward-1")
        wards.wait_said(last, "this node's key is not on the coordinator's roster")


def a_roster_with_a_mistake_is_refused_and_the_old_one_holds():
    with wards.Scene(rounds=FOR_EVER, rejoin_s=1) as scene:
        scene.add_node("ward-0", 0, 50)
        coordinator = scene.coordinator()
        scene.node("ward-0")
        next_round(coordinator, clients=1)
        scene.roster.write_text(scene.roster.read_text() + "- {name: ward-1, key: nonsense, clients: {first: 1}}\n")
        coordinator.signal(signal.SIGHUP)
        wards.wait_said(coordinator, "error roster \"?not reloaded, the old one holds\"? why=.*roster:")
        next_round(coordinator, clients=1)


main(a_node_that_was_refused_is_let_in_after_it_was_added, a_node_that_was_removed_is_refused_from_its_next_message_on,
     a_key_is_changed_while_the_old_one_still_works, a_roster_with_a_mistake_is_refused_and_the_old_one_holds)
