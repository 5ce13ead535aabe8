"""Tokens: who holds one enrols himself, once; a coordinator cannot make one; what is refused is said to the operator alone."""
import json
import os
import signal
import sys
import time

import house
import wards
from house import LONG, ROOT, check, main

sys.path.insert(0, str(ROOT / "tests" / "vectors"))
import enrolment  # noqa: E402  independent of the programs: Ed25519 and X25519 of Python's integers
import seal  # noqa: E402
import sign  # noqa: E402

FOR_EVER = 1000000000
HOUR = 3600
DAY = 24 * HOUR
ISSUER, OTHER = bytes(range(1, 33)), bytes(range(2, 34))


def sign_line(seed):
    key = sign.public(seal.subkey(seed, 3))
    return "fedavg-sign1:" + seal.base64url(key + seal.digest(key)[:4])


class Scene(wards.Scene):
    """A coordinator that takes tokens of the authority with the seed ISSUER; its roster is empty."""

    def __init__(self, **rules):
        super().__init__(rounds=FOR_EVER, rejoin_s=1, **rules)
        self.enrol_port, self.serial = house.free_port(), 0
        self.authority = self.secret("authority.key", "fedavg-secret-1:" + seal.base64url(ISSUER))
        self.task["server"].update(enrol=f"tcp://127.0.0.1:{self.enrol_port}", enrolment_key=sign_line(ISSUER))
        self.roster.write_text("schema: 1\nnodes: []\n")

    def secret(self, name, text):
        path = self.dir / name
        path.touch(0o600)
        path.write_text(text + "\n")
        return path

    def issue(self, name, clients, *arguments):
        path = self.dir / f"{name}-{self.serial}.token"
        self.serial += 1
        self.command("enroll", "issue", name, "--clients", clients, "--key", self.authority, "--out", path, *arguments)
        return path

    def forge(self, name, first=7, issuer=ISSUER, expires=HOUR, not_after=0, count=1):
        """A token made here, so that it may say anything."""
        self.serial += 1
        token_seed, nonce = seal.digest(b"%d" % self.serial), seal.digest(b"n%d" % self.serial)[:16]
        now = int(time.time())
        certificate = enrolment.certificate(issuer, name.encode(), first, count, 0, now + expires, 0,
                                            not_after and now + not_after, nonce, sign.public(token_seed))
        body = certificate + token_seed
        return self.secret(f"forged-{self.serial}.token", "fedavg-token1:" + seal.base64url(body + seal.digest(body)[:4]))

    def join(self, token, key, *arguments):
        return self.start("fedavg", "enroll", "join", "--token", token, "--key", self.dir / key, "--coordinator",
                          f"tcp://127.0.0.1:{self.enrol_port}", "--coordinator-key", self.public["coordinator"], *arguments)

    def add_stranger(self, name, client, count=50):
        self.add_node(name, client, count, enrolled=False)

    def coordinator_of_strangers(self):
        """Nobody is enrolled; ward-7 and other have keys."""
        for name, client in (("ward-7", 7), ("other", 9)):
            self.add_stranger(name, client)
        coordinator = self.coordinator()
        wards.wait_said(coordinator, "enrol listening")
        return coordinator

    def refused(self, coordinator, token, key, why):
        since = wards.mark(coordinator)
        join = self.join(token, key)
        join.wait_exit(8)
        check(join.said("the token is refused (token)") and not join.said(why), f"it learned more than it should: {join}")
        wards.wait_said(coordinator, why, since)


def next_round(coordinator, clients):
    last = max((e["round"] for e in coordinator.events() if e["event"] == "round"), default=0)
    return wards.wait_round(coordinator, lambda event: event["round"] > last + 1 and event["clients"] == clients)["round"]


def who_holds_a_token_enrols_himself_and_trains():
    with Scene() as scene:
        scene.add_stranger("ward-0", 0)
        scene.add_stranger("ward-1", 1)
        coordinator = scene.coordinator()
        wards.wait_said(coordinator, "enrol listening")
        for name, client in (("ward-0", 0), ("ward-1", 1)):
            token = scene.issue(name, client)
            check(f"name           {name}\n" in scene.command("enroll", "show", token), "show says something else")
            scene.join(token, f"{name}.key").wait_exit(0)
            scene.node(name)
        next_round(coordinator, clients=2)
        check("2 entries verify" in scene.edit_roster("verify", sign_line(ISSUER)), "the entries do not verify")


def a_token_is_good_once_and_for_what_it_says():
    with Scene() as scene:
        coordinator = scene.coordinator_of_strangers()
        token = scene.issue("ward-7", 7)
        scene.join(token, "ward-7.key").wait_exit(0)
        scene.join(token, "ward-7.key").wait_exit(0)  # as if the answer had been lost
        check(json.loads(scene.edit_roster("list", "--json"))["nodes"][0]["signed"], "the entry is not signed")
        scene.refused(coordinator, token, "other.key", "token refused node=ward-7 why=\"it is spent: it enrolled the key")
        scene.refused(coordinator, scene.issue("ward-7", 8), "other.key", "the name is taken by the key with fingerprint")
        scene.refused(coordinator, scene.issue("other", "5-8"), "other.key",
                      "hosts client 5, which node ward-7 hosts already|hosts client 7, which node other hosts already")
        scene.refused(coordinator, scene.issue("again", 11), "ward-7.key", "has the same key as node")
        scene.refused(coordinator, scene.forge("other", 9, expires=-301), "other.key", "it expired on")
        scene.refused(coordinator, scene.forge("other", 9, not_after=-1), "other.key", "its entry would have ended on")
        scene.refused(coordinator, scene.forge("other", 9, issuer=OTHER), "other.key", "by another enrolment key, with fingerprint")
        scene.join(scene.forge("other", 9, expires=-200), "other.key").wait_exit(0)  # a clock that is three minutes off
        scene.edit_roster("remove", "ward-7")
        wards.wait_said(coordinator, "roster reloaded nodes=2 clients=1")
        scene.refused(coordinator, token, "ward-7.key", "its certificate is spent")


def a_token_stays_spent_when_the_key_it_enrolled_is_exchanged():
    with Scene() as scene:
        for name, client in (("signed-anew", 7), ("rotated", 8)):
            scene.add_stranger(name, client)
        coordinator = scene.coordinator()
        wards.wait_said(coordinator, "enrol listening")
        tokens = {name: scene.issue(name, client) for name, client in (("signed-anew", 7), ("rotated", 8))}
        for name, token in tokens.items():
            scene.join(token, f"{name}.key").wait_exit(0)
        scene.edit_roster("approve", "signed-anew", scene.public["signed-anew"], "--clients", 7, "--key", scene.authority)
        scene.edit_roster("rotate", "rotated", scene.keygen("rotated-next"), "--key", scene.authority)
        scene.edit_roster("rotate", "rotated", "--finish")
        for name in tokens:
            scene.edit_roster("remove", name)
        wards.wait_said(coordinator, "roster reloaded nodes=2 clients=0")
        for name, token in tokens.items():
            scene.refused(coordinator, token, f"{name}.key", "its certificate is spent")


def a_spent_token_that_is_shown_again_and_again_does_not_fill_the_log():
    at_once = 20
    with Scene() as scene:
        coordinator = scene.coordinator_of_strangers()
        token = scene.issue("ward-7", 7)
        scene.join(token, "ward-7.key").wait_exit(0)
        began = time.monotonic()
        for join in [scene.join(token, "other.key") for _ in range(at_once + 6)]:
            join.wait_exit(8)
        wards.wait_said(coordinator, "refused node=stranger reason=token why=\"it is spent: it enrolled the key")
        said = len([line for line in coordinator.log if "token refused" in line])
        allowed = at_once + (time.monotonic() - began) / 60
        check(at_once <= said <= allowed, f"{said} lines, not {at_once} to {allowed:.1f}")


def a_genuine_token_that_is_presented_dishonestly_enrols_nobody():
    with Scene() as scene:
        coordinator = scene.coordinator_of_strangers()
        token = scene.issue("ward-7", 7)
        for how, code, why in (("seal", 8, "does not hold its seal secret"), ("curve", 8, "is not that of its connection"),
                               ("coordinator", 8, "does not hold the token, or meant another coordinator"),
                               ("proof", 8, "does not hold the token, or meant another coordinator"),
                               ("certificate", 8, "its certificate is forged or damaged"), ("honest", 0, "enrolled node=ward-7")):
            since = wards.mark(coordinator)
            joiner = house.Process([os.environ["FEDAVG_LYING_JOINER"], how, f"tcp://127.0.0.1:{scene.enrol_port}",
                                    scene.public["coordinator"], token, scene.dir / "ward-7.key", scene.dir / "other.key"])
            scene.processes.append(joiner)
            joiner.wait_exit(code)
            wards.wait_said(coordinator, why, since)


def what_is_not_signed_is_refused_by_name_and_can_be_signed():
    with Scene() as scene:
        scene.add_stranger("ward-0", 0)
        scene.add_node("ward-1", 1, 50)  # as an operator without the enrolment key would add it
        line = scene.public["ward-0"]
        scene.edit_roster("approve", "ward-0", line, "--clients", 0, "--key", scene.authority)
        coordinator = scene.coordinator()
        wards.wait_said(coordinator, "entry refused .*node=ward-1 why=\"the key with fingerprint [0-9a-f]{16} has no certificate")
        scene.node("ward-0")
        scene.node("ward-1")
        wards.wait_said(coordinator, "node ward-1, by its key that begins with [0-9a-f]{16}: its entry does not verify")
        next_round(coordinator, clients=1)
        scene.edit_roster("approve", "ward-1", scene.public["ward-1"], "--clients", 1, "--key", scene.authority)
        next_round(coordinator, clients=2)
        since = wards.mark(coordinator)
        scene.roster.write_text(scene.roster.read_text().replace("first: 1,", "first: 2,"))  # by hand, and not signed
        wards.wait_said(coordinator, "entry refused .*node=ward-1 why=\"clients is not what the certificate", since)
        next_round(coordinator, clients=1)


def a_node_is_revoked_and_readmitted_without_a_signal():
    began = int(time.time()) // DAY
    with Scene() as scene:
        for name, client in (("ward-0", 0), ("ward-1", 1)):
            scene.add_stranger(name, client)
            scene.edit_roster("approve", name, scene.public[name], "--clients", client, "--not-after",
                              time.strftime("%Y-%m-%d", time.gmtime(time.time() + 20 * 24 * HOUR)), "--key", scene.authority)
        coordinator = scene.coordinator()
        scene.node("ward-0")
        node = scene.node("ward-1")
        next_round(coordinator, clients=2)
        wards.wait_said(coordinator, "entry ends soon\"? node=ward-1")
        since = wards.mark(coordinator)
        scene.edit_roster("revoke", "ward-1")
        wards.wait_said(coordinator, "node left node=ward-1 why=\"its roster entry changed\"", since)
        wards.wait_said(coordinator, "why=\"ward-1\\.[0-9a-f]{16}: its entry was revoked on 20", since)
        wards.wait_said(node, "this node's key is not on the coordinator's roster")
        next_round(coordinator, clients=1)
        scene.edit_roster("readmit", "ward-1")
        coordinator.signal(signal.SIGHUP)  # at once, and by itself a second later
        next_round(coordinator, clients=2)
        days = 1 + (int(time.time()) // DAY - began)
        check(2 <= len([line for line in coordinator.log if "entry ends soon" in line]) <= 2 * days, "not once a day a node")


def a_key_of_a_signed_entry_is_changed_with_the_enrolment_key_alone():
    with Scene() as scene:
        scene.add_stranger("ward-0", 0)
        scene.edit_roster("approve", "ward-0", scene.public["ward-0"], "--clients", 0, "--key", scene.authority)
        coordinator = scene.coordinator()
        old = scene.node("ward-0")
        next_round(coordinator, clients=1)
        line = scene.keygen("ward-0-next")
        unsigned = scene.start("fedavg", "roster", "rotate", "ward-0", line, "--file", scene.roster)
        unsigned.wait_exit(2)
        scene.edit_roster("rotate", "ward-0", line, "--key", scene.authority)
        next_round(coordinator, clients=1)  # with the old key
        wards.stop(old)
        train = {what: str(scene.dir / f"ward-0-{what}") for what in ("images", "labels")}
        scene.write_client("ward-0", 0, train, key="ward-0-next.key")
        since = wards.mark(coordinator)
        scene.node("ward-0")
        wards.wait_said(coordinator, "node joined node=ward-0", since)
        scene.edit_roster("rotate", "ward-0", "--finish")
        wards.wait_said(coordinator, "roster reloaded", since)
        next_round(coordinator, clients=1)
        check("1 entries verify" in scene.edit_roster("verify", sign_line(ISSUER)), "the entry does not verify")


def a_roster_that_cannot_be_written_is_an_alarm_and_enrolment_waits():
    with Scene() as scene:
        scene.add_stranger("ward-0", 0)
        coordinator = scene.coordinator()
        wards.wait_said(coordinator, "enrol listening")
        (scene.dir / f"roster.tmp.{coordinator.pid}").mkdir()  # what it would write to cannot be made
        join = scene.join(scene.issue("ward-0", 0), "ward-0.key")
        wards.wait_said(coordinator, "error enrol \"?the roster cannot be written, nobody can be enrolled\"? node=ward-0 why=")
        check(join.child.poll() is None, f"it gave up: {join}")
        (scene.dir / f"roster.tmp.{coordinator.pid}").rmdir()
        join.wait_exit(0)


def strangers_that_knock_and_knock_hold_nobody_up():
    with Scene() as scene:
        scene.add_stranger("ward-0", 0)
        scene.add_stranger("stranger", 50)
        scene.edit_roster("approve", "ward-0", scene.public["ward-0"], "--clients", 0, "--key", scene.authority)
        coordinator = scene.coordinator()
        scene.node("ward-0")
        next_round(coordinator, clients=1)
        token = scene.forge("stranger", 50, issuer=OTHER)
        strangers = [scene.join(token, "stranger.key") for _ in range(50)]
        wards.wait_said(coordinator, "reason=rate why=\"too many connections to the enrolment lane\"")
        wards.wait_said(coordinator, "reason=token why=\"its certificate is by another enrolment key")
        for _ in range(3):
            next_round(coordinator, clients=1)
        check(sum(stranger.child.poll() is None for stranger in strangers) > 5, "all were answered at once")
        for stranger in strangers:
            if LONG:
                stranger.wait_exit(8)
            stranger.stop()
        if LONG:
            scene.add_stranger("ward-1", 1)
            scene.join(scene.issue("ward-1", 1), "ward-1.key").wait_exit(0)


main(who_holds_a_token_enrols_himself_and_trains, a_token_is_good_once_and_for_what_it_says,
     a_token_stays_spent_when_the_key_it_enrolled_is_exchanged,
     a_spent_token_that_is_shown_again_and_again_does_not_fill_the_log,
     a_genuine_token_that_is_presented_dishonestly_enrols_nobody,
     what_is_not_signed_is_refused_by_name_and_can_be_signed, a_node_is_revoked_and_readmitted_without_a_signal,
     a_key_of_a_signed_entry_is_changed_with_the_enrolment_key_alone,
     a_roster_that_cannot_be_written_is_an_alarm_and_enrolment_waits, strangers_that_knock_and_knock_hold_nobody_up)
