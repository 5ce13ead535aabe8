"""Where a run stands is told alike by the coordinator at work and by the directory it leaves."""
import contextlib
import json
import signal
import socket
import urllib.error
import urllib.request

import house
import wards
from house import check, main

FOR_EVER = 1000000000


class Watched(wards.Scene):
    """A coordinator at work with its status open on this machine."""

    def __init__(self):
        super().__init__(rounds=FOR_EVER, rejoin_s=1)
        self.http = house.free_port()
        self.url = f"http://127.0.0.1:{self.http}"
        self.task["server"]["http"] = f"127.0.0.1:{self.http}"
        self.add_node("ward-0", 0, 50)

    def status(self, where):
        return json.loads(self.command("status", where, "--json"))

    def get(self, path, method="GET"):
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, method=method)) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


def keys(value, path=""):
    """Every key of an object and of what it holds; the counters of refusals are named by what was refused, and of the attempt
    at hand only the coordinator at work can tell."""
    if isinstance(value, dict) and path not in (".refusals", ".live"):
        return {f"{path}.{key}" for key in value}.union(*(keys(item, f"{path}.{key}") for key, item in value.items()))
    if isinstance(value, list):
        return set().union(*(keys(item, f"{path}[]") for item in value))
    return set()


def the_directory_tells_what_the_coordinator_tells():
    with Watched() as scene:
        coordinator = scene.coordinator()
        node = scene.node("ward-0")
        wards.wait_round(coordinator, lambda event: event["round"] >= 3)
        since = wards.mark(coordinator)
        wards.stop(node)  # and the run stands still
        wards.wait_said(coordinator, "node left node=ward-0", since)
        wards.wait_said(coordinator, "info report waiting .*more client", since)
        scene.until(lambda: scene.status(scene.url)["live"]["waits_for"])  # the log is told first
        live, written = scene.status(scene.url), scene.status(scene.run_dir)
        check("waits for 1 more client to join" in (live["live"]["waits_for"] or ""), f"not why it stands still: {live['live']}")
        told = scene.command("status", scene.url)
        check("0 of 1 online" in told and "waits for" in told, f"a person is not told: {told}")
        check(keys(live) == keys(written), f"keys of one and not of the other: {keys(live) ^ keys(written)}")
        for key in ("name", "run_id", "round", "rounds", "model"):
            check(live[key] == written[key], f"{key}: {live[key]} and {written[key]}")
        check(len(live["recent"]) >= 3, f"not the last rounds: {live['recent']}")
        for one, other in list(zip(live["recent"], written["recent"]))[:-1]:  # the last may not be evaluated yet
            check(one == other, f"told otherwise: {one} and {other}")


def the_door_opens_on_status_and_health_and_on_nothing_else():
    with Watched() as scene:
        coordinator = scene.coordinator()
        wards.wait_said(coordinator, f"info http listening port={scene.http}")
        code, body = scene.get("/healthz")
        check((code, body) == (200, b"ok\n"), f"/healthz: {code} {body}")
        code, body = scene.get("/api/v1/status")
        check(code == 200 and json.loads(body)["state"] != "", f"/api/v1/status: {code} {body}")
        for path in ("/run.db", "/../task.yaml", "/api/v1/status/..", "//"):
            check(scene.get(path)[0] in (400, 403, 404), f"{path}: {scene.get(path)}")
        check(scene.get("/api/v1/status", "POST")[0] == 405, "it takes a POST")


def a_port_that_is_taken_is_named():
    with Watched() as scene:
        wards.wait_said(scene.coordinator(), "info http listening")
        second = scene.coordinator("--set", f"server.control=tcp://127.0.0.1:{house.free_port()}", "--set",
                                   f"server.bulk=tcp://127.0.0.1:{house.free_port()}", run_dir=scene.dir / "second")
        second.wait_exit(6)
        check(any(f"server.http: cannot listen on 127.0.0.1:{scene.http}: Address already in use" in line for line in second.log), f"the address is not named: {second}")


def a_coordinator_that_is_not_there_is_said_in_a_sentence():
    with Watched() as scene:
        for where, code in ((scene.url, 6), (scene.dir / "nowhere", 2), (scene.dir, 2)):
            asked = scene.start("fedavg", "status", where)
            asked.wait_exit(code)
            check(len(asked.log) == 1 and asked.out == [], f"not one sentence: {asked}")


def who_waits_is_told_what_for():
    with house.Scene(train=10, test=10) as scene, contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        asked = scene.start("fedavg", "status", url, "--json")
        silent, _ = server.accept()  # and says nothing, for longer than people like to wait
        asked.wait_log(f"asking {url}: 2 s")
        silent.close()
        asked.wait_exit(6)
        check(asked.out == [], f"stdout is for JSON alone: {asked.out}")


def another_server_is_not_healthy_and_says_nothing_to_the_terminal():
    with house.Scene(train=10, test=10) as scene, contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        for status, body in (("200 OK", b"\x1b[31mwelcome\n"), ("200 OK", b"ok\nand more\n"), ("503 No", b"\x1b[31mno\n")):
            asked = scene.start("fedavg", "status", url, "--live")
            with server.accept()[0] as connection:
                connection.recv(4096)
                connection.sendall(f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            asked.wait_exit(1 if status.startswith("503") else 6)
            check(asked.out == [] and not any("\x1b" in line for line in asked.log), f"{status}: {asked}")


def a_health_check_needs_no_program_but_ours():
    with Watched() as scene:
        coordinator = scene.coordinator()
        coordinator.wait_log("http listening")
        for question in ("--live", "--ready"):
            check(scene.command("status", scene.url, question) == "ok", f"{question}: not ok")
            scene.start("fedavg", "status", scene.run_dir, question).wait_exit(2)
        coordinator.signal(signal.SIGSTOP)  # the port is open, but nobody answers
        hung = scene.start("fedavg", "status", scene.url, "--live")
        hung.wait_exit(6)
        coordinator.stop()
        for question in ("--live", "--ready"):
            scene.start("fedavg", "status", scene.url, question).wait_exit(6)


main(another_server_is_not_healthy_and_says_nothing_to_the_terminal, who_waits_is_told_what_for, the_directory_tells_what_the_coordinator_tells, the_door_opens_on_status_and_health_and_on_nothing_else,
     a_port_that_is_taken_is_named, a_coordinator_that_is_not_there_is_said_in_a_sentence,
     a_health_check_needs_no_program_but_ours)
