#!/usr/bin/env python3
"""--json of every command: stdout holds JSON objects, one a line, and nothing else, whether the command succeeds or fails;
what failed is one sentence on stderr, and the exit code tells. check_json.py FEDAVG."""
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

FEDAVG = pathlib.Path(sys.argv[1]).resolve()
NO_JSON = {"client"}  # a daemon whose words are its log
TASK = """schema: 1
name: tiny
seed: 1
model: {input: 1, layers: [{units: 3}]}
data: {train: {images: images, labels: labels}, partition: {kind: iid, clients: 3}}
algorithm: {rounds: 1, fraction: 1, epochs: 1, batch_size: full, learning_rate: 0.1}
"""

# Arguments (of `fedavg`), exit code, and the keys of the one object that must be there; in this order, in one directory.
CASES = [
    (["version"], 0, {"event", "version", "kernels", "libraries"}),
    (["keygen", "a"], 0, {"event", "name", "kind", "key_file", "public_file", "line", "fingerprint"}),
    (["keygen", "a"], 7, None),
    (["keygen", "../a"], 2, None),
    (["keygen", "authority", "--enrolment"], 0, {"event", "line"}),
    (["roster", "list"], 2, None),
    (["roster", "add", "ward-7", "@a.pub", "--clients", "7"], 0, {"event", "action", "file", "name", "node"}),
    (["roster", "add", "ward-7", "@a.pub", "--clients", "8"], 2, None),
    (["roster", "list"], 0, {"event", "action", "file", "nodes"}),
    (["roster", "verify", "@authority.pub"], 7, {"event", "entries", "bad"}),
    (["roster", "approve", "ward-7", "@a.pub", "--clients", "7", "--key", "authority.key"], 0, {"node"}),
    (["roster", "verify", "@authority.pub"], 0, {"event", "entries", "bad"}),
    (["roster", "revoke", "ward-7"], 0, {"node"}),
    (["roster", "readmit", "ward-7"], 0, {"node"}),
    (["roster", "rotate", "ward-7", "--finish"], 2, None),
    (["roster", "remove", "ward-7"], 0, {"name", "node"}),
    (["enroll", "issue", "ward-9", "--clients", "9-11", "--key", "authority.key"], 2, None),
    (["enroll", "issue", "ward-9", "--clients", "9-11", "--key", "authority.key", "--out", "token"], 0,
     {"event", "action", "name", "clients", "partial_sums", "expires", "not_before", "not_after", "issuer", "fingerprint",
      "file"}),
    (["enroll", "show", "token"], 0, {"event", "name", "file"}),
    (["enroll", "show", "nowhere"], 2, None),
    (["partition", "task.yaml"], 0, {"event", "name", "kind", "digest", "examples", "clients", "shown"}),
    (["partition", "nowhere.yaml"], 2, None),
    (["partition", "task.yaml", "--set", "data.train.labels=images"], 3, None),
    (["status", "nowhere"], 2, None),
    (["show", "nowhere"], 2, None),
    (["show", ".", "--bind", "0.0.0.0:80"], 2, None),
    (["status", "http://127.0.0.1:1"], 6, None),
    (["init", "new", "--defaults", "--data", "images"], 0, {"event", "name", "kind", "examples", "features", "classes", "files",
                                                            "notes", "next"}),
    (["init", "new", "--defaults", "--data", "images"], 2, None),
    (["init", "new", "--defaults"], 2, None),
    (["doctor"], 0, {"event", "problems", "notes", "findings"}),
    (["doctor", "task.yaml"], 7, {"findings"}),
    (["doctor", "nowhere.yaml"], 2, {"findings"}),
    (["simulate", "nowhere.yaml"], 2, None),
    (["simulate", "task.yaml", "--run-dir", "run", "--nodes", "1"], 0, None),
    (["evaluate", "run", "--data", "train"], 0,
     {"event", "name", "model", "run_id", "round", "data", "examples", "loss", "accuracy", "classes", "confusion"}),
    (["evaluate", "run"], 2, None),
    (["export", "run", "-o", "x.npz"], 0,
     {"event", "name", "file", "format", "model", "parameters", "bytes", "run_id", "round"}),
    (["export", "run", "-o", "x.pt"], 2, None),
    (["replay", "run"], 0, {"event", "name", "run_id", "from", "to", "updates", "seconds", "model", "same"}),
    (["replay", "nowhere"], 2, None),
    (["status", "run"], 0, {"event", "name", "run_id", "state", "round", "recent"}),
    (["plot", "run"], 0, {"event", "runs"}),
    (["plot", "nowhere"], 2, None),
    (["compare", "run", "run"], 0, {"event", "runs", "task", "models", "milestones"}),
    (["compare", "run", "nowhere"], 2, None),
    (["backup", "run", "backup"], 0, {"event", "run_id", "round", "files", "dest", "bytes", "verified"}),
    (["backup", "run", "backup"], 2, None),
    (["backup", "--verify", "backup"], 0, {"event", "files", "verified"}),
    (["backup", "--verify", "run"], 2, None),
    (["plot", "run", "-o", "picture.svg"], 2, None),
]


def run(arguments):
    words = [pathlib.Path(word[1:]).read_text().strip() if word[0] == "@" else word for word in arguments]
    return subprocess.run([FEDAVG, *words, "--json"], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)


def objects(found):
    """The objects on stdout; an exception where anything else stands there."""
    lines = found.stdout.split("\n")
    if lines.pop() != "":
        raise ValueError("the last line has no end")
    values = [json.loads(line) for line in lines]
    if not all(isinstance(value, dict) for value in values):
        raise ValueError("not an object")
    return values


def judge(arguments, code, keys):
    """What is wrong, or None."""
    found = run(arguments)
    try:
        values = objects(found)
    except ValueError as why:
        return f"stdout is not JSON alone ({why}): {found.stdout[:300]}"
    if code is not None and found.returncode != code:
        return f"exit code {found.returncode}, not {code}: {found.stderr}"
    if found.returncode != 0 and (not found.stderr.strip() or found.stderr.strip().count("\n") > 0 and code is not None):
        return f"no one sentence on stderr: {found.stderr!r}"
    if keys is not None and (len(values) != 1 or not keys <= values[0].keys()):
        return f"expected one object with {sorted(keys)}: {found.stdout[:300]}"
    if keys is None and code not in (0, None) and values:
        return f"a command that failed printed {found.stdout[:300]}"
    return None


def commands():
    text = subprocess.run([FEDAVG, "help"], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in text.split("\n") if line.startswith("  ") and line[2].isalpha()]


def main():
    failures = []

    def check(arguments, code, keys):
        why = judge(arguments, code, keys)
        if why:
            failures.append(f"fedavg {' '.join(arguments)} --json: {why}")

    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        pathlib.Path("images").write_bytes(struct.pack(">4I", 0x803, 12, 1, 1) + b"abcdefghijkl")
        pathlib.Path("labels").write_bytes(struct.pack(">2I", 0x801, 12) + bytes([0, 1, 2] * 4))
        pathlib.Path("task.yaml").write_text(TASK)
        for case in CASES:
            check(*case)
        known = commands()
        for command in known:
            usage = subprocess.run([FEDAVG, command, "--help"], capture_output=True, text=True).stdout
            if ("--json" in usage) == (command in NO_JSON):
                failures.append(f"fedavg {command} --help: says {'' if command in NO_JSON else 'nothing '}of --json")
            if command not in NO_JSON:
                check([command, "nowhere-at-all"], None, None)
    print("\n".join(failures) or f"{len(CASES)} cases, {len(known)} commands: stdout holds JSON alone")
    sys.exit(1 if failures else 0)


main()
