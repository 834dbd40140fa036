"""Tables that are text: fields with a separator between them, or a JSON object a line; compressed or not."""

from __future__ import annotations

import csv
import lzma
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from codsa.data.whole_numbers import are_whole, as_float, exact_numbers, from_lines, is_large, literal
from codsa.errors import CodsaError, shortened
from codsa.readers import dialects
from codsa.readers.cells import file_decimal, thousands_notes
from codsa.readers.dialects import opened, refuse_other
from codsa.readers.headers import refuse_duplicates, refuse_values_as_names, without_end
from codsa.settings.tables import WORDS, TableOptions

SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t", ".dat": "whitespace", ".data": ","}
"""Suffixes of texts, and the separator that is usual there."""
JSON_LINES = (".jsonl", ".ndjson", ".json")
"""Suffixes of files with a JSON object per line."""
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd", ".zip": "zip"}
UNREADABLE = (csv.Error, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
MISSING_MARKS = ["?"]
"""Cells that are missing, besides those of pandas (empty, NA, NaN, null, …)."""


def read_text(path: Path, options: TableOptions, notes: list[str]) -> tuple[pd.DataFrame, TableOptions]:
    """Read a text, and settle how it is written (see `codsa.readers.tables.read_settled`)."""
    suffixes = [s.lower() for s in path.suffixes]
    compression: Any = COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    kind = suffixes[-2] if compression and len(suffixes) > 1 else (suffixes or [""])[-1]
    if kind in JSON_LINES:
        refuse_other(path, options, "sep", "decimal", "encoding", "header", "skip", "skip_end", "sheet")
        return _read_lines(path, compression, notes), options
    if kind not in SEPARATORS:
        raise CodsaError(
            f"{path}: '{kind or path.name}' is not known; give .csv, .tsv, .txt, .jsonl, .parquet, .xlsx or .ods"
        )
    refuse_other(path, options, "sheet")
    try:
        options = _with_dialect(path, compression, options, SEPARATORS[kind], notes)
        frame = _read_fields(path, compression, options, notes)
        if options.decimal is None:
            decimal = file_decimal(frame, str(options.sep))
            options = options.model_copy(update={"decimal": decimal})
            if decimal == ",":
                notes.append("decimals are written with a comma (--decimal)")
                frame = _read_fields(path, compression, options, notes)
            else:
                notes += thousands_notes(frame, str(options.sep))
        return without_end(frame, options, notes)
    except pd.errors.ParserWarning:
        raise CodsaError(f"{path}: its rows have more fields than the header has names; name every column") from None
    except UnicodeDecodeError as error:
        raise CodsaError(f"{path}: not {options.encoding} text at byte {error.start}; give its --encoding") from None
    except UnicodeError as error:
        raise CodsaError(f"{path}: not {options.encoding} text ({error}); give its --encoding") from None
    except pd.errors.EmptyDataError:
        raise CodsaError(f"{path}: the file is empty") from None
    except (*UNREADABLE, ValueError, EOFError, OSError) as error:
        raise CodsaError(f"{path}: not readable as {kind} ({error})") from None


def _with_dialect(path: Path, compression: Any, options: TableOptions, usual: str, notes: list[str]) -> TableOptions:
    """Settle encoding, separator, header and the lines above it; the decimal sign too, unless it is to be found."""
    if not options.guess:
        plain = {"sep": usual, "decimal": ".", "encoding": "utf-8", "header": True}
        return options.model_copy(update={key: value for key, value in plain.items() if getattr(options, key) is None})
    encoding = options.encoding or dialects.encoding_of(path, compression)
    if encoding not in ("utf-8", options.encoding):
        notes.append(dialects.encoding_note(path, compression, encoding))
    lines = dialects.sample(path, compression, encoding)
    sep = options.sep or dialects.separator(lines[options.skip :], usual)
    if sep != (options.sep or usual):
        notes.append(f"fields are separated by {WORDS[sep]} (--sep)")
    skip = options.skip or dialects.title_lines(lines, sep)
    if skip != options.skip:
        notes.append(f"{skip} lines above the header are left out, as '{shortened(lines[0])}' (--skip)")
    rows = [row for row in dialects.fields(lines[skip:], sep) if row]
    if options.header is None and len(rows) > 1:
        refuse_values_as_names(rows, str(path))
    return options.model_copy(
        update={"encoding": encoding, "sep": sep, "skip": skip, "header": options.header is not False}
    )


def _read_fields(path: Path, compression: Any, options: TableOptions, notes: list[str]) -> pd.DataFrame:
    sep = str(options.sep)
    fields: dict[str, Any] = {
        "sep": r"\s+" if sep == "whitespace" else sep[0],
        "encoding": options.encoding,
        "skiprows": options.skip,
        **({"skipinitialspace": True} if sep[1:] == " " else {}),
    }
    first = _csv(path, compression, header=None, nrows=1, dtype=str, keep_default_na=False, **fields)
    if options.header:
        refuse_duplicates([str(name) for name in first.iloc[0]], path)
    else:
        fields |= {"header": None, "names": [f"column_{k + 1}" for k in range(first.shape[1])]}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        fields |= {
            "index_col": False,
            "na_values": MISSING_MARKS,
            "low_memory": False,
            "decimal": options.decimal or ".",
        }
        frame = _csv(path, compression, **fields)
        return _with_digits(frame, path, compression, options=fields, notes=notes)


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
        with opened(path, compression) as lines:
            cells = from_lines(lines, rounded)
        changes = {}
        for name in rounded:
            changes[name], note = exact_numbers(cells[name], frame[name])
            notes += [note] if note else []
        return frame.assign(**changes)
    except (*UNREADABLE, ValueError, EOFError, OSError) as error:
        raise CodsaError(f"{path}: not readable as a JSON object a line ({error})") from None


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
