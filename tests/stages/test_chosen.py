"""codsa predict and codsa export: what a finished study chose, for new rows and for other tools."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import made_once, make_mixed_table

from codsa.cli.main import app
from codsa.data.metrics import RECALIBRATED
from codsa.data.split import TRAIN, open_split
from codsa.errors import CodsaError
from codsa.io.digests import file_digest
from codsa.io.tables import read_parquet
from codsa.stages.chosen import read_chosen, replicates_of
from codsa.stages.export import FORMATS, REGION, SYNTHETIC
from codsa.stages.predict import predict


def run(*words: object) -> None:
    app([str(word) for word in words], standalone_mode=False)


def make_study(root: Path) -> None:
    """Two replicates of 'smote', which must add rows, and of 'none'."""
    root.mkdir(exist_ok=True)
    make_mixed_table().to_csv(root / "raw.csv", index=False)
    study = root / "study"
    run("prepare", root / "raw.csv", "--target", "y", "--out", study / "data")
    for k in range(2):
        folder = study / f"rep~{k}"
        both = ["--data", study / "data", "--split", folder / "split.parquet"]
        run("split", "--data", study / "data", "--replicate", k, "--out", folder / "split.parquet")
        run("train-gen", *both, "--generator", "smote", "--r", 1, "--out", folder / "gen~smote/r~1.0/generator")
        pool = folder / "gen~smote/r~1.0/pool"
        run("sample", *both, "--generator", pool.parent / "generator", "--rows", 60, "--out", pool)
        fit = ["--estimator", "logistic", "--reserve", "all", "--replicate", k]
        run("fit", *both, *fit, "--r", 1, "--pool", pool, "--m", 0.3, "--out", folder / "fit~smote/r~1.0")
        run("fit", *both, *fit, "--out", folder / "fit~none/r~1.0")
        for method in ("smote", "none"):
            out = ["--method", method, "--kind", "control", "--out", folder / f"eval~{method}"]
            run("eval", *both, "--fits", folder / f"fit~{method}/r~1.0", *out, "--replicate", k)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "chosen", make_study)


def test_predictions_of_known_rows_are_those_of_the_evaluation(root: Path) -> None:
    study = root / "study"
    chosen = read_chosen(study, replicates_of(study, 0)[0], "smote")
    known = read_parquet(study / "rep~0/eval~smote/predictions.parquet")
    raw = pd.read_csv(root / "raw.csv").iloc[known["row_id"]]
    probabilities = predict([chosen], raw).filter(like="probability of").to_numpy()
    np.testing.assert_allclose(probabilities, known.filter(like=f"/{RECALIBRATED}/").to_numpy(), atol=1e-12)


def test_replicates_are_averaged_and_the_target_is_not_needed(root: Path, tmp_path: Path) -> None:
    study, new = root / "study", tmp_path / "new.csv"
    pd.read_csv(root / "raw.csv").drop(columns="y").head(5).to_csv(new, index=False)
    for name, words in {"all": [], "0": ["--replicate", 0], "1": ["--replicate", 1]}.items():
        run("predict", study, new, "--method", "smote", *words, "--out", tmp_path / f"{name}.csv")
    both, first, second = (pd.read_csv(tmp_path / f"{name}.csv").iloc[:, 1:] for name in ("all", "0", "1"))
    np.testing.assert_allclose(both, (first + second) / 2, atol=1e-9)
    with pytest.raises(CodsaError, match="is there already"):
        run("predict", study, new, "--method", "smote", "--out", tmp_path / "all.csv")


def test_a_missing_feature_and_a_misspelt_method_are_named(root: Path, tmp_path: Path) -> None:
    pd.DataFrame({"other": [1.0, 2.0]}).to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(CodsaError, match="has no column"):
        run("predict", root / "study", tmp_path / "new.csv", "--method", "none", "--out", tmp_path / "p.csv")
    with pytest.raises(CodsaError, match="did you mean 'smote'"):
        run("export", root / "study", "--method", "smot", "--out", tmp_path / "e")
    assert not (tmp_path / "p.csv").exists() and not (tmp_path / "e").exists()


@pytest.mark.parametrize("file_format", FORMATS)
def test_an_export_has_training_rows_and_the_pools(root: Path, tmp_path: Path, file_format: str) -> None:
    study, out = root / "study", tmp_path / "out"
    run("export", study, "--method", "smote", "--format", file_format, "--licence", "CC-BY-4.0", "--out", out)
    metadata = json.loads((out / "croissant.json").read_text(encoding="utf-8"))
    file = metadata["distribution"][0]
    path = out / file["contentUrl"]
    assert file["sha256"] == file_digest(path) and metadata["license"] == "CC-BY-4.0"
    read = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".jsonl": lambda p: pd.read_json(p, lines=True)}
    rows = read[path.suffix](path)
    assert [field["name"] for field in metadata["recordSet"][0]["field"]] == list(rows.columns)
    _, split = open_split(study / "data", study / "rep~0/split.parquet")
    assert (~rows[SYNTHETIC]).sum() == len(split.rows(TRAIN)) and rows[SYNTHETIC].sum() == round(0.3 * split.n)
    assert set(rows[REGION].astype(str)) <= {"a", "b", "c", "0", "1"} | set(rows["y"].astype(str))
    assert f"{int(rows[SYNTHETIC].sum())} of them synthetic" in (out / "README.md").read_text(encoding="utf-8")


def test_validation_and_test_rows_are_not_exported(root: Path, tmp_path: Path) -> None:
    study = root / "study"
    run("export", study, "--method", "none", "--format", "parquet", "--out", tmp_path / "out")
    exported = pd.read_parquet(tmp_path / "out/rows.parquet")
    dataset, split = open_split(study / "data", study / "rep~0/split.parquet")
    expected = dataset.part(split.rows(TRAIN)).reset_index(drop=True)  # type: ignore[union-attr]
    shared = [name for name in exported if name in expected]
    pd.testing.assert_frame_equal(exported[shared], expected[shared], check_dtype=False, check_categorical=False)


def test_synthetic_rows_where_none_were_chosen_are_refused_with_a_word(root: Path, tmp_path: Path) -> None:
    with pytest.raises(CodsaError, match="adds no synthetic row"):
        run("export", root / "study", "--method", "none", "--what", "synthetic", "--out", tmp_path / "out")


def test_a_users_folder_is_not_replaced(root: Path, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("mine")
    with pytest.raises(CodsaError):
        run("export", root / "study", "--method", "none", "--out", tmp_path)
    assert (tmp_path / "own.txt").read_text() == "mine"
