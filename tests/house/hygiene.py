"""What an update is held against and what is made of it (norm ceiling, clip, weight cap) follow from committed rounds: whoever
adds, whatever is killed, with the same bits."""
import sqlite3

import house
import killer

CALLS = range(1, 1000) if house.LONG else (23, 71, 122)  # of the coordinator to the disk, at which it is killed


def scene_task(scene, **algorithm):
    """Shards of 10 to 180 examples, ten a round, so that there is a ceiling from the fifth round on."""
    return scene.task(hidden=40, clients=12, partition={"kind": "quantity", "alpha": 1.2},
                      algorithm={"rounds": 8, "fraction": 0.8, "epochs": 2, **algorithm}, round={"evaluate_every": 8})


def record(scene, run):
    """All that a run has recorded of it, to the bit."""
    with sqlite3.connect(f"file:{scene.dir / run / 'run.db'}?mode=ro", uri=True) as db:
        rounds = db.execute("SELECT round, hex(model), weight, norm_ceiling, clip, weight_cap FROM rounds ORDER BY round")
        updates = db.execute("SELECT round, client, weight, norm FROM updates ORDER BY round, client")
        return rounds.fetchall(), updates.fetchall()


def limits_are_the_same_whoever_adds_and_whatever_is_killed():
    with house.Scene(train=600, test=50) as scene:
        task = scene_task(scene, clip_norm=0.5, clip_quantile=0.6, max_share=0.2)
        scene.result(task, "sums", nodes=2, threads=2)
        rounds, updates = expected = record(scene, "sums")
        house.check([row[3] is not None for row in rounds[1:]] == [False] * 4 + [True] * 4, f"ceilings: {rounds}")
        # of 600 examples 12 clients have 50 in the mean, and 10 of them are wanted
        house.check(rounds[1][5] == 0.2 * 50 * 10, f"the first round is capped at {rounds[1][5]}")
        house.check(len({row[4] for row in rounds[1:]}) > 4, f"the clip does not move: {rounds}")
        capped = sum(weight == rounds[number][5] for number, _, weight, _ in updates)
        clipped = sum(norm > rounds[number][4] for number, _, _, norm in updates)
        house.check(0 < capped < len(updates) and 0 < clipped < len(updates), f"{capped} capped, {clipped} clipped")
        print(f"{len(updates)} updates, {capped} capped, {clipped} clipped; {scene.replay(task, 'sums')}")
        scene.result(task, "singles", "--set", "server.partial_sums=no", nodes=3,
                     env={"FEDAVG_KERNELS": "portable"})
        house.check(record(scene, "singles") == expected, "single updates come to something else than sums")
        for k in CALLS if killer.available() else ():
            run, log = f"killed-{k}", scene.dir / f"killed-{k}.log"
            scene.result(task, run, "--set", f"server.partial_sums={'yes' if k % 2 else 'no'}", env={
                "LD_PRELOAD": killer.LIBRARY, "FED_KILL_CLASS": "disk", "FED_KILL_AT": str(k), "FED_KILL_LOG": str(log)})
            if not log.exists():
                house.check(k > 100, f"nothing was killed at call {k}")
                break
            house.check(record(scene, run) == expected, f"killed at call {k} it comes to something else")


def without_a_ceiling_an_honest_run_is_the_same():
    with house.Scene(train=600, test=50) as scene:
        task = scene_task(scene)
        with_, without = scene.result(task, "with"), scene.result(task, "without", "--set", "hygiene.norm_factor=0")
        house.check(with_.models == without.models, "the ceiling has touched an honest run")
        house.check(record(scene, "with")[1] == record(scene, "without")[1], "other updates")
        house.check(all(row[3] is None for row in record(scene, "without")[0]), "there is a ceiling")
        resumed = scene.result(task, "without", "--set", "algorithm.rounds=10")  # it may change when a run goes on
        house.check(sorted(resumed.models) == [9, 10], f"rounds {sorted(resumed.models)}")
        house.check(record(scene, "without")[0][9][3] == record(scene, "with")[0][8][3], "another ceiling, or none")


house.main(limits_are_the_same_whoever_adds_and_whatever_is_killed, without_a_ceiling_an_honest_run_is_the_same)
