"""Raw tables whose columns are read one by one, so that the schema does not depend on where the table is stored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import pandas as pd

from codsa.data import schema as tables
from codsa.data.schema import Column


class RawTable(ABC):
    """A raw table with texts in Unicode's composed form.

    Attributes
    ----------
    names : list of str
        Of its columns, in order.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self.inferred: dict[str, Column] = {}

    @abstractmethod
    def values(self, name: str) -> pd.Series:
        """Return a column as its reader gave it."""

    @abstractmethod
    def notes(self) -> list[str]:
        """Return notes on the texts that were brought to composed form, in the columns that were read."""

    def typed(self, column: Column) -> pd.Series:
        """Return a column in its type.

        A column may be requested first in one type and then in another, such as an integer target that turns out to
        be a class. It is cast to the first type, and from there to the other.
        """
        first = self.inferred.setdefault(column.name, column)
        values = tables.cast(self.values(column.name), first)
        return values if first.type == column.type else tables.cast(values, column)


class HeldTable(RawTable):
    """A table in memory; no column is cast twice.

    Parameters
    ----------
    frame : DataFrame of shape (n, d)
        With names and texts in composed form.
    respelt : sequence of str
        Notes on what was brought to composed form.
    """

    def __init__(self, frame: pd.DataFrame, respelt: Sequence[str] = ()) -> None:
        super().__init__([str(name) for name in frame.columns])
        self.frame, self.respelt = frame, list(respelt)
        self._cast: dict[tuple[str, str], pd.Series] = {}

    def values(self, name: str) -> pd.Series:
        """Return a column as it is held."""
        return self.frame[name]

    def notes(self) -> list[str]:
        """Return notes on the texts that were brought to composed form."""
        return self.respelt

    def typed(self, column: Column) -> pd.Series:
        """Return a column in its type (see `RawTable.typed`)."""
        key = (column.name, column.type)
        if key not in self._cast:
            self._cast[key] = super().typed(column)
        return self._cast[key]

    def rows(self, columns: Sequence[Column]) -> pd.DataFrame:
        """Return columns in their types, DataFrame of shape (n, len(columns))."""
        return pd.DataFrame({c.name: self.typed(c) for c in columns})
