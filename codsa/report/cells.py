"""Cells and tables of the page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from codsa.evidence.judgement import Comparison
from codsa.evidence.studies import StudyResults
from codsa.evidence.wording import DASH, decimals_of, enough, method_name, number


@dataclass(frozen=True)
class Cell:
    """One cell: its text, a smaller text after it, and its highlighting.

    Attributes
    ----------
    tone : str
        '', 'good' or 'bad'.
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
    marked: int | None = None
    """Index of the row of the primary arm."""


def name_cell(method: str) -> Cell:
    """Return the cell with a method's title and its key."""
    title = method_name(method)
    return Cell(title, method if title.lower() != method.lower() else "")


def mean_cell(values: pd.Series, decimals: int) -> Cell:
    """Return the mean of defined figures, and their standard deviation where there are several."""
    defined = values.dropna()
    if not len(defined):
        return Cell(DASH)
    small = f"({number(float(defined.std()), decimals)})" if len(defined) > 1 else ""
    return Cell(number(float(defined.mean()), decimals), small)


def study_decimals(study: StudyResults, metric: str) -> int:
    """Return the decimals that show a metric's means under Q."""
    return decimals_of(study.values(method, metric=metric).mean() for method in study.methods)


def difference_cell(comparison: Comparison | None, decimals: int) -> Cell:
    """Return a paired difference under Q with its interval; green or orange where it is clear."""
    if comparison is None:
        return Cell(DASH)
    tone = {1: "good", -1: "bad", 0: ""}[comparison.clear]
    text = number(comparison.mean, enough(decimals, comparison.mean), signed=True)
    return Cell(text, interval_text(comparison.estimate.low, comparison.estimate.high, decimals), tone)


def interval_text(low: float, high: float, decimals: int) -> str:
    """Write an interval as '[−0.14, −0.10]'; an empty text where there is none."""
    if not np.isfinite(low):
        return ""
    decimals = enough(decimals, low, high)
    return f"[{number(low, decimals)}, {number(high, decimals)}]"


def header(texts: Iterable[str]) -> list[Cell]:
    """Return the cells of a header."""
    return [Cell(text) for text in texts]


def or_nan(value: float | None) -> float:
    """Return a figure, NaN where it is undefined."""
    return float("nan") if value is None else float(value)
