"""No row of S_r, validation or test reaches a generator; no test row reaches anything but evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pytest

from codsa.data.dataset import Dataset, load_dataset, write_dataset
from codsa.data.preparation import prepare
from codsa.data.schema import Schema
from codsa.data.split import TEST, TRAIN, VALIDATION, Split, load_split, write_split
from codsa.errors import CodsaError
from codsa.generators import Generator
from codsa.io.seeds import SeedContext, rng, stream
from codsa.settings.columns import ColumnOptions
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.evaluation import Evaluation
from codsa.settings.grid import Grid
from codsa.settings.regions import RegionRule
from codsa.stages.evaluate import Evaluator, evaluate
from codsa.stages.fit import fit_grid
from codsa.stages.split import Size, split, target_law
from codsa.stages.train_generator import train

SEEN: list[set[int]] = []


class Spy(Generator):
    """A generator that remembers which rows it was given, by a value that names each row."""

    def fit(
        self,
        rows: pd.DataFrame,
        regions: np.ndarray,
        schema: Schema,
        stream: np.random.SeedSequence,
        checkpoint_dir: Path | None = None,
        pretrained: Path | None = None,
    ) -> Self:
        SEEN.append({int(v) for v in rows["name"]})
        return self

    def sample(self, region: int, count: int, stream: np.random.SeedSequence) -> pd.DataFrame:
        raise AssertionError("not sampled here")

    def save(self, folder: Path) -> None:
        raise AssertionError("not saved here")

    @classmethod
    def load(cls, folder: Path, schema: Schema, settings: Mapping[str, Any]) -> Self:
        raise AssertionError("not loaded here")


@pytest.fixture
def named(tmp_path: Path) -> tuple[Dataset, Split]:
    """A dataset whose column `name` names each row (row_id + 0.5), and its split."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"name": np.arange(300) + 0.5, "x": random.normal(size=300), "y": [0] * 60 + [1] * 240})
    rows, schema = prepare(frame, ColumnOptions(target="y"), RegionRule())
    write_dataset(tmp_path, rows, schema, {})
    dataset = load_dataset(tmp_path)
    q = target_law("balanced", schema, dataset.regions())
    table = split(dataset, q, Size(count=40), Size(count=40), rng(stream(0, "split")))
    write_split(tmp_path / "split.parquet", table, dataset, q, {})
    return dataset, load_split(tmp_path / "split.parquet", dataset)


def rows_given(dataset: Dataset, roles: Split, r: float) -> set[int]:
    SEEN.clear()
    train(dataset, roles, r, f"{__name__}:Spy", {}, SeedContext(0, "leak", 0))
    return SEEN[0]


def forbidden(roles: Split, r: float) -> set[int]:
    return {int(i) for i in np.r_[roles.reserved_rows(r), roles.rows(VALIDATION), roles.rows(TEST)]}


@pytest.mark.parametrize("r", [0.1, 0.5, 0.8, 1.0])
def test_a_generator_sees_s_g_and_nothing_else(named: tuple[Dataset, Split], r: float) -> None:
    dataset, roles = named
    given = rows_given(dataset, roles, r)
    assert given == {int(i) for i in roles.generator_rows(r)}
    assert not given & forbidden(roles, r)


def test_the_leak_test_can_fail(named: tuple[Dataset, Split], monkeypatch: pytest.MonkeyPatch) -> None:
    """With the fault of taking S_g from all training rows, the test above sees reserved rows."""
    dataset, roles = named
    monkeypatch.setattr(Split, "generator_rows", lambda self, r, fold=None: self.rows(TRAIN))
    assert rows_given(dataset, roles, 0.5) & {int(i) for i in roles.reserved_rows(0.5)}


def test_a_row_of_another_role_stops_the_stage(named: tuple[Dataset, Split], monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, roles = named
    everything = np.arange(len(dataset.rows))
    monkeypatch.setattr(Split, "generator_rows", lambda self, r, fold=None: everything)
    with pytest.raises(CodsaError, match="not training rows"):
        rows_given(dataset, roles, 0.5)


def with_other_rows(dataset: Dataset, rows: np.ndarray) -> Dataset:
    """The dataset with the features of some rows made senseless."""
    table = dataset.rows.copy()
    table.loc[rows, ["name", "x"]] = 1e6
    return Dataset(table, dataset.schema, dataset.digest)


def test_fits_and_the_choice_do_not_depend_on_test_rows(named: tuple[Dataset, Split]) -> None:
    dataset, roles = named
    grid, judge = (
        Grid(m=[0.0], alpha=["balance"], reserve="all"),
        EstimatorSpec(name="gradient-boosting", settings={"max_iter": 5}),
    )
    seeds = SeedContext(0, "leak", 0)

    def table(data: Dataset) -> pd.DataFrame:
        fits = fit_grid(data, roles, [], 1.0, grid, {"own": judge}, "cross-entropy", seeds)["own"]
        return pd.DataFrame([point.record for point in fits.points])

    assert table(dataset).equals(table(with_other_rows(dataset, roles.rows(TEST))))
    assert not table(dataset).equals(table(with_other_rows(dataset, roles.rows(VALIDATION))))
    assert not table(dataset).equals(table(with_other_rows(dataset, roles.rows(TRAIN))))


def test_evaluation_reads_test_rows(named: tuple[Dataset, Split], tmp_path: Path) -> None:
    from codsa.stages.fit import write_fits
    from codsa.stages.fits import read_fits
    from codsa.stages.scoring import evaluation_set

    dataset, roles = named
    judge, seeds = EstimatorSpec(name="gradient-boosting", settings={"max_iter": 5}), SeedContext(0, "leak", 0)
    grid = Grid(m=[0.0], alpha=["balance"], reserve="all")
    fits = fit_grid(dataset, roles, [], 1.0, grid, {"own": judge}, "cross-entropy", seeds)
    inputs = {"dataset": dataset.digest, "split": roles.digest}
    validation = evaluation_set(dataset, roles, VALIDATION)
    write_fits(tmp_path / "fits", fits, validation, "cross-entropy", inputs, {"r": 1.0}, False)
    asked = Evaluation(out=tmp_path / "eval", fits=[tmp_path / "fits"])

    def record(data: Dataset) -> dict[str, Any]:
        found = [read_fits(tmp_path / "fits", dataset, roles, {})]
        return evaluate(Evaluator(data, roles, seeds), found, asked)[0]["estimators"]["own"]

    usual, changed = record(dataset), record(with_other_rows(dataset, roles.rows(TEST)))
    for column in ("raw", "recalibrated"):
        assert usual[column]["test"] != changed[column]["test"]
        for chosen_on_validation in ("chosen", "validation", "temperature", "thresholds"):
            assert usual[column][chosen_on_validation] == changed[column][chosen_on_validation]
