"""`fedavg init` leads a newcomer to a run: through the questions on a terminal to a simulation, and without any question to a
coordinator and two clients on tables of their own."""
import json
import os
import pty
import random
import select
import signal
import socket

import house
from house import check

PORTS_APART = (0, 1, 80)  # control, bulk, page


def patients(path, n, seed):
    """Rows of two columns and a word that depends on them."""
    draw = random.Random(seed)
    rows = [(draw.gauss(0, 1), draw.gauss(0, 1)) for _ in range(n)]
    path.write_text("age,pulse,outcome\n" + "".join(f"{a:.3f},{b:.3f},{'ill' if a + b > 0 else 'well'}\n" for a, b in rows))
    return path


class Terminal:
    """`fedavg` on a terminal: what it shows, and what is typed."""

    def __init__(self, scene, *arguments):
        self.shown = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            house.LIBC.prctl(house.PR_SET_PDEATHSIG, signal.SIGKILL)
            os.chdir(scene.dir)
            os.execv(house.BIN / "fedavg", ["fedavg", *map(str, arguments)])

    def read(self):
        """More of what is shown; False at the end."""
        if not select.select([self.fd], [], [], house.PATIENCE)[0]:
            raise house.Failed(f"nothing more than {self.shown!r}")
        try:
            more = os.read(self.fd, 65536)
        except OSError:
            more = b""
        self.shown += more.decode()
        return bool(more)

    def wait(self, text):
        while text not in self.shown:
            if not self.read():
                raise house.Failed(f'ended without "{text}": {self.shown!r}')

    def answer(self, question, text):
        """Waits until this is asked; what stood before is forgotten."""
        self.wait(question)
        before, _, self.shown = self.shown.partition(question)
        self.wait("]: ")
        proposal = self.shown[:self.shown.index("]: ")].rpartition("[")[2]
        self.shown = ""
        os.write(self.fd, (text + "\n").encode())
        return proposal, before

    def end(self):
        while self.read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def the_questions_lead_to_a_simulation():
    with house.Scene(train=10, test=10) as scene:
        patients(scene.dir / "patients-train.csv", 300, 1)
        patients(scene.dir / "patients-test.csv", 100, 2)
        terminal = Terminal(scene, "init", "trial")
        check(terminal.answer("real nodes?", "nonsense")[0] == "simulation", "no simulation proposed")
        check("expected simulation or nodes" in terminal.answer("real nodes?", "")[1], "nonsense was taken")
        terminal.answer("Training data", "nowhere.csv")
        check("nowhere.csv: No such file" in terminal.answer("Training data", "  ")[1], "nowhere was taken")
        check("names no file" in terminal.answer("Training data", "patients-train.csv")[1], "blanks were taken")
        check(terminal.answer("column to be learnt", "")[0] == "outcome", "another label was proposed")
        check(terminal.answer("whose a row is", "")[0] == "none", "a group was proposed")
        check(terminal.answer("Test data", "")[0].endswith("patients-test.csv"), "the test data was not proposed")
        check(terminal.answer("hidden layers", "16")[0] == "32", "another model was proposed")
        check(terminal.answer("How many clients", "3")[0] == "10", "another number of clients was proposed")
        terminal.answer("How many rounds", "4")
        check(terminal.answer("What the task is called", "")[0] == "trial", "another name was proposed")
        check(terminal.end() == 0, f"it failed: {terminal.shown}")
        check("fedavg simulate trial/task.yaml" in terminal.shown, f"it does not say what is next: {terminal.shown}")
        run = scene.result(scene.dir / "trial" / "task.yaml", "run")
        check(run.first["clients"] == 3 and len(run.rounds) == 4, f"{run.process.out}")
        check(run.done["accuracy"] > 0.8, f"it learns nothing: {run.done}")


def it_can_be_given_up():
    with house.Scene(train=10, test=10) as scene:
        terminal = Terminal(scene, "init", "trial")
        terminal.wait("]: ")
        os.write(terminal.fd, b"\x04")
        check(terminal.end() == 10, f"{terminal.shown}")
        check("nothing was written" in terminal.shown and not (scene.dir / "trial").exists(), f"{terminal.shown}")


def three_ports():
    """A first port from which on all that a task takes are free; they are kept from others."""
    for _ in range(100):
        first = house.free_port()
        held = []
        try:
            for offset in PORTS_APART[1:]:
                held.append(socket.socket())
                held[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                held[-1].bind(("127.0.0.1", first + offset))
        except (OSError, OverflowError):
            continue
        house.HELD.extend(held)
        return first
    raise house.Failed("no three ports are free")


def a_coordinator_and_two_clients_work_at_once():
    with house.Scene(train=10, test=10) as scene:
        tables = [patients(scene.dir / f"{name}.csv", 120, i) for i, name in enumerate(("north", "south", "held-out"))]
        process = scene.start("fedavg", "init", scene.dir / "wards", "--defaults", "--json", "--kind", "nodes", "--data", tables[0],
                              "--data", tables[1], "--test", tables[2], "--rounds", 3, "--port", three_ports())
        process.wait_exit(0)
        made = json.loads(process.out[0])
        check(made["classes"] == 2 and made["features"] == 2 and len(made["files"]) == 7, f"{made}")
        folder = scene.dir / "wards"
        for key in folder.glob("**/*.key"):
            check(key.stat().st_mode & 0o777 == 0o600, f"{key} is open to others")
        scene.command("doctor", folder / "task.yaml")
        coordinator = scene.start("fedavg-coordinator", folder / "task.yaml", "--run-dir", folder / "run", "--allow-root", "--json")
        nodes = [scene.start("fedavg-client", folder / f"node-{i}" / "client.yaml", "--allow-root") for i in (1, 2)]
        coordinator.wait_exit(0)
        done = coordinator.events()[-1]
        check(done["rounds"] == 3 and done["accuracy"] > 0.8, f"{done}: {nodes[0]}")
        again = scene.start("fedavg", "init", folder, "--defaults", "--kind", "nodes", "--data", tables[0])
        again.wait_exit(2)
        check(again.said("exists already, and nothing is overwritten"), f"{again}")


def what_is_missing_is_named():
    with house.Scene(train=10, test=10) as scene:
        table = patients(scene.dir / "a.csv", 30, 1)
        holes = scene.dir / "holes.csv"
        holes.write_text("x,y\n1,0\n,1\n")
        whole = scene.dir / "whole.csv"
        whole.write_text("x,y\n1,0\n2,1\n")
        typo = scene.dir / "typo.csv"
        rows = table.read_text().splitlines()
        rows[6] = "sixty," + rows[6].partition(",")[2]
        typo.write_text("\n".join(rows) + "\n")
        same, lines = scene.dir / "same.csv", scene.dir / "lines.csv"
        same.write_text("x,y\n1,well\n2,well\n")
        lines.write_text('x,y\n1,"a\nb"\n2,c\n')
        for arguments, code, text in (
                ([], 2, "there is no terminal to ask on"),
                (["--defaults"], 2, "--data: is needed: Training data"),
                (["--defaults", "--data", "nowhere"], 3, "--data: nowhere: No such file"),
                (["--defaults", "--data", "no where"], 3, "--data: no where: No such file"),
                (["--defaults", "--data", "", "--data", ""], 2, "--data: names no file"),
                (["--defaults", "--data", holes], 3, "holes.csv: column 1 (x) has 1 empty cell; every cell"),
                (["--defaults", "--kind", "nodes", "--data", whole, "--data", holes], 3, "holes.csv: column 1 (x) has 1 empty cell"),
                (["--defaults", "--data", whole, "--test", holes], 3, "holes.csv: column 1 (x) has 1 empty cell"),
                (["--defaults", "--data", typo], 3, 'typo.csv:7: column 1 (age): found "sixty", expected a number'),
                (["--defaults", "--data", same], 3, "all examples have the same label"),
                (["--defaults", "--data", lines], 3, "column y: is it the label?"),
                (["--defaults", "--data", same, "--label", "2", "--group", "y"], 2, "column y is the label already"),
                (["--defaults", "--data", table, "--name", "a", "--name", "b"], 2, "--name: given twice"),
                (["--defaults", "--data", table, "--label", "nonsense"], 2, "--label: "),
                (["--defaults", "--data", table, "--labels", table], 2, "--labels goes not with these data"),
                (["--defaults", "--data", table, "--model", "resnet"], 2, "--model: found \"resnet\""),
                (["--defaults", "--data", table, "--clients", "0"], 2, "--clients: found \"0\""),
                (["--defaults", "--data", table, "--data", table], 2, "a simulation splits one file")):
            process = scene.start("fedavg", "init", scene.dir / "trial", *arguments)
            process.wait_exit(code)
            check(process.said(text), f'no "{text}" in {process}')
            check(not (scene.dir / "trial").exists(), f"{process} wrote something")


def images_become_the_papers_model():
    with house.Scene(train=300, test=100) as scene:
        files = scene.files("train")
        scene.command("init", scene.dir / "digits", "--defaults", "--data", files["images"], "--rounds", 1, "--clients", 3)
        text = (scene.dir / "digits" / "task.yaml").read_text()
        check("preset: mnist_2nn" in text and files["labels"] in text, f"{text}")
        check(scene.result(scene.dir / "digits" / "task.yaml", "run").done["rounds"] == 1, "it does not run")


house.main(the_questions_lead_to_a_simulation, it_can_be_given_up, a_coordinator_and_two_clients_work_at_once,
           what_is_missing_is_named, images_become_the_papers_model)
