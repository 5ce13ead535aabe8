"""A task may ask for OpenBLAS: its models are as good, and everybody is told that they cannot be had again to the bit."""
import json

import house

NOWHERE = {"FEDAVG_BLAS": "/nowhere/libopenblas.so.0"}


def scene_task(scene, math):
    return scene.task(name=math, algorithm={"rounds": 4, "fraction": 1, "math": math})


def a_run_with_openblas_is_close_to_the_exact_one_and_says_what_it_is():
    with house.Scene() as scene:
        exact = scene.result(scene_task(scene, "exact"), "exact", nodes=2)
        blas = scene.result(scene_task(scene, "blas"), "blas", nodes=2)
        house.check(blas.first["kernels"] == "blas" and exact.first["kernels"] != "blas",
                    f"ran {blas.first['kernels']} and {exact.first['kernels']}")
        house.check(exact.done["accuracy"] > 0.5, "nothing was learnt")
        for one, other in zip(exact.rounds, blas.rounds):
            house.check(abs(one["loss"] - other["loss"]) < 1e-4 * one["loss"], f"losses differ: {one} and {other}")
            house.check(abs(one["accuracy"] - other["accuracy"]) <= 0.004, f"accuracies differ: {one} and {other}")
        for run, name, holds in ((exact, "exact", True), (blas, "blas", False)):
            status = json.loads(scene.command("status", scene.dir / name, "--json"))
            house.check(run.first["reproducible"] is holds and status["reproducible"] is holds,
                        f"{name}: {run.first['reproducible']} at the start, {status['reproducible']} in the directory")
        house.check("arithmetic not exact" in scene.command("status", scene.dir / "blas"), "people are not told")


def nodes_without_openblas_train_in_exact_arithmetic_and_say_so():
    with house.Scene() as scene:
        exact = scene.result(scene_task(scene, "exact"), "exact")
        daemons = house.Daemons(scene, scene_task(scene, "blas"), [(0, 5, 1), (5, 5, 1)])
        coordinator = daemons.coordinator("blas")
        nodes = [daemons.node(i, env=NOWHERE) for i in (0, 1)]
        coordinator.wait_exit(0)
        house.check(house.Result(coordinator).models == exact.models, "the models are not those of exact arithmetic")
        for i, node in enumerate(nodes):
            node.wait_log("trains in exact arithmetic")
            coordinator.wait_log(f"not reproducible node=node-{i} family=exact wanted=blas")


def a_coordinator_that_evaluates_does_not_start_without_openblas():
    with house.Scene(train=100, test=100) as scene:
        process = scene.simulate(scene_task(scene, "blas"), "blas", env=NOWHERE)
        process.wait_exit(2)
        house.check(process.said("libopenblas0-serial"), f"the package is not named: {process}")
        house.check(not (scene.dir / "blas").exists(), "the run directory was made")


house.main(a_run_with_openblas_is_close_to_the_exact_one_and_says_what_it_is,
           nodes_without_openblas_train_in_exact_arithmetic_and_say_so,
           a_coordinator_that_evaluates_does_not_start_without_openblas)
