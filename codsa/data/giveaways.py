"""Columns that give the target away: relations that hold in every row, as where one was made from the other."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd

TOLERANCE = 1e-6
"""Of the target's spread: a larger difference is no rounding."""
LEAST_ROWS, MOST_COLUMNS, SCREENED = 20, 200, 64
ROWS_PER_LEVEL = 3
RANKED = 0.99
"""From this rank correlation on, a column orders the target."""
AWAY = "; does it give the target away? --drop it?"
COMBINED: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
}


def giveaways(features: pd.DataFrame, target: pd.Series) -> list[str]:
    """Return in words which columns, or pairs of columns, have a relation to the target that holds in every row.

    Parameters
    ----------
    features : DataFrame of shape (n, d)
        In their types; numbers may be missing.
    target : Series of length n
        Without missing values.
    """
    known = features.loc[:, [name for name in features if features[name].notna().sum() >= LEAST_ROWS]]
    numeric = [str(name) for name in known if _is_number(known[name])][:MOST_COLUMNS]
    others = [str(name) for name in known if str(name) not in numeric and not _is_date(known[name])]
    if _is_number(target) and target.nunique() > 2:
        y = target.to_numpy(dtype=float)
        x = known[numeric].to_numpy(dtype=float, na_value=np.nan)
        single = [note for k, name in enumerate(numeric) if (note := _of_number(name, x[:, k], y))]
        said = {k for k, name in enumerate(numeric) if _of_number(name, x[:, k], y)}
        steps = [note for name in others if (note := _step(name, known[name], y))]
        return single + steps + _of_pairs([k for k in range(len(numeric)) if k not in said], numeric, x, y)
    classes = pd.factorize(target)[0]
    notes = [_threshold(name, known[name].to_numpy(dtype=float, na_value=np.nan), classes) for name in numeric]
    return [note for note in [*notes, *(_levels(name, known[name], classes) for name in others)] if note]


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _is_date(values: pd.Series) -> bool:
    return pd.api.types.is_datetime64_any_dtype(values)


def _of_number(name: str, x: np.ndarray, y: np.ndarray) -> str:
    """Say that the target is a column, a linear function of it, or ordered as it is."""
    present = np.isfinite(x)
    x, y = x[present], y[present]
    if np.ptp(y) == 0 or np.ptp(x) == 0:
        return ""
    if _equal(x, y):
        return f"column '{name}' is the target itself in every row where it stands; --drop it?"
    slope, shift = np.polyfit(x, y, 1)
    if _equal(slope * x + shift, y):
        return f"column '{name}' is the target in another unit (target = {slope:.6g} · {name} {shift:+.6g}); --drop it?"
    levels = len(np.unique(x))
    if levels * ROWS_PER_LEVEL <= len(x) or levels < len(np.unique(y)) // 2:
        return _step(name, pd.Series(x), y)
    rho = float(pd.Series(x).rank().corr(pd.Series(y).rank()))
    way = "rises" if rho > 0 else "falls"
    return f"the target {way} with column '{name}' in nearly every row{AWAY}" if abs(rho) >= RANKED else ""


def _step(name: str, values: pd.Series, y: np.ndarray) -> str:
    """Say that each of a column's few values has a range of the target of its own."""
    present = values.notna().to_numpy(dtype=bool)
    codes, levels = pd.factorize(values[present])
    if len(levels) < 2 or len(levels) * LEAST_ROWS / 2 > len(codes) or len(codes) < LEAST_ROWS:
        return ""
    ranges = pd.DataFrame({"code": codes, "y": y[present]}).groupby("code")["y"].agg(["min", "max"]).sort_values("min")
    apart = (ranges["min"].to_numpy()[1:] > ranges["max"].to_numpy()[:-1]).all()
    return f"column '{name}' parts the target into ranges, as if made from it; --drop it?" if apart else ""


def _of_pairs(places: list[int], names: list[str], x: np.ndarray, y: np.ndarray) -> list[str]:
    """Say which two columns give the target by their sum, difference, product or quotient."""
    notes = []
    screened = np.linspace(0, len(y) - 1, min(SCREENED, len(y))).astype(int)
    orders = [*itertools.combinations(places, 2), *((b, a) for a, b in itertools.combinations(places, 2))]
    for a, b in orders:
        for sign, combine in COMBINED.items():
            if sign in "+*" and a > b:
                continue
            with np.errstate(all="ignore"):
                if not _equal(combine(x[screened, a], x[screened, b]), y[screened]):
                    continue
                if _equal(combine(x[:, a], x[:, b]), y):
                    notes.append(f"'{names[a]}' {sign} '{names[b]}' is the target in every row; --drop one of them?")
    return notes


def _equal(found: np.ndarray, y: np.ndarray) -> bool:
    """Say whether numbers are the target, wherever both are there."""
    present = np.isfinite(found)
    if present.sum() < LEAST_ROWS or present.sum() < len(y) / 2:
        return False
    spread = np.ptp(y[present])
    return bool(spread > 0 and np.abs(found[present] - y[present]).max() <= TOLERANCE * spread)


def _threshold(name: str, x: np.ndarray, classes: np.ndarray) -> str:
    """Say that a column's ranges are the classes."""
    present = np.isfinite(x)
    x, classes = x[present], classes[present]
    if len(np.unique(classes)) < 2 or len(x) < LEAST_ROWS:
        return ""
    if len(np.unique(x)) * ROWS_PER_LEVEL <= len(x) and (note := _levels(name, pd.Series(x), classes)):
        return note
    ranges = pd.DataFrame({"code": classes, "x": x}).groupby("code")["x"].agg(["min", "max"]).sort_values("min")
    apart = (ranges["min"].to_numpy()[1:] > ranges["max"].to_numpy()[:-1]).all()
    return (
        f"column '{name}' alone parts the classes without an error; does it give the target away? --drop it?"
        if apart
        else ""
    )


def _levels(name: str, values: pd.Series, classes: np.ndarray) -> str:
    """Say that each of a column's values stands in rows of one class alone."""
    present = values.notna().to_numpy(dtype=bool)
    codes, levels = pd.factorize(values[present])
    if len(codes) < LEAST_ROWS or len(levels) * ROWS_PER_LEVEL > len(codes) or len(np.unique(classes[present])) < 2:
        return ""
    per_level = pd.DataFrame({"code": codes, "class": classes[present]}).groupby("code")["class"].nunique()
    return (
        f"each value of column '{name}' has one class alone; does it give the target away? --drop it?"
        if per_level.max() == 1
        else ""
    )
