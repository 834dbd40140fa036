"""Studies on a real Slurm, disturbed in every way that a cluster knows: they end in the bytes of an undisturbed run.

`make test-cluster`, as root. The tests share one Slurm and one prepared study, of which each has a copy.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import own_slurm as slurm
import pytest
import survivor
from safetensors import safe_open
from studies import LONG, digests, ended, finish, job_of, on_slurm, said, snakemake, state, write

pytestmark = pytest.mark.cluster
PART = "results/toy/rep~0/gen~survivor.Survivor/r~0.5"
GENERATOR, POOL = f"{PART}/generator", f"{PART}/pool/shard-0000-of-0001.json"
STUDY: dict[str, Any] = {
    "name": "toy",
    "controls": [],
    "further_estimators": {},
    "replicates": 1,
    "data": {"simulation": {"name": "imbalanced-classification", "minority": 300, "majority": 600}},
    "split": {"validation": 100, "test": 100},
    "methods": [{"name": "codsa", "generator": "survivor:Survivor"}],
    "grid": {"r": [0.5], "m": [1.0], "alpha": ["balance"]},
    "generators": {"survivor:Survivor": {"steps": 400, "batch": 64, "width": 32, "depth": 1, "labels": "denoiser"}},
    "estimator": {"name": "logistic"},
}


def trained(folder: Path) -> dict[str, str]:
    """The bytes of the generator."""
    found = digests(folder, GENERATOR)
    assert len(found) >= 3
    return found


def training_log(folder: Path) -> str:
    return (folder / PART / "logs/train.log").read_text()


def step_of_checkpoint(folder: Path) -> int:
    found = list((folder / PART).glob("generator.checkpoints/*/denoiser.safetensors"))
    if not found:
        return 0
    with safe_open(found[0], framework="pt") as file:
        return int(json.loads(file.metadata()["facts"])["step"])


def copied(folder: Path, to: Path) -> Path:
    """Copy a study without what its runs have said."""
    return shutil.copytree(folder, to, ignore=shutil.ignore_patterns("run-*.log"))


@pytest.fixture(scope="module")
def prepared(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with its data and split."""
    folder = write(tmp_path_factory.mktemp("prepared"), STUDY)
    finish(snakemake(folder, "--cores", "1", "results/toy/rep~0/split.parquet"), folder)
    return folder


@pytest.fixture(scope="module")
def whole(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with generator and pool, made on this machine without any disturbance."""
    folder = copied(prepared, tmp_path_factory.mktemp("whole") / "study")
    finish(snakemake(folder, "--cores", "1", POOL), folder)
    assert "resumed" not in training_log(folder)
    return folder


@pytest.fixture
def study(prepared: Path, tmp_path: Path) -> Path:
    return copied(prepared, tmp_path / "study")


@pytest.fixture(scope="module")
def timed_out(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A run whose training hangs; begun first and looked at last, since Slurm's shortest limit is a minute."""
    folder = copied(prepared, tmp_path_factory.mktemp("timeout") / "study")
    limits = ["--set-resources", "train_generator:runtime=attempt"]
    more = {"SURVIVOR_MARKER": str(folder / "held"), "SURVIVOR_MODE": "hang"}
    return folder, on_slurm(folder, GENERATOR, *limits, **more)


def started_and_held(folder: Path, target: str = GENERATOR) -> subprocess.Popen[str]:
    """Start a run and wait until its training is in the middle and slow."""
    marker = folder / "held"
    run = on_slurm(folder, target, SURVIVOR_MARKER=str(marker), SURVIVOR_MODE="slow")
    slurm.wait(lambda: marker.exists() or run.poll() is not None, LONG)
    assert run.poll() is None, said(folder)[-3000:]
    return run


@pytest.mark.short
def test_a_second_run_is_refused_and_a_preempted_job_goes_on(whole: Path, study: Path) -> None:
    run = started_and_held(study)
    job = job_of(study)
    second = on_slurm(study, GENERATOR)
    assert ended(second, study) != 0 and "locked" in said(study), said(study)[-3000:]
    slurm.command("sbatch", "-p", "urgent", "--exclusive", "-t", "1", "-o", "/dev/null", "--wrap", "sleep 1")
    slurm.wait(lambda: state(job) == "PENDING", LONG)
    slurm.command("scontrol", "update", f"JobId={job}", "StartTime=now")  # Slurm would let it wait two minutes
    finish(run, study, 0)
    assert "resumed from step 1" in training_log(study)
    assert said(study, 0).count("has been submitted") == 1, "Slurm itself has started it again"
    assert trained(study) == trained(whole)


def test_sigterm_writes_a_checkpoint_in_five_seconds(timed_out: Any, whole: Path, study: Path) -> None:
    run = started_and_held(study)
    assert step_of_checkpoint(study) == survivor.CHECKED
    slurm.command("scancel", "--signal=TERM", job_of(study))
    began, seen = time.monotonic(), survivor.CHECKED
    while seen == survivor.CHECKED and time.monotonic() - began < 5:
        seen = step_of_checkpoint(study)
    assert survivor.HELD_AT < seen < survivor.CHECKED + 20, "no checkpoint within 5 s, or a regular one"
    slurm.command("scancel", "--signal=KILL", job_of(study))
    finish(run, study)
    assert "Trying to restart job" in said(study)
    assert "resumed from step 1" in training_log(study)
    assert trained(study) == trained(whole)


def test_ctrl_c_cancels_and_a_restart_makes_what_is_missing(whole: Path, study: Path) -> None:
    run = started_and_held(study, POOL)
    job = job_of(study)
    assert state(job) == "RUNNING"
    run.send_signal(signal.SIGINT)
    assert ended(run, study) != 0
    slurm.wait(lambda: state(job) == "CANCELLED", 60)
    finish(on_slurm(study, POOL, SURVIVOR_MARKER=str(study / "held")), study)
    assert "Giving every row" not in said(study) and "Preparing" not in said(study)
    assert "resumed from step 1" in training_log(study)
    assert digests(study) == digests(whole)


def test_a_full_disk_leaves_nothing_half_written(whole: Path, study: Path) -> None:
    disk = study / PART
    disk.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("NOT TESTED: no tmpfs can be mounted here")
    try:
        assert ended(on_slurm(study, GENERATOR, "--retries", "0"), study) != 0
        assert "No space left on device" in training_log(study)
        assert not (study / GENERATOR).exists() and not list(disk.rglob("*.part"))
        subprocess.run(["mount", "-o", "remount,size=50M", disk], check=True)
        finish(on_slurm(study, GENERATOR), study)
        assert trained(study) == trained(whole)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=False)


def test_a_truncated_artefact_is_found_and_made_again(whole: Path, tmp_path: Path) -> None:
    folder = copied(whole, tmp_path / "study")
    weights = folder / GENERATOR / "denoiser.safetensors"
    os.truncate(weights, 1000)
    assert ended(on_slurm(folder, POOL, "--forcerun", "sample"), folder) != 0
    assert "denoiser.safetensors: truncated or edited" in said(folder)
    assert "has been submitted" not in said(folder) and not (folder / GENERATOR).exists()
    assert f"type the same command again with --forcerun '{GENERATOR}' to" in said(folder)
    finish(on_slurm(folder, POOL, "--forcerun", GENERATOR), folder)
    assert digests(folder) == digests(whole)


def test_gpus_are_allotted_and_missing_ones_are_named(study: Path) -> None:
    write(study, {**STUDY, "gpus": 3})
    assert ended(on_slurm(study, GENERATOR), study) != 0
    assert "gpus: 3 was asked for, but no node of the default partition has more than 2" in said(study)
    assert "has been submitted" not in said(study)
    write(study, {**STUDY, "gpus": 2})
    run = on_slurm(study, GENERATOR, "--retries", "0", "--default-resources", "gpu_partition=gpu")
    assert ended(run, study) != 0, "the devices are none that torch could use"
    given = slurm.command("scontrol", "--oneliner", "show", "job", job_of(study)).split()
    assert {"Partition=gpu", "TresPerJob=gres:gpu:2", "NumNodes=1"} <= set(given), given
    assert "--gpus 2: torch sees 0 here" in training_log(study)


def test_a_timed_out_job_gets_more_time_and_resumes(timed_out: Any, whole: Path) -> None:
    folder, run = timed_out
    finish(run, folder)
    jobs = [one for one in slurm.jobs() if f"SLURM jobid {one['id']} " in said(folder)]
    assert [one["state"] for one in jobs] == ["TIMEOUT"] * (len(jobs) - 1) + ["COMPLETED"] and len(jobs) > 1
    assert [one["limit"] for one in jobs] == [f"{attempt + 1}:00" for attempt in range(len(jobs))]
    assert f"resumed from step {survivor.CHECKED}" in training_log(folder)
    assert trained(folder) == trained(whole)
