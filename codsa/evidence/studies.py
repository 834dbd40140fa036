"""The results of one experiment: all its evaluations, read back and checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from codsa.data.metrics import OVERALL
from codsa.errors import CodsaError
from codsa.evidence.records import MetricsRecord
from codsa.evidence.verdict import ORACLE, PLAIN, SIMPLE, is_codsa
from codsa.io.manifests import check_folder
from codsa.io.names import EVALUATE, FITS, GRID, METRICS
from codsa.io.records import read_as, read_json
from codsa.io.tables import read_parquet


@dataclass(frozen=True)
class EvaluationResults:
    """The results of one method on one replicate.

    Attributes
    ----------
    metrics : dict
        The content of `metrics.json`.
    fits : DataFrame
        One row per grid point over all r, with its validation figure.
    grid : DataFrame, optional
        The same grid points with their test figures, where the fits kept every estimator.
    digest : str
        SHA-256 of the evaluation's manifest.
    """

    metrics: dict[str, Any]
    fits: pd.DataFrame
    grid: pd.DataFrame | None = None
    digest: str = ""

    @property
    def method(self) -> str:
        """The method's name."""
        return str(self.metrics["method"])

    @property
    def replicate(self) -> int:
        """The replicate's number."""
        return int(self.metrics["replicate"])

    @property
    def choose_by(self) -> str:
        """The metric by which validation rows chose λ."""
        return str(self.metrics.get("choose_by", self.metrics["metric"]))

    @property
    def chosen(self) -> dict[str, Any]:
        """The chosen grid point λ̂."""
        chosen: dict[str, Any] = self.metrics["chosen"]
        return chosen

    def value(self, metric: str, region: str) -> float:
        """Return a test figure; NaN where it is not defined."""
        value = self.metrics["test"].get(metric, {}).get(region)
        return float("nan") if value is None else float(value)


@dataclass(frozen=True)
class StudyResults:
    """All evaluations of one experiment, in the order of tables: plain, simple, other, CoDSA, oracle."""

    evaluations: Sequence[EvaluationResults]

    @property
    def first(self) -> EvaluationResults:
        """The first evaluation, for what all evaluations share."""
        return self.evaluations[0]

    @property
    def experiment(self) -> str:
        """The experiment's name."""
        return str(self.first.metrics["experiment"])

    @property
    def metric(self) -> str:
        """The metric by which the methods are judged."""
        return str(self.first.metrics["metric"])

    @property
    def choose_by(self) -> str:
        """The metric by which validation rows chose λ."""
        return self.first.choose_by

    @property
    def regions(self) -> list[str]:
        """The regions' names."""
        return [str(name) for name in self.first.metrics["regions"]]

    @property
    def methods(self) -> list[str]:
        """The methods in the order of tables."""
        return list(dict.fromkeys(result.method for result in self.evaluations))

    @property
    def replicates(self) -> list[int]:
        """The replicates of any method."""
        return sorted({result.replicate for result in self.evaluations})

    @property
    def other_metrics(self) -> list[str]:
        """The test metrics other than the one that the methods are judged by."""
        names = dict.fromkeys(name for result in self.evaluations for name in result.metrics["test"])
        return [name for name in names if name != self.metric]

    def of(self, method: str) -> list[EvaluationResults]:
        """Return a method's evaluations, by replicate."""
        return [result for result in self.evaluations if result.method == method]

    def values(self, method: str, region: str = OVERALL, metric: str | None = None) -> pd.Series:
        """Return a method's test figures by replicate; NaN where a figure is not defined."""
        by_replicate = {result.replicate: result.value(metric or self.metric, region) for result in self.of(method)}
        return pd.Series(by_replicate, dtype=float)

    def overall(self) -> dict[str, pd.Series]:
        """Return every method's figures of the study's metric under Q."""
        return {method: self.values(method) for method in self.methods}


def read_study(folders: Iterable[Path]) -> StudyResults:
    """Read evaluation folders and check that they belong together.

    Raises
    ------
    CodsaError
        For a missing or partial folder, two folders of one method and replicate, or folders of
        different experiments, metrics or regions.
    """
    results = [(folder, _read(folder)) for folder in folders]
    if not results:
        raise CodsaError("no evaluation to report on; give --eval at least once")
    _check_alike(results)
    _check_distinct(results)
    return StudyResults(sorted((result for _, result in results), key=_table_order))


def _read(folder: Path) -> EvaluationResults:
    """Read an evaluation, once its files are checked against its manifest and its values against their types."""
    if not folder.is_dir():
        raise CodsaError(f"{folder}: no such folder of an evaluation; run codsa-eval first")
    record = check_folder(folder, EVALUATE)
    figures = read_as(folder / METRICS, MetricsRecord)
    _check_regions(figures, folder / METRICS)
    fits = _read_grid_points(folder / FITS, "validation")
    grid = _read_grid_points(folder / GRID, "validation", "test") if GRID in record.outputs else None
    return EvaluationResults(read_json(folder / METRICS), fits, grid, record.digest)


def _check_regions(record: MetricsRecord, path: Path) -> None:
    """Raise a `CodsaError` where figures name other regions than the evaluation has, or lack its metric."""
    if record.metric not in record.test:
        raise CodsaError(f"{path}: has no test figures of its metric '{record.metric}'; run codsa-eval again")
    lengths = (len(record.chosen.counts), len(record.chosen.alpha_vector), len(record.law), len(record.training_law))
    if len(set(record.regions)) != len(record.regions) or set(lengths) != {len(record.regions)}:
        raise CodsaError(
            f"{path}: its counts and laws are not of its {len(record.regions)} regions; run codsa-eval again"
        )
    for kinds in record.examples.values():
        if not {"real", "generated"} <= set(kinds):
            raise CodsaError(f"{path}: examples lack real or generated texts; run codsa-eval again")


def _read_grid_points(path: Path, *figures: str) -> pd.DataFrame:
    """Read a table of grid points that has the columns which the figures need."""
    table = read_parquet(path)
    for name in ("r", "m", "m_ratio", *figures):
        if name not in table or not pd.api.types.is_numeric_dtype(table[name]):
            raise CodsaError(f"{path}: column '{name}' is missing or holds no numbers; run codsa-eval again")
    if "alpha" not in table:
        raise CodsaError(f"{path}: column 'alpha' is missing; run codsa-eval again")
    return table


def _check_alike(results: Sequence[tuple[Path, EvaluationResults]]) -> None:
    """Raise a `CodsaError` where evaluations are of different experiments, metrics or regions."""
    origin, first = results[0]
    for folder, result in results[1:]:
        for key in ("experiment", "metric", "regions"):
            a, b = first.metrics[key], result.metrics[key]
            if a != b:
                raise CodsaError(f"{folder}: {key} is {b!r}, but {a!r} in {origin}; report on one {key} at a time")
        if result.choose_by != first.choose_by:
            raise CodsaError(f"{folder}: λ was chosen by {result.choose_by}, but by {first.choose_by} in {origin}")


def _check_distinct(results: Sequence[tuple[Path, EvaluationResults]]) -> None:
    """Raise a `CodsaError` where two evaluations are of one method and replicate."""
    seen: dict[tuple[str, int], Path] = {}
    for folder, result in results:
        key = (result.method, result.replicate)
        if key in seen:
            raise CodsaError(
                f"{folder}: method '{key[0]}', replicate {key[1]} is in {seen[key]} as well; give each one once"
            )
        seen[key] = folder


def _table_order(result: EvaluationResults) -> tuple[int, str, int]:
    method, order = result.method, [PLAIN, *SIMPLE]
    rank = order.index(method) if method in order else len(order) + is_codsa(method)
    rank += 2 * (method == ORACLE)
    return rank, method, result.replicate
