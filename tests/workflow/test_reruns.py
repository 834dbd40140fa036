"""Which stages an edit of code re-runs: those whose digest covers it, and no other; for tables, images and texts."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_mixed_table
from toy_texts import toy_reviews

from codsa.errors import CodsaError
from codsa.io.module_files import is_installed, module_file
from codsa.workflow import code_digests
from codsa.workflow.code_digests import OPTIONAL, closure, stage_digest
from codsa.workflow.config import Experiment
from codsa.workflow.stage_code import StageCode, named_modules
from codsa.workflow.study import Study

TABLE: dict[str, Any] = {
    "name": "toy",
    "controls": [],
    "further_estimators": {},
    "data": {"simulation": {"name": "imbalanced-classification", "minority": 40, "majority": 80}},
    "source": {"simulation": {"name": "imbalanced-classification", "minority": 30, "majority": 30, "seed": 1}},
    "methods": ["none", "smote", "codsa", "codsa-transfer", "codsa-finetune"],
}
DIFFUSION = ("tabular-diffusion", "tabular-diffusion-from-encoder", "tabular-diffusion-from-denoiser")
DIFFUSED = {f"{stage} {name}" for stage in ("train", "sample") for name in DIFFUSION} | {"pretrain denoiser"}
IMAGE: dict[str, Any] = {
    "name": "toy",
    "controls": [],
    "further_estimators": {},
    "data": {"path": "images", "target": "label", "images": {"size": 8, "mode": "L"}},
    "methods": ["none", "distortions"],
    "estimator": {"name": "cnn", "settings": {"epochs": 1}},
}
TEXT: dict[str, Any] = {
    "name": "toy",
    "controls": [],
    "further_estimators": {},
    "data": {"path": "reviews.csv", "target": "stars", "texts": {"column": "text"}},
    "source": {"path": "more.csv", "target": "stars", "texts": {"column": "text"}},
    "methods": [
        "bootstrap",
        {"name": "drawn", "generator": "text-gaussian", "settings": {"decoder": "vec2text", "inverter": "source"}},
    ],
    "estimator": {"name": "tfidf-logistic"},
}
OWN: dict[str, Any] = {
    **TABLE,
    "source": None,
    "methods": ["none", {"name": "mine", "generator": "lab.models:Mine"}],
    "estimator": {"name": "lab.fits:Own", "settings": {"inner": {"model": "kit:Part", "base": ["mlp"]}}},
}


def study_of(content: dict[str, Any]) -> Study:
    return Study("toy", Experiment.model_validate(content))


def names_of(study: Study) -> dict[str, list[str]]:
    """What each rule of a study names."""
    code, experiment = StageCode(study), study.experiment
    names = {"prepare": code.prepare(experiment.data), "split": code.split(), "fit": code.fit()}
    names |= {"evaluate": code.evaluate(), "report": code.report()}
    if experiment.source is not None:
        names["prepare source"] = code.prepare(experiment.source)
    for name, source in study.generators.items():
        names |= {f"train {name}": code.train(name), f"sample {name}": code.sample(name)}
        if source.transfer is not None:
            names[f"pretrain {source.transfer}"] = code.pretrain(source.transfer)
        if study.inverters(name):
            names["pretrain inverter"] = code.pretrain("inverter")
    return names


def digests_of(content: dict[str, Any]) -> dict[str, str]:
    code_digests.forget()
    return {stage: stage_digest(*names) for stage, names in names_of(study_of(content)).items()}


def rerun(
    content: dict[str, Any], file: Path, line: str = "\nEXTRA = 1\n", before: dict[str, str] | None = None
) -> set[str]:
    """The stages of a study that run again once a line is added to a file."""
    before = before or digests_of(content)
    text = file.read_text(encoding="utf-8")
    file.write_text(text + line, encoding="utf-8")
    after = digests_of(content)
    file.write_text(text, encoding="utf-8")
    return {stage for stage in before if before[stage] != after[stage]}


@pytest.fixture(scope="module")
def untouched() -> dict[str, dict[str, str]]:
    """The digests of the studies before any edit."""
    return {name: digests_of(content) for name, content in (("table", TABLE), ("image", IMAGE), ("text", TEXT))}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the package whose code the digests are taken of, in a working folder with the studies' data."""
    shutil.copytree(code_digests.PACKAGE, tmp_path / "copy/codsa", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code_digests, "PACKAGE", tmp_path / "copy/codsa")
    (tmp_path / "images").mkdir()
    for name in ("reviews.csv", "more.csv"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "copy/codsa"
    monkeypatch.undo()
    code_digests.forget()


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("estimators/tables/mlp.py", DIFFUSED),  # the models of its labels, which it names as texts
        ("estimators/tables/trees.py", {*DIFFUSED, "fit", "evaluate"}),
        ("estimators/tables/linear.py", set()),
        ("generators/tables/smote.py", {"train smote", "sample smote"}),
        ("generators/tables/tabular_diffusion.py", DIFFUSED),
        ("nn/autoencoder.py", {*DIFFUSED, "pretrain encoder"}),
        ("diagnostics/distances.py", {"evaluate"}),
        ("stages/fit.py", {"fit"}),
        ("stages/scoring.py", {"fit", "evaluate"}),
        ("stages/split.py", {"split"}),
        ("stages/pretrain.py", {"pretrain encoder", "pretrain denoiser"}),
        ("stages/report.py", {"report"}),
        ("report/page.py", {"report"}),
        ("readers/stored.py", {"prepare", "prepare source"}),
        ("data/preparation.py", {"prepare", "prepare source"}),
        ("generators/texts/training.py", set()),
        ("encoders/sentences.py", set()),
        ("diagnostics/texts.py", set()),
        ("io/image_codec.py", set()),
        ("readers/images.py", set()),
        ("nn/stable.py", set()),
    ],
)
def test_an_edit_reruns_these_stages_of_tables(package: Path, untouched: Any, file: str, stages: set[str]) -> None:
    assert rerun(TABLE, package / file, before=untouched["table"]) == stages


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("estimators/images/cnn.py", {"fit", "evaluate"}),
        ("estimators/tables/mlp.py", set()),
        ("generators/images/distortions.py", {"train distortions", "sample distortions"}),
        ("readers/image_tables.py", {"prepare"}),
        ("diagnostics/arrays.py", {"evaluate"}),
        ("data/near_duplicates.py", set()),
        ("nn/autoencoder.py", set()),
    ],
)
def test_an_edit_reruns_these_stages_of_images(package: Path, untouched: Any, file: str, stages: set[str]) -> None:
    assert rerun(IMAGE, package / file, before=untouched["image"]) == stages


def test_an_edited_codec_reruns_every_stage_of_images(package: Path) -> None:
    assert rerun(IMAGE, package / "io/image_codec.py") == set(names_of(study_of(IMAGE)))


DRAWN = next(name for name in study_of(TEXT).generators if name.startswith("text-gaussian"))


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("estimators/texts/words.py", {"fit", "evaluate"}),
        ("readers/clean_texts.py", {"prepare", "prepare source", "pretrain inverter"}),
        ("generators/texts/training.py", {"pretrain inverter"}),
        ("diagnostics/texts.py", {"evaluate"}),
        ("generators/texts/decoders.py", {f"train {DRAWN}", f"sample {DRAWN}"}),
        ("generators/texts/inversion.py", {f"train {DRAWN}", f"sample {DRAWN}", "pretrain inverter"}),
        (
            "generators/tables/bootstrap.py",
            {"train bootstrap", "sample bootstrap", f"train {DRAWN}", f"sample {DRAWN}"},
        ),
        ("io/image_codec.py", set()),
    ],
)
def test_an_edit_reruns_these_stages_of_texts(package: Path, untouched: Any, file: str, stages: set[str]) -> None:
    assert rerun(TEXT, package / file, before=untouched["text"]) == stages


MINE = {"train lab.models.Mine", "sample lab.models.Mine"}


@pytest.fixture
def own(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Classes of a user's on the search path; to import one would be an error."""
    folder = tmp_path / "mine"
    (folder / "lab").mkdir(parents=True)
    files = {
        "lab/__init__.py": "raise SystemExit('imported')",
        "lab/models.py": "from .rates import RATE\nimport numpy\nfrom codsa.generators.tables.smote import Smote",
        "lab/fits.py": "def fit():\n    import helper.deep\n    from lab import shared",
        "lab/rates.py": "RATE = 1",
        "lab/shared.py": "",
        "lab/unused.py": "",
        "helper/deep.py": "",  # a package without __init__.py
        "kit.py": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("lab/models.py", MINE),
        ("lab/rates.py", MINE),
        ("lab/fits.py", {"fit", "evaluate"}),
        ("lab/shared.py", {"fit", "evaluate"}),
        ("helper/deep.py", {"fit", "evaluate"}),
        ("kit.py", {"fit", "evaluate"}),  # which a setting names
        ("lab/__init__.py", {*MINE, "fit", "evaluate"}),
        ("lab/unused.py", set()),
    ],
)
def test_an_edit_of_a_class_of_ones_own_or_of_what_it_imports_counts(own: Path, file: str, stages: set[str]) -> None:
    assert rerun(OWN, own / file) == stages
    assert rerun(OWN, own / file, "\n# a comment\n") == set()
    assert not any(name.split(".")[0] in ("lab", "kit", "helper") for name in sys.modules)


def test_what_a_class_of_ones_own_takes_from_the_package_counts(own: Path, package: Path) -> None:
    assert rerun(OWN, package / "generators/tables/smote.py") == MINE
    assert rerun(OWN, package / "estimators/tables/mlp.py") == {"fit", "evaluate"}  # which a setting names


def test_a_file_that_is_no_python_counts_by_its_bytes(own: Path) -> None:
    (own / "lab/rates.py").write_text("this is (no Python")
    assert rerun(OWN, own / "lab/rates.py") == MINE


def test_a_class_in_the_working_folder_is_found(package: Path, tmp_path: Path) -> None:
    (tmp_path / "beside.py").touch()
    content = {**OWN, "methods": ["none"], "estimator": {"name": "beside:Own"}}
    StageCode(study_of(content)).checked()
    assert rerun(content, tmp_path / "beside.py") == {"fit", "evaluate"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"estimator": {"name": "nowhere.at.all:Thing"}},
            "estimator 'nowhere.at.all:Thing': no module",
        ),
        ({"methods": [{"name": "m", "generator": "sklearn.nowhere:G"}]}, "generator 'sklearn.nowhere:G': no module"),
        (
            {"pretrain": {"denoiser": {"generator": "gone:G"}}},
            "pretrain.denoiser: generator 'gone:G': no module",
        ),
    ],
)
def test_a_class_that_is_not_found_is_an_error_at_start(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CodsaError, match="put its folder on PYTHONPATH") as refused:
        StageCode(study_of({**TABLE, **change})).checked()
    assert message in str(refused.value)


def test_installed_packages_are_found_and_not_followed() -> None:
    file = module_file("sklearn.ensemble")
    assert file is not None and is_installed(file) and file.name == "__init__.py"
    assert is_installed(Path(json.__file__)) and not is_installed(Path(__file__))
    assert module_file("sys") is None and module_file("sklearn.nowhere") is None and module_file("nowhere") is None
    assert {name for name in closure(["sklearn.ensemble"]) if name.startswith("sklearn")} == {"sklearn.ensemble"}


def test_settings_name_modules_at_any_depth() -> None:
    settings = {"a": "mlp", "b": [{"c": ["smote"]}], "d": "photo:of", "e": "json:loads", "f": 3, "g": "mlps"}
    assert named_modules(settings) == ["codsa.estimators.tables.mlp", "codsa.generators.tables.smote", "json"]


def test_what_is_optional_is_there() -> None:
    assert all(module_file(name) is not None for name in OPTIONAL)


def test_a_fit_of_tables_has_no_other_modality() -> None:
    for stage in ("fit", "split", "prepare", "evaluate"):
        foreign = (
            "codsa.nn",
            "codsa.generators",
            "codsa.modalities.texts",
            "codsa.modalities.images",
            "codsa.readers.texts",
        )
        assert not {m for m in closure(names_of(study_of(TABLE))[stage]) if m.startswith(foreign)}


# ------------------------------------------------------------------ every module that a stage loads is in its digest


def write_images(folder: Path) -> None:
    from PIL import Image

    random = np.random.default_rng(0)
    for i in range(60):
        (folder / "images" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / "ab"[i % 2] / f"{i}.png")


def commands(study: Study, generator: str, method: str) -> dict[str, list[str]]:
    """The stages of a study with one generator, as commands."""
    names = StageCode(study)
    data, split = ["--data", "data"], ["--split", "split.parquet"]
    fits = ["fits"] * len(study.ranks(method))
    return {
        "prepare": ["prepare", *study.prepare(study.experiment.data), "--out", "data"],
        "split": ["split", *data, *study.split(0), "--out", "split.parquet"],
        f"train {generator}": ["train_gen", *data, *split, *study.train(0, generator, "1.0"), "--out", "gen"],
        f"sample {generator}": [
            *("sample", *data, *split, *study.sample(0, generator, "1.0")),
            *("--generator", "gen", "--shard", "1/1", "--out", "pool"),
        ],
        "fit": ["fit", *data, *split, "--pool", "pool", *study.fit(0, method, "1.0"), "--out", "fits"],
        "evaluate": [
            *("eval", *data, *split, *study.evaluate(0)),
            *(
                "--evaluation",
                study.evaluation(method, fits=fits, pool=["pool"], out="evaluation"),
            ),
        ],
        "report": ["report", "--eval", "evaluation", "--title", "toy", "--out", str(names.study.label)],
    }


SMALL = {"grid": {"r": [1.0], "m": [1.0], "alpha": ["balance"]}, "split": {"validation": 20, "test": 20}}
TINY = {"steps": 4, "batch": 16, "width": 8, "depth": 1, "sampler_steps": 2}
STUDIES: dict[str, tuple[dict[str, Any], str, str]] = {
    "table": ({**TABLE, "generators": {"tabular-diffusion": TINY}}, "tabular-diffusion", "codsa"),
    "resampled": ({**TABLE, "data": {"path": "mixed.csv"}}, "smote", "smote"),
    "images": (IMAGE, "distortions", "distortions"),
    "texts": ({**TEXT, "methods": ["bootstrap"], "source": None}, "bootstrap", "bootstrap"),
}


@pytest.mark.parametrize("kind", STUDIES)
def test_every_module_that_a_stage_loads_is_in_its_digest(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path)
    toy_reviews(120).to_csv("reviews.csv", index=False)
    make_mixed_table().to_csv("mixed.csv", index=False)
    content, generator, method = STUDIES[kind]
    study = study_of({**content, **SMALL})
    planned = commands(study, generator, method)
    lines = [[f"codsa.cli.{name}", *arguments] for name, *arguments in planned.values()]
    command = [sys.executable, str(Path(__file__).with_name("loaded_modules.py")), str(tmp_path / "record")]
    run = subprocess.run(command, input=json.dumps(lines), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    names = names_of(study)
    for stage, loaded in zip(planned, json.loads(run.stdout), strict=True):
        assert set(loaded) <= closure(names[stage]), stage
