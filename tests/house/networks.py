"""Bad networks: whatever the lines between a coordinator and its nodes do, a run ends, and in the model of an undisturbed one.

A round waits for every picked client, so the undisturbed model is that of the task and the seed alone. A slow node that moves
is never given up. FEDAVG_LONG=1 tries the whole matrix of loss, delay and rate, and cuts of 30 s."""
import concurrent.futures

import house
import lab
from house import LONG, check, main

PATIENT = {"min_reports": 1.0, "deadline_s": 3600, "rejoin_s": 3600}
GIVEN_UP = ("it was silent for too long", "its transfer stalled", "connected anew", "connection is gone")


class World:
    """A task for as many clients as there are nodes, one each, all picked; and the model that it must come to."""

    def __init__(self, nodes=2, hidden=64, rounds=2, train=400, host=None, **rules):
        self.scene = house.Scene(train=train)
        self.task = self.scene.task(hidden=hidden, clients=nodes, algorithm={"rounds": rounds, "fraction": 1.0},
                                    round={**PATIENT, "evaluate_every": rounds, **rules})
        self.expected = self.scene.result(self.task, "undisturbed").done["model"]
        self.lab = lab.Lab(self.scene, self.task, [(i, 1, 1) for i in range(nodes)], host=host)
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


    def break_after(self, node, direction, n_bytes, times):
        """Breaks every connection of the node, each time when so many more bytes have passed."""
        for i in range(times):
            self.network.cut_after(node, direction, n_bytes)
            self.network.wait_said("cut", node, i + 1)
            self.network.forget(node)
            self.network.heal(node)
        self.network.said.clear()


def a_run_over_long_lossy_lines_ends_in_the_same_model():
    with World() as world:
        world.shape(loss=1, delay=50, jitter=30, rate=10000)
        world.start()
        world.finish()


def a_transfer_goes_on_with_the_chunks_that_are_missing():
    """5,200 units are 16.5 MB a model, and 64 chunks: what three breaks may cost is about a chunk each, and what TCP adds."""
    with World(nodes=1, hidden=5200, rounds=1, train=100) as world:
        plain = 4 * (785 * 5200 + 5201 * 10)
        world.shape(delay=5, rate=60000)
        world.start()
        world.break_after(1, "down", plain // 5, 3)
        before = world.network.carried(1)["up"]
        world.break_after(1, "up", plain // 5, 3)
        world.finish()
        carried = world.network.carried(1)
        for direction, n in (("down", carried["down"]), ("up", carried["up"] - before)):
            print(f"  {direction}: {n} bytes carried for {plain}, {n / plain:.3f} times")
            check(n <= 1.15 * plain, f"{n} bytes {direction} for an object of {plain}")


def matrix():
    for loss in (0, 1, 5, 10):
        for delay in (10, 100, 300):
            for rate in (10000, 1000):
                yield {"loss": loss, "delay": delay, "jitter": 30, "rate": rate}


def several_at_once(try_one, cases):
    """A world each: all that they do is wait for their lines."""
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(try_one, cases))


def any_line_brings_the_same_model():
    def try_line(line):
        with World() as world:
            world.shape(**line)
            world.start()
            world.finish()
            print(f"  {line}: {house.Result(world.coordinator).done['seconds']:.1f} s")
    several_at_once(try_line, matrix())


def packets_out_of_order_do_no_harm():
    with World() as world:
        world.shape(loss=1, delay=100, jitter=30, rate=10000, reorder=1)
        world.start()
        world.finish()


def a_chunk_may_take_longer_than_any_heartbeat():
    with World(nodes=1, hidden=160, rounds=1) as world:
        world.shape(delay=300, rate=50)
        world.start()
        world.finish()


def cut_for_half_a_minute(case):
    """One of two nodes, in the middle of a transfer; it goes on by itself, and nothing is started anew."""
    during, direction = case
    with World(hidden=2600, rounds=2, train=100) as world:
        world.shape(delay=20, rate=20000)
        world.start()
        world.network.cut_after(1, during, 4000000)
        world.network.wait_said("cut", 1)
        world.network.heal(1)
        world.network.cut(1, direction, 30000)
        world.network.wait_said("healed", 1)
        world.finish(given_up=during == "down")  # a node that neither speaks nor sends is gone after 15 s, and comes back
    print(f"  while bytes went {during}, nothing passed {direction}")


def a_cut_of_thirty_seconds_is_survived_whatever_it_hits():
    several_at_once(cut_for_half_a_minute, [(during, direction) for during in ("down", "up") for direction in ("both", "up", "down")])


def a_node_that_moves_to_another_address_goes_on():
    with World(hidden=2600, rounds=2, train=100) as world:
        world.shape(delay=20, rate=20000)
        world.start()
        world.network.cut_after(1, "up", 4000000)
        world.network.wait_said("cut", 1)
        world.network.move(1, "10.77.9.9")
        world.network.heal(1)
        world.finish()


def a_coordinator_that_moves_is_found_by_its_name():
    """Its old address is nobody's now, so that nodes learn of it by silence alone."""
    with World(host="coordinator.test") as world:
        hosts = world.scene.dir / "hosts"
        hosts.write_text(f"{world.network.addresses[0]} coordinator.test\n")
        world.shape(delay=300, loss=1, rate=1000)
        world.start(before=["unshare", "--mount", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh"])
        world.network.cut_after(1, "down", 100000)
        world.network.wait_said("cut", 1)
        world.network.move(0, "10.77.8.8")
        hosts.write_text("10.77.8.8 coordinator.test\n")
        world.network.heal(1)
        world.finish(given_up=2)


SHORT = (a_run_over_long_lossy_lines_ends_in_the_same_model, a_transfer_goes_on_with_the_chunks_that_are_missing)
ALL = (*SHORT, any_line_brings_the_same_model, packets_out_of_order_do_no_harm, a_chunk_may_take_longer_than_any_heartbeat,
       a_cut_of_thirty_seconds_is_survived_whatever_it_hits, a_node_that_moves_to_another_address_goes_on,
       a_coordinator_that_moves_is_found_by_its_name)
if LONG:
    house.PATIENCE = max(house.PATIENCE, 900)  # the worst lines of the matrix take minutes for a run
main(*(ALL if LONG else SHORT))
