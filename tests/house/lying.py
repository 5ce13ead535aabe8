"""An enrolled node that lies in every way we know: each lie is refused under its name, the round goes on without it, and no
bit of any model differs from those of a run in which that node only declines."""
import os
import sqlite3

import house

LYING_NODE = os.environ.get("FEDAVG_LYING_NODE", "lying_node")
HONEST, LIARS = 4, 2  # clients; the liar hosts the last ones
MAX_DELTA = 1 << 20  # no value of an update a million times too large is over it
LIMITS = {"messages_per_s": 100000, "bytes_per_s": 1 << 30}  # every lie is to be judged for itself
ROUND_RULES = {"min_reports": 0.5, "deadline_s": 600, "rejoin_s": 600, "evaluate_every": 1000}
HYGIENE = {"quarantine_after": 0}  # it is to tell all of its lies

# The lie, and the names under which the store counts it (any of them). Nobody answers a chunk that does not fit or never
# comes: it is asked for again, until the liar gives up; who declines is not refused; and what is cut off by the transport has no name.
SINGLES = [
    ("length", {"length"}),
    ("weight_zero", {"weight_zero"}),
    ("weight_cap", {"weight_cap"}),
    ("not_picked", {"not_picked"}),
    ("not_hosted", {"part", "counted"}),  # counted, when its own node was faster
    ("encoding", {"encoding"}),
    ("suite", {"suite"}),
    ("nan", {"not_finite"}),
    ("infinity", {"not_finite"}),
    ("delta_cap", {"delta_cap"}),
    ("flipped_header", {"seal"}),
    ("flipped_chunk", {"seal"}),
    ("replay", {"seal"}),
    ("round", {"round"}),
    ("attempt", {"attempt"}),
    ("part", {"part"}),
    ("cut_header", {"malformed"}),
    ("missing_chunk", None),
    ("short_chunk", None),
    ("garbage", {"malformed"}),
    ("oversize_control", {"malformed"}),
    ("cut_control", None),
    ("garbage_bulk", {"malformed"}),
    ("oversize_bulk", None),
    ("hosted", {"hosted"}),
    ("partition", {"partition"}),
    ("protocol", {"protocol"}),
    ("impostor", {"malformed"}),
    ("cut_everywhere", {"malformed"}),
    ("flip_everywhere", {"malformed"}),
    ("disorder", {"part", "late"}),  # late, when nobody else was waited for
    ("other_task", {"seal"}),
    ("other_run", {"seal"}),
    ("norm", {"norm"}),  # from the ninth round on there is a ceiling
    ("norm_left_out", {"norm"}),
]
SUMS = [
    ("sum_bound", {"sum_bound"}),
    ("flipped_chunk", {"seal"}),
    ("replay", {"seal"}),
    ("length", {"length"}),
    ("weight_zero", {"weight_zero"}),
    ("missing_chunk", None),
    ("decline", None),
    ("decline", None),
    ("large_norm", {"norm"}),
    ("large_sum", {"sum_bound"}),
]
OF_STRANGERS = {"oversize_control"}  # what is no message has no sender


def run(scene, name, lies, sums=False):
    """A run of one round a lie beside an honest node. Returns the models by round, and the counted refusals by round."""
    task = scene.task(name, hidden=200, clients=HONEST + LIARS, algorithm={"rounds": len(lies), "fraction": 1.0, "max_delta": MAX_DELTA},
                      round=ROUND_RULES, limits=LIMITS, hygiene=HYGIENE)
    daemons = house.Daemons(scene, task, [(0, HONEST, 2), (HONEST, LIARS, 1)], sums=sums, name=name)
    coordinator = daemons.coordinator(f"{name}-run")
    liar = scene.start(LYING_NODE, daemons.dir / "node-1.yaml", ",".join(lies))
    liar.wait_log("welcomed")  # fewer clients than the quorum: the first round waits for the honest node
    daemons.node(0)
    coordinator.wait_exit(0)
    result = house.Result(coordinator)
    house.check(sorted(result.models) == list(range(1, len(lies) + 1)), f"rounds {sorted(result.models)}: {coordinator}")
    house.check(all(event["attempt"] == 1 for event in result.rounds), f"a lie ended an attempt: {coordinator}")
    for number, lie in enumerate(lies, start=1):
        liar.wait_log(f"round {number} lie {lie}")
    house.check(not liar.said("refused norm"), f"a node of minor 0 was told a reason it does not know: {liar}")
    liar.stop()
    with sqlite3.connect(f"file:{scene.dir / f'{name}-run' / 'run.db'}?mode=ro", uri=True) as db:
        rows = db.execute("SELECT round, node, reason, count FROM refusals").fetchall()
        clients = dict(db.execute("SELECT round, count(*) FROM updates GROUP BY round").fetchall())
    return result.models, rows, clients


def check_lies(told, rows, clients, models, expected):
    for number, (lie, names) in enumerate(told, start=1):
        node = "" if lie in OF_STRANGERS else "node-1"
        counted = {reason for at, who, reason, count in rows if at == number and who == node and count > 0}
        if names is not None:
            house.check(counted & names, f"{lie} in round {number} is not counted as {names}: {rows}")
        house.check(clients[number] == HONEST, f"{clients[number]} clients were counted in round {number}, {lie}")
        house.check(models[number] == expected[number], f"{lie} changed the model of round {number}")


def lies_are_refused_by_name_and_change_no_bit():
    with house.Scene(train=300, test=100) as scene:
        lies = [lie for lie, _ in SINGLES]
        truth, rows, _ = run(scene, "truth", ["decline"] * len(lies) + ["first_only"])
        house.check(rows == [], f"the truth was refused: {rows}")
        models, rows, clients = run(scene, "lies", lies + ["twice"])
        check_lies(SINGLES, rows, clients, models, truth)
        last = len(lies) + 1
        counted = {reason for number, _, reason, _ in rows if number == last}
        house.check(counted == {"counted"}, f"an update offered twice is counted as {counted}")
        house.check(clients[last] == HONEST + 1, f"{clients[last]} clients were counted in the last round")
        house.check(models[last] == truth[last], "an update offered twice was added twice")
        models, rows, clients = run(scene, "sums", [lie for lie, _ in SUMS], sums=True)
        check_lies(SUMS, rows, clients, models, truth)


house.main(lies_are_refused_by_name_and_change_no_bit)
