"""A coordinator and its nodes, each in a network namespace of its own, with bad links between them (tests/faults/link.c).

Needs root and TUN devices; where they are not to be had, the test that asks for a lab is skipped with a sentence."""
import os
import subprocess
import threading
import time

import house
from house import check

LINK = os.environ.get("FEDAVG_LINK")


class Network:
    """The link process: namespaces for hosts 0 (the coordinator) to n, and what may happen between them."""

    def __init__(self, nodes, seed=1):
        if LINK is None or not os.path.exists(LINK):
            house.skip("no tests/faults/link was built")
        self.child = subprocess.Popen([LINK, str(seed), str(nodes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.paths, self.addresses, self.said = {}, {}, []
        self.changed = threading.Condition()
        self.answers = []
        for line in self.child.stdout:
            words = line.split()
            if words[0] == "ready":
                break
            self.paths[int(words[1])], self.addresses[int(words[1])] = words[2], words[3]
        else:
            if self.child.wait() == house.SKIPPED:
                house.skip("this machine lets nobody make network namespaces with TUN devices")
            raise house.Failed(f"{LINK} did not start")
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.child.stdout:
            words = line.split()
            with self.changed:
                (self.said if words[0] in ("cut", "healed", "passed") else self.answers).append(words)
                self.changed.notify_all()

    def _wait(self, holds, what):
        end = time.monotonic() + house.PATIENCE
        with self.changed:
            while not holds():
                left = end - time.monotonic()
                check(left > 0 and self.child.poll() is None, f"waited in vain for the link: {what}")
                self.changed.wait(left)

    def tell(self, *words):
        """One command; what it answered before its ok."""
        with self.changed:
            self.answers.clear()
        self.child.stdin.write(" ".join(map(str, words)) + "\n")
        self.child.stdin.flush()
        self._wait(lambda: self.answers and self.answers[-1][0] in ("ok", "error"), words)
        check(self.answers[-1] == ["ok"], f"{words}: {self.answers[-1]}")
        return self.answers[:-1]

    def shape(self, node, direction="both", **values):
        self.tell("set", node, direction, *[word for pair in values.items() for word in pair])

    def cut(self, node, direction="both", ms=0):
        self.tell("cut", node, direction, ms)

    def cut_after(self, node, direction, n_bytes):
        self.tell("cut-after", node, direction, n_bytes)

    def heal(self, node, direction="both"):
        self.tell("heal", node, direction)

    def forget(self, node):
        """Every connection of the node that stands is answered with a reset from now on."""
        self.tell("forget", node)

    def move(self, host, address):
        self.tell("address", host, address)

    def wait_said(self, what, node, count=1):
        self._wait(lambda: self.said.count([what, str(node)]) >= count, f"{what} {node}")

    def time_passed(self, node, direction, n_bytes):
        """Seconds on the link's clock when so many more bytes have arrived."""
        self.tell("mark-after", node, direction, n_bytes)
        self._wait(lambda: self.said and self.said[-1][0] == "passed", f"{n_bytes} bytes {direction}")
        return int(self.said.pop()[2]) / 1e6

    def carried(self, node):
        """Bytes that have arrived at the other end, by direction."""
        words = self.tell("count", node)[0]
        return {"up": int(words[4]), "down": int(words[10])}

    def inside(self, host):
        """The words before a command that is to run in that host's network."""
        return ["nsenter", f"--net={self.paths[host]}"]

    def close(self):
        self.child.stdin.close()
        self.child.wait()
        self.reader.join(house.PATIENCE)
        self.child.stdout.close()


class Lab(house.Daemons):
    """Daemons over TCP, the coordinator on host 0 and node i on host i + 1."""

    def __init__(self, scene, task, nodes, sums=False, name="lab", seed=1, host=None):
        """host: the name under which nodes look for the coordinator; its address where None."""
        self.network = Network(len(nodes), seed)
        super().__init__(scene, task, nodes, sums=sums, name=name,
                         where=(f"tcp://{host or self.network.addresses[0]}:5600", "tcp://*:5600", "tcp://*:5601"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.scene.processes:
            process.stop()
        self.network.close()

    def coordinator(self, run, *arguments, **options):
        return super().coordinator(run, *arguments, before=self.network.inside(0), **options)

    def node(self, i, *arguments, before=(), **options):
        return super().node(i, *arguments, before=[*self.network.inside(i + 1), *before], **options)
