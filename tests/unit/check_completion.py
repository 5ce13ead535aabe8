#!/usr/bin/env python3
"""Completion offers what the programs take, and nothing else: check_completion.py BIN_FOLDER COMPLETION_FOLDER.

The independent truth is getopt's: every option that is offered is accepted, every other option of the house is refused; and
the tables of options in the sources say which take a value."""
import fcntl
import os
import pathlib
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time

BIN, SCRIPTS = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
ROOT = pathlib.Path(__file__).resolve().parents[2]
DAEMONS = {"coordinator": "coordinator/main.c", "client": "client/main.c"}
failures = []


def check(holds, text):
    if not holds:
        failures.append(text)


class Bash:
    """A shell with the completion loaded, which is asked line by line."""
    ASK = r"""
        source "$1"
        while IFS= read -r line; do
            read -ra COMP_WORDS <<<"$line"
            [[ $line != *' ' ]] || COMP_WORDS+=('')
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _fedavg
            [[ ${#COMPREPLY[@]} == 0 ]] || printf '%s\n' "${COMPREPLY[@]}"
            echo .
        done"""

    def __init__(self):
        self.shell = subprocess.Popen(["bash", "--norc", "-c", self.ASK, "bash", SCRIPTS / "fedavg"], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def complete(self, line):
        self.shell.stdin.write(line + "\n")
        self.shell.stdin.flush()
        found = set()
        while (reply := self.shell.stdout.readline().rstrip("\n")) != ".":
            if self.shell.poll() is not None:
                sys.exit(f"bash ended at: {line}")
            found.add(reply)
        return found


def commands():
    text = subprocess.run([BIN / "fedavg", "help"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"^  ([a-z][a-z-]*) ", text, re.M)


def source_options(command):
    """{"--json": takes a value} of a program's table."""
    text = (ROOT / DAEMONS.get(command, f"cli/{command}.c")).read_text()
    found = re.findall(r'\{"([a-z][a-z-]*)", (no|required)_argument', text)
    return {f"--{name}": kind == "required" for name, kind in found}


def complaint(words):
    """What getopt says of these words; the last is always wrong, so that nothing is ever done."""
    found = subprocess.run([BIN / "fedavg", *words, "--no-such-option"], capture_output=True, text=True,
                           stdin=subprocess.DEVNULL, timeout=60)
    return found.stderr


def options_are_those_of_getopt(bash, command, words, known):
    """known: the options of the source, of which an action may have some."""
    line = " ".join(["fedavg", *words])
    offered = bash.complete(f"{line} --")
    check("--help" in offered, f"{line}: no --help")
    offered = {option for option in offered if option != "--help"}
    check(offered <= known.keys(), f"{line}: offers {sorted(offered - known.keys())}, which the source has not")
    for option in sorted(known.keys() - {"--help"}):
        if option not in offered and any(other.startswith(option) for other in offered):
            continue  # getopt takes it for a short form
        refused = f"unrecognized option '{option}" in complaint([*words, option + ("=x" if known[option] else "")])
        check(refused == (option not in offered), f"{line}: {option} is {'refused' if refused else 'taken'}, and is "
              f"{'' if option in offered else 'not '}offered")
    return offered


def every_command_offers_its_options(bash):
    names = commands()
    check(bash.complete("fedavg ") == {*names, "help", "version"}, f"fedavg: offers {sorted(bash.complete('fedavg '))}")
    for command in names:
        known = source_options(command)
        actions = {word for word in bash.complete(f"fedavg {command} ") if word.isalpha()} if command in ("roster", "enroll") \
            else set()
        if not actions:
            offered = options_are_those_of_getopt(bash, command, [command], known)
            check(offered == known.keys() - {"--help"}, f"fedavg {command}: lacks {sorted(known.keys() - offered)}")
        for action in actions:
            options_are_those_of_getopt(bash, command, [command, action], known)
        for option, takes in known.items():  # after one that takes a value no other option is offered
            if not actions and option != "--help":
                others = bash.complete(f"fedavg {command} {option} --")
                check((not any(o.startswith("--") for o in others)) == takes, f"fedavg {command} {option}: value or none?")
    actions = bash.complete("fedavg roster ")
    check(actions == {"add", "approve", "revoke", "readmit", "remove", "list", "verify", "rotate", "--help"}, f"{actions}")
    check(bash.complete("fedavg-client --") == bash.complete("fedavg client --"), "the client's own name completes otherwise")


def files_are_of_the_right_kind(bash):
    for path in ("task.yaml", "notes.txt"):
        pathlib.Path(path).touch()
    for path in ("runs/mine", "other"):
        pathlib.Path(path).mkdir(parents=True)
    pathlib.Path("runs/mine/run.db").touch()
    for line, expected in (("fedavg simulate ", {"task.yaml", "runs", "other"}),
                           ("fedavg-coordinator t", {"task.yaml"}),
                           ("fedavg status ", {"runs"}),
                           ("fedavg status runs/", {"runs/mine"}),
                           ("fedavg doctor ", {"task.yaml", "runs", "other"}),
                           ("fedavg simulate --run-dir ", {"runs", "other"}),
                           ("fedavg simulate --log-format ", {"text", "json"}),
                           ("fedavg simulate --log-format = j", {"json"}),
                           ("fedavg simulate --nodes ", set()),
                           ("fedavg enroll show ", {"task.yaml", "notes.txt", "runs", "other"}),
                           ("fedavg roster add --file no", {"notes.txt"}),
                           ("fedavg nosuch ", set()),
                           ("fedavg help part", {"partition"}),
                           ("fedavg help status ", set())):
        found = bash.complete(line)
        check(found == expected, f"{line!r}: completes to {sorted(found)}, expected {sorted(expected)}")


class Zsh:
    """A shell of that kind on a terminal, where keys are pressed."""

    def __init__(self):
        self.shown = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(PS1="READY>", TERM="xterm", ZDOTDIR=os.getcwd(), PATH=f"{BIN}:{os.environ['PATH']}")
            os.execvp("zsh", ["zsh", "-f"])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("4H", 60, 200, 0, 0))
        self.read("READY>")
        self.press(f"fpath=({SCRIPTS} $fpath); autoload -U compinit; compinit -u -D; LISTMAX=0; unsetopt list_beep; "
                   "zstyle ':completion:*' verbose no; echo LOADED\n")
        self.read("\nLOADED")
        self.read("READY>")

    def press(self, keys):
        os.write(self.fd, keys.encode())

    def read(self, text):
        """What is shown up to this text; what follows is for the next."""
        end = time.monotonic() + 60
        while text not in self.shown:
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                sys.exit(f"zsh: waited in vain for {text!r}: {self.shown!r}")
            self.shown += os.read(self.fd, 65536).decode(errors="replace")
            self.shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|.\x08|\r", "", self.shown)  # colours; what was wiped out
        before, _, self.shown = self.shown.partition(text)
        return before

    def listed(self, line):
        """What the list shows that a Tab opens."""
        self.press(line + "\t\x05#END\n")
        shown = self.read("READY>")
        return set(re.findall(r"[A-Za-z_./-]+", shown.partition("\n")[2].partition(f"{line}#END")[0]))

    def completed(self, line, expected):
        self.press(line + "\t")
        shown = self.read(expected)
        self.press("\x15\n")
        self.read("READY>")
        return shown


def zsh_completes_alike(bash):
    zsh = Zsh()
    zsh.completed("fedavg keyg", "fedavg keygen ")
    zsh.completed("fedavg help keyg", "fedavg help keygen ")
    zsh.completed("fedavg simulate ta", "fedavg simulate task.yaml")
    zsh.completed("fedavg roster readm", "fedavg roster readmit ")
    zsh.completed("fedavg simulate --log-format=j", "--log-format=json")
    zsh.completed("fedavg status runs/m", "runs/mine")
    for words in ("simulate", "roster rotate", "init", "client"):
        offered = bash.complete(f"fedavg {words} --")
        listed = zsh.listed(f"fedavg {words} --")
        check(offered <= listed, f"zsh: fedavg {words}: lacks {sorted(offered - listed)}")
        made_up = {word for word in listed if word.startswith("--")} - offered
        check(not made_up, f"zsh: fedavg {words}: {sorted(made_up)}")


def main():
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        os.environ["PATH"] = f"{BIN}:{os.environ['PATH']}"
        bash = Bash()
        every_command_offers_its_options(bash)
        files_are_of_the_right_kind(bash)
        if shutil.which("zsh"):
            zsh_completes_alike(bash)
        else:
            print("not tried: completion in zsh: no zsh here")
    print("\n".join(failures) or "completion offers what is taken, and nothing else")
    sys.exit(1 if failures else 0)


main()
