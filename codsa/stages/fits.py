"""What `codsa-fit` wrote, read back and checked; and the choice of λ̂ among the fits of a method."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from codsa.data.choice import GENERATOR, NONE, WEIGHTS, Candidate, simplest
from codsa.data.metrics import COLUMNS, OVERALL, RAW, check_metric
from codsa.data.pool import Pool
from codsa.data.rows import AnyDataset
from codsa.data.split import Split
from codsa.errors import CodsaError
from codsa.estimators import Predictor
from codsa.estimators.recalibration import Recalibration
from codsa.estimators.store import load_fitted
from codsa.io.manifests import Manifest, check_folder
from codsa.io.names import CHOSEN, ESTIMATORS, FIT, FITS, PREDICTIONS
from codsa.io.records import parse_as, read_as
from codsa.io.seeds import SeedContext
from codsa.io.tables import read_parquet
from codsa.stages.predictions import read_predictions
from codsa.stages.scoring import EvaluationSet

FITS_COLUMNS = (
    "estimator",
    "point",
    "r",
    "m",
    "m_ratio",
    "alpha",
    "alpha_vector",
    "counts",
    "real_rows",
    "validation",
    "validation recalibrated",
)
"""Columns that every `fits.parquet` has."""


@dataclass(frozen=True)
class Fits:
    """What `codsa-fit` wrote for one method and r: the folder, its table, its manifest, and the pools it used.

    Attributes
    ----------
    chosen : ChosenFacts
        The metrics, and the chosen points.
    pools : sequence of Pool
    rank : int
        Its rank of simplicity (see `codsa.data.choice`).
    trusted : collection of str
        The user's own classes that its estimators may run (see `codsa.estimators.store.load_fitted`).
    """

    folder: Path
    table: pd.DataFrame
    chosen: ChosenFacts
    record: Manifest
    pools: Sequence[Pool]
    rank: int
    trusted: Collection[str] = ()

    @property
    def method(self) -> str:
        """The name of the method that was fitted, as the folder's path tells it; else the folder's name."""
        return next(
            (p.removeprefix("fit~") for p in reversed(self.folder.parts) if p.startswith("fit~")), self.folder.name
        )

    def label(self, label: str) -> str:
        """Return the label of an estimator among the fits: the one asked for, or that of a method with its own."""
        if label in self.chosen.estimators:
            return label
        if len(self.chosen.estimators) > 1:
            raise CodsaError(f"{self.folder}: no fits of estimator '{label}'; run codsa-fit again")
        return next(iter(self.chosen.estimators))


@dataclass(frozen=True)
class RecalibrationFacts:
    """A `Recalibration` in `chosen.json`."""

    shift: list[float] | None
    temperature: float
    slope: float
    intercept: float

    def recalibration(self) -> Recalibration:
        """Return what it says."""
        shift = None if self.shift is None else np.array(self.shift)
        return Recalibration(shift, self.temperature, self.slope, self.intercept)


@dataclass(frozen=True)
class ChosenPoint:
    """The chosen grid point of one estimator and column, and its recalibration."""

    point: int
    recalibration: RecalibrationFacts | None


@dataclass(frozen=True)
class ChosenFacts:
    """What `chosen.json` says: the metric of test rows, that of validation rows, and λ̂ by estimator and column."""

    metric: str
    choose_by: str
    estimators: dict[str, dict[str, ChosenPoint]]


def read_fits(
    folder: Path,
    dataset: AnyDataset,
    split: Split,
    pools: Mapping[str, Pool],
    trusted: Collection[str] = (),
    rank: int | None = None,
) -> Fits:
    """Read one folder of fits, and check its files and that it belongs to this dataset and split.

    Parameters
    ----------
    pools : mapping of digest to Pool
        They include the pools that the fits used. Empty: no pools, and no diagnostics.
    trusted : collection of str
        See `codsa.estimators.store.load_fitted`.
    rank : int, optional
        Its rank of simplicity; default: as the fits used weights or pools.
    """
    record = check_folder(folder, FIT)
    for name, value in {"dataset": dataset.digest, "split": split.digest}.items():
        if record.inputs.get(name) != value:
            raise CodsaError(f"{folder}: fitted on another {name}; run codsa-fit again")
    pool_digests = [value for name, value in record.inputs.items() if name.startswith("pool")]
    if pools and not set(pool_digests) <= set(pools):
        raise CodsaError(f"{folder}: fitted on another pool; run codsa-fit again, or give its --pool")
    chosen = read_as(folder / CHOSEN, ChosenFacts)
    for metric in (chosen.metric, chosen.choose_by):
        check_metric(metric, dataset.schema.task)
    pools_used = [pools[value] for value in pool_digests if value in pools]
    table = _check_table(read_parquet(folder / FITS), chosen, folder)
    if rank is None:
        rank = GENERATOR if pool_digests else WEIGHTS if record.parameters.get("weighted") else NONE
    return Fits(folder, table, chosen, record, pools=pools_used, rank=rank, trusted=trusted)


def _check_table(table: pd.DataFrame, chosen: ChosenFacts, folder: Path) -> pd.DataFrame:
    """Return the table of fits, or raise a `CodsaError` where it lacks a column, rows or a chosen point."""
    lacking = [name for name in FITS_COLUMNS if name not in table]
    if lacking or table.empty:
        defect = f"has no column '{lacking[0]}'" if lacking else "has no rows"
        raise CodsaError(f"{folder / 'fits.parquet'}: {defect}; run codsa-fit again")
    numbers = ("validation", "validation recalibrated", "m", "real_rows", "r", "point")
    not_numeric = [name for name in numbers if not is_numeric_dtype(table[name])]
    if not_numeric:
        raise CodsaError(f"{folder / 'fits.parquet'}: column '{not_numeric[0]}' holds no numbers; run codsa-fit again")
    for label, columns in chosen.estimators.items():
        places = set(table.loc[table["estimator"] == label, "point"])
        if set(columns) != set(COLUMNS) or not {c.point for c in columns.values()} <= places:
            raise CodsaError(
                f"{folder / CHOSEN}: names a grid point of '{label}' that is not in fits.parquet; run codsa-fit again"
            )
    if not chosen.estimators:
        raise CodsaError(f"{folder / CHOSEN}: names no estimator; run codsa-fit again")
    return table


@dataclass(frozen=True)
class Choice:
    """λ̂ of one estimator and column: the fits that hold it, and its grid point."""

    fits: Fits
    label: str
    column: str

    @property
    def facts(self) -> ChosenPoint:
        """What `chosen.json` says of it."""
        return self.fits.chosen.estimators[self.label][self.column]

    @property
    def row(self) -> dict[str, Any]:
        """The grid point's row of `fits.parquet`."""
        table = self.fits.table
        row = table[(table["estimator"] == self.label) & (table["point"] == self.facts.point)].iloc[0]
        return {str(name): None if value is pd.NA else value for name, value in row.items()}

    @property
    def alpha(self) -> list[float]:
        """The allocation α of λ̂."""
        return parse_as(str(self.row["alpha_vector"]), list[float], f"{self.fits.folder}: alpha_vector")

    @property
    def counts(self) -> list[int]:
        """The synthetic rows that λ̂ takes of each region."""
        return parse_as(str(self.row["counts"]), list[int], f"{self.fits.folder}: counts")

    @property
    def validation(self) -> dict[str, float]:
        """The validation metric of λ̂ per region and under Q."""
        start = "validation" if self.column == RAW else "validation recalibrated"
        row = self.row
        return {OVERALL: row[start]} | {
            name.removeprefix(f"{start}: "): value for name, value in row.items() if name.startswith(f"{start}: ")
        }

    def predictor(self) -> Predictor:
        """Return the fitted estimator."""
        folder = self.fits.folder / ESTIMATORS / self.label / f"{self.facts.point:04d}"
        return load_fitted(folder, self.fits.trusted)

    def recalibrated(self, predicted: np.ndarray) -> np.ndarray:
        """Return predictions as the column shows them: as they are, or recalibrated."""
        if self.column == RAW or self.facts.recalibration is None:
            return predicted
        return self.facts.recalibration.recalibration().apply(predicted)


def choose(fits: Sequence[Fits], label: str, column: str, validation: EvaluationSet, seeds: SeedContext) -> Choice:
    """Choose λ̂ = (m, α, r) of one estimator over all fits of a method; no test row is read.

    Within one standard error of the best validation figure, the simplest fits are chosen (see `codsa.data.choice`).
    """
    if len({(one.chosen.metric, one.chosen.choose_by) for one in fits}) != 1:
        raise CodsaError("the fits were judged by different metrics; fit them with one --metric and one --choose-by")
    choices = [Choice(one, one.label(label), column) for one in fits]
    candidates = [_candidate(choice, validation) for choice in choices]
    metric = fits[0].chosen.choose_by
    return choices[simplest(candidates, metric, validation.rows, seeds.stream("choose", metric, column))]


def _candidate(choice: Choice, validation: EvaluationSet) -> Candidate:
    fits = choice.fits
    predicted = read_predictions(fits.folder / PREDICTIONS, validation, choice.label, choice.column)
    adds_nothing = choice.row["m"] == 0 and fits.rank == GENERATOR
    return Candidate(NONE if adds_nothing else fits.rank, float(choice.validation[OVERALL]), predicted)
