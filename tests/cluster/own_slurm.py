"""A real Slurm of one node on this machine, for tests: started, and stopped by the process ids it wrote."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

CONFIGURATION = Path("/etc/slurm/slurm.conf")
CLUSTER = "codsatests"
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scancel")
TEMPLATE = """\
ClusterName={cluster}
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
MinJobAge=900
KillWait=5
InactiveLimit=0
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:2 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=03:00:00 PriorityTier=1 GraceTime=5 State=UP
PartitionName=gpu Nodes={host} MaxTime=03:00:00 PriorityTier=1 GraceTime=5 State=UP
PartitionName=urgent Nodes={host} MaxTime=03:00:00 PriorityTier=10 PreemptMode=off State=UP
"""


def missing() -> str | None:
    """Say why Slurm cannot be started here, or None where it can."""
    if os.geteuid() != 0:
        return "only root can start the daemons"
    search = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    absent = [name for name in PROGRAMS if shutil.which(name, path=search) is None]
    if absent:
        return f"{', '.join(absent)} not installed (apt-get install --no-install-recommends slurm-wlm munge)"
    if CONFIGURATION.exists() and f"ClusterName={CLUSTER}" not in CONFIGURATION.read_text():
        return f"{CONFIGURATION} is another cluster's"
    return None


def start(folder: Path) -> None:
    """Start munge, the controller and the node, and wait until the node is idle."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    os.environ.pop("SLURM_CONF", None)
    host = socket.gethostname().split(".")[0]
    kilobytes = int(Path("/proc/meminfo").read_text().split()[1])
    values = {"cluster": CLUSTER, "host": host, "folder": folder, "cpus": os.cpu_count()}
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    CONFIGURATION.parent.mkdir(exist_ok=True)
    CONFIGURATION.write_text(TEMPLATE.format(**values, memory=kilobytes // 1024 - 512))
    for i in range(2):  # devices that hold nothing, so that there is something to allot
        os.mknod(folder / f"gpu{i}", 0o020666, os.makedev(1, 3))
    (CONFIGURATION.parent / "gres.conf").write_text(f"NodeName={host} Name=gpu File={folder}/gpu[0-1]\n")
    (CONFIGURATION.parent / "cgroup.conf").write_text("CgroupAutomount=no\n")
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


def stop(folder: Path) -> None:
    """Cancel what is left and end the daemons that `start` started."""
    command("scancel", "--user=root")
    for name in ("slurmd", "slurmctld"):
        path = folder / f"{name}.pid"
        if path.exists():
            pid = int(path.read_text())
            os.kill(pid, signal.SIGTERM)
            wait(lambda pid=pid: not Path(f"/proc/{pid}").exists(), 20)
    CONFIGURATION.unlink(missing_ok=True)


def command(*words: str) -> str:
    """Return what a command of Slurm prints."""
    return subprocess.run(words, capture_output=True, text=True, timeout=60).stdout


def jobs(states: str = "all") -> list[dict[str, str]]:
    """Return the jobs that Slurm knows of, the oldest first."""
    lines = command("squeue", "-h", f"--states={states}", "--sort=i", "-o", "%i|%T|%l|%b|%k|%P").splitlines()
    names = ("id", "state", "limit", "gres", "comment", "partition")
    return [dict(zip(names, line.split("|"), strict=True)) for line in lines]


def wait(done: object, seconds: float) -> None:
    """Wait until something holds; a `TimeoutError` where it does not in time."""
    end = time.monotonic() + seconds
    while not done():  # type: ignore[operator]
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.1)
