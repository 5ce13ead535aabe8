"""Slurm of this machine, as two hosts: deploy/slurm/fedavg.sbatch runs a coordinator and nodes as steps of a real job, comes to
the model of a single machine, and goes on after whatever ends it.

Not in the default suite: `deploy/test --cluster`. Needs Debian's slurmctld, slurmd, slurm-client and munge."""
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess

import house
from house import check

BATCH = house.ROOT / "deploy" / "slurm" / "fedavg.sbatch"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "scancel", "sinfo")
HOSTS = ("n1", "n2")
ROUNDS = 60
os.environ["PATH"] += ":/usr/sbin:/sbin"


def find_programs():
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        house.skip(f"slurm: no {', '.join(missing)}; as root: apt-get install slurmctld slurmd slurm-client munge")


class Cluster(house.Scene):
    """A cluster of its own in a directory: its daemons end with this process."""

    def __enter__(self):
        host, user, ports = socket.gethostname(), pwd.getpwuid(os.getuid()).pw_name, house.free_ports(1 + len(HOSTS))
        self.dir.chmod(0o755)  # munged does not trust a path that others cannot look into
        for name in ("state", "spool"):
            (self.dir / name).mkdir()
        (self.dir / "munge.key").write_bytes(os.urandom(64))
        (self.dir / "munge.key").chmod(0o600)
        settings = {
            "ClusterName": "house", "SlurmctldHost": f"{host}(127.0.0.1)", "SlurmctldPort": ports[0], "SlurmUser": user,
            "SlurmdUser": user, "AuthType": "auth/munge", "AuthInfo": f"socket={self.dir}/munge.socket",
            "CredType": "cred/munge", "StateSaveLocation": self.dir / "state", "SlurmdSpoolDir": f"{self.dir}/spool/%n",
            "SlurmctldPidFile": self.dir / "slurmctld.pid", "SlurmdPidFile": f"{self.dir}/slurmd-%n.pid",
            "ProctrackType": "proctrack/linuxproc", "TaskPlugin": "task/affinity", "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_Core", "KillWait": 2, "MpiDefault": "none", "SchedulerType": "sched/builtin",
            "ReturnToService": 2, "PartitionName": f"all Nodes={','.join(HOSTS)} Default=YES State=UP",
        }
        lines = [f"{key}={value}" for key, value in settings.items() if key != "PartitionName"]
        lines += [f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={os.cpu_count()}"
                  for name, port in zip(HOSTS, ports[1:])]
        (self.dir / "slurm.conf").write_text("\n".join([*lines, f"PartitionName={settings['PartitionName']}"]) + "\n")
        os.environ["SLURM_CONF"] = str(self.dir / "slurm.conf")
        self.start(shutil.which("munged"), "--foreground", "--force", f"--key-file={self.dir}/munge.key",
                   f"--socket={self.dir}/munge.socket", f"--pid-file={self.dir}/munged.pid",
                   f"--seed-file={self.dir}/munge.seed")
        self.until((self.dir / "munge.socket").exists)
        self.start(shutil.which("slurmctld"), "-D", "-c")
        self.hosts = {name: self.start(shutil.which("slurmd"), "-D", "-v", "-N", name) for name in HOSTS}
        self.until(lambda: self.slurm("sinfo", "--noheader", "--states=idle", "--format=%D", check=False).strip() == "2")
        return self

    def __exit__(self, *how):
        self.slurm("scancel", f"--user={pwd.getpwuid(os.getuid()).pw_name}", check=False)
        return super().__exit__(*how)

    def until(self, holds):
        try:
            super().until(holds)
        except house.Failed as failure:
            said = [line for log in self.dir.glob("*.log") for line in log.read_text().splitlines()[-8:]]
            raise house.Failed(f"{failure}: {said} {self.slurm('squeue', check=False)}") from None

    def slurm(self, *words, check=True):
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, env=self.environment())
        if check and done.returncode != 0:
            raise house.Failed(f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def environment(self):
        return {**os.environ, "FEDAVG_BIN": str(house.BIN), "FEDAVG_HOST": "127.0.0.1"}

    def submit(self, task, run, log, *options):
        answer = self.slurm("sbatch", "--parsable", f"--output={self.dir / log}", "--cpus-per-task=1", BATCH, task,
                            self.dir / run, "--json", *options)
        return answer.split(";")[0].strip()

    def said(self, log):
        """Events and other lines of a job; requeued, it appends to the same log."""
        path = pathlib.Path(self.dir / log)
        lines = path.read_text().splitlines() if path.exists() else []
        events = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return events, [line for line in lines if not line.startswith("{")]

    def last_round(self, log):
        return max((event["round"] for event in self.said(log)[0] if event["event"] == "round"), default=0)

    def count(self, log, kind):
        return sum(event["event"] == kind for event in self.said(log)[0])

    def state(self, job):
        shown = self.slurm("scontrol", "show", "job", job, "--oneliner", check=False)
        return next((word.removeprefix("JobState=") for word in shown.split() if word.startswith("JobState=")), "GONE")

    def nudge(self, job):
        """A requeued job waits for minutes by itself; nobody here needs to."""
        if self.state(job) == "PENDING":
            self.slurm("scontrol", "update", f"JobId={job}", "StartTime=now", check=False)


def clients_of(run):
    return [pid for pid in house.children(None, "fedavg-client") if str(run) in
            pathlib.Path(f"/proc/{pid}/cmdline").read_text()]


def models(events):
    return {event["round"]: event["model"] for event in events if event["event"] == "round"}


def two_hosts_come_to_the_models_of_one_and_leave_nothing():
    with Cluster(train=1000, test=200) as cluster:
        task = cluster.task(algorithm={"rounds": 40})  # long enough for both hosts to have a part in it
        alone = cluster.result(task, "alone")
        job = cluster.submit(task, "far", "far.log")
        cluster.until(lambda: cluster.state(job) in ("COMPLETED", "FAILED"))
        events, words = cluster.said("far.log")
        check(cluster.state(job) == "COMPLETED", f"{cluster.state(job)}: {words}")
        check(models(events) == alone.models, f"{models(events)}, not {alone.models}")
        check(not words, f"beside its events the job says {words}")
        for name, host in cluster.hosts.items():
            host.wait_log("aunch task")  # Slurm's own words: each host had a step
        left = [path.name for path in (cluster.dir / "far").iterdir() if path.name.startswith("simulate.")]
        check(not left, f"keys are left behind: {left}")


def however_a_job_is_ended_the_run_goes_on():
    with Cluster(train=1000, test=200) as cluster:
        task = cluster.task(algorithm={"rounds": ROUNDS, "epochs": 5}, hidden=128)
        alone = cluster.result(task, "alone", nodes=2)
        job = cluster.submit(task, "far", "far.log")

        def goes_on(rounds, stop):
            goal = cluster.last_round("far.log") + rounds
            cluster.until(lambda: cluster.last_round("far.log") >= goal)
            resumed = cluster.count("far.log", "resume")
            stop()
            cluster.until(lambda: cluster.nudge(job) or cluster.count("far.log", "resume") > resumed)

        goes_on(2, lambda: cluster.slurm("scontrol", "requeue", job))
        goes_on(2, lambda: cluster.slurm("scancel", "--batch", "--signal=USR1", job))  # as Slurm does near the time limit
        check(any("time limit is near" in line for line in cluster.said("far.log")[1]), "it does not say why it is requeued")

        goal = cluster.last_round("far.log") + 2
        cluster.until(lambda: cluster.last_round("far.log") >= goal and clients_of(cluster.dir / "far"))
        os.kill(clients_of(cluster.dir / "far")[0], signal.SIGKILL)
        cluster.until(lambda: any("starting it again" in line for line in cluster.said("far.log")[1]))

        cluster.slurm("scancel", job)
        cluster.until(lambda: cluster.state(job) in ("CANCELLED", "GONE"))
        job = cluster.submit(task, "far", "again.log")
        cluster.until(lambda: cluster.state(job) in ("COMPLETED", "FAILED"))
        first, again = cluster.said("far.log")[0], cluster.said("again.log")[0]
        check(again and again[0]["event"] == "resume" and again[0]["round"] < ROUNDS, f"it did not go on: {again[:1]}")
        found = {**models(first), **models(again)}  # a round whose last moment was the job's may have had no time to be said
        other = [f"round {n}: {model}" for n, model in found.items() if model != alone.models[n]]
        check(not other and ROUNDS in found, f"other models than on one machine: {other}, of {sorted(found)}")
        print(f"  {ROUNDS} rounds, resumed {cluster.count('far.log', 'resume') + 1} times, the last model {again[-1]['model']}")


find_programs()
house.main(two_hosts_come_to_the_models_of_one_and_leave_nothing, however_a_job_is_ended_the_run_goes_on)
