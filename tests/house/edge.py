"""A node is small: it can live beside its data on a small machine."""
import re
import shutil
import subprocess

import house
import wards
from house import check, main

BESIDE_ITS_DATA = 20 << 20
EXAMPLES = 600
ROUNDS = 5


def sanitized(program):
    """A build that watches its own memory needs more of it than it measures."""
    return re.search(rb"__(asan|tsan|msan)_init", program.read_bytes()) is not None


def peak_bytes(process):
    with open(f"/proc/{process.pid}/status") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmHWM:"))


def a_node_trains_in_twenty_megabytes_beside_its_data():
    with wards.Scene(preset="mnist_2nn", rounds=1000000000) as scene:
        for client in range(2):
            scene.add_node(f"ward-{client}", client, EXAMPLES, zipped=client == 1)
        coordinator = scene.coordinator()
        nodes = [scene.node(f"ward-{client}") for client in range(2)]
        wards.wait_round(coordinator, lambda event: event["round"] >= ROUNDS)
        data = EXAMPLES * (wards.IMAGE_BYTES + 1)
        for node, kind in zip(nodes, ("plain", "zipped")):
            peak = peak_bytes(node)
            print(f"  {kind} data: peak {peak / 1e6:.1f} MB, of which data {data / 1e6:.2f} MB")
            if not sanitized(house.BIN / "fedavg-client"):
                check(peak - data < BESIDE_ITS_DATA, f"{peak} bytes at the peak, {data} of them data")


def a_node_brings_no_database_and_no_web_server():
    program = house.BIN / "fedavg-client"
    if shutil.which("ldd") is None:
        return
    libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    check("libzmq" in libraries, f"not a list of libraries: {libraries}")
    for word in ("sqlite", "microhttpd", "curl", "ssl"):
        check(word not in libraries, f"{word} in {libraries}")


main(a_node_trains_in_twenty_megabytes_beside_its_data, a_node_brings_no_database_and_no_web_server)
