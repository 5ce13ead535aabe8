"""The model of every round is a function of task and seed: not of nodes, threads, grouping, kernels or order of answers."""
import os
import re

import house


def same(expected, found, what):
    house.check(found.models == expected.models, f"{what}: the models differ from round "
                f"{next((r for r in expected.models if found.models.get(r) != expected.models[r]), '?')} on")


def scene_task(scene):
    """Two chunks of model; shards of unequal work; a short last batch."""
    return scene.task(hidden=100, partition={"kind": "dirichlet", "alpha": 0.5}, algorithm={"rounds": 4, "fraction": 0.8})


def nodes_and_threads_do_not_matter():
    with house.Scene(train=1003) as scene:
        task = scene_task(scene)
        expected = scene.result(task, "1x1")
        house.check(len(set(expected.models.values())) == 4, "the model did not change in every round")
        for nodes, threads in ((1, 2), (2, 1), (4, 1)):
            same(expected, scene.result(task, f"{nodes}x{threads}", nodes=nodes, threads=threads), f"{nodes} x {threads}")


def grouping_does_not_matter():
    with house.Scene(train=1003) as scene:
        task = scene_task(scene)
        whole = scene.result(task, "sums", "--set", "server.partial_sums=true", nodes=2)
        single = scene.result(task, "single", "--set", "server.partial_sums=false", nodes=2)
        same(whole, single, "partial sums and single updates")
        house.check(sum(event["bytes_up"] for event in single.rounds) > sum(event["bytes_up"] for event in whole.rounds),
                    "single updates were not larger than partial sums: nothing was compared")


def kernels_do_not_matter():
    with house.Scene(train=500, test=100) as scene:
        task = scene_task(scene)
        expected = scene.result(task, "portable", env={"FEDAVG_KERNELS": "portable"})
        house.check(expected.first["kernels"] == "portable", f"ran {expected.first['kernels']}")
        flags = {flag for line in open("/proc/cpuinfo") if line.startswith(("flags", "Features")) for flag in line.split()}
        for kernels, needed in (("neon", {"asimd"}), ("avx2", {"avx2", "fma"}),
                                ("avx512", {"avx512f", "avx512dq", "avx512vl", "avx512bw"})):
            if needed <= flags:
                found = scene.result(task, kernels, env={"FEDAVG_KERNELS": kernels})
                house.check(found.first["kernels"] == kernels, f"ran {found.first['kernels']}")
                same(expected, found, f"portable and {kernels}")


def the_order_of_answers_does_not_matter():
    """One node of eight workers that lets no client's update go before that of every higher client was fetched."""
    clients, rounds = 8, 4
    with house.Scene(train=1003) as scene:
        task = scene.task(hidden=100, clients=clients, algorithm={"rounds": rounds, "fraction": 1},
                          server={"partial_sums": False})
        expected = scene.result(task, "any-order")
        daemons = house.Daemons(scene, task, [(0, clients, clients)], sums=False)
        coordinator = daemons.coordinator("reversed")
        node = scene.start(os.environ["FEDAVG_REVERSED_NODE"], daemons.dir / "node-0.yaml", daemons.task_path)
        coordinator.wait_exit(0)
        same(expected, house.Result(coordinator), "reversed order")
        node.wait_log(f"reversed {rounds} rounds")
        sizes = [int(n) for n in re.findall(r"examples=(\d+)", (daemons.dir / "state-0" / "sent.log").read_text())]
        house.check(sizes == ([125] * 5 + [126] * 3) * rounds, f"sent in another order: {sizes}")  # 1003 = 3 * 126 + 5 * 125


house.main(nodes_and_threads_do_not_matter, grouping_does_not_matter, kernels_do_not_matter,
           the_order_of_answers_does_not_matter)
