"""Columns that others determine: found in the fitted rows, left out of the model, rebuilt afterwards.

A tie is believed when it holds in every row and chance would hardly make it hold: the permutations
of a column's values that keep it are weighed against all of them (see `surprise`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.schema import Column, is_ordered
from codsa.encoders.evidence import CUTS, EVIDENCE, coded, determines, steps, surprise, tells
from codsa.encoders.linear import Linear, find_linear
from codsa.encoders.numeric_precision import NumericPrecision
from codsa.encoders.values import from_codes, level_codes

SAMPLE = 1000
"""Rows in which a tie is looked for before all rows are read."""


@dataclass(frozen=True)
class Lookup:
    """A column that is a function of a category, of the region, or of a number's ranges.

    Attributes
    ----------
    name : str
    of : str, optional
        The column that determines it; None for the region.
    values : list
        The value for each level of `of` (missing last), each region, or each range (missing
        last): a code of a category, a number of an ordered column's `NumericPrecision`, None for missing.
    known : list of bool
        Which of these were seen.
    cuts : list of float, optional
        The inner edges of the ranges.
    """

    name: str
    of: str | None
    values: list[float | None]
    known: list[bool]
    cuts: list[float] | None = None


@dataclass
class FunctionalDependencies:
    """How some columns follow from the others.

    Attributes
    ----------
    columns : list of Column
        All columns, in order.
    constants : dict
        Column → its one value, as in `Lookup`.
    lookups : list of Lookup
        In the order in which they are rebuilt.
    sums : list of Linear
    precisions : dict
        Of the ordered columns that take part.
    region_determining : set of str
        Columns that were left as they are because the region's column follows from them.
    """

    columns: list[Column]
    constants: dict[str, float | None] = field(default_factory=dict)
    lookups: list[Lookup] = field(default_factory=list)
    sums: list[Linear] = field(default_factory=list)
    precisions: dict[str, NumericPrecision] = field(default_factory=dict)
    region_determining: set[str] = field(default_factory=set)

    @property
    def names(self) -> set[str]:
        """The columns that are rebuilt."""
        return {*self.constants, *(t.name for t in self.lookups), *(t.name for t in self.sums)}

    @classmethod
    def fit(
        cls, rows: pd.DataFrame, columns: list[Column], region: np.ndarray | None, deciding: str | None
    ) -> FunctionalDependencies:
        """Find the ties of columns in rows.

        Parameters
        ----------
        region : ndarray of int64, shape (n,), optional
            The rows' regions, which determine as a column does.
        deciding : str, optional
            The column that decides the region: it is never rebuilt from a column that does not
            keep it in its region.
        """
        return _Search(rows, columns, region, deciding).found()

    def rebuild(self, made: pd.DataFrame, region: np.ndarray | None = None) -> pd.DataFrame:
        """Return rows with the columns that follow from others set, in order.

        Parameters
        ----------
        made : DataFrame of shape (n, number of modelled columns)
        region : ndarray of int64, shape (n,), optional
        """
        known = {c.name: c for c in self.columns}
        parts: dict[str, pd.Series] = {str(name): made[name] for name in made}
        n = len(made)
        for name, value in self.constants.items():
            parts[name] = self._typed(known[name], np.full(n, np.nan if value is None else value))
        numbers = {name: self.precisions[name].numbers(parts[name]) for t in self.sums for name in t.of}
        for _ in range(2):  # a repair may undo another
            for tie in self.sums:
                tie.repair(numbers)
        for name, repaired in numbers.items():
            parts[name] = self.precisions[name].values(repaired)
            numbers[name] = self.precisions[name].numbers(parts[name])
        for tie in self.sums:
            parts[tie.name] = self.precisions[tie.name].values(tie.value(numbers))
        for lookup in self.lookups:
            parts[lookup.name] = self._look_up(lookup, parts, known, region)
        return pd.DataFrame({c.name: parts[c.name] for c in self.columns if c.name in parts}, index=made.index)

    def _look_up(
        self, tie: Lookup, parts: Mapping[str, pd.Series], known: Mapping[str, Column], region: np.ndarray | None
    ) -> pd.Series:
        if tie.of is None:
            assert region is not None
            place = np.asarray(region)
        elif tie.cuts is not None:
            place = _ranges(self.precisions[tie.of].numbers(parts[tie.of]), np.array(tie.cuts))
        else:
            place = level_codes(parts[tie.of], known[tie.of])
        table = np.array([np.nan if v is None else v for v in tie.values])
        made = self._typed(known[tie.name], table[place])
        seen = np.array(tie.known)[place]
        if seen.all() or tie.name not in parts:
            return made
        return made.where(seen, parts[tie.name])

    def _typed(self, column: Column, numbers: np.ndarray) -> pd.Series:
        if is_ordered(column):
            return self.precisions[column.name].values(numbers)
        return from_codes(numbers.astype(np.int64), column)

    def facts(self) -> dict[str, Any]:
        """Return what was found, for JSON."""
        return {
            "constants": self.constants,
            "lookups": [asdict(t) for t in self.lookups],
            "sums": [asdict(t) for t in self.sums],
            "precisions": {name: precision.facts() for name, precision in self.precisions.items()},
        }

    @classmethod
    def from_facts(cls, columns: list[Column], facts: Mapping[str, Any]) -> FunctionalDependencies:
        """Read what `facts` gave."""
        known = {c.name: c for c in columns}
        precisions = {name: NumericPrecision.from_facts(known[name], own) for name, own in facts["precisions"].items()}
        lookups = [Lookup(**t) for t in facts["lookups"]]
        return cls(columns, dict(facts["constants"]), lookups, [Linear(**t) for t in facts["sums"]], precisions)


def _ranges(numbers: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Return which range each number lies in; missing is the one after the last."""
    return np.where(np.isnan(numbers), len(cuts) + 1, np.searchsorted(cuts, np.where(np.isnan(numbers), 0, numbers)))


class _Search:
    """The search for ties, kind by kind; a column found to be tied determines no other."""

    def __init__(
        self, rows: pd.DataFrame, columns: list[Column], region: np.ndarray | None, deciding: str | None
    ) -> None:
        self.rows, self.region, self.deciding = rows, region, deciding
        self.dependencies = FunctionalDependencies(columns)
        columns = [c for c in columns if not c.is_array]
        self.known = {c.name: c for c in columns}
        self.codes = {c.name: coded(rows[c.name]) for c in columns}
        self.doubt = EVIDENCE + 2 * np.log(max(len(columns), 1))
        first = sorted(columns, key=lambda c: c.name != deciding)
        self.ordered = [c.name for c in first if is_ordered(c)]
        self.levels = [c.name for c in first if not is_ordered(c)]
        self.dependencies.precisions = {
            name: NumericPrecision.fit(self.known[name], rows[name]) for name in self.ordered
        }
        self.numbers = {name: self.dependencies.precisions[name].numbers(rows[name]) for name in self.ordered}

    def found(self) -> FunctionalDependencies:
        """Return all ties."""
        if len(self.rows) < 2:
            return replace(self.dependencies, precisions={})
        self._constants()
        self._of_region()
        steps_ = self._of_levels()
        self.dependencies.sums = find_linear(
            self._free(self.ordered), self.codes, self.dependencies.precisions, self.doubt, self.deciding
        )
        self.dependencies.lookups = [*self._of_ranges(), *steps_]
        used = {
            *self.dependencies.names,
            *(t.of for t in self.dependencies.lookups),
            *(name for t in self.dependencies.sums for name in t.of),
        }
        self.dependencies.precisions = {
            name: precision for name, precision in self.dependencies.precisions.items() if name in used
        }
        return self.dependencies

    def _free(self, names: list[str], apart: set[str] | None = None) -> dict[str, np.ndarray]:
        """Return the numbers (or codes) of the columns that are not tied yet."""
        gone = self.dependencies.names | (apart or set())
        return {n: self.numbers[n] if n in self.numbers else self.codes[n] for n in names if n not in gone}

    def _value(self, name: str, row: int) -> float | None:
        """Return a row's value as a `Lookup` keeps it."""
        if name in self.numbers:
            number = float(self.numbers[name][row])
            return None if np.isnan(number) else number
        return float(level_codes(self.rows[name].iloc[[row]], self.known[name])[0])

    def _constants(self) -> None:
        for name, codes in self.codes.items():
            if codes.max() == 0 and name != self.deciding:
                self.dependencies.constants[name] = self._value(name, 0)

    def _of_region(self) -> None:
        if self.region is None or (self.region < 0).any():
            return
        for name in self._free([*self.ordered, *self.levels]):
            if determines(self.region, self.codes[name], self.doubt):
                self.dependencies.lookups.append(self._table(name, None, self.region, int(self.region.max()) + 1))

    def _of_levels(self) -> list[Lookup]:
        """Find columns that are functions of a category, of the finest first."""
        found = self.dependencies.lookups
        finest = sorted(self._free(self.levels), key=lambda n: (-int(self.codes[n].max()), n != self.deciding))
        names = list(self._free([*self.levels, *self.ordered]))
        sample = self._sample(names)
        for a in finest:
            if a in self.dependencies.names:
                continue
            for b in self._candidates(a, names, sample):
                if self._same(a, b) or determines(self.codes[a], self.codes[b], self.doubt):
                    codes = level_codes(self.rows[a], self.known[a])
                    found.append(self._table(b, a, codes, len(self.known[a].levels or []) + 1))
                    self.dependencies.region_determining |= {a} if b == self.deciding else set()
        return list(found)

    def _sample(self, names: list[str]) -> np.ndarray:
        """Return the codes of columns in some rows, ndarray of int64, shape (at most SAMPLE, len(names))."""
        some = np.linspace(0, len(self.rows) - 1, min(SAMPLE, len(self.rows))).astype(int)
        return np.stack([self.codes[name][some] for name in names] or [some], axis=1)

    def _candidates(self, a: str, names: list[str], sample: np.ndarray) -> list[str]:
        """Return the columns that are a function of category `a` in some rows, not finer and not tied yet."""
        _, first, place = np.unique(sample[:, names.index(a)], return_index=True, return_inverse=True)
        agree = (sample[first][place] == sample).all(axis=0)
        most, gone = self.codes[a].max(), {a} | self.dependencies.names
        return [b for b, yes in zip(names, agree, strict=True) if yes and b not in gone and self.codes[b].max() <= most]

    def _same(self, a: str, b: str) -> bool:
        """Say whether two categories are one, value by value."""
        if self.known[a].type != self.known[b].type or not np.array_equal(self.codes[a], self.codes[b]):
            return False
        left, right = (self.rows[n].astype(object).where(self.rows[n].notna(), None) for n in (a, b))
        return left.tolist() == right.tolist() and surprise(self.codes[b]) >= self.doubt

    def _of_ranges(self) -> list[Lookup]:
        """Find columns that are step functions of a number: classes of age, the sign of a balance."""
        found: list[Lookup] = []
        apart = (
            {name for t in self.dependencies.sums for name in t.of}
            | self.dependencies.region_determining
            | {self.deciding or ""}
        )
        sources = [
            n
            for n in self.ordered
            if n not in {t.name for t in self.dependencies.lookups} | set(self.dependencies.constants)
        ]
        coarse = [b for b in self._free([*self.levels, *self.ordered], apart) if self.codes[b].max() <= CUTS]
        both = self._sample([*sources, *coarse])
        for j, a in enumerate(sources):
            if a in {t.name for t in found}:
                continue
            ranked = both[np.argsort(both[:, j], kind="stable")]
            runs = (ranked[1:, len(sources) :] != ranked[:-1, len(sources) :]).sum(axis=0)
            taken = {a} | {name for t in found for name in (t.name, t.of)}
            few = [b for b, count in zip(coarse, runs, strict=True) if count <= CUTS + 1 and b not in taken]
            found += [tie for tie in (self._of_range(a, b) for b in few) if tie is not None]
        return found

    def _of_range(self, a: str, b: str) -> Lookup | None:
        """Return column `b` as a step function of number `a`, if it is one and does not tell the region."""
        absent, codes = np.isnan(self.numbers[a]), self.codes[b]
        if codes.max() >= self.codes[a].max() or len(np.unique(codes[absent])) > 1:
            return None
        cuts = steps(self.numbers[a][~absent], codes[~absent], self.doubt)
        if cuts is None or (self.region is not None and tells(self.rows[b], self.known[b], self.region)):
            return None
        return replace(self._table(b, a, _ranges(self.numbers[a], cuts), len(cuts) + 2), cuts=cuts.tolist())

    def _table(self, name: str, of: str | None, place: np.ndarray, size: int) -> Lookup:
        """Make a lookup from the first row of each place."""
        values: list[float | None] = [None if name in self.numbers else 0.0] * size
        known = [False] * size
        for k, row in zip(*np.unique(place, return_index=True), strict=True):
            values[int(k)], known[int(k)] = self._value(name, int(row)), True
        return Lookup(name, of, values, known)
