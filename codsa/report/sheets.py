"""What a report writes for other programs: tidy tables for CSV files, and a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from codsa.data.metrics import OVERALL, RAW, RECALIBRATED
from codsa.evidence.studies import EvaluationResults, StudyResults
from codsa.evidence.wording import arrow, metric_name
from codsa.report.cells import mean_cell, study_decimals
from codsa.report.drawing import is_number

ARM = ["experiment", "method", "kind", "estimator", "column"]
"""What a row of both tables is of; `column` is raw or recalibrated."""
METRICS_COLUMNS = [*ARM, "replicate", "region", "metric", "value", "m", "r", "alpha"]
SUMMARY_COLUMNS = [*ARM, "region", "metric", "mean", "sd", "replicates"]
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A spreadsheet takes a text that begins with one of these for a formula."""


def metrics_table(study: StudyResults) -> pd.DataFrame:
    """Return every test figure, one per row, with its λ̂."""
    rows = [row for result in study.evaluations for row in _rows(study, result)]
    return pd.DataFrame([tuple(map(spreadsheet_cell, row)) for row in rows], columns=METRICS_COLUMNS)


def _rows(study: StudyResults, result: EvaluationResults) -> Iterator[tuple[Any, ...]]:
    for estimator in result.record.labels:
        for column in (RAW, RECALIBRATED):
            choice = result.choice(estimator, column)
            if choice is None:
                continue
            arm = (study.experiment, result.method, result.kind, estimator, column, result.replicate)
            point = (choice.chosen.m, choice.chosen.r, choice.chosen.alpha)
            for metric in choice.test:
                for region in [*study.regions, OVERALL]:
                    yield *arm, region, metric, result.value(metric, region, estimator, column), *point


def spreadsheet_cell(value: Any) -> Any:
    """Return a cell of a CSV file that a spreadsheet shows as text and does not compute.

    A text that a spreadsheet would take for a formula (it begins with =, +, -, @, a tab or a line break) gets a `'`
    in front. Numbers, and texts that are numbers, stay as they are.
    """
    if not isinstance(value, str) or not value.lstrip(" ").startswith(FORMULA_STARTS) or is_number(value):
        return value
    return "'" + value


def summary_table(study: StudyResults) -> pd.DataFrame:
    """Return mean, sd and number of replicates of every method, estimator, column, region and metric.

    Undefined figures are left out and not counted.
    """
    groups = metrics_table(study).groupby([*ARM, "region", "metric"], sort=False)["value"]
    summary = groups.agg(mean="mean", sd="std", replicates="count").reset_index()
    return summary[SUMMARY_COLUMNS]


def plain_text(study: StudyResults) -> str:
    """Return the table of methods for a terminal: raw under Q where it is not all, then regions, then under Q."""
    metric, decimals = study.metric, study_decimals(study, study.metric)
    regions = [*study.regions, OVERALL]
    head = [f"{metric_name(metric)} {arrow(metric)}", *study.columns[1:], *regions]
    rows = [
        [
            method,
            *(_mean_text(study.values(method, column=column), decimals) for column in study.columns[1:]),
            *(_mean_text(study.values(method, region), decimals) for region in regions),
        ]
        for method in study.methods
    ]
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    return "\n".join(_line(row, widths) for row in [head, ["-" * width for width in widths], *rows])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        row[0].ljust(widths[0]),
        *(text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True)),
    ]
    return "  ".join(cells).rstrip()


def _mean_text(values: pd.Series, decimals: int) -> str:
    cell = mean_cell(values, decimals)
    return f"{cell.text} {cell.small}".strip()
