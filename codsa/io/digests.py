"""Digests of files, values and tables: SHA-256, in hexadecimal."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from codsa.errors import CodsaError
from codsa.io.records import to_json

CHUNK_ROWS = 1 << 16
"""Rows that are hashed at a time."""

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest(content: Any) -> str:
    """Return the SHA-256 of a JSON-like value, in hexadecimal."""
    return hashlib.sha256(to_json(content).encode()).hexdigest()


def frame_digest(*parts: pd.DataFrame) -> str:
    """Return the SHA-256 of a table's logical content: names, types and values in order.

    It does not depend on how the rows were stored: a table and its parts in order have the same digest.
    """
    return parts_digest(
        part.iloc[start : start + CHUNK_ROWS] for part in parts for start in range(0, max(len(part), 1), CHUNK_ROWS)
    )


def parts_digest(parts: Iterable[pd.DataFrame]) -> str:
    """Return the `frame_digest` of the parts of a table, at least one, which are read one at a time."""
    rows, empty = hashlib.sha256(), True
    for part in parts:
        if empty:  # a part without rows may lack types
            typed = digest([[name, str(dtype)] for name, dtype in part.dtypes.items()])
            rows = hashlib.sha256(typed.encode())
            empty = len(part) == 0
        rows.update(pd.util.hash_pandas_object(_without_masks(part), index=False).to_numpy().tobytes())
    return rows.hexdigest()


def _without_masks(part: pd.DataFrame) -> pd.DataFrame:
    """Return a table with each nullable column of numbers as two: its values, and where they are missing.

    pandas hashes equal values differently where another value of a nullable column is missing.
    """
    columns: dict[Any, Any] = {}
    for name, values in part.items():
        if isinstance(values.dtype, pd.Int64Dtype | pd.BooleanDtype):
            columns[name, "gap"] = values.isna().to_numpy()
            columns[name, "value"] = values.to_numpy("int64", na_value=0)
        else:
            columns[name, "value"] = values
    return pd.DataFrame(columns, index=part.index)


def check_sha256(text: str) -> str:
    """Return a SHA-256 in lower case, or raise a `CodsaError` for a text that is none."""
    if not _SHA256.fullmatch(text):
        raise CodsaError(f"sha256 '{text}': a SHA-256 has 64 hexadecimal digits (sha256sum prints it)")
    return text.lower()
