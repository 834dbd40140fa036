"""What the modality of a set of rows adds to the rules: options, inputs and code beyond those of plain tables."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from codsa.readers.places import holds_images
from codsa.readers.spreadsheets import SUFFIXES
from codsa.readers.text_tables import JSON_LINES, SEPARATORS
from codsa.settings.registry import MODALITIES
from codsa.workflow.code_digests import IMAGES, OPTIONAL, TEXTS
from codsa.workflow.commands import options
from codsa.workflow.config import Data

TABLE_SUFFIXES = (*SEPARATORS, *JSON_LINES, *SUFFIXES)
"""A download or a missing file with another suffix may hold images."""


def prepare_options(data: Data, results: str) -> list[str]:
    """Return further options of codsa-prepare: for texts, the folder of embeddings that all studies share."""
    return options(embeddings=f"{results}/embeddings") if data.texts else []


def excluded_rows(data: Data, study_rows: str) -> list[str]:
    """Return the rows that an auxiliary set must not resemble: for texts, the study's own rows."""
    return [study_rows] if data.texts else []


def inverter_settings(data: Data) -> dict[str, Any]:
    """Return the settings of an inverter that the data give: the sentence encoder of their texts."""
    return {"encoder": data.texts.encoder} if data.texts and data.texts.encoder else {}


def round_trip_encoder(data: Data) -> str | None:
    """Return the encoder that embeds generated texts again in evaluation; None where there are no such texts."""
    if data.texts is None:
        return None
    column = data.columns.get(data.texts.column)
    return None if column is not None and column.role == "ignored" else data.texts.encoder


def reader_code(data: Data) -> list[str]:
    """Name the optional code that reads a set of rows: that of images, of texts."""
    images = data.parts is not None or may_have_images(data)
    return [*([IMAGES] if images else []), *([TEXTS] if data.texts is not None else [])]


def optional_code(sets: Iterable[Data]) -> list[str]:
    """Name the optional code that sets of rows need once they are prepared: that of images, of texts."""
    sets = list(sets)
    images = any(may_have_images(data) for data in sets)
    texts = any(data.texts is not None for data in sets)
    return [*([IMAGES] if images else []), *([TEXTS] if texts else [])]


def modality_modules(optional: Iterable[str]) -> list[str]:
    """Return the modules of the registered modalities, the optional ones only where they are named."""
    allowed = (None, *optional)
    modules = [entry.target.partition(":")[0] for entry in MODALITIES]
    return [module for module in modules if OPTIONAL.get(module) in allowed]


def may_have_images(data: Data) -> bool:
    """Say whether rows may have images; where their file does not exist yet, its suffix decides."""
    if data.url is not None:
        return not any(suffix in Path(data.url.partition("?")[0]).suffixes for suffix in TABLE_SUFFIXES)
    paths = [part.path for part in data.parts or []] if data.path is None else [data.path]
    return any(holds_images(Path(path)) or _may_hold_images(Path(path)) for path in paths)


def _may_hold_images(path: Path) -> bool:
    return not path.exists() and not any(suffix in path.suffixes for suffix in TABLE_SUFFIXES)
