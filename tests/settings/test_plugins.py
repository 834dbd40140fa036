"""Plug-ins: an installed package's names work in experiments, commands and errors, as installed code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
from conftest import made_once, make_mixed_table

from codsa.settings import plugins

EXAMPLE = Path(__file__).parents[2] / "examples/plugin"
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
STUDY = """
import json, sys
from codsa.cli.main import app
from codsa.errors import CodsaError
from codsa.settings.registry import ESTIMATORS, GENERATORS, locate
from codsa.workflow.config import Experiment
from codsa.workflow.stage_code import StageCode
from codsa.workflow.study import Study

def run(*words):
    app([str(word) for word in words], standalone_mode=False)

run("prepare", "table.csv", "--target", "y", "--out", "data")
run("split", "--data", "data", "--out", "split.parquet")
both = ["--data", "data", "--split", "split.parquet"]
run("train-gen", *both, "--generator", "jitter", "--set", "scale=0.2", "--r", "1.0", "--out", "generator")
run("sample", *both, "--generator", "generator", "--rows", "60", "--out", "pool")
run("fit", *both, "--pool", "pool", "--r", "1.0", "--m", "0", "--m", "0.25", "--alpha", "balance", "--reserve", "all",
    "--estimator", "nearest-mean", "--set", "sharpness=2", "--out", "fits")
evaluation = {"method": "jitter", "fits": ["fits"], "pool": ["pool"], "kind": "control", "ranks": [2], "out": "eval"}
run("eval", *both, "--evaluation", json.dumps(evaluation))

own = {"name": "toy", "data": {"path": "table.csv", "target": "y"}, "estimator": {"name": "nearest-mean"}}
own |= {"methods": ["none", {"name": "jitter", "generator": "jitter"}], "controls": [], "further_estimators": {}}
study = Study("toy", Experiment.model_validate(own)).checked()
code = StageCode(study).checked()
try:
    locate("generator", "jiter", GENERATORS)
except CodsaError as error:
    print(error)
print(code.fit(), code.train("jitter"), "jitter" in GENERATORS, "nearest-mean" in ESTIMATORS)
"""


def unpacked(folder: Path) -> None:
    """Build the example's wheel in a copy of it, and unpack it as pip would."""
    source = shutil.copytree(EXAMPLE, folder / "source")
    environment = {**os.environ, "PYTHONPATH": ""}
    subprocess.run([sys.executable, "-c", BUILD, str(folder)], cwd=source, env=environment, check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "site")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with the example installed."""
    return made_once(tmp_path_factory, "plugin", unpacked) / "site"


def python(site: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(site), str(Path(__file__).parents[2])])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)


def test_a_study_of_a_plug_in_s_names_needs_no_trust(site: Path, tmp_path: Path) -> None:
    make_mixed_table().to_csv(tmp_path / "table.csv", index=False)
    ended = python(site, tmp_path, "-c", STUDY)
    assert ended.returncode == 0, ended.stderr
    said, code = ended.stdout.strip().splitlines()[-2:]
    assert "did you mean 'jitter'?" in said
    assert code.count("codsa_example") == 2 and code.endswith("True True")
    assert json.loads((tmp_path / "eval/metrics.json").read_text())["estimator"] == "nearest-mean"
    assert "--trust" not in ended.stderr


def test_without_the_package_its_artefact_imports_nothing(site: Path, tmp_path: Path) -> None:
    """The name in the artefact is not registered here, and the class lies on the path: it is still not imported."""
    read = (
        "import sys; from codsa.settings import registry; "
        "registry.load('estimator', 'codsa_example:NearestMean', registry.ESTIMATORS, trusted=())"
    )
    ended = python(
        site, tmp_path, "-c", f"import sys\ntry:\n    {read}\nfinally:\n    print('codsa_example' in sys.modules)"
    )
    assert ended.stdout.strip() == "False" and "give --trust codsa_example:NearestMean" in ended.stderr
    bare = shutil.copytree(site, tmp_path / "bare", ignore=shutil.ignore_patterns("*.dist-info"))
    read = "from codsa.settings import registry; registry.load('estimator', 'nearest-mean', registry.ESTIMATORS, ())"
    ended = python(bare, tmp_path, "-c", read)
    assert ended.returncode != 0 and "no estimator 'nearest-mean'" in ended.stderr


def entries(*pairs: tuple[str, str]) -> EntryPoints:
    return EntryPoints(EntryPoint(name, value, "codsa.estimators") for name, value in pairs)


def test_an_unusable_entry_point_is_left_out_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    given = entries(("a/b", "x:Y"), ("good", "x:Good"), ("good", "y:Other"), ("plain", "x"), ("mlp", "x:Own"))
    monkeypatch.setattr(plugins.metadata, "entry_points", lambda group: given)
    plugins.plugins.cache_clear()
    try:
        names = plugins.with_plugins({"mlp": "codsa.mlp:mlp"}, "codsa.estimators")
    finally:
        plugins.plugins.cache_clear()
    assert names == {"good": "x:Good", "mlp": "codsa.mlp:mlp"}
    for word in (
        "'a/b'",
        "another package has that name",
        "not written as module:Object",
        "CoDSA has that name itself",
    ):
        assert word in caplog.text
