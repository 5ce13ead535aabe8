"""Every command that README.md and the guides show is run as it stands there, each guide from its beginning to its end in a
directory of its own that looks like a fresh checkout with the programs installed.

In a guide, a block marked `sh` is typed and must succeed; `sh &` is typed into another terminal: it goes on when the program
says that it is ready, and the program is stopped at the end of the guide; `sh ended` is typed once the program of the first
other terminal has come to its end by itself. A block that is not marked shows what is seen, and may not hold a command of ours.
What a test cannot type stands below, with the reason."""
import fcntl
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile

import house

GUIDES = sorted([house.ROOT / "README.md", house.ROOT / "SECURITY.md", house.ROOT / "bench" / "README.md", *(house.ROOT / "docs").glob("*.md")])
OURS = re.compile(r"(?m)^\s*(\./)?(fedavg|deploy/|bench/|build/|systemctl|apt|cmake|ctest)")
NOT_TYPED = {  # first words of a line, and why
    "./deploy/demo": "trains for minutes; .ci/run and people run it",
    "./deploy/test": "is the suite that this test belongs to",
    "deploy/": "builds, fetches or packs; .ci/run does these",
    "./deploy/": "builds, fetches or packs; .ci/run does these",
    "cmake": "is what deploy/build does",
    "ctest": "is the suite that this test belongs to",
    "bench/": "measures for minutes on a machine that has nothing else to do",
    "build/": "measures or replays for minutes",
    "sudo": "changes the system; deploy/package --test does these in a system of its own",
    "scp": "needs another machine",
    "kubectl": "needs a cluster",
    "docker": "needs a container engine and images",
    "podman": "needs a container engine and images",
    "sbatch": "needs a cluster; tests/house/slurm.py makes one where Slurm is installed",
}
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--pdeathsig=KILL"] if os.geteuid() == 0 else []  # as the guides' readers are
SANITIZED = os.environ.get("FEDAVG_SANITIZE", "") != ""  # then a part of the data will do: all of MNIST takes minutes
BLOCK = re.compile(r"(?ms)^```([^\n]*)\n(.*?)^```$")


CLONE_NEWNET, SIOCSIFFLAGS, IFF_UP_RUNNING = 0x40000000, 0x8914, 0x41


def be_alone():
    """A network of its own, in which nobody holds the ports that the guides name; where nobody may make one, those of all."""
    if house.LIBC.unshare(CLONE_NEWNET) == 0:
        with socket.socket() as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP_RUNNING))


def reason_not_to_type(line):
    return next((why for words, why in NOT_TYPED.items() if line.startswith(words)), None)


def lay(path, place):
    """A checkout below a home that is closed to others, as root's is, is out of reach of the guides' readers: they get a copy."""
    if not NOBODY or all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents):
        place.symlink_to(path)
    else:
        shutil.copytree(path, place)


class Terminal:
    """A program that stays, and says by the service manager's protocol when it is ready."""

    def __init__(self, folder, block, env):
        path = str(folder / f"ready-{len(os.listdir(folder))}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
            notices.bind(path)
            os.chmod(path, 0o666)
            notices.settimeout(1)
            self.process = house.Process([*NOBODY, "bash", "-euc", f"exec {block.strip()}"], env={**env, "NOTIFY_SOCKET": path}, cwd=folder)
            for _ in range(house.PATIENCE):
                try:
                    if b"READY=1" in notices.recv(4096):
                        return
                except TimeoutError:
                    house.check(self.process.child.poll() is None, f"it ended: {self.process}")
        house.check(False, f"it is never ready: {self.process}")


class Desk:
    """Where a guide is followed."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fedavg-guide-"))
        self.terminals = []
        lay(house.ROOT / "docs", self.folder / "docs")
        lay(pathlib.Path(house.BIN), self.folder / ".programs")
        shutil.copytree(house.ROOT / "deploy" / "tasks", self.folder / "deploy" / "tasks")  # they look for ../../data
        (self.folder / "data").mkdir()
        self.lay_data(self.folder / "data" / "mnist")
        if NOBODY:
            os.chown(self.folder, 65534, 65534)
        self.env = {"PATH": f"{self.folder / '.programs'}:{os.environ['PATH']}", "HOME": str(self.folder), "TERM": "dumb"}

    @staticmethod
    def lay_data(folder):
        source = house.find_source()
        files = {stem: house.find_file(source, stem) for stem in house.stems()}
        if not SANITIZED and all(file.name == stem for stem, file in files.items()):
            lay(source, folder)
            return
        folder.mkdir()
        for stem, file in files.items():  # packed ones under the names that guides know
            train, test = (6000, 500) if SANITIZED else (60000, 10000)
            house.cut_idx(file, folder / stem, train if stem.startswith("train") else test)

    def type(self, block):
        done = subprocess.run([*NOBODY, "bash", "-euo", "pipefail", "-c", block], cwd=self.folder, env={**os.environ, **self.env}, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=2 * house.PATIENCE, check=False)
        house.check(done.returncode == 0, f"exit status {done.returncode}:\n{block}\n{done.stdout}")

    def leave(self):
        for terminal in reversed(self.terminals):
            if terminal.process.child.poll() is None:
                terminal.process.child.send_signal(signal.SIGTERM)
                terminal.process.child.wait(house.PATIENCE)
        shutil.rmtree(self.folder, ignore_errors=True)


def typed_lines(block):
    """The block without what cannot be typed here, which is told."""
    kept = []
    for line in block.splitlines():
        why = reason_not_to_type(line.strip())
        if why is None:
            kept.append(line)
    return "\n".join(kept)


def follow(guide):
    desk = Desk()
    try:
        for info, block in BLOCK.findall(guide.read_text()):
            words = shlex.split(info)
            if not words or words[0] != "sh":
                shown = [line for line in block.splitlines() if OURS.match(line) and reason_not_to_type(line.strip()) is None]
                house.check(not shown, f"a command that nobody runs: {shown}")
                continue
            text = typed_lines(block)
            if not text.strip():
                continue
            if words[1:] == ["&"]:
                desk.terminals.append(Terminal(desk.folder, text, desk.env))
                continue
            if words[1:] == ["ended"]:
                desk.terminals[0].process.wait_exit(0)
            desk.type(text)
    finally:
        desk.leave()


def claim(guide):
    def every_command_of_the_guide_succeeds():
        follow(guide)
    every_command_of_the_guide_succeeds.__name__ = f"every_command_of_{guide.relative_to(house.ROOT)}_succeeds"
    return every_command_of_the_guide_succeeds


if __name__ == "__main__":
    be_alone()
    house.main(*map(claim, GUIDES))
