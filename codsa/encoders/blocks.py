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
"""Categories with more levels are written in binary digits instead of one-hot."""
FEW = 256
"""A number with at most so many distinct values, each seen often, takes no value between them."""
OFTEN = 5
CHUNK = 2**22
"""Levels times rows that are compared at once."""
NEVER, SOMETIMES, ALWAYS = 0, 1, 2
"""When a value is missing."""
Arrays = dict[str, np.ndarray]


@dataclass
class Marginal:
    """The values of an ordered column, in all rows or in those of one region.

    Attributes
    ----------
    scaling : Scaling, optional
        None where no value was present.
    support : ndarray
        The only numbers there are; empty where those between may occur too.
    missing : {NEVER, SOMETIMES, ALWAYS}
    """

    scaling: Scaling | None
    support: np.ndarray
    missing: int

    @classmethod
    def fit(cls, numbers: np.ndarray, scaling: str, atoms: bool) -> Marginal:
        """Learn from numbers, NaN for missing; `atoms`: what was not seen does not exist."""
        present = numbers[~np.isnan(numbers)]
        missing = NEVER if len(present) == len(numbers) else SOMETIMES if len(present) else ALWAYS
        distinct = np.unique(present)
        few = atoms or (len(distinct) <= FEW and len(distinct) * OFTEN <= len(present))
        made = SCALINGS[scaling].fit(present) if len(present) else None
        return cls(made, distinct if few else np.empty(0), missing)

    def encode(self, numbers: np.ndarray) -> np.ndarray:
        """Return scores, 0 for missing."""
        if self.scaling is None:
            return np.zeros(len(numbers))
        absent = np.isnan(numbers)
        return np.where(absent, 0.0, self.scaling.encode(np.where(absent, 0.0, numbers)))

    def decode(self, scores: np.ndarray, sign: np.ndarray | None) -> np.ndarray:
        """Return numbers from scores, missing as NaN where a sign above 0 says so."""
        if self.scaling is None:
            return np.full(len(scores), np.nan)
        numbers = _nearest(self.scaling.decode(scores), self.support)
        return np.where(sign > 0, np.nan, numbers) if self.missing == SOMETIMES and sign is not None else numbers


def _nearest(numbers: np.ndarray, support: np.ndarray) -> np.ndarray:
    if len(support) == 0:
        return numbers
    return support[np.searchsorted((support[1:] + support[:-1]) / 2, numbers)]


@dataclass
class OrderedBlock:
    """A number or date as a score, with a sign for "missing" where any is.

    A column that decides the region is scored within its region: whatever score a model draws,
    the value lies in the region that was asked for.

    Attributes
    ----------
    column : Column
    precision : Grain
    marginals : dict of int to Marginal
        By region; one under -1 for a column with the same scale everywhere.
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
        """Learn a column's distribution, in each region where `region` is given.

        Parameters
        ----------
        atoms : bool
            Whether only the values seen in a region exist there.
        """
        check_choice("scaling", scaling, NAMES)
        precision = NumericPrecision.fit(column, values)
        numbers = precision.numbers(values)
        scaling = suited(numbers) if scaling == AUTO else scaling
        index = np.full(len(numbers), -1) if region is None else region
        parts = {int(k): Marginal.fit(numbers[index == k], scaling, atoms) for k in np.unique(index)}
        return cls(column, precision, parts, scaling)

    @property
    def regional(self) -> bool:
        """Whether the column is scored within its region."""
        return -1 not in self.marginals

    @property
    def gap(self) -> bool:
        """Whether an array column says which values are missing."""
        return any(part.missing == SOMETIMES for part in self.marginals.values())

    @property
    def width(self) -> int:
        """The number of array columns."""
        return 2 if self.gap else 1

    def encode(self, values: pd.Series, region: np.ndarray | None = None) -> np.ndarray:
        """Return the scores, ndarray of float64, shape (n, width)."""
        numbers = self.precision.numbers(values)
        score = np.zeros(len(numbers))
        for chosen, part in self._parts(len(numbers), region):
            score[chosen] = part.encode(numbers[chosen])
        return np.stack([score, np.where(np.isnan(numbers), 1.0, -1.0)], axis=1) if self.gap else score[:, None]

    def decode(self, array: np.ndarray, region: np.ndarray | None = None) -> pd.Series:
        """Return values from what `encode` gave or a model drew."""
        numbers = np.empty(len(array))
        for chosen, part in self._parts(len(array), region):
            numbers[chosen] = part.decode(array[chosen, 0], array[chosen, 1] if self.gap else None)
        return self.precision.values(numbers)

    def _parts(self, n: int, region: np.ndarray | None) -> list[tuple[np.ndarray, Marginal]]:
        index = _index(self.column, n, region) if self.regional else np.full(n, -1)
        for k in set(index.tolist()) - set(self.marginals):
            raise _unknown(self.column, k)
        return [(np.flatnonzero(index == k), self.marginals[k]) for k in np.unique(index).tolist()]

    def adapt(self, values: pd.Series, column: Column, region: np.ndarray | None, count: int) -> OrderedBlock:
        """Return the block for another set of rows: in its bounds, and in its regions if they are given.

        Parameters
        ----------
        values : Series of n rows
        column : Column
        region : ndarray of int64, shape (n,), optional
            The rows' regions, where these are not those of the rows that the block was fitted on.
        count : int
            K.
        """
        if region is None or not self.regional:
            return replace(self, column=column, precision=replace(self.precision, column=column))
        atoms = any(len(part.support) for part in self.marginals.values())
        made = OrderedBlock.fit(column, values, region, atoms, self.scaling)
        if made.width != self.width:
            raise CodsaError(
                f"column '{column.name}': missing values in some regions of the source set or of the data only; "
                "prepare the source set with the same regions"
            )
        return made

    def facts(self) -> dict[str, Any]:
        """Return what is no array, for JSON."""
        missing = {str(k): part.missing for k, part in self.marginals.items()}
        return {"grain": self.precision.facts(), "scaling": self.scaling, "missing": missing}

    def arrays(self) -> Arrays:
        """Return the marginals' arrays."""
        made: Arrays = {}
        for k, part in self.marginals.items():
            made[f"{k}.support"] = part.support
            scaled = {} if part.scaling is None else part.scaling.arrays()
            made |= {f"{k}.scaling.{name}": array for name, array in scaled.items()}
        return made

    @classmethod
    def read(cls, column: Column, facts: Mapping[str, Any], arrays: Mapping[str, Any]) -> OrderedBlock:
        """Read what `facts` and `arrays` gave."""
        call = SCALINGS[facts["scaling"]]
        parts = {}
        for k, missing in facts["missing"].items():
            own = under(arrays, f"{k}.scaling.")
            parts[int(k)] = Marginal(call.from_arrays(own) if own else None, arrays[f"{k}.support"], missing)
        return cls(column, NumericPrecision.from_facts(column, facts["grain"]), parts, facts["scaling"])


@dataclass
class LevelBlock:
    """A category as one-hot signs, or as binary digits (signs) where levels are many.

    Binary digits follow Chen 2022 ("Analog Bits"); levels are numbered by falling frequency.

    Attributes
    ----------
    column : Column
    order : ndarray of int64
        Codes (places among the levels, missing last) that were seen, most frequent first.
    allowed : ndarray of bool, shape (K, len(order))
        Which levels a region may have, where the column decides or tells the region; else empty.
    """

    column: Column
    order: np.ndarray
    allowed: np.ndarray = field(default_factory=lambda: np.empty((0, 0), dtype=bool))

    @classmethod
    def fit(cls, column: Column, values: pd.Series, region: np.ndarray | None = None, count: int = 0) -> LevelBlock:
        """Learn which levels occur, and how often; in each of `count` regions where `region` is given."""
        codes = level_codes(values, column)
        counts = np.bincount(codes[codes >= 0], minlength=len(column.levels or []) + 1)
        order = np.argsort(-counts, kind="stable")
        block = cls(column, order[counts[order] > 0])
        if region is not None:
            block.allowed = _seen_in(region, block._ranks(values), (count, len(block.order)))
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
        codes = level_codes(values, self.column)
        place = np.full(len(self.column.levels or []) + 2, -1, dtype=np.int64)
        place[self.order] = np.arange(len(self.order))
        ranks = place[codes]
        if (ranks < 0).any():
            value = values.iloc[int(np.flatnonzero(ranks < 0)[0])]
            raise CodsaError(
                f"column '{self.column.name}': value '{value}' does not occur where the encoder was fitted; "
                "use a source set that has it, or leave the column out"
            )
        return np.asarray(ranks)

    def _signs(self) -> np.ndarray:
        if self.one_hot:
            return 2.0 * np.eye(len(self.order)) - 1.0
        return 2.0 * ((np.arange(len(self.order))[:, None] >> np.arange(self.width)[None, :]) & 1) - 1.0

    def decode(self, array: np.ndarray, region: np.ndarray | None = None) -> pd.Series:
        """Return the level, of those that the region has, whose signs agree best with what a model drew."""
        if not self.regional:
            return from_codes(self.order[self._agree(array, np.arange(len(self.order)))], self.column)
        index = _index(self.column, len(array), region)
        ranks = np.empty(len(array), dtype=np.int64)
        for k in np.unique(index).tolist():
            among = np.flatnonzero(self.allowed[k])
            if len(among) == 0:
                raise _unknown(self.column, k)
            ranks[index == k] = self._agree(array[index == k], among)
        return from_codes(self.order[ranks], self.column)

    def _agree(self, array: np.ndarray, among: np.ndarray) -> np.ndarray:
        """Return the best of the ranks `among`: the digits read off where they are one, else a search."""
        if self.one_hot:
            return among[array[:, among].argmax(axis=1)]
        ranks = (array > 0) @ (1 << np.arange(self.width))
        known = np.zeros(1 << self.width, dtype=bool)
        known[among] = True
        lost = np.flatnonzero(~known[ranks])
        signs = self._signs()[among].T
        step = max(1, CHUNK // len(among))
        for part in (lost[i : i + step] for i in range(0, len(lost), step)):
            ranks[part] = among[(array[part] @ signs).argmax(axis=1)]
        return np.asarray(ranks)

    def adapt(self, values: pd.Series, column: Column, region: np.ndarray | None, count: int) -> LevelBlock:
        """Return the block for another set of rows: with its levels, and in its regions if they are given.

        Parameters
        ----------
        count : int
            K; the others are as in `OrderedBlock.adapt`.
        """
        if region is not None and self.regional:
            return replace(self, allowed=_seen_in(region, self._ranks(values), (count, len(self.order))))
        names = [*(self.column.levels or []), None]
        levels = {*(column.levels or []), *([None] if column.missing else [])}
        shared = np.array([names[code] in levels for code in self.order])
        if shared.all():
            return self
        return replace(self, allowed=self.allowed & shared if self.regional else np.tile(shared, (count, 1)))

    def facts(self) -> dict[str, Any]:
        """Return what is no array, for JSON: nothing."""
        return {}

    def arrays(self) -> Arrays:
        """Return order and allowed levels."""
        return {"order": self.order, "allowed": self.allowed.astype(np.uint8)}

    @classmethod
    def read(cls, column: Column, facts: Mapping[str, Any], arrays: Mapping[str, Any]) -> LevelBlock:
        """Read what `arrays` gave."""
        return cls(column, arrays["order"], np.asarray(arrays["allowed"]).astype(bool))


Block = OrderedBlock | LevelBlock | VectorBlock


def _index(column: Column, n: int, region: np.ndarray | None) -> np.ndarray:
    if region is None or len(region) != n:
        raise CodsaError(f"column '{column.name}' decides the region: give the region of each of the {n} rows")
    return np.asarray(region)


def _seen_in(region: np.ndarray, ranks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return which ranks occur in which region, ndarray of bool, shape (K, number of ranks)."""
    seen = np.zeros(shape, dtype=bool)
    seen[region, ranks] = True
    return seen


def _unknown(column: Column, k: int) -> CodsaError:
    return CodsaError(
        f"column '{column.name}': no row of region {k} where the encoder was fitted; use rows, or a source set, "
        "with every region"
    )


def under(arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the arrays whose names begin so, under the rest of their names."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
