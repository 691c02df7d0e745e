"""Start and end a Slurm cluster of two nodes on this machine, with all of its files in one temporary folder.

Each node has the host name n1 or n2, and both names resolve on it. So jobs see two hosts, although both share one
machine and one file system. That takes root.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.helpers.nodes import NODES, on_node, require_root, write_hosts

__all__ = ["SlurmCluster", "slurm_cluster"]

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun")
PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"])
"""Where programs are searched; Debian installs the daemons in a folder that not every user has in PATH."""
SLURM = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
AuthInfo=socket={folder}/munge.socket,cred_expire=10
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=2
KillWait=2
MailProg=/bin/true
GresTypes=gpu
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{second}] CPUs=64 RealMemory=256000 Gres=gpu:4
PartitionName=gpu Nodes=ALL Default=YES MaxTime=INFINITE LLN=YES
"""
"""Content of slurm.conf. `config_overrides` lets two cores stand for the 64 of a node.

A requeued job waits until its credential has expired; `cred_expire` makes that 10 s instead of 120 s. `KillWait` is the
time between SIGTERM and SIGKILL: 2 s instead of 30 s. `LLN` gives the next job to the node with less load.
"""
GPUS = "".join(f"NodeName=n[1-2] Name=gpu File=/dev/{device}\n" for device in ("null", "zero", "full", "random"))
"""Content of gres.conf. Slurm counts these devices, which every machine has, as GPUs."""
START = 60.0
"""Seconds within which the cluster must be ready."""


@dataclass
class SlurmCluster:
    """A running cluster."""

    folder: Path
    """Folder of its configuration, state and logs."""
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def environment(self, given: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return an environment in which Slurm's commands, also those of a job, speak to this cluster."""
        return {**given, "PATH": PATH, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def call(self, *words: str) -> str:
        """Run one of Slurm's commands, and return what it printed."""
        done = subprocess.run(words, env=self.environment(), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"status {done.returncode} of {' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def states(self) -> dict[str, str]:
        """Return the states of all jobs that the controller still knows, by the ids that submitit uses."""
        lines = self.call("squeue", "--noheader", "--array", "--states=all", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    def process_of(self, job: str) -> psutil.Process:
        """Return the Python process of a running element of an array, which submitit has started.

        Args:
            job: id of the job, `ARRAY_INDEX`.

        Raises:
            AssertionError: there is none.
        """
        array, _, index = job.partition("_")
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                line, found = process.cmdline(), process.environ()
                if "submitit.core._submit" not in line or "srun" in Path(line[0]).name:
                    continue
                ours = found.get("SLURM_CONF") == str(self.folder / "slurm.conf")
                if ours and (found.get("SLURM_ARRAY_JOB_ID"), found.get("SLURM_ARRAY_TASK_ID")) == (array, index):
                    return process
        raise AssertionError(f"expected a process of job {job}, found none")

    def logs(self) -> str:
        """Return the ends of the daemons' logs, for the message of a failure."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{path.name}:\n{path.read_text(errors='replace')[-2000:]}" for path in logs)


@contextmanager
def slurm_cluster() -> Iterator[SlurmCluster]:
    """Run a cluster of the nodes n1 and n2, which have 64 processors, 256 GB and 4 GPUs each by what they declare.

    At the end, its jobs are cancelled, and exactly the daemons that were started are ended.

    Raises:
        AssertionError: a program is missing, the user is not root, or the cluster does not become ready.
    """
    missing = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    assert not missing, (
        f"no {', '.join(missing)}: install them (Debian: apt-get install munge slurmctld slurmd slurm-client)"
    )
    require_root()
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # a short path, because that of a socket is limited
    folder.chmod(0o755)  # munged refuses a socket that other users cannot reach
    cluster = SlurmCluster(folder)
    try:
        _configure(folder)
        _start(cluster)
        yield cluster
    finally:
        _end(cluster)
        shutil.rmtree(folder)


def _configure(folder: Path) -> None:
    controller, first, second = _ports()
    text = SLURM.format(folder=folder, host=socket.gethostname(), controller=controller, first=first, second=second)
    (folder / "slurm.conf").write_text(text)
    (folder / "gres.conf").write_text(GPUS)
    (folder / "state").mkdir()
    (folder / "munge.key").write_bytes(secrets.token_bytes(64))
    (folder / "munge.key").chmod(0o400)


def _ports() -> tuple[int, int, int]:
    """Return three free ports in a row."""
    for first in range(17001, 18001, 3):
        with suppress(OSError):
            for port in range(first, first + 3):
                with socket.socket() as tried:
                    tried.bind(("", port))
            return first, first + 1, first + 2
    raise AssertionError("expected three free ports in a row from 17001 to 18000, found none")


def _start(cluster: SlurmCluster) -> None:
    folder = cluster.folder
    munge = [f"--{kind}-file={folder}/munge.{end}" for kind, end in (("key", "key"), ("pid", "pid"), ("seed", "seed"))]
    _daemon(cluster, "munged", "--foreground", f"--socket={folder}/munge.socket", *munge)
    _wait_for(cluster, lambda: (folder / "munge.socket").exists())
    _daemon(cluster, "slurmctld", "-D")
    hosts = write_hosts(folder)
    for name in NODES:
        _daemon(cluster, *on_node(hosts, name), "slurmd", "-D", "-N", name)
    _wait_for(cluster, lambda: _nodes(cluster) == ["idle", "idle"])


def _daemon(cluster: SlurmCluster, *words: str) -> None:
    """Start a program that keeps the process id of its start until it ends."""
    with (cluster.folder / f"output.{len(cluster.daemons)}.log").open("wb") as file:
        cluster.daemons.append(
            subprocess.Popen(
                words,
                env=cluster.environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,  # so that Ctrl-C in the terminal of the tests does not reach it
            )
        )


def _nodes(cluster: SlurmCluster) -> list[str]:
    """Return the state of each node; none while the controller does not answer."""
    words = ["sinfo", "--noheader", "--Node", "--format=%T"]
    done = subprocess.run(words, env=cluster.environment(), capture_output=True, text=True, timeout=60)
    return done.stdout.split()


def _wait_for(cluster: SlurmCluster, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START
    while not ready():
        ended = [daemon.args for daemon in cluster.daemons if daemon.poll() is not None]
        assert not ended, f"ended at its start: {ended}\n{cluster.logs()}"
        assert time.monotonic() < deadline, f"the cluster was not ready in {START:.0f} s\n{cluster.logs()}"
        time.sleep(0.2)


def _end(cluster: SlurmCluster) -> None:
    """Cancel all jobs, wait until they have ended, and end the daemons in the reverse order of their start."""
    with suppress(AssertionError, subprocess.TimeoutExpired):  # the controller may be dead
        cluster.call("scancel", "--user=root")
        deadline = time.monotonic() + START
        while cluster.call("squeue", "--noheader") and time.monotonic() < deadline:
            time.sleep(0.2)
    for daemon in reversed(cluster.daemons):
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(timeout=30)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
