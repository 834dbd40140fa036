"""Whether one column is a function of another, and how unlikely that is by chance.

The evidence for a dependency is, in nats, the log of the number of arrangements of the dependent column's values minus
the log of the number of those arrangements that would keep the dependency.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import gammaln

from codsa.data.schema import Column, is_ordered
from codsa.encoders.numeric_precision import NumericPrecision

MIN_EVIDENCE = 20.0
"""Nats: a dependency by chance must be less likely than exp(-20), over all pairs of columns."""
MAX_CUTS = 50
"""A step function of a number has at most this many cuts."""


def log_multinomial(codes: np.ndarray) -> float:
    """Return the log of the multinomial coefficient of a column's values, ln n! - sum ln n_j!.

    This is the log of the number of distinct arrangements of the values, about n times their empirical entropy.

    Parameters
    ----------
    codes : ndarray of int64, shape (n,)
        Not negative; value j occurs n_j times.

    Returns
    -------
    float
        In nats.
    """
    counts = np.bincount(codes)
    return float(gammaln(len(codes) + 1) - gammaln(counts + 1).sum())


def value_codes(values: pd.Series) -> np.ndarray:
    """Return values as codes in the order of their size or name, missing as the last, ndarray of int64, shape (n,)."""
    codes, _ = pd.factorize(values, sort=True, use_na_sentinel=True)
    return np.where(codes < 0, codes.max(initial=-1) + 1, codes).astype(np.int64)


def determines(a: np.ndarray, b: np.ndarray, min_evidence: float) -> bool:
    """Say whether codes b are a function of codes a, and not by chance.

    Of all arrangements of b, at most (levels of b) ** (levels of a) are functions of a.

    Parameters
    ----------
    a, b : ndarray of int64, shape (n,)
    min_evidence : float
        In nats.
    """
    levels, first_rows = np.unique(a, return_index=True)
    b_of_a = np.zeros(int(a.max()) + 1, dtype=np.int64)
    b_of_a[levels] = b[first_rows]
    log_functions = len(levels) * np.log(max(len(np.unique(b)), 2))
    return bool((b_of_a[a] == b).all()) and log_multinomial(b) - log_functions >= min_evidence


def step_function_cuts(a: np.ndarray, b: np.ndarray, min_evidence: float) -> np.ndarray | None:
    """Return where codes b change along numbers a, or None where b is no step function of a, or may be by chance.

    Of all arrangements of b, at most C(n, cuts) (levels of b) ** (cuts + 1) are step functions.

    Parameters
    ----------
    a : ndarray of float64, shape (n,)
    b : ndarray of int64, shape (n,)
    min_evidence : float
        In nats.

    Returns
    -------
    ndarray of float64, shape (cuts,), optional
        Increasing, each half-way between two neighbouring numbers.
    """
    order = np.lexsort((b, a))
    x, y = a[order], b[order]
    change = np.flatnonzero(y[1:] != y[:-1])
    if not 0 < len(change) <= MAX_CUTS or (x[change] == x[change + 1]).any():
        return None
    n, cuts = len(a), len(change)
    log_choices = gammaln(n + 1) - gammaln(cuts + 1) - gammaln(n - cuts + 1)
    log_functions = log_choices + (cuts + 1) * np.log(len(np.unique(b)))
    return (x[change] + x[change + 1]) / 2 if log_multinomial(b) - log_functions >= min_evidence else None


def determines_region(values: pd.Series, column: Column, region: np.ndarray) -> bool:
    """Say whether a column's value determines the region: each level, or each range, lies in one region."""
    if not is_ordered(column):
        return determines(value_codes(values), region, MIN_EVIDENCE)
    if values.isna().any():
        return False
    numbers = NumericPrecision.fit(column, values).to_numbers(values)
    cuts = step_function_cuts(numbers, region, MIN_EVIDENCE)
    return cuts is not None and len(cuts) == len(np.unique(region)) - 1
