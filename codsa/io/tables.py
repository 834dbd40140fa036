"""Parquet files: written atomically, read with errors that name the file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from codsa.errors import CodsaError
from codsa.io.array_columns import ArrayDtype
from codsa.io.files import atomic_write

ROW_GROUP_ROWS = 1 << 17
"""Rows of a row group of a Parquet file."""


def as_table(frame: pd.DataFrame, types: Any = None) -> Any:
    """Return rows as a pyarrow Table in plain Parquet types, arrays in their storage types."""
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, types, preserve_index=False)
    array_names = [name for name, dtype in frame.dtypes.items() if isinstance(dtype, ArrayDtype)]
    if not array_names:
        return table
    pandas_metadata = json.loads(table.schema.metadata[b"pandas"])
    for column in pandas_metadata["columns"]:
        column["numpy_type"] = "object" if column["name"] in array_names else column["numpy_type"]
    return table.replace_schema_metadata({b"pandas": json.dumps(pandas_metadata).encode()})


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Write a Parquet file (zstd), atomically and without an index."""
    import pyarrow.parquet as pq

    with atomic_write(path) as part:
        pq.write_table(as_table(frame), part, compression="zstd", row_group_size=ROW_GROUP_ROWS)


def write_parquet_groups(path: Path, groups: Iterable[pd.DataFrame], types: Any = None) -> None:
    """Write tables of the same columns and types into one Parquet file (zstd), atomically, each as a row group.

    One group at a time is in memory.

    Parameters
    ----------
    groups : iterable of DataFrame
        At least one.
    types : pyarrow.Schema, optional
        The storage types of the columns; default: those of the first group.
    """
    import pyarrow.parquet as pq

    tables = (as_table(group, types) for group in groups)
    first = next(tables)
    with atomic_write(path) as part, pq.ParquetWriter(part, first.schema, compression="zstd") as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table.cast(first.schema))


def read_parquet(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a Parquet file; a missing or truncated one is a `CodsaError` naming it."""
    from pyarrow.lib import ArrowException

    try:
        # On one thread: without memory for another thread, pyarrow would wait forever.
        return pd.read_parquet(path, columns=columns, use_threads=False, pre_buffer=False)
    except FileNotFoundError:
        raise CodsaError(f"{path}: no such file; run the stage that writes it first") from None
    except (ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CodsaError(
            f"{path}: not readable as Parquet ({reason}); it may be truncated: delete it and write it again"
        ) from None
