"""The blocks of an encoded row: a number or date as a score, a category as signs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.schema import Column
from codsa.encoders.numeric_precision import NumericPrecision
from codsa.encoders.scaling import AUTO, NAMES, SCALINGS, Scaling, suited
from codsa.encoders.values import from_codes, level_codes
from codsa.encoders.vectors import VectorBlock
from codsa.errors import CodsaError, check_choice

ONE_HOT_LIMIT = 32
"""Categories with more levels are encoded as binary digits instead of one-hot."""
MAX_DISCRETE = 256
"""A number with at most this many distinct values, each seen often, is discrete: it takes no value between them."""
MIN_REPEATS = 5
"""Rows per distinct value of a discrete number, at least, on average."""
CHUNK_ELEMENTS = 2**22
"""Levels times rows that are compared at once."""
NEVER, SOMETIMES, ALWAYS = 0, 1, 2
"""When a column's values are missing."""
Arrays = dict[str, np.ndarray]


@dataclass
class Marginal:
    """The values of an ordered column, in all rows or in those of one region.

    Attributes
    ----------
    scaling : Scaling, optional
        None where no value was present.
    support : ndarray
        The possible numbers of a discrete column, increasing; empty for a continuous one.
    missing : {NEVER, SOMETIMES, ALWAYS}
    """

    scaling: Scaling | None
    support: np.ndarray
    missing: int

    @classmethod
    def fit(cls, numbers: np.ndarray, scaling: str, atoms: bool) -> Marginal:
        """Fit a scaling to numbers, NaN for missing; `atoms` says that only the values seen are possible."""
        present = numbers[~np.isnan(numbers)]
        missing = NEVER if len(present) == len(numbers) else SOMETIMES if len(present) else ALWAYS
        distinct = np.unique(present)
        discrete = atoms or (len(distinct) <= MAX_DISCRETE and len(distinct) * MIN_REPEATS <= len(present))
        fitted = SCALINGS[scaling].fit(present) if len(present) else None
        return cls(fitted, distinct if discrete else np.empty(0), missing)

    def encode(self, numbers: np.ndarray) -> np.ndarray:
        """Return scores, ndarray of float64, shape (n,), 0 for missing."""
        if self.scaling is None:
            return np.zeros(len(numbers))
        absent = np.isnan(numbers)
        return np.where(absent, 0.0, self.scaling.encode(np.where(absent, 0.0, numbers)))

    def decode(self, scores: np.ndarray, sign: np.ndarray | None) -> np.ndarray:
        """Return numbers from scores, NaN (missing) where the sign is above 0."""
        if self.scaling is None:
            return np.full(len(scores), np.nan)
        numbers = _nearest(self.scaling.decode(scores), self.support)
        return np.where(sign > 0, np.nan, numbers) if self.missing == SOMETIMES and sign is not None else numbers


def _nearest(numbers: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Return the support's number nearest to each; the numbers themselves where the support is empty."""
    if len(support) == 0:
        return numbers
    return support[np.searchsorted((support[1:] + support[:-1]) / 2, numbers)]


@dataclass
class OrderedBlock:
    """A number or date as a score, with a sign that says "missing" where any value is.

    A column that defines the regions is scored within its region: whatever score a model draws, the value lies in the
    requested region.

    Attributes
    ----------
    column : Column
    precision : NumericPrecision
    marginals : dict of int to Marginal
        One per region; or one, under -1, for all regions.
    scaling : str
        A name of `codsa.encoders.scaling.SCALINGS`.
    """

    column: Column
    precision: NumericPrecision
    marginals: dict[int, Marginal]
    scaling: str = "normal-score"

    @classmethod
    def fit(
        cls,
        column: Column,
        values: pd.Series,
        region: np.ndarray | None = None,
        atoms: bool = False,
        scaling: str = "normal-score",
    ) -> OrderedBlock:
        """Fit the scaling of a column's values, within each region where `region` is given.

        Parameters
        ----------
        column : Column
        values : Series of n rows
        region : ndarray of int64, shape (n,), optional
        atoms : bool
            Whether only the values seen in a region are possible in it.
        scaling : str
            A name of `codsa.encoders.scaling.NAMES`.

        Raises
        ------
        CodsaError
            For an unknown scaling or an infinite value.
        """
        check_choice("scaling", scaling, NAMES)
        precision = NumericPrecision.fit(column, values)
        numbers = precision.to_numbers(values)
        scaling = suited(numbers) if scaling == AUTO else scaling
        index = np.full(len(numbers), -1) if region is None else region
        marginals = {int(k): Marginal.fit(numbers[index == k], scaling, atoms) for k in np.unique(index)}
        return cls(column, precision, marginals, scaling)

    @property
    def regional(self) -> bool:
        """Whether the column is scored within its region."""
        return -1 not in self.marginals

    @property
    def gap(self) -> bool:
        """Whether an array column says which values are missing."""
        return any(marginal.missing == SOMETIMES for marginal in self.marginals.values())

    @property
    def width(self) -> int:
        """The number of array columns."""
        return 2 if self.gap else 1

    def encode(self, values: pd.Series, region: np.ndarray | None = None) -> np.ndarray:
        """Return the scores, ndarray of float64, shape (n, width)."""
        numbers = self.precision.to_numbers(values)
        score = np.zeros(len(numbers))
        for rows, marginal in self._by_marginal(len(numbers), region):
            score[rows] = marginal.encode(numbers[rows])
        return np.stack([score, np.where(np.isnan(numbers), 1.0, -1.0)], axis=1) if self.gap else score[:, None]

    def decode(self, array: np.ndarray, region: np.ndarray | None = None) -> pd.Series:
        """Return values, Series of n rows, from scores as `encode` returns them or a model draws them."""
        numbers = np.empty(len(array))
        for rows, marginal in self._by_marginal(len(array), region):
            numbers[rows] = marginal.decode(array[rows, 0], array[rows, 1] if self.gap else None)
        return self.precision.to_values(numbers)

    def _by_marginal(self, n: int, region: np.ndarray | None) -> list[tuple[np.ndarray, Marginal]]:
        """Return each marginal with the indices of its rows."""
        index = _require_region(self.column, n, region) if self.regional else np.full(n, -1)
        for k in set(index.tolist()) - set(self.marginals):
            raise _unseen_region(self.column, k)
        return [(np.flatnonzero(index == k), self.marginals[k]) for k in np.unique(index).tolist()]

    def adapt(self, values: pd.Series, column: Column, region: np.ndarray | None, count: int) -> OrderedBlock:
        """Return the block for the rows of another set: with its bounds, and its regions if they are given.

        Parameters
        ----------
        values : Series of n rows
        column : Column
        region : ndarray of int64, shape (n,), optional
            The rows' regions; None where the partition is the one that the block was fitted with.
        count : int
            The number of regions, K.
        """
        if region is None or not self.regional:
            return replace(self, column=column, precision=replace(self.precision, column=column))
        atoms = any(len(marginal.support) for marginal in self.marginals.values())
        adapted = OrderedBlock.fit(column, values, region, atoms, self.scaling)
        if adapted.width != self.width:
            raise CodsaError(
                f"column '{column.name}': missing values in some regions of the source set or of the data only; "
                "prepare the source set with the same regions"
            )
        return adapted

    def to_dict(self) -> dict[str, Any]:
        """Return the fitted values other than arrays, for JSON."""
        missing = {str(k): marginal.missing for k, marginal in self.marginals.items()}
        return {"precision": self.precision.to_dict(), "scaling": self.scaling, "missing": missing}

    def arrays(self) -> Arrays:
        """Return the marginals' arrays."""
        arrays: Arrays = {}
        for k, marginal in self.marginals.items():
            arrays[f"{k}.support"] = marginal.support
            scaling = {} if marginal.scaling is None else marginal.scaling.arrays()
            arrays |= {f"{k}.scaling.{name}": array for name, array in scaling.items()}
        return arrays

    @classmethod
    def restore(cls, column: Column, record: Mapping[str, Any], arrays: Mapping[str, Any]) -> OrderedBlock:
        """Read what `to_dict` and `arrays` returned."""
        scaling_class = SCALINGS[record["scaling"]]
        marginals = {}
        for k, missing in record["missing"].items():
            saved = strip_prefix(arrays, f"{k}.scaling.")
            scaling = scaling_class.from_arrays(saved) if saved else None
            marginals[int(k)] = Marginal(scaling, arrays[f"{k}.support"], missing)
        return cls(column, NumericPrecision.from_dict(column, record["precision"]), marginals, record["scaling"])


@dataclass
class LevelBlock:
    """A category as one-hot signs (-1 and 1), or as the signs of binary digits where levels are many.

    Binary digits follow Chen 2022 ("Analog Bits"); levels are numbered by falling frequency.

    Attributes
    ----------
    column : Column
    order : ndarray of int64
        The codes that were seen (index of the level, missing last), most frequent first; -1 for a level of a source
        set that the column does not have, which is not allowed then.
    allowed : ndarray of bool, shape (K, len(order))
        Which levels a region may have, where the column defines or determines the region; else empty.
    """

    column: Column
    order: np.ndarray
    allowed: np.ndarray = field(default_factory=lambda: np.empty((0, 0), dtype=bool))

    @classmethod
    def fit(cls, column: Column, values: pd.Series, region: np.ndarray | None = None, count: int = 0) -> LevelBlock:
        """Count which levels occur, and how often; in each of `count` regions where `region` is given."""
        codes = level_codes(values, column)
        counts = np.bincount(codes[codes >= 0], minlength=len(column.levels or []) + 1)
        order = np.argsort(-counts, kind="stable")
        block = cls(column, order[counts[order] > 0])
        if region is not None:
            block.allowed = _observed_levels(region, block._ranks(values), (count, len(block.order)))
        return block

    @property
    def regional(self) -> bool:
        """Whether a region has levels of its own."""
        return self.allowed.size > 0

    @property
    def one_hot(self) -> bool:
        """Whether the levels are few enough for one-hot."""
        return 2 < len(self.order) <= ONE_HOT_LIMIT

    @property
    def width(self) -> int:
        """The number of array columns."""
        return len(self.order) if self.one_hot else max(1, int(np.ceil(np.log2(max(len(self.order), 2)))))

    def encode(self, values: pd.Series, region: np.ndarray | None = None) -> np.ndarray:
        """Return signs, ndarray of float64, shape (n, width)."""
        return self._signs()[self._ranks(values)]

    def _ranks(self, values: pd.Series) -> np.ndarray:
        """Return the rank of each value's level by frequency, ndarray of int64, shape (n,)."""
        codes = level_codes(values, self.column)
        rank_of_code = np.full(len(self.column.levels or []) + 2, -1, dtype=np.int64)
        rank_of_code[self.order[self.order >= 0]] = np.flatnonzero(self.order >= 0)
        ranks = rank_of_code[codes]
        if (ranks < 0).any():
            value = values.iloc[int(np.flatnonzero(ranks < 0)[0])]
            raise CodsaError(
                f"column '{self.column.name}': value '{value}' does not occur where the encoder was fitted; "
                "use a source set that has it, or leave the column out"
            )
        return np.asarray(ranks)

    def _signs(self) -> np.ndarray:
        """Return the signs that encode each rank, ndarray of float64, shape (number of ranks, width)."""
        if self.one_hot:
            return 2.0 * np.eye(len(self.order)) - 1.0
        return 2.0 * ((np.arange(len(self.order))[:, None] >> np.arange(self.width)[None, :]) & 1) - 1.0

    def decode(self, array: np.ndarray, region: np.ndarray | None = None) -> pd.Series:
        """Return for each row the level, among those of its region, whose signs agree best with the array."""
        if not self.regional:
            return from_codes(self.order[self._best_ranks(array, np.arange(len(self.order)))], self.column)
        index = _require_region(self.column, len(array), region)
        ranks = np.empty(len(array), dtype=np.int64)
        for k in np.unique(index).tolist():
            choose_from = np.flatnonzero(self.allowed[k])
            if len(choose_from) == 0:
                raise _unseen_region(self.column, k)
            ranks[index == k] = self._best_ranks(array[index == k], choose_from)
        return from_codes(self.order[ranks], self.column)

    def _best_ranks(self, array: np.ndarray, choose_from: np.ndarray) -> np.ndarray:
        """Return for each row the rank, of those to choose from, whose signs agree best with the array.

        Binary digits are read as a number where it is one of these ranks; otherwise all of them are compared.
        """
        if self.one_hot:
            return choose_from[array[:, choose_from].argmax(axis=1)]
        ranks = (array > 0) @ (1 << np.arange(self.width))
        valid = np.zeros(1 << self.width, dtype=bool)
        valid[choose_from] = True
        invalid_rows = np.flatnonzero(~valid[ranks])
        signs = self._signs()[choose_from].T
        chunk_rows = max(1, CHUNK_ELEMENTS // len(choose_from))
        for rows in (invalid_rows[i : i + chunk_rows] for i in range(0, len(invalid_rows), chunk_rows)):
            ranks[rows] = choose_from[(array[rows] @ signs).argmax(axis=1)]
        return np.asarray(ranks)

    def adapt(self, values: pd.Series, column: Column, region: np.ndarray | None, count: int) -> LevelBlock:
        """Return the block for the rows of another set: with its levels, and its regions if they are given.

        Parameters are those of `OrderedBlock.adapt`.
        """
        own_levels = np.array([*(self.column.levels or []), None], dtype=object)[self.order]
        adapted = replace(self, column=column, order=level_codes(pd.Series(own_levels, dtype=object), column))
        if region is not None and self.regional:
            allowed = _observed_levels(region, adapted._ranks(values), (count, len(self.order)))
            return replace(adapted, allowed=allowed)
        levels = {*(column.levels or []), *([None] if column.missing else [])}
        shared = np.array([level in levels for level in own_levels])
        if shared.all():
            return adapted
        return replace(adapted, allowed=self.allowed & shared if self.regional else np.tile(shared, (count, 1)))

    def to_dict(self) -> dict[str, Any]:
        """Return an empty mapping: all that is fitted is arrays."""
        return {}

    def arrays(self) -> Arrays:
        """Return the order and the allowed levels."""
        return {"order": self.order, "allowed": self.allowed.astype(np.uint8)}

    @classmethod
    def restore(cls, column: Column, record: Mapping[str, Any], arrays: Mapping[str, Any]) -> LevelBlock:
        """Read what `arrays` returned."""
        return cls(column, arrays["order"], np.asarray(arrays["allowed"]).astype(bool))


Block = OrderedBlock | LevelBlock | VectorBlock


def _require_region(column: Column, n: int, region: np.ndarray | None) -> np.ndarray:
    """Return the region of each of n rows, or raise a `CodsaError` where it is lacking."""
    if region is None or len(region) != n:
        raise CodsaError(f"column '{column.name}' decides the region: give the region of each of the {n} rows")
    return np.asarray(region)


def _observed_levels(region: np.ndarray, ranks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return which ranks of levels occur in which region, ndarray of bool, shape (K, number of ranks)."""
    observed = np.zeros(shape, dtype=bool)
    observed[region, ranks] = True
    return observed


def _unseen_region(column: Column, k: int) -> CodsaError:
    return CodsaError(
        f"column '{column.name}': no row of region {k} where the encoder was fitted; use rows, or a source set, "
        "with every region"
    )


def strip_prefix(arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the arrays whose names begin with a prefix, under their names without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
