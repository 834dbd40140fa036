"""Typed rows as arrays of about unit scale, for neural generators, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from codsa.encoders.mixed import from_codes, from_float, is_ordered, level_codes, to_float
from codsa.errors import CodsaError
from codsa.regions import Regions
from codsa.schema import Column

ONE_HOT_LIMIT = 32
"""Categories with more levels are written in binary digits instead of one-hot."""
QUANTILES = 1000


@dataclass
class OrderedBlock:
    """A number or date as a normal score, with a sign for "missing" where any is.

    The score is the normal quantile of the empirical distribution function, so heavy tails and
    point masses are harmless, and what comes back lies within the bounds seen.

    Attributes
    ----------
    column : Column
    levels, values : ndarray of shape (number of knots,)
        The distribution function: values at increasing probabilities.
    gap : bool
        Whether missing values were seen.
    """

    column: Column
    levels: np.ndarray
    values: np.ndarray
    count: int
    gap: bool

    @classmethod
    def fit(cls, column: Column, values: pd.Series) -> OrderedBlock:
        """Learn the distribution function of a column's present values."""
        raw = to_float(values)
        present = np.sort(raw[~np.isnan(raw)])
        if len(present) == 0:
            return cls(column, np.array([0.0, 1.0]), np.zeros(2), 1, True)
        levels = np.linspace(0.0, 1.0, min(QUANTILES, max(len(present), 2)))
        return cls(column, levels, np.quantile(present, levels), len(present), bool(np.isnan(raw).any()))

    @property
    def width(self) -> int:
        """The number of array columns."""
        return 2 if self.gap else 1

    def encode(self, values: pd.Series) -> np.ndarray:
        """Return the scores, ndarray of float64, shape (n, width)."""
        raw = to_float(values)
        absent = np.isnan(raw)
        raw = np.where(absent, self.values[0], raw)
        right = np.interp(raw, self.values, self.levels)
        left = 1.0 - np.interp(-raw, -self.values[::-1], 1.0 - self.levels[::-1])
        edge = 0.5 / self.count
        score = ndtri(edge + (1 - 2 * edge) * (left + right) / 2)
        score = np.where(absent, 0.0, score)[:, None]
        return np.hstack([score, np.where(absent, 1.0, -1.0)[:, None]]) if self.gap else score

    def decode(self, array: np.ndarray) -> pd.Series:
        """Return values from what `encode` gave or a model drew."""
        edge = 0.5 / self.count
        share = np.clip((ndtr(array[:, 0]) - edge) / max(1 - 2 * edge, 1e-9), 0.0, 1.0)
        raw = np.interp(share, self.levels, self.values)
        return from_float(np.where(array[:, 1] > 0, np.nan, raw) if self.gap else raw, self.column)


@dataclass
class LevelBlock:
    """A category as one-hot signs, or as binary digits (signs) where levels are many.

    Binary digits follow Chen 2022 ("Analog Bits"); levels are numbered by falling frequency.

    Attributes
    ----------
    column : Column
    order : ndarray of int64
        Codes (places among the levels, missing last) that were seen, most frequent first.
    """

    column: Column
    order: np.ndarray

    @classmethod
    def fit(cls, column: Column, values: pd.Series) -> LevelBlock:
        """Learn which levels occur, and how often."""
        codes = level_codes(values, column)
        counts = np.bincount(codes[codes >= 0], minlength=len(column.levels or []) + 1)
        order = np.argsort(-counts, kind="stable")
        return cls(column, order[counts[order] > 0])

    @property
    def one_hot(self) -> bool:
        """Whether the levels are few enough for one-hot."""
        return 2 < len(self.order) <= ONE_HOT_LIMIT

    @property
    def width(self) -> int:
        """The number of array columns."""
        return len(self.order) if self.one_hot else max(1, int(np.ceil(np.log2(max(len(self.order), 2)))))

    def encode(self, values: pd.Series) -> np.ndarray:
        """Return signs, ndarray of float64, shape (n, width)."""
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
        return 2.0 * self._signs()[ranks] - 1.0

    def _signs(self) -> np.ndarray:
        if self.one_hot:
            return np.eye(len(self.order))
        return (np.arange(len(self.order))[:, None] >> np.arange(self.width)[None, :]) & 1

    def decode(self, array: np.ndarray) -> pd.Series:
        """Return the level whose signs agree best with what a model drew."""
        signs = 2.0 * self._signs() - 1.0
        return from_codes(self.order[(array @ signs.T).argmax(axis=1)], self.column)


Block = OrderedBlock | LevelBlock


class TabularEncoder:
    """Rows of typed columns as an array of about unit scale, and back.

    Attributes
    ----------
    blocks : list of OrderedBlock or LevelBlock
        One per column.
    """

    def __init__(self, blocks: list[Block]) -> None:
        self.blocks = blocks

    @classmethod
    def fit(
        cls,
        rows: pd.DataFrame,
        columns: list[Column],
        regions: Regions | None = None,
        region: np.ndarray | None = None,
        ties: bool = False,
    ) -> TabularEncoder:
        """Learn the distribution functions and levels of columns from rows."""
        return cls([(OrderedBlock if is_ordered(c) else LevelBlock).fit(c, rows[c.name]) for c in columns])

    @property
    def width(self) -> int:
        """The number of array columns."""
        return sum(block.width for block in self.blocks)

    def encode(self, rows: pd.DataFrame, region: np.ndarray | None = None) -> np.ndarray:
        """Return rows as an ndarray of float32, shape (n, width)."""
        parts = [block.encode(rows[block.column.name]) for block in self.blocks]
        return np.hstack(parts or [np.empty((len(rows), 0))]).astype(np.float32)

    def decode(self, array: np.ndarray, region: np.ndarray | None = None) -> pd.DataFrame:
        """Return rows in the schema's types from an ndarray of shape (n, width)."""
        bounds = np.cumsum([0, *(block.width for block in self.blocks)])
        parts = zip(self.blocks, bounds, bounds[1:], strict=False)
        wide = array.astype(np.float64)
        return pd.DataFrame({b.column.name: b.decode(wide[:, i:j]) for b, i, j in parts})

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return what was learned as named arrays, for safetensors."""
        made: dict[str, np.ndarray] = {}
        for j, block in enumerate(self.blocks):
            if isinstance(block, OrderedBlock):
                made[f"{j}.levels"], made[f"{j}.values"] = block.levels, block.values
                made[f"{j}.facts"] = np.array([block.count, int(block.gap)], dtype=np.int64)
            else:
                made[f"{j}.order"] = block.order
        return made

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], columns: list[Column]) -> TabularEncoder:
        """Read an encoder from what `to_arrays` gave and the columns it was fitted on."""
        blocks: list[Block] = []
        for j, column in enumerate(columns):
            if is_ordered(column):
                count, gap = (int(fact) for fact in arrays[f"{j}.facts"])
                blocks.append(OrderedBlock(column, arrays[f"{j}.levels"], arrays[f"{j}.values"], count, bool(gap)))
            else:
                blocks.append(LevelBlock(column, arrays[f"{j}.order"]))
        return cls(blocks)
