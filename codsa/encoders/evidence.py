"""Whether one column is a function of another, and whether chance might have made it so."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import gammaln

from codsa.data.schema import Column, is_ordered
from codsa.encoders.numeric_precision import NumericPrecision

EVIDENCE = 20.0
"""A tie by chance must be less likely than exp(-20), over all pairs of columns."""
CUTS = 50
"""A category of a number's ranges has at most so many of them."""


def surprise(codes: np.ndarray) -> float:
    """Return the log of the number of ways to arrange a column's values: ln n! - sum ln n_j!."""
    counts = np.bincount(codes)
    return float(gammaln(len(codes) + 1) - gammaln(counts + 1).sum())


def coded(values: pd.Series) -> np.ndarray:
    """Return values as codes in the order of their size or name, missing as the last, int64."""
    codes, _ = pd.factorize(values, sort=True, use_na_sentinel=True)
    return np.where(codes < 0, codes.max(initial=-1) + 1, codes).astype(np.int64)


def determines(a: np.ndarray, b: np.ndarray, doubt: float) -> bool:
    """Say whether codes b are a function of codes a, and not by chance.

    Of all arrangements of b, at most (levels of b) ** (levels of a) are functions of a.
    """
    first = np.unique(a, return_index=True)
    rise = np.zeros(int(a.max()) + 1, dtype=np.int64)
    rise[first[0]] = b[first[1]]
    ways = len(first[0]) * np.log(max(len(np.unique(b)), 2))
    return bool((rise[a] == b).all()) and surprise(b) - ways >= doubt


def steps(a: np.ndarray, b: np.ndarray, doubt: float) -> np.ndarray | None:
    """Return where codes b change along numbers a, or None where b is no step function of a.

    Of all arrangements of b, at most C(n, cuts) (levels of b) ** (cuts + 1) are.
    """
    order = np.lexsort((b, a))
    x, y = a[order], b[order]
    change = np.flatnonzero(y[1:] != y[:-1])
    if not 0 < len(change) <= CUTS or (x[change] == x[change + 1]).any():
        return None
    n, cuts = len(a), len(change)
    ways = gammaln(n + 1) - gammaln(cuts + 1) - gammaln(n - cuts + 1) + (cuts + 1) * np.log(len(np.unique(b)))
    return (x[change] + x[change + 1]) / 2 if surprise(b) - ways >= doubt else None


def tells(values: pd.Series, column: Column, region: np.ndarray) -> bool:
    """Say whether a column's value tells the region: each level, or each range, lies in one region."""
    if not is_ordered(column):
        return determines(coded(values), region, EVIDENCE)
    if values.isna().any():
        return False
    numbers = NumericPrecision.fit(column, values).numbers(values)
    cuts = steps(numbers, region, EVIDENCE)
    return cuts is not None and len(cuts) == len(np.unique(region)) - 1
