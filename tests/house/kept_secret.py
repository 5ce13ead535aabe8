"""No secret leaves its file: not in a log, a command line, an environment, a state or run directory, a page, a core file.
Keys, a passphrase and a token are known here in every form in which they could be written, and everything is searched."""
import base64
import contextlib
import os
import pathlib
import pty
import resource
import select
import signal
import sys
import time
import urllib.request

import house
import wards
from house import ROOT, check, main

sys.path.insert(0, str(ROOT / "tests" / "vectors"))
import seal  # noqa: E402
import sign  # noqa: E402

PASSPHRASE = "correct horse battery staple"
SEEDS = {"coordinator": bytes(range(11, 43)), "ward-0": bytes(range(60, 92)), "authority": bytes(range(120, 152))}
UNLIMITED = (resource.RLIMIT_CORE, resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def forms(secret):
    """The bytes themselves, hex of either case, base64 and base64url (their middles, wherever in a text they start)."""
    found = [secret, secret.hex().encode(), secret.hex().upper().encode()]
    for shift in range(3):  # bytes before it move the letters
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.append(encode(bytes(shift) + secret)[4:36])
    return found


def secrets_of(seed):
    return [seed, seal.subkey(seed, 1), seal.subkey(seed, 2), seal.subkey(seed, 3)]


class Search:
    def __init__(self):
        self.needles = {form: name for name, seed in SEEDS.items() for secret in secrets_of(seed) for form in forms(secret)}
        self.needles[PASSPHRASE.encode()] = "the passphrase"

    def add(self, name, secret):
        self.needles.update({form: name for form in forms(secret)})

    def found(self, data):
        return sorted({name for needle, name in self.needles.items() if needle in data})

    def must_be_clean(self, what, data):
        check(not self.found(data), f"{what} holds {self.found(data)}")


def write_secret(path, text):
    path.touch(0o600)
    path.write_text(text + "\n")


def write_key(scene, name):
    """As keygen would, from a seed that is known here."""
    write_secret(scene.dir / f"{name}.key", "fedavg-secret-1:" + seal.base64url(SEEDS[name]))
    curve, box = (seal.x25519(seal.subkey(SEEDS[name], i), seal.BASE) for i in (1, 2))
    line = "fedavg1:" + seal.base64url(curve + box + seal.digest(curve + box)[:4])
    scene.public[name] = line
    return line


def must_leave_no_core(process):
    """Whatever this system would do with a core file, and wherever: its size is nought."""
    limits = pathlib.Path(f"/proc/{process.pid}/limits").read_text()
    core = next(line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core file size"))
    check(core == ["0", "0"], f"core files of {core} bytes are allowed: {process}")


def crash(process):
    """Returns the status with which the kernel ends it, which says whether it dumped the core, even into a pipe."""
    process.signal(signal.SIGABRT)
    status = os.waitpid(process.pid, 0)[1]
    process.child.returncode = os.waitstatus_to_exitcode(status)
    return status


def core_of(scene, process):
    """What a crash leaves behind: nothing, although the test allowed it."""
    status = crash(process)
    check(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGABRT, f"it did not crash: {status:#x}: {process}")
    check(not os.WCOREDUMP(status), f"the kernel dumped its core: {process}")
    return [path for path in scene.dir.rglob("core*") if path.is_file()]


def nothing_secret_is_seen_while_nodes_enrol_train_and_crash():
    search = Search()
    with wards.Scene(rounds=1000000000, rejoin_s=1) as scene:
        port, http = house.free_port(), house.free_port()
        write_key(scene, "coordinator")
        key = sign.public(seal.subkey(SEEDS["authority"], 3))
        write_secret(scene.dir / "authority.key", "fedavg-secret-1:" + seal.base64url(SEEDS["authority"]))
        scene.task["server"].update(enrol=f"tcp://127.0.0.1:{port}", http=f"127.0.0.1:{http}",
                                    enrolment_key="fedavg-sign1:" + seal.base64url(key + seal.digest(key)[:4]))
        scene.roster.write_text("schema: 1\nnodes: []\n")
        coordinator = scene.coordinator("--log-level", "debug", limits=[UNLIMITED], cwd=scene.dir)
        wards.wait_said(coordinator, "enrol listening")
        token = scene.dir / "token"
        scene.command("enroll", "issue", "ward-0", "--clients", 0, "--key", scene.dir / "authority.key", "--out", token)
        body = base64.urlsafe_b64decode(token.read_text().strip().partition(":")[2] + "===")
        search.add("the token", body[249:281])
        check(search.found(token.read_bytes()) == ["the token"], "the search does not find what is there")
        write_key(scene, "ward-0")
        check(search.found((scene.dir / "ward-0.key").read_bytes()) == ["ward-0"], "the search does not find what is there")
        shown = scene.command("enroll", "show", token)
        wrong = scene.start("fedavg", "enroll", "join", "--token", token.read_text().strip(), "--key", scene.dir / "ward-0.key",
                            "--coordinator", f"tcp://127.0.0.1:{port}", "--coordinator-key", scene.public["coordinator"])
        wrong.wait_exit(2)  # a token as an argument: refused, and not repeated
        search.must_be_clean("what was said to a token on the command line", "\n".join(wrong.log).encode())
        join = scene.start("fedavg", "enroll", "join", "--token", token, "--key", scene.dir / "ward-0.key", "--coordinator",
                           f"tcp://127.0.0.1:{port}", "--coordinator-key", scene.public["coordinator"])
        join.wait_exit(0)
        scene.write_client("ward-0", 0, scene.write_cut("ward-0", 0, 50))
        node = scene.node("ward-0", "--log-level", "debug", limits=[UNLIMITED], cwd=scene.dir)
        wards.wait_round(coordinator, lambda event: event["round"] > 3)
        for process in (coordinator, node):
            for file in ("cmdline", "environ"):
                search.must_be_clean(f"{file} of {process.arguments[0]}",
                                     pathlib.Path(f"/proc/{process.pid}/{file}").read_bytes())
        with urllib.request.urlopen(f"http://127.0.0.1:{http}/api/v1/status", timeout=house.PATIENCE) as page:
            search.must_be_clean("the page", page.read())
        search.must_be_clean("the status", scene.command("status", "--json", scene.run_dir).encode())
        for process in (coordinator, node):
            must_leave_no_core(process)
        cores = core_of(scene, node) + core_of(scene, coordinator)
        for path in cores:
            search.must_be_clean(f"the core file {path}", path.read_bytes())
        check(not cores, f"there are core files: {cores}")
        search.must_be_clean("what show says", shown.encode())
        for process in scene.processes:
            search.must_be_clean(f"the log of {process.arguments[:3]}", "\n".join(process.log + process.out).encode())
        kept = {"coordinator.key", "ward-0.key", "authority.key", "token"}
        for path in scene.dir.rglob("*"):
            if path.is_file() and path.name not in kept:
                search.must_be_clean(str(path), path.read_bytes())
        search.must_be_clean("the socket's directory", " ".join(map(str, scene.dir.rglob("*"))).encode())


def a_crash_of_an_unprotected_program_would_leave_a_core_file():
    """The test above can fail: where core files go into the working directory there would be one, and elsewhere, unless
    whoever is to take it does not, the kernel says that it dumped."""
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    with wards.Scene() as scene:
        process = house.Process(["sleep", str(house.PATIENCE)], limits=[UNLIMITED], cwd=scene.dir)
        scene.processes.append(process)
        scene.until(lambda: pathlib.Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n")
        dumped = os.WCOREDUMP(crash(process))
        if pattern.startswith("|") or "/" in pattern:
            if not dumped:
                house.not_tried(f"core files go to {pattern}, and none is taken there")
            return
        check(dumped and any(scene.dir.glob("core*")), "no core file, though nothing forbids it")


def a_program_that_holds_secrets_cannot_be_dumped():
    """The files of /proc of a process that is not dumpable are root's, whoever else it runs as. It waits for a passphrase."""
    with wards.Scene() as scene:
        words, keys = scene.dir / "words", scene.dir / "keys"
        os.mkfifo(words, 0o600)
        keys.mkdir()
        before, owner = [], os.geteuid()
        if owner == 0:
            before, owner = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"], 65534
            scene.dir.chmod(0o711)
            os.chown(words, owner, owner)
            os.chown(keys, owner, owner)
        process = scene.start("fedavg", "keygen", "ward", "--dir", keys, "--passphrase-file", words, before=before)
        writer = []

        def is_read():  # then it is at work
            with contextlib.suppress(OSError):
                writer.append(os.open(words, os.O_WRONLY | os.O_NONBLOCK))
            return writer or process.open == 0

        scene.until(is_read)
        if not writer and process.said("Permission denied"):
            house.not_tried("nobody but root may start the programs where they are built")
            return
        check(writer, f"it ended: {process}")
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        check(status.partition("Uid:")[2].split()[0] == str(owner), f"it does not run as {owner}: {process}")
        check(os.stat(f"/proc/{process.pid}/environ").st_uid == 0, f"it can be dumped: {process}")
        os.close(*writer)
        process.wait_exit(None)


# -- passphrases -------------------------------------------------------------------------------------------------------


def at_a_terminal(arguments, answers):
    """Runs it with a terminal of its own, answers each prompt, and returns (exit code, all that the terminal showed)."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(str(arguments[0]), [str(argument) for argument in arguments])
    shown, left, end = b"", list(answers), time.monotonic() + house.PATIENCE
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 0.5)[0]:
            continue
        try:
            data = os.read(terminal, 4096)
        except OSError:  # the other side is gone
            break
        shown += data
        if left and shown.count(b".key: ") > len(answers) - len(left):
            os.write(terminal, left.pop(0).encode())
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode(errors="replace")


def a_passphrase_is_asked_without_echo_or_read_from_a_file():
    with wards.Scene() as scene:
        fedavg, authority = house.BIN / "fedavg", scene.dir / "authority.key"
        keygen = [fedavg, "keygen", "authority", "--enrolment", "--passphrase", "--dir", scene.dir]
        code, shown = at_a_terminal(keygen, [PASSPHRASE + "\n", "another\n"])
        check(code == 2 and "the two passphrases differ" in shown and not authority.exists(), shown)
        code, shown = at_a_terminal(keygen, [PASSPHRASE + "x\x7f\n", PASSPHRASE + "\n"])
        check(code == 0 and PASSPHRASE not in shown and authority.read_text().startswith("fedavg-secret-2:"), shown)
        issue = ["enroll", "issue", "ward-0", "--clients", "0", "--key", authority]
        code, shown = at_a_terminal([fedavg, *issue], [PASSPHRASE + "\n"])
        check(code == 0 and "fedavg-token1:" in shown and PASSPHRASE not in shown, shown)
        code, shown = at_a_terminal([fedavg, *issue], ["\x03"])
        check(code == 10 and "no passphrase was given" in shown, shown)
        write_secret(scene.dir / "words", PASSPHRASE)
        scene.command(*issue, "--passphrase-file", scene.dir / "words", "--out", scene.dir / "token")
        write_secret(scene.dir / "wrong", "incorrect")
        refused = scene.start("fedavg", *issue, "--passphrase-file", scene.dir / "wrong")
        refused.wait_exit(7)
        check(refused.said("this is not its passphrase"), f"{refused}")


def a_daemon_with_a_passphrase_and_nobody_to_ask_says_so():
    with wards.Scene(rounds=1000000000) as scene:
        write_secret(scene.dir / "words", PASSPHRASE)
        for name in ("coordinator.key", "coordinator.pub"):
            (scene.dir / name).unlink()
        scene.public["coordinator"] = scene.command("keygen", "coordinator", "--dir", scene.dir, "--passphrase-file",
                                                    scene.dir / "words")
        scene.add_node("ward-0", 0, 50)
        lonely = scene.coordinator()
        lonely.wait_exit(2)
        check(lonely.said("needs its passphrase, and there is no terminal to ask on"), f"{lonely}")
        coordinator = scene.coordinator("--passphrase-file", scene.dir / "words")
        scene.node("ward-0")
        wards.wait_round(coordinator)
        cmdline = pathlib.Path(f"/proc/{coordinator.pid}/cmdline").read_bytes()
        check(PASSPHRASE.encode() not in cmdline, "the passphrase is in the command line")


main(nothing_secret_is_seen_while_nodes_enrol_train_and_crash, a_crash_of_an_unprotected_program_would_leave_a_core_file,
     a_program_that_holds_secrets_cannot_be_dumped,
     a_passphrase_is_asked_without_echo_or_read_from_a_file, a_daemon_with_a_passphrase_and_nobody_to_ask_says_so)
