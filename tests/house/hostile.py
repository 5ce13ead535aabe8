"""Strangers and enrolled nodes attack a coordinator at work: the honest run ends in the same model, memory stays bounded, what was
refused is counted under its name, and the log does not grow with the attack. What it costs in CPU time is bench/hostile's.

FEDAVG_LONG=1 runs every attack there is, each for longer."""
import os
import sqlite3

import attack
import house

ROUNDS = 200 if house.LONG else 15
SHORT = {"strangers", "flood_offer", "flood_get_beyond", "flood_chunks"}
LIMITS = {"handshakes_per_s": 5}  # a short run would not reach the default
MORE_MEMORY_MB = 64
# Lines about refusals: some at once and one a second for strangers and for the node, each; the attacks send tens of thousands.
MOST_LINES, LINES_A_SECOND = 60, 2

# Under which names each attack is counted, for whom. What never ends its handshake is no peer: libzmq cuts it off unheard,
# and nobody counts it.
UNHEARD = {"idle", "dribble", "garbage", "oversize"}
COUNTED = {
    "keys": {("", "not_enrolled"), ("", "rate")},
    "strangers": {("", "not_enrolled"), ("", "rate")},
    **{name: {("node-4", "rate")} for name in attack.ENROLLED},
}

SANITIZED = os.environ.get("FEDAVG_SANITIZE", "") != ""


def counted(figures):
    with sqlite3.connect(f"file:{figures['run_dir'] / 'run.db'}?mode=ro", uri=True) as db:
        return {(node, reason): count
                for node, reason, count in db.execute("SELECT node, reason, sum(count) FROM refusals GROUP BY node, reason")}


def attacks_change_no_model_and_cost_bounded_memory():
    if SANITIZED:
        house.not_tried("how much memory an attack costs: a sanitizer keeps what was freed")
    with house.Scene(train=2000, test=500) as scene:
        truth = attack.run(scene, "truth", None, ROUNDS, limits=LIMITS)
        house.check(counted(truth) == {}, f"honest nodes were refused: {counted(truth)}")
        for name in attack.NAMES if house.LONG else [name for name in attack.NAMES if name in SHORT]:
            until = [f"refused node={node or 'stranger'} reason={reason}" for node, reason in COUNTED.get(name, ())]
            figures = attack.run(scene, name.replace("_", "-"), name, ROUNDS, limits=LIMITS, until=until)
            coordinator = figures["coordinator"]
            house.check(figures["result"].models == truth["result"].models, f"{name} changed a model: {coordinator}")
            house.check(all(event["attempt"] == 1 for event in figures["result"].rounds), f"{name} ended an attempt: {coordinator}")
            more = figures["peak_mb"] - truth["peak_mb"]
            house.check(SANITIZED or more <= MORE_MEMORY_MB, f"{name}: {more:.1f} MiB more: {coordinator}")
            found = counted(figures)
            house.check(name in UNHEARD or COUNTED[name] <= set(found), f"{name} is counted as {found}")
            others = {key for key in found if key[0] not in ("", "node-4")}
            house.check(not others, f"{name}: honest nodes were refused: {found}")
            lines = sum("refused" in line for line in coordinator.log)
            most = MOST_LINES + LINES_A_SECOND * figures["seconds"]
            house.check(lines <= most, f"{name}: {lines} lines in the log: {coordinator}")
            print(f"{name}: {sum(found.values())} refused, {lines} lines, {more:+.1f} MiB", flush=True)


def check_refused(name, found, malformed, protocol, doubtful):
    """Every message that decodes to none is refused by name, exactly. One that still decodes says something else, true or
    false, or the same (another number, another loss): lying.py tells those lies one by one. Some of them are malformed too,
    where the coordinator comes to look at it: those are doubtful."""
    found = {reason: count for (node, reason), count in found.items() if node == "node-4"}
    house.check(found.get("protocol", 0) == protocol, f"{name}: {protocol} of another protocol, refused are {found}")
    house.check(malformed <= found.get("malformed", 0) <= malformed + doubtful, f"{name}: {malformed} malformed, refused are {found}")
    house.check(malformed > 0, f"{name}: nothing was damaged")


def a_damaged_message_costs_less_than_a_millisecond():
    limits = {"messages_per_s": 1000000, "bytes_per_s": 1 << 30, "connections_per_10s": 1000}  # every one is to be judged
    with house.Scene(train=2000, test=500) as scene:
        truth = attack.run(scene, "truth", None, 12, limits=limits)
        for name in attack.DAMAGED:
            figures = attack.run(scene, name.replace("_", "-"), name, 12, limits=limits)
            house.check(figures["result"].models == truth["result"].models, f"{name} changed a model: {figures['coordinator']}")
            volleys = [line.split()[1::2] for line in figures["liar"].log if line.startswith("damaged ")]
            sent, malformed, protocol, doubtful = map(int, volleys[-1])
            each = (figures["cpu_ms"] - truth["cpu_ms"]) / (sent / len(volleys))
            house.check(each < 1, f"{name}: {each:.3f} ms a message")
            check_refused(name, counted(figures), malformed, protocol, doubtful)
            print(f"{name}: {sent} sent, {1000 * each:.0f} us each, {malformed + protocol} are no messages and refused", flush=True)


house.main(attacks_change_no_model_and_cost_bounded_memory, a_damaged_message_costs_less_than_a_millisecond)
