"""The grid of (m, α) over one pool: the rows of each grid point, and how many rows the pool must hold."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
        Synthetic rows.
    m_ratio : float
        m/n, as the grid names it.
    label : str
        How the grid names α.
    alpha : ndarray of shape (K,)
    counts : ndarray of int64, shape (K,)
        Rows of each region, summing to m: largest remainders of α·m.
    exact : bool
        False where Eq. (5) needed clipping, m being too small for it.
    """

    m: int
    m_ratio: float
    label: str
    alpha: np.ndarray
    counts: np.ndarray
    exact: bool


def real_rows(split: Split, r: float, reserve: str, fold: int | None = None) -> np.ndarray:
    """Return the row_ids of the real rows that the estimator gets, ndarray of int64."""
    check_choice("reserve", reserve, RESERVES)
    return split.rows(TRAIN) if reserve == "all" else split.reserved_rows(r, fold)


def points(grid: Grid, r: float, split: Split, schema: Schema, fold: int | None = None) -> list[GridPoint]:
    """Enumerate the points of a grid at a ratio r, or with a fold left out.

    m = 0 makes one point, whatever α. It is left out where there are no real rows (r = 1).

    Raises
    ------
    CodsaError
        For a negative m, an α off the simplex, or a grid of which nothing is left.
    """
    n_r = len(real_rows(split, r, grid.reserve, fold))
    grid_points: list[GridPoint] = []
    for ratio in grid.m:
        if ratio * split.n > MOST_ROWS:
            raise CodsaError(f"m = {ratio:g} times n = {split.n}: more than {MOST_ROWS} synthetic rows; lower m")
        m = round(ratio * split.n)
        if m == 0:
            grid_points += [] if any(point.m == 0 for point in grid_points) else _without_synthetic(n_r, schema)
            continue
        grid_points += [
            _grid_point(m, ratio, alpha, n_r=n_r, grid=grid, split=split, schema=schema) for alpha in grid.alpha
        ]
    if not grid_points:
        raise CodsaError(f"m = 0 with r = {r}: there is neither a reserved nor a synthetic row to fit on")
    return grid_points


def _without_synthetic(n_r: int, schema: Schema) -> list[GridPoint]:
    if n_r == 0:
        return []
    zeros = np.zeros(len(schema.regions))
    return [GridPoint(m=0, m_ratio=0.0, label="none", alpha=zeros, counts=zeros.astype(np.int64), exact=True)]


def _grid_point(
    m: int, ratio: float, alpha: AlphaValue, n_r: int, grid: Grid, split: Split, schema: Schema
) -> GridPoint:
    vector, exact = allocation(alpha, m, n_r, focus=grid.focus, split=split, schema=schema)
    if not exact:
        least = least_balancing_m(n_r, split.q, split.p)
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
    alpha: AlphaValue, m: int, n_r: int, focus: str | None, split: Split, schema: Schema
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
            return balancing_allocation(m, n_r, split.q, split.p)
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
