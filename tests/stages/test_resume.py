"""A training that is killed resumes where it was and ends in the same bytes, through the command itself."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time
from pathlib import Path

COMMAND = Path(sys.executable).parent
SETTINGS = [f"--set={s}" for s in ("steps=1500", "batch=64", "width=32", "depth=1")]


def train(data: Path, out: Path) -> list[str]:
    arguments = ["--data", str(data / "data"), "--split", str(data / "split.parquet"), "--out", str(out), *SETTINGS]
    return [str(COMMAND / "codsa-train-gen"), *arguments]


def digests(folder: Path) -> dict[str, str]:
    files = [p for p in folder.rglob("*") if p.is_file()]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_a_killed_command_ends_in_the_same_bytes(tmp_path: Path) -> None:
    simulation = ["simulation:imbalanced-classification", "--minority", "200", "--majority", "400"]
    for name, arguments in (
        ("codsa-prepare", [*simulation, "--out", str(tmp_path / "data")]),
        ("codsa-split", ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "split.parquet")]),
    ):
        subprocess.run([str(COMMAND / name), *arguments], check=True, capture_output=True)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(train(tmp_path, whole), check=True, capture_output=True)
    scratch = tmp_path / "broken.checkpoints"
    with subprocess.Popen(train(tmp_path, broken), stderr=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 120
        while not list(scratch.glob("*/denoiser.safetensors")) and time.monotonic() < deadline:
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
    assert scratch.exists() and not broken.exists()
    resumed = subprocess.run(train(tmp_path, broken), check=True, capture_output=True, text=True)
    assert "resumed from step" in resumed.stderr
    assert digests(broken) == digests(whole)
    assert not scratch.exists()
