"""A real Slurm of one node on this machine, for tests: started, and stopped by the process ids it wrote."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

HOME = Path("/etc/slurm")
FILES = ("slurm.conf", "gres.conf", "cgroup.conf")
MARK = "# Written by the tests of codsa, and removed at their end.\n"
LOCK = Path(tempfile.gettempdir()) / "codsa-test-slurm.lock"
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scancel")
SEARCH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
CPUS = os.cpu_count() or 1
"""What the node says it has."""
TEMPLATE = """\
ClusterName=codsatests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=26817
SlurmdPort=26818
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,requeue_delay=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MinJobAge=7200
KillWait=5
InactiveLimit=0
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:2 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=03:00:00 PriorityTier=1 State=UP
PartitionName=gpu Nodes={host} MaxTime=03:00:00 PriorityTier=1 State=UP
PartitionName=urgent Nodes={host} MaxTime=03:00:00 PriorityTier=10 PreemptMode=off State=UP
"""


def missing() -> str | None:
    """Say why Slurm cannot be started here, or None where it can."""
    if os.geteuid() != 0:
        return "only root can start the daemons"
    absent = [name for name in PROGRAMS if shutil.which(name, path=SEARCH) is None]
    if absent:
        return f"{', '.join(absent)} not installed (apt-get install --no-install-recommends slurm-wlm munge)"
    for name in FILES:
        if (HOME / name).exists() and not (HOME / name).read_text().startswith(MARK):
            return f"{HOME / name} is another cluster's"
    return None


def lock() -> IO[str] | None:
    """Take the one Slurm that a machine can have; None where another test run has it. It is free once closed."""
    file = LOCK.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def start(folder: Path) -> None:
    """Start munge, the controller and the node, and wait until the node is idle."""
    os.environ["PATH"] = SEARCH
    os.environ.pop("SLURM_CONF", None)
    stop()  # what a killed run has left
    host = socket.gethostname().split(".")[0]
    kilobytes = int(Path("/proc/meminfo").read_text().split()[1])
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    for i in range(2):  # devices that hold nothing, so that there is something to allot
        os.mknod(folder / f"gpu{i}", 0o020666, os.makedev(1, 3))
    values = {"host": host, "folder": folder, "cpus": CPUS, "memory": kilobytes // 1024 - 512}
    contents = (
        TEMPLATE.format(**values),
        f"NodeName={host} Name=gpu File={folder}/gpu[0-1]\n",
        "CgroupAutomount=no\n",
    )
    HOME.mkdir(exist_ok=True)
    for name, content in zip(FILES, contents, strict=True):
        (HOME / name).write_text(MARK + content)
    _munge()
    subprocess.run(["slurmctld"], check=True)
    subprocess.run(["slurmd", "-N", host], check=True)
    wait(lambda: "idle" in command("sinfo", "-h", "-o", "%T"), 60)


def _munge() -> None:
    if subprocess.run(["munge", "-n"], capture_output=True).returncode == 0:
        return
    for path, mode in (("/run/munge", 0o755), ("/var/lib/munge", 0o700), ("/var/log/munge", 0o700)):
        Path(path).mkdir(exist_ok=True)
        shutil.chown(path, "munge", "munge")
        os.chmod(path, mode)
    subprocess.run(["runuser", "-u", "munge", "--", "/usr/sbin/munged"], check=True)


def stop() -> None:
    """Cancel what is left and end the daemons that `start` started; munge stays."""
    if not (HOME / FILES[0]).exists():
        return
    subprocess.run(["scancel", "--user=root"], capture_output=True, timeout=60)
    text = (HOME / FILES[0]).read_text()
    for daemon, path in re.findall(r"^(Slurm\w+)PidFile=(.*)$", text, flags=re.MULTILINE):
        pid = int(Path(path).read_text()) if Path(path).exists() else 0
        running = Path(f"/proc/{pid}/comm")
        if pid and running.exists() and running.read_text().strip() == daemon.lower():
            os.kill(pid, signal.SIGTERM)
            wait(lambda at=running: not at.exists(), 30)  # type: ignore[misc]
    for name in FILES:
        (HOME / name).unlink(missing_ok=True)


def command(*words: str) -> str:
    """Return what a command of Slurm prints; it must succeed."""
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout


def jobs() -> list[dict[str, str]]:
    """Return all jobs that Slurm knows of, the oldest first, an array's tasks one by one."""
    lines = command("squeue", "-h", "--array", "--states=all", "--sort=i", "-o", "%i|%T|%l|%C").splitlines()
    return [dict(zip(("id", "state", "limit", "cpus"), line.split("|"), strict=True)) for line in lines]


def wait(done: Callable[[], object], seconds: float) -> None:
    """Wait until something holds; a `TimeoutError` where it does not in time."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.1)
