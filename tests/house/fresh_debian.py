"""A fresh Debian 12 in a folder, with our packages beside it and a systemd of its own once it has booted (systemd-nspawn): what
the test of the packages is played in. FEDAVG_PACKAGES names the folder of the packages (deploy/package builds them)."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import house
from house import check

SUITE = "bookworm"
PACKAGES = pathlib.Path(os.environ.get("FEDAVG_PACKAGES", house.ROOT / "build" / "package"))
PROGRAMS = ("fedavg", "fedavg-coordinator", "fedavg-client")
NAMES = (*PROGRAMS, "libfedavg-client1", "libfedavg-client-dev")
NEWER = "9.0.0"
STATE = "/var/lib/fedavg/coordinator"


def mirrors():
    """Where this machine has Debian 12 from, as lines of sources.list; nothing where it is another system."""
    lines = subprocess.run(["apt-get", "indextargets", "--format", "deb $(REPO_URI) $(CODENAME) $(COMPONENT)",
                            "Created-By: Packages"], capture_output=True, text=True, check=False).stdout.splitlines()
    return sorted({line for line in lines if re.search(rf" {SUITE}(-security|-updates)? main$", line)})


class Machine:
    """A folder with a Debian in it; a container with its own systemd once it has booted."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="fedavg-house-"))
        self.root, self.debs, self.newer = self.dir / "root", self.dir / "debs", self.dir / "newer"
        self.console = self.leader = None
        self.installed = False
        for folder in (self.debs, self.newer):
            folder.mkdir()
        for name in NAMES:
            shutil.copy(next(PACKAGES.glob(f"{name}_*.deb")), self.debs)

    def __enter__(self):
        made = subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "--skip=cleanup/apt", SUITE, self.root,
                               *mirrors()], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            shutil.rmtree(self.dir, ignore_errors=True)
            house.skip(f"no Debian {SUITE} can be had here: {made.stderr.strip().splitlines()[-1:]}")
        return self

    def __exit__(self, *_):
        if self.console is not None:
            self.console.kill()
            self.console.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def nspawn(self, *arguments):
        """A container has a filter of system calls of its own; what it forbids beyond ours is no matter of a real machine."""
        return ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", f"--directory={self.root}",
                "--system-call-filter=@memlock @resources", f"--bind-ro={self.debs}:/debs", f"--bind-ro={self.newer}:/newer", *arguments]

    def boot(self):
        """None, or why it does not."""
        self.console = subprocess.Popen(self.nspawn("--boot", "--private-network"), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.set_blocking(self.console.stdout.fileno(), False)
        end = time.monotonic() + house.PATIENCE
        while time.monotonic() < end and self.console.poll() is None:
            leaders = pathlib.Path(f"/proc/{self.console.pid}/task/{self.console.pid}/children").read_text().split()
            self.leader = leaders[0] if leaders else None
            if self.leader and self.ask("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"):
                return None
            time.sleep(0.2)
        said = (self.console.stdout.read() or b"").decode(errors="replace").strip().splitlines()
        self.leader = None
        return said[-1] if said else "it says nothing"

    def ask(self, *command, **options):
        """Runs a command in the container, or in the folder while none has booted."""
        before = self.nspawn("--pipe") if self.leader is None else ["nsenter", "--all", f"--target={self.leader}"]
        return subprocess.run([*before, "env", "DEBIAN_FRONTEND=noninteractive", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *command],
                              capture_output=True, text=True, check=False, **options)

    def run(self, *command, **options):
        """The same, for what must succeed; what it printed."""
        done = self.ask(*command, **options)
        told = self.journal()[-5:] if done.returncode != 0 and command[0] == "systemctl" else ""
        check(done.returncode == 0, f"{' '.join(command)}: exit status {done.returncode}: {done.stdout}{done.stderr}{told}")
        return done.stdout.strip()

    def as_user(self, *command, **options):
        return self.run("runuser", "-u", "fedavg", "--", *command, **options)

    def write(self, path, text):
        """A file of the service's user, as an editor run by that user leaves it."""
        self.as_user("sh", "-c", f"cat >{path}", input=text)

    def until(self, holds, what, patience=house.PATIENCE):
        end = time.monotonic() + patience
        while not (found := holds()):
            check(time.monotonic() < end, f"waited in vain for {what}: {self.journal()[-15:]}")
            time.sleep(0.2)
        return found

    # -- services --------------------------------------------------------------------------------------------------

    def show(self, unit):
        lines = self.run("systemctl", "show", unit).splitlines()
        return dict(line.partition("=")[::2] for line in lines)

    def wait_unit(self, unit, **wanted):
        def find():
            shown = self.show(unit)
            return shown if all(shown[key] == value for key, value in wanted.items()) else None
        return self.until(find, f"{unit} {wanted}")

    def journal(self, *units):
        """(priority, message) of each line that our programs wrote."""
        units = units or ("fedavg-*",)
        lines = self.ask("journalctl", "--output=json", *(f"--unit={unit}" for unit in units)).stdout.splitlines()
        entries = [json.loads(line) for line in lines]
        return [(int(e["PRIORITY"]), e["MESSAGE"]) for e in entries if e.get("_COMM", "").startswith("fedavg")]

    def process(self, unit):
        """/proc/PID/status and /proc/PID/limits of the unit's process."""
        pid = self.show(unit)["MainPID"]
        status = dict(line.partition(":")[::2] for line in self.run("cat", f"/proc/{pid}/status").splitlines())
        return {key: value.split() for key, value in status.items()}, self.run("cat", f"/proc/{pid}/limits")

    def status(self, name):
        return json.loads(self.run("fedavg", "status", f"{STATE}/{name}", "--json"))

    def round(self, name):
        done = self.ask("fedavg", "status", f"{STATE}/{name}", "--json")
        return json.loads(done.stdout)["round"] if done.returncode == 0 else -1


def make_newer(machine):
    """The same packages under a higher version."""
    for deb in machine.debs.iterdir():
        folder = machine.dir / deb.stem
        subprocess.run(["dpkg-deb", "--raw-extract", deb, folder], check=True)
        control = folder / "DEBIAN" / "control"
        text = re.sub(r"(?m)^Version: .*$", f"Version: {NEWER}", control.read_text())
        control.write_text(re.sub(r"\(= [^)]*\)", f"(= {NEWER})", text))
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", folder, machine.newer / deb.name], check=True,
                       stdout=subprocess.DEVNULL)
        shutil.rmtree(folder)


def skip_where_impossible():
    """Ends the test where this machine cannot make one."""
    if os.geteuid() != 0:
        house.skip("only root can make a Debian to install the packages in")
    for tool in ("mmdebstrap", "systemd-nspawn", "nsenter", "dpkg-deb"):
        if shutil.which(tool) is None:
            house.skip(f"there is no {tool} here (deploy/install-deps mmdebstrap systemd-container)")
    if not all(any(PACKAGES.glob(f"{name}_*.deb")) for name in NAMES):
        house.skip(f"there are no packages in {PACKAGES}; deploy/package builds them")
