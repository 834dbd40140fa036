"""Reading a raw table: CSV, TSV, JSON lines or Parquet, compressed or not, or a sheet of a spreadsheet."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from codsa.data.unicode import composed_names, composed_table
from codsa.data.whole_numbers import is_large, keep_exact, with_arrow_integers
from codsa.errors import CodsaError
from codsa.io.digests import check_sha256, file_digest
from codsa.io.files import refuse_irregular
from codsa.io.tables import read_parquet
from codsa.readers.cells import settle
from codsa.readers.dialects import refuse_other
from codsa.readers.headers import refuse_duplicates, without_end
from codsa.readers.spreadsheets import SUFFIXES, read_sheet
from codsa.readers.text_tables import read_text
from codsa.settings.tables import TableOptions

log = logging.getLogger(__name__)


def read_table(
    path: Path, sha256: str | None = None, notes: list[str] | None = None, options: TableOptions | None = None
) -> pd.DataFrame:
    """Read a table, and refuse a table that later stages could not use.

    Texts and names of columns are brought to Unicode's composed form. Integers keep every digit.

    Parameters
    ----------
    path : Path
        .csv, .tsv, .txt, .jsonl, also with .gz, .bz2, .xz, .zst or .zip; .parquet, .xlsx or .ods.
    sha256 : str, optional
        The expected digest of the file.
    notes : list of str, optional
        Notes for the user are appended to it; default: they are logged.
    options : TableOptions, optional
        How the file is written; default: all is found.

    Raises
    ------
    CodsaError
        Missing or empty file, a pipe or device, other digest, text in another encoding than the one said, values in
        place of a header, duplicate column names, infinite values.
    """
    return read_settled(path, options or TableOptions(), sha256, notes)[0]


def read_settled(
    path: Path, options: TableOptions, sha256: str | None = None, notes: list[str] | None = None
) -> tuple[pd.DataFrame, TableOptions]:
    """Read a table as `read_table` does, and say how it is written.

    Returns
    -------
    table : DataFrame of shape (n, d)
    options : TableOptions
        The options by which the same file is read in the same way, with nothing left to be found.
    """
    check_file(path, sha256)
    if path.stat().st_size == 0:
        raise CodsaError(f"{path}: the file is empty")
    reader_notes: list[str] = []
    frame, options = _read(path, options, reader_notes)
    check_table(frame, path)
    frame, respelt = composed_table(keep_exact(frame), str(path))
    settled = settle(frame, options, options.decimal or ".", day_first=_day_first(options))
    reader_notes += respelt + settled.notes
    found = {"guess": False, "missing": settled.missing, "numbers": settled.numbers, "dates": settled.dates}
    if notes is not None:
        notes += reader_notes
    for note in reader_notes if notes is None else ():
        log.warning("%s: %s", path, note)
    return settled.frame, options.model_copy(update=found)


def _day_first(options: TableOptions) -> bool:
    """Say how ambiguous dates are read: the month first only in a file of commas and decimal points."""
    return not (options.sep or "").startswith(",") or options.decimal == ","


def _read(path: Path, options: TableOptions, notes: list[str]) -> tuple[pd.DataFrame, TableOptions]:
    """Read a file of any kind, its texts as they are."""
    kind = path.suffix.lower()
    if kind in SUFFIXES:
        refuse_other(path, options, "sep", "decimal", "encoding")
        frame, options = read_sheet(path, options, notes)
        return without_end(frame, options, notes)
    if is_parquet(path):
        refuse_other(path, options, "sep", "decimal", "encoding", "header", "skip", "skip_end", "sheet")
        return _read_parquet(path), options
    return read_text(path, options, notes)


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
    refuse_duplicates(names, path)
    composed_names(names, str(path))
    return names


def check_table(frame: pd.DataFrame, path: Path) -> None:
    """Raise a `CodsaError` for a table without rows, with infinite values, or with one name for two columns."""
    if frame.empty:
        raise CodsaError(f"{path}: the table has no rows")
    refuse_duplicates([str(name) for name in frame.columns], path)
    for name in frame.select_dtypes("number").columns:
        infinite = int(np.isinf(frame[name].to_numpy(dtype=float, na_value=np.nan)).sum())
        if infinite:
            raise CodsaError(f"{path}: column '{name}' has {infinite} infinite values; make them missing or finite")
