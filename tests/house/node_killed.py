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
    process.wait_event("round", round=process.events()[-1]["round"] + 3)
    process.signal(signal.SIGTERM)
    process.wait_exit(10)
    return {event["round"]: event["model"] for event in process.events() if event["event"] == "round"}


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


claims = [a_node_that_is_killed_changes_nothing, a_node_that_dies_four_times_ends_the_simulation_with_a_sentence]
if killer.available():
    claims.append(a_node_that_is_killed_at_any_send_changes_nothing)
house.main(*claims)
