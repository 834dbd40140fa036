"""Predictions of a new table by the fits that a study chose."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from chosen_study import make_chosen_study
from conftest import RunCli, call, make_mixed_table

from codsa.cli.main import main as codsa
from codsa.data.split import TEST
from codsa.stages.chosen import chosen_fit


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two replicates, whose table is written with semicolons and decimal commas; read only."""
    folder = tmp_path_factory.mktemp("predict")
    make_mixed_table(200).to_csv(folder / "raw.csv", index=False, sep=";", decimal=",")
    said = ["--no-guess", "--sep", ";", "--decimal", ",", "--header"]
    return make_chosen_study(folder / "study", folder / "raw.csv", said, replicates=2)


def new_table(path: Path, table: pd.DataFrame) -> Path:
    table.to_csv(path, index=False, sep=";", decimal=",")
    return path


def predicted(study: Path, new: Path, out: Path, *words: object) -> pd.DataFrame:
    ended = call(codsa, "predict", study, new, *words, "--out", out)
    assert ended.code == 0, ended.err
    return pd.read_csv(out)


@pytest.mark.parametrize("method", ["none", "boot"])
def test_the_rows_of_the_study_are_predicted_as_its_evaluation_predicted_them(
    study: Path, tmp_path: Path, method: str
) -> None:
    new = new_table(tmp_path / "new.csv", make_mixed_table(200))
    table = predicted(study, new, tmp_path / "p.csv", "--method", method, "--replicate", 1)
    at_test = pd.read_parquet(study / "rep~1" / f"eval~{method}" / "predictions.parquet")
    fit = chosen_fit(study, method, 1)
    assert at_test["row_id"].tolist() == fit.split.rows(TEST).tolist() and fit.fitted_method == method
    names = [f"logistic/recalibrated/{c}" for c in range(2)]
    of_test = table.loc[at_test["row_id"], ["probability: sick", "probability: well"]].to_numpy()
    assert np.allclose(of_test, at_test[names].to_numpy(), atol=1e-12)
    likelier = np.where(table["probability: sick"] >= 0.5, "sick", "well")
    assert (table["prediction"] == likelier).all() and table["row"].tolist() == list(range(200))
    assert table["patient_id"].tolist() == make_mixed_table(200)["patient_id"].tolist() and "y" not in table


def test_replicates_are_averaged_and_named(study: Path, tmp_path: Path, run_cli: RunCli) -> None:
    new = new_table(tmp_path / "new.csv", make_mixed_table(200).drop(columns="y").head(30))
    each = [predicted(study, new, tmp_path / f"{k}.csv", "--replicate", k) for k in (0, 1)]
    ended = run_cli(codsa, "predict", study, new, "--out", tmp_path / "both.csv")
    assert ended.code == 0 and "averaged over 2 replicates" in ended.out, ended
    assert "replicate 0: codsa-auto chose" in ended.out and "replicate 1: codsa-auto chose" in ended.out
    both = pd.read_csv(tmp_path / "both.csv")
    mean = (each[0]["probability: sick"] + each[1]["probability: sick"]) / 2
    assert np.allclose(both["probability: sick"], mean) and not np.allclose(*(e["probability: sick"] for e in each))
    record = json.loads((tmp_path / "both.json").read_text())
    assert [fit["replicate"] for fit in record["facts"]["fits"]] == [0, 1] and record["outputs"].keys() == {"both.csv"}
    again = (tmp_path / "both.csv").read_bytes()
    assert run_cli(codsa, "predict", study, new, "--out", tmp_path / "both.csv").code == 0
    assert (tmp_path / "both.csv").read_bytes() == again


def test_unseen_levels_and_gaps_count_as_at_validation(study: Path, tmp_path: Path) -> None:
    table = make_mixed_table(200).head(12)
    table["site"] = "atlantis"
    new = new_table(tmp_path / "new.csv", table)
    ended = call(codsa, "predict", study, new, "--out", tmp_path / "p.csv")
    assert ended.code == 0 and "level 'atlantis' is not in the study" in ended.out
    table["site"] = "other place"
    other = predicted(study, new_table(tmp_path / "other.csv", table), tmp_path / "q.csv")
    assert np.array_equal(pd.read_csv(tmp_path / "p.csv")["probability: sick"], other["probability: sick"])
    table[["site", "score"]] = None
    gaps = predicted(study, new_table(tmp_path / "gaps.csv", table), tmp_path / "g.csv")
    assert np.isfinite(gaps["probability: sick"]).all()


@pytest.mark.parametrize(
    ("change", "words", "said"),
    [
        (lambda t: t.drop(columns=["score", "site"]), [], "has no column 'score' and 1 more, a feature of the study"),
        (lambda t: t.rename(columns={"income": "incomes"}), [], "did you mean 'incomes'"),
        (lambda t: t.assign(visits="often"), [], "column 'visits' is integer in the study, which 'often' is not"),
        (lambda t: t.assign(seen="soon"), [], "column 'seen' is datetime in the study, which 'soon' is not"),
        (lambda t: t, ["--method", "bot"], "no evaluation of method 'bot'; did you mean 'boot'"),
        (lambda t: t, ["--estimator", "logistics"], "did you mean 'logistic'"),
        (lambda t: t, ["--replicate", 7], "has no replicate 7; it has 0, 1"),
        (lambda t: t, ["--out", "p.txt"], "written as .csv or .parquet"),
        (lambda t: t, ["--encoder", "toy"], "no feature of the study is the embedding of a text"),
    ],
)
def test_a_mistake_is_named_in_one_line(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: object, words: list[object], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    new = new_table(tmp_path / "new.csv", change(make_mixed_table(200).head(20)))  # type: ignore[operator]
    ended = call(codsa, "predict", study, new, *words)
    assert ended.code == 2 and said in ended.err and len(ended.err.splitlines()) == 1, ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


def test_a_file_of_the_user_is_not_overwritten(study: Path, tmp_path: Path) -> None:
    new = new_table(tmp_path / "new.csv", make_mixed_table(200).head(20))
    before = new.read_bytes()
    ended = call(codsa, "predict", study, new, "--out", new)
    assert ended.code == 2 and "was not made by this command" in ended.err and new.read_bytes() == before


def test_a_folder_that_is_no_study_and_fits_that_were_made_anew(study: Path, tmp_path: Path) -> None:
    new = new_table(tmp_path / "new.csv", make_mixed_table(200).head(20))
    ended = call(codsa, "predict", tmp_path, new, "--out", tmp_path / "p.csv")
    assert ended.code == 2 and "is no folder of a study" in ended.err
    copy = tmp_path / "copy"
    shutil.copytree(study, copy)
    shutil.rmtree(copy / "rep~0" / "fit~boot" / "r~0.5")
    shutil.copytree(copy / "rep~0" / "fit~none" / "r~1.0", copy / "rep~0" / "fit~boot" / "r~0.5")
    ended = call(codsa, "predict", copy, new, "--method", "boot", "--out", tmp_path / "p.csv")
    assert ended.code == 2 and "fitted anew since" in ended.err


def test_levels_of_whole_numbers_and_a_regression(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame({"x": random.normal(size=160), "code": random.choice([1, 2, 3], 160)})
    table["y"] = table["x"] + table["code"] + random.normal(0, 0.1, 160)
    table.to_csv(tmp_path / "raw.csv", index=False)
    options = ["--column", "code=categorical"]
    model = ("--estimator", "gradient-boosting", "--set", "max_iter=20")
    study = make_chosen_study(tmp_path / "study", tmp_path / "raw.csv", options, model=model)
    plain = tmp_path / "new.csv"
    pd.DataFrame({"x": [0.0, 0.0, 0.0], "code": [1, 3, 2]}).to_csv(plain, index=False)
    first = predicted(study, plain, tmp_path / "p.csv")["prediction"]
    assert first[1] - first[0] > 1
    pd.DataFrame({"x": [0.0, 0.0, 0.0], "code": ["1", "3", "n5"]}).to_csv(plain, index=False)
    beside_a_text = predicted(study, plain, tmp_path / "q.csv")["prediction"]
    assert np.array_equal(beside_a_text[:2], first[:2])
    pd.DataFrame({"x": [0.0, 0.0, 0.0], "code": [1, 3, None]}).to_csv(plain, index=False)
    gap = predicted(study, plain, tmp_path / "g.csv")["prediction"]
    assert np.array_equal(gap, beside_a_text)


def test_a_detector_of_ones_own_gives_scores_where_it_is_trusted(tmp_path: Path) -> None:
    make_mixed_table(240).to_csv(tmp_path / "raw.csv", index=False)
    regions = ["--regions", "column", "--region-column", "smoker"]
    detect = ["--target", "y", "--task", "detection", "--normal", "well", *regions]
    name = "sklearn.ensemble:IsolationForest"
    model, trust = ("--estimator", name, "--set", "n_estimators=20"), ("--trust", name)
    study = make_chosen_study(tmp_path / "study", tmp_path / "raw.csv", detect, model=model, trust=trust)
    ended = call(codsa, "predict", study, tmp_path / "raw.csv", "--method", "boot", "--out", tmp_path / "p.csv")
    assert ended.code == 2 and f"--trust {name}" in ended.err and not (tmp_path / "p.csv").exists()
    table = predicted(study, tmp_path / "raw.csv", tmp_path / "p.csv", "--method", "boot", *trust)
    label = "sklearn.ensemble.IsolationForest"
    at_test = pd.read_parquet(study / "rep~0" / "eval~boot" / "predictions.parquet")
    assert np.allclose(table.loc[at_test["row_id"], "score"], at_test[f"{label}/raw/0"]) and "prediction" not in table


def test_a_new_table_is_read_by_what_was_found_in_the_study_s(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame({"price": random.lognormal(7, 1, 160)})
    table["y"] = np.where(table["price"] > 1100, "dear", "cheap")
    table["price"] = table["price"].map(lambda v: f"{v:,.2f} €".replace(",", " ").replace(".", ","))
    table.to_csv(tmp_path / "raw.csv", index=False, sep=";")
    study = make_chosen_study(tmp_path / "study", tmp_path / "raw.csv")
    new = tmp_path / "new.csv"
    new.write_text("price\n9 999,00 €\n1,00 €\n", encoding="utf-8")
    assert predicted(study, new, tmp_path / "p.csv")["prediction"].tolist() == ["dear", "cheap"]
    pd.DataFrame({"price": [9999.0, 1.0]}).to_parquet(tmp_path / "new.parquet")
    typed = predicted(study, tmp_path / "new.parquet", tmp_path / "q.csv")
    assert np.array_equal(typed["probability: dear"], pd.read_csv(tmp_path / "p.csv")["probability: dear"])
