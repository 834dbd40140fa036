"""Reading a raw table: CSV, TSV, JSON lines or Parquet, compressed or not."""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import io
import logging
import lzma
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from codsa.data.unicode import composed_names, composed_table
from codsa.data.whole_numbers import (
    are_whole,
    as_float,
    exact_numbers,
    from_lines,
    is_large,
    keep_exact,
    literal,
    with_arrow_integers,
)
from codsa.errors import CodsaError
from codsa.io.digests import check_sha256, file_digest
from codsa.io.files import refuse_irregular
from codsa.io.tables import read_parquet

log = logging.getLogger(__name__)

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
JSON_LINES = (".jsonl", ".ndjson", ".json")
"""Suffixes of files with a JSON object per line."""
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd", ".zip": "zip"}
UNREADABLE = (csv.Error, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
MISSING_MARKS = ["?"]
"""Cells that are missing, besides those of pandas (empty, NA, NaN, null, …)."""


def read_table(path: Path, sha256: str | None = None, notes: list[str] | None = None) -> pd.DataFrame:
    """Read a table, and refuse a table that later stages could not use.

    Texts and names of columns are brought to Unicode's composed form. Integers keep every digit.

    Parameters
    ----------
    path : Path
        .csv, .tsv, .jsonl or .parquet; all but the last also with .gz, .bz2, .xz, .zst or .zip.
    sha256 : str, optional
        The expected digest of the file.
    notes : list of str, optional
        Notes for the user are appended to it; default: they are logged.

    Raises
    ------
    CodsaError
        Missing or empty file, a pipe or device, other digest, not UTF-8, duplicate column names, infinite values.
    """
    check_file(path, sha256)
    if path.stat().st_size == 0:
        raise CodsaError(f"{path}: the file is empty")
    reader_notes: list[str] = []
    frame = _read_parquet(path) if is_parquet(path) else _read_text(path, reader_notes)
    check_table(frame, path)
    frame, respelt = composed_table(keep_exact(frame), str(path))
    if notes is not None:
        notes += reader_notes + respelt
        return frame
    for note in reader_notes + respelt:
        log.warning("%s: %s", path, note)
    return frame


def check_file(path: Path, sha256: str | None) -> None:
    """Raise a `CodsaError` for a missing or irregular file, or another digest."""
    refuse_irregular(path)
    if not path.is_file():
        raise CodsaError(f"{path}: no such file")
    if sha256 is not None and file_digest(path) != check_sha256(sha256):
        raise CodsaError(f"{path}: checksum {file_digest(path)}, expected {sha256.lower()}")


def is_parquet(path: Path) -> bool:
    """Say whether a file is to be read as Parquet, by its name."""
    return path.suffix.lower() == ".parquet"


def _read_parquet(path: Path) -> pd.DataFrame:
    with contextlib.suppress(pa.ArrowException, OSError):  # read_parquet says what is wrong with the file
        parquet_names(path)
    return read_exact(path)


def read_exact(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a Parquet file as `read_parquet` does, but keep large integers beside missing values exact."""
    import pyarrow.parquet as pq

    frame = read_parquet(path, columns=columns)
    rounded = [str(name) for name in frame if pd.api.types.is_float_dtype(frame[name]) and is_large(frame[name])]
    return with_arrow_integers(frame, pq.read_table(path, columns=rounded)) if rounded else frame


def parquet_names(path: Path) -> list[str]:
    """Return the names of a Parquet file's columns, which must differ."""
    import pyarrow.parquet as pq

    names = [str(name) for name in pq.read_schema(path).names]
    _refuse_duplicates(names, path)
    composed_names(names, str(path))
    return names


def _read_text(path: Path, notes: list[str]) -> pd.DataFrame:
    suffixes = [s.lower() for s in path.suffixes]
    compression: Any = COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    kind = suffixes[-2] if compression and len(suffixes) > 1 else (suffixes or [""])[-1]
    if kind in JSON_LINES:
        return _read_lines(path, compression, notes)
    if kind not in SEPARATORS:
        raise CodsaError(f"{path}: '{kind or path.name}' is not known; give .csv, .tsv, .jsonl or .parquet")
    options: dict[str, Any] = {"sep": SEPARATORS[kind], "encoding": "utf-8"}
    try:
        header = _csv(path, compression, header=None, nrows=1, dtype=str, keep_default_na=False, **options)
        _refuse_duplicates([str(name) for name in header.iloc[0]], path)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            options |= {"index_col": False, "na_values": MISSING_MARKS, "low_memory": False}
            frame = _csv(path, compression, **options)
            return _with_digits(frame, path, compression, options=options, notes=notes)
    except pd.errors.ParserWarning:
        raise CodsaError(f"{path}: its rows have more fields than the header has names; name every column") from None
    except UnicodeDecodeError as error:
        raise CodsaError(f"{path}: not UTF-8 text at byte {error.start}; convert it with iconv") from None
    except pd.errors.EmptyDataError:
        raise CodsaError(f"{path}: the file is empty") from None
    except (*UNREADABLE, ValueError, EOFError, OSError) as error:
        raise CodsaError(f"{path}: not readable as {kind} ({error})") from None


def _with_digits(
    frame: pd.DataFrame, path: Path, compression: Any, options: dict[str, Any], notes: list[str]
) -> pd.DataFrame:
    """Return a table in which the digits of the file replace the numbers that pandas has rounded."""
    columns = [k for k in range(frame.shape[1]) if _may_be_rounded(frame.iloc[:, k])]
    if not columns:
        return frame
    texts = _csv(path, compression, **{**options, "usecols": columns, "dtype": str})
    changes = {}
    for column, name in zip(columns, texts, strict=True):
        changes[frame.columns[column]], note = _digits(frame.iloc[:, column], texts[name])
        notes += [note] if note else []
    return frame.assign(**changes)


def _digits(as_read: pd.Series, texts: pd.Series) -> tuple[pd.Series, str]:
    cells = [literal(text) for text in texts]
    if pd.api.types.is_float_dtype(as_read):
        return exact_numbers(cells, as_read, texts)
    integers = [cell for cell in cells if not isinstance(cell, float)]
    if len(integers) < len(cells):
        return texts, ""
    return exact_numbers(cells, pd.Series([as_float(cell) for cell in integers], dtype="float64"), texts)


def _may_be_rounded(values: pd.Series) -> bool:
    """Say whether pandas may have lost digits: floats beyond 2^53, or numbers that it left as text."""
    if pd.api.types.is_float_dtype(values):
        return is_large(values)
    if pd.api.types.is_unsigned_integer_dtype(values):
        return not are_whole(values)
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return False
    first = next(iter(values.dropna()), None)
    return type(first) is int or isinstance(literal(first), int) or bool((values == "").any())


def _read_lines(path: Path, compression: Any, notes: list[str]) -> pd.DataFrame:
    """Read a JSON object per line; a key that an object lacks is missing in its row."""
    try:
        frame = _json(path, compression)
        rounded = [str(name) for name in frame if pd.api.types.is_float_dtype(frame[name]) and is_large(frame[name])]
        if not rounded:
            return frame
        with _lines(path, compression) as lines:
            cells = from_lines(lines, rounded)
        changes = {}
        for name in rounded:
            changes[name], note = exact_numbers(cells[name], frame[name])
            notes += [note] if note else []
        return frame.assign(**changes)
    except (*UNREADABLE, ValueError, EOFError, OSError) as error:
        raise CodsaError(f"{path}: not readable as a JSON object a line ({error})") from None


@contextlib.contextmanager
def _lines(path: Path, compression: Any) -> Iterator[Iterable[bytes]]:
    """Open a file of lines, compressed or not."""
    openers: dict[Any, Any] = {None: open, "gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open}
    if compression in openers:
        with openers[compression](path, "rb") as lines:
            yield lines
    elif compression == "zstd":
        with pa.input_stream(str(path), compression="zstd") as stream:
            yield io.BytesIO(stream.read())
    else:
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as lines:
            yield lines


def _json(path: Path, compression: Any) -> pd.DataFrame:
    if compression != "zstd":
        return pd.read_json(path, lines=True, compression=compression, dtype=False)
    with pa.input_stream(str(path), compression="zstd") as stream:
        return pd.read_json(stream, lines=True, dtype=False)


def _csv(path: Path, compression: Any, **options: Any) -> pd.DataFrame:
    if compression != "zstd":
        return pd.read_csv(path, compression=compression, **options)
    with pa.input_stream(str(path), compression="zstd") as stream:  # pandas needs another package for it
        return pd.read_csv(stream, **options)


def _refuse_duplicates(names: list[str], path: Path) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise CodsaError(f"{path}: column name '{repeated[0]}' stands {names.count(repeated[0])} times; rename")


def check_table(frame: pd.DataFrame, path: Path) -> None:
    """Raise a `CodsaError` for a table without rows, with infinite values, or with one name for two columns."""
    if frame.empty:
        raise CodsaError(f"{path}: the table has no rows")
    _refuse_duplicates([str(name) for name in frame.columns], path)
    for name in frame.select_dtypes("number").columns:
        infinite = int(np.isinf(frame[name].to_numpy(dtype=float, na_value=np.nan)).sum())
        if infinite:
            raise CodsaError(f"{path}: column '{name}' has {infinite} infinite values; make them missing or finite")
