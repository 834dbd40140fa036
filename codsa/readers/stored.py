"""A Parquet file that is too large for memory: read column by column, or chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from codsa.data import schema as tables
from codsa.data.raw_tables import RawTable
from codsa.data.rows import is_large, stored_chunks
from codsa.data.schema import Column
from codsa.data.unicode import composed, composed_values, respelt_note
from codsa.errors import CodsaError
from codsa.io.files import refuse_irregular
from codsa.readers.tables import check_file, check_table, is_parquet, parquet_names, read_exact, read_settled
from codsa.settings.tables import TableOptions


def read_raw(
    path: Path, sha256: str | None = None, notes: list[str] | None = None, options: TableOptions | None = None
) -> pd.DataFrame | Path:
    """Read a table as `read_table` does, but leave a large Parquet file where it is, and its texts as they are.

    Parameters
    ----------
    path, sha256, notes, options
        As `read_table` takes them. Marks and formats that the user says are for tables that are read into memory.

    Returns
    -------
    DataFrame of shape (n, d), or Path
    """
    return read_raw_settled(path, sha256, notes, options)[0]


def read_raw_settled(
    path: Path, sha256: str | None = None, notes: list[str] | None = None, options: TableOptions | None = None
) -> tuple[pd.DataFrame | Path, TableOptions]:
    """Read a table as `read_raw` does, and say how it is written (see `codsa.readers.tables.read_settled`)."""
    options = options or TableOptions()
    refuse_irregular(path)
    said = bool(options.missing or options.numbers or options.dates)
    if not is_parquet(path) or said or not is_large(path):
        return read_settled(path, options, sha256, notes)
    check_file(path, sha256)
    return path, options


class StoredTable(RawTable):
    """A Parquet file of which one column at a time is in memory.

    Raises
    ------
    CodsaError
        For a column whose name is not in Unicode's composed form, because later stages read by these names.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(parquet_names(path))
        other = next((name for name in self.names if composed(name) != name), None)
        if other is not None:
            raise CodsaError(f"{path}: column '{other}': its name is not in Unicode's composed form (NFC); rename it")
        self.path = path
        self.respelt: dict[str, int] = {}

    def values(self, name: str) -> pd.Series:
        """Read a column."""
        frame = read_exact(self.path, columns=[name])
        if name not in self.respelt:
            check_table(frame, self.path)
        values, self.respelt[name] = composed_values(frame[name])
        return values

    def notes(self) -> list[str]:
        """Return notes on the texts that were brought to composed form."""
        return [respelt_note(name, count) for name, count in self.respelt.items() if count]

    def chunks(self, columns: list[Column]) -> Iterator[pd.DataFrame]:
        """Yield the rows chunk by chunk, in the types of `typed`."""
        retyped = [c for c in columns if self.inferred[c.name].type != c.type]
        stored_columns = [self.inferred[c.name] if c in retyped else c for c in columns]
        for chunk in stored_chunks(self.path, stored_columns):
            yield chunk.assign(**{c.name: tables.cast(chunk[c.name], c) for c in retyped})


def arrow_types(columns: list[Column]) -> Any:
    """Return the Arrow schema in which typed columns are stored, so that a chunk without values has types too."""
    import pyarrow as pa

    def arrow_type(column: Column) -> Any:
        integer_levels = column.levels is not None and all(isinstance(v, int) for v in column.levels)
        simple_types: dict[str, Callable[[], Any]] = {"numeric": pa.float64, "integer": pa.int64, "boolean": pa.bool_}
        if column.type == "datetime":
            return pa.timestamp("ns")
        return (
            simple_types[column.type]()
            if column.type in simple_types
            else (pa.int64() if integer_levels else pa.string())
        )

    return pa.schema([(c.name, arrow_type(c)) for c in columns])
