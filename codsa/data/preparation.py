"""From a raw table to a typed one: the schema is settled on one path, wherever the table lies.

The table is in memory, or in a Parquet file that is too large for it (see `codsa.data.raw_tables`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from codsa.data.columns import (
    Encoding,
    beside_arrays,
    column_notes,
    copy_notes,
    infer_columns,
    normal_levels,
    settle_columns,
)
from codsa.data.expressions import parse
from codsa.data.raw_tables import HeldTable, RawTable
from codsa.data.region_rules import resolve_regions
from codsa.data.schema import Column, Schema
from codsa.data.unicode import composed_table
from codsa.settings.columns import ColumnOptions
from codsa.settings.regions import RegionRule

log = logging.getLogger(__name__)

NOT_ENCODED: Mapping[str, Encoding] = MappingProxyType({})
"""The encodings of a table without vectors of texts."""


def prepare(
    raw: pd.DataFrame,
    options: ColumnOptions,
    rule: RegionRule,
    notes: Sequence[str] = (),
    encoded: Mapping[str, Encoding] = NOT_ENCODED,
) -> tuple[pd.DataFrame, Schema]:
    """Type a raw table in memory, settle the task, resolve the regions (see `settle_schema`).

    Rows without a target are left out, with a note.

    Returns
    -------
    rows : DataFrame of shape (n, d)
        In the schema's types; a row's position is its row_id.
    schema : Schema

    Examples
    --------
    >>> from codsa.data.preparation import prepare
    >>> from codsa.readers.simulations import simulate
    >>> from codsa.settings.columns import ColumnOptions
    >>> from codsa.settings.regions import RegionRule
    >>> table = simulate("imbalanced-classification", minority=30, majority=60, seed=0)
    >>> rows, schema = prepare(table, ColumnOptions(target="y"), RegionRule(by="class"))
    >>> schema.task, schema.regions.names
    ('classification', ['0', '1'])
    """
    raw, left_out = _with_target(raw, options.target)
    notes = [*notes, *left_out]
    table = HeldTable(*composed_table(raw))
    schema = settle_schema(table, options, rule, notes=notes, encoded=encoded)
    return table.rows(schema.columns), schema


def _with_target(raw: pd.DataFrame, target: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows that have a target, unless none has, and a note on the others."""
    gone = raw[target].isna().to_numpy(dtype=bool) if target in raw else np.zeros(len(raw), dtype=bool)
    if not gone.any() or gone.all():
        return raw, []
    note = f"target '{target}': missing in {int(gone.sum())} of {len(raw)} rows, which are left out"
    log.warning("%s", note)
    return raw[~gone].reset_index(drop=True), [note]


def settle_schema(
    table: RawTable,
    options: ColumnOptions,
    rule: RegionRule,
    notes: Sequence[str] = (),
    encoded: Mapping[str, Encoding] = NOT_ENCODED,
) -> Schema:
    """Settle types, roles, levels, bounds, the task and the regions, wherever the table lies.

    Parameters
    ----------
    table : RawTable
    options : ColumnOptions
    rule : RegionRule
    notes : sequence of str
        What the reader left out, in words.
    encoded : mapping
        Column of vectors → what they encode.

    Raises
    ------
    CodsaError
        For a missing, constant or partly missing target, a declared column without values, an
        unknown name, a region without rows.
    """
    inferred = beside_arrays(infer_columns(table, options), options, rule)
    columns, task = settle_columns(table, inferred, options.target, task=options.task, classes=options.classes)
    columns = [_with_encoding(c, encoded.get(c.name)) for c in columns]
    deciding = pd.DataFrame({c.name: table.typed(c) for c in columns if _decides(c.name, table, options.target, rule)})
    regions, pooled = resolve_regions(rule, deciding, options.target, task)
    more = table.notes() + column_notes(columns) + copy_notes(table, columns) + pooled
    for note in more:
        log.warning("%s", note)
    schema = Schema(columns, task, regions, [*notes, *more])
    return replace(schema, normal=normal_levels(options.normal, schema))


def _decides(name: str, table: RawTable, target: str, rule: RegionRule) -> bool:
    """Say whether a column may be needed to part the rows, or to say that the column asked for is not there."""
    if rule.expressions:
        expressions = rule.expressions.values()
        return name == target or any(name in parse(e).columns(table.names) for e in expressions)
    return name in (target, rule.column) or (rule.column is not None and rule.column not in table.names)


def _with_encoding(column: Column, encoding: Encoding | None) -> Column:
    return column if encoding is None else replace(column, of=encoding.text_column, encoder=encoding.encoder)
