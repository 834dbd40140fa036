"""The files of an export: a table, lines of JSON, a folder of images, or a Hugging Face data set."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from codsa.data.schema import Column
from codsa.errors import CodsaError
from codsa.export.rows import ExportedRows
from codsa.io.array_columns import arrays
from codsa.io.image_codec import CHANNELS, encode
from codsa.io.tables import write_parquet

FORMATS = ("csv", "parquet", "images", "jsonl", "huggingface")
FILE_NAME = "file_name"
"""The column of `metadata.csv` that names the image, as Hugging Face's image folders have it."""


def written(rows: ExportedRows, kind: str) -> ExportedRows:
    """Return the rows with the columns that a format can hold.

    Raises
    ------
    CodsaError
        For a format that suits other data.
    """
    images = [c.name for c in rows.columns if c.type == "image"]
    if kind == "images" and len(images) != 1:
        raise CodsaError(f"--format images: the study has {len(images)} columns of images; give another format")
    if kind in ("csv", "jsonl"):
        if images:
            raise CodsaError(f"--format {kind}: column '{images[0]}' holds images; give images, parquet or huggingface")
        embeddings = [c.name for c in rows.columns if c.is_text_embedding]
        vector = next((c for c in rows.columns if c.type == "vector" and not c.is_text_embedding), None)
        if vector is not None:
            raise CodsaError(f"--format {kind}: column '{vector.name}' holds vectors; give parquet or huggingface")
        return rows.without(embeddings)
    return rows


def left_out(rows: ExportedRows, kept: ExportedRows) -> list[str]:
    """Say which columns a format leaves out."""
    names = [c.name for c in rows.columns if c not in kept.columns]
    return [f"column '{name}' (embeddings of a text) is left out; --format parquet has it" for name in names]


def write_rows(folder: Path, rows: ExportedRows, kind: str) -> list[Path]:
    """Write the files of a format, and return their paths in the folder; the table first."""
    return WRITERS[kind](folder, rows)


def _write_csv(folder: Path, rows: ExportedRows) -> list[Path]:
    path = folder / "data.csv"
    rows.frame.to_csv(path, index=False, lineterminator="\n")
    return [path]


def _write_parquet(folder: Path, rows: ExportedRows) -> list[Path]:
    path = folder / "data.parquet"
    write_parquet(path, rows.frame)
    return [path]


def _write_jsonl(folder: Path, rows: ExportedRows) -> list[Path]:
    path = folder / "data.jsonl"
    names = list(rows.frame.columns)
    columns = [_plain(rows.frame[name]) for name in names]
    with path.open("w", encoding="utf-8") as file:
        for values in zip(*columns, strict=True):
            file.write(json.dumps(dict(zip(names, values, strict=True)), ensure_ascii=False) + "\n")
    return [path]


def _plain(values: pd.Series) -> list[Any]:
    """Return a column in JSON's types: dates as ISO texts, missing values as null."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return [None if pd.isna(v) else v.isoformat() for v in values]
    plain: list[Any] = [None if pd.isna(v) else v for v in values]
    return [v.item() if hasattr(v, "item") else v for v in plain]


def _write_images(folder: Path, rows: ExportedRows) -> list[Path]:
    """Write PNG files into folders by kind and region, and a table that names them."""
    column = next(c for c in rows.columns if c.type == "image")
    if (column.shape or [0, 0, 0])[2] not in CHANNELS.values():
        raise CodsaError(
            f"column '{column.name}': its images have {column.shape} values, which no PNG holds; give parquet"
        )
    names = _image_names(rows)
    for name, pixels in zip(names, arrays(rows.frame[column.name]), strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(pixels))
    table = rows.frame.drop(columns=[column.name, *(c.name for c in rows.columns if c.type == "vector")])
    table.insert(0, FILE_NAME, names)
    path = folder / "metadata.csv"
    table.to_csv(path, index=False, lineterminator="\n")
    return [path]


def _image_names(rows: ExportedRows) -> list[str]:
    places: dict[tuple[str, str], int] = {}
    names = []
    for synthetic, region in zip(rows.synthetic, rows.region, strict=True):
        key = ("synthetic" if synthetic else "real", slug(str(region)))
        places[key] = places.get(key, 0) + 1
        names.append(f"images/{key[0]}/{key[1]}/{places[key]:06d}.png")
    return names


def slug(text: str) -> str:
    """Return a text as a part of a path."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", text).strip("_.")[:60] or "region"


def _write_huggingface(folder: Path, rows: ExportedRows) -> list[Path]:
    if any(c.type == "image" for c in rows.columns):
        return _write_images(folder, rows)
    path = folder / "data" / "train-00000-of-00001.parquet"
    path.parent.mkdir()
    write_parquet(path, rows.frame)
    return [path]


WRITERS: dict[str, Callable[[Path, ExportedRows], list[Path]]] = {
    "csv": _write_csv,
    "parquet": _write_parquet,
    "images": _write_images,
    "jsonl": _write_jsonl,
    "huggingface": _write_huggingface,
}


def type_of(column: Column) -> str:
    """Return the type of a column for a reader of the card."""
    if column.is_array:
        return f"{column.type} {'×'.join(map(str, column.shape or []))}"
    return column.type
