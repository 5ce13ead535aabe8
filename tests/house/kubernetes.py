"""deploy/kubernetes: every manifest is what Kubernetes' published schemas know, unknown keys refused; names, paths, ports and
users agree with each other and with the images; the task, the client file and the probes in them are run.

By `deploy/test --cluster`. Wants node and the packages of tests/kubernetes (npm ci there). No cluster is at hand: what an API
server would add is not tried."""
import copy
import json
import os
import re
import shutil
import subprocess

import house
from house import check

HERE = house.ROOT / "deploy" / "kubernetes"
DOCKERFILE = (house.ROOT / "deploy" / "container" / "Dockerfile").read_text()
CHECKER = house.ROOT / "tests" / "kubernetes"
KINDS = {"Namespace", "ConfigMap", "StatefulSet", "Service", "PodDisruptionBudget", "NetworkPolicy", "Kustomization"}
FILES = sorted(HERE.glob("*.yaml"))
USER = 10001


def find_programs():
    if not shutil.which("node"):
        house.skip("kubernetes: no node; as root: apt-get install nodejs npm")
    if not (CHECKER / "node_modules" / "kubernetes-models").exists():
        house.skip("kubernetes: no schemas; in tests/kubernetes: npm ci")


def judge(*files):
    return subprocess.run(["node", CHECKER / "check.js", *files], capture_output=True, text=True, check=False)


def documents():
    done = judge(*FILES)
    check(done.returncode == 0, done.stderr)
    return json.loads(done.stdout)


def named(kind, name):
    return next(found for found in documents() if found["kind"] == kind and found["metadata"]["name"] == name)


def every_manifest_is_what_kubernetes_knows():
    kinds = {found["kind"] for found in documents()}
    check(kinds == KINDS, f"kinds {kinds}")
    listed = next(found for found in documents() if found["kind"] == "Kustomization")["resources"]
    check(sorted(listed) == sorted(path.name for path in FILES if path.name != "kustomization.yaml"), f"it lists {listed}")


def a_key_or_value_that_kubernetes_does_not_know_is_found():
    whole = named("StatefulSet", "fedavg-coordinator")

    def container(it):
        return it["spec"]["template"]["spec"]["containers"][0]
    mistakes = {
        "readOnlyRootFilesytem": lambda it: container(it)["securityContext"].update(readOnlyRootFilesytem=True),
        "livenesProbe": lambda it: container(it).update(livenesProbe={}),
        "/spec/replicas": lambda it: it["spec"].update(replicas="one"),
        "selector": lambda it: it["spec"].pop("selector"),
        "storge": lambda it: it["spec"]["volumeClaimTemplates"][0]["spec"].update(storge="10Gi"),
        "fsGroupChange": lambda it: it["spec"]["template"]["spec"]["securityContext"].update(fsGroupChange="Always"),
    }
    with house.Scene(train=10, test=10) as scene:
        path = scene.dir / "mistaken.yaml"
        path.write_text(json.dumps(whole))
        check(judge(path).returncode == 0, "the manifest itself is refused")
        for word, mistake in mistakes.items():
            mistaken = copy.deepcopy(whole)
            mistake(mistaken)
            path.write_text(json.dumps(mistaken))
            done = judge(path)
            check(done.returncode == 1 and word in done.stderr, f"{word}: {done}")


def the_images_are_built_with_every_library_that_is_asked_for():
    asked = re.findall(r"^(\S+)\s+(?:library|header):", (house.ROOT / "deploy" / "install-deps").read_text(), re.MULTILINE)
    lacks = [name for name in asked if name not in DOCKERFILE and name not in ("check", "libopenblas-serial-dev")]  # for tests
    check(len(asked) > 10 and not lacks, f"the Dockerfile lacks {lacks} of {asked}")


def matches(selector, pod):
    return all(pod["metadata"]["labels"].get(key) == value for key, value in selector.items())


def names_ports_paths_and_users_agree():
    all_of = documents()
    stage = {name: text for name, text in re.findall(r"FROM scratch AS (\w+)\n(.*?)(?=\nFROM|\Z)", DOCKERFILE, re.DOTALL)}
    exposed = set(re.search(r"EXPOSE (.*)", stage["coordinator"])[1].split())
    commands = (HERE / "kustomization.yaml").read_text()
    given = {("Secret", name) for name in re.findall(r"create secret generic (\S+)", commands)}
    given |= {("ConfigMap", found["metadata"]["name"]) for found in all_of if found["kind"] == "ConfigMap"}
    pods = []
    for found in all_of:
        if found["kind"] != "StatefulSet":
            continue
        pod = found["spec"]["template"]
        spec, (container,) = pod["spec"], pod["spec"]["containers"]
        pods.append(pod)
        target = container["image"].removeprefix("fedavg-")
        check(found["spec"]["replicas"] == 1 and matches(found["spec"]["selector"]["matchLabels"], pod), f"{found}")
        check(f'ENTRYPOINT ["/usr/bin/{container["image"]}"]' in stage[target], f"no image {container['image']}")
        check(f'CMD ["{container["args"][0]}"' in stage[target], f"{container['args']}: not the image's file")
        check(f"USER {USER}:{USER}" in stage[target] and spec["securityContext"]["runAsUser"] == USER == spec["securityContext"]["fsGroup"]
              == spec["securityContext"]["runAsGroup"] and spec["securityContext"]["runAsNonRoot"], "users differ")
        check(spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, "no filter of system calls")
        check(container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                               "capabilities": {"drop": ["ALL"]}}, f"{container['securityContext']}")
        check({"requests", "limits"} <= set(container["resources"]) and not spec["automountServiceAccountToken"], f"{spec}")
        volumes = {volume["name"] for volume in spec["volumes"]}
        volumes |= {claim["metadata"]["name"] for claim in found["spec"]["volumeClaimTemplates"]}
        mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
        check(set(mounts) == volumes, f"mounted {set(mounts)}, there are {volumes}")
        check("/var/lib/fedavg" in {mount["mountPath"] for mount in mounts.values()}, "what lasts is not on a volume")
        wanted = {("Secret", volume["secret"]["secretName"]) for volume in spec["volumes"] if "secret" in volume}
        wanted |= {("ConfigMap", volume["configMap"]["name"]) for volume in spec["volumes"] if "configMap" in volume}
        check(wanted <= given, f"nobody makes {wanted - given}")
        for volume in spec["volumes"]:
            check("secret" not in volume or volume["secret"]["defaultMode"] == 0o440, f"{volume}")
            key = volume.get("secret", {}).get("secretName", "")
            check(not key.endswith("-key") or "subPath" in mounts[volume["name"]], f"{key}: a key by a symbolic link is refused")
        check(bool(container.get("ports")) == (target == "coordinator"), f"{target}: ports {container.get('ports')}")
    ports = {5600, 5601}
    check(exposed == {str(port) for port in ports}, f"the image exposes {exposed}")
    for found in all_of:
        if found["kind"] == "Service":
            check({port["port"] for port in found["spec"]["ports"]} == ports and
                  sum(matches(found["spec"]["selector"], pod) for pod in pods) == 1, f"{found}")
        if found["kind"] in ("NetworkPolicy", "PodDisruptionBudget"):
            selector = found["spec"].get("podSelector") or found["spec"]["selector"]
            check(sum(matches(selector["matchLabels"], pod) for pod in pods) == 1, f"{found}")
    policy = named("NetworkPolicy", "fedavg-coordinator")["spec"]
    check({port["port"] for rule in policy["ingress"] for port in rule["ports"]} == ports and policy["egress"] == [], f"{policy}")
    policy = named("NetworkPolicy", "fedavg-client")["spec"]
    check(policy["ingress"] == [] and {port["port"] for rule in policy["egress"] for port in rule["ports"]} == ports | {53}, f"{policy}")


def the_task_the_client_file_and_the_probes_in_them_work():
    container = named("StatefulSet", "fedavg-coordinator")["spec"]["template"]["spec"]["containers"][0]
    with house.Scene(train=10, test=10) as scene:
        place, ward, runs = scene.dir / "fedavg", scene.dir / "ward", scene.dir / "runs"
        for path in (place / "roster", ward / "data", runs):
            path.mkdir(parents=True)
        control, bulk, http = house.free_ports(3)
        line = scene.command("keygen", "coordinator", "--dir", place)
        scene.command("roster", "add", "ward-a", scene.command("keygen", "ward-a", "--dir", ward), "--clients", "0", "--file",
                      place / "roster" / "roster")
        task = named("ConfigMap", "fedavg-task")["data"]["task.yaml"]
        for port, ours in ((5600, control), (5601, bulk), (5680, http)):
            check(str(port) in task, f"{port} is not in the task")
            task = task.replace(str(port), str(ours))
        (place / "task.yaml").write_text(task)
        client = named("ConfigMap", "fedavg-ward-a")["data"]["client.yaml"]
        client = client.replace("fedavg1:put-the-line-of-coordinator.pub-here", line).replace("/var/lib/fedavg", str(runs / "state"))
        (ward / "client.yaml").write_text(client.replace("tcp://fedavg-coordinator:5600", f"tcp://127.0.0.1:{control}"))
        rows = (house.ROOT / "deploy" / "tasks" / "wards-train.csv").read_text().splitlines()
        (ward / "data" / "ward.csv").write_text("".join(row.split(",", 1)[1] + "\n" for row in rows if row[:1] in "wA"))

        before = []
        if os.geteuid() == 0:  # as a kubelet hands out secrets: root's, lent to the group of the pod
            before = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
            for key in (place / "coordinator.key", ward / "ward-a.key"):
                os.chown(key, 0, USER)
                key.chmod(0o440)
            os.chown(runs, USER, USER)
            scene.dir.chmod(0o755)
        coordinator = scene.start("fedavg-coordinator", place / "task.yaml", "--run-dir", runs / "run", "--json", before=before)
        coordinator.wait_log("http listening")
        probes = {name: container[name]["exec"]["command"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
        for name, (program, *words) in probes.items():
            check(program == "/usr/bin/fedavg", f"{name} asks through {program}")
            scene.start("fedavg", *[word.replace("5680", str(http)) for word in words]).wait_exit(0)
        scene.start("fedavg-client", ward / "client.yaml", before=before)
        coordinator.wait_exit(0)
        check(len(house.Result(coordinator).models) == 40, f"{coordinator}")
        check((runs / "state" / "sent.log").exists(), "no record of what was sent")


find_programs()
house.main(every_manifest_is_what_kubernetes_knows, a_key_or_value_that_kubernetes_does_not_know_is_found,
           the_images_are_built_with_every_library_that_is_asked_for, names_ports_paths_and_users_agree, the_task_the_client_file_and_the_probes_in_them_work)
