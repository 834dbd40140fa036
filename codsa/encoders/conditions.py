"""What a generator of arrays is told about each row: its other columns, as one small array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.schema import Column, Schema, cast, is_ordered
from codsa.encoders.values import to_float
from codsa.errors import CodsaError, suggest


@dataclass(frozen=True)
class ConditionColumn:
    """One column that is told.

    Attributes
    ----------
    name : str
    levels : list, optional
        The values of a category; its code is their place here. None for a number.
    centre, scale : float
        What brings a number to unit scale.
    """

    name: str
    levels: list[Any] | None
    centre: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Conditions:
    """The columns that are told, in order.

    Attributes
    ----------
    columns : list of Told
    """

    columns: list[ConditionColumn]

    @classmethod
    def fit(cls, rows: pd.DataFrame, schema: Schema) -> Conditions:
        """Learn levels and scales from rows: every modelled column that is not an array."""
        return cls([_told(rows[c.name], c) for c in schema.modelled if not c.is_array])

    def encode(self, rows: pd.DataFrame) -> np.ndarray:
        """Return codes and numbers of rows, ndarray of float32, shape (n, columns)."""
        made = np.empty((len(rows), len(self.columns)), dtype=np.float32)
        for j, told in enumerate(self.columns):
            made[:, j] = _codes(rows[told.name], told)
        return made

    def adapt(self, theirs: Conditions) -> Conditions:
        """Return these conditions in the codes and scales of others, with the levels that those lack behind theirs."""
        known = {told.name: told for told in theirs.columns}
        return Conditions([_joined(known.get(told.name), told) for told in self.columns])

    def to_list(self) -> list[dict[str, Any]]:
        """Return the columns, as JSON."""
        return [asdict(told) for told in self.columns]


def _told(values: pd.Series, column: Column) -> ConditionColumn:
    if values.isna().any():
        raise CodsaError(f"column '{column.name}': missing values cannot be told to a generator; drop or fill them")
    if not is_ordered(column):
        return ConditionColumn(column.name, [v.item() if hasattr(v, "item") else v for v in sorted(values.unique())])
    numbers = to_float(values)
    spread = float(numbers.std())
    return ConditionColumn(column.name, None, float(numbers.mean()), spread if spread > 0 else 1.0)


def _codes(values: pd.Series, told: ConditionColumn) -> np.ndarray:
    if told.levels is None:
        return (to_float(values) - told.centre) / told.scale
    codes = pd.Index(told.levels, dtype=object).get_indexer(values.astype(object))
    if (codes < 0).any():
        strange = values.iloc[int(np.flatnonzero(codes < 0)[0])]
        raise CodsaError(f"column '{told.name}': the generator has never seen '{strange}'; it knows {told.levels}")
    return codes


def _joined(theirs: ConditionColumn | None, mine: ConditionColumn) -> ConditionColumn:
    if theirs is None:
        return mine
    if (theirs.levels is None) != (mine.levels is None):
        raise CodsaError(f"column '{mine.name}': a number in one of source set and data, a category in the other")
    if theirs.levels is None or mine.levels is None:
        return theirs
    return ConditionColumn(mine.name, [*theirs.levels, *(v for v in mine.levels if v not in theirs.levels)])


def spread_evenly(
    rows: pd.DataFrame, names: Sequence[str], schema: Schema, seen: pd.DataFrame, random: np.random.Generator
) -> pd.DataFrame:
    """Return rows in which some columns are drawn evenly over the values that S_g has.

    Parameters
    ----------
    names : sequence of str
        Numbers are drawn between the least and the greatest value seen, categories among the levels.
    seen : DataFrame
        The rows of S_g.
    """
    made = rows.copy()
    for name in names:
        column = schema.column(name)
        values = seen[name]
        if not is_ordered(column):
            drawn: Any = random.choice(np.array(sorted(values.unique()), dtype=object), len(rows))
        elif column.type == "integer":
            drawn = random.integers(int(values.min()), int(values.max()) + 1, len(rows))
        else:
            drawn = random.uniform(float(values.min()), float(values.max()), len(rows))
        made[name] = cast(pd.Series(drawn).infer_objects(), column).array
    return made


def check_names(what: str, names: Sequence[str], schema: Schema) -> None:
    """Raise a `CodsaError` for a name that is not one of the columns told."""
    known = [c.name for c in schema.modelled if not c.is_array]
    for name in names:
        if name not in known:
            raise CodsaError(f"{what}: no column '{name}' beside the array; {suggest(name, known)}")
