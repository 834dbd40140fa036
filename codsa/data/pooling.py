"""Joining of regions that hold too few rows, in nearly linear time."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, deque
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.regions import MISSING, REST, Regions, quantile_name, range_name
from codsa.errors import CodsaError

NAMED_MEMBERS = 3
"""A pooled region of at most this many members is named after them, a larger one 'other'."""


def pool_small(regions: Regions, frame: pd.DataFrame, min_rows: int, ordered: bool) -> Regions:
    """Join regions under `min_rows` rows: to a neighbour where there is an order, else to 'other'.

    The smallest region joins first, of equally small ones the first; then the smallest of the result; and so on.

    Parameters
    ----------
    regions : Regions
        The partition to pool.
    frame : DataFrame
        The rows of that partition.
    min_rows : int
        The number of rows that a region needs.
    ordered : bool
        Whether neighbours in the list of regions are alike (numbers, ranges).

    Returns
    -------
    Regions
        With `pooled` saying which regions were joined, how many rows they had, and into what.
    """
    counts = np.bincount(regions.assign(frame), minlength=len(regions))
    return _Pool(regions, counts, ordered).joined(min_rows)


class _Pool:
    """The regions while they are joined; each is known by its index in the original partition.

    A joined region keeps the place of its first part, so places keep the order of the regions.
    """

    def __init__(self, regions: Regions, counts: np.ndarray, ordered: bool) -> None:
        self.regions = regions
        self.counts: dict[int, int] = dict(enumerate(counts.tolist()))
        self.names = dict(enumerate(regions.names))
        self.members = {k: deque(member) for k, member in enumerate(regions.members)}
        self.quantiles = dict(enumerate(regions.quantiles))
        self.name_counts = Counter(regions.names)
        self.by_size = [(count, k) for k, count in self.counts.items()]
        heapq.heapify(self.by_size)
        self.ordered = ordered
        self.before = {k: k - 1 for k in self.names}
        self.after = {k: k + 1 for k in self.names}
        self.notes: list[dict[str, Any]] = [dict(note) for note in regions.pooled]
        into = {note["into"] for note in self.notes}
        self.pooled: dict[int, list[int]] = {k: [] for k, name in self.names.items() if name in into}
        place = {name: k for k, name in self.names.items()}
        for i, note in enumerate(self.notes):
            self.pooled[place[note["into"]]].append(i)

    def joined(self, min_rows: int) -> Regions:
        """Join until every region has `min_rows` rows or one is left."""
        while len(self.names) > 1:
            small = self._smallest()
            if self.counts[small] >= min_rows:
                break
            self._join(small, self._partner(small))
        for k, places in self.pooled.items():
            for place in places:
                self.notes[place]["into"] = self.names[k]
        order = sorted(self.names)
        members = [list(self.members[k]) for k in order]
        return Regions(
            self.regions.kind,
            [self.names[k] for k in order],
            self.regions.column,
            members=members,
            pooled=self.notes,
            quantiles=[self.quantiles[k] for k in order if k in self.quantiles],
        )

    def _smallest(self, *excluded: int) -> int:
        """Return the smallest region, of equal ones the first."""
        skipped = []
        while True:
            count, k = self.by_size[0]
            if self.counts.get(k) == count and k not in excluded:
                break
            entry = heapq.heappop(self.by_size)
            skipped += [entry] if self.counts.get(k) == count else []
        for entry in skipped:
            heapq.heappush(self.by_size, entry)
        return k

    def _partner(self, small: int) -> int:
        """Choose which region a small one joins: the smaller neighbour, or the pooled one, or the smallest."""
        neighbours = [k for k in (self.before[small], self.after[small]) if k in self.names]
        choose_from = neighbours
        if self.regions.kind != "expressions":  # these join only next to each other: the first true one decides
            in_order = self.ordered and self.names[small] != MISSING
            choose_from = [k for k in neighbours if self.names[k] != MISSING] if in_order else []
            if not in_order:
                choose_from = [k for k in self.pooled if k != small]
        if not choose_from:
            return self._smallest(small)
        return min(choose_from, key=lambda k: (self.counts[k], k))

    def _join(self, small: int, partner: int) -> None:
        first, second = sorted((small, partner))
        rows = self.counts[small]
        self.name_counts.subtract([self.names[first], self.names[second]])
        name = self._join_members(first, second, rows)
        self.name_counts[name] += 1
        if self.name_counts[name] > 1:
            raise CodsaError(f"regions: the name '{name}' stands for two of them")
        self.notes.append({"region": self.names[small], "rows": rows, "into": name})
        parts = sorted((self.pooled.pop(first, []), self.pooled.pop(second, [])), key=len)
        parts[1].extend([*parts[0], len(self.notes) - 1])
        self.pooled[first] = parts[1]
        self.names[first] = name
        self.counts[first] += self.counts[second]
        heapq.heappush(self.by_size, (self.counts[first], first))
        self.before[self.after[second]], self.after[self.before[second]] = self.before[second], self.after[second]
        for facts in (self.names, self.counts, self.members):
            del facts[second]  # type: ignore[attr-defined]

    def _join_members(self, first: int, second: int, rows: int) -> str:
        """Join the members of two regions under the first, and return the name of both together."""
        a, b = self.members[first], self.members[second]
        kind, column = self.regions.kind, self.regions.column
        if kind == "ranges":
            if deque([MISSING]) in (a, b):
                raise CodsaError(
                    f"regions of '{column}': {rows} rows have it missing, too few for a region; drop them, or give "
                    "explicit regions"
                )
            self.members[first] = deque([a[0], b[1]])
            if not self.quantiles:
                return range_name(str(column), a[0], b[1])
            low, high = self.quantiles[first][0], self.quantiles.pop(second)[1]
            self.quantiles[first] = [low, high]
            return quantile_name(str(column), low, high, self.regions.quantiles)
        if kind == "expressions" and not (a and b):
            self.members[first] = deque()
            return REST
        if len(a) < len(b):
            b.extendleft(reversed(a))
            self.members[first] = b
        else:
            a.extend(b)
        joined = f"{self.names[first]}+{self.names[second]}"
        return joined if len(self.members[first]) <= NAMED_MEMBERS else self._rest()

    def _rest(self) -> str:
        """Return 'other', or 'other 2' and so on where another region is called so."""
        names = itertools.chain([REST], (f"{REST} {i}" for i in itertools.count(2)))
        return next(name for name in names if not self.name_counts[name])
