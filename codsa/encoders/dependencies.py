"""Columns that others determine: found in the fitted rows, left out of the model, rebuilt afterwards.

A dependency is accepted when it holds in every row and is unlikely to hold by chance: of all permutations of the
dependent column's values, few enough would keep it (see `codsa.encoders.evidence`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.schema import Column, is_ordered
from codsa.encoders.evidence import (
    MAX_CUTS,
    MIN_EVIDENCE,
    determines,
    determines_region,
    log_multinomial,
    step_function_cuts,
    value_codes,
)
from codsa.encoders.linear import LinearDependency, find_linear
from codsa.encoders.numeric_precision import NumericPrecision
from codsa.encoders.values import from_codes, level_codes

SAMPLE_ROWS = 1000
"""Rows in which a dependency is looked for before all rows are read."""


@dataclass(frozen=True)
class Lookup:
    """A column that is a function of a category, of the region, or of the range in which a number lies.

    Attributes
    ----------
    name : str
        The dependent column.
    determinant : str, optional
        The column that determines it; None for the region.
    table : list
        The dependent value for each level of the determinant (missing last), each region, or each range (missing
        last): the code of a category, the number of an ordered column (see `NumericPrecision`), None for missing.
    observed : list of bool
        Which entries of the table were seen in the fitted rows.
    cuts : list of float, optional
        The inner edges of the ranges.
    """

    name: str
    determinant: str | None
    table: list[float | None]
    observed: list[bool]
    cuts: list[float] | None = None


@dataclass
class FunctionalDependencies:
    """How some columns follow from the others.

    Attributes
    ----------
    columns : list of Column
        All columns, in order.
    constants : dict of str to float, optional
        Constant column → its value, in the form of `Lookup.table`.
    lookups : list of Lookup
        In the order in which they are rebuilt.
    sums : list of LinearDependency
    precisions : dict of str to NumericPrecision
        Of the ordered columns that take part.
    region_determining : set of str
        Columns that are modelled, and not rebuilt, because the region's column follows from them.
    """

    columns: list[Column]
    constants: dict[str, float | None] = field(default_factory=dict)
    lookups: list[Lookup] = field(default_factory=list)
    sums: list[LinearDependency] = field(default_factory=list)
    precisions: dict[str, NumericPrecision] = field(default_factory=dict)
    region_determining: set[str] = field(default_factory=set)

    @property
    def names(self) -> set[str]:
        """The columns that are rebuilt."""
        lookups, sums = ({dependency.name for dependency in kind} for kind in (self.lookups, self.sums))
        return {*self.constants} | lookups | sums

    @classmethod
    def fit(
        cls, rows: pd.DataFrame, columns: list[Column], region: np.ndarray | None, region_column: str | None
    ) -> FunctionalDependencies:
        """Find the dependencies among columns.

        Parameters
        ----------
        rows : DataFrame of shape (n, d)
        columns : list of Column
        region : ndarray of int64, shape (n,), optional
            The rows' regions, which can determine columns as a category does.
        region_column : str, optional
            The column that defines the regions: it is never rebuilt from a column whose values may lie in another
            region.
        """
        return _DependencySearch(rows, columns, region, region_column).find()

    def rebuild(self, modelled: pd.DataFrame, region: np.ndarray | None = None) -> pd.DataFrame:
        """Return rows with all columns, in order, the dependent ones computed from the modelled ones.

        Parameters
        ----------
        modelled : DataFrame of shape (n, number of modelled columns)
        region : ndarray of int64, shape (n,), optional
        """
        columns = {column.name: column for column in self.columns}
        series: dict[str, pd.Series] = {str(name): modelled[name] for name in modelled}
        n = len(modelled)
        for name, constant in self.constants.items():
            series[name] = self._from_numbers(columns[name], np.full(n, np.nan if constant is None else constant))
        terms = [name for dependency in self.sums for name in dependency.terms]
        numbers = {name: self.precisions[name].to_numbers(series[name]) for name in terms}
        for _ in range(2):  # a repair may undo another
            for dependency in self.sums:
                dependency.repair(numbers)
        for name, repaired in numbers.items():
            series[name] = self.precisions[name].to_values(repaired)
            numbers[name] = self.precisions[name].to_numbers(series[name])
        for dependency in self.sums:
            series[dependency.name] = self.precisions[dependency.name].to_values(dependency.evaluate(numbers))
        for lookup in self.lookups:
            series[lookup.name] = self._look_up(lookup, series, columns, region)
        names = [column.name for column in self.columns if column.name in series]
        return pd.DataFrame({name: series[name] for name in names}, index=modelled.index)

    def _look_up(
        self,
        lookup: Lookup,
        series: Mapping[str, pd.Series],
        columns: Mapping[str, Column],
        region: np.ndarray | None,
    ) -> pd.Series:
        """Return a lookup's column; where the table has no observed entry, a value that is there already stays."""
        determinant = lookup.determinant
        if determinant is None:
            assert region is not None
            index = np.asarray(region)
        elif lookup.cuts is not None:
            index = _range_index(self.precisions[determinant].to_numbers(series[determinant]), np.array(lookup.cuts))
        else:
            index = level_codes(series[determinant], columns[determinant])
        table = np.array([np.nan if number is None else number for number in lookup.table])
        values = self._from_numbers(columns[lookup.name], table[index])
        observed = np.array(lookup.observed)[index]
        if observed.all() or lookup.name not in series:
            return values
        return values.where(observed, series[lookup.name])

    def _from_numbers(self, column: Column, numbers: np.ndarray) -> pd.Series:
        """Return numbers of an ordered column, or codes of a category, as values in the column's type."""
        if is_ordered(column):
            return self.precisions[column.name].to_values(numbers)
        return from_codes(numbers.astype(np.int64), column)

    def to_dict(self) -> dict[str, Any]:
        """Return the dependencies, for JSON."""
        return {
            "constants": self.constants,
            "lookups": [asdict(lookup) for lookup in self.lookups],
            "sums": [asdict(dependency) for dependency in self.sums],
            "precisions": {name: precision.to_dict() for name, precision in self.precisions.items()},
        }

    @classmethod
    def from_dict(cls, columns: list[Column], record: Mapping[str, Any]) -> FunctionalDependencies:
        """Read what `to_dict` returned."""
        by_name = {column.name: column for column in columns}
        return cls(
            columns,
            constants=dict(record["constants"]),
            lookups=[Lookup(**fields) for fields in record["lookups"]],
            sums=[LinearDependency(**fields) for fields in record["sums"]],
            precisions={
                name: NumericPrecision.from_dict(by_name[name], fields) for name, fields in record["precisions"].items()
            },
        )


def _range_index(numbers: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Return the index of the range of each number, ndarray of int64; missing has the index after the last."""
    absent = np.isnan(numbers)
    return np.where(absent, len(cuts) + 1, np.searchsorted(cuts, np.where(absent, 0, numbers)))


class _DependencySearch:
    """The search for dependencies, kind by kind; a column found to be dependent determines no other."""

    def __init__(
        self, rows: pd.DataFrame, columns: list[Column], region: np.ndarray | None, region_column: str | None
    ) -> None:
        self.rows, self.region, self.region_column = rows, region, region_column
        self.dependencies = FunctionalDependencies(columns)
        columns = [column for column in columns if not column.is_array]
        self.columns = {column.name: column for column in columns}
        self.codes = {column.name: value_codes(rows[column.name]) for column in columns}
        self.min_evidence = MIN_EVIDENCE + 2 * np.log(max(len(columns), 1))  # over all pairs of columns
        region_first = sorted(columns, key=lambda column: column.name != region_column)
        self.ordered = [column.name for column in region_first if is_ordered(column)]
        self.categories = [column.name for column in region_first if not is_ordered(column)]
        self.dependencies.precisions = {
            name: NumericPrecision.fit(self.columns[name], rows[name]) for name in self.ordered
        }
        self.numbers = {name: self.dependencies.precisions[name].to_numbers(rows[name]) for name in self.ordered}

    def find(self) -> FunctionalDependencies:
        """Return all dependencies."""
        dependencies = self.dependencies
        if len(self.rows) < 2:
            return replace(dependencies, precisions={})
        self._find_constants()
        self._find_functions_of_region()
        self._find_functions_of_categories()
        dependencies.sums = find_linear(
            self._independent(self.ordered),
            codes=self.codes,
            precisions=dependencies.precisions,
            min_evidence=self.min_evidence,
            region_column=self.region_column,
        )
        dependencies.lookups = [*self._find_step_functions(), *dependencies.lookups]
        used = {
            *dependencies.names,
            *(lookup.determinant for lookup in dependencies.lookups),
            *(name for dependency in dependencies.sums for name in dependency.terms),
        }
        dependencies.precisions = {
            name: precision for name, precision in dependencies.precisions.items() if name in used
        }
        return dependencies

    def _independent(self, names: list[str], exclude: set[str] | None = None) -> dict[str, np.ndarray]:
        """Return the numbers (or codes) of the columns that are not found to be dependent so far."""
        excluded = self.dependencies.names | (exclude or set())
        return {
            name: self.numbers[name] if name in self.numbers else self.codes[name]
            for name in names
            if name not in excluded
        }

    def _table_entry(self, name: str, row: int) -> float | None:
        """Return a row's value in the form of `Lookup.table`."""
        if name in self.numbers:
            number = float(self.numbers[name][row])
            return None if np.isnan(number) else number
        return float(level_codes(self.rows[name].iloc[[row]], self.columns[name])[0])

    def _find_constants(self) -> None:
        for name, codes in self.codes.items():
            if codes.max() == 0 and name != self.region_column:
                self.dependencies.constants[name] = self._table_entry(name, 0)

    def _find_functions_of_region(self) -> None:
        if self.region is None or (self.region < 0).any():
            return
        size = int(self.region.max()) + 1
        for name in self._independent([*self.ordered, *self.categories]):
            if determines(self.region, self.codes[name], self.min_evidence):
                self.dependencies.lookups.append(self._lookup(name, None, self.region, size))

    def _find_functions_of_categories(self) -> None:
        """Find columns that are functions of a category, the category with most levels first."""
        candidates = self._independent(self.categories)
        finest_first = sorted(candidates, key=lambda n: (-int(self.codes[n].max()), n != self.region_column))
        names = list(self._independent([*self.categories, *self.ordered]))
        sample = self._sample_codes(names)
        for a in finest_first:
            if a in self.dependencies.names:
                continue
            for b in self._dependent_in_sample(a, names, sample):
                if self._are_equal(a, b) or determines(self.codes[a], self.codes[b], self.min_evidence):
                    codes = level_codes(self.rows[a], self.columns[a])
                    size = len(self.columns[a].levels or []) + 1
                    self.dependencies.lookups.append(self._lookup(b, a, codes, size))
                    self.dependencies.region_determining |= {a} if b == self.region_column else set()

    def _sample_codes(self, names: list[str]) -> np.ndarray:
        """Return the codes of columns in evenly spaced rows, ndarray of int64, shape (<= SAMPLE_ROWS, len(names))."""
        rows = np.linspace(0, len(self.rows) - 1, min(SAMPLE_ROWS, len(self.rows))).astype(int)
        return np.stack([self.codes[name][rows] for name in names] or [rows], axis=1)

    def _dependent_in_sample(self, a: str, names: list[str], sample: np.ndarray) -> list[str]:
        """Return the independent columns of no more values than `a` that are functions of it in the sample."""
        _, first, inverse = np.unique(sample[:, names.index(a)], return_index=True, return_inverse=True)
        agree = (sample[first][inverse] == sample).all(axis=0)
        max_code, excluded = self.codes[a].max(), {a} | self.dependencies.names
        return [
            b
            for b, agrees in zip(names, agree, strict=True)
            if agrees and b not in excluded and self.codes[b].max() <= max_code
        ]

    def _are_equal(self, a: str, b: str) -> bool:
        """Say whether two categories have the same value in every row, and not by chance."""
        if self.columns[a].type != self.columns[b].type or not np.array_equal(self.codes[a], self.codes[b]):
            return False
        left, right = (self.rows[name].astype(object).where(self.rows[name].notna(), None) for name in (a, b))
        return left.tolist() == right.tolist() and log_multinomial(self.codes[b]) >= self.min_evidence

    def _find_step_functions(self) -> list[Lookup]:
        """Return columns that are step functions of a number: classes of age, the sign of a balance."""
        dependencies = self.dependencies
        steps: list[Lookup] = []
        terms = {name for dependency in dependencies.sums for name in dependency.terms}
        exclude = terms | dependencies.region_determining | {self.region_column or ""}
        looked_up = {lookup.name for lookup in dependencies.lookups} | set(dependencies.constants)
        determinants = [name for name in self.ordered if name not in looked_up]
        independent = self._independent([*self.categories, *self.ordered], exclude)
        coarse = [b for b in independent if self.codes[b].max() <= MAX_CUTS]
        sample = self._sample_codes([*determinants, *coarse])
        for j, a in enumerate(determinants):
            if a in {lookup.name for lookup in steps}:
                continue
            sorted_by_a = sample[np.argsort(sample[:, j], kind="stable")][:, len(determinants) :]
            changes = (sorted_by_a[1:] != sorted_by_a[:-1]).sum(axis=0)
            taken = {a} | {name for lookup in steps for name in (lookup.name, lookup.determinant)}
            candidates = [
                b for b, count in zip(coarse, changes, strict=True) if count <= MAX_CUTS + 1 and b not in taken
            ]
            lookups = (self._step_function(a, b) for b in candidates)
            steps += [lookup for lookup in lookups if lookup is not None]
        return steps

    def _step_function(self, a: str, b: str) -> Lookup | None:
        """Return column `b` as a step function of number `a`, if it is one and does not determine the region."""
        absent, codes = np.isnan(self.numbers[a]), self.codes[b]
        if codes.max() >= self.codes[a].max() or len(np.unique(codes[absent])) > 1:
            return None
        cuts = step_function_cuts(self.numbers[a][~absent], codes[~absent], self.min_evidence)
        if cuts is None:
            return None
        if self.region is not None and determines_region(self.rows[b], self.columns[b], self.region):
            return None
        return replace(self._lookup(b, a, _range_index(self.numbers[a], cuts), len(cuts) + 2), cuts=cuts.tolist())

    def _lookup(self, name: str, determinant: str | None, index: np.ndarray, size: int) -> Lookup:
        """Make a lookup whose entries are the values of the first row of each index."""
        table: list[float | None] = [None if name in self.numbers else 0.0] * size
        observed = [False] * size
        for k, row in zip(*np.unique(index, return_index=True), strict=True):
            table[int(k)], observed[int(k)] = self._table_entry(name, int(row)), True
        return Lookup(name, determinant, table, observed)
