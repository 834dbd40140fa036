"""Raw tables from the sources of a user: a simulation, a file, or parts with tables or images."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from codsa.data.columns import Encoding
from codsa.data.expressions import parse
from codsa.data.unicode import composed_table
from codsa.data.whole_numbers import stacked
from codsa.errors import CodsaError
from codsa.io.digests import check_sha256, digest, file_digest
from codsa.io.downloads import fetch
from codsa.io.files import refuse_irregular
from codsa.readers.places import holds_images
from codsa.readers.simulations import simulate
from codsa.readers.stored import read_raw_settled
from codsa.readers.tables import read_table
from codsa.settings.images import ImageOptions
from codsa.settings.section import Section
from codsa.settings.sources import Part, Simulation, SimulationSize
from codsa.settings.tables import TableOptions

log = logging.getLogger(__name__)

SIMULATION = "simulation:"
"""The prefix of a source that is simulated."""


@dataclass(frozen=True)
class Raw:
    """A raw table.

    Attributes
    ----------
    table : DataFrame, or Path of a Parquet file that is too large for memory
    origin : dict
        The source of the table, for the manifest.
    notes : list of str
        What the reader left out.
    encoded : dict
        Column of vectors → the texts that they encode.
    """

    table: pd.DataFrame | Path
    origin: dict[str, Any]
    notes: list[str]
    encoded: dict[str, Encoding] = field(default_factory=dict)

    @property
    def held(self) -> pd.DataFrame:
        """The table in memory, read from its file where necessary."""
        return read_table(self.table) if isinstance(self.table, Path) else self.table


@dataclass(frozen=True)
class Origin:
    """The source of a user's rows: exactly one of `source` and `parts`.

    Attributes
    ----------
    source : str, optional
        A path, a URL or `simulation:NAME`.
    parts : sequence of Part
    sha256 : str, optional
        The expected digest of the source.
    labels, pattern
        For a source that holds images, as in `Part`.
    """

    source: str | None
    parts: Sequence[Part] = ()
    sha256: str | None = None
    labels: Path | None = None
    pattern: str | None = None


def read_origin(
    origin: Origin,
    images: ImageOptions,
    simulation: SimulationSize,
    downloads: Path,
    table: TableOptions | None = None,
) -> Raw:
    """Read the rows of an origin.

    Parameters
    ----------
    origin : Origin
    images : ImageOptions
    simulation : SimulationSize
    downloads : Path
        The folder where downloads are kept.
    table : TableOptions, optional
        How tables are written; default: that is found.

    Raises
    ------
    CodsaError
        For both a source and parts, or neither; for options of images, tables or simulations with another source.
    """
    table = table or TableOptions()
    source = origin.source
    if (source is None) == (not origin.parts):
        raise CodsaError("give either a source, or parts with --part")
    simulated = source is not None and source.startswith(SIMULATION)
    _refuse_idle("simulation", simulation.model_fields_set if not simulated else ())
    if source is None:
        return read_parts(origin.parts, images, table)
    if simulated:
        _refuse_idle("tables", table.model_fields_set)
        return read_simulation(Simulation(name=source.removeprefix(SIMULATION), **simulation.model_dump()))
    path = local_file(source, origin.sha256, downloads)
    if holds_images(path):
        _refuse_idle("tables", table.model_fields_set)
        return read_parts([Part(path=path, labels=origin.labels, pattern=origin.pattern)], images)
    _refuse_idle("images", images.model_fields_set - {"on_unreadable"})
    _refuse_idle("images", [name for name in ("labels", "pattern") if getattr(origin, name) is not None])
    notes: list[str] = []
    rows, table = read_raw_settled(path, origin.sha256, notes, table)
    return Raw(rows, {"file": path.name, "sha256": file_digest(path), **_said(table=table)}, _logged(notes))


def _said(**sections: Section | None) -> dict[str, Any]:
    """Return how a source is read, as said or found, by section: whoever reads a further table needs it."""
    given = {name: section for name, section in sections.items() if section is not None}
    said = {name: section.model_dump(mode="json", exclude_defaults=True) for name, section in given.items()}
    return {f"{name}_options": options for name, options in said.items() if options}


def _refuse_idle(section: str, options: Collection[str]) -> None:
    if options:
        raise CodsaError(
            f"--{min(options).replace('_', '-')}: is for {section}, and the source holds none; leave it out"
        )


def local_file(source: str, sha256: str | None, downloads: Path) -> Path:
    """Return the local path of a source; a URL is downloaded."""
    if sha256 is not None:
        check_sha256(sha256)
    path = fetch(source, sha256, downloads) if "://" in source else Path(source)
    refuse_irregular(path)
    return path


def read_simulation(simulation: Simulation) -> Raw:
    """Draw a simulation's minority and majority rows."""
    rows = [simulation.minority, simulation.majority]
    table = simulate(simulation.name, simulation.minority, simulation.majority, simulation.seed)
    return Raw(table, {"simulation": simulation.name, "rows": rows, "seed": simulation.seed}, [])


def _logged(notes: list[str]) -> list[str]:
    for note in notes:
        log.warning("%s", note)
    return notes


def read_parts(parts: Sequence[Part], options: ImageOptions, table: TableOptions | None = None) -> Raw:
    """Read images (see `codsa.readers.image_tables.read_images`), or tables, whose rows are concatenated."""
    for path in [path for part in parts for path in (part.path, part.labels) if path is not None]:
        refuse_irregular(path)
    if not any(holds_images(part.path) for part in parts):
        return _read_tables(parts, table)
    _refuse_idle("tables", table.model_fields_set if table else ())
    from codsa.readers.image_tables import read_images

    rows, notes = read_images(parts, options)
    rows, respelt = composed_table(rows)
    files = [path for part in parts for path in (part.path, part.labels) if path is not None]
    origin = {"images": {path.name: tree_digest(path) for path in files}, **_said(image=options)}
    return Raw(rows, origin, notes + _logged(respelt))


def _read_tables(parts: Sequence[Part], options: TableOptions | None) -> Raw:
    """Read tables; a column is missing in the rows of a table that lacks it."""
    tables: list[pd.DataFrame] = []
    notes: list[str] = []
    for part in parts:
        image_options = [name for name in ("labels", "pattern", "column", "arrays", "split") if getattr(part, name)]
        if image_options:
            raise CodsaError(f"{part.path}: part: '{image_options[0]}' is for images, and this is a table")
        tables.append(read_table(part.path, notes=notes, options=options).assign(**part.columns))
    origin = {"tables": {part.path.name: file_digest(part.path) for part in parts}, **_said(table=options)}
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


def tree_digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of all files of a folder with their names."""
    if path.is_file():
        return file_digest(path)
    files = sorted(p for p in path.rglob("*") if p.is_file())
    return digest([[p.relative_to(path).as_posix(), file_digest(p)] for p in files])
