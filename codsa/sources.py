"""Reading a raw table: CSV, TSV, JSON lines or Parquet, compressed or not, from a path or a URL."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import http.client
import lzma
import urllib.error
import urllib.request
import warnings
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from codsa.errors import CodsaError
from codsa.io.digests import file_digest
from codsa.io.files import atomic_write
from codsa.io.tables import read_parquet

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
LINES = (".jsonl", ".ndjson", ".json")
"""Files with a JSON object a line."""
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd", ".zip": "zip"}
UNREADABLE = (csv.Error, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
MISSING_MARKS = ["?"]
"""Read as missing, besides what pandas takes for it (empty, NA, NaN, null, …)."""


def fetch(url: str, sha256: str | None, folder: Path) -> Path:
    """Download a file once, checked against its SHA-256.

    Parameters
    ----------
    url : str
    sha256 : str, optional
        Required for a URL: what was tested yesterday must be what is used today. 'md5:…' is
        compared with the MD5, where a publisher states no other.
    folder : Path
        Where the download is kept; a file there with the right digest is used as it is.

    Returns
    -------
    Path
        The local file.
    """
    if sha256 is None:
        raise CodsaError(f"{url}: a URL needs its checksum; give sha256 (sha256sum prints it)")
    path = folder / Path(urllib.request.url2pathname(url.split("?")[0])).name
    if path.exists() and _checksum(path, sha256) == sha256.lower():
        return path
    try:
        with atomic_write(path) as part, urllib.request.urlopen(url, timeout=60) as answer:
            _copy(answer, part, sha256.lower(), url)
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ValueError) as error:
        raise CodsaError(f"{url}: cannot be fetched ({error}); download it and give the path") from None
    return path


def _copy(answer: IO[bytes], part: Path, sha256: str, url: str) -> None:
    with part.open("wb") as out:
        while chunk := answer.read(1 << 20):
            out.write(chunk)
    found = _checksum(part, sha256)
    if found != sha256:
        raise CodsaError(f"{url}: checksum {found}, expected {sha256}; the file has changed")


def _checksum(path: Path, like: str) -> str:
    """Return a file's SHA-256, or its MD5 as 'md5:…' where `like` is one."""
    if not like.startswith("md5:"):
        return file_digest(path)
    with path.open("rb") as handle:
        return "md5:" + hashlib.file_digest(handle, "md5").hexdigest()


def read_table(path: Path, sha256: str | None = None) -> pd.DataFrame:
    """Read a table and refuse what later stages could not digest.

    Parameters
    ----------
    path : Path
        .csv, .tsv, .jsonl or .parquet; all but the last also with .gz, .bz2, .xz, .zst or .zip.
    sha256 : str, optional
        What the file's digest must be.

    Raises
    ------
    CodsaError
        Missing or empty file, other digest, not UTF-8, duplicate column names, infinite values.
    """
    check_file(path, sha256)
    if path.stat().st_size == 0:
        raise CodsaError(f"{path}: the file is empty")
    frame = _read_parquet(path) if is_parquet(path) else _read_text(path)
    check_table(frame, path)
    return frame


def check_file(path: Path, sha256: str | None) -> None:
    """Raise a `CodsaError` unless a file is there and has the digest that is asked for."""
    if not path.is_file():
        raise CodsaError(f"{path}: no such file")
    if sha256 is not None and file_digest(path) != sha256.lower():
        raise CodsaError(f"{path}: checksum {file_digest(path)}, expected {sha256.lower()}")


def is_parquet(path: Path) -> bool:
    """Say whether a file is to be read as Parquet, by its name."""
    return path.suffix.lower() == ".parquet"


def _read_parquet(path: Path) -> pd.DataFrame:
    with contextlib.suppress(pa.ArrowException, OSError):  # read_parquet says what is wrong with the file
        parquet_names(path)
    return read_parquet(path)


def parquet_names(path: Path) -> list[str]:
    """Return the names of a Parquet file's columns, which must differ."""
    import pyarrow.parquet as pq

    names = [str(name) for name in pq.read_schema(path).names]
    _refuse_duplicates(names, path)
    return names


def _read_text(path: Path) -> pd.DataFrame:
    suffixes = [s.lower() for s in path.suffixes]
    compression: Any = COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    kind = suffixes[-2] if compression and len(suffixes) > 1 else (suffixes or [""])[-1]
    if kind in LINES:
        return _read_lines(path, compression)
    if kind not in SEPARATORS:
        raise CodsaError(f"{path}: '{kind or path.name}' is not known; give .csv, .tsv, .jsonl or .parquet")
    options: dict[str, Any] = {"sep": SEPARATORS[kind], "encoding": "utf-8"}
    try:
        header = _csv(path, compression, header=None, nrows=1, dtype=str, keep_default_na=False, **options)
        _refuse_duplicates([str(name) for name in header.iloc[0]], path)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return _csv(path, compression, index_col=False, na_values=MISSING_MARKS, low_memory=False, **options)
    except pd.errors.ParserWarning:
        raise CodsaError(f"{path}: its rows have more fields than the header has names; name every column") from None
    except UnicodeDecodeError as error:
        raise CodsaError(f"{path}: not UTF-8 text at byte {error.start}; convert it with iconv") from None
    except pd.errors.EmptyDataError:
        raise CodsaError(f"{path}: the file is empty") from None
    except (*UNREADABLE, ValueError, EOFError, OSError) as error:
        raise CodsaError(f"{path}: not readable as {kind} ({error})") from None


def _read_lines(path: Path, compression: Any) -> pd.DataFrame:
    """Read JSON objects, one a line; keys that some lack are missing there."""
    try:
        if compression != "zstd":
            return pd.read_json(path, lines=True, compression=compression, dtype=False)
        with pa.input_stream(str(path), compression="zstd") as stream:
            return pd.read_json(stream, lines=True, dtype=False)
    except (*UNREADABLE, ValueError, EOFError, OSError) as error:
        raise CodsaError(f"{path}: not readable as a JSON object a line ({error})") from None


def _csv(path: Path, compression: Any, **options: Any) -> pd.DataFrame:
    if compression != "zstd":
        return pd.read_csv(path, compression=compression, **options)
    with pa.input_stream(str(path), compression="zstd") as stream:  # pandas needs another package for it
        return pd.read_csv(stream, **options)


def _refuse_duplicates(names: list[str], path: Path) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise CodsaError(f"{path}: column name '{twice[0]}' stands {names.count(twice[0])} times; rename")


def check_table(frame: pd.DataFrame, path: Path) -> None:
    """Raise a `CodsaError` for a table without rows, with infinite values, or with one name for two columns."""
    if frame.empty:
        raise CodsaError(f"{path}: the table has no rows")
    _refuse_duplicates([str(name) for name in frame.columns], path)
    for name in frame.select_dtypes("number").columns:
        infinite = int(np.isinf(frame[name].to_numpy(dtype=float, na_value=np.nan)).sum())
        if infinite:
            raise CodsaError(f"{path}: column '{name}' has {infinite} infinite values; make them missing or finite")
