"""Partitions of the sample space into regions C_1..C_K.

A partition is by the values of a column (the class, a group), by ranges of an ordered column
(explicit edges or quantiles), or by expressions. It is resolved once, on the prepared table; from
then on `Regions.assign` is a pure function of a row, so generated rows are checked with it too.
Only the edges of quantiles change once more: the prepared table's edges deal the rows to roles, and
each split then takes the edges from its training rows alone (see `Regions.settled`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.expressions import Expression, parse
from codsa.errors import CodsaError, suggest

KINDS = ("values", "ranges", "expressions")
REST = "other"
MISSING = "missing"


@dataclass(frozen=True)
class Regions:
    """A resolved partition.

    Attributes
    ----------
    kind : {'values', 'ranges', 'expressions'}
    names : list of str
        The K region names; a region's index is its place here.
    column : str, optional
        The column of the values or ranges.
    members : list
        Per region: its values (`None` stands for missing); or its [low, high] bounds, low
        excluded and high included, `None` for unbounded; or its expressions, of which the first
        true one decides, and none for the region of the rows that no expression takes.
    pooled : list of dict
        The regions that were joined because they had too few rows: region, rows, into.
    quantiles : list of [float, float]
        For ranges by quantile: per range, the shares of rows below it and up to its end. Empty for another partition,
        and the region of missing values has none.
    """

    kind: str
    names: list[str]
    column: str | None
    members: list[list[Any]]
    pooled: list[dict[str, Any]] = field(default_factory=list)
    quantiles: list[list[float]] = field(default_factory=list)

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
            With the columns that the partition reads, in the schema's types.

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
        region_of = {
            value: k for k, member_values in enumerate(self.members) for value in member_values if value is not None
        }
        region = values.map(region_of, na_action="ignore").astype("Float64").fillna(-1).to_numpy(dtype=np.int64)
        missing_region = next((k for k, member_values in enumerate(self.members) if None in member_values), -1)
        region[values.isna().to_numpy()] = missing_region
        return region

    def _by_range(self, values: pd.Series) -> np.ndarray:
        numbers = _ordered(values)
        region = np.full(len(values), -1, dtype=np.int64)
        for k, member in enumerate(self.members):
            if member == [MISSING]:
                region[np.isnan(numbers)] = k
                continue
            low, high = (_bound(edge) for edge in member)
            inside = (numbers > (-np.inf if low is None else low)) & (numbers <= (np.inf if high is None else high))
            region[inside] = k
        return region

    def _by_expression(self, frame: pd.DataFrame) -> np.ndarray:
        region = np.full(len(frame), -1, dtype=np.int64)
        for k, expressions in enumerate(self.members):
            for expression in expressions:
                region[(region < 0) & parse(expression).truth(frame)] = k
        if [] in self.members:
            region[region < 0] = self.members.index([])
        return region

    def constant(self, k: int) -> dict[str, Any]:
        """Return the column that region k fixes to one value, as {name: value}, if it does."""
        if self.kind == "values" and len(self.members[k]) == 1:
            assert self.column is not None
            return {self.column: self.members[k][0]}
        return {}

    def settled(self, values: pd.Series) -> Regions:
        """Return the partition with its edges by quantile taken from some rows; another partition as it is.

        The edge after a range is the greatest of these rows' values in it, so that these rows keep their regions, and
        the edges depend on no other row as long as each row stays in its range.

        Parameters
        ----------
        values : Series
            The column's values in the training rows of a split.

        Raises
        ------
        CodsaError
            For a range in which none of these rows lies.
        """
        if not self.quantiles:
            return self
        region, settled = self._by_range(values), replace(self, members=[list(member) for member in self.members])
        for k in range(len(self.quantiles) - 1):
            inside = values[region == k]
            if not len(inside):
                raise CodsaError(f"region '{self.names[k]}' has no training row; give fewer quantiles")
            settled.members[k][1] = settled.members[k + 1][0] = _edge(inside.max())
        return settled

    def to_dict(self) -> dict[str, Any]:
        """Return the partition as it is written to `schema.json`."""
        record = asdict(self)
        return record if self.quantiles else {key: value for key, value in record.items() if key != "quantiles"}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Regions:
        """Read a partition from the output of `to_dict`."""
        regions = cls(**record)
        if regions.kind not in KINDS:
            raise CodsaError(f"regions: kind '{regions.kind}' is not known; {suggest(regions.kind, KINDS)}")
        regions.expressions()
        return regions

    def expressions(self) -> list[Expression]:
        """Return the expressions that part the rows, parsed and checked; empty for another kind of partition."""
        return [parse(text) for member in self.members for text in member] if self.kind == "expressions" else []


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


def _edge(value: Any) -> float | str:
    """Return a value of an ordered column as an edge: a date as ISO text, a number as float."""
    return value.isoformat() if isinstance(value, pd.Timestamp) else float(value)


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
    names = [range_name(column, low, high) for low, high in zip(lows, highs, strict=True)]
    members: list[list[Any]] = [list(pair) for pair in zip(lows, highs, strict=True)]
    if values.isna().any():
        names, members = [*names, MISSING], [*members, [MISSING]]
    return Regions("ranges", names, column, members)


def by_quantiles(column: str, values: pd.Series, count: int) -> Regions:
    """Make `count` ranges of about equal numbers of rows; equal quantiles fall together.

    A range is named after its shares of the rows, which are the same in every split, and not after its edges, which
    are those of a split's training rows (see `Regions.settled`).
    """
    if count < 2:
        raise CodsaError(f"regions of '{column}': {count} quantiles; at least 2 are needed")
    numbers = _ordered(values)
    shares = np.arange(1, count) / count
    steps = np.quantile(numbers[~np.isnan(numbers)], shares, method="inverted_cdf")
    share_of_edge = dict(zip(steps.tolist(), shares.tolist(), strict=True))  # of equal quantiles the last one counts
    edges = [edge for edge in share_of_edge if edge < np.nanmax(numbers)]
    if not edges:
        raise CodsaError(f"regions of '{column}': its quantiles all fall together; give explicit edges")
    is_date = pd.api.types.is_datetime64_any_dtype(values)
    regions = by_edges(column, values, [pd.Timestamp(int(e)).isoformat() for e in edges] if is_date else edges)
    quantiles = [list(pair) for pair in itertools.pairwise([0.0, *(share_of_edge[edge] for edge in edges), 1.0])]
    names = [quantile_name(column, low, high, quantiles) for low, high in quantiles]
    return replace(regions, names=[*names, *regions.names[len(names) :]], quantiles=quantiles)


def by_expressions(expressions: Mapping[str, str], frame: pd.DataFrame) -> Regions:
    """Make one region of each named expression, and 'other' of the rows that none takes."""
    regions = Regions("expressions", list(expressions), None, [[e] for e in expressions.values()])
    if (regions.assign(frame) < 0).any():
        return Regions("expressions", [*regions.names, REST], None, [*regions.members, []])
    return regions


def range_name(column: str, low: Any, high: Any) -> str:
    """Return the name of a range of a column, low excluded and high included."""
    if low is None:
        return column if high is None else f"{column} ≤ {_short(high)}"
    return f"{column} > {_short(low)}" if high is None else f"{_short(low)} < {column} ≤ {_short(high)}"


def quantile_name(column: str, low: float, high: float, quantiles: list[list[float]]) -> str:
    """Return the name of a range by quantile from the shares of rows below it and up to its end, in per cent.

    Parameters
    ----------
    quantiles : list of [float, float]
        Of the whole partition: shares less than 1 % apart are named with a decimal.
    """
    decimals = 0 if min(b - a for a, b in quantiles) > 0.01 - 1e-9 else 1
    return f"{column} {_percent(low, decimals)}–{_percent(high, decimals)} %"


def _percent(share: float, decimals: int) -> str:
    return f"{100 * share:.{0 if share in (0.0, 1.0) else decimals}f}"


def _short(edge: Any) -> str:
    return edge if isinstance(edge, str) else f"{edge:.6g}"
