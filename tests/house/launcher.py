"""A simulation whose nodes a launcher starts: the same models, and nobody is left behind."""
import os
import signal

import house
from house import check


def launched(scene, task, run, launcher, *arguments):
    port = house.free_pair()
    return scene.simulate(task, run, "--address", f"tcp://127.0.0.1:{port}", "--launcher", launcher, *arguments, nodes=2)


def nodes_that_are_launched_come_to_the_same_models():
    with house.Scene(train=500, test=100) as scene:
        task = scene.task()
        alone = scene.result(task, "alone")
        far = launched(scene, task, "far", 'env NAME="node $((FEDAVG_NODE + 10))" sh -c \'echo "$NAME" >&2; exec "$@"\' sh')
        far.wait_exit(0)
        check(house.Result(far).models == alone.models, "other models than on one machine")
        check({"node 10", "node 11"} == {line.strip() for line in far.log if line.startswith("node ")}, f"{far}")
        check(not house.children(None, str(scene.dir / "far")), "a node is still there")


def what_a_launcher_started_is_started_again_and_ends_with_the_simulation():
    with house.Scene(train=500, test=100) as scene:
        run = launched(scene, scene.task(algorithm={"rounds": 1000000}), "run", "nice")
        run.wait_event("round")
        scene.until(lambda: len(house.children(run.child.pid, "fedavg-client")) == 2)  # one is enough for a round
        nodes = house.children(run.child.pid, "fedavg-client")
        os.kill(nodes[0], signal.SIGKILL)
        run.wait_log("starting it again (1 of 3)")
        run.signal(signal.SIGTERM)
        run.wait_exit(10)
        check(not house.children(None, str(scene.dir / "run")), "a node is still there")
        check(not [path for path in (scene.dir / "run").iterdir() if path.name.startswith("simulate.")], "keys are left")


def a_launcher_that_does_not_work_ends_the_simulation():
    with house.Scene(train=500, test=100) as scene:
        run = launched(scene, scene.task(), "run", "false")
        run.wait_exit(1)
        check(run.said("ended with exit code 1 for the 4th time"), f"{run}")


house.main(nodes_that_are_launched_come_to_the_same_models,
           what_a_launcher_started_is_started_again_and_ends_with_the_simulation,
           a_launcher_that_does_not_work_ends_the_simulation)
