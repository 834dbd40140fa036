"""Whether a path holds images or a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def holds_images(path: Path) -> bool:
    """Say whether images are read from a path, by its name or its content."""
    name = path.name.lower().removesuffix(".gz")
    if path.is_dir() or name.endswith((".npz", "ubyte", ".idx")):
        return True
    return name.endswith(".parquet") and path.is_file() and bool(byte_columns(path))


def byte_columns(path: Path) -> list[str]:
    """Return the columns of a Parquet file that hold bytes, or structs of bytes and path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError):
        return []
    return [f.name for f in schema if holds_bytes(f.type)]


def holds_bytes(arrow_type: Any) -> bool:
    """Say whether values of an Arrow type may be encoded images: bytes, or a struct that has them."""
    import pyarrow as pa

    is_binary = pa.types.is_binary(arrow_type) or pa.types.is_large_binary(arrow_type)
    return bool(is_binary or (pa.types.is_struct(arrow_type) and arrow_type.get_field_index("bytes") >= 0))
