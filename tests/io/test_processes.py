"""Training in several processes: two under gloo agree with one; SIGTERM leaves a checkpoint; mistakes are one line."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

COMMAND = Path(sys.executable).parent
SETTINGS = [f"--set={s}" for s in ("steps=120", "batch=64", "width=32", "depth=1")]
TOLERANCE = 1e-4
"""Of weights, relative to the largest of their tensor: sums of float32 gradients in another order, over 120 steps."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    simulation = ["simulation:imbalanced-classification", "--minority", "200", "--majority", "400"]
    for name, arguments in (
        ("codsa-prepare", [*simulation, "--out", str(folder / "data")]),
        ("codsa-split", ["--data", str(folder / "data"), "--out", str(folder / "split.parquet")]),
    ):
        subprocess.run([str(COMMAND / name), *arguments], check=True, capture_output=True)
    return folder


def train(folder: Path, out: Path, *arguments: str) -> list[str]:
    """The command, with the settings above where the arguments do not give others."""
    said = {word.partition("=")[0] for word in arguments}
    settings = [word for word in SETTINGS if word.removeprefix("--set=").partition("=")[0] not in said]
    given = ["--data", str(folder / "data"), "--split", str(folder / "split.parquet"), "--out", str(out), *settings]
    return [str(COMMAND / "codsa-train-gen"), *given, *arguments]


@pytest.fixture(scope="module")
def alone(prepared: Path) -> Path:
    subprocess.run(train(prepared, prepared / "alone"), check=True, capture_output=True)
    return prepared / "alone"


def test_two_processes_agree_with_one(prepared: Path, alone: Path) -> None:
    two = prepared / "two"
    subprocess.run(train(prepared, two, "--processes", "2"), check=True, capture_output=True)
    one_loss, two_loss = pd.read_csv(alone / "losses.csv"), pd.read_csv(two / "losses.csv")
    assert list(one_loss["step"]) == list(two_loss["step"])
    np.testing.assert_allclose(two_loss, one_loss, rtol=1e-4)
    expected, found = load_file(alone / "denoiser.safetensors"), load_file(two / "denoiser.safetensors")
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        np.testing.assert_allclose(
            found[name], tensor, rtol=0, atol=TOLERANCE * np.abs(tensor).max(initial=0), err_msg=name
        )
    parameters = [json.loads((folder / "manifest.json").read_text())["parameters"] for folder in (alone, two)]
    assert parameters[1] == {**parameters[0], "processes": 2}
    assert (two / "labels").is_dir() and not (prepared / "two.checkpoints").exists()


def test_a_batch_that_cannot_be_shared_is_refused(prepared: Path) -> None:
    command = train(prepared, prepared / "uneven", "--processes", "2", "--set", "batch=63")
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 2 and not (prepared / "uneven").exists()
    errors = [line for line in ended.stderr.splitlines() if line.startswith("error:")]
    assert errors == ["error: a batch of 63 cannot be shared evenly by 2 processes; change batch"]
    assert "Traceback" not in ended.stderr


def test_gpus_that_are_not_there_are_named(prepared: Path) -> None:
    ended = subprocess.run(train(prepared, prepared / "none", "--gpus", "99"), capture_output=True, text=True)
    assert ended.returncode == 2 and "error: --gpus 99: torch sees" in ended.stderr
    both = train(prepared, prepared / "none", "--gpus", "2", "--processes", "2")
    ended = subprocess.run(both, capture_output=True, text=True)
    assert ended.returncode == 2 and "--gpus and --processes: give one" in ended.stderr


@pytest.mark.parametrize("processes", [1, 2])
def test_sigterm_leaves_a_checkpoint_between_checks_and_a_restart_ends_alike(
    processes: int, prepared: Path, tmp_path: Path
) -> None:
    steps = ["--set", "steps=1600", "--processes", str(processes)]
    whole, broken = prepared / f"whole-{processes}", tmp_path / "broken"
    scratch = tmp_path / "broken.checkpoints"
    with subprocess.Popen(train(prepared, broken, *steps), stderr=subprocess.PIPE, text=True) as running:
        deadline = time.monotonic() + 300
        while not list(scratch.glob("*/denoiser.safetensors")) and time.monotonic() < deadline:
            time.sleep(0.01)
        running.send_signal(signal.SIGTERM)
        began = time.monotonic()
        _, told = running.communicate(timeout=60)
    assert time.monotonic() - began < 30
    assert running.returncode == 128 + signal.SIGTERM and "a checkpoint is written" in told
    with safe_open(next(scratch.glob("*/denoiser.safetensors")), framework="np") as file:
        step = json.loads(file.metadata()["facts"])["step"]
    assert step % 80 != 0 and f"SIGTERM at step {step}" in told
    resumed = subprocess.run(train(prepared, broken, *steps), check=True, capture_output=True, text=True)
    assert f"resumed from step {step}" in resumed.stderr
    subprocess.run(train(prepared, whole, *steps), check=True, capture_output=True)
    assert digests(broken) == digests(whole)


def digests(folder: Path) -> dict[str, str]:
    files = [p for p in folder.rglob("*") if p.is_file()]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
