"""Rows that need not fit into memory: a prepared table that is read chunk by chunk from its Parquet file.

A small table is held whole, as a DataFrame. Either way the same rows give the same results.
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

CHUNK = 1 << 16
"""Rows in memory at a time."""
STREAMED = 20_000_000
"""A table with more cells than this is not held in memory."""
FITTED = 1_000_000
"""So many rows at most are what scales and ties are learned from, and so many `CELLS`."""
CELLS = 20_000_000
ENCODED = "encoded.f32"
"""The file of encoded rows among the checkpoints."""
LEAST = 1000
"""So many of them come from each region, where it has them."""


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
        """Give the rows in order, some at a time."""
        first = 0
        for chunk in stored_chunks(self.path, self.columns):
            here = self.chosen[first : first + len(chunk)]
            first += len(chunk)
            if here.any():
                yield chunk[here].reset_index(drop=True)


Rows = pd.DataFrame | StoredRows


def stored_chunks(path: Path, columns: list[Column]) -> Iterator[pd.DataFrame]:
    """Read columns of a Parquet file, `CHUNK` rows at a time, in the types of a schema."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(CHUNK, columns=[c.name for c in columns]):
            yield tables.cast_columns(arrow_frame(pa.Table.from_batches([batch])), columns)


def chunks(rows: Rows) -> Iterator[pd.DataFrame]:
    """Give rows some at a time, however they are held."""
    if isinstance(rows, StoredRows):
        yield from rows.chunks()
    else:
        yield from (rows.iloc[start : start + CHUNK] for start in range(0, len(rows), CHUNK))


def in_memory(rows: Rows) -> pd.DataFrame:
    """Return all rows in memory."""
    return pd.concat(rows.chunks(), ignore_index=True) if isinstance(rows, StoredRows) else rows


@dataclass(frozen=True)
class StoredDataset:
    """A prepared table that stays in its file; otherwise a `Dataset`.

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
        """Return one column, whole."""
        return pd.concat((c[name] for c in stored_chunks(self.path, [self.schema.column(name)])), ignore_index=True)

    def row_hashes(self, names: list[str]) -> np.ndarray:
        """Return a hash of each row's values in some columns, ndarray of uint64, shape (n,)."""
        columns = [self.schema.column(name) for name in names]
        parts = (pd.util.hash_pandas_object(c, index=False).to_numpy() for c in stored_chunks(self.path, columns))
        return np.concatenate(list(parts))


AnyDataset = Dataset | StoredDataset


def open_dataset(folder: Path) -> AnyDataset:
    """Read a prepared dataset as `load_dataset` does, but leave a large one in its file.

    A table whose types the user has corrected is read whole: they are settled on all rows.
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
    """Say whether a Parquet file holds more than is to be held in memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        facts = pq.read_metadata(path)
    except (pa.ArrowException, OSError):
        return False  # whoever reads it says what is wrong
    return bool(facts.num_rows * facts.num_columns > STREAMED)


def _first_rows(path: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False) as file:
        return pa.Table.from_batches([next(file.iter_batches(CHUNK))]).to_pandas()


def _scan(path: Path, schema: Schema) -> StoredDataset:
    """Read all rows once: what columns hold, which region each row lies in, the digest."""
    columns: list[Column] = []
    index: list[np.ndarray] = []

    def seen() -> Iterator[pd.DataFrame]:
        nonlocal columns
        for chunk in stored_chunks(path, schema.columns):
            here = [tables.describe(c, chunk[c.name]) for c in schema.columns]
            columns = [merged(a, b) for a, b in zip(columns, here, strict=True)] if columns else here
            index.append(schema.regions.assign(chunk))
            yield chunk

    rows_digest = parts_digest(seen())
    target = schema.column(schema.target)
    values = pd.concat((c[target.name] for c in stored_chunks(path, [target])), ignore_index=True)
    columns, _ = settle(columns, pd.DataFrame({target.name: values}), schema.target, schema.task)
    found = replace(schema, columns=columns)
    region = np.concatenate(index)
    refuse_gaps(found.regions, region)
    return StoredDataset(path, found, content_digest(rows_digest, found), region)


def merged(a: Column, b: Column) -> Column:
    """Return what two parts of a column hold together, as `schema.describe` says of each."""
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
    """Return rows to learn scales from: all, or some drawn of many, with every region and level.

    Parameters
    ----------
    regions : ndarray of int64, shape (n,)
    columns : list of Column

    Returns
    -------
    rows : DataFrame
    regions : ndarray of int64
    """
    most = min(FITTED, CELLS // max(len(columns), 1))
    if len(rows) <= most:
        return in_memory(rows), regions
    chosen = _by_region(regions, most, random)
    known: dict[str, set[object]] = {c.name: set() for c in columns}
    kept: list[pd.DataFrame] = []
    first = 0
    for chunk in chunks(rows):
        here = chosen[first : first + len(chunk)]
        for column in columns:
            here[_new_levels(chunk[column.name], column, known[column.name])] = True
        kept.append(chunk[here])
        first += len(chunk)
    return pd.concat(kept, ignore_index=True), regions[chosen]


def _by_region(regions: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Choose about `count` rows, of every region its share and `LEAST` at least, ndarray of bool."""
    chosen = np.zeros(len(regions), dtype=bool)
    for k in np.unique(regions):
        members = np.flatnonzero(regions == k)
        size = max(count * len(members) // len(regions), min(LEAST, len(members)))
        chosen[random.choice(members, size, replace=False)] = True
    return chosen


def _new_levels(values: pd.Series, column: Column, known: set[object]) -> np.ndarray:
    """Return the places where a level, or a missing value, occurs for the first time, and remember them."""
    if is_ordered(column):
        values = values.isna()
    firsts = np.flatnonzero(~values.duplicated().to_numpy())
    values = values.iloc[firsts].astype(object)
    plain = [None if pd.isna(value) else value for value in values]
    fresh = [place for place, value in zip(firsts, plain, strict=True) if value not in known]
    known.update(plain)
    return np.array(fresh, dtype=np.int64)


def encoded(
    rows: Rows,
    regions: np.ndarray,
    encode: Callable[[pd.DataFrame, np.ndarray], np.ndarray],
    checkpoint_dir: Path | None,
) -> np.ndarray:
    """Return encoded rows, ndarray of float32, shape (n, width): of stored rows in a file that is mapped to memory.

    Parameters
    ----------
    encode : callable
        (rows, regions) → ndarray of float32.
    checkpoint_dir : Path, optional
        The folder for that file; without one the array is in memory.
    """
    if not isinstance(rows, StoredRows):
        return encode(rows, regions)
    if checkpoint_dir is not None and not is_main():
        wait_for_all()  # the first process writes the file
        return np.memmap(checkpoint_dir / ENCODED, dtype=np.float32, mode="r").reshape(len(rows), -1)
    made: np.ndarray | None = None
    first = 0
    for chunk in rows.chunks():
        here = slice(first, first + len(chunk))
        part = encode(chunk, regions[here])
        if made is None:
            made = _array((len(rows), part.shape[1]), checkpoint_dir)
        made[here] = part
        first += len(chunk)
    if made is None:
        raise CodsaError("S_g has no rows; raise r")
    if isinstance(made, np.memmap):
        made.flush()
        wait_for_all()
    return made


def _array(shape: tuple[int, int], checkpoint_dir: Path | None) -> np.ndarray:
    if checkpoint_dir is None:
        return np.empty(shape, dtype=np.float32)
    checkpoint_dir.mkdir(parents=True, exist_ok=True)
    return np.memmap(checkpoint_dir / ENCODED, dtype=np.float32, mode="w+", shape=shape)
