"""What Prometheus reads: promtool finds nothing to complain about, a real Prometheus scrapes it, alerts and dashboard ask for
nothing that does not exist, and the numbers are those of the run."""
import json
import re
import shutil
import signal
import subprocess
import urllib.parse
import urllib.request

import house
from house import check

FOR_EVER = 1000000000
DEPLOY = house.ROOT / "deploy"
NEEDS = ("promtool", "prometheus")  # of Debian's package prometheus


def get(url):
    with urllib.request.urlopen(url, timeout=house.PATIENCE) as answer:
        return answer.read().decode()


def tool(*arguments, text=None, cwd=None):
    done = subprocess.run(["promtool", *map(str, arguments)], input=text, text=True, capture_output=True, timeout=house.PATIENCE,
                          cwd=cwd)
    return done.returncode, (done.stdout + done.stderr).strip()


def run_with_a_page(scene, rounds=FOR_EVER):
    task = scene.task(hidden=0, clients=4, algorithm={"rounds": rounds}, server={"http": "127.0.0.1:0"})
    process = scene.simulate(task, "run")
    url = process.wait_event("page")["url"]
    process.wait(lambda: any(e["event"] == "round" and e["round"] >= 3 for e in process.events()), "some rounds")
    return process, url


def parse(text):
    """{(name, labels): value}; every name has its HELP and TYPE once, in front of it."""
    values, types, helps = {}, {}, {}
    for line in text.splitlines():
        if line.startswith("# "):
            what, name, rest = line[2:].split(" ", 2)
            known = {"HELP": helps, "TYPE": types}[what]
            check(name not in known, f"{what} of {name} twice")
            known[name] = rest
        else:
            name, labels, value = re.fullmatch(r"([a-z_]+)(\{.*\})? (\S+)", line).groups()
            check(name in types and name in helps, f"{name} without a word before it")
            check((types[name] == "counter") == name.endswith("_total"), f"{name} is a {types[name]}")
            values[name, labels or ""] = float(value)
    return values


def names_in(expression):
    return set(re.findall(r"\b(?:fedavg|process)_[a-z_]+\b", expression))


def numbers_are_those_of_the_run_and_well_formed():
    with house.Scene(train=400, test=50) as scene:
        process, url = run_with_a_page(scene)
        text = get(url + "metrics")
        check(tool("check", "metrics", text=text) == (0, ""), f"{tool('check', 'metrics', text=text)}")
        broken = tool("check", "metrics", text="# TYPE x_sum gauge\nx_sum 1\n")
        check(broken[0] != 0, "promtool finds nothing wrong with anything")
        values = parse(text)
        names = {name for name, _ in values}
        labels = {label for _, text in values for label in re.findall(r'([a-z_]+)="', text)}
        check(labels == {"version", "name", "run_id", "reason", "phase", "state"}, f"labels {labels}: each costs a series a value")
        check(sum(values[key] for key in values if key[0] == "fedavg_phase") == 1, "it is in one phase")
        reasons = re.findall(r"\bFED_REFUSAL_[A-Z_]+ = \d+|\bFED_REFUSAL_[A-Z]+,", (house.ROOT / "proto" / "wire.h").read_text())
        counters = [key for key in values if key[0] == "fedavg_refusals_total"]
        check(len(counters) == len(reasons), f"a counter a reason, of nobody by name: {counters}, {reasons}")
        process.signal(signal.SIGTERM)
        process.wait_exit(10)
        status = json.loads(scene.command("status", scene.dir / "run", "--json"))
        shown = scene.start("fedavg", "show", scene.dir / "run")
        text = get(shown.wait(lambda: shown.out and shown.out[0], "its URL") + "metrics")
        check(tool("check", "metrics", text=text) == (0, ""), f"{text}")
        after = parse(text)
        check(after["fedavg_rounds_committed_total", ""] == status["round"] >= values["fedavg_rounds_committed_total", ""], f"{status}")
        check(after["fedavg_accuracy_ratio", ""] == status["accuracy"] and after["fedavg_loss", ""] == status["loss"], f"{status}")
        rows = scene.command("status", scene.dir / "run", "--csv").splitlines()
        columns = [dict(zip(rows[0].split(","), row.split(","))) for row in rows[1:]]
        for name, column in (("sent_bytes", "bytes_down"), ("received_bytes", "bytes_up"), ("updates_admitted", "clients")):
            wanted = sum(float(row[column]) for row in columns)
            check(after[f"fedavg_{name}_total", ""] == wanted, f"{name}: {after[f'fedavg_{name}_total', '']}, not {wanted}")
        live = {"fedavg_attempt", "fedavg_phase", "fedavg_nodes_online", "fedavg_loop_age_seconds"}
        check(live <= names and not live & {name for name, _ in after}, "what only a coordinator at work knows")


def alerts_and_dashboard_ask_for_what_there_is():
    with house.Scene(train=400, test=50) as scene:
        process, url = run_with_a_page(scene)
        there = {name for name, _ in parse(get(url + "metrics"))} | {"fedavg_deadline_seconds"}  # which is not there at all times
        rules = DEPLOY / "prometheus"
        for verb, file in (("check", "fedavg.rules.yml"), ("test", "tests.yml")):
            code, said = tool(verb, "rules", file, cwd=rules)
            check(code == 0, said)
        check(tool("check", "config", "prometheus.yml", cwd=rules)[0] == 0, "prometheus.yml")
        text = (rules / "fedavg.rules.yml").read_text()
        tried = (rules / "tests.yml").read_text()
        for alert in re.findall(r"- alert: (\w+)", text):
            check(f'alertname="{alert}"' in tried or f"alertname: {alert}" in tried, f"{alert} is not tried")
        asked = set().union(*(names_in(expression) for expression in re.findall(r"expr: (.*)", text)))
        check(len(asked) > 10 and asked <= there, f"alerts ask for {asked - there}")
        board = json.loads((DEPLOY / "grafana" / "fedavg.json").read_text())
        asked = set().union(*(names_in(target["expr"]) for panel in board["panels"] for target in panel["targets"]))
        check(len(asked) > 20 and asked <= there, f"the dashboard asks for {asked - there}")
        check(len({panel["id"] for panel in board["panels"]}) == len(board["panels"]), "two panels of one id")
        process.signal(signal.SIGTERM)
        process.wait_exit(10)


def a_real_prometheus_scrapes_it():
    with house.Scene(train=400, test=50) as scene:
        process, url = run_with_a_page(scene)
        port, folder = house.free_port(), scene.dir / "prometheus"
        shutil.copytree(DEPLOY / "prometheus", folder)
        config = (folder / "prometheus.yml").read_text()
        check("127.0.0.1:5680" in config and "15s" in config, "the configuration has changed")
        (folder / "prometheus.yml").write_text(config.replace("127.0.0.1:5680", url.split("/")[2]).replace("15s", "200ms"))
        server = house.Process([shutil.which("prometheus"), f"--config.file={folder / 'prometheus.yml'}", "--log.level=warn",
                                f"--storage.tsdb.path={scene.dir / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"])
        scene.processes.append(server)

        def query(expression):
            try:
                answer = json.loads(get(f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(expression)}"))
            except OSError:
                return []  # it has not begun to listen
            check(answer["status"] == "success", f"{expression}: {answer}")
            return answer["data"]["result"]

        scene.until(lambda: [one["value"][1] for one in query('up{job="fedavg"}')] == ["1"])
        scene.until(lambda: sum(len(one["values"]) for one in query("fedavg_rounds_committed_total[10s]")) >= 3)
        rounds = [float(value) for _, value in query("fedavg_rounds_committed_total[10s]")[0]["values"]]
        check(rounds == sorted(rounds) and rounds[-1] >= 3, f"{rounds}")
        info = query("fedavg_run_info")[0]["metric"]
        status = json.loads(get(url + "api/v1/status"))
        check((info["name"], info["run_id"]) == (status["name"], status["run_id"]), f"{info}, {status}")
        board = json.loads((DEPLOY / "grafana" / "fedavg.json").read_text())
        for panel in board["panels"]:
            for target in panel["targets"]:
                query(target["expr"].replace("$instance", ".*"))
        check(query('count(ALERTS{alertstate="firing"})') == [], f"{query('ALERTS')}")
        process.signal(signal.SIGTERM)
        process.wait_exit(10)


missing = [name for name in NEEDS if shutil.which(name) is None]
if missing:
    house.skip(f"no {' and no '.join(missing)}: `deploy/install-deps --develop` brings Debian's package prometheus")
house.main(numbers_are_those_of_the_run_and_well_formed, alerts_and_dashboard_ask_for_what_there_is,
           *([a_real_prometheus_scrapes_it] if house.LONG else []))
