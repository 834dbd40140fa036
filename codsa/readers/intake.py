"""From a raw table to a dataset's folder; a Parquet file that is too large for memory is never held whole.

Of such a file one column at a time is read to settle types, roles and regions; then its rows are
typed and written some at a time. The dataset is the one that a table in memory gives.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from codsa.data import schema as tables
from codsa.data.columns import Declared, column_notes, infer_column, normal_levels, said_of, settle
from codsa.data.dataset import write_dataset, write_records
from codsa.data.expressions import parse
from codsa.data.region_rules import resolve_regions
from codsa.data.rows import is_large, stored_chunks
from codsa.data.schema import Column, Schema
from codsa.data.unicode import composed, composed_values, respelt_note
from codsa.errors import CodsaError
from codsa.io.artifacts import new_files
from codsa.io.digests import parts_digest
from codsa.io.names import MANIFEST, PREPARE, TABLE
from codsa.io.tables import write_parquet_groups
from codsa.readers.tables import (
    check_file,
    check_table,
    is_parquet,
    parquet_names,
    read_exact,
    read_table,
    refuse_irregular,
)
from codsa.settings.sections import RegionRule
from codsa.stages.prepare import prepare

log = logging.getLogger(__name__)


def read_raw(path: Path, sha256: str | None = None, notes: list[str] | None = None) -> pd.DataFrame | Path:
    """Read a table as `read_table` does, but leave a large Parquet file where it is.

    Parameters
    ----------
    path, sha256, notes
        As `read_table` takes them.

    Returns
    -------
    DataFrame of shape (n, d), or Path
    """
    refuse_irregular(path)
    if not is_parquet(path) or not is_large(path):
        return read_table(path, sha256, notes)
    check_file(path, sha256)
    return path


def prepare_to(
    folder: Path,
    raw: pd.DataFrame | Path,
    declared: Declared,
    rule: RegionRule,
    origin: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> None:
    """Prepare a table and write it as a dataset.

    Parameters
    ----------
    folder : Path
    raw : DataFrame of shape (n, d), or Path
        A path is that of a Parquet file that stays where it is.
    declared, rule, origin, notes
        As `prepare` and `write_dataset` take them.

    Raises
    ------
    CodsaError
        As `prepare`.
    """
    if isinstance(raw, pd.DataFrame):
        rows, schema = prepare(raw, declared, rule, notes)
        write_dataset(folder, rows, schema, origin)
        return
    schema = read_schema(raw, declared, rule)
    with new_files(folder / MANIFEST, PREPARE) as staged:
        table = staged / TABLE
        write_parquet_groups(table, stored_chunks(raw, schema.columns), arrow_types(schema.columns))
        write_records(staged, parts_digest(stored_chunks(table, schema.columns)), schema, origin)


def read_schema(path: Path, declared: Declared, rule: RegionRule) -> Schema:
    """Settle the schema of a Parquet file as `prepare` does, with one column at a time in memory."""
    names = parquet_names(path)
    other = next((name for name in names if composed(name) != name), None)
    if other is not None:
        raise CodsaError(f"{path}: column '{other}': its name is not in Unicode's composed form (NFC); rename it")
    said = said_of(names, declared)
    respelt: list[str] = []
    columns = [infer_column(name, _raw(path, name, respelt), *said[name]) for name in names]
    goal = next(c for c in columns if c.role == "target")
    columns, task = settle(columns, pd.DataFrame({goal.name: _typed(path, goal)}), goal.name, declared.task)
    columns = [tables.describe(c, _typed(path, c)) for c in columns]
    deciding = [c for c in columns if _decides(c.name, names, declared.target, rule)]
    rows = pd.DataFrame({c.name: _typed(path, c) for c in deciding})
    regions, notes = resolve_regions(rule, rows, declared.target, task)
    notes = respelt + column_notes(columns) + notes
    for note in notes:
        log.warning("%s", note)
    schema = Schema(columns, task, regions, len(rows), notes)
    return replace(schema, normal=normal_levels(declared.normal, schema))


def _decides(name: str, names: list[str], target: str, rule: RegionRule) -> bool:
    """Say whether a column may be needed to part the rows, or to say that the column asked for is not there."""
    if rule.expressions:
        return name == target or any(name in parse(e).columns(names) for e in rule.expressions.values())
    return name in (target, rule.column) or (rule.column is not None and rule.column not in names)


def _raw(path: Path, name: str, notes: list[str]) -> pd.Series:
    frame = read_exact(path, columns=[name])
    check_table(frame, path)
    values, changed = composed_values(frame[name])
    if changed:
        notes.append(respelt_note(name, changed))
    return values


def _typed(path: Path, column: Column) -> pd.Series:
    return tables.cast(read_exact(path, columns=[column.name])[column.name], column)


def arrow_types(columns: list[Column]) -> Any:
    """Return the Arrow schema in which typed columns are stored, so that a part without values has types too."""
    import pyarrow as pa

    def of(column: Column) -> Any:
        whole = column.levels is not None and all(isinstance(v, int) for v in column.levels)
        plain: dict[str, Callable[[], Any]] = {"numeric": pa.float64, "integer": pa.int64, "boolean": pa.bool_}
        if column.type == "datetime":
            return pa.timestamp("ns")
        return plain[column.type]() if column.type in plain else (pa.int64() if whole else pa.string())

    return pa.schema([(c.name, of(c)) for c in columns])
