"""What a study chose, handed out: which rows, in which files, and what is said of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from chosen_study import MODEL, make_chosen_study
from conftest import call, make_mixed_table
from PIL import Image
from toy_texts import toy_reviews

from codsa.cli.eval import main as codsa_eval
from codsa.cli.fit import main as codsa_fit
from codsa.cli.main import main as codsa
from codsa.cli.sample import main as codsa_sample
from codsa.cli.train_gen import main as codsa_train_gen
from codsa.data.schema import cast_columns
from codsa.data.split import FOLD_RATIO, FOLDS, TRAIN
from codsa.io.digests import file_digest
from codsa.io.manifests import check_folder
from codsa.stages.chosen import ChosenFit, chosen_fit
from codsa.stages.chosen_rows import exported_rows

REQUIRED = ("@context", "@type", "conformsTo", "name", "description", "license", "url", "creator", "datePublished")
SAID = ["--license", "cc-by-4.0", "--url", "https://example.org/d", "--creator", "A clinic", "--date", "2026-01-31"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study in which `boot` takes 20 % bootstrapped rows at half weight; read only."""
    folder = tmp_path_factory.mktemp("export")
    make_mixed_table(200).to_csv(folder / "raw.csv", index=False)
    return make_chosen_study(folder / "study", folder / "raw.csv", pool_weight=0.5)


@pytest.fixture(scope="module")
def fit(study: Path) -> ChosenFit:
    return chosen_fit(study, "boot", 0)


def exported(study: Path, out: Path, *words: object) -> Path:
    ended = call(codsa, "export", study, *words, "--out", out)
    assert ended.code == 0, ended.err
    check_folder(out, "export")
    return out


def test_rows_are_those_that_the_fit_was_fitted_on(fit: ChosenFit) -> None:
    rows = exported_rows(fit, "augmented")
    row = fit.choice.row
    real = rows.frame[~rows.frame["synthetic"]]
    names = [c.name for c in fit.dataset.schema.modelled]
    reserved = fit.split.reserved_rows(0.5)
    expected = fit.dataset.part(reserved)
    pd.testing.assert_frame_equal(real[names].reset_index(drop=True), expected)
    assert set(reserved) <= set(fit.split.rows(TRAIN)) and len(real) == row["real_rows"]
    assert rows.frame["synthetic"].sum() == row["m"] > 0 and [*rows.synthetic.values()] == fit.choice.counts
    assert set(rows.frame.loc[rows.frame["synthetic"], "weight"]) == {0.5} and set(real["weight"]) == {1.0}
    alone = exported_rows(fit, "synthetic").frame
    assert "synthetic" not in alone and len(alone) == row["m"]
    assert "patient_id" not in rows.frame and rows.frame[names].dtypes.equals(expected.dtypes)


def test_no_row_is_exported_that_validates_or_tests(study: Path, tmp_path: Path, fit: ChosenFit) -> None:
    out = exported(study, tmp_path / "x", "--method", "none", "--format", "parquet")
    rows = pd.read_parquet(out / "data.parquet")
    held_out = ~np.isin(np.arange(len(fit.dataset)), fit.split.rows(TRAIN))
    assert held_out.sum() > 20 and not set(rows["income"]) - {0.0} & set(fit.dataset.column("income")[held_out])
    assert len(rows) == fit.split.n and not rows["synthetic"].any()


@pytest.mark.parametrize("name", ["csv", "parquet", "jsonl", "huggingface"])
def test_every_format_holds_the_same_values(study: Path, tmp_path: Path, fit: ChosenFit, name: str) -> None:
    out = exported(study, tmp_path / name, "--method", "boot", "--format", name, *SAID)
    files = {"csv": "data.csv", "parquet": "data.parquet", "jsonl": "data.jsonl"}
    file = out / files.get(name, "data/train-00000-of-00001.parquet")
    if name == "csv":
        table = pd.read_csv(file, dtype={"site": "str"})
    elif name == "jsonl":
        table = pd.DataFrame([json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()])
    else:
        table = pd.read_parquet(file)
    expected = exported_rows(fit, "augmented").frame
    assert list(table) == list(expected)
    schema = fit.dataset.schema
    columns = schema.modelled
    pd.testing.assert_frame_equal(cast_columns(table, columns), expected[[c.name for c in columns]])
    assert table["synthetic"].tolist() == expected["synthetic"].tolist()
    metadata = json.loads((out / "croissant.json").read_text(encoding="utf-8"))
    assert not [key for key in REQUIRED if key not in metadata] and metadata["@type"] == "sc:Dataset"
    (listed,) = metadata["distribution"]
    assert listed["sha256"] == file_digest(out / listed["contentUrl"]) and out / listed["contentUrl"] == file
    fields = metadata["recordSet"][0]["field"]
    assert [field["source"]["extract"]["column"] for field in fields] == list(table)
    kinds = {field["name"]: field["dataType"] for field in fields}
    assert kinds["visits"] == "sc:Integer" and kinds["seen"] == "sc:DateTime" and kinds["synthetic"] == "sc:Boolean"


def test_the_card_says_how_how_good_and_how_private(study: Path, tmp_path: Path, fit: ChosenFit) -> None:
    out = exported(study, tmp_path / "hub", "--method", "boot", "--format", "huggingface", *SAID)
    _, header, text = (out / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    said = yaml.safe_load(header)
    assert said["license"] == "cc-by-4.0" and said["task_categories"] == ["tabular-classification"]
    types = {feature["name"]: feature["dtype"] for feature in said["dataset_info"]["features"]}
    assert types["visits"] == "int64" and types["smoker"] == "bool" and types["weight"] == "float64"
    assert "generator bootstrap" in text and "copies or mixtures of real training rows" in text
    assert f"{fit.choice.row['real_rows']} rows are real rows of the study's table" in text
    quality = fit.evaluation.diagnostics["sick"]
    assert (
        f"| wasserstein | {quality['wasserstein']:.4g} |" in text
        and f"| nearest\\_ratio | {quality['nearest_ratio']:.4g} |" in text
    )
    plain = exported(study, tmp_path / "csv", "--method", "boot")
    assert (plain / "README.md").read_text(encoding="utf-8").startswith("# ")
    assert "Not stated" in (plain / "README.md").read_text(encoding="utf-8")


def test_that_nothing_was_chosen_is_said(study: Path, tmp_path: Path) -> None:
    ended = call(codsa, "export", study, "--method", "none", "--out", tmp_path / "none")
    assert ended.code == 0 and "validation chose no synthetic rows" in ended.out
    assert "validation chose no synthetic rows" in (tmp_path / "none" / "README.md").read_text(encoding="utf-8")
    ended = call(codsa, "export", study, "--method", "none", "--what", "synthetic", "--out", tmp_path / "alone")
    assert ended.code == 2 and "there are none to export" in ended.err and not (tmp_path / "alone").exists()


def test_the_same_bytes_again_and_nothing_of_the_user_is_replaced(study: Path, tmp_path: Path) -> None:
    first = exported(study, tmp_path / "a", "--method", "boot")
    before = {path.name: path.read_bytes() for path in first.iterdir()}
    exported(study, tmp_path / "a", "--method", "boot")
    assert {path.name: path.read_bytes() for path in first.iterdir()} == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    ended = call(codsa, "export", study, "--out", tmp_path / "mine")
    assert ended.code == 2 and "not made by this command" in ended.err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "images"], "the rows have 0 columns of images"),
        (["--format", "xlsx"], "format = 'xlsx'"),
        (["--what", "real"], "what = 'real'"),
        (["--date", "today"], "write it as YYYY-MM-DD"),
        (["--license", " "], "export"),
        (["--replicate", 3], "has no replicate 3"),
    ],
)
def test_a_mistake_is_named_in_one_line(study: Path, tmp_path: Path, words: list[Any], said: str) -> None:
    ended = call(codsa, "export", study, *words, "--out", tmp_path / "out")
    assert ended.code == 2 and said in ended.err and "Traceback" not in ended.err, ended.err
    assert not list(tmp_path.iterdir())


def test_images_are_exported_and_predicted(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for k in range(60):
        file = tmp_path / "raw" / ("cat" if k % 2 else "dog") / f"{k}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        shade = 40 + 150 * (k % 2)
        Image.fromarray(random.integers(shade, shade + 40, (4, 4), dtype=np.uint8)).save(file)
    study = make_chosen_study(tmp_path / "study", tmp_path / "raw", ["--target", "label"])
    out = exported(study, tmp_path / "out", "--method", "boot", "--format", "images")
    table = pd.read_csv(out / "metadata.csv")
    rows = exported_rows(chosen_fit(study, "boot", 0), "augmented").frame
    assert list(table) == ["file_name", "label", "synthetic"] and table["label"].tolist() == rows["label"].tolist()
    for name, pixels in zip(table["file_name"], rows["image"], strict=True):
        assert np.array_equal(np.asarray(Image.open(out / name)), pixels[..., 0])
    metadata = json.loads((out / "croissant.json").read_text(encoding="utf-8"))
    assert [part["@type"] for part in metadata["distribution"]] == ["cr:FileObject", "cr:FileSet"]
    ended = call(codsa, "predict", study, tmp_path / "raw", "--out", tmp_path / "p.csv")
    assert ended.code == 0, ended.err
    found = pd.read_csv(tmp_path / "p.csv")
    assert (found["prediction"] == found["file"].map(lambda name: Path(name).parts[0])).mean() > 0.9
    ended = call(codsa, "export", study, "--method", "boot", "--out", tmp_path / "csv")
    assert ended.code == 2 and "column 'image' holds images" in ended.err


def test_after_cross_fitting_every_fold_has_its_rows(study: Path, tmp_path: Path) -> None:
    rep = tmp_path / "study" / "rep~0"
    shutil.copytree(study / "data", tmp_path / "study" / "data")
    rep.mkdir()
    for name in ("split.parquet", "split.json"):
        shutil.copy(study / "rep~0" / name, rep / name)
    split = ("--data", tmp_path / "study" / "data", "--split", rep / "split.parquet")
    pools: list[object] = []
    for fold in range(FOLDS):
        place = rep / "gen~smote" / f"r~0.8-fold{fold}"
        call(codsa_train_gen, *split, "--generator", "bootstrap", "--fold", fold, "--out", place / "generator")
        call(codsa_sample, "--generator", place / "generator", "--rows", 40, "--out", place / "pool")
        pools += ["--pool", place / "pool"]
    fits = rep / "fit~cross" / "r~0.8-cross"
    ended = call(codsa_fit, *split, *MODEL, *pools, "--r", 0.8, "--m", 0.2, "--out", fits)
    assert ended.code == 0, ended.err
    ended = call(codsa_eval, *split, "--fits", fits, *pools, "--method", "cross", "--out", rep / "eval~cross")
    assert ended.code == 0, ended.err
    fit = chosen_fit(tmp_path / "study", "cross", 0)
    rows = exported_rows(fit, "augmented")
    real = rows.frame[~rows.frame["synthetic"]]
    assert len(real) == fit.split.n == sum(rows.real.values()) and set(real["fold"]) == set(range(FOLDS))
    for fold in range(FOLDS):
        expected = fit.dataset.part(fit.split.reserved_rows(FOLD_RATIO, fold))
        of_fold = real.loc[real["fold"] == fold, list(expected)].reset_index(drop=True)
        pd.testing.assert_frame_equal(of_fold, expected)
    synthetic = rows.frame[rows.frame["synthetic"]]
    assert (synthetic["fold"].value_counts() == fit.choice.row["m"]).all()
    assert sum(rows.synthetic.values()) == FOLDS * fit.choice.row["m"]


def test_texts_and_their_embeddings_are_exported_and_predicted(tmp_path: Path, toy: None) -> None:
    reviews = toy_reviews(160)
    reviews.to_csv(tmp_path / "raw.csv", index=False)
    words = ["--target", "stars", "--text", "text", "--encoder", "toy", "--column", "text=attribute"]
    study = make_chosen_study(tmp_path / "study", tmp_path / "raw.csv", words)
    out = exported(study, tmp_path / "lines", "--method", "boot", "--format", "jsonl")
    lines = [json.loads(line) for line in (out / "data.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = exported_rows(chosen_fit(study, "boot", 0), "augmented").frame
    assert [line["text"] for line in lines] == rows["text"].tolist()
    assert np.array_equal(np.float32([line["embedding"] for line in lines]), np.stack([*rows["embedding"]]))
    cells = pd.read_csv(exported(study, tmp_path / "cells", "--method", "boot") / "data.csv")
    assert json.loads(cells["embedding"][0]) == lines[0]["embedding"]
    new = tmp_path / "new.csv"
    reviews[["text"]].to_csv(new, index=False)
    ended = call(codsa, "predict", study, new, "--out", tmp_path / "p.csv")
    assert ended.code == 2 and "give --encoder" in ended.err
    ended = call(codsa, "predict", study, new, "--encoder", "toy", "--out", tmp_path / "p.csv")
    assert ended.code == 0, ended.err
    found = pd.read_csv(tmp_path / "p.csv")
    assert (found["prediction"] == reviews["stars"]).mean() > 0.6 and found["text"].tolist() == reviews["text"].tolist()
