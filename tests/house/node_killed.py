"""Nodes are killed with -9 in the middle of a run; the run ends with the same models, or says why it cannot."""
import os
import signal

import house

WELCOMED = "session welcomed"  # a node, once it is connected


def slow_task(scene):
    """Long enough that a kill in round 2 always meets a run that goes on."""
    return scene.task(hidden=100, algorithm={"rounds": 60, "epochs": 3}, round={"evaluate_every": 60})


def kill_node(process, name):
    found = house.children(process.pid, f"{name}.yaml")
    house.check(len(found) == 1, f"{len(found)} processes of {name}: {process}")
    os.kill(found[0], signal.SIGKILL)


def kill_nodes(process, *names):
    """kill -9 of some nodes of a simulation, once all are there and its second round is committed."""
    process.wait_log(WELCOMED, 2)
    process.wait_event("round", round=2)
    for name in names:
        kill_node(process, name)
        process.wait_log(f"{name} was killed by signal 9; starting it again (1 of 3)")


def same_result(process, expected):
    process.wait_exit(0)
    result = house.Result(process)
    house.check(result.models == expected.models, f"the models differ: {process}")
    house.check(result.done["model"] == expected.done["model"], f"another final model: {process}")


def a_node_that_is_killed_changes_nothing():
    with house.Scene() as scene:
        task = slow_task(scene)
        expected = scene.result(task, "untouched", nodes=2)
        one = scene.simulate(task, "one", "--log-level", "info", nodes=2)
        kill_nodes(one, "node-1")
        same_result(one, expected)
        both = scene.simulate(task, "both", "--log-level", "info", nodes=2)
        kill_nodes(both, "node-0", "node-1")
        same_result(both, expected)


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


house.main(a_node_that_is_killed_changes_nothing, a_node_that_dies_four_times_ends_the_simulation_with_a_sentence)
