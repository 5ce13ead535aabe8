"""What the page is made of: every value that is told over HTTP is the run directory's, while the run goes on and afterwards; the
description of the API describes all of it and nothing else; the stream tells what happens; who comes through a proxy bears a
token."""
import contextlib
import http.client
import json
import re
import shutil
import signal
import socket
import sqlite3
import urllib.error
import urllib.request

import house
from house import check

FOR_EVER = 1000000000
AT_ONE_TIME = 200  # rows of the stream, as its description says
FIRST = 4999  # rounds that are asked for one by one, of a run that may be at any number by now
COLUMNS = ("round", "accuracy", "loss", "seconds", "train_seconds", "bytes_down", "bytes_up", "clients", "weight")
SELECT = ("SELECT round, accuracy, loss, seconds, train_seconds, bytes_down, bytes_up, clients, weight FROM rounds"
          " LEFT JOIN evaluations USING (round) ORDER BY round")


class Page:
    """Somebody who looks at the page of a run."""

    def __init__(self, url):
        self.url = url

    def ask(self, path, **headers):
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path.lstrip("/"), headers=headers),
                                        timeout=house.PATIENCE) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def json(self, path):
        status, _, body = self.ask(path)
        check(status == 200, f"{path}: {status} {body[:200]}")
        return json.loads(body)


class Rows:
    """The run directory, read by somebody who knows SQL alone."""

    def __init__(self, run):
        self.database = sqlite3.connect(f"file:{run}/run.db?mode=ro", uri=True)

    def all(self, statement):
        return self.database.execute(statement).fetchall()


@contextlib.contextmanager
def run_with_a_page(rounds=FOR_EVER, least=5):
    """A simulation at work and its page, after some rounds."""
    with house.Scene(train=1000, test=100) as scene:
        task = scene.task(hidden=0, clients=7, algorithm={"rounds": rounds, "fraction": 0.6}, server={"http": "127.0.0.1:0"},
                          partition={"kind": "dirichlet", "alpha": 0.5})
        process = scene.simulate(task, "run", nodes=2)
        url = process.wait_event("page")["url"]
        process.wait(lambda: any(e["event"] == "round" and e["round"] >= least for e in process.events()), "some rounds")
        yield scene, process, Page(url), task


@contextlib.contextmanager
def shown(scene, run, *arguments):
    process = scene.start("fedavg", "show", run, *arguments)
    yield Page(process.wait(lambda: process.out and process.out[0], "its URL")), process
    process.signal(signal.SIGINT)
    process.wait_exit(0)


def kill(scene, process):
    """Returns when nobody of the run does anything any more."""
    started = house.children(process.pid, "")
    process.signal(signal.SIGKILL)
    process.wait_exit(-signal.SIGKILL)
    scene.until(lambda: not any(map(house.at_work, started)))


def stop_and_wait(scene, process):
    """Nothing of the run is at work any more."""
    process.signal(signal.SIGTERM)
    process.wait_exit(10)
    scene.until(lambda: not house.children(None, str(scene.dir)))


# -- values --------------------------------------------------------------------------------------------------------------


def same(one, other):
    return one == other or (one is not None and other is not None and abs(one - other) <= 1e-12 * max(abs(one), abs(other)))


def rounds_are_those_of(page, run):
    told = page.json(f"/api/v1/rounds?points=5000&from=0&to={FIRST}")
    last = told["to"]
    rows = [row for row in Rows(run).all(SELECT) if row[0] <= last]
    check(told["columns"]["round"] == [row[0] for row in rows], f"rounds {told['columns']['round'][-5:]} of {last}")
    settled = len(rows) - (last < FIRST)  # the newest may be evaluated between the two looks
    for i, name in enumerate(COLUMNS):
        column = told["columns"][name]
        check(len(column) == len(rows) and all(same(one, row[i]) for one, row in zip(column[:settled], rows)), f"column {name}")
    seconds = bytes_ = 0
    for i, row in enumerate(rows):
        seconds, bytes_ = seconds + row[3], bytes_ + row[5] + row[6]
        check(same(told["columns"]["seconds_total"][i], seconds) and told["columns"]["bytes_total"][i] == bytes_,
              f"totals of round {row[0]}")
    check(set(told["columns"]["rolled_back"]) == {0}, "nothing was taken back here")
    return told


def nodes_are_those_of(page, run):
    told = page.json("/api/v1/nodes")
    counted = told["counted_to_round"]
    rows = Rows(run).all(f"SELECT node, count(DISTINCT round), max(round) FROM updates WHERE round <= {counted} GROUP BY node")
    served = [node for node in told["nodes"] if node["rounds_served"] > 0]
    check({node["name"]: (node["rounds_served"], node["last_round"]) for node in served} ==
          {name: (rounds, last) for name, rounds, last in rows}, f"{told['nodes']}, stored: {rows}")
    for node in served:
        weight = Rows(run).all(f"SELECT sum(weight) FROM updates WHERE node = '{node['name']}' AND round = {node['last_round']}")
        check(node["examples"] == weight[0][0], f"{node}: {weight}")


def every_value_is_the_stores_while_the_run_goes_on():
    with run_with_a_page() as (scene, process, page, task):
        run = scene.dir / "run"
        scene.until(lambda: all(node["rounds_served"] > 0 for node in page.json("/api/v1/nodes")["nodes"]))
        rounds_are_those_of(page, run)
        nodes_are_those_of(page, run)
        status = page.json("/api/v1/status")
        rows = {row[0]: row for row in Rows(run).all(SELECT)}
        check(status["live"]["nodes"] == 2 and status["live"]["nodes_online"] == 2, f"{status['live']}")
        check(status["live"]["picked"] == 4 and status["live"]["quorum"] == 4, f"{status['live']}")
        for recent in status["recent"][:-1]:
            check(same(recent["loss"], rows[recent["round"]][2]), f"{recent}")
        for node in page.json("/api/v1/nodes")["nodes"]:
            check(node["online"] and node["clients"] == 7 and node["last_seen_s"] >= 0 and node["seconds_per_update"] > 0, node)
        few = page.json("/api/v1/rounds?points=3")["columns"]["round"]
        check(len(few) == 3 and few[0] == 0 and few == sorted(few), f"{few}")
        part = page.json("/api/v1/rounds?from=2&to=4")
        check(part["columns"]["round"] == [2, 3, 4] and (part["from"], part["to"]) == (2, 4), f"{part}")
        events = page.json("/api/v1/events")["events"]
        check({"committed", "joined"} <= {event["kind"] for event in events}, f"{events}")
        check([e["at"] for e in events] == sorted((e["at"] for e in events), reverse=True), "events are newest first")
        said = json.loads(scene.command("partition", task, "--json"))
        told = page.json("/api/v1/partition")
        check(told["counts"] == [client["labels"] for client in said["shown"]] and told["total_clients"] == 7, f"{told}, {said}")
        stop_and_wait(scene, process)


def a_killed_run_is_shown_as_it_was_told():
    with run_with_a_page() as (scene, process, page, _):
        before = page.json(f"/api/v1/rounds?points=5000&from=0&to={FIRST}")
        kill(scene, process)
        run = scene.dir / "run"
        with shown(scene, run) as (directory, _):
            told = rounds_are_those_of(directory, run)
            nodes_are_those_of(directory, run)
            settled = len(before["columns"]["round"]) - 1
            for name, column in before["columns"].items():
                check(told["columns"][name][:settled] == column[:settled], f"{name}: {column}, then {told['columns'][name]}")
            status = directory.json("/api/v1/status")
            check({"event": "status", **status} == json.loads(scene.command("status", run, "--json")), f"{status}")
            check(status["live"] is None and directory.ask("/readyz")[0] == 200, "a directory has no loop")
            check(directory.ask("/api/v1/rounds.csv")[2].decode() == scene.command("status", run, "--csv") + "\n", "another CSV")
            newest = run / f"model-{status['round']}.safetensors"
            check(directory.ask("/api/v1/model")[2] == newest.read_bytes(), "another model")
            check(len(directory.json("/api/v1/events")["events"]) >= 5, "no events from the directory")


def a_directory_that_changes_is_followed():
    with run_with_a_page(rounds=12) as (scene, process, _, task):
        process.wait_exit(0)
        run = scene.dir / "run"
        with shown(scene, run, "--json") as (_, other):
            page = Page(json.loads(other.out[0])["url"])
            check(page.json("/api/v1/rounds")["last"] == 12, "not the last round")
            with stream(page) as events:
                again = scene.simulate(task, "run", "--set", "algorithm.rounds=16")
                again.wait_exit(0)
                seen = set()
                while 16 not in seen:
                    kind, data = next(events)
                    seen |= {data["round"]} if kind == "round" else set()
            check(page.json("/api/v1/rounds")["last"] == 16, "it still tells of the old rounds")
            rounds_are_those_of(page, run)
            shutil.rmtree(run)  # and what is gone is said, not made up
            check(page.ask("/api/v1/status")[0] in (404, 500) and page.ask("/healthz")[0] == 200, "a run that is gone")


# -- the stream ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def stream(page):
    """An iterator over (event, data); lines that say nothing are left out."""
    connection = http.client.HTTPConnection(page.url.split("/")[2], timeout=house.PATIENCE)
    connection.request("GET", "/api/v1/stream")
    answer = connection.getresponse()
    check(answer.status == 200 and answer.headers["Content-Type"] == "text/event-stream", f"{answer.status}")

    def messages():
        kind = None
        for line in answer:
            word, _, rest = line.decode().rstrip("\n").partition(": ")
            if word == "event":
                kind = rest
            elif word == "data":
                yield kind, json.loads(rest)

    yield messages()
    connection.close()


def gaps(told, before):
    """Where in what was told rounds are missing; a round is told again when its evaluation is known."""
    for i, number in enumerate(told):
        if number not in (before, before + 1):
            yield i
        before = number


def the_stream_tells_every_round_with_its_evaluation():
    with run_with_a_page() as (scene, process, page, _):
        with stream(page) as events:
            kind, first = next(events)
            check(kind == "status" and first["live"] is not None, f"first comes {kind}")
            start, told, rows, kinds = first["round"], [], {}, set()
            while (len(rows) < 8 or not {"status", "round", "event"} <= kinds or
                   any(i + AT_ONE_TIME > len(told) for i in gaps(told, start))):  # a fast run's newest: all of them are awaited
                kind, data = next(events)
                kinds.add(kind)
                if kind == "round":
                    told.append(data["round"])
                    rows[data["round"]] = data
        left_out = list(gaps(told, start))
        check(all(j - i >= AT_ONE_TIME for i, j in zip(left_out, left_out[1:])), f"from {start} on, told: {told}")
        for i in left_out:
            first, last = (told[i - 1] if i > 0 else start) + 1, told[i] - 1
            asked = page.json(f"/api/v1/rounds?points=5000&from={first}&to={last}")["columns"]["round"]
            check(first <= last and asked == list(range(first, last + 1)), f"{first} to {last} are not told, asked for: {asked}")
        stored = {row[0]: row for row in Rows(scene.dir / "run").all(SELECT)}
        for number in sorted(rows)[:-1]:
            check(all(same(rows[number][name], stored[number][i]) for i, name in enumerate(COLUMNS)), f"{rows[number]}")
        stop_and_wait(scene, process)


def sixteen_may_read_the_stream_and_the_page_goes_on():
    with run_with_a_page(least=1) as (scene, process, page, _):
        with contextlib.ExitStack() as readers:
            for _ in range(16):
                next(readers.enter_context(stream(page)))
            check(page.ask("/api/v1/stream")[0] == 503, "a seventeenth reads it")
            check(page.ask("/healthz")[0] == 200, "nobody else is answered")
        scene.until(lambda: page.ask("/healthz")[0] == 200 and streams_again(page))  # who is gone leaves his place
        stop_and_wait(scene, process)


def streams_again(page):
    with contextlib.suppress(house.Failed):
        with stream(page) as events:
            return next(events)[0] == "status"
    return False


# -- its description -----------------------------------------------------------------------------------------------------

TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool,
         "null": type(None)}


def mismatch(value, schema, schemas, path=""):
    """Why the value is not what the schema says, keys of one and not of the other included; None: it is."""
    if "$ref" in schema:
        return mismatch(value, schemas[schema["$ref"].rpartition("/")[2]], schemas, path)
    if "oneOf" in schema:
        found = [mismatch(value, one, schemas, path) for one in schema["oneOf"]]
        return None if None in found else " and ".join(found)
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not any(isinstance(value, TYPES[kind]) and isinstance(value, bool) <= (kind == "boolean") for kind in kinds):
        return f"{path} is {value!r}, not {kinds}"
    if value is None:
        return None
    if "enum" in schema and value not in schema["enum"] or "pattern" in schema and not re.search(schema["pattern"], value):
        return f"{path} is {value!r}"
    if isinstance(value, dict):
        known = schema.get("properties", {})
        if "additionalProperties" not in schema and set(known) != set(value):
            return f"{path} has other keys than are described: {set(known) ^ set(value)}"
        return first(mismatch(item, known.get(key, schema.get("additionalProperties")), schemas, f"{path}.{key}")
                     for key, item in value.items())
    if isinstance(value, list):
        if len(value) > schema.get("maxItems", len(value)):
            return f"{path} has {len(value)} items"
        return first(mismatch(item, schema["items"], schemas, f"{path}[]") for item in value)
    return None


def first(found):
    return next((why for why in found if why is not None), None)


def answers_are_what_the_description_says(page, paths, schemas, present):
    for path, methods in paths.items():
        described = methods["get"]["responses"]
        if path == "/api/v1/stream":
            continue
        status, headers, body = page.ask(path)
        check(str(status) in described, f"{path}: {status} is not described")
        content = described[str(status)]["content"]
        kind = headers["Content-Type"].split(";")[0]
        check(kind in content, f"{path}: {kind} is not described")
        if kind == "application/json" and "$ref" in content[kind]["schema"]:
            why = mismatch(json.loads(body), content[kind]["schema"], schemas, path)
            check(why is None, f"{why}")
            present.add(content[kind]["schema"]["$ref"].rpartition("/")[2])


def the_description_describes_all_of_it_and_nothing_else():
    with run_with_a_page() as (scene, process, page, _):
        description = page.json("/api/v1/openapi.json")
        schemas, present = description["components"]["schemas"], set()
        source = (house.ROOT / "coordinator" / "http" / "http_api.c").read_text()
        routes = set(re.findall(r'\{"(/[^"]*)", (?:answer|fed)_', source)) | {"/"}
        check(routes == set(description["paths"]), f"served and not described, or not served: {routes ^ set(description['paths'])}")
        answers_are_what_the_description_says(page, description["paths"], schemas, present)
        with stream(page) as events:
            told = {}
            while not {"status", "round", "event"} <= set(told):
                kind, data = next(events)
                told[kind] = data
        for kind, name in (("status", "Status"), ("round", "Row"), ("event", "Event")):
            why = mismatch(told[kind], {"$ref": name}, schemas, kind)
            check(why is None, f"{why}")
            present.add(name)
        status, _, body = page.ask("/api/v1/rounds?points=1")
        check(status == 400 and mismatch(json.loads(body), {"$ref": "Error"}, schemas) is None, f"{body}")
        check(present | {"Error", "Node"} == set(schemas), f"described and never told: {set(schemas) - present}")
        for path, methods in description["paths"].items():
            for parameter in methods["get"].get("parameters", []):
                worst = {"integer": "x", "string": "\x7f\"'"}[parameter["schema"]["type"]]
                status = page.ask(f"{path}?{parameter['name']}={urllib.request.quote(worst)}")[0]
                wrong = "enum" in parameter["schema"] or parameter["schema"]["type"] == "integer"
                check(status == (400 if wrong else 200), f"{path}: {parameter['name']}={worst!r}: {status}")
        stop_and_wait(scene, process)
        with shown(scene, scene.dir / "run") as (directory, _):
            answers_are_what_the_description_says(directory, description["paths"], schemas, present)


# -- who may read --------------------------------------------------------------------------------------------------------


class Socket(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=house.PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


def ask_socket(path, **headers):
    connection = Socket(path)
    connection.request("GET", "/healthz", headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def behind_a_proxy_the_token_opens():
    with house.Scene(train=200, test=50) as scene:
        path, token = scene.dir / "page.sock", scene.dir / "token"
        token.write_text("0123456789abcdef0123456789abcdef\n")
        token.chmod(0o640)
        task = scene.task(hidden=0, clients=2, algorithm={"rounds": FOR_EVER},
                          server={"http": f"unix:{path}", "http_hosts": ["fl.example.org"], "http_token": str(token)})
        refused = scene.simulate(task, "run")
        refused.wait_exit(7)
        check(refused.said("chmod 600"), f"{refused}")
        token.chmod(0o600)
        process = scene.simulate(task, "run")
        check(process.wait_event("page")["url"] == f"unix:{path}", "another URL")
        check(path.stat().st_mode & 0o777 == 0o600, "others may use the socket")
        https, right = {"Host": "fl.example.org", "X-Forwarded-Proto": "https"}, {"Authorization": f"Bearer {token.read_text().strip()}"}
        for headers, wanted in (({}, 200), ({"Host": "evil.example"}, 403), (https, 401), ({**https, **right}, 200),
                                ({**https, "Authorization": "Bearer 0123456789abcdef0123456789abcdeX"}, 401),
                                ({"Host": "fl.example.org", **right}, 403), (right, 403), ({"X-Forwarded-For": "10.0.0.1"}, 403)):
            status, body = ask_socket(path, **headers)
            check(status == wanted, f"{headers}: {status} {body}")
            check(token.read_text().strip().encode() not in body, "the token is told")
        kill(scene, process)
        check(path.exists(), "a process that was killed cannot have removed its socket")
        again = scene.simulate(task, "run")
        again.wait_event("page")
        check(ask_socket(path)[0] == 200, "the socket of the dead one is in the way")
        stop_and_wait(scene, again)
        check(not path.exists(), "its socket is left behind")
        check(not any("0123456789abcdef0123" in line for process in scene.processes for line in process.log + process.out), "the token is logged")


house.main(every_value_is_the_stores_while_the_run_goes_on, a_killed_run_is_shown_as_it_was_told,
           a_directory_that_changes_is_followed, the_stream_tells_every_round_with_its_evaluation,
           the_description_describes_all_of_it_and_nothing_else,
           behind_a_proxy_the_token_opens, *([sixteen_may_read_the_stream_and_the_page_goes_on] if house.LONG else []))
