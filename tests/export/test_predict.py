"""codsa predict: the predictions of the chosen fits for a new table, and what is wrong with a table that has none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Ended, call, made_once, make_mixed_table
from finished_study import make_study

from codsa.cli.main import main as codsa

FEATURES = ["income", "score", "visits", "site", "smoker", "seen"]


def make(folder: Path) -> None:
    for replicate in (0, 1):
        make_study(folder / "toy", make_mixed_table(160), methods=["none"], replicate=replicate)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "predicted", make) / "toy"


def predict(study: Path, table: Path | pd.DataFrame, folder: Path, *words: str) -> Ended:
    if isinstance(table, pd.DataFrame):
        table.to_csv(folder / "new.csv", index=False)
        table = folder / "new.csv"
    return call(codsa, "predict", study, table, "--out", folder / "out.csv", *words)


def probabilities(folder: Path) -> np.ndarray:
    return pd.read_csv(folder / "out.csv")[["probability: sick", "probability: well"]].to_numpy()


@pytest.mark.parametrize("column", ["recalibrated", "raw"])
def test_test_rows_are_predicted_as_codsa_eval_did(study: Path, tmp_path: Path, column: str) -> None:
    words = ("--as-fitted",) if column == "raw" else ()
    ended = predict(study, make_mixed_table(160), tmp_path, "--replicate", "1", *words)
    assert ended.code == 0 and f"by none, estimator gradient-boosting, {column}, replicate 1" in ended.out
    known = pd.read_parquet(study / "rep~1/eval~none/predictions.parquet")
    names = [f"gradient-boosting/{column}/{k}" for k in (0, 1)]
    assert np.allclose(probabilities(tmp_path)[known["row_id"]], known[names], atol=1e-12)


def test_replicates_are_averaged(study: Path, tmp_path: Path) -> None:
    table = make_mixed_table(60)[FEATURES]
    single = []
    for words in (["--replicate", "0"], ["--replicate", "1"], []):
        ended = predict(study, table, tmp_path, *words)
        assert ended.code == 0
        single.append(probabilities(tmp_path))
    assert "averaged over replicates 0, 1" in ended.out and "replicate 1 chose none: no synthetic rows" in ended.out
    assert np.allclose(single[2], (single[0] + single[1]) / 2) and not np.allclose(single[0], single[1])
    predictions = pd.read_csv(tmp_path / "out.csv")
    assert list(predictions) == ["row", "prediction", "probability: sick", "probability: well"]
    assert predictions["row"].tolist() == list(range(1, 61))
    assert (predictions["prediction"] == np.where(single[2][:, 0] >= 0.5, "sick", "well")).all()
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["parameters"]["method"] == "none" and set(record["facts"]["chosen"]) == {"0", "1"}


def test_other_orders_new_levels_decimals_and_gaps(study: Path, tmp_path: Path) -> None:
    table = make_mixed_table(30)
    predict(study, table, tmp_path)
    expected = probabilities(tmp_path)
    moved = table[["seen", "y", "smoker", "site", "visits", "score", "income"]].assign(more=1)
    assert predict(study, moved, tmp_path).code == 0
    assert (probabilities(tmp_path) == expected).all()
    odd = table[FEATURES].assign(site="elsewhere", visits=2.5, score=np.nan, income=1e12)
    ended = predict(study, odd, tmp_path)
    assert ended.code == 0 and np.isfinite(probabilities(tmp_path)).all()
    missing = table[FEATURES].assign(site=None, visits=2.5, score=np.nan, income=1e12)
    odd_values = probabilities(tmp_path)
    assert predict(study, missing, tmp_path).code == 0 and (probabilities(tmp_path) == odd_values).all()


def test_a_table_that_cannot_be_predicted(study: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = make_mixed_table(20)
    ended = predict(study, table.rename(columns={"income": "incomes"}), tmp_path)
    assert ended.code == 2 and "has no column 'income', on which the estimator was fitted" in ended.err
    assert "did you mean 'incomes'" in ended.err
    ended = predict(study, table.assign(score="much"), tmp_path)
    assert ended.code == 2 and "column 'score': not readable as numeric" in ended.err and "new.csv" in ended.err
    assert not (tmp_path / "out.csv").exists()
    assert predict(study, table.assign(site="elsewhere"), tmp_path).code == 0
    assert "column 'site': 'elsewhere' is no training row's" in caplog.text
    ended = call(codsa, "predict", study, tmp_path / "new.csv", "--out", tmp_path / "out.txt")
    assert ended.code == 2 and "ends in .csv or .parquet" in ended.err


def test_what_is_in_the_way_stays(study: Path, tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("mine")
    ended = predict(study, make_mixed_table(20), tmp_path)
    assert ended.code == 2 and "was not made by this command" in ended.err
    assert (tmp_path / "out.csv").read_text() == "mine"


def test_a_value_and_a_semicolon_table(tmp_path: Path) -> None:
    table = make_mixed_table(160)
    table["y"] = table["income"].fillna(0) + table["visits"]
    made = make_study(tmp_path / "number", table, "--task", "regression", methods=["none"])
    table[FEATURES].to_csv(tmp_path / "new.csv", index=False, sep=";", decimal=",")
    ended = call(codsa, "predict", made, tmp_path / "new.csv", "--out", tmp_path / "out.parquet")
    assert ended.code == 0, ended
    predictions = pd.read_parquet(tmp_path / "out.parquet")
    known = pd.read_parquet(made / "rep~0/eval~none/predictions.parquet")
    assert list(predictions) == ["row", "prediction"]
    expected = known["gradient-boosting/recalibrated/0"].to_numpy()
    assert np.allclose(predictions["prediction"].to_numpy()[known["row_id"]], expected)
