"""The tables of the report: tidy ones for CSV files, and formatted ones for the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.metrics import HIGHER_IS_BETTER, OVERALL
from codsa.evidence.studies import EvaluationResults, StudyResults
from codsa.evidence.verdict import ORACLE, PLAIN, Difference, Verdict, compare, is_codsa, share_of_way
from codsa.evidence.wording import DASH, arrow, counted, decimals_of, enough, method_name, metric_name, number, percent
from codsa.report.drawing import is_number

METRICS_COLUMNS = ["experiment", "method", "replicate", "region", "metric", "value", "m", "r", "alpha"]
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A spreadsheet takes a text that begins with one of these for a formula."""
SUMMARY_COLUMNS = ["experiment", "method", "region", "metric", "mean", "sd", "replicates"]


@dataclass(frozen=True)
class Cell:
    """One cell: its text, a smaller text after it, and its highlighting.

    Attributes
    ----------
    tone : str
        '', 'best', 'good' or 'bad'.
    """

    text: str
    small: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the page; the first cell of each row names it."""

    header: list[Cell]
    rows: list[list[Cell]]
    caption: str = ""
    groups: set[int] = field(default_factory=set)
    """Indices of the rows that start a new group."""


def metrics_table(study: StudyResults) -> pd.DataFrame:
    """Return every test figure, one per row, with its λ̂."""
    rows = [
        (
            study.experiment,
            result.method,
            result.replicate,
            region,
            metric,
            result.value(metric, region),
            *_lambda(result),
        )
        for result in study.evaluations
        for metric in result.metrics["test"]
        for region in [*study.regions, OVERALL]
    ]
    return pd.DataFrame([tuple(map(spreadsheet_cell, row)) for row in rows], columns=METRICS_COLUMNS)


def spreadsheet_cell(value: Any) -> Any:
    """Return a cell of a CSV file that a spreadsheet shows as text and does not compute.

    A text that a spreadsheet would take for a formula (it begins with =, +, -, @, a tab or a line break) gets a `'`
    in front. Numbers, and texts that are numbers, stay as they are.
    """
    if not isinstance(value, str) or not value.lstrip(" ").startswith(FORMULA_STARTS) or is_number(value):
        return value
    return "'" + value


def _lambda(result: EvaluationResults) -> tuple[Any, Any, Any]:
    return result.chosen["m"], result.chosen["r"], result.chosen["alpha"]


def summary_table(study: StudyResults) -> pd.DataFrame:
    """Return mean, sd and number of replicates of every method, region and metric.

    Undefined figures are left out and not counted.
    """
    groups = metrics_table(study).groupby(["experiment", "method", "region", "metric"], sort=False)["value"]
    summary = groups.agg(mean="mean", sd="std", replicates="count").reset_index()
    return summary[SUMMARY_COLUMNS]


def plain_text(study: StudyResults) -> str:
    """Return the table of methods by regions for a terminal."""
    decimals = _decimals(study, study.metric)
    columns = [*study.regions, OVERALL]
    header = [f"{metric_name(study.metric)} {arrow(study.metric)}", *columns]
    rows = [[method, *(_mean_text(study.values(method, c), decimals) for c in columns)] for method in study.methods]
    widths = [max(len(row[k]) for row in [header, *rows]) for k in range(len(header))]
    return "\n".join(_line(row, widths) for row in [header, ["-" * width for width in widths], *rows])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        row[0].ljust(widths[0]),
        *(text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True)),
    ]
    return "  ".join(cells).rstrip()


def _mean_text(values: pd.Series, decimals: int) -> str:
    cell = _mean_cell(values, decimals)
    return f"{cell.text} {cell.small}".strip()


def _decimals(study: StudyResults, metric: str) -> int:
    return decimals_of(study.values(method, OVERALL, metric).mean() for method in study.methods)


def _mean_cell(values: pd.Series, decimals: int, best: float = np.nan) -> Cell:
    defined = values.dropna()
    if not len(defined):
        return Cell(DASH)
    mean, sd = float(defined.mean()), float(defined.std())
    small = f"({number(sd, decimals)})" if len(defined) > 1 else ""
    return Cell(number(mean, decimals), small, "best" if mean == best else "")


def _best(means: Iterable[float], metric: str) -> float:
    """Return the best mean; NaN where all are equal, so that no cell is marked."""
    defined = [mean for mean in means if np.isfinite(mean)]
    if len(set(defined)) < 2:
        return float("nan")
    return max(defined) if metric in HIGHER_IS_BETTER else min(defined)


def name_cell(method: str) -> Cell:
    """Return the cell with a method's title and its key."""
    title = method_name(method)
    return Cell(title, method if title.lower() != method.lower() else "")


def main_table(study: StudyResults, verdict: Verdict) -> Table:
    """Return methods × regions, with paired differences to the plain model and the best rival."""
    metric, decimals = study.metric, _decimals(study, study.metric)
    columns = [*study.regions, OVERALL]
    compared = [method for method in study.methods if method != ORACLE]
    best_means = {c: _best((study.values(method, c).mean() for method in compared), metric) for c in columns}
    against = [name for name in (PLAIN, verdict.rival) if name in study.methods]
    rows = []
    for method in study.methods:
        cells = [_mean_cell(study.values(method, c), decimals, best_means[c]) for c in columns]
        oracle_share = [Cell(percent(share_of_way(metric, study.overall(), method)))] if ORACLE in study.methods else []
        differences = [difference_cell(study, method, other) for other in against]
        rows.append([name_cell(method), *cells, *differences, *oracle_share])
    interval = "with 95 % CI" if len(study.replicates) > 1 else ""
    heads = [Cell(f"Difference to {against_name(method)}", interval) for method in against]
    heads += [Cell("Way to the oracle")] if ORACLE in study.methods else []
    return Table([Cell("Method"), *(Cell(c) for c in study.regions), Cell("Under Q"), *heads], rows)


def against_name(method: str) -> str:
    """Return the name of the method to which a difference is taken."""
    return "no augmentation" if method == PLAIN else method_name(method)


def difference_cell(study: StudyResults, method: str, other: str) -> Cell:
    """Return a paired difference under Q with its interval."""
    difference = compare(study.metric, study.overall(), method, other) if method != other else None
    if difference is None:
        return Cell(DASH)
    decimals = enough(_decimals(study, study.metric), difference.mean)
    tone = {1: "good", -1: "bad", 0: ""}[difference.clear]
    return Cell(number(difference.mean, decimals, signed=True), interval_text(difference, decimals), tone)


def interval_text(difference: Difference, decimals: int) -> str:
    """Write an interval as '[−0.14, −0.10]'; an empty text where there is none."""
    if not np.isfinite(difference.low):
        return ""
    decimals = enough(decimals, difference.low, difference.high)
    return f"[{number(difference.low, decimals)}, {number(difference.high, decimals)}]"


def other_metrics(study: StudyResults) -> Table | None:
    """Return the other test metrics under Q; None where there is none."""
    names = study.other_metrics
    if not names:
        return None
    best = {n: _best((study.values(m, OVERALL, n).mean() for m in study.methods), n) for n in names}
    rows = [
        [
            name_cell(m),
            *(_mean_cell(study.values(m, OVERALL, n), _decimals(study, n), best[n]) for n in names),
        ]
        for m in study.methods
    ]
    return Table([Cell("Method"), *(Cell(f"{metric_name(n)} {arrow(n)}") for n in names)], rows)


def chosen_table(study: StudyResults, method: str) -> Table:
    """Return λ̂ of every replicate, and its validation metric."""
    results = study.of(method)
    figures = pd.Series([_or_nan(result.metrics.get("validation", {}).get(OVERALL)) for result in results], dtype=float)
    decimals = decimals_of(figures.dropna())
    lines: list[tuple[str, Callable[[EvaluationResults], str]]] = [
        ("r", lambda result: f"{result.chosen['r']:g}"),
        ("m/n", lambda result: f"{result.chosen['m_ratio']:g}"),
        ("α", lambda result: DASH if result.chosen["m"] == 0 else str(result.chosen["alpha"])),
    ]
    rows = [[Cell(name), *(Cell(text_of(result)) for result in results)] for name, text_of in lines]
    rows.append([Cell("Validation " + metric_name(study.choose_by)), *(Cell(number(v, decimals)) for v in figures)])
    return Table([Cell("Replicate"), *(Cell(str(result.replicate)) for result in results)], rows)


def edge_note(study: StudyResults, method: str) -> str:
    """Return a sentence where most λ̂ lie at the largest m of the grid; otherwise an empty text."""
    results = study.of(method)
    largest = max(float(result.fits["m_ratio"].max()) for result in results)
    ratios = {ratio for result in results for ratio in result.fits["m_ratio"] if ratio > 0}
    at_edge = sum(float(result.chosen["m_ratio"]) == largest for result in results)
    if len(ratios) < 2 or 2 * at_edge <= len(results):
        return ""
    return (
        f"In {at_edge} of {counted(len(results), 'replicate')} λ̂ has the most synthetic rows that were tried "
        f"(m/n = {largest:g}); more may be better still."
    )


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)


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
    return Table([Cell(h) for h in heads], rows, groups=groups) if rows else None


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
    return Table([Cell(h) for h in heads], rows, groups=groups) if rows else None


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
    return Table([Cell(h) for h in heads], rows, groups=groups) if rows else None


def examples_table(result: EvaluationResults) -> Table | None:
    """Return real and generated texts of an evaluation by region, for a person to compare; None without texts."""
    rows: list[list[Cell]] = []
    groups: set[int] = set()
    for region, kinds in (result.metrics.get("examples") or {}).items():
        groups.add(len(rows))
        nearest = kinds.get("nearest") or [""] * len(kinds["generated"])
        rows += [[Cell(region), Cell(text), *[Cell("")] * 2] for text in kinds["real"]]
        rows += [[Cell(region), Cell(""), Cell(a), Cell(b)] for a, b in zip(kinds["generated"], nearest, strict=True)]
    heads = ["Region", "Real (test)", "Generated", "Nearest in training"]
    return Table([Cell(h) for h in heads], rows, groups=groups) if rows else None


Diagnostics = Mapping[str, Mapping[str, float | None]]
"""The diagnostics of one replicate: region → name → figure."""


def _diagnosed(study: StudyResults, method: str) -> list[Diagnostics]:
    """Return the diagnostics of a method's replicates that have some."""
    return [result.metrics["diagnostics"] for result in study.of(method) if result.metrics.get("diagnostics")]


def _mean_diagnostic(diagnosed: Sequence[Diagnostics], region: str, key: str) -> float:
    """Return the mean of a diagnostic over replicates; undefined figures are left out."""
    return float(pd.Series([_or_nan(regions.get(region, {}).get(key)) for regions in diagnosed], dtype=float).mean())


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
    """Return both indices of Theorem 1 at λ̂, and the mean λ̂, by method."""
    keys = ("domain_adaptation_index", "generation_error_index", "r", "m_ratio")
    heads = ["Domain adaptation index", "Generation error index", "Mean r", "Mean m/n"]
    rows = []
    for method in study.methods:
        chosen = [result.chosen for result in study.of(method)]
        values = [pd.Series([_or_nan(point.get(key)) for point in chosen], dtype=float) for key in keys]
        rows.append([name_cell(method), *(_mean_cell(v, 3 if k < 2 else 2) for k, v in enumerate(values))])
    return Table([Cell("Method"), *(Cell(h) for h in heads)], rows)


def sizes_table(study: StudyResults) -> Table:
    """Return the number of rows by role and region, and both laws."""
    metrics = study.first.metrics
    roles = [role for role in ("train", "validation", "test") if role in metrics["sizes"]]
    rows = []
    for name in study.regions:
        counts = [Cell(f"{metrics['sizes'][role].get(name, 0):,}") for role in roles]
        laws = [Cell(number(_or_nan(metrics[law].get(name)), 3)) for law in ("law", "training_law")]
        rows.append([Cell(name), *counts, *laws])
    totals = [Cell(f"{sum(metrics['sizes'][role].values()):,}") for role in roles]
    rows.append([Cell("All"), *totals, Cell(""), Cell("")])
    heads = ["Region", *(role.capitalize() for role in roles), "Target law q", "Training law p"]
    return Table([Cell(h) for h in heads], rows, groups={len(rows) - 1})


def settings_table(study: StudyResults) -> Table:
    """Return the settings of every method's first replicate."""
    rows: list[list[Cell]] = []
    groups: set[int] = set()
    for method in study.methods:
        metrics = study.of(method)[0].metrics
        hidden = ("experiment", "replicate", "r")
        settings = {key: value for key, value in (metrics.get("settings") or {}).items() if key not in hidden}
        groups |= {len(rows)} if settings else set()
        rows += [[name_cell(method), Cell(str(key)), Cell(_compact(value))] for key, value in settings.items()]
    return Table([Cell("Method"), Cell("Setting"), Cell("Value")], rows, groups=groups)


def versions_table(study: StudyResults) -> Table:
    """Return the versions of the libraries; several where evaluations differ."""
    versions: dict[str, set[str]] = {}
    for result in study.evaluations:
        for name, version in (result.metrics.get("versions") or {}).items():
            versions.setdefault(name, set()).add(str(version))
    rows = [[Cell(name), Cell(", ".join(sorted(versions[name])))] for name in sorted(versions)]
    return Table([Cell("Library"), Cell("Version")], rows)


def _compact(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def codsa_methods(study: StudyResults) -> list[str]:
    """Return CoDSA's methods in the order of tables."""
    return [method for method in study.methods if is_codsa(method)]
