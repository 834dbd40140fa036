"""Partitions of the sample space into regions C_1..C_K.

A partition is by the values of a column (the class, a group), by ranges of an ordered column
(explicit edges or quantiles), or by expressions. It is resolved once, on the prepared table; from
then on `Regions.assign` is a pure function of a row, so generated rows are checked with it too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from codsa.errors import CodsaError, suggest

KINDS = ("values", "ranges", "expressions")
REST = "other"
MISSING = "missing"
NAMED = 3
"""A pooled region of at most so many members is named after them, a larger one 'other'."""


@dataclass(frozen=True)
class Regions:
    """A resolved partition.

    Attributes
    ----------
    kind : {'values', 'ranges', 'expressions'}
    names : list of str
        The K region names; a region's index is its place here.
    column : str, optional
        The column that decides, for values and ranges.
    members : list
        Per region: its values (`None` stands for missing); or its [low, high] bounds, low
        excluded and high included, `None` for unbounded; or its expressions, of which the first
        true one decides, and none for the region of the rows that no expression takes.
    pooled : list of dict
        Which regions were joined for want of rows: region, rows, into.
    """

    kind: str
    names: list[str]
    column: str | None
    members: list[list[Any]]
    pooled: list[dict[str, Any]] = field(default_factory=list)

    def __len__(self) -> int:
        """Return K."""
        return len(self.names)

    def index(self, name: str) -> int:
        """Return a region's index, or raise a `CodsaError` with the nearest name."""
        if name not in self.names:
            raise CodsaError(f"no region '{name}'; {suggest(name, self.names)}")
        return self.names.index(name)

    def assign(self, frame: pd.DataFrame) -> np.ndarray:
        """Return each row's region.

        Parameters
        ----------
        frame : DataFrame of n rows
            With the columns that decide, in the schema's types.

        Returns
        -------
        ndarray of int64, shape (n,)
            The region's index; -1 for a row that lies in none.
        """
        if self.kind == "expressions":
            return self._by_expression(frame)
        assert self.column is not None
        if self.kind == "values":
            return self._by_value(frame[self.column])
        return self._by_range(frame[self.column])

    def _by_value(self, values: pd.Series) -> np.ndarray:
        place = {value: k for k, members in enumerate(self.members) for value in members if value is not None}
        found = values.map(place, na_action="ignore").astype("Float64").fillna(-1).to_numpy(dtype=np.int64)
        lost = next((k for k, members in enumerate(self.members) if None in members), -1)
        found[values.isna().to_numpy()] = lost
        return found

    def _by_range(self, values: pd.Series) -> np.ndarray:
        numbers = _ordered(values)
        found = np.full(len(values), -1, dtype=np.int64)
        for k, member in enumerate(self.members):
            if member == [MISSING]:
                found[np.isnan(numbers)] = k
                continue
            low, high = (_bound(edge) for edge in member)
            inside = (numbers > (-np.inf if low is None else low)) & (numbers <= (np.inf if high is None else high))
            found[inside] = k
        return found

    def _by_expression(self, frame: pd.DataFrame) -> np.ndarray:
        found = np.full(len(frame), -1, dtype=np.int64)
        for k, expressions in enumerate(self.members):
            for expression in expressions:
                found[(found < 0) & evaluate(frame, expression)] = k
        if [] in self.members:
            found[found < 0] = self.members.index([])
        return found

    def constant(self, k: int) -> dict[str, Any]:
        """Return the column that region k fixes to one value, as {name: value}, if it does."""
        if self.kind == "values" and len(self.members[k]) == 1:
            assert self.column is not None
            return {self.column: self.members[k][0]}
        return {}

    def to_dict(self) -> dict[str, Any]:
        """Return the partition as it is written to `schema.json`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Regions:
        """Read a partition from what `to_dict` gave."""
        regions = cls(**record)
        if regions.kind not in KINDS:
            raise CodsaError(f"regions: kind '{regions.kind}' is not known; {suggest(regions.kind, KINDS)}")
        return regions


def _ordered(values: pd.Series) -> np.ndarray:
    """Return ordered values (numbers, dates) as float64, missing as NaN."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return np.where(values.isna(), np.nan, values.astype("int64").to_numpy(dtype=float))
    return values.astype("Float64").to_numpy(dtype=float, na_value=np.nan)


def _bound(edge: Any) -> float | None:
    """Return an edge as a number: a date in nanoseconds, as `_ordered` gives dates."""
    try:
        return float(pd.Timestamp(edge).as_unit("ns").value) if isinstance(edge, str) else edge
    except ValueError:
        raise CodsaError(f"regions: edge '{edge}' is neither a number nor an ISO date") from None


def evaluate(frame: pd.DataFrame, expression: str) -> np.ndarray:
    """Evaluate a pandas-query expression on rows; missing counts as false.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    try:
        found = frame.eval(expression, engine="python")
    except Exception as error:  # pandas raises many kinds for a wrong expression
        raise CodsaError(
            f"region expression '{expression}': cannot be evaluated ({error}); write it as for pandas' DataFrame.query"
        ) from None
    truth = pd.Series(found, index=frame.index)
    if truth.dtype not in ("bool", "boolean"):
        raise CodsaError(f"region expression '{expression}': gives {truth.dtype}, not true or false")
    return truth.astype("boolean").fillna(False).to_numpy(dtype=bool)


def by_values(column: str, values: pd.Series) -> Regions:
    """Make one region of each distinct value; missing values make a region of their own."""
    levels: list[Any] = [v.item() if hasattr(v, "item") else v for v in sorted(values.dropna().unique())]
    names = [str(level) for level in levels]
    if values.isna().any():
        levels, names = [*levels, None], [*names, MISSING]
    return Regions("values", names, column, [[level] for level in levels])


def by_edges(column: str, values: pd.Series, edges: Sequence[Any]) -> Regions:
    """Make the ranges (-inf, e1], (e1, e2], …, (eJ, inf) of an ordered column.

    Parameters
    ----------
    edges : sequence of numbers or ISO dates, strictly increasing
    """
    bounds = [_bound(e) for e in edges]
    finite = all(bound is not None and math.isfinite(bound) for bound in bounds)
    if not bounds or not finite or any(a >= b for a, b in itertools.pairwise(bounds)):  # type: ignore[operator]
        raise CodsaError(f"regions of '{column}': edges {list(edges)} must be increasing numbers or dates")
    lows, highs = [None, *edges], [*edges, None]
    names = [_range_name(column, low, high) for low, high in zip(lows, highs, strict=True)]
    members: list[list[Any]] = [list(pair) for pair in zip(lows, highs, strict=True)]
    if values.isna().any():
        names, members = [*names, MISSING], [*members, [MISSING]]
    return Regions("ranges", names, column, members)


def by_quantiles(column: str, values: pd.Series, count: int) -> Regions:
    """Make `count` ranges of about equal numbers of rows; equal quantiles fall together."""
    if count < 2:
        raise CodsaError(f"regions of '{column}': {count} quantiles; at least 2 are needed")
    numbers = _ordered(values)
    steps = np.quantile(numbers[~np.isnan(numbers)], np.arange(1, count) / count, method="inverted_cdf")
    edges = [float(e) for e in np.unique(steps) if e < np.nanmax(numbers)]
    if not edges:
        raise CodsaError(f"regions of '{column}': its quantiles all fall together; give explicit edges")
    if pd.api.types.is_datetime64_any_dtype(values):
        return by_edges(column, values, [pd.Timestamp(int(e)).isoformat() for e in edges])
    return by_edges(column, values, edges)


def by_expressions(expressions: Mapping[str, str], frame: pd.DataFrame) -> Regions:
    """Make one region of each named expression, and 'other' of the rows that none takes."""
    regions = Regions("expressions", list(expressions), None, [[e] for e in expressions.values()])
    if (regions.assign(frame) < 0).any():
        return Regions("expressions", [*regions.names, REST], None, [*regions.members, []])
    return regions


def _range_name(column: str, low: Any, high: Any) -> str:
    if low is None:
        return column if high is None else f"{column} ≤ {_short(high)}"
    return f"{column} > {_short(low)}" if high is None else f"{_short(low)} < {column} ≤ {_short(high)}"


def _short(edge: Any) -> str:
    return edge if isinstance(edge, str) else f"{edge:.6g}"


def pool_small(regions: Regions, frame: pd.DataFrame, least: int, ordered: bool) -> Regions:
    """Join regions under `least` rows: to a neighbour where there is an order, else to 'other'.

    Parameters
    ----------
    regions : Regions
        The partition before.
    frame : DataFrame
        The rows that it parts.
    least : int
        The number of rows that a region needs.
    ordered : bool
        Whether neighbours in the list of regions are alike (numbers, ranges).

    Returns
    -------
    Regions
        With `pooled` saying which regions were joined, how many rows they had, and into what.
    """
    while len(regions) > 1:
        counts = np.bincount(regions.assign(frame), minlength=len(regions))
        small = int(np.argmin(counts))
        if counts[small] >= least:
            return regions
        partner = _partner(regions, counts, small, ordered)
        regions = _join(regions, small, partner, counts)
    return regions


def _partner(regions: Regions, counts: np.ndarray, small: int, ordered: bool) -> int:
    """Choose which region a small one joins: the smaller neighbour, or the pooled one, or the smallest."""
    others = [k for k in range(len(regions)) if k != small]
    if regions.kind == "expressions":  # only next to each other may they join: the first true one decides
        others = [k for k in others if abs(k - small) == 1]
    elif ordered and regions.names[small] != MISSING:
        near = [k for k in (small - 1, small + 1) if k in others and regions.names[k] != MISSING]
        others = near or others
    else:
        pooled = {p["into"] for p in regions.pooled}
        others = [k for k in others if regions.names[k] in pooled] or others
    return min(others, key=lambda k: (int(counts[k]), k))


def _rest(names: list[str], joining: set[int]) -> str:
    """Return 'other', or 'other 2' and so on where another region is called so."""
    taken = {name for k, name in enumerate(names) if k not in joining}
    names_of_rest = itertools.chain([REST], (f"{REST} {i}" for i in itertools.count(2)))
    return next(name for name in names_of_rest if name not in taken)


def _join(regions: Regions, small: int, partner: int, counts: np.ndarray) -> Regions:
    first, second = sorted((small, partner))
    names, members = list(regions.names), list(regions.members)
    joined = f"{names[first]}+{names[second]}"
    if regions.kind == "ranges" and [MISSING] not in (members[first], members[second]):
        members[first] = [members[first][0], members[second][1]]
        joined = _range_name(str(regions.column), *members[first])
    elif regions.kind == "ranges":
        raise CodsaError(
            f"regions of '{regions.column}': {int(counts[small])} rows have it missing, too few for a "
            "region; drop them, or give explicit regions"
        )
    elif regions.kind == "expressions" and [] in (members[first], members[second]):
        members[first], joined = [], REST
    else:
        members[first] = [*members[first], *members[second]]
        joined = joined if len(members[first]) <= NAMED else _rest(names, {first, second})
    note = {"region": names[small], "rows": int(counts[small]), "into": joined}
    renamed = [{**p, "into": joined} if p["into"] in (names[first], names[second]) else p for p in regions.pooled]
    names[first] = joined
    del names[second], members[second]
    if len(set(names)) < len(names):
        raise CodsaError(f"regions: the name '{joined}' stands for two of them")
    return Regions(regions.kind, names, regions.column, members, [*renamed, note])
