"""From what a user names to a raw table: a simulation, a table's file, tables or images of several places."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from codsa.data.expressions import parse
from codsa.data.unicode import composed, composed_table
from codsa.data.whole_numbers import stacked
from codsa.errors import CodsaError, suggest
from codsa.io.digests import digest, file_digest
from codsa.io.image_codec import Format
from codsa.readers.image_tables import read_images
from codsa.readers.images import Part, holds_images
from codsa.readers.intake import read_raw
from codsa.readers.simulations import simulate
from codsa.readers.tables import check_sha256, fetch, read_table, refuse_irregular

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Raw:
    """A raw table.

    Attributes
    ----------
    table : DataFrame, or Path of a Parquet file that is too large for memory
    origin : dict
        Where it comes from, for the manifest.
    notes : list of str
        What was left out, in words.
    """

    table: pd.DataFrame | Path
    origin: dict[str, Any]
    notes: list[str]

    @property
    def held(self) -> pd.DataFrame:
        """The table, read into memory if it is in its file."""
        return read_table(self.table) if isinstance(self.table, Path) else self.table


def read_simulation(name: str, rows: tuple[int, int], seed: int) -> Raw:
    """Draw a simulation's minority and majority rows."""
    return Raw(simulate(name, *rows, seed), {"simulation": name, "rows": list(rows), "seed": seed}, [])


def read_source(source: str, sha256: str | None, downloads: Path) -> Raw | Part:
    """Read a table from a path or a URL; a path that holds images is returned as a part to read."""
    if sha256 is not None:
        check_sha256(sha256)
    path = fetch(source, sha256, downloads) if "://" in source else Path(source)
    refuse_irregular(path)
    if holds_images(path):
        return Part(path)
    notes: list[str] = []
    table = read_raw(path, sha256, notes)
    return Raw(table, {"file": path.name, "sha256": file_digest(path)}, _logged(notes))


def _logged(notes: list[str]) -> list[str]:
    for note in notes:
        log.warning("%s", note)
    return notes


def read_parts(parts: Sequence[Part], wanted: Format, broken: str) -> Raw:
    """Read images (see `codsa.readers.image_tables.read_images`), or tables, which are put below each other."""
    for path in [path for part in parts for path in (part.path, part.labels) if path is not None]:
        refuse_irregular(path)
    if not any(holds_images(part.path) for part in parts):
        return _read_tables(parts)
    table, notes = read_images(parts, wanted, broken)
    table, respelt = composed_table(table)
    files = [one for part in parts for one in (part.path, part.labels) if one is not None]
    return Raw(table, {"images": {path.name: tree_digest(path) for path in files}}, notes + _logged(respelt))


def _read_tables(parts: Sequence[Part]) -> Raw:
    """Read tables; a column that some lack is missing there."""
    tables: list[pd.DataFrame] = []
    notes: list[str] = []
    for part in parts:
        told = [name for name in ("labels", "pattern", "column", "arrays", "split") if getattr(part, name)]
        if told:
            raise CodsaError(f"{part.path}: part: '{told[0]}' is for images, and this is a table")
        tables.append(read_table(part.path, notes=notes).assign(**part.columns))
    origin = {"tables": {part.path.name: file_digest(part.path) for part in parts}}
    return Raw(stacked(tables), origin, _logged(notes))


def kept(raw: Raw, expression: str | None) -> Raw:
    """Return the rows for which an expression holds (see `codsa.data.expressions`)."""
    if expression is None:
        return raw
    keep = parse(expression, "keep")
    table = raw.held
    rows = table[keep.truth(table)].reset_index(drop=True)
    if rows.empty:
        raise CodsaError(f"keep: no row is left by '{expression}'")
    return Raw(rows, {**raw.origin, "keep": expression}, raw.notes)


_KINDS = {
    "path": (str, "a text"),
    "labels": (str, "a text"),
    "pattern": (str, "a text"),
    "column": (str, "a text"),
    "split": (str, "a text"),
    "columns": (Mapping, "a mapping, as {domain: usps}"),
    "arrays": (Mapping, "a mapping of texts, as {image: X_train, label: y_train}"),
}
"""The keys of a part, and what each holds."""


def part_from(record: Any) -> Part:
    """Read a part from a JSON-like mapping with the fields of `Part`.

    Raises
    ------
    CodsaError
        For what is no mapping, an unknown key, a value of another type, or no path.
    """
    if not isinstance(record, Mapping) or not record.get("path"):
        raise CodsaError(f"part: '{record}': write it as '{{path: FOLDER, columns: {{domain: usps}}}}'")
    for key, value in record.items():
        if key not in _KINDS:
            raise CodsaError(f"part: '{key}' is not known; {suggest(str(key), _KINDS)}")
        kind, wanted = _KINDS[key]
        inner = value.items() if isinstance(value, Mapping) else []
        texts = all(isinstance(k, str) and (key != "arrays" or isinstance(v, str)) for k, v in inner)
        if value is not None and not (isinstance(value, kind) and texts):
            raise CodsaError(f"part: {key} is '{value}'; give {wanted}")
    given = {key: value for key, value in record.items() if value is not None}
    columns = {composed(name): _constant(name, value) for name, value in given.get("columns", {}).items()}
    labels = given.get("labels")
    paths = {"path": Path(given["path"]), "labels": None if labels is None else Path(labels)}
    return Part(**{**given, "columns": columns, **paths})


def _constant(name: str, value: Any) -> Any:
    if not isinstance(value, (str, int, float)):
        raise CodsaError(f"part: column '{name}' is '{value}'; give one text, number or truth value for all its rows")
    return composed(value) if isinstance(value, str) else value


def tree_digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of all files of a folder with their names."""
    if path.is_file():
        return file_digest(path)
    files = sorted(p for p in path.rglob("*") if p.is_file())
    return digest([[p.relative_to(path).as_posix(), file_digest(p)] for p in files])
