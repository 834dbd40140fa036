"""Files that are whole or absent: atomic writes, digests and manifests."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from codsa import __version__
from codsa.errors import CodsaError
from codsa.payload import PayloadDtype

CHUNK = 1 << 16
"""Rows that are hashed at a time."""
ROW_GROUP = 1 << 17
"""Rows that a reader of a Parquet file takes at once."""
LIBRARIES = (
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "imbalanced-learn",
    "torch",
    "diffusers",
    "transformers",
    "sentence-transformers",
)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a temporary file or folder name and rename it to `path` at the end.

    After an error (a full disk, say) neither `path` nor the temporary one is left half-written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{_writer()}.part"
    _remove(temporary)
    try:
        yield temporary
        if path.is_dir() and temporary.is_dir():
            shutil.rmtree(path)
        _share(temporary)
        os.replace(temporary, path)
    finally:
        _remove(temporary)


@contextmanager
def together(*paths: Path) -> Iterator[list[Path]]:
    """Give temporary names for files that belong together, and rename all of them at the end.

    When the writing of one fails, what was there before is left as it was. A file that is not
    written takes its old one away.
    """
    parts = [path.parent / f".{path.name}.{_writer()}.new" for path in paths]
    try:
        yield parts
        for part, path in zip(parts, paths, strict=True):
            if part.exists():
                _share(part)
                os.replace(part, path)
            else:
                path.unlink(missing_ok=True)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def _share(written: Path) -> None:
    """Give files the permissions that the umask leaves others; some libraries keep theirs to the owner."""
    mask = os.umask(0o077)
    os.umask(mask)
    for path in [written] if written.is_file() else written.rglob("*"):
        wanted = 0o666 & ~mask
        if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o777 != wanted:
            with suppress(OSError):  # a file system without permissions
                path.chmod(wanted)


def _writer() -> str:
    """Return a name that no other process has at the moment, on whatever machine that shares the folder."""
    return f"{socket.gethostname()}-{os.getpid()}"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """Turn numpy scalars, tuples and non-finite numbers into what JSON can hold."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def to_json(content: Any) -> str:
    """Return canonical JSON: sorted keys, two spaces, non-finite numbers as null."""
    return json.dumps(_plain(content), sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys, atomically."""
    text = to_json(content)
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file; a missing or broken one is a `CodsaError` naming it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CodsaError(f"{path}: no such file; run the stage that writes it first") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CodsaError(f"{path}: not readable as JSON ({error}); delete it and re-run") from None


def as_table(frame: pd.DataFrame, types: Any = None) -> Any:
    """Return rows as a pyarrow Table that any reader of Parquet understands: arrays as what they are stored as."""
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, types, preserve_index=False)
    own = [name for name, dtype in frame.dtypes.items() if isinstance(dtype, PayloadDtype)]
    if not own:
        return table
    facts = json.loads(table.schema.metadata[b"pandas"])
    for column in facts["columns"]:
        column["numpy_type"] = "object" if column["name"] in own else column["numpy_type"]
    return table.replace_schema_metadata({b"pandas": json.dumps(facts).encode()})


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Write a Parquet file (zstd), atomically and without an index."""
    import pyarrow.parquet as pq

    with whole(path) as part:
        pq.write_table(as_table(frame), part, compression="zstd", row_group_size=ROW_GROUP)


def write_parquet_groups(path: Path, groups: Iterable[pd.DataFrame], types: Any = None) -> None:
    """Write tables of the same columns and types into one Parquet file (zstd), atomically, each as a row group.

    One group at a time is in memory.

    Parameters
    ----------
    groups : iterable of DataFrame
        At least one.
    types : pyarrow.Schema, optional
        How the columns are stored; otherwise the first group settles it.
    """
    import pyarrow.parquet as pq

    tables = (as_table(group, types) for group in groups)
    first = next(tables)
    with whole(path) as part, pq.ParquetWriter(part, first.schema, compression="zstd") as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table.cast(first.schema))


def read_parquet(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a Parquet file; a missing or truncated one is a `CodsaError` naming it."""
    from pyarrow.lib import ArrowException

    try:
        return pd.read_parquet(path, columns=columns)
    except FileNotFoundError:
        raise CodsaError(f"{path}: no such file; run the stage that writes it first") from None
    except (ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CodsaError(
            f"{path}: not readable as Parquet ({reason}); it may be truncated: delete it and write it again"
        ) from None


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest(content: Any) -> str:
    """Return the SHA-256 of a JSON-like value, in hexadecimal."""
    return hashlib.sha256(to_json(content).encode()).hexdigest()


def frame_digest(*parts: pd.DataFrame) -> str:
    """Return the SHA-256 of a table's logical content: names, types and values in order.

    It does not depend on how the rows were stored: one table or several parts of it give the same.
    """
    return parts_digest(part.iloc[i : i + CHUNK] for part in parts for i in range(0, max(len(part), 1), CHUNK))


def parts_digest(parts: Iterable[pd.DataFrame]) -> str:
    """Return `frame_digest` of parts of a table that come one at a time; one at least."""
    rows, empty = hashlib.sha256(), True
    for part in parts:
        if empty:  # a part without rows may lack types
            typed = digest([[name, str(dtype)] for name, dtype in part.dtypes.items()])
            rows = hashlib.sha256(typed.encode())
            empty = len(part) == 0
        rows.update(pd.util.hash_pandas_object(_without_masks(part), index=False).to_numpy().tobytes())
    return rows.hexdigest()


def _without_masks(part: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose nullable numbers stand as values and gaps apart.

    pandas hashes a nullable column with gaps otherwise than one without, whatever the values.
    """
    columns: dict[Any, Any] = {}
    for name, values in part.items():
        if isinstance(values.dtype, pd.Int64Dtype | pd.BooleanDtype):
            columns[name, "gap"] = values.isna().to_numpy()
            columns[name, "value"] = values.to_numpy("int64", na_value=0)
        else:
            columns[name, "value"] = values
    return pd.DataFrame(columns, index=part.index)


def versions() -> dict[str, str]:
    """Return the versions of the libraries that can change a result, where installed."""
    found = {"codsa": __version__}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def write_manifest(
    path: Path,
    stage: str,
    inputs: Mapping[str, str],
    parameters: Mapping[str, Any],
    outputs: Mapping[str, str],
    **facts: Any,
) -> None:
    """Write the record of an artefact: what made it, from what, with which settings.

    It holds no times and no paths, so the same work gives the same bytes.

    Parameters
    ----------
    path : Path
        Where the manifest goes.
    stage : str
        The stage that made the artefact.
    inputs, outputs : mapping of name to SHA-256
        What was read and what was written.
    parameters : mapping
        The settings of the stage, the seed included.
    **facts
        What else a later stage or the report wants to know.
    """
    record = {
        "stage": stage,
        "inputs": dict(inputs),
        "outputs": dict(outputs),
        "parameters": dict(parameters),
        "versions": versions(),
        **facts,
    }
    write_json(path, record)


def verify(path: Path, expected: str) -> None:
    """Check a file against its digest; a missing or changed one is a `CodsaError`."""
    if not path.exists():
        raise CodsaError(f"{path}: no such file, though its manifest lists it; re-run its stage")
    if file_digest(path) != expected:
        raise CodsaError(
            f"{path}: its content differs from its manifest (truncated or edited); delete it and re-run its stage"
        )
