"""Evaluations read back from their folders, and checked to belong together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from codsa.errors import CodsaError
from codsa.evidence.records import MetricsRecord
from codsa.evidence.studies import CONTROL_AUTO, PLAIN, SIMPLE, EvaluationResults, StudyResults
from codsa.io.manifests import check_folder
from codsa.io.names import EVALUATE, FITS, GRID, METRICS
from codsa.io.records import read_as
from codsa.io.tables import read_parquet


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
    _check_primary(results)
    return StudyResults(sorted((result for _, result in results), key=table_order))


def _read(folder: Path) -> EvaluationResults:
    """Read an evaluation, once its files are checked against its manifest and its values against their types."""
    if not folder.is_dir():
        raise CodsaError(f"{folder}: no such folder of an evaluation; run codsa-eval first")
    manifest = check_folder(folder, EVALUATE)
    record = read_as(folder / METRICS, MetricsRecord)
    _check_record(record, folder / METRICS)
    fits = _read_grid_points(
        folder / FITS, "validation", *(["validation recalibrated"] if _recalibrated(record) else [])
    )
    grid = _read_grid_points(folder / GRID, "validation", "test") if GRID in manifest.outputs else None
    return EvaluationResults(record, fits, grid, folder, manifest.digest)


def _recalibrated(record: MetricsRecord) -> bool:
    return any(estimator.recalibrated is not None for estimator in record.estimators.values())


def _check_record(record: MetricsRecord, path: Path) -> None:
    """Raise a `CodsaError` where figures name other regions than the evaluation has, or lack its metric."""
    if record.estimator not in record.estimators:
        raise CodsaError(f"{path}: has no figures of its estimator '{record.estimator}'; run codsa-eval again")
    choices = [choice for part in record.estimators.values() for choice in (part.raw, part.recalibrated) if choice]
    if not all(record.metric in choice.test for choice in choices):
        raise CodsaError(f"{path}: has no test figures of its metric '{record.metric}'; run codsa-eval again")
    lengths = {len(part) for choice in choices for part in (choice.chosen.counts, choice.chosen.alpha_vector)}
    lengths |= {len(record.law), len(record.training_law)}
    if len(set(record.regions)) != len(record.regions) or lengths != {len(record.regions)}:
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
    for name in ("alpha", "estimator", "method"):
        if name not in table:
            raise CodsaError(f"{path}: column '{name}' is missing; run codsa-eval again")
    return table


def _check_alike(results: Sequence[tuple[Path, EvaluationResults]]) -> None:
    """Raise a `CodsaError` where evaluations are of different experiments, metrics, estimators or regions."""
    origin, first = results[0]
    for folder, result in results[1:]:
        for key in ("experiment", "metric", "estimator", "regions"):
            a, b = getattr(first.record, key), getattr(result.record, key)
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


def _check_primary(results: Sequence[tuple[Path, EvaluationResults]]) -> None:
    """Raise a `CodsaError` where two methods are primary, or a method is of two kinds."""
    kinds: dict[str, tuple[str, Path]] = {}
    for folder, result in results:
        kind, origin = kinds.setdefault(result.method, (result.kind, folder))
        if kind != result.kind:
            raise CodsaError(
                f"{folder}: '{result.method}' is {result.kind}, but {kind} in {origin}; evaluate one again"
            )
    primary = sorted(method for method, (kind, _) in kinds.items() if kind == "primary")
    if len(primary) > 1:
        raise CodsaError(f"methods '{primary[0]}' and '{primary[1]}' are both primary; report on one primary arm")


def table_order(result: EvaluationResults) -> tuple[int, int, str, int]:
    """Return the key that sorts evaluations: plain, controls, CoDSA, the primary arm, oracle; then by replicate."""
    kinds = ("control", "codsa", "primary", "oracle")
    order = (PLAIN, *SIMPLE)
    place = order.index(result.method) if result.method in order else len(order) + (result.method == CONTROL_AUTO)
    return kinds.index(result.kind), place, result.method, result.replicate
