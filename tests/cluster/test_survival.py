"""Studies on a real Slurm, disturbed in every way that a cluster knows: they end in the bytes of an undisturbed run.

`make test-cluster`, as root. The tests share one Slurm and one prepared study, of which each has a copy.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors import safe_open

sys.path.insert(0, str(Path(__file__).parent))
import own_slurm as slurm
import survivor

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
PART = "results/toy/rep~0/gen~survivor.Survivor/r~0.5"
GENERATOR, POOL = f"{PART}/generator", f"{PART}/pool/shard-0000-of-0001.json"
STUDY: dict[str, Any] = {
    "name": "toy",
    "replicates": 1,
    "data": {"simulation": {"name": "imbalanced-classification", "minority": 300, "majority": 600}},
    "split": {"validation": 100, "test": 100},
    "methods": [{"name": "codsa", "generator": "survivor:Survivor"}],
    "grid": {"r": [0.5], "m": [1.0], "alpha": ["balance"]},
    "generators": {"survivor:Survivor": {"steps": 200, "batch": 64, "width": 32, "depth": 1, "labels": "denoiser"}},
    "estimator": {"name": "logistic"},
}
QUICK = ["--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10"]


def environment(**more: str) -> dict[str, str]:
    paths = f"{Path(__file__).parent}:{ROOT}"
    return {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **more}


def snakemake(folder: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    command = [str(BIN / "snakemake"), "-s", str(ROOT / "Snakefile"), "--directory", str(folder), *arguments]
    with (folder / f"run-{len(list(folder.glob('run-*')))}.log").open("w") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment(**more))


def on_slurm(folder: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    return snakemake(folder, "--profile", str(ROOT / "slurm"), *QUICK, *arguments, **more)


def said(folder: Path) -> str:
    """What the last run printed."""
    return sorted(folder.glob("run-*"))[-1].read_text(errors="replace")


def ended(run: subprocess.Popen[str], folder: Path, seconds: float = 900) -> int:
    try:
        return run.wait(seconds)
    except subprocess.TimeoutExpired:
        run.kill()
        raise AssertionError(f"no end within {seconds} s: {said(folder)[-3000:]}") from None


def digests(folder: Path) -> dict[str, str]:
    """The bytes of the generator and its pool, but for logs and times."""
    files = [p for p in (folder / PART).rglob("*") if p.suffix in (".json", ".parquet", ".safetensors", ".csv")]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def step_of_checkpoint(folder: Path) -> int:
    found = list((folder / PART).glob("generator.work/*/denoiser.safetensors"))
    if not found:
        return 0
    with safe_open(found[0], framework="pt") as file:
        return int(json.loads(file.metadata()["facts"])["step"])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    reason = slurm.missing()
    if reason is not None:
        pytest.skip(f"NO SLURM, NOTHING WAS TESTED: {reason}")
    folder = tmp_path_factory.mktemp("slurm")
    slurm.start(folder)
    yield
    slurm.stop(folder)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with its data and split."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "toy.yaml").write_text(yaml.safe_dump(STUDY))
    (folder / "config.yaml").write_text(yaml.safe_dump({"experiments": ["toy.yaml"], "container": "none"}))
    assert ended(snakemake(folder, "--cores", "1", "results/toy/rep~0/split.parquet"), folder) == 0, said(folder)
    return folder


@pytest.fixture(scope="module")
def whole(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with generator and pool, made on this machine without any disturbance."""
    folder = shutil.copytree(prepared, tmp_path_factory.mktemp("whole") / "study")
    assert ended(snakemake(folder, "--cores", "1", POOL), folder) == 0, said(folder)
    assert len(digests(folder)) >= 5
    return folder


@pytest.fixture
def study(prepared: Path, tmp_path: Path) -> Path:
    return shutil.copytree(prepared, tmp_path / "study")


@pytest.fixture(scope="module")
def timed_out(cluster: None, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A run whose training hangs; begun first and looked at last, since Slurm's shortest limit is a minute."""
    folder = shutil.copytree(prepared, tmp_path_factory.mktemp("timeout") / "study")
    limits = ["--set-resources", "train_generator:runtime=attempt"]
    more = {"SURVIVOR_MARKER": str(folder / "held"), "SURVIVOR_MODE": "hang"}
    return folder, on_slurm(folder, GENERATOR, *limits, **more)


def started_and_held(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a run and wait until its training is in the middle and slow."""
    marker = folder / "held"
    run = on_slurm(folder, POOL, *arguments, SURVIVOR_MARKER=str(marker), SURVIVOR_MODE="slow")
    slurm.wait(marker.exists, 600)
    return run


def job_of(folder: Path) -> str:
    """The Slurm job of a run: the number of the log that it named last."""
    return said(folder).rpartition("SLURM jobid ")[2].split()[0]


def state(job: str) -> str:
    return next((one["state"] for one in slurm.jobs() if one["id"] == job), "")


def test_sigterm_writes_a_checkpoint_in_five_seconds(timed_out: Any, whole: Path, study: Path) -> None:
    run = started_and_held(study)
    assert step_of_checkpoint(study) == 100
    began = time.monotonic()
    slurm.command("scancel", "--signal=TERM", job_of(study))
    seen = [100]
    slurm.wait(lambda: seen.append(step_of_checkpoint(study)) or seen[-1] > 100, 5)
    assert time.monotonic() - began <= 5
    assert survivor.HELD_AT < seen[-1] < 110, "not a regular checkpoint"
    slurm.command("scancel", "--signal=KILL", job_of(study))
    assert ended(run, study) == 0, said(study)[-3000:]
    assert "Trying to restart job" in said(study)
    assert "resumed from step 1" in (study / PART / "logs/train.log").read_text()
    assert digests(study) == digests(whole)


def test_a_preempted_job_is_requeued_and_goes_on(cluster: None, whole: Path, study: Path) -> None:
    run = started_and_held(study, "--retries", "0")
    job = job_of(study)
    slurm.command("sbatch", "-p", "urgent", "--exclusive", "-t", "1", "-o", "/dev/null", "--wrap", "sleep 3")
    slurm.wait(lambda: state(job) in ("PREEMPTED", "PENDING", "REQUEUED"), 120)
    assert ended(run, study) == 0, said(study)[-3000:]
    assert "resumed from step 1" in (study / PART / "logs/train.log").read_text()
    assert said(study).count("has been submitted") == 1, "Slurm itself has started it again"
    assert digests(study) == digests(whole)


def test_ctrl_c_cancels_and_a_restart_makes_what_is_missing(cluster: None, whole: Path, study: Path) -> None:
    run = started_and_held(study)
    job = job_of(study)
    second = on_slurm(study, POOL)
    assert ended(second, study) != 0 and "lock" in said(study).lower(), "two runs in one folder"
    (study / "run-2.log").unlink()
    assert state(job) == "RUNNING"
    run.send_signal(signal.SIGINT)
    assert ended(run, study) != 0
    slurm.wait(lambda: state(job) == "CANCELLED", 30)
    again = on_slurm(study, POOL, SURVIVOR_MARKER=str(study / "held"))
    assert ended(again, study) == 0, said(study)[-3000:]
    assert "rule split" not in said(study) and "rule prepare" not in said(study)
    assert digests(study) == digests(whole)


def test_a_full_disk_leaves_nothing_half_written(cluster: None, whole: Path, study: Path) -> None:
    disk = study / PART
    disk.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("NOT TESTED: no tmpfs can be mounted here")
    try:
        run = on_slurm(study, POOL, "--retries", "0")
        assert ended(run, study) != 0
        assert "No space left on device" in (study / PART / "logs/train.log").read_text()
        assert not (study / GENERATOR).exists() and not list((study / PART).rglob("*.part"))
        subprocess.run(["mount", "-o", "remount,size=50M", disk], check=True)
        again = on_slurm(study, POOL)
        assert ended(again, study) == 0, said(study)[-3000:]
        assert digests(study) == digests(whole)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=False)


def test_a_truncated_artefact_is_found_and_made_again(cluster: None, whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "study")
    weights = folder / GENERATOR / "denoiser.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert ended(on_slurm(folder, POOL, "--forcerun", "sample"), folder) != 0
    assert "denoiser.safetensors: truncated or edited" in said(folder) and "has been submitted" not in said(folder)
    assert not (folder / GENERATOR).exists()
    assert ended(on_slurm(folder, POOL), folder) == 0, said(folder)[-3000:]
    assert digests(folder) == digests(whole)


def test_gpus_are_allotted_and_missing_ones_are_named(cluster: None, study: Path) -> None:
    (study / "toy.yaml").write_text(yaml.safe_dump({**STUDY, "gpus": 3}))
    assert ended(on_slurm(study, POOL), study) != 0
    assert "gpus: 3 was asked for, but no node of the cluster has more than 2" in said(study)
    assert "has been submitted" not in said(study)
    (study / "toy.yaml").write_text(yaml.safe_dump({**STUDY, "gpus": 2}))
    run = on_slurm(study, POOL, "--retries", "0", "--default-resources", "gpu_partition=gpu")
    assert ended(run, study) != 0, "the devices are none that torch could use"
    job = next(one for one in slurm.jobs() if one["id"] == job_of(study))
    assert job["partition"] == "gpu" and "gpu:2" in job["gres"]
    assert "--gpus 2: torch sees 0 here" in (study / PART / "logs/train.log").read_text()


def test_a_timed_out_job_gets_more_time_and_resumes(timed_out: Any, whole: Path) -> None:
    folder, run = timed_out
    assert ended(run, folder) == 0, said(folder)[-3000:]
    jobs = [one for one in slurm.jobs() if one["id"] in said(folder)]
    limits = [(one["state"], one["limit"]) for one in jobs if "generator-toy" in one["comment"]]
    assert ("TIMEOUT", "1:00") in limits and ("COMPLETED", "2:00") in limits, limits
    assert "resumed from step 100" in (folder / PART / "logs/train.log").read_text()
    expected = {name: digest for name, digest in digests(whole).items() if name.startswith(GENERATOR)}
    assert digests(folder) == expected
