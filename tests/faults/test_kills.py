"""Killed at any moment: nothing half-written is taken for whole, and the same command then ends in the same bytes."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from faults.children import ended, start, timed
from faults.conftest import READERS, TINY, TREES, content, given

KILLS = int(os.environ.get("CODSA_KILLS", "2"))
"""So many times each stage is ended by each signal."""
SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "int": signal.SIGINT}

Command = Callable[[Path, Path], tuple[object, ...]]
STAGES: dict[str, Command] = {
    "prepare": lambda s, out: ("codsa.cli.prepare", s / "raw.csv", "--out", out / "data", "--min-rows", 5),
    "split": lambda s, out: ("codsa.cli.split", "--data", s / "data", "--out", out / "split.parquet"),
    "train-gen": lambda s, out: (
        "codsa.cli.train_gen", *given(s), *TINY[2:], "--set", "steps=60", "--set", "labels=denoiser",
        "--out", out / "gen",
    ),
    "sample": lambda s, out: (
        "codsa.cli.sample", "--generator", s / "gen-diffusion", "--rows", 3000, "--out", out / "pool"
    ),
    "fit": lambda s, out: (
        "codsa.cli.fit", *given(s), "--pool", s / "pool", "--m", 0.1, "--reserve", "all", *TREES, "--out", out / "fits"
    ),
    "eval": lambda s, out: ("codsa.cli.eval", *READERS["fits-trees"].arguments(s, out)),
    "report": lambda s, out: ("codsa.cli.report", *READERS["eval-trees"].arguments(s, out)),
}  # fmt: skip


@pytest.fixture(scope="session")
def known(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[float, dict[str, bytes]]]:
    """The seconds that a stage takes, and what it writes."""
    results: dict[str, tuple[float, dict[str, bytes]]] = {}

    def of(stage: str) -> tuple[float, dict[str, bytes]]:
        if stage not in results:
            folder = tmp_path_factory.mktemp("known")
            (folder / "out").mkdir()
            timed(STAGES[stage](study, folder / "warm"), folder / "log")
            seconds = timed(STAGES[stage](study, folder / "out"), folder / "log")
            results[stage] = seconds, content(folder / "out")
        return results[stage]

    return of


def settled(folder: Path) -> dict[str, bytes]:
    """Every file but those that were moved aside, as a message has said."""
    return {name: data for name, data in content(folder).items() if ".changed-" not in name}


@pytest.mark.parametrize("number", range(KILLS))
@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_stage_is_run_again_to_the_same_bytes(
    stage: str,
    name: str,
    number: int,
    study: Path,
    known: Callable[[str], tuple[float, dict[str, bytes]]],
    tmp_path: Path,
) -> None:
    seconds, wanted = known(stage)
    random = np.random.default_rng([list(STAGES).index(stage), list(SIGNALS).index(name), number])
    out, command = tmp_path / "out", STAGES[stage](study, tmp_path / "out")
    out.mkdir()
    if number % 2:  # over what an earlier run has left
        for file, data in wanted.items():
            (out / file).parent.mkdir(parents=True, exist_ok=True)
            (out / file).write_bytes(data)
    (out / "mine.txt").write_text("mine")
    process = start(command, tmp_path / "log")
    time.sleep(seconds * random.uniform(0.05, 0.95))
    assert process.pid is not None
    with suppress(ProcessLookupError):
        os.kill(process.pid, SIGNALS[name])
    code = ended(process)
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert code in (0, 1, 130, 143, -SIGNALS[name])
    if name != "kill" and code == 0 and stage != "train-gen":
        assert settled(out) == {**wanted, "mine.txt": b"mine"}
    again = start(command, tmp_path / "log")
    assert ended(again) == 0, (tmp_path / "log").read_text()
    assert settled(out) == {**wanted, "mine.txt": b"mine"}


# ------------------------------------------------------------------ limits


def refused_or_done(code: int, log: Path, out: Path, wanted: dict[str, bytes]) -> None:
    """Check that a command said in one line what it lacked and left nothing, or ended as always."""
    text = log.read_text()
    assert "Traceback" not in text, text
    if code == 0:  # without descriptors a folder of checkpoints cannot be removed
        assert {name: data for name, data in content(out).items() if ".checkpoints/" not in name} == wanted
        return
    assert code in (2, 127, -signal.SIGABRT, -signal.SIGSEGV), text  # a C library may end the process itself
    if code == 2:
        assert sum(line.startswith("error: ") for line in text.splitlines()) == 1, text
        left = {name for name in content(out) if ".checkpoints/" not in name}
        assert not left, left


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (resource.RLIMIT_FSIZE, (1_500, 6_000, 20_000)),
        (resource.RLIMIT_NOFILE, (5, 8, 12)),
        (resource.RLIMIT_AS, (1 << 20, 300 << 20)),
    ],
    ids=["file-size", "descriptors", "memory"],
)
def test_a_limit_of_the_process(
    kind: int,
    values: tuple[int, ...],
    stage: str,
    study: Path,
    known: Callable[[str], tuple[float, dict[str, bytes]]],
    tmp_path: Path,
) -> None:
    _, wanted = known(stage)
    for value in values:
        out = tmp_path / f"out-{value}"
        out.mkdir()
        process = start(STAGES[stage](study, out), tmp_path / "log", {kind: value})
        refused_or_done(ended(process), tmp_path / "log", out, wanted)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A disk in memory of a given size; skipped where this may not be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mounted(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("no disk of its own could be mounted: NOT TESTED")
        return folder

    yield mounted
    while subprocess.run(["umount", str(folder)], capture_output=True).returncode == 0:
        pass


@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk(
    stage: str,
    study: Path,
    known: Callable[[str], tuple[float, dict[str, bytes]]],
    disk: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    _, wanted = known(stage)
    for size in ("8k", "24k"):
        folder = disk(f"size={size}")
        process = start(STAGES[stage](study, folder), tmp_path / "log")
        refused_or_done(ended(process), tmp_path / "log", folder, wanted)


@pytest.mark.parametrize("stage", STAGES)
def test_a_disk_that_is_read_only(
    stage: str,
    study: Path,
    known: Callable[[str], tuple[float, dict[str, bytes]]],
    disk: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    folder = disk("size=1m,ro")
    process = start(STAGES[stage](study, folder), tmp_path / "log")
    assert ended(process) == 2
    refused_or_done(2, tmp_path / "log", folder, {})


@pytest.mark.parametrize("stage", STAGES)
def test_two_runs_on_one_output(
    stage: str, study: Path, known: Callable[[str], tuple[float, dict[str, bytes]]], tmp_path: Path
) -> None:
    seconds, wanted = known(stage)
    random = np.random.default_rng(list(STAGES).index(stage))
    for attempt in range(2):
        out = tmp_path / f"out-{attempt}"
        out.mkdir()
        first = start(STAGES[stage](study, out), tmp_path / "first")
        time.sleep(seconds * random.uniform(0, 0.2) * attempt)
        second = start(STAGES[stage](study, out), tmp_path / "second")
        for process, log in ((first, "first"), (second, "second")):
            code, text = ended(process), (tmp_path / log).read_text()
            assert code in (0, 2) and "Traceback" not in text, text
        assert settled(out) == wanted
