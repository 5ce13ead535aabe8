"""Nodes are killed with -9 in the middle of a run; the run ends with the same models, or says why it cannot."""
import os
import signal

import house
import killer

WELCOMED = "session welcomed"  # a node, once it is connected


def kill_node(process, name):
    found = house.children(process.pid, f"{name}.yaml")
    house.check(len(found) == 1, f"{len(found)} processes of {name}: {process}")
    os.kill(found[0], signal.SIGKILL)


def models_with_kills(scene, task, *names):
    """The models of a run of two nodes, some of which are killed -9 after its second round, and then come back. The run has
    no end of its own, so that this always falls into its middle."""
    process = scene.simulate(task, "-".join(names), "--log-level", "info", nodes=2)
    process.wait_log(WELCOMED, 2)
    process.wait_event("round", round=2)
    for name in names:
        kill_node(process, name)
        process.wait_log(f"{name} was killed by signal 9; starting it again (1 of 3)")
    process.wait_log(WELCOMED, 2 + len(names))
    process.wait_event("round", round=process.rounds()[-1]["round"] + 3)
    process.signal(signal.SIGTERM)
    process.wait_exit(10)
    return {event["round"]: event["model"] for event in process.rounds()}


def a_node_that_is_killed_changes_nothing():
    with house.Scene() as scene:
        task = scene.task(hidden=100, algorithm={"rounds": 1000000}, round={"evaluate_every": 1000000})
        one = models_with_kills(scene, task, "node-1")
        both = models_with_kills(scene, task, "node-0", "node-1")
        expected = scene.result(task, "untouched", "--set", f"algorithm.rounds={max(*one, *both)}").models
        house.check(one.items() <= expected.items(), "the models differ when one node is killed")
        house.check(both.items() <= expected.items(), "the models differ when all nodes are killed")
        house.check(len(one) >= 5 and len(both) >= 5, f"rounds {sorted(one)} and {sorted(both)}")


def a_node_that_dies_four_times_ends_the_simulation_with_a_sentence():
    with house.Scene(train=200, test=50) as scene:
        process = scene.simulate(scene.task(algorithm={"rounds": 1000000}), "run", "--log-level", "info")
        for time in range(1, 5):
            process.wait_log(WELCOMED, time)
            kill_node(process, "node-0")
            process.wait_log(f"starting it again ({time} of 3)" if time < 4 else "for the 4th time")
        process.wait_exit(1)
        house.check(process.said("node-0 was killed by signal 9 for the 4th time"), f"no sentence: {process}")
        house.check(not house.children(None, str(scene.dir)), "a child outlived the simulation")
        house.check(not list((scene.dir / "run").glob("simulate.*")), "the sandbox of the simulation is still there")
        status = scene.command("status", scene.dir / "run")
        house.check("round" in status, f"the run cannot be read: {status}")


def a_node_that_is_killed_at_any_send_changes_nothing():
    with house.Scene(train=200, test=50) as scene:
        killer.Killer(scene, "fedavg-client", "node-", nodes=2).run_all("net", lambda k: (False,))


def a_node_that_is_killed_at_any_receipt_or_step_of_training_changes_nothing():
    """Steps of training: the streams that shuffle an epoch, opening the model, sealing the update."""
    for kind, step in (("recv", 9), ("crypto", 9)):
        with house.Scene(train=200, test=50) as scene:
            killer.Killer(scene, "fedavg-client", "node-", nodes=2).run_all(kind, lambda k: (False,), step)


def lose_a_node_for_good(scene, task, k):
    """One of two nodes is killed at its k-th send, and nobody starts it again. True: it was."""
    log, where = scene.dir / f"lost-{k}", scene.dir / "where"
    daemons = house.Daemons(scene, task, [(0, 2, 1), (2, 2, 1)], sums=k % 2 == 0, name=f"lost-daemons-{k}")
    coordinator = daemons.coordinator(f"lost-run-{k}")
    lost = daemons.node(1, env={"LD_PRELOAD": killer.LIBRARY, "FED_KILL_PROGRAM": "fedavg-client", "FED_KILL_CLASS": "net",
                                "FED_KILL_AT": str(k), "FED_KILL_LOG": str(log), "FED_KILL_WHERE": str(where)})
    scene.until(lambda: lost.open == 0 or coordinator.said("node joined node=node-1"))  # the other could do without it
    daemons.node(0)
    coordinator.wait_exit(0)
    said = scene.replay(daemons.task_path, f"lost-run-{k}")
    house.check(coordinator.events()[-1]["model"] in said, f"{said}: {coordinator}")
    for process in scene.processes:
        process.stop()
    return log.exists()


def a_run_that_lost_a_node_for_good_is_what_its_admitted_sets_say():
    with house.Scene(train=200, test=50) as scene:
        task = scene.task(hidden=0, clients=4, algorithm={"rounds": 5, "fraction": 1.0},
                          round={"min_reports": 0.5, "rejoin_s": 0})
        k = 3
        while lose_a_node_for_good(scene, task, k):
            k += 1 if house.LONG else 25
        house.check(k > 11, f"the node was never lost: {k}")
        print(f"a node was lost at each of {k - 1} sends")


claims = [a_node_that_is_killed_changes_nothing, a_node_that_dies_four_times_ends_the_simulation_with_a_sentence]
if killer.available():
    claims += [a_node_that_is_killed_at_any_send_changes_nothing,
               a_node_that_is_killed_at_any_receipt_or_step_of_training_changes_nothing,
               a_run_that_lost_a_node_for_good_is_what_its_admitted_sets_say]
house.main(*claims)
