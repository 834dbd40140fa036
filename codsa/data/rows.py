"""Rows that need not fit into memory: a prepared table that is read chunk by chunk from its Parquet file.

A small table is held in memory, as a DataFrame. The results are the same either way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from codsa.data import schema as tables
from codsa.data.columns import settle
from codsa.data.dataset import Dataset, check_table_file, content_digest, load_dataset
from codsa.data.region_rules import refuse_gaps
from codsa.data.schema import Column, Schema, is_ordered
from codsa.data.whole_numbers import arrow_frame
from codsa.errors import CodsaError
from codsa.io.digests import parts_digest
from codsa.io.names import SCHEMA, TABLE
from codsa.io.processes import is_main, wait_for_all
from codsa.io.records import read_json

CHUNK_ROWS = 1 << 16
"""Rows in memory at a time."""
MEMORY_CELLS = 20_000_000
"""A table with more cells than this is not held in memory."""
FIT_ROWS = 1_000_000
"""At most this many rows are used to fit scalers and dependencies."""
FIT_CELLS = 20_000_000
"""At most this many cells are used to fit scalers and dependencies."""
FIT_REGION_ROWS = 1000
"""The rows to fit on include at least this many of each region, or all of a smaller region."""
ENCODED = "encoded.f32"
"""The file of encoded rows among the checkpoints."""


@dataclass(frozen=True)
class StoredRows:
    """Some rows of a Parquet file, in the types of a schema.

    Attributes
    ----------
    path : Path
    columns : list of Column
    chosen : ndarray of bool, shape (n,)
        Which rows of the file.
    """

    path: Path
    columns: list[Column]
    chosen: np.ndarray

    def __len__(self) -> int:
        """Return the number of rows chosen."""
        return int(self.chosen.sum())

    def chunks(self) -> Iterator[pd.DataFrame]:
        """Yield the rows in order, chunk by chunk."""
        first = 0
        for chunk in stored_chunks(self.path, self.columns):
            in_chunk = self.chosen[first : first + len(chunk)]
            first += len(chunk)
            if in_chunk.any():
                yield chunk[in_chunk].reset_index(drop=True)


Rows = pd.DataFrame | StoredRows


def stored_chunks(path: Path, columns: list[Column]) -> Iterator[pd.DataFrame]:
    """Read columns of a Parquet file, `CHUNK_ROWS` rows at a time, in the types of a schema."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(CHUNK_ROWS, columns=[c.name for c in columns]):
            yield tables.cast_columns(arrow_frame(pa.Table.from_batches([batch])), columns)


def chunks(rows: Rows) -> Iterator[pd.DataFrame]:
    """Yield rows chunk by chunk, from memory or from a file."""
    if isinstance(rows, StoredRows):
        yield from rows.chunks()
    else:
        yield from (rows.iloc[start : start + CHUNK_ROWS] for start in range(0, len(rows), CHUNK_ROWS))


def in_memory(rows: Rows) -> pd.DataFrame:
    """Return all rows in memory."""
    return pd.concat(rows.chunks(), ignore_index=True) if isinstance(rows, StoredRows) else rows


@dataclass(frozen=True)
class StoredDataset:
    """A prepared table that stays in its file, with the methods of `Dataset`.

    Attributes
    ----------
    path : Path
    schema : Schema
    digest : str
    index : ndarray of int64, shape (n,)
        Each row's region.
    """

    path: Path
    schema: Schema
    digest: str
    index: np.ndarray

    def __len__(self) -> int:
        """Return n."""
        return len(self.index)

    def regions(self) -> np.ndarray:
        """Return each row's region index, ndarray of int64, shape (n,)."""
        return self.index

    def part(self, row_ids: np.ndarray) -> StoredRows:
        """Return the modelled columns of some rows, given by increasing row_ids."""
        chosen = np.zeros(len(self.index), dtype=bool)
        chosen[row_ids] = True
        return StoredRows(self.path, self.schema.modelled, chosen)

    def column(self, name: str) -> pd.Series:
        """Return all values of one column."""
        return pd.concat((c[name] for c in stored_chunks(self.path, [self.schema.column(name)])), ignore_index=True)

    def row_hashes(self, names: list[str]) -> np.ndarray:
        """Return a hash of each row's values in some columns, ndarray of uint64, shape (n,)."""
        columns = [self.schema.column(name) for name in names]
        parts = (pd.util.hash_pandas_object(c, index=False).to_numpy() for c in stored_chunks(self.path, columns))
        return np.concatenate(list(parts))


AnyDataset = Dataset | StoredDataset


def open_dataset(folder: Path) -> AnyDataset:
    """Read a prepared dataset as `load_dataset` does, but leave a large one in its file.

    A table whose types the user has corrected is read into memory, because types are settled on all rows.
    """
    if not is_large(folder / TABLE):
        return load_dataset(folder)
    path = check_table_file(folder)
    schema = Schema.from_dict(read_json(folder / SCHEMA))
    first = _first_rows(path)
    tables.check_table(first, schema, str(path))
    if any(tables.cast(first[c.name], c).dtype != first[c.name].dtype for c in schema.columns):
        return load_dataset(folder)
    return _scan(path, schema)


def is_large(path: Path) -> bool:
    """Say whether a Parquet file has more than `MEMORY_CELLS` cells."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
    except (pa.ArrowException, OSError):
        return False  # the reader of the table names the fault
    return bool(metadata.num_rows * metadata.num_columns > MEMORY_CELLS)


def _first_rows(path: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False) as file:
        return pa.Table.from_batches([next(file.iter_batches(CHUNK_ROWS))]).to_pandas()


def _scan(path: Path, schema: Schema) -> StoredDataset:
    """Read all rows once for the columns' levels and bounds, each row's region, and the digest."""
    columns: list[Column] = []
    region_parts: list[np.ndarray] = []

    def described_chunks() -> Iterator[pd.DataFrame]:
        nonlocal columns
        for chunk in stored_chunks(path, schema.columns):
            parts = [tables.describe(c, chunk[c.name]) for c in schema.columns]
            columns = [merged(a, b) for a, b in zip(columns, parts, strict=True)] if columns else parts
            region_parts.append(schema.regions.assign(chunk))
            yield chunk

    rows_digest = parts_digest(described_chunks())
    target = schema.column(schema.target)
    values = pd.concat((c[target.name] for c in stored_chunks(path, [target])), ignore_index=True)
    columns, _ = settle(columns, pd.DataFrame({target.name: values}), schema.target, schema.task)
    described_schema = replace(schema, columns=columns)
    regions = np.concatenate(region_parts)
    refuse_gaps(described_schema.regions, regions)
    return StoredDataset(path, described_schema, content_digest(rows_digest, described_schema), regions)


def described(schema: Schema, rows: Rows) -> Schema:
    """Return the schema with the levels, bounds and missing values of some rows, and of no other row.

    The classes of the target stay: they define the task. So do names and types, and the regions. A column that is not
    modelled has neither levels nor bounds.

    Parameters
    ----------
    schema : Schema
    rows : DataFrame or StoredRows
        With the modelled columns, in the schema's types; stored rows are read chunk by chunk.
    """
    columns = {c.name: replace(c, levels=None, minimum=None, maximum=None, missing=0) for c in schema.columns}
    columns |= {c.name: replace(columns[c.name], levels=[]) for c in schema.modelled if c.levels is not None}
    for chunk in chunks(rows):
        for column in schema.modelled:
            columns[column.name] = merged(columns[column.name], tables.describe(column, chunk[column.name]))
    if schema.task != "regression":
        columns[schema.target] = schema.column(schema.target)
    return replace(schema, columns=list(columns.values()))


def merged(a: Column, b: Column) -> Column:
    """Return the description of a column from those of two of its parts (see `schema.describe`)."""
    lows = [c.minimum for c in (a, b) if c.minimum is not None]
    highs = [c.maximum for c in (a, b) if c.maximum is not None]
    return replace(
        a,
        levels=None if a.levels is None or b.levels is None else sorted({*a.levels, *b.levels}),
        minimum=min(lows, default=None),
        maximum=max(highs, default=None),
        missing=a.missing + b.missing,
    )


def subsample(
    rows: Rows, regions: np.ndarray, columns: list[Column], random: np.random.Generator
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the rows to fit scalers on: all of few rows, or a random part of many with every region and level.

    Parameters
    ----------
    rows : DataFrame or StoredRows
    regions : ndarray of int64, shape (n,)
    columns : list of Column
    random : numpy.random.Generator

    Returns
    -------
    rows : DataFrame of shape (n_fit, d)
    regions : ndarray of int64, shape (n_fit,)
    """
    max_rows = min(FIT_ROWS, FIT_CELLS // max(len(columns), 1))
    if len(rows) <= max_rows:
        return in_memory(rows), regions
    chosen = _by_region(regions, max_rows, random)
    known_levels: dict[str, set[object]] = {c.name: set() for c in columns}
    parts: list[pd.DataFrame] = []
    first = 0
    for chunk in chunks(rows):
        in_chunk = chosen[first : first + len(chunk)]
        for column in columns:
            in_chunk[_new_levels(chunk[column.name], column, known_levels[column.name])] = True
        parts.append(chunk[in_chunk])
        first += len(chunk)
    return pd.concat(parts, ignore_index=True), regions[chosen]


def _by_region(regions: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Choose about `count` rows by the regions' shares, at least `FIT_REGION_ROWS` of each, ndarray of bool."""
    chosen = np.zeros(len(regions), dtype=bool)
    for k in np.unique(regions):
        members = np.flatnonzero(regions == k)
        size = max(count * len(members) // len(regions), min(FIT_REGION_ROWS, len(members)))
        chosen[random.choice(members, size, replace=False)] = True
    return chosen


def _new_levels(values: pd.Series, column: Column, known: set[object]) -> np.ndarray:
    """Return the positions at which a level, or a missing value, first occurs, and add these values to `known`."""
    if is_ordered(column):
        values = values.isna()
    first_positions = np.flatnonzero(~values.duplicated().to_numpy())
    values = values.iloc[first_positions].astype(object)
    hashable = [None if pd.isna(value) else value for value in values]
    new = [position for position, value in zip(first_positions, hashable, strict=True) if value not in known]
    known.update(hashable)
    return np.array(new, dtype=np.int64)


def encoded(
    rows: Rows,
    regions: np.ndarray,
    encode: Callable[[pd.DataFrame, np.ndarray], np.ndarray],
    checkpoint_dir: Path | None,
) -> np.ndarray:
    """Return encoded rows, ndarray of float32, shape (n, width): of stored rows as a memory-mapped file.

    Parameters
    ----------
    rows : DataFrame or StoredRows
    regions : ndarray of int64, shape (n,)
    encode : callable
        (rows, regions) → ndarray of float32.
    checkpoint_dir : Path, optional
        The folder for that file; default: the array is in memory.
    """
    if not isinstance(rows, StoredRows):
        return encode(rows, regions)
    if checkpoint_dir is not None and not is_main():
        wait_for_all()  # the first process writes the file
        return np.memmap(checkpoint_dir / ENCODED, dtype=np.float32, mode="r").reshape(len(rows), -1)
    encoded_rows: np.ndarray | None = None
    first = 0
    for chunk in rows.chunks():
        positions = slice(first, first + len(chunk))
        part = encode(chunk, regions[positions])
        if encoded_rows is None:
            encoded_rows = _array((len(rows), part.shape[1]), checkpoint_dir)
        encoded_rows[positions] = part
        first += len(chunk)
    if encoded_rows is None:
        raise CodsaError("S_g has no rows; raise r")
    if isinstance(encoded_rows, np.memmap):
        encoded_rows.flush()
        wait_for_all()
    return encoded_rows


def _array(shape: tuple[int, int], checkpoint_dir: Path | None) -> np.ndarray:
    if checkpoint_dir is None:
        return np.empty(shape, dtype=np.float32)
    checkpoint_dir.mkdir(parents=True, exist_ok=True)
    return np.memmap(checkpoint_dir / ENCODED, dtype=np.float32, mode="w+", shape=shape)
