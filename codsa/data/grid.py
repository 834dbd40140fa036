"""The grid of (m, α) over one pool: the rows of each grid point, and how many rows the pool must hold."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from codsa.data.allocation import balancing_allocation, focused, least_balancing_m, whole_counts
from codsa.data.schema import Schema
from codsa.data.split import TRAIN, Split
from codsa.errors import CodsaError, check_choice
from codsa.settings.grid import Grid
from codsa.settings.limits import MOST_ROWS

log = logging.getLogger(__name__)

AlphaValue = float | str | Mapping[str, float]
RESERVES: tuple[str, ...] = get_args(Grid.model_fields["reserve"].annotation)


@dataclass(frozen=True)
class GridPoint:
    """One (m, α) of the grid, in whole rows.

    Attributes
    ----------
    m : int
        Synthetic rows. With 0 the estimator gets all training rows, whatever r and the reserve.
    m_ratio : float
        m/n, as the grid names it.
    label : str
        How the grid names α.
    alpha : ndarray of shape (K,)
    counts : ndarray of int64, shape (K,)
        Rows of each region, summing to m: largest remainders of α·m.
    exact : bool
        False where Eq. (5) needed clipping, m being too small for it.
    pool_weight : float
        The weight of a synthetic row.
    """

    m: int
    m_ratio: float
    label: str
    alpha: np.ndarray
    counts: np.ndarray
    exact: bool
    pool_weight: float = 1.0


def real_rows(split: Split, r: float, reserve: str, fold: int | None = None) -> np.ndarray:
    """Return the row_ids of the real rows that the estimator gets beside synthetic ones, ndarray of int64."""
    check_choice("reserve", reserve, RESERVES)
    return split.rows(TRAIN) if reserve == "all" else split.reserved_rows(r, fold)


def points(grid: Grid, r: float, split: Split, schema: Schema, fold: int | None = None) -> list[GridPoint]:
    """Enumerate the points of a grid at a ratio r, or with a fold left out.

    m = 0 makes one point, whatever α. Eq. (5) takes the counts of the real rows that the estimator gets.

    Raises
    ------
    CodsaError
        For a negative m, or an α off the simplex.
    """
    real = _real_shares(split, real_rows(split, r, grid.reserve, fold), schema)
    grid_points: list[GridPoint] = []
    for ratio in grid.m:
        if ratio * split.n > MOST_ROWS:
            raise CodsaError(f"m = {ratio:g} times n = {split.n}: more than {MOST_ROWS} synthetic rows; lower m")
        m = round(ratio * split.n)
        if m == 0:
            grid_points += [] if any(point.m == 0 for point in grid_points) else [_without_synthetic(schema)]
            continue
        of_m = [_grid_point(m, ratio, alpha, real, grid=grid, split=split, schema=schema) for alpha in grid.alpha]
        grid_points += [replace(point, pool_weight=weight) for point in of_m for weight in grid.pool_weight]
    return grid_points


@dataclass(frozen=True)
class Shares:
    """The real rows of the estimator: how many, and their shares of the regions.

    Attributes
    ----------
    n : int
    p : ndarray of shape (K,)
    """

    n: int
    p: np.ndarray


def _real_shares(split: Split, rows: np.ndarray, schema: Schema) -> Shares:
    counts = split.frame["region"].iloc[rows].value_counts().reindex(schema.regions.names, fill_value=0).to_numpy()
    return Shares(len(rows), counts / len(rows) if len(rows) else split.p)


def _without_synthetic(schema: Schema) -> GridPoint:
    zeros = np.zeros(len(schema.regions))
    return GridPoint(m=0, m_ratio=0.0, label="none", alpha=zeros, counts=zeros.astype(np.int64), exact=True)


def _grid_point(
    m: int, ratio: float, alpha: AlphaValue, real: Shares, grid: Grid, split: Split, schema: Schema
) -> GridPoint:
    vector, exact = allocation(alpha, m, real, focus=grid.focus, split=split, schema=schema)
    if not exact:
        least = least_balancing_m(real.n, split.q, real.p)
        log.warning("alpha: balance at m = %d is clipped; Eq. (5) needs m ≥ %.0f", m, least)
    return GridPoint(
        m=m, m_ratio=float(ratio), label=label(alpha), alpha=vector, counts=whole_counts(m, vector), exact=exact
    )


def label(alpha: AlphaValue) -> str:
    """Return how an allocation is written in tables."""
    if isinstance(alpha, Mapping):
        return ", ".join(f"{name}: {weight:g}" for name, weight in alpha.items())
    return alpha if isinstance(alpha, str) else f"{alpha + 0.0:g}"


def allocation(
    alpha: AlphaValue, m: int, real: Shares, focus: str | None, split: Split, schema: Schema
) -> tuple[np.ndarray, bool]:
    """Return the allocation vector that a grid's entry stands for.

    Returns
    -------
    alpha : ndarray of shape (K,)
    exact : bool
        False where Eq. (5) was clipped.
    """
    if isinstance(alpha, Mapping):
        return _weights(alpha, schema), True
    if isinstance(alpha, str):
        if alpha == "balance":
            return balancing_allocation(m, real.n, split.q, real.p)
        return (split.p if alpha == "training" else split.q), True
    region = focus_region(focus, split, schema)
    if alpha < 1 and split.q[region] == 1:
        raise CodsaError(
            f"alpha = {alpha}: the law puts all weight on region '{schema.regions.names[region]}', so there is no "
            "other region to share the rest; give alpha = 1 or weights by region"
        )
    return focused(region, float(alpha), split.q), True


def focus_region(focus: str | None, split: Split, schema: Schema) -> int:
    """Return the index of the region in focus: the named one, or the one with the largest q_k/p_k."""
    return schema.regions.index(focus) if focus is not None else int(np.argmax(split.q / split.p))


def _weights(alpha: Mapping[str, float], schema: Schema) -> np.ndarray:
    vector = np.zeros(len(schema.regions))
    for name, weight in alpha.items():
        vector[schema.regions.index(str(name))] = weight
    return vector


def pool_counts(grids: Sequence[Grid], r: float, split: Split, schema: Schema, fold: int | None = None) -> np.ndarray:
    """Return the rows of each region that a pool must hold so that every grid point is a prefix of it.

    Returns
    -------
    ndarray of int64, shape (K,)
    """
    counts = [point.counts for grid in grids for point in points(grid, r, split, schema, fold)]
    return np.max(counts, axis=0)
