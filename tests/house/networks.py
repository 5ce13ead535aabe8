"""Bad networks: whatever the lines between a coordinator and its nodes do, a run ends, and in the model of an undisturbed one.

A round waits for every picked client, so the undisturbed model is that of the task and the seed alone. A slow node that moves
is never given up. FEDAVG_LONG=1 tries the whole matrix of loss, delay and rate, and cuts of 30 s."""
import house
import lab
from house import check, main

PATIENT = {"min_reports": 1.0, "deadline_s": 3600, "rejoin_s": 3600}
GIVEN_UP = ("it was silent for too long", "its transfer stalled", "connected anew", "connection is gone")


class World:
    """A task for as many clients as there are nodes, one each, all picked; and the model that it must come to."""

    def __init__(self, nodes=2, hidden=64, rounds=2, **rules):
        self.scene = house.Scene()
        self.task = self.scene.task(hidden=hidden, clients=nodes, algorithm={"rounds": rounds, "fraction": 1.0},
                                    round={**PATIENT, "evaluate_every": rounds, **rules})
        self.expected = self.scene.result(self.task, "undisturbed").done["model"]
        self.lab = lab.Lab(self.scene, self.task, [(i, 1, 1) for i in range(nodes)])
        self.network, self.n_nodes = self.lab.network, nodes

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with self.scene, self.lab:
            pass

    def start(self, **options):
        self.coordinator = self.lab.coordinator("run")
        self.coordinator.wait_event("start")
        self.nodes = [self.lab.node(i, **options) for i in range(self.n_nodes)]

    def shape(self, **values):
        for node in range(1, self.n_nodes + 1):
            self.network.shape(node, **values)

    def finish(self, given_up=0):
        self.coordinator.wait_exit(0)
        result = house.Result(self.coordinator)
        check(result.done["model"] == self.expected, f"another model: {self.coordinator}")
        check(all(event["attempt"] == 1 for event in result.rounds), f"a round was tried again: {self.coordinator}")
        lost = [line for line in self.coordinator.log if any(why in line for why in GIVEN_UP)]
        check(len(lost) <= given_up, f"{lost}: {self.coordinator}")


def a_run_over_long_lossy_lines_ends_in_the_same_model():
    with World() as world:
        world.shape(loss=1, delay=50, jitter=30, rate=10000)
        world.start()
        world.finish()


main(a_run_over_long_lossy_lines_ends_in_the_same_model)
