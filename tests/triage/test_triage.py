"""codsa triage: the learning curve, the headroom, the sentence, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from codsa.cli.main import app
from codsa.data.dataset import Dataset
from codsa.data.preparation import prepare
from codsa.errors import CodsaError
from codsa.io.seeds import stream
from codsa.settings.columns import ColumnOptions
from codsa.settings.regions import RegionRule
from codsa.triage import judge
from codsa.triage.baseline import BaselineSplit, Parts
from codsa.triage.curve import doubling, fit_curve
from codsa.triage.judge import triage

SHARES = np.array([0.25, 0.5, 1.0])


def table(rows: int, thin: int, seed: int = 0, noise: float = 1.0) -> pd.DataFrame:
    """A class of which `thin` rows are rare, told by two of three features."""
    random = np.random.default_rng(seed)
    y = np.r_[np.zeros(rows - thin), np.ones(thin)].astype(int)
    x = random.normal(size=(rows, 3)) * noise + np.column_stack([y, -y, np.zeros(rows)])
    return pd.DataFrame(x.round(3), columns=["a", "b", "c"]).assign(y=np.where(y == 1, "yes", "no"))


def triaged(frame: pd.DataFrame, q: tuple[float, float] = (0.5, 0.5), seed: int = 0) -> judge.Triage:
    rows, schema = prepare(frame, ColumnOptions(target="y"), RegionRule())
    return triage(rows, schema, np.array(q), seed)


@pytest.fixture(autouse=True)
def folds_dealt_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tables, too, are split five times instead of fifteen."""
    monkeypatch.setattr(judge, "REPEATS", ())


def test_the_doubling_of_an_exact_power_law_is_found() -> None:
    losses = np.tile(0.3 + 0.1 / SHARES, (6, 1)) + np.linspace(-0.01, 0.01, 6)[:, None]
    twice = doubling(SHARES, losses, 1.0, 0.3, stream(0, "t"))
    assert twice.gain == pytest.approx(0.05) and twice.limit == pytest.approx(0.1)
    assert twice.low <= twice.gain <= twice.high


def test_more_rows_never_do_harm() -> None:
    curve = fit_curve(SHARES, np.array([[0.1, 0.2, 0.3]]))
    assert curve.b[0] == 0 and curve.at(2.0)[0] == pytest.approx(0.2)


def test_a_thin_region_is_named_and_the_rest_is_not() -> None:
    result = triaged(table(240, 30))
    assert result.thin == ["yes"] and result.by_region
    assert result.loss < result.guess and len(result.curve) == len(result.shares)
    assert [region.twice is None for region in result.regions] == [True, False]


def test_the_same_table_and_seed_give_the_same_figures() -> None:
    frame = table(120, 24)
    assert triaged(frame).to_dict() == triaged(frame).to_dict()
    assert triaged(frame, seed=1).loss != triaged(frame).loss


def test_validation_rows_without_a_fault_make_no_model_certain() -> None:
    """Temperature 0 would suit them, and cost any loss on the first test row that is on the wrong side."""
    rows, schema = prepare(table(60, 30), ColumnOptions(target="y"), RegionRule())
    parts = Parts(*np.arange(60).reshape(3, 20))
    dataset = Dataset(rows.sample(frac=1, random_state=0).reset_index(drop=True), schema, "")
    half = np.full(2, 0.5)
    split = BaselineSplit(dataset, dataset.regions(), half, half > 0, parts, stream(0, "t"))

    class Separating:
        """Right by 0.7 on each validation row, wrong by 0.7 on each other row."""

        def predict(self, x: np.ndarray) -> np.ndarray:
            own = split.validation.y if x is split.validation.x else 1 - test.y
            return np.where(np.arange(2) == own[:, None], 0.7, 0.3)

    train, test = split._rows(parts.train), split._rows(parts.test)
    own = split._predict(Separating(), "linear", train, test)[np.arange(len(test.y)), test.y]
    assert own.max() < 0.3 and own.min() > 0.05  # about 10 rows of each class: 1/12


def test_a_region_that_has_few_rows_is_refused_by_name() -> None:
    frame = table(120, 24).assign(a=[9.0] * 4 + [0.0] * 116)
    rule = RegionRule(by="range", column="a", edges=[4.0], min_rows=1)
    rows, schema = prepare(frame, ColumnOptions(target="y"), rule)
    with pytest.raises(CodsaError, match="has 4 rows; triage needs 10"):
        triage(rows, schema, np.array([0.5, 0.5]), 0)


def test_the_command_writes_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "t.csv", tmp_path / "t.json"
    table(150, 30).to_csv(path, index=False)
    app(["triage", str(path), "--target", "y", "--json", str(out)], standalone_mode=False)
    said, facts = capsys.readouterr().out, json.loads(out.read_text(encoding="utf-8"))
    assert facts["sentence"] in said and facts["headroom"]["low"] <= facts["headroom"]["high"]
    assert facts["verdict"] in ("yes", "no", "open")
