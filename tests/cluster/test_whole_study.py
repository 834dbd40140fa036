"""A whole study as jobs of a real Slurm, with and without the image: the artefacts of the same study on one machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import own_slurm as slurm
import pytest
from studies import BIN, ROOT, digests, finish, on_slurm, said, snakemake, write

from codsa import __version__
from codsa.errors import CodsaError
from codsa.workflow import preflight

pytestmark = pytest.mark.cluster
IMAGE = ROOT / f"containers/codsa-{__version__}.sif"
POOL = "results/toy/rep~0/gen~tabular-diffusion/r~0.5/pool"
SHARDS = 3
STUDY: dict[str, Any] = {
    "name": "toy",
    "controls": [],
    "further_estimators": {},
    "replicates": 1,
    "data": {"simulation": {"name": "imbalanced-classification", "minority": 300, "majority": 600}},
    "split": {"validation": 100, "test": 100},
    "methods": ["none", "codsa"],
    "grid": {"r": [0.5], "m": [1.0, 10.0], "alpha": ["balance"]},
    "generators": {"tabular-diffusion": {"steps": 30, "batch": 64, "width": 32, "depth": 1, "sampler_steps": 4}},
    "estimator": {"name": "logistic"},
    "shards": SHARDS,
}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study, made on one machine."""
    folder = write(tmp_path_factory.mktemp("local"), STUDY)
    finish(snakemake(folder, "--cores", "1"), folder)
    found = digests(folder)
    assert sum(name.endswith("report.html") for name in found) == 1 and len(found) > 20
    return folder


def job_logs(folder: Path) -> dict[str, str]:
    """What the jobs of a run have left, by job; a task of an array would be called ARRAY_TASK."""
    return {p.stem: p.read_text(errors="replace") for p in folder.glob(".snakemake/slurm_logs/**/*.log")}


@pytest.mark.short
def test_a_study_on_slurm_makes_what_one_machine_makes(cluster: None, local: Path, tmp_path: Path) -> None:
    finish(on_slurm(write(tmp_path, STUDY)), tmp_path)
    assert digests(tmp_path) == digests(local)
    drawn = [path.stat().st_size for path in (tmp_path / POOL).glob("region~*/part-*.parquet")]
    assert len(drawn) == 2 * SHARDS and min(drawn) > 0.2 * max(drawn), "each shard draws some of the rows"
    logs = job_logs(tmp_path)
    assert not any("_" in name for name in logs), "no array"
    assert len(logs) == SHARDS + 6, "the shards, prepare, split, train, a group of fits, evaluations, report"
    finish(on_slurm(tmp_path), tmp_path)
    assert "Nothing to be done" in said(tmp_path)


def test_groups_fit_a_node_of_one_cpu(cluster: None, tmp_path: Path) -> None:
    study = {**STUDY, "replicates": 3, "methods": ["none", "weighted", "bootstrap"], "generators": {}, "shards": 1}
    local = write(tmp_path / "local", study)
    finish(snakemake(local, "--cores", "1"), local)
    folder = write(tmp_path / "slurm", study)
    finish(on_slurm(folder), folder)
    assert digests(folder) == digests(local)
    own = [job for job in slurm.jobs() if f"SLURM jobid {job['id']} " in said(folder)]
    assert len(own) == 12, "prepare, the splits, and of each replicate a generator, fits and evaluations; report"
    assert {job["cpus"] for job in own} == {"1"}


def test_shards_that_the_queue_cannot_hold_go_one_by_one(cluster: None, local: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(local, tmp_path / "study")
    shutil.rmtree(folder / POOL)
    shards = [f"{POOL}/shard-{i:04d}-of-{SHARDS:04d}.json" for i in range(SHARDS)]
    finish(on_slurm(folder, *shards, "--jobs", "2"), folder)
    assert digests(folder) == digests(local)
    assert len(job_logs(folder)) == SHARDS and not any("_" in name for name in job_logs(folder))


def test_a_study_in_the_image_makes_the_same(cluster: None, local: Path, tmp_path: Path) -> None:
    try:
        preflight.check_apptainer()
        preflight.check_image(str(IMAGE))
    except CodsaError as error:
        pytest.skip(f"NOTHING WAS TESTED IN THE IMAGE: {error}")
    outside = tmp_path / "bin"
    for command in BIN.glob("codsa-*"):  # none of these may be called
        outside.mkdir(exist_ok=True)
        (outside / command.name).write_text("#!/bin/sh\nexit 9\n")
        (outside / command.name).chmod(0o755)
    folder = write(tmp_path / "study", STUDY, container=str(IMAGE))
    finish(on_slurm(folder, PATH=f"{outside}:{BIN}:{os.environ['PATH']}"), folder)
    assert digests(folder) == digests(local)
