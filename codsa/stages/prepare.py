"""The stage that turns a raw table into a dataset: typed columns, a task, a partition into regions.

One function settles the schema, whether the table is in memory or in a Parquet file that is too large for it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from codsa.data.columns import (
    Declared,
    beside_arrays,
    column_notes,
    copy_notes,
    infer_columns,
    normal_levels,
    settle_columns,
)
from codsa.data.dataset import write_dataset, write_records
from codsa.data.expressions import parse
from codsa.data.raw_tables import HeldTable, RawTable
from codsa.data.region_rules import resolve_regions
from codsa.data.rows import stored_chunks
from codsa.data.schema import Column, Schema
from codsa.data.unicode import composed_table
from codsa.io.artifacts import new_files
from codsa.io.digests import parts_digest
from codsa.io.names import MANIFEST, PREPARE, TABLE
from codsa.io.tables import write_parquet_groups
from codsa.readers.stored import StoredTable, arrow_types
from codsa.settings.regions import RegionRule

log = logging.getLogger(__name__)


def prepare(
    raw: pd.DataFrame, declared: Declared, rule: RegionRule, notes: Sequence[str] = ()
) -> tuple[pd.DataFrame, Schema]:
    """Type a raw table in memory, settle the task, resolve the regions (see `settle_schema`).

    Returns
    -------
    rows : DataFrame of shape (n, d)
        In the schema's types; a row's position is its row_id.
    schema : Schema
    """
    table = HeldTable(*composed_table(raw))
    schema = settle_schema(table, declared, rule, notes)
    return table.rows(schema.columns), schema


def prepare_to(
    folder: Path,
    raw: pd.DataFrame | Path,
    declared: Declared,
    rule: RegionRule,
    origin: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> None:
    """Prepare a table and write the dataset.

    Parameters
    ----------
    folder : Path
    raw : DataFrame of shape (n, d), or Path
        A path is that of a Parquet file, which is read in chunks and stays where it is.
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
    table = StoredTable(raw)
    schema = settle_schema(table, declared, rule, notes)
    with new_files(folder / MANIFEST, PREPARE) as staged:
        rows_path = staged / TABLE
        write_parquet_groups(rows_path, table.chunks(schema.columns), arrow_types(schema.columns))
        write_records(staged, parts_digest(stored_chunks(rows_path, schema.columns)), schema, origin)


def settle_schema(table: RawTable, declared: Declared, rule: RegionRule, notes: Sequence[str] = ()) -> Schema:
    """Settle types, roles, levels, bounds, the task and the regions of a table in memory or on disk.

    Parameters
    ----------
    table : RawTable
    declared : Declared
    rule : RegionRule
    notes : sequence of str
        Sentences about what the reader left out.

    Raises
    ------
    CodsaError
        For a missing, constant or partly missing target, a declared column without values, an
        unknown name, a region without rows.
    """
    inferred = beside_arrays(infer_columns(table, declared), declared, rule)
    columns, task = settle_columns(table, inferred, declared)
    columns = [_with_encoder(column, declared.vectors) for column in columns]
    region_columns = [column for column in columns if _decides_region(column.name, table, declared, rule)]
    region_table = pd.DataFrame({column.name: table.typed(column) for column in region_columns})
    regions, pooling_notes = resolve_regions(rule, region_table, declared.target, task)
    schema_notes = table.notes() + column_notes(columns) + copy_notes(table, columns) + pooling_notes
    for note in schema_notes:
        log.warning("%s", note)
    schema = Schema(columns, task, regions, [*notes, *schema_notes])
    return replace(schema, normal=normal_levels(declared.normal, schema))


def _decides_region(name: str, table: RawTable, declared: Declared, rule: RegionRule) -> bool:
    """Say whether the rule may read a column, or needs it to report that the rule's own column is missing."""
    if rule.expressions:
        expressions = rule.expressions.values()
        return name == declared.target or any(name in parse(e).columns(table.names) for e in expressions)
    return name in (declared.target, rule.column) or (rule.column is not None and rule.column not in table.names)


def _with_encoder(column: Column, vectors: Mapping[str, tuple[str, str]]) -> Column:
    """Return an embedding's column with the name of its text column and of its encoder; any other column as it is."""
    text, encoder = vectors.get(column.name, (None, None))
    return column if text is None else replace(column, of=text, encoder=encoder)
