"""Rows as files that other tools read: CSV, Parquet, images with a table, JSON lines, a Hugging Face data set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from codsa.data.schema import Column
from codsa.errors import CodsaError
from codsa.io.array_columns import ArrayDtype, arrays
from codsa.io.files import atomic_write
from codsa.io.image_codec import CHANNELS, encode
from codsa.io.tables import write_parquet

FILES = {
    "csv": "data.csv",
    "parquet": "data.parquet",
    "images": "metadata.csv",
    "jsonl": "data.jsonl",
    "huggingface": "data/train-00000-of-00001.parquet",
}
"""The file of the rows by format."""
IMAGES, FILE_NAME = "images", "file_name"
"""The folder of images, and the column that names each row's image."""


def check_format(name: str, columns: Sequence[Column]) -> None:
    """Raise a `CodsaError` for rows that a format cannot hold.

    Parameters
    ----------
    name : str
        A key of `FILES`.
    columns : sequence of Column
    """
    images = [c for c in columns if c.type == "image"]
    if name in ("csv", "jsonl") and images:
        raise CodsaError(f"--format {name}: column '{images[0].name}' holds images; take images, parquet, huggingface")
    if name != "images":
        return
    if len(images) != 1:
        raise CodsaError(f"--format images: the rows have {len(images)} columns of images, not one; take parquet")
    channels = (images[0].shape or [0, 0, 0])[2]
    if channels not in CHANNELS.values():
        raise CodsaError(f"--format images: '{images[0].name}' has {channels} channels, which PNG lacks; take parquet")
    if any(c.name == FILE_NAME for c in columns):
        raise CodsaError(f"--format images: column '{FILE_NAME}' is there already; take parquet")


def write_rows(folder: Path, frame: pd.DataFrame, columns: Sequence[Column], name: str) -> list[str]:
    """Write rows in one format.

    Parameters
    ----------
    folder : Path
        Of the export.
    frame : DataFrame of n rows
    columns : sequence of Column
        The study's columns in `frame`.
    name : str
        A key of `FILES`.

    Returns
    -------
    list of str
        The files written: that of the rows, then the images.
    """
    path = folder / FILES[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    images: list[str] = []
    if name == "images":
        image = next(c.name for c in columns if c.type == "image")
        images = _write_images(folder, frame[image])
        frame = frame.drop(columns=image)
        frame.insert(0, FILE_NAME, images)
    if name in ("parquet", "huggingface"):
        write_parquet(path, frame)
    elif name == "jsonl":
        _write_lines(path, frame)
    else:
        with atomic_write(path) as part:
            _as_cells(frame).to_csv(part, index=False, lineterminator="\n")
    return [FILES[name], *images]


def _write_images(folder: Path, values: pd.Series) -> list[str]:
    (folder / IMAGES).mkdir()
    digits = max(len(str(len(values) - 1)), 5)
    names = [f"{IMAGES}/{k:0{digits}d}.png" for k in range(len(values))]
    for name, pixels in zip(names, arrays(values), strict=True):
        (folder / name).write_bytes(encode(pixels))
    return names


def _as_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose vectors are texts of JSON."""
    vectors = [name for name, dtype in frame.dtypes.items() if isinstance(dtype, ArrayDtype)]
    return frame.assign(**{str(name): [json.dumps(v) for v in arrays(frame[name]).tolist()] for name in vectors})


def _write_lines(path: Path, frame: pd.DataFrame) -> None:
    values = [_plain_values(frame[name]) for name in frame]
    names = list(map(str, frame))
    with atomic_write(path) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        for row in zip(*values, strict=True):
            file.write(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, allow_nan=False) + "\n")


def _plain_values(values: pd.Series) -> list[Any]:
    """Return a column as JSON has it: dates in ISO form, missing as null."""
    if isinstance(values.dtype, ArrayDtype):
        listed: list[Any] = arrays(values).tolist()
        return listed
    if pd.api.types.is_datetime64_any_dtype(values):
        return [None if pd.isna(value) else value.isoformat() for value in values]
    objects = values.astype(object)
    return [None if pd.isna(v) else v.item() if hasattr(v, "item") else v for v in objects]
