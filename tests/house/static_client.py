"""The client as one static file (deploy/edge), for this processor or, under an emulator, for 64-bit ARM: it needs nothing of
the machine it runs on, and trains the same bits as the client that is linked as usual.

FEDAVG_STATIC_CLIENT names the file, FEDAVG_EMULATOR the program that runs it where this processor cannot. FEDAVG_BIN holds
the programs of this machine."""
import os
import pathlib
import shutil
import struct

import house
from house import check

CLIENT = pathlib.Path(os.environ.get("FEDAVG_STATIC_CLIENT", "nowhere")).resolve()
EMULATOR = os.environ.get("FEDAVG_EMULATOR", "")
PT_INTERP, PT_DYNAMIC, DT_NEEDED = 3, 2, 1
ET_DYN = 3


def find_programs():
    if not CLIENT.is_file():
        house.skip(f"static_client: no {CLIENT}; `deploy/edge` makes it")
    if EMULATOR and not shutil.which(EMULATOR):
        house.skip(f"static_client: {EMULATOR} is not installed (Debian: qemu-user-static)")
    if not (house.BIN / "fedavg-coordinator").is_file():
        house.skip(f"static_client: no programs of this machine in {house.BIN}; `deploy/build` makes them")


def scene_task(scene, **algorithm):
    return scene.task(clients=6, algorithm={"rounds": 3, "fraction": 1, **algorithm})


def run(scene, task, name, static):
    """Two nodes over TCP, the static client on those named; returns what the coordinator said, and the nodes."""
    control, bulk = house.free_ports(2)
    where = (f"tcp://localhost:{control}", f"tcp://127.0.0.1:{control}", f"tcp://127.0.0.1:{bulk}")
    daemons = house.Daemons(scene, task, [(0, 3, 1), (3, 3, 1)], name=name, where=where)
    coordinator = daemons.coordinator(f"run-{name}")
    coordinator.wait_event("start")
    nodes = [daemons.node(i, program=CLIENT, before=[EMULATOR] if EMULATOR else []) if i in static else daemons.node(i)
             for i in (0, 1)]
    coordinator.wait_exit(0)
    return house.Result(coordinator), nodes


def segments(image):
    """Type, offset and size of each program header of a 64-bit ELF file."""
    table, = struct.unpack_from("<Q", image, 32)
    size, count = struct.unpack_from("<HH", image, 54)
    for at in range(table, table + size * count, size):
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", image, at)
        yield kind, offset, length


def it_needs_no_library_and_its_addresses_are_random():
    image = CLIENT.read_bytes()
    check(image[:4] == b"\x7fELF" and struct.unpack_from("<H", image, 16)[0] == ET_DYN, "not position-independent")
    found = {kind: (offset, length) for kind, offset, length in segments(image)}
    check(PT_INTERP not in found, "it asks for a loader")
    offset, length = found[PT_DYNAMIC]
    tags = [struct.unpack_from("<Q", image, at)[0] for at in range(offset, offset + length, 16)]
    check(DT_NEEDED not in tags, "it asks for libraries")


def it_trains_the_same_bits_alone_and_beside_a_client_of_this_machine():
    with house.Scene(train=600, test=200) as scene:
        task = scene_task(scene)
        usual, _ = run(scene, task, "usual", static=())
        for name, static in (("mixed", (1,)), ("static", (0, 1))):
            other, nodes = run(scene, task, name, static)
            check(other.models == usual.models, f"{name}: {other.models}, not {usual.models}")
            for i in static:
                sent = (scene.dir / name / f"state-{i}" / "sent.log").read_text()
                check(len(sent.splitlines()) >= 3, f"node {i} says that it sent: {sent}")
        print(f"  {len(usual.models)} models, the last {usual.done['model']}, from {EMULATOR or 'this processor'} too")


def it_says_that_it_has_no_openblas_and_trains_in_exact_arithmetic():
    with house.Scene(train=600, test=200) as scene:
        exact, _ = run(scene, scene_task(scene), "exact", static=())
        blas, nodes = run(scene, scene_task(scene, math="blas"), "blas", static=(0, 1))
        check(blas.models == exact.models, "the models are not those of exact arithmetic")
        for node in nodes:
            node.wait_log("trains in exact arithmetic")
            node.wait_log("one static file")


def the_file_in_the_archive_needs_only_its_own_lines_changed():
    with house.Scene(train=10, test=10) as scene:
        wards = house.ROOT / "deploy" / "tasks"
        rows = [line.split(",", 1) for line in (wards / "wards-train.csv").read_text().splitlines()]
        (scene.dir / "data.csv").write_text("".join(f"{rest}\n" for ward, rest in rows if ward in ("ward", "A")))
        shutil.copy(house.ROOT / "deploy" / "edge-files" / "client.yaml", scene.dir)
        control, bulk = house.free_ports(2)
        line = scene.command("keygen", "coordinator", "--dir", scene.dir)
        scene.command("roster", "add", "ward-7", scene.command("keygen", "ward-7", "--dir", scene.dir), "--clients", "7",
                      "--file", scene.dir / "roster")
        settings = {"data.train": "null", "data.partition": "null", "data.group": "null", "data.test": "null",
                    "algorithm.rounds": 3, "server.control": f"tcp://127.0.0.1:{control}", "server.bulk":
                    f"tcp://127.0.0.1:{bulk}", "server.key": scene.dir / "coordinator.key", "server.roster": scene.dir / "roster"}
        coordinator = scene.start("fedavg-coordinator", wards / "wards.yaml", "--run-dir", scene.dir / "run", "--allow-root",
                                  "--json", *(word for key, value in settings.items() for word in ("--set", f"{key}={value}")))
        coordinator.wait_event("start")
        node = scene.start(CLIENT, scene.dir / "client.yaml", "--allow-root", "--set", f"coordinator=tcp://localhost:{control}",
                           "--set", f"coordinator_key={line}", "--set", f"data.train={scene.dir / 'data.csv'}",
                           before=[EMULATOR] if EMULATOR else [])
        coordinator.wait_exit(0)
        check(house.Result(coordinator).done["rounds"] == 3, f"{coordinator} {node}")
        check((scene.dir / "state" / "sent.log").exists(), "no record of what was sent")


find_programs()
house.main(it_needs_no_library_and_its_addresses_are_random,
           it_trains_the_same_bits_alone_and_beside_a_client_of_this_machine,
           it_says_that_it_has_no_openblas_and_trains_in_exact_arithmetic,
           the_file_in_the_archive_needs_only_its_own_lines_changed)
