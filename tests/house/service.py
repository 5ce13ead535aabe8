"""What the daemons tell the service manager that started them (sd_notify): readiness, what they are at, signs of life."""
import contextlib
import os
import pathlib
import re
import signal
import socket
import threading
import time

import house
import wards
from house import check, main

WATCHDOG_US = 400_000  # signs of life are due four times as often, or with every turn of the loop
LONGEST_TURN_S = 1.0   # of a loop that has nothing to do
ENDLESS = 1_000_000_000


class Manager:
    """The manager's end: a datagram socket, and all that was said there, line by line. It is read at once, as a manager does:
    few messages fit into the socket, and what does not fit is lost."""

    def __init__(self, folder, name):
        self.path = folder / f"{name}.notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.lines, self.changed = [], threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def env(self):
        return {"NOTIFY_SOCKET": str(self.path), "WATCHDOG_USEC": str(WATCHDOG_US)}

    def _read(self):
        while True:
            lines = self.socket.recv(4096).decode().splitlines()
            with self.changed:
                self.lines += lines
                self.changed.notify_all()

    def drain(self):
        """Returns when all that was said until now is in the lines."""
        mark = f"X-MARK={time.monotonic_ns()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(mark.encode(), str(self.path))
        return self.wait(f"^{mark}$")

    def wait(self, pattern, since=0):
        """The index behind the first line from `since` on that matches."""
        end = time.monotonic() + house.PATIENCE
        with self.changed:
            while True:
                for i, line in enumerate(self.lines[since:], since):
                    if re.search(pattern, line):
                        return i + 1
                left = end - time.monotonic()
                check(left > 0, f"/{pattern}/ was never told, but: {self.lines[-20:]}")
                self.changed.wait(left)


@contextlib.contextmanager
def scene(**options):
    with wards.Scene(**options) as s:
        s.add_node("ward-0", 0, 40)
        s.server, s.edge = Manager(s.dir, "coordinator"), Manager(s.dir, "node")
        yield s


def wait_stopped(process):
    """The kernel has taken it off its processors."""
    end = time.monotonic() + house.PATIENCE
    while pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        check(time.monotonic() < end, "SIGSTOP did not stop it")


def the_coordinator_is_ready_when_nodes_can_connect():
    with scene(rounds=ENDLESS) as s:
        coordinator = s.coordinator(env=s.server.env())
        s.server.wait("^READY=1$")
        for port in (s.control, s.bulk):
            socket.create_connection(("127.0.0.1", port), house.PATIENCE).close()
        s.server.wait("^STATUS=round 1 of 1000000000, waits for 1 more client")
        s.node("ward-0")
        s.server.wait(r"^STATUS=round ([2-9]|\d{2,}) of 1000000000, ")
        wards.stop(coordinator, 10)
        stopped = s.server.wait("^STOPPING=1$")
        s.server.wait("^STATUS=stopped in round [0-9]+; start the same command again", stopped)


def a_reload_begins_and_ends():
    with scene() as s:
        coordinator = s.coordinator(env=s.server.env())
        since = s.server.wait("^READY=1$")
        coordinator.signal(signal.SIGHUP)
        since = s.server.wait("^RELOADING=1$", since)
        check(int(s.server.lines[since].partition("MONOTONIC_USEC=")[2]) > 0, f"when it began: {s.server.lines[since]}")
        since = s.server.wait("^READY=1$", since)
        s.roster.write_text("schema: 1\nnodes: [mistake]\n")
        wards.wait_said(coordinator, "error roster not reloaded")
        since = s.server.wait("^READY=1$", since)
        coordinator.signal(signal.SIGHUP)
        s.server.wait("^READY=1$", s.server.wait("^RELOADING=1$", since))


def a_node_tells_what_it_is_at():
    with scene(rounds=ENDLESS) as s:
        node = s.node("ward-0", env=s.edge.env())
        since = s.edge.wait("^READY=1$")  # though there is no coordinator
        since = s.edge.wait("^STATUS=connecting to tcp://127.0.0.1:[0-9]+$", since)
        coordinator = s.coordinator()
        since = s.edge.wait("^STATUS=(round [0-9]+, attempt [0-9]+, .* of 1 clients trained|welcomed by .*)$", since)
        wards.stop(node, 0)
        s.edge.wait("^STOPPING=1$", since)
        wards.stop(coordinator, 10)


def a_loop_that_stands_still_gives_no_sign_of_life():
    with scene(rounds=ENDLESS) as s:
        managers, processes = (s.server, s.edge), (s.coordinator(env=s.server.env()), s.node("ward-0", env=s.edge.env()))
        for manager, process in zip(managers, processes):
            manager.wait("^WATCHDOG=1$", manager.wait("^WATCHDOG=1$"))
            process.signal(signal.SIGSTOP)
            wait_stopped(process)
        before = [manager.drain() for manager in managers]
        time.sleep(1.5 * LONGEST_TURN_S)  # what is tested is this time itself
        for manager, since in zip(managers, before):
            last = manager.drain()
            check(last == since + 1, f"a process that was stopped gives a sign of life: {manager.lines[since:]}")
        for manager, process in zip(managers, processes):
            since = manager.drain()
            process.signal(signal.SIGCONT)
            manager.wait("^WATCHDOG=1$", since)


def why_a_start_failed_is_told():
    with scene() as s:
        os.chmod(s.dir / "coordinator.key", 0o644)
        s.coordinator(env=s.server.env()).wait_exit(7)
        s.server.wait(r"^STATUS=.*coordinator\.key: others may use this key file")
        check("READY=1" not in s.server.lines, "ready, without a key")


def a_run_that_was_over_is_no_failure():
    with scene(rounds=1) as s:
        s.node("ward-0")
        s.coordinator().wait_exit(0)
        s.coordinator(env=s.server.env()).wait_exit(0)
        s.server.wait("^STATUS=the run was finished before, in round 1$", s.server.wait("^READY=1$"))


main(the_coordinator_is_ready_when_nodes_can_connect, a_reload_begins_and_ends, a_node_tells_what_it_is_at,
     a_loop_that_stands_still_gives_no_sign_of_life, why_a_start_failed_is_told, a_run_that_was_over_is_no_failure)
