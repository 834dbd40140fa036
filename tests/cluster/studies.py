"""How the cluster tests run a study, on Slurm or on this machine, and look at what came of it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import own_slurm as slurm
import yaml

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BIN = Path(sys.executable).parent
QUICK = (
    *("--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2"),
    *("--latency-wait", "10"),
)
SUFFIXES = (".json", ".parquet", ".safetensors", ".skops", ".csv", ".html")
LONG = 1800.0
"""Seconds that nothing here takes, even on a busy machine."""


def write(folder: Path, study: dict[str, Any], container: str = "none") -> Path:
    """Write a study and its configuration into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toy.yaml").write_text(yaml.safe_dump(study))
    (folder / "config.yaml").write_text(yaml.safe_dump({"experiments": ["toy.yaml"], "container": container}))
    return folder


def snakemake(folder: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    """Start Snakemake in a folder, with more in its environment."""
    command = [str(BIN / "snakemake"), "-s", str(ROOT / "Snakefile"), "--directory", str(folder), *arguments]
    paths = {"PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": f"{HERE}:{ROOT}", "OMP_NUM_THREADS": "1"}
    with (folder / f"run-{len(list(folder.glob('run-*')))}.log").open("w") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **paths, **more})


def on_slurm(folder: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    """Start a run by the Slurm profile."""
    return snakemake(folder, "--profile", str(ROOT / "slurm"), *QUICK, *arguments, **more)


def said(folder: Path, run: int = -1) -> str:
    """What the last run printed, or another one."""
    return sorted(folder.glob("run-*"))[run].read_text(errors="replace")


def ended(run: subprocess.Popen[str], folder: Path, number: int = -1) -> int:
    """Wait for a run and return its exit code."""
    try:
        return run.wait(LONG)
    except subprocess.TimeoutExpired:
        run.kill()
        raise AssertionError(f"no end within {LONG} s: {said(folder, number)[-3000:]}") from None


def finish(run: subprocess.Popen[str], folder: Path, number: int = -1) -> None:
    """Wait for a run that must succeed."""
    assert ended(run, folder, number) == 0, said(folder, number)[-4000:]


def digests(folder: Path, part: str = "results") -> dict[str, str]:
    """The bytes of all artefacts under a part of a study's folder, but for logs and times."""
    files = [path for path in (folder / part).rglob("*") if path.suffix in SUFFIXES]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def job_of(folder: Path, run: int = -1) -> str:
    """The Slurm job that a run named last."""
    return said(folder, run).rpartition("SLURM jobid ")[2].split()[0]


def state(job: str) -> str:
    """The state of a job."""
    return next((one["state"] for one in slurm.jobs() if one["id"] == job), "")
