"""The evaluations of one experiment, read back and checked."""

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
class Evaluation:
    """One method on one replicate.

    Attributes
    ----------
    metrics : dict
        The content of `metrics.json`.
    fits : DataFrame
        One row per arm over all r, with its validation figure.
    grid : DataFrame, optional
        The same arms with their test figures, where every arm was kept.
    digest : str
        Of the evaluation's manifest.
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
        """The chosen arm λ̂."""
        found: dict[str, Any] = self.metrics["chosen"]
        return found

    def value(self, metric: str, region: str) -> float:
        """Return a test figure; NaN where it is not defined."""
        found = self.metrics["test"].get(metric, {}).get(region)
        return float("nan") if found is None else float(found)


@dataclass(frozen=True)
class Study:
    """All evaluations of one experiment, in the order of tables: plain, simple, other, CoDSA."""

    evaluations: Sequence[Evaluation]

    @property
    def first(self) -> Evaluation:
        """The first evaluation, for what all of them share."""
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
        return list(dict.fromkeys(one.method for one in self.evaluations))

    @property
    def replicates(self) -> list[int]:
        """The replicates of any method."""
        return sorted({one.replicate for one in self.evaluations})

    @property
    def other_metrics(self) -> list[str]:
        """The test metrics other than the one that the methods are judged by."""
        names = dict.fromkeys(name for one in self.evaluations for name in one.metrics["test"])
        return [name for name in names if name != self.metric]

    def of(self, method: str) -> list[Evaluation]:
        """Return a method's evaluations, by replicate."""
        return [one for one in self.evaluations if one.method == method]

    def values(self, method: str, region: str = OVERALL, metric: str | None = None) -> pd.Series:
        """Return a method's test figures by replicate; NaN where a figure is not defined."""
        found = {one.replicate: one.value(metric or self.metric, region) for one in self.of(method)}
        return pd.Series(found, dtype=float)

    def overall(self) -> dict[str, pd.Series]:
        """Return every method's figures of the study's metric under Q."""
        return {method: self.values(method) for method in self.methods}


def read_study(folders: Iterable[Path]) -> Study:
    """Read evaluation folders and check that they belong together.

    Raises
    ------
    CodsaError
        For a missing or partial folder, two folders of one method and replicate, or folders of
        different experiments, metrics or regions.
    """
    found = [(folder, _read(folder)) for folder in folders]
    if not found:
        raise CodsaError("no evaluation to report on; give --eval at least once")
    _check_alike(found)
    _check_distinct(found)
    return Study(sorted((one for _, one in found), key=_place))


def _read(folder: Path) -> Evaluation:
    """Read an evaluation whose files are what its manifest says, and whose values are of their kinds."""
    if not folder.is_dir():
        raise CodsaError(f"{folder}: no such folder of an evaluation; run codsa-eval first")
    record = check_folder(folder, EVALUATE)
    figures = read_as(folder / METRICS, MetricsRecord)
    _check_regions(figures, folder / METRICS)
    fits = _read_arms(folder / FITS, "validation")
    grid = _read_arms(folder / GRID, "validation", "test") if GRID in record.outputs else None
    return Evaluation(read_json(folder / METRICS), fits, grid, record.digest)


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


def _read_arms(path: Path, *figures: str) -> pd.DataFrame:
    """Read a table of arms that has the columns which figures are drawn from."""
    table = read_parquet(path)
    for name in ("r", "m", "m_ratio", *figures):
        if name not in table or not pd.api.types.is_numeric_dtype(table[name]):
            raise CodsaError(f"{path}: column '{name}' is missing or holds no numbers; run codsa-eval again")
    if "alpha" not in table:
        raise CodsaError(f"{path}: column 'alpha' is missing; run codsa-eval again")
    return table


def _check_alike(found: Sequence[tuple[Path, Evaluation]]) -> None:
    origin, first = found[0]
    for folder, one in found[1:]:
        for key in ("experiment", "metric", "regions"):
            a, b = first.metrics[key], one.metrics[key]
            if a != b:
                raise CodsaError(f"{folder}: {key} is {b!r}, but {a!r} in {origin}; report on one {key} at a time")
        if one.choose_by != first.choose_by:
            raise CodsaError(f"{folder}: λ was chosen by {one.choose_by}, but by {first.choose_by} in {origin}")


def _check_distinct(found: Sequence[tuple[Path, Evaluation]]) -> None:
    seen: dict[tuple[str, int], Path] = {}
    for folder, one in found:
        key = (one.method, one.replicate)
        if key in seen:
            raise CodsaError(
                f"{folder}: method '{key[0]}', replicate {key[1]} is in {seen[key]} as well; give each one once"
            )
        seen[key] = folder


def _place(one: Evaluation) -> tuple[int, str, int]:
    order = [PLAIN, *SIMPLE]
    rank = order.index(one.method) if one.method in order else len(order) + is_codsa(one.method)
    rank += 2 * (one.method == ORACLE)
    return rank, one.method, one.replicate
