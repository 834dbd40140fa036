"""Tables of the page on synthetic rows: how near they are to real ones, and the indices of Theorem 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from codsa.evidence.studies import EvaluationResults, StudyResults
from codsa.evidence.wording import DASH, number, percent
from codsa.report.cells import Cell, Table, header, mean_cell, name_cell, or_nan


def quality_table(study: StudyResults) -> Table | None:
    """Return how close the synthetic rows of λ̂ are to real rows, by method and region."""
    rows: list[list[Cell]] = []
    groups: set[int] = set()
    for method in study.methods:
        diagnosed = _diagnosed(study, method)
        names = [name for name in study.regions if any(name in regions for regions in diagnosed)]
        groups |= {len(rows)} if names else set()
        rows += [[name_cell(method), Cell(name), *_quality(diagnosed, name)] for name in names]
    heads = ["Method", "Region", "Synthetic rows", "Wasserstein distance", "… of real rows", "Two-sample AUC"]
    heads += ["Nearest-record ratio", "Redrawn"]
    return Table(header(heads), rows, groups=groups) if rows else None


def arrays_table(study: StudyResults) -> Table | None:
    """Return how generated arrays cover real ones, by method and region; None without arrays."""
    keys = ("frechet", "precision", "recall", "density", "coverage")
    rows: list[list[Cell]] = []
    groups: set[int] = set()
    for method in study.methods:
        diagnosed = _diagnosed(study, method)
        names = [name for name in study.regions if any("frechet" in regions.get(name, {}) for regions in diagnosed)]
        groups |= {len(rows)} if names else set()
        for name in names:
            means = [_mean_diagnostic(diagnosed, name, key) for key in keys]
            rows.append([name_cell(method), Cell(name), *(Cell(number(mean, 2)) for mean in means)])
    heads = ["Method", "Region", "Fréchet distance", "Precision", "Recall", "Density", "Coverage"]
    return Table(header(heads), rows, groups=groups) if rows else None


def texts_table(study: StudyResults) -> Table | None:
    """Return how varied generated texts are, and how many are copies, by method and region; None without texts."""
    pairs = ("distinct_1", "distinct_2", "self_overlap")
    keys = [key for pair in pairs for key in (pair, f"{pair} real")] + ["copies", "near_copies", "round_trip"]
    rows: list[list[Cell]] = []
    groups: set[int] = set()
    for method in study.methods:
        diagnosed = _diagnosed(study, method)
        names = [name for name in study.regions if any("copies" in regions.get(name, {}) for regions in diagnosed)]
        groups |= {len(rows)} if names else set()
        for name in names:
            means = [_mean_diagnostic(diagnosed, name, key) for key in keys]
            rows.append([name_cell(method), Cell(name), *(Cell(number(mean, 2)) for mean in means)])
    heads = ["Method", "Region", "Distinct-1", "… of real texts", "Distinct-2", "… of real texts", "Self-overlap"]
    heads += ["… of real texts", "Copies", "Near copies", "Round trip"]
    return Table(header(heads), rows, groups=groups) if rows else None


def examples_table(result: EvaluationResults) -> Table | None:
    """Return real and generated texts of an evaluation by region, for a person to compare; None without texts."""
    rows: list[list[Cell]] = []
    groups: set[int] = set()
    for region, kinds in result.record.examples.items():
        groups.add(len(rows))
        nearest = kinds.get("nearest") or [""] * len(kinds["generated"])
        rows += [[Cell(region), Cell(text), *[Cell("")] * 2] for text in kinds["real"]]
        rows += [[Cell(region), Cell(""), Cell(a), Cell(b)] for a, b in zip(kinds["generated"], nearest, strict=True)]
    heads = ["Region", "Real (test)", "Generated", "Nearest in training"]
    return Table(header(heads), rows, groups=groups) if rows else None


Diagnostics = Mapping[str, Mapping[str, float | None]]
"""The diagnostics of one replicate: region → name → figure."""


def _diagnosed(study: StudyResults, method: str) -> list[Diagnostics]:
    """Return the diagnostics of a method's replicates that have some."""
    return [result.record.diagnostics for result in study.of(method) if result.record.diagnostics]


def _mean_diagnostic(diagnosed: Sequence[Diagnostics], region: str, key: str) -> float:
    """Return the mean of a diagnostic over replicates; undefined figures are left out."""
    return float(pd.Series([or_nan(regions.get(region, {}).get(key)) for regions in diagnosed], dtype=float).mean())


def _quality(diagnosed: Sequence[Diagnostics], region: str) -> list[Cell]:
    def mean(key: str) -> float:
        return _mean_diagnostic(diagnosed, region, key)

    rows = mean("rows")
    return [
        Cell(f"{rows:,.0f}" if np.isfinite(rows) else DASH),
        *(
            Cell(number(mean(key), 2))
            for key in ("wasserstein", "wasserstein_floor", "two_sample_auc", "nearest_ratio")
        ),
        Cell(percent(mean("violations"))),
    ]


def index_table(study: StudyResults) -> Table:
    """Return both indices of Theorem 1 at λ̂ of the column raw, and the mean λ̂, by method."""
    keys = ("domain_adaptation_index", "generation_error_index", "r", "m_ratio")
    heads = ["Domain adaptation index", "Generation error index", "Mean r", "Mean m/n"]
    rows = []
    for method in study.methods:
        chosen = [result.record.chosen for result in study.of(method)]
        values = [pd.Series([or_nan(getattr(point, key)) for point in chosen], dtype=float) for key in keys]
        rows.append([name_cell(method), *(mean_cell(v, 3 if k < 2 else 2) for k, v in enumerate(values))])
    return Table(header(["Method", *heads]), rows)
