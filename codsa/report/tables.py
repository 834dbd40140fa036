"""The tables of the report: tidy ones for files, and worded ones for the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.metrics import HIGHER_IS_BETTER, OVERALL
from codsa.evidence.studies import EvaluationResults, StudyResults
from codsa.evidence.verdict import ORACLE, PLAIN, Difference, Verdict, compare, is_codsa, share_of_way
from codsa.evidence.wording import DASH, arrow, counted, decimals_of, enough, method_name, metric_name, number, percent
from codsa.report.drawing import is_number

METRICS = ["experiment", "method", "replicate", "region", "metric", "value", "m", "r", "alpha"]
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a text begins with that a spreadsheet computes."""
SUMMARY = ["experiment", "method", "region", "metric", "mean", "sd", "replicates"]


@dataclass(frozen=True)
class Cell:
    """One cell: its text, a smaller text after it, and how it is shown.

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
    """Places of rows that a new group starts with."""


def metrics_table(study: StudyResults) -> pd.DataFrame:
    """Return every test figure, one a row, with the λ̂ that it belongs to."""
    rows = [
        (
            study.experiment,
            one.method,
            one.replicate,
            region,
            metric,
            one.value(metric, region),
            *_lambda(one),
        )
        for one in study.evaluations
        for metric in one.metrics["test"]
        for region in [*study.regions, OVERALL]
    ]
    return pd.DataFrame([tuple(map(spreadsheet_cell, row)) for row in rows], columns=METRICS)


def spreadsheet_cell(value: Any) -> Any:
    """Return a cell of a CSV file as a spreadsheet shows it, and does not compute it.

    A text that a spreadsheet would take for a formula (it begins with =, +, -, @, a tab or a line break) gets a `'`
    in front. Numbers, and texts that are numbers, stay as they are.
    """
    if not isinstance(value, str) or not value.lstrip(" ").startswith(FORMULA_STARTS) or is_number(value):
        return value
    return "'" + value


def _lambda(one: EvaluationResults) -> tuple[Any, Any, Any]:
    return one.chosen["m"], one.chosen["r"], one.chosen["alpha"]


def summary_table(study: StudyResults) -> pd.DataFrame:
    """Return mean, sd and number of replicates of every method, region and metric.

    Figures that are not defined are left out and not counted.
    """
    groups = metrics_table(study).groupby(["experiment", "method", "region", "metric"], sort=False)["value"]
    found = groups.agg(mean="mean", sd="std", replicates="count").reset_index()
    return found[SUMMARY]


def plain_text(study: StudyResults) -> str:
    """Return the table of methods by regions for a terminal."""
    decimals = _decimals(study, study.metric)
    columns = [*study.regions, OVERALL]
    head = [f"{metric_name(study.metric)} {arrow(study.metric)}", *columns]
    rows = [
        [method, *(_terse(study.values(method, region), decimals) for region in columns)] for method in study.methods
    ]
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    return "\n".join(_line(row, widths) for row in [head, ["-" * width for width in widths], *rows])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        row[0].ljust(widths[0]),
        *(text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True)),
    ]
    return "  ".join(cells).rstrip()


def _terse(values: pd.Series, decimals: int) -> str:
    cell = _mean_cell(values, decimals)
    return f"{cell.text} {cell.small}".strip()


def _decimals(study: StudyResults, metric: str) -> int:
    return decimals_of(study.values(method, OVERALL, metric).mean() for method in study.methods)


def _mean_cell(values: pd.Series, decimals: int, best: float = np.nan) -> Cell:
    known = values.dropna()
    if not len(known):
        return Cell(DASH)
    mean, sd = float(known.mean()), float(known.std())
    small = f"({number(sd, decimals)})" if len(known) > 1 else ""
    return Cell(number(mean, decimals), small, "best" if mean == best else "")


def _best(means: Iterable[float], metric: str) -> float:
    """Return the best mean; NaN, so that nothing is marked, where all are equal."""
    known = [value for value in means if np.isfinite(value)]
    if len(set(known)) < 2:
        return float("nan")
    return max(known) if metric in HIGHER_IS_BETTER else min(known)


def name_cell(method: str) -> Cell:
    """Return the cell that names a method: its title and its key."""
    title = method_name(method)
    return Cell(title, method if title.lower() != method.lower() else "")


def main_table(study: StudyResults, verdict: Verdict) -> Table:
    """Return methods × regions, with paired differences to the plain model and the best rival."""
    metric, decimals = study.metric, _decimals(study, study.metric)
    columns = [*study.regions, OVERALL]
    rivals = [one for one in study.methods if one != ORACLE]
    means = {c: _best((study.values(one, c).mean() for one in rivals), metric) for c in columns}
    against = [name for name in (PLAIN, verdict.rival) if name in study.methods]
    rows = []
    for method in study.methods:
        cells = [_mean_cell(study.values(method, c), decimals, means[c]) for c in columns]
        way = [Cell(percent(share_of_way(metric, study.overall(), method)))] if ORACLE in study.methods else []
        rows.append([name_cell(method), *cells, *(difference_cell(study, method, other) for other in against), *way])
    interval = "with 95 % CI" if len(study.replicates) > 1 else ""
    heads = [Cell(f"Difference to {against_name(one)}", interval) for one in against]
    heads += [Cell("Way to the oracle")] if ORACLE in study.methods else []
    return Table([Cell("Method"), *(Cell(c) for c in study.regions), Cell("Under Q"), *heads], rows)


def against_name(method: str) -> str:
    """Return what a difference is taken to, in words."""
    return "no augmentation" if method == PLAIN else method_name(method)


def difference_cell(study: StudyResults, method: str, other: str) -> Cell:
    """Return a paired difference under Q with its interval."""
    found = compare(study.metric, study.overall(), method, other) if method != other else None
    if found is None:
        return Cell(DASH)
    decimals = enough(_decimals(study, study.metric), found.mean)
    tone = {1: "good", -1: "bad", 0: ""}[found.clear]
    return Cell(number(found.mean, decimals, signed=True), interval_text(found, decimals), tone)


def interval_text(found: Difference, decimals: int) -> str:
    """Write an interval as '[−0.14, −0.10]'; nothing where there is none."""
    if not np.isfinite(found.low):
        return ""
    decimals = enough(decimals, found.low, found.high)
    return f"[{number(found.low, decimals)}, {number(found.high, decimals)}]"


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
    """Return λ̂ of every replicate, and the validation figure that it was chosen by."""
    found = study.of(method)
    figures = pd.Series([_known(one.metrics.get("validation", {}).get(OVERALL)) for one in found], dtype=float)
    decimals = decimals_of(figures.dropna())
    lines: list[tuple[str, Callable[[EvaluationResults], str]]] = [
        ("r", lambda one: f"{one.chosen['r']:g}"),
        ("m/n", lambda one: f"{one.chosen['m_ratio']:g}"),
        ("α", lambda one: DASH if one.chosen["m"] == 0 else str(one.chosen["alpha"])),
    ]
    rows = [[Cell(name), *(Cell(say(one)) for one in found)] for name, say in lines]
    rows.append([Cell("Validation " + metric_name(study.choose_by)), *(Cell(number(v, decimals)) for v in figures)])
    return Table([Cell("Replicate"), *(Cell(str(one.replicate)) for one in found)], rows)


def edge_note(study: StudyResults, method: str) -> str:
    """Say where λ̂ mostly lies at the end of the grid of m, beyond which nothing was tried; else nothing."""
    found = study.of(method)
    most = max(float(one.fits["m_ratio"].max()) for one in found)
    tried = {ratio for one in found for ratio in one.fits["m_ratio"] if ratio > 0}
    there = sum(float(one.chosen["m_ratio"]) == most for one in found)
    if len(tried) < 2 or 2 * there <= len(found):
        return ""
    return (
        f"In {there} of {counted(len(found), 'replicate')} λ̂ has the most synthetic rows that were tried "
        f"(m/n = {most:g}); more may be better still."
    )


def _known(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def quality_table(study: StudyResults) -> Table | None:
    """Return how near the synthetic rows of λ̂ are to real ones, by method and region."""
    rows: list[list[Cell]] = []
    groups: set[int] = set()
    for method in study.methods:
        found = [one for one in study.of(method) if one.metrics.get("diagnostics")]
        names = [name for name in study.regions if any(name in one.metrics["diagnostics"] for one in found)]
        groups |= {len(rows)} if names else set()
        rows += [[name_cell(method), Cell(name), *_quality(found, name)] for name in names]
    heads = ["Method", "Region", "Synthetic rows", "Wasserstein distance", "… of real rows", "Two-sample AUC"]
    heads += ["Nearest-record ratio", "Redrawn"]
    return Table([Cell(h) for h in heads], rows, groups=groups) if rows else None


def arrays_table(study: StudyResults) -> Table | None:
    """Return how generated arrays cover real ones, by method and region; None without arrays."""
    keys = ("frechet", "precision", "recall", "density", "coverage")
    rows: list[list[Cell]] = []
    groups: set[int] = set()
    for method in study.methods:
        found = [one.metrics["diagnostics"] for one in study.of(method) if one.metrics.get("diagnostics")]
        names = [name for name in study.regions if any("frechet" in one.get(name, {}) for one in found)]
        groups |= {len(rows)} if names else set()
        for name in names:
            means = [pd.Series([_known(d.get(name, {}).get(k)) for d in found], dtype=float).mean() for k in keys]
            rows.append([name_cell(method), Cell(name), *(Cell(number(float(mean), 2)) for mean in means)])
    heads = ["Method", "Region", "Fréchet distance", "Precision", "Recall", "Density", "Coverage"]
    return Table([Cell(h) for h in heads], rows, groups=groups) if rows else None


def texts_table(study: StudyResults) -> Table | None:
    """Return how varied generated texts are, and how many are copies, by method and region; None without texts."""
    pairs = ("distinct_1", "distinct_2", "self_overlap")
    keys = [key for pair in pairs for key in (pair, f"{pair} real")] + ["copies", "near_copies", "round_trip"]
    rows: list[list[Cell]] = []
    groups: set[int] = set()
    for method in study.methods:
        found = [one.metrics["diagnostics"] for one in study.of(method) if one.metrics.get("diagnostics")]
        names = [name for name in study.regions if any("copies" in one.get(name, {}) for one in found)]
        groups |= {len(rows)} if names else set()
        for name in names:
            means = [pd.Series([_known(d.get(name, {}).get(k)) for d in found], dtype=float).mean() for k in keys]
            rows.append([name_cell(method), Cell(name), *(Cell(number(float(mean), 2)) for mean in means)])
    heads = ["Method", "Region", "Distinct-1", "… of real texts", "Distinct-2", "… of real texts", "Self-overlap"]
    heads += ["… of real texts", "Copies", "Near copies", "Round trip"]
    return Table([Cell(h) for h in heads], rows, groups=groups) if rows else None


def examples_table(one: EvaluationResults) -> Table | None:
    """Return real and generated texts of an evaluation by region, for a person to judge; None without texts."""
    rows: list[list[Cell]] = []
    groups: set[int] = set()
    for region, kinds in (one.metrics.get("examples") or {}).items():
        groups.add(len(rows))
        near = kinds.get("nearest") or [""] * len(kinds["generated"])
        rows += [[Cell(region), Cell(text), *[Cell("")] * 2] for text in kinds["real"]]
        rows += [[Cell(region), Cell(""), Cell(a), Cell(b)] for a, b in zip(kinds["generated"], near, strict=True)]
    heads = ["Region", "Real (test)", "Generated", "Nearest in training"]
    return Table([Cell(h) for h in heads], rows, groups=groups) if rows else None


def _quality(found: Sequence[EvaluationResults], region: str) -> list[Cell]:
    here = [one.metrics["diagnostics"].get(region, {}) for one in found]

    def mean(key: str) -> float:
        return float(pd.Series([_known(d.get(key)) for d in here], dtype=float).mean())

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
        chosen = [one.chosen for one in study.of(method)]
        values = [pd.Series([_known(c.get(key)) for c in chosen], dtype=float) for key in keys]
        rows.append([name_cell(method), *(_mean_cell(v, 3 if k < 2 else 2) for k, v in enumerate(values))])
    return Table([Cell("Method"), *(Cell(h) for h in heads)], rows)


def sizes_table(study: StudyResults) -> Table:
    """Return rows by role and region, and both laws."""
    metrics = study.first.metrics
    roles = [role for role in ("train", "validation", "test") if role in metrics["sizes"]]
    rows = []
    for name in study.regions:
        counts = [Cell(f"{metrics['sizes'][role].get(name, 0):,}") for role in roles]
        laws = [Cell(number(_known(metrics[law].get(name)), 3)) for law in ("law", "training_law")]
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
        one = study.of(method)[0].metrics
        hidden = ("experiment", "replicate", "r")
        shown = {k: v for k, v in (one.get("settings") or {}).items() if k not in hidden}
        groups |= {len(rows)} if shown else set()
        rows += [[name_cell(method), Cell(str(k)), Cell(_compact(v))] for k, v in shown.items()]
    return Table([Cell("Method"), Cell("Setting"), Cell("Value")], rows, groups=groups)


def versions_table(study: StudyResults) -> Table:
    """Return the versions of the libraries; several where evaluations differ."""
    found: dict[str, set[str]] = {}
    for one in study.evaluations:
        for name, version in (one.metrics.get("versions") or {}).items():
            found.setdefault(name, set()).add(str(version))
    rows = [[Cell(name), Cell(", ".join(sorted(found[name])))] for name in sorted(found)]
    return Table([Cell("Library"), Cell("Version")], rows)


def _compact(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def codsa_methods(study: StudyResults) -> list[str]:
    """Return CoDSA's methods in the order of tables."""
    return [method for method in study.methods if is_codsa(method)]
