"""A new table with the features of a study: read as the study's was, checked, and cast to the study's types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from codsa.data.schema import Column, Schema, cast
from codsa.data.whole_numbers import are_whole, to_whole
from codsa.errors import CodsaError, quoted_value, suggest
from codsa.io import array_columns
from codsa.readers.clean_texts import cleaned
from codsa.readers.datasets import read_parts
from codsa.readers.places import holds_images
from codsa.readers.tables import read_table
from codsa.settings.images import ImageOptions
from codsa.settings.sources import Part
from codsa.settings.tables import TableOptions

TRIED_VALUES = 1000
"""At most this many different values are tried to find one that a type cannot hold."""


@dataclass(frozen=True)
class NewTable:
    """The rows of a new table.

    Attributes
    ----------
    features : DataFrame of shape (n, d)
        The study's features, in its types.
    others : DataFrame of n rows
        What else tells the rows apart: columns that are no features, and not the target.
    notes : list of str
    """

    features: pd.DataFrame
    others: pd.DataFrame
    notes: list[str] = field(default_factory=list)


def read_new(
    path: Path, schema: Schema, table: TableOptions, images: ImageOptions, encoder: str | None = None
) -> NewTable:
    """Read a new table and return the features of a study.

    Parameters
    ----------
    path : Path
        A table, or a folder or file of images where the study's feature is an image.
    schema : Schema
        The study's: its names, types and roles.
    table, images : TableOptions, ImageOptions
        How the study's table was read.
    encoder : str, optional
        The sentence encoder, for a study whose feature is the embedding of a text.

    Raises
    ------
    CodsaError
        For a feature that the table lacks, or a value that its type cannot hold.
    """
    features = [schema.column(name) for name in schema.features]
    raw, notes = _read(path, features, table, images)
    raw = _with_embeddings(raw, features, encoder, path)
    names = [str(name) for name in raw.columns]
    lacking = [c.name for c in features if c.name not in names]
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise CodsaError(
            f"{path}: has no column '{lacking[0]}'{more}, a feature of the study; {suggest(lacking[0], names)}"
        )
    if schema.target in names:
        notes.append(f"column '{schema.target}', the study's target, is not read")
    notes += [note for c in features if (note := _unseen(raw[c.name], c))]
    typed = pd.DataFrame({c.name: _typed(raw[c.name], c, path) for c in features})
    used = {c.name for c in features} | {schema.target}
    others = [name for name in names if name not in used and not isinstance(raw[name].dtype, array_columns.ArrayDtype)]
    return NewTable(typed, raw[others], notes)


def _read(
    path: Path, features: Sequence[Column], table: TableOptions, images: ImageOptions
) -> tuple[pd.DataFrame, list[str]]:
    image = next((c for c in features if c.type == "image"), None)
    if image is not None:
        if not path.exists() or not holds_images(path):
            raise CodsaError(f"{path}: holds no images, and the study's feature '{image.name}' is one")
        height, width, channels = image.shape or (1, 1, 1)
        mode = {1: "L", 3: "RGB"}.get(channels)
        like = {"size": [height, width], "mode": mode, "fit": images.fit}
        raw = read_parts([Part(path=path)], ImageOptions.model_validate(like))
        return raw.held, list(raw.notes)
    names = {c.name for c in features}
    of_features = {key: {n: v for n, v in getattr(table, key).items() if n in names} for key in ("numbers", "dates")}
    notes: list[str] = []
    return read_table(path, notes=notes, options=table.model_copy(update=of_features)), notes


def _with_embeddings(raw: pd.DataFrame, features: Sequence[Column], encoder: str | None, path: Path) -> pd.DataFrame:
    """Return the table with the embeddings that are features, computed from its texts."""
    wanted = [c for c in features if c.is_text_embedding and c.name not in raw and str(c.of) in raw]
    if encoder is not None and not wanted:
        raise CodsaError(
            f"--encoder {encoder}: no feature of the study is the embedding of a text in {path}; leave it out"
        )
    for column in wanted:
        if encoder is None:
            raise CodsaError(f"{path}: feature '{column.name}' embeds '{column.of}'; give --encoder, that of the study")
        from codsa.encoders.sentences import SentenceEncoder

        sentences = SentenceEncoder(encoder)
        if sentences.digest != column.encoder:
            raise CodsaError(f"--encoder {encoder}: is not the encoder of the study's '{column.name}'; give that one")
        vectors = sentences.encode(_texts(raw[str(column.of)], str(column.of), path).tolist())
        raw = raw.assign(**{column.name: array_columns.column("vector", vectors)})
    return raw


def _texts(values: pd.Series, name: str, path: Path) -> pd.Series:
    missing = values.isna().to_numpy(dtype=bool)
    if missing.any():
        raise CodsaError(f"{path}: column '{name}': row {int(missing.argmax())} has no text; leave the row out")
    return values.astype(str).map(cleaned).astype("str")


def _typed(values: pd.Series, column: Column, path: Path) -> pd.Series:
    """Return a feature in the study's type."""
    if column.type == "text":
        return _texts(values, column.name, path)
    values = _as_levels(values, column)
    try:
        return cast(values, column)
    except CodsaError:
        raise CodsaError(
            f"{path}: column '{column.name}' is {column.type} in the study, which {_culprit(values, column)} is not; "
            "write its cells as the study's table has them"
        ) from None


def _as_levels(values: pd.Series, column: Column) -> pd.Series:
    """Return values of a category as its levels are written: a few rows alone may read as another type.

    Levels that are whole numbers are looked up as such, also beside a text that is no level; levels that are texts
    are looked up as texts, whatever the new cells look like.
    """
    if column.type != "categorical" or not column.levels or values.isna().all():
        return values
    if isinstance(column.levels[0], str):
        numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
        return to_whole(values) if numeric and are_whole(values.dropna()) else values
    if pd.api.types.is_numeric_dtype(values) and not are_whole(values.dropna()):
        values = values.where(values.isna() | (values == values.round()))
    numbers = pd.to_numeric(values, errors="coerce")
    return to_whole(numbers.where(numbers == numbers.round()))


def _unseen(values: pd.Series, column: Column) -> str | None:
    """Say which levels of a category the study has never seen; they count as its unseen levels at validation do."""
    if column.type != "categorical" or not column.levels:
        return None
    known = {str(level) for level in column.levels}
    spelled = _as_levels(values, column) if isinstance(column.levels[0], str) else values
    new = sorted({str(value) for value in spelled.dropna().unique()} - known)
    if not new:
        return None
    more = f" and {len(new) - 1} more" if len(new) > 1 else ""
    return (
        f"column '{column.name}': level {quoted_value(new[0])}{more} is not in the study and counts as an unseen level"
    )


def _culprit(values: pd.Series, column: Column) -> str:
    """Return one value that a type cannot hold, as Python writes it."""
    for value in values.dropna().unique()[:TRIED_VALUES]:
        if _refused(value, column):
            return quoted_value(value)
    return "one of its values"


def _refused(value: Any, column: Column) -> bool:
    try:
        cast(pd.Series([value]), column)
    except CodsaError:
        return True
    return False
