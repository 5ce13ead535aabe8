"""deploy/container: the images are built from the file as it stands, hold no more than they should, and three containers of them
complete a run; its models are those of the same programs outside.

By `deploy/test --cluster`, as root. buildah builds and runs them (chroot isolation: a folder and a user of their own, the
network of this machine); Debian's base image is made by mmdebstrap and kept, like layers, in build/container. Read-only roots,
dropped capabilities and the health check's clock are a container engine's, and are not tried here."""
import atexit
import json
import os
import pathlib
import shutil
import subprocess

import house
from house import check

HERE = house.ROOT / "deploy" / "container"
CACHE = pathlib.Path(os.environ.get("FEDAVG_CONTAINER_CACHE", house.ROOT / "build" / "container"))
BASE = "localhost/fedavg-base:12"
TARGETS = ("client", "coordinator")
USER = 10001
MOST_BYTES = {"client": 6 << 20, "coordinator": 48 << 20}
os.environ["STORAGE_DRIVER"] = "vfs"


def buildah(*words, **options):
    done = subprocess.run(["buildah", "--root", CACHE / "store", "--runroot", CACHE / "run", *words], capture_output=True,
                          text=True, check=False, **options)
    if done.returncode != 0:
        raise house.Failed(f"buildah {' '.join(map(str, words))}: {done.stderr[-3000:]}")
    return done.stdout.strip()


def mirrors():
    """Where this machine has Debian from, as lines of sources.list."""
    said = subprocess.run(["apt-get", "indextargets", "--format", "deb $(REPO_URI) $(CODENAME) $(COMPONENT)",
                           "Created-By: Packages"], capture_output=True, text=True, check=False).stdout.splitlines()
    return sorted({line for line in said if " bookworm" in line and line.endswith(" main")})


def find_base():
    missing = [name for name in ("buildah", "mmdebstrap") if not shutil.which(name)]
    if missing or os.geteuid() != 0:
        house.skip(f"containers: {'no ' + ', '.join(missing) if missing else 'wants root'}; as root: apt-get install buildah mmdebstrap")
    CACHE.mkdir(parents=True, exist_ok=True)
    atexit.register(buildah, "rm", "--all")  # working containers of claims that failed too
    if BASE in buildah("images", "--format", "{{.Name}}:{{.Tag}}").splitlines():
        return
    base = CACHE / "base.tar"
    if not base.exists():
        made = subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates", "bookworm", base,
                               *mirrors()], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            base.unlink(missing_ok=True)
            house.skip(f"containers: no Debian bookworm can be had here: {made.stderr.strip().splitlines()[-1:]}")
    container = buildah("from", "scratch")
    buildah("add", container, base, "/")
    buildah("commit", "--rm", container, BASE)


def build(target):
    page = "ON" if (house.ROOT / "page" / "node_modules" / "uplot").exists() else "OFF"
    buildah("bud", "--layers", "--pull-never", "--isolation=chroot", "--format=docker", f"--build-arg=BASE={BASE}",
            f"--build-arg=PAGE_REQUIRED={page}", f"--target={target}", f"--tag=localhost/fedavg-{target}",
            f"--ignorefile={house.ROOT / '.dockerignore'}", f"--file={HERE / 'Dockerfile'}", house.ROOT)


def config_of(target):
    return json.loads(buildah("inspect", "--type=image", f"localhost/fedavg-{target}"))["Docker"]["config"]


class Container:
    """A working container of an image: its entry point, or another program of it, as the image's user."""

    def __init__(self, target, volumes=()):
        self.config = config_of(target)
        self.name = buildah("from", "--pull-never", "--ulimit=nofile=1024:8192", f"localhost/fedavg-{target}")
        self.volumes = [f"--volume={source}:{where}" for source, where in volumes]

    def command(self, *words):
        return ["buildah", "--root", CACHE / "store", "--runroot", CACHE / "run", "run", "--isolation=chroot", *self.volumes,
                self.name, "--", *words]

    def entry(self, *more):
        return self.command(*self.config["Entrypoint"], *self.config["Cmd"], *more)

    def remove(self):
        buildah("rm", self.name)


def start(scene, words):
    process = house.Process([str(word) for word in words])
    scene.processes.append(process)
    return process


def settings(values):
    return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]


def the_images_hold_the_programs_and_little_else():
    for target in TARGETS:
        build(target)
        config, container = config_of(target), Container(target)
        check(config["User"] == f"{USER}:{USER}", f"{target} runs as {config['User']}")
        check(config["Entrypoint"][0].startswith("/usr/bin/fedavg-"), f"{target}: {config['Entrypoint']}")
        root = pathlib.Path(buildah("mount", container.name))
        files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
        size = sum(path.stat().st_size for path in files)
        print(f"  {target}: {size / 1e6:.1f} MB in {len(files)} files")
        check(size < MOST_BYTES[target], f"{target}: {size} bytes")
        check(not any((root / name).exists() for name in ("bin/sh", "usr/bin/sh", "usr/bin/dpkg", "bin/busybox")),
              f"{target} has a shell or a package manager")
        check(not [path for path in files if path.stat().st_mode & 0o6000], f"{target}: programs with another's rights")
        papers = (root / "usr/share/doc/fedavg/packages.txt").read_text().split("\n")
        check(any(line.startswith("libzmq") for line in papers) and any(line.startswith("libc6") for line in papers),
              f"{target}: {papers}")
        check((root / "var/lib/fedavg").stat().st_uid == USER, f"{target}: what lasts cannot be written")
        buildah("umount", container.name)
        container.remove()


def three_containers_complete_a_run_with_the_models_of_the_same_programs_outside():
    with house.Scene(train=10, test=10) as scene:
        place = scene.dir / "deploy" / "container"
        for path in (place.parent / "tasks", place):
            path.mkdir(parents=True)
        for name in ("wards-train.csv", "wards-test.csv"):
            shutil.copy(HERE.parent / "tasks" / name, place.parent / "tasks")
        for name in ("make-sample", "task.yaml"):
            shutil.copy(HERE / name, place)
        scene.dir.chmod(0o755)
        subprocess.run([place / "make-sample"], check=True, env={**os.environ, "FEDAVG": str(house.BIN / "fedavg")},
                       stdout=subprocess.DEVNULL)
        sample, results = place / "sample", {}
        inside = {name: Container("coordinator" if name == "coordinator" else "client",
                                  [(sample / name / "etc", "/etc/fedavg:ro"), (sample / name / last, "/var/lib/fedavg:rw")])
                  for name, last in (("coordinator", "run"), ("ward-a", "state"), ("ward-b", "state"))}
        for where in ("containers", "outside"):
            control, bulk, http = house.free_ports(3)
            ours = settings({"server.control": f"tcp://127.0.0.1:{control}", "server.bulk": f"tcp://127.0.0.1:{bulk}",
                             "server.http": f"127.0.0.1:{http}"})
            theirs = settings({"coordinator": f"tcp://127.0.0.1:{control}"})
            if where == "containers":
                coordinator = start(scene, inside["coordinator"].entry(*ours, "--json"))
            else:
                subprocess.run(["chown", "-R", "root:root", sample], check=True)
                coordinator = scene.start("fedavg-coordinator", sample / "coordinator/etc/task.yaml", "--run-dir",
                                          scene.dir / "outside", "--allow-root", "--json", *ours)
            coordinator.wait_event("start")
            coordinator.wait_log("http listening")
            if where == "containers":
                test = [word.replace("5680", str(http)) for word in inside["coordinator"].config["Healthcheck"]["Test"]]
                check(test[0] == "CMD", f"the health check wants a shell: {test}")
                start(scene, inside["coordinator"].command(*test[1:])).wait_exit(0)
                nodes = [start(scene, inside[name].entry(*theirs)) for name in ("ward-a", "ward-b")]
            else:
                nodes = [scene.start("fedavg-client", sample / name / "etc/client.yaml", "--allow-root", *theirs, *settings(
                    {"state_dir": scene.dir / f"state-{name}"})) for name in ("ward-a", "ward-b")]
            coordinator.wait_exit(0)
            results[where] = house.Result(coordinator).models
            if where == "containers":
                start(scene, inside["coordinator"].command(*test[1:])).wait_exit(6)
                for name, node in zip(("ward-a", "ward-b"), nodes):
                    sent = sample / name / "state" / "sent.log"
                    check(sent.exists() and sent.stat().st_uid == USER, f"{name}: no record of its own user: {node} {coordinator}")
            for node in nodes:
                node.stop()
        check(results["containers"] == results["outside"] and len(results["outside"]) == 40, f"the models differ: {results}")
        for container in inside.values():
            container.remove()


def compose_says_what_docker_compose_understands():
    if not shutil.which("docker-compose"):
        house.not_tried("compose_says_what_docker_compose_understands: no docker-compose; as root: apt-get install docker-compose")
        return
    done = subprocess.run(["docker-compose", "-f", HERE / "compose.yaml", "config"], capture_output=True, text=True, check=False,
                          env={**os.environ, "FEDAVG_USER": "10001:10001"})
    check(done.returncode == 0, done.stderr)
    for word in ("target: coordinator", "target: client", "read_only: true", "no-new-privileges:true", "service_healthy", "hard: 524288"):
        check(word in done.stdout, f"{word} is not in {done.stdout}")


find_base()
house.main(the_images_hold_the_programs_and_little_else,
           three_containers_complete_a_run_with_the_models_of_the_same_programs_outside,
           compose_says_what_docker_compose_understands)
