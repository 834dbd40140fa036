"""Sources of images: folders, idx, npz, Parquet, a Hugging Face data set; labelled, not yet decoded."""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.unicode import composed
from codsa.data.whole_numbers import are_whole, arrow_frame, keep_exact, parsed
from codsa.errors import CodsaError, suggest
from codsa.io.image_codec import BrokenImage
from codsa.io.records import read_as
from codsa.readers.places import byte_columns, holds_bytes
from codsa.settings.sources import Part

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
HF_MARKS = ("dataset_info.json", "state.json", "dataset_dict.json")
FILE_COLUMNS = ("file", "file_name", "filename", "path", "image", "name")
"""Names of the column of file names in a table of labels."""
_FIELD = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True)
class ImageSource:
    """The images of a part, located and not yet decoded.

    Attributes
    ----------
    images : sequence
        Paths, encoded bytes, or arrays of shape (height, width, channels).
    table : DataFrame
        A row per image: `file`, and its labels.
    """

    images: Sequence[Path | bytes | np.ndarray] | np.ndarray
    table: pd.DataFrame


def find(part: Part) -> ImageSource:
    """Find the images of a part.

    Raises
    ------
    CodsaError
        For a part without images, missing labels, or a broken file.
    """
    path = part.path
    if not path.exists():
        raise CodsaError(f"{path}: no such file or folder")
    _refuse_irregular(path)
    source = _reader(path)(part)
    if not len(source.images):
        raise CodsaError(f"{path}: no images found; known are {', '.join(sorted(SUFFIXES))}, idx, npz and Parquet")
    clashing = [name for name in part.columns if name in source.table]
    if clashing:
        raise CodsaError(f"{path}: columns: '{clashing[0]}' is there already; give it another name")
    return ImageSource(source.images, keep_exact(source.table.assign(**part.columns)))


def _refuse_irregular(path: Path) -> None:
    """Raise a `CodsaError` for a pipe or device, or a folder in which one would be read."""
    from codsa.io.files import refuse_irregular

    refuse_irregular(path)
    readable_suffixes = {*SUFFIXES, ".parquet", ".arrow", ".json"}
    for inner in path.rglob("*") if path.is_dir() else []:
        if inner.suffix.lower() in readable_suffixes:
            refuse_irregular(inner)


def _reader(path: Path) -> Callable[[Part], ImageSource]:
    name = path.name.lower().removesuffix(".gz")
    if path.is_dir():
        marked = any((path / mark).exists() for mark in HF_MARKS)
        stored = any(path.rglob("*.parquet")) or any(path.rglob("*.arrow"))
        return _data_set if marked or stored else _folder
    for ending, reader in ((".npz", _npz), ("ubyte", _idx), (".idx", _idx), (".parquet", _parquet)):
        if name.endswith(ending):
            return reader
    raise CodsaError(f"{path}: not known as images; give a folder, idx, npz, Parquet or a Hugging Face data set")


def _folder(part: Part) -> ImageSource:
    root = part.path
    files = sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    table = pd.DataFrame({"file": [p.relative_to(root).as_posix() for p in files]}, dtype=object)
    if part.labels is not None:
        return ImageSource(files, _from_table(table, part.labels))
    if part.pattern is not None:
        return ImageSource(files, _from_names(table, part.pattern))
    folders = [p.relative_to(root).parent.as_posix() for p in files]
    return ImageSource(files, table.assign(label=folders) if any(f != "." for f in folders) else table)


def _from_names(table: pd.DataFrame, pattern: str) -> pd.DataFrame:
    """Read labels from file names; they are missing where a name does not follow the pattern."""
    fields = _FIELD.findall(pattern)
    label_names = [f for f in fields if f and not f.startswith("_")]
    if not label_names or len(set(label_names)) < len(label_names) or not all(f.isidentifier() for f in label_names):
        raise CodsaError(f"pattern '{pattern}': name each part once by a word, as '{{age}}_{{gender}}_{{_}}.jpg'")
    parts = _FIELD.split(composed(pattern))
    groups = [f"(?P<{w}>[^_/]+)" if w in label_names else ".*?" for w in parts[1::2]]
    literals = [re.escape(w) for w in parts[0::2]]
    regex = re.compile(literals[0] + "".join(n + t for n, t in zip(groups, literals[1:], strict=True)))
    matches = [regex.fullmatch(composed(Path(name).name)) for name in table["file"]]
    if not any(matches):
        raise CodsaError(f"pattern '{pattern}': no file name follows it, as '{(table['file'].tolist() or ['-'])[0]}'")
    labels = {f: pd.Series([match[f] if match else None for match in matches], dtype=object) for f in label_names}
    return table.assign(**{f: _numbers_if_all(v) for f, v in labels.items()})


def _numbers_if_all(values: pd.Series) -> pd.Series:
    try:
        numbers = parsed(values)
    except (ValueError, TypeError):
        return values
    return numbers if pd.api.types.is_float_dtype(numbers) or are_whole(numbers.dropna()) else values


def _from_table(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Join labels by file name, with or without its folders and suffix; they are missing for files without a row."""
    from codsa.readers.tables import read_table
    from codsa.settings.tables import TableOptions

    labels = read_table(path, options=TableOptions(header=True))  # a column names the files
    key = next((name for name in FILE_COLUMNS if name in labels), None)
    if key is None:
        raise CodsaError(
            f"{path}: no column names the files; call it '{FILE_COLUMNS[0]}' (there are {list(labels.columns)})"
        )
    names = labels[key].astype(str)
    if names.duplicated().any():
        raise CodsaError(f"{path}: file '{names[names.duplicated()].iloc[0]}' stands twice; give each file one row")
    short_forms = (lambda f: f, lambda f: Path(f).name, lambda f: Path(f).stem)
    position_of = pd.Series(np.arange(len(names)), index=names)
    rows = np.full(len(table), -1)
    for shorten in short_forms:
        positions = position_of.reindex([composed(shorten(f)) for f in table["file"]]).to_numpy(
            dtype=float, na_value=-1
        )
        rows = np.where(rows < 0, positions, rows).astype(int)
    if (rows < 0).all():
        raise CodsaError(f"{path}: names none of the {len(table)} files, as '{(table['file'].tolist() or ['-'])[0]}'")
    others = labels.drop(columns=[key])
    joined = others.reindex(rows).reset_index(drop=True)
    return pd.concat([table, joined], axis=1)


def read_idx(path: Path) -> np.ndarray:
    """Read an idx file (LeCun), gzipped or not.

    Returns
    -------
    ndarray of uint8
    """
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise CodsaError(f"{path}: not readable ({error}); it may be truncated: fetch it again") from None
    if len(data) < 4 or data[:3] != b"\0\0\x08" or not 1 <= data[3] <= 4:
        raise CodsaError(f"{path}: not an idx file of bytes")
    n_dimensions = data[3]
    shape = (
        struct.unpack(f">{n_dimensions}I", data[4 : 4 + 4 * n_dimensions])
        if len(data) >= 4 + 4 * n_dimensions
        else (0,)
    )
    if len(data) != 4 + 4 * n_dimensions + math.prod(shape):
        raise CodsaError(f"{path}: {len(data)} bytes do not hold {shape}; it is truncated: fetch it again")
    return np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * n_dimensions).reshape(shape)


def _idx(part: Part) -> ImageSource:
    pixels = read_idx(part.path)
    if pixels.ndim not in (3, 4):
        raise CodsaError(f"{part.path}: holds {pixels.ndim} dimensions, images have 3 or 4; give the file of images")
    labels_name = re.sub(r"images([-.])idx\d", r"labels\1idx1", part.path.name)
    labels = part.labels or part.path.with_name(labels_name)
    if labels == part.path or not labels.exists():
        raise CodsaError(f"{part.path}: its labels '{labels.name}' are not there; give labels")
    label_array = read_idx(labels)
    if label_array.shape != (len(pixels),):
        raise CodsaError(f"{labels}: holds {label_array.shape} labels for {len(pixels)} images")
    return _arrays(pixels, {"label": label_array.astype(np.int64)}, part)


def _npz(part: Part) -> ImageSource:
    try:
        with np.load(part.path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # numpy and zipfile raise many kinds
        raise CodsaError(f"{part.path}: not readable as npz ({error})") from None
    array_of = dict(part.arrays) or _guessed(arrays, part.path)
    for name in array_of.values():
        if name not in arrays:
            raise CodsaError(f"{part.path}: no array '{name}'; {suggest(name, arrays)}")
    if "image" not in array_of:
        raise CodsaError(f"{part.path}: arrays: say which is 'image'; it holds {', '.join(arrays)}")
    pixels = arrays[array_of.pop("image")]
    for name in array_of.values():
        if arrays[name].shape != (len(pixels),):
            raise CodsaError(
                f"{part.path}: array '{name}' has shape {arrays[name].shape}, the images are {len(pixels)}"
            )
    return _arrays(pixels, {column: arrays[name] for column, name in array_of.items()}, part)


def _guessed(arrays: Mapping[str, np.ndarray], path: Path) -> dict[str, str]:
    stacks = [name for name, array in arrays.items() if array.ndim in (3, 4)]
    if len(stacks) != 1:
        raise CodsaError(f"{path}: {len(stacks)} arrays may be images; say 'arrays: {{image: …, label: …}}'")
    label_names = [name for name, array in arrays.items() if array.shape == (len(arrays[stacks[0]]),)]
    return {"image": stacks[0], **{("label" if len(label_names) == 1 else name): name for name in label_names}}


def _arrays(pixels: np.ndarray, columns: Mapping[str, np.ndarray], part: Part) -> ImageSource:
    if pixels.dtype != np.uint8:
        low, high = (float(pixels.min()), float(pixels.max())) if pixels.size else (0.0, 0.0)
        if not (pixels.dtype.kind == "f" and low >= 0 and high <= 1):
            raise CodsaError(
                f"{part.path}: images of type {pixels.dtype} from {low:g} to {high:g}; give bytes (uint8) or [0, 1]"
            )
        pixels = np.round(pixels * 255).astype(np.uint8)
    pixels = pixels[..., None] if pixels.ndim == 3 else pixels
    names = [f"{part.path.name}:{i}" for i in range(len(pixels))]
    return ImageSource(pixels, pd.DataFrame({"file": pd.Series(names, dtype=object), **columns}))


def _parquet(part: Part) -> ImageSource:
    from codsa.readers.tables import read_exact

    return _from_rows(read_exact(part.path), byte_columns(part.path), part)


def _from_rows(rows: pd.DataFrame, columns: list[str], part: Part) -> ImageSource:
    if part.column is not None and part.column not in rows:
        raise CodsaError(f"{part.path}: no column '{part.column}'; {suggest(part.column, rows.columns)}")
    if part.column is None and len(columns) != 1:
        raise CodsaError(f"{part.path}: {len(columns)} columns hold bytes; say which is the image with column")
    name = part.column or columns[0]
    cells = [value.get("bytes") if isinstance(value, dict) else value for value in rows[name]]
    paths = [value.get("path") if isinstance(value, dict) else None for value in rows[name]]
    others = rows.drop(columns=[name]).rename(columns={"image": "image_"})
    if "file" not in others:
        others.insert(0, "file", [p or f"{part.path.name}:{i}" for i, p in enumerate(paths)])
    return ImageSource([cell if isinstance(cell, bytes) else b"" for cell in cells], others.reset_index(drop=True))


def _data_set(part: Part) -> ImageSource:
    """Read a folder written by `datasets`: save_to_disk's Arrow files, or a hub's Parquet files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    root = _split_folder(part)
    arrow = sorted(root.glob("*.arrow")) or sorted(root.rglob("*.arrow"))
    if (root / "state.json").exists():
        arrow = [root / name for name in _data_files(root / "state.json")]
    files = arrow or [p for p in sorted(root.rglob("*.parquet")) if part.split is None or part.split in p.name]
    if not files:
        raise CodsaError(f"{part.path}: no Arrow or Parquet file of split '{part.split}'")
    try:
        tables = [pa.ipc.open_stream(p).read_all() if p in arrow else pq.read_table(p) for p in files]
    except (pa.ArrowException, OSError) as error:
        raise CodsaError(f"{part.path}: not readable as a data set ({str(error).splitlines()[0]})") from None
    table = pa.concat_tables(tables)
    return _from_rows(arrow_frame(table), [f.name for f in table.schema if holds_bytes(f.type)], part)


def _data_files(state: Path) -> list[str]:
    """Return the names of the Arrow files in a data set's state.json."""
    record = read_as(state, dict[str, Any])
    files = record.get("_data_files")
    names = [file.get("filename") for file in files if isinstance(file, dict)] if isinstance(files, list) else []
    file_names = [name for name in names if isinstance(name, str) and Path(name).name == name]
    if not file_names or len(file_names) < len(names):
        raise CodsaError(f"{state}: '_data_files' is {str(files)[:60]}; it lists files of its folder, by 'filename'")
    return file_names


def _split_folder(part: Part) -> Path:
    if not (part.path / "dataset_dict.json").exists():
        return part.path
    splits = read_as(part.path / "dataset_dict.json", dict[str, list[str]]).get("splits", [])
    if part.split not in splits:
        raise CodsaError(f"{part.path}: split '{part.split}': it has {', '.join(splits)}; give one as split")
    return part.path / str(part.split)


def load(image: Path | bytes | np.ndarray, name: str) -> Any:
    """Return an image opened by PIL; an array is returned as it is.

    Raises
    ------
    BrokenImage
        For an unreadable or empty file, and as `open_image`.
    """
    from codsa.io.image_codec import open_image

    if isinstance(image, np.ndarray):
        return image
    try:
        data = image.read_bytes() if isinstance(image, Path) else image
    except OSError as error:
        raise BrokenImage(f"{name}: not readable ({error.strerror})") from None
    if not data:
        raise BrokenImage(f"{name}: the file is empty")
    return open_image(data, name)
