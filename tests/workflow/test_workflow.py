"""The workflow over the stages: one whole study on a toy, in one and in two cores, in one and in four shards."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from conftest import made_once

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SAME = ("rows.parquet", "split.parquet", "fits.parquet", "grid.parquet", "chosen.json", "metrics.json")
TABLES = ("metrics.csv", "summary.csv", "report.html")

CROSS = {"name": "codsa-crossfit", "m": [1.0], "alpha": ["balance"]}
EXPERIMENT: dict[str, Any] = {
    "name": "toy",
    "controls": [],
    "further_estimators": {},
    "replicates": 1,
    "data": {"simulation": {"name": "imbalanced-classification", "minority": 400, "majority": 800}},
    "source": {"simulation": {"name": "imbalanced-classification", "minority": 300, "majority": 300, "seed": 1}},
    "split": {"validation": 200, "test": 200},
    "methods": ["none", "bootstrap", "codsa", {"name": "codsa-transfer", "r": [0.5]}, CROSS],
    "grid": {"r": [0.5, 1.0], "m": [1.0, 4.0], "alpha": ["balance", 0.6]},
    "generators": {"tabular-diffusion": {"steps": 30, "batch": 64, "width": 32, "depth": 1, "sampler_steps": 4}},
    "pretrain": {"encoder": {"latent": 3, "steps": 30, "width": 32}},
    "estimator": {"name": "gradient-boosting", "settings": {"max_iter": 10}},
    "keep_grid": True,
}


def write_study(folder: Path, **changes: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toy.yaml").write_text(yaml.safe_dump({**EXPERIMENT, **changes}))
    (folder / "config.yaml").write_text(yaml.safe_dump({"experiments": ["toy.yaml"]}))


def snakemake(folder: Path, *arguments: str, before: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in a folder, with `before` first on the PATH, and with more in its environment."""
    command = [str(BIN / "snakemake"), "-s", str(ROOT / "Snakefile"), "--directory", str(folder), *arguments]
    environment = {
        "PATH": f"{before}:{BIN}:/usr/bin:/bin".lstrip(":"),
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        **more,
    }
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=1500)


def planned(folder: Path) -> dict[str, int]:
    """The jobs of a dry run, by rule."""
    shown = snakemake(folder, "-n", "--quiet", "rules")
    assert shown.returncode == 0, shown.stderr
    words = [line.split() for line in shown.stdout.splitlines()]
    return {w[0]: int(w[1]) for w in words if len(w) == 2 and w[1].isdigit() and w[0] != "total"}


def digests(folder: Path) -> dict[str, str]:
    results = folder / "results" / "toy"
    files = [p for p in results.rglob("*") if p.name in SAME] + [results / name for name in TABLES]
    return {str(p.relative_to(results)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that has been run on two cores; tests change copies of it."""

    def make(folder: Path) -> None:
        write_study(folder)
        run = snakemake(folder, "--cores", "2", "--show-failed-logs")
        assert run.returncode == 0, run.stderr[-3000:]

    return made_once(tmp_path_factory, "workflow-study", make)


@pytest.mark.long
def test_one_core_and_four_shards_give_the_same_bytes(study: Path, tmp_path: Path) -> None:
    write_study(tmp_path, shards=4)
    run = snakemake(tmp_path, "--cores", "1")
    assert run.returncode == 0, run.stderr[-3000:]
    expected, found = digests(study), digests(tmp_path)
    assert len(expected) == 33
    assert found == expected


def test_second_run_does_nothing(study: Path, tmp_path: Path) -> None:
    run = snakemake(shutil.copytree(study, tmp_path / "copy"), "--cores", "1")
    assert run.returncode == 0
    assert "Nothing to be done" in run.stdout + run.stderr


def test_edited_alpha_refits_and_does_not_retrain(study: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(study, tmp_path / "copy")
    write_study(copy, grid={**EXPERIMENT["grid"], "alpha": ["balance", 0.7]})
    jobs = planned(copy)
    assert jobs["fit"] == 4 and jobs["sample"] == 4 and jobs["evaluate_toy"] == 1
    assert not {"prepare", "split", "train_generator", "pretrain"} & set(jobs)


def test_edited_generator_retrains_that_generator_alone(study: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(study, tmp_path / "copy")
    write_study(copy, generators={"tabular-diffusion": {**EXPERIMENT["generators"]["tabular-diffusion"], "steps": 31}})
    jobs = planned(copy)
    assert jobs["train_generator"] == 8 and jobs["sample"] == 8 and jobs["fit"] == 4
    assert "split" not in jobs and "pretrain" not in jobs


def test_edited_estimator_refits_alone(study: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(study, tmp_path / "copy")
    write_study(copy, estimator={"name": "logistic"})
    jobs = planned(copy)
    assert set(jobs) == {"fit", "evaluate_toy", "report", "all"}
    assert jobs["fit"] == 6


def test_tidy_tables_have_the_promised_columns(study: Path) -> None:
    metrics = pd.read_csv(study / "results/toy/metrics.csv")
    summary = pd.read_csv(study / "results/toy/summary.csv")
    arm = ["experiment", "method", "kind", "estimator", "column"]
    assert list(metrics) == [*arm, "replicate", "region", "metric", "value", "m", "r", "alpha"]
    assert list(summary) == [*arm, "region", "metric", "mean", "sd", "replicates"]
    own = f"estimator == '{metrics['estimator'].iloc[0]}' and column == 'recalibrated'"
    chosen = f"method == 'codsa' and region == 'overall' and metric == 'cross-entropy' and {own}"
    one, kept = metrics.query(chosen)["value"], summary.query(chosen)
    assert kept["mean"].item() == pytest.approx(one.mean()) and kept["replicates"].item() == 1


def test_pools_hold_the_same_rows_in_one_and_four_shards(study: Path, tmp_path: Path) -> None:
    pool = study / "results/toy/rep~0/gen~tabular-diffusion/r~1.0"
    arguments = ["--generator", str(pool / "generator"), "--rows", "3000", "--seed", "0", "--experiment", "toy"]
    for shards in (1, 3):
        for shard in range(1, shards + 1):
            command = [str(BIN / "codsa-sample"), *arguments, "--shard", f"{shard}/{shards}"]
            subprocess.run([*command, "--out", str(tmp_path / str(shards))], check=True, capture_output=True)
    for region in (tmp_path / "1").glob("region~*"):
        whole = pd.read_parquet(region / "part-0000-of-0001.parquet")
        parts = [pd.read_parquet(p) for p in sorted((tmp_path / "3" / region.name).glob("part-*.parquet"))]
        assert len(whole) == 3000 and len(parts) == 3
        pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)


def test_unknown_key_is_refused_before_any_job(tmp_path: Path) -> None:
    write_study(tmp_path, replicatse=3)
    run = snakemake(tmp_path, "-n")
    assert run.returncode != 0
    assert "did you mean 'replicates'?" in run.stdout + run.stderr


def test_default_configuration_plans_a_whole_run() -> None:
    run = subprocess.run([str(BIN / "snakemake"), "-n", "--quiet", "rules"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
