"""The results of one experiment: every figure by method, region, metric, estimator and column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from codsa.data.choice import ScoredRows
from codsa.data.metrics import OVERALL, RAW, RECALIBRATED
from codsa.errors import CodsaError
from codsa.evidence.records import ChoiceRecord, ChosenRecord, Figures, MetricsRecord
from codsa.io.names import PREDICTIONS
from codsa.io.tables import read_parquet

PLAIN = "none"
WEIGHTED = "weighted"
CONTROL_AUTO = "control-auto"
"""The control that validation rows choose among the controls alone."""
SIMPLE = (WEIGHTED, "bootstrap", "smote", "adasyn", "smogn", "gaussian", "non-adaptive")
"""Controls in the order of tables; others follow by name."""
Values = Mapping[str, pd.Series]
"""Method → its figures under Q, indexed by replicate."""


@dataclass(frozen=True)
class EvaluationResults:
    """The results of one method on one replicate.

    Attributes
    ----------
    record : MetricsRecord
        The content of `metrics.json`.
    fits : DataFrame
        One row per estimator and grid point over all r, with its validation figures.
    grid : DataFrame, optional
        The grid points of the study's own estimator with their test figures, where the fits kept every estimator.
    folder : Path
        The evaluation's folder, whose predictions are read when they are needed.
    digest : str
        SHA-256 of the evaluation's manifest.
    """

    record: MetricsRecord
    fits: pd.DataFrame
    grid: pd.DataFrame | None = None
    folder: Path = Path()
    digest: str = ""

    @property
    def method(self) -> str:
        """The method's name."""
        return self.record.method

    @property
    def replicate(self) -> int:
        """The replicate's number."""
        return self.record.replicate

    @property
    def kind(self) -> str:
        """What the method is: primary, codsa, control or oracle; methods known to be simple are controls."""
        return "control" if self.method in (PLAIN, *SIMPLE) and self.record.kind == "codsa" else self.record.kind

    @property
    def choose_by(self) -> str:
        """The metric by which validation rows chose λ."""
        return self.record.choose_by or self.record.metric

    def choice(self, estimator: str, column: str) -> ChoiceRecord | None:
        """Return λ̂ of an estimator and column; None where there is none."""
        record = self.record.estimators.get(estimator)
        return None if record is None else record.column(column)

    def value(self, metric: str, region: str, estimator: str, column: str) -> float:
        """Return a test figure; NaN where it is not defined."""
        choice = self.choice(estimator, column)
        return _figure(choice.test.get(metric) if choice else None, region)

    def single(self, metric: str, region: str, estimator: str, column: str) -> float | None:
        """Return a test figure of the first of several averaged fits alone; None where nothing was averaged."""
        record = self.record.estimators.get(estimator)
        if record is None or metric not in record.single.get(column, {}):
            return None
        return _figure(record.single[column][metric], region)

    def validation(self, estimator: str, column: str) -> float:
        """Return the validation figure under Q of λ̂; NaN where it is not defined."""
        choice = self.choice(estimator, column)
        return _figure(choice.validation if choice else None, OVERALL)

    def predictions(self, estimator: str, column: str) -> RowPredictions:
        """Read the predictions of the test rows.

        Raises
        ------
        CodsaError
            Where the evaluation's table lacks them.
        """
        table = read_parquet(self.folder / PREDICTIONS)
        names = [name for name in map(str, table) if name.startswith(f"{estimator}/{column}/")]
        lacking = [name for name in ("row_id", "region", "y") if name not in table]
        if lacking or not names:
            name = lacking[0] if lacking else f"{estimator}/{column}/0"
            raise CodsaError(f"{self.folder / PREDICTIONS}: has no column '{name}'; run codsa-eval again")
        path = self.folder / PREDICTIONS
        region = pd.Index(self.record.regions).get_indexer(pd.Index(table["region"]))
        if (region < 0).any():
            raise CodsaError(f"{path}: names a region that the evaluation lacks; run codsa-eval again")
        matrix = table[names].to_numpy(dtype=float)
        q = np.array([self.record.law[name] for name in self.record.regions])
        rows = ScoredRows(table["y"].to_numpy(), region.astype(np.int64), q)
        return RowPredictions(table["row_id"].to_numpy(), rows, matrix if len(names) > 1 else matrix[:, 0])


@dataclass(frozen=True)
class RowPredictions:
    """Predictions of the test rows of one replicate.

    Attributes
    ----------
    row_id : ndarray of int64, shape (n,)
    rows : ScoredRows
    predicted : ndarray of shape (n, C) or (n,)
    """

    row_id: np.ndarray
    rows: ScoredRows
    predicted: np.ndarray


@dataclass(frozen=True)
class StudyResults:
    """All evaluations of one experiment, in the order of tables: plain, controls, CoDSA, the primary arm, oracle."""

    evaluations: Sequence[EvaluationResults]

    @property
    def first(self) -> EvaluationResults:
        """The first evaluation, for what all evaluations share."""
        return self.evaluations[0]

    @property
    def experiment(self) -> str:
        """The experiment's name."""
        return self.first.record.experiment

    @property
    def metric(self) -> str:
        """The metric by which the methods are judged."""
        return self.first.record.metric

    @property
    def choose_by(self) -> str:
        """The metric by which validation rows chose λ."""
        return self.first.choose_by

    @property
    def regions(self) -> list[str]:
        """The regions' names."""
        return self.first.record.regions

    @property
    def methods(self) -> list[str]:
        """The methods in the order of tables."""
        return list(dict.fromkeys(result.method for result in self.evaluations))

    @property
    def replicates(self) -> list[int]:
        """The replicates of any method."""
        return sorted({result.replicate for result in self.evaluations})

    @property
    def estimators(self) -> list[str]:
        """The labels of the estimators, the study's own first."""
        return list(dict.fromkeys(label for result in self.evaluations for label in result.record.labels))

    @property
    def columns(self) -> list[str]:
        """The columns of figures, the one that the verdict is about first: recalibrated where the study has it."""
        records = [record for result in self.evaluations for record in result.record.estimators.values()]
        return [RECALIBRATED, RAW] if any(record.recalibrated is not None for record in records) else [RAW]

    @property
    def column(self) -> str:
        """The column that the verdict is about."""
        return self.columns[0]

    @property
    def other_metrics(self) -> list[str]:
        """The test metrics other than the one that the methods are judged by."""
        label = self.first.record.estimator
        names = dict.fromkeys(name for result in self.evaluations for name in _test_metrics(result, label))
        return [name for name in names if name != self.metric]

    @property
    def ratio(self) -> float:
        """n_test / n_train, the mean over replicates."""
        sizes = [result.record.sizes for result in self.evaluations]
        return float(np.mean([_rows(size, "test") / max(_rows(size, "train"), 1) for size in sizes]))

    @property
    def seed(self) -> int:
        """The root seed of the first evaluation; 0 where it says none."""
        return self.first.record.seed or 0

    def of(self, method: str) -> list[EvaluationResults]:
        """Return a method's evaluations, by replicate."""
        return [result for result in self.evaluations if result.method == method]

    def kind(self, method: str) -> str:
        """Return what a method is: primary, codsa, control or oracle."""
        return self.of(method)[0].kind

    def kinds(self, *kinds: str) -> list[str]:
        """Return the methods of some kinds, in the order of tables."""
        return [method for method in self.methods if self.kind(method) in kinds]

    @property
    def oracle(self) -> str | None:
        """The first method whose pool holds fresh true rows: no rival, but an upper bound."""
        return next(iter(self.kinds("oracle")), None)

    @property
    def primary(self) -> str | None:
        """The arm that the verdict is about: the one named, else the only CoDSA arm; None where there is neither."""
        named, exploratory = self.kinds("primary"), self.kinds("codsa")
        return named[0] if named else exploratory[0] if len(exploratory) == 1 else None

    def chooses(self, method: str) -> bool:
        """Say whether a method chooses among the fits of others and has none of its own."""
        fitted = {str(name) for result in self.of(method) for name in result.fits["method"].unique()}
        return method not in fitted and bool(fitted & set(self.methods))

    def choices(self, method: str, estimator: str | None = None, column: str | None = None) -> dict[int, ChoiceRecord]:
        """Return a method's λ̂ by replicate; by default of the estimator and column that the verdict is about."""
        label, column = estimator or self.estimators[0], column or self.column
        found = {result.replicate: result.choice(label, column) for result in self.of(method)}
        return {replicate: choice for replicate, choice in found.items() if choice is not None}

    def chosen(self, method: str) -> dict[int, ChosenRecord]:
        """Return the chosen grid points by replicate, of the estimator and column that the verdict is about."""
        return {replicate: choice.chosen for replicate, choice in self.choices(method).items()}

    def values(
        self,
        method: str,
        region: str = OVERALL,
        metric: str | None = None,
        estimator: str | None = None,
        column: str | None = None,
    ) -> pd.Series:
        """Return a method's test figures by replicate; NaN where a figure is not defined.

        By default they are under Q, of the study's metric, and of the estimator and column that the verdict is about.
        """
        key = (metric or self.metric, region, estimator or self.estimators[0], column or self.column)
        return pd.Series({result.replicate: result.value(*key) for result in self.of(method)}, dtype=float)

    def validations(self, method: str, estimator: str | None = None, column: str | None = None) -> pd.Series:
        """Return the validation figures under Q of a method's λ̂ by replicate."""
        key = (estimator or self.estimators[0], column or self.column)
        return pd.Series({result.replicate: result.validation(*key) for result in self.of(method)}, dtype=float)

    def overall(self, estimator: str | None = None, column: str | None = None) -> dict[str, pd.Series]:
        """Return every method's figures of the study's metric under Q."""
        return {method: self.values(method, estimator=estimator, column=column) for method in self.methods}


def _test_metrics(result: EvaluationResults, label: str) -> list[str]:
    record = result.record.estimators.get(label)
    return list(record.raw.test) if record is not None else []


def _rows(sizes: Mapping[str, Mapping[str, int]], role: str) -> int:
    return sum(sizes.get(role, {}).values())


def _figure(figures: Figures | None, region: str) -> float:
    value = None if figures is None else figures.get(region)
    return float("nan") if value is None else float(value)
