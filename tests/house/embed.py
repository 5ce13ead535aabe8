"""libfedavg-client as another program meets it: installed, found by pkg-config, built against, and run with data of its own
(docs/examples/embed.c)."""
import functools
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import tempfile

import house
import wards
from house import check, main

BUILD = pathlib.Path(os.environ["FEDAVG_BUILD"])
CC = os.environ["FEDAVG_CC"]
SANITIZE = os.environ.get("FEDAVG_SANITIZE", "")
ROUNDS = 4
STACK = 256 << 10  # enough for the thread that calls, says the manual


def run(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)
    check(done.returncode == 0, f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Prefix:
    """The library installed somewhere, and what was built against it there."""

    def __init__(self, folder):
        self.dir = pathlib.Path(folder) / "prefix"
        for component in ("libfedavg-client1", "libfedavg-client-dev"):
            run(os.environ["FEDAVG_CMAKE"], "--install", BUILD, "--prefix", self.dir, "--component", component)
        found = list(self.dir.rglob("fedavg-client.pc"))
        check(len(found) == 1, f"installed for pkg-config: {found}")
        self.pkg_config = {**os.environ, "PKG_CONFIG_PATH": str(found[0].parent)}
        self.libraries = str(found[0].parent.parent)
        check(list(self.dir.rglob("libfedavg-client.so.1")), "the library has no name with its number")

    def env(self):
        return {"LD_LIBRARY_PATH": self.libraries}

    def build(self, source, out):
        flags = run("pkg-config", "--cflags", "--libs", "fedavg-client", env=self.pkg_config).split()
        check(any(self.libraries in flag or str(self.dir) in flag for flag in flags), f"pkg-config leads elsewhere: {flags}")
        sanitizer = [f"-fsanitize={SANITIZE}"] if SANITIZE else []
        run(CC, "-std=c17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *sanitizer, source, *flags, "-o", out)
        return out


class Scene(wards.Scene):
    """Two pumps and a coordinator that tests on the readings of a third."""

    prefix = program = None  # installed and built once for all claims

    def __init__(self, **rules):
        super().__init__(rounds=ROUNDS, **rules)
        for pump in range(3):
            text = run(self.program, "--csv", pump, env={**os.environ, **self.prefix.env()})
            (self.dir / f"pump-{pump}.csv").write_text(text)
        self.task["model"] = {"input": 3, "layers": [{"units": 8, "activation": "relu"}, {"units": 2}]}
        self.task["data"] = {"format": "csv", "test": str(self.dir / "pump-2.csv"), "label": "faulty"}
        for pump in range(2):
            self.public[f"pump-{pump}"] = self.keygen(f"pump-{pump}")
            self.enrol(f"pump-{pump}", pump)

    def settings(self, pump, data=True):
        settings = {"schema": 1, "coordinator": f"tcp://127.0.0.1:{self.control}",
                    "coordinator_key": self.public["coordinator"], "key": f"pump-{pump}.key", "clients": {"first": pump},
                    "state_dir": f"pump-{pump}.state"}
        if data:
            settings["data"] = {"format": "csv", "train": f"pump-{pump}.csv", "label": "faulty"}
        path = self.dir / f"pump-{pump}{'' if data else '-embedded'}.yaml"
        path.write_text(json.dumps(settings, indent=1))
        return path

    def ordinary(self, pump):
        return self.start("fedavg-client", self.settings(pump), "--allow-root")

    def embedded(self, pump):
        limits = [] if SANITIZE else [(resource.RLIMIT_STACK, STACK, STACK)]
        process = house.Process([self.program, self.settings(pump, data=False), pump], env=self.prefix.env(), limits=limits)
        self.processes.append(process)
        return process

    def other(self, mode, *pumps):
        """tests/house/embedded.c."""
        files = [word for pump in pumps for word in (self.settings(pump, data=False), self.dir / f"pump-{pump}.csv")]
        process = house.Process([os.environ["FEDAVG_EMBEDDED"], mode, *files])
        self.processes.append(process)
        return process

    def models(self, name, nodes):
        """Runs to the end and returns the models, round by round; the nodes stay."""
        coordinator = self.coordinator(run_dir=self.dir / name)
        nodes = nodes() if callable(nodes) else [start(pump) for pump, start in enumerate(nodes)]
        coordinator.wait_exit(0)
        return [event["model"] for event in coordinator.events() if event["event"] == "round"], nodes


def wait_out(process, pattern):
    return process.wait(lambda: next(filter(None, (re.search(pattern, line) for line in list(process.out))), None),
                        f"/{pattern}/ on its output")


def a_program_with_data_of_its_own_makes_the_same_model_as_two_ordinary_nodes():
    with Scene() as s:
        mixed, (node, program) = s.models("mixed", [s.ordinary, s.embedded])
        check(len(mixed) == ROUNDS, f"{len(mixed)} rounds")
        for number in range(1, ROUNDS + 1):
            told = wait_out(program, rf"^round {number} trained examples=400 loss=([0-9.]+) examples_per_second=[1-9]")
            check(float(told[1]) > 0, f"the loss of round {number}: {told[0]}")
            wait_out(program, rf"^round {number} admitted bytes=[1-9]")
        told = wait_out(program, rf"^finished round={ROUNDS} sent=([0-9]+) received=([0-9]+)$")
        check(min(int(told[1]), int(told[2])) > 1000, f"bytes: {told[0]}")
        program.wait_exit(0)
        states = [line for line in program.out if line.startswith("state ")]
        check("state 2" in states and "state 3" in states, f"it went through {states}")
        check(program.said("session welcomed") and not program.said("info session"), "log lines do not come by the callback")
        check(len(s.sent("pump-1")) == ROUNDS, f"sent.log: {s.sent('pump-1')}")
        wards.stop(node)

        check(mixed == ordinary_models(), f"models {mixed}, of two ordinary nodes {ordinary_models()}")


@functools.lru_cache
def ordinary_models():
    with Scene() as s:
        models, nodes = s.models("ordinary", [s.ordinary, s.ordinary])
        for node in nodes:
            wards.stop(node)
        return models


def two_clients_in_one_event_loop_on_an_odd_thread_make_the_same_model():
    with Scene() as s:
        models, (program,) = s.models("both", lambda: [s.other("both", 0, 1)])
        for name in "ab":
            wait_out(program, rf"^{name} ended round={ROUNDS - 1} attempt=[0-9]+ outcome=1$")
            wait_out(program, rf"^{name} finished rounding=1$")
        program.wait_exit(0)
        check(models == ordinary_models(), f"models {models}, of two ordinary nodes {ordinary_models()}")


def a_source_that_fails_once_costs_an_attempt_and_changes_nothing():
    with Scene() as s:
        models, (node, program) = s.models("stumbles", lambda: [s.ordinary(0), s.other("stumbles", 1)])
        wait_out(program, "^a declined round=2 clients=1 word=failed$")
        check(program.said("the application's data: reading 10 examples from"), f"{program}")
        wait_out(program, "^a ended round=2 attempt=[0-9]+ outcome=2$")
        wait_out(program, "^a finished")
        program.wait_exit(0)
        wards.stop(node)
        began, ended = ([line.split()[2:4] for line in program.out if line.startswith(f"a {word} ")] for word in ("begun", "ended"))
        check(began == ended and len(began) == ROUNDS + 1, f"attempts that began: {began}, and that ended: {ended}")
        check(models == ordinary_models(), f"models {models}, of two ordinary nodes {ordinary_models()}")


def a_label_that_the_task_does_not_know_ends_the_run_before_any_training():
    with Scene() as s:
        coordinator = s.coordinator()
        program = s.other("misfit", 1)
        program.wait_exit(13)
        check(program.said("the labels of the application's data: 2 found at example 5 (counted from 0), but the model has 2 "
                           "classes, 0 to 1"), f"{program}")
        check(not program.out, f"it is told {program.out}")
        coordinator.signal(signal.SIGTERM)
        coordinator.wait_exit(None)


def a_signal_stops_a_program_in_the_middle_of_its_run():
    with Scene() as s:
        program = s.embedded(1)
        coordinator = s.coordinator()
        wait_out(program, "^state 2")  # welcomed; the other pump is missing
        wards.stop(program)
        coordinator.signal(signal.SIGTERM)
        coordinator.wait_exit(None)


def a_refusal_has_its_name():
    with Scene() as s:
        s.edit_roster("remove", "pump-1")
        coordinator = s.coordinator()
        program = s.embedded(1)
        told = wait_out(program, "^round 0 refused ([a-z_]+) (.*)")
        check(told[1] == "not_enrolled" and "not on the coordinator's roster" in told[2], f"it is told {told[0]}")
        wards.stop(program)
        coordinator.signal(signal.SIGTERM)
        coordinator.wait_exit(None)


if any(shutil.which(word) is None for word in ("pkg-config", CC)):
    house.skip(f"embed: no pkg-config or no {CC} to build a program with")
with tempfile.TemporaryDirectory(prefix="fedavg-house-") as folder:
    Scene.prefix = Prefix(folder)
    Scene.program = Scene.prefix.build(next(Scene.prefix.dir.rglob("embed.c")), Scene.prefix.dir / "embed")
    main(a_program_with_data_of_its_own_makes_the_same_model_as_two_ordinary_nodes,
     two_clients_in_one_event_loop_on_an_odd_thread_make_the_same_model,
     a_source_that_fails_once_costs_an_attempt_and_changes_nothing,
     a_label_that_the_task_does_not_know_ends_the_run_before_any_training,
     a_refusal_has_its_name, *([a_signal_stops_a_program_in_the_middle_of_its_run] if house.LONG else []))
