"""The wheel carries the workflow, and `codsa` finds it there; every method of README has a name; the paper waits."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from test_workflow import ROOT, snakemake, write_study

from codsa.workflow import shipped
from codsa.workflow.methods import PRESETS


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as a wheel unpacks it, built from a copy of the clone."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "clone"
    shutil.copytree(ROOT / "codsa", copy / "codsa", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "workflow", copy / "workflow")
    for name in ("pyproject.toml", "setup.py", "README.md", "Snakefile"):
        shutil.copy(ROOT / name, copy)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*command, str(copy)], check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def test_the_wheel_has_rules_profiles_schemas_and_simulated_experiments(wheel: Path) -> None:
    files = wheel / "codsa/workflow/files"
    carried = {path.relative_to(files).as_posix() for path in files.rglob("*") if path.is_file()}
    assert {"Snakefile", "workflow/profiles/slurm/config.yaml", "workflow/schemas/experiment.schema.json"} <= carried
    assert {f"workflow/rules/{path.name}" for path in (ROOT / "workflow/rules").glob("*.smk")} <= carried
    assert {"workflow/experiments/sim41.yaml", "workflow/captions/report.rst"} <= carried
    assert "workflow/experiments/thyroid.yaml" not in carried  # its table stays in the clone


def test_an_installed_package_plans_a_shipped_study_anywhere(wheel: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from codsa.cli.main import main; main()", "run", "-n", "sim41"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(wheel)}
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert "steps to do" in ended.stdout and "evaluate" in ended.stdout


def test_a_clone_is_found_where_it_stands() -> None:
    assert shipped.workflow_root() == ROOT and shipped.experiment_file("sim41").is_file()


def test_every_method_of_the_readme_is_a_name() -> None:
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("| method | real rows")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    names = [name for row in rows for name in re.findall("`([^`]+)`", row)]
    assert len(names) > 20 and set(names) <= set(PRESETS)


def test_a_broken_experiment_of_the_paper_stops_the_paper_alone(tmp_path: Path) -> None:
    write_study(tmp_path, scales={"quick": {}})
    broken = tmp_path / "workflow/experiments/utkface.yaml"
    broken.parent.mkdir(parents=True)
    broken.write_text(yaml.safe_dump({"nmae": "utkface", "scales": {"quick": {}}}))
    assert snakemake(tmp_path, "-n", "--quiet", "rules").returncode == 0
    asked = snakemake(tmp_path, "-n", "paper")
    assert asked.returncode != 0 and "utkface.yaml" in asked.stdout + asked.stderr
