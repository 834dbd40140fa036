"""From a raw table to a dataset: typed columns, a task, a resolved partition into regions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from codsa.data.columns import Declared, beside_arrays, column_notes, copy_notes, enforce, infer_columns, normal_levels
from codsa.data.region_rules import resolve_regions
from codsa.data.schema import Column, Schema
from codsa.data.unicode import composed_table
from codsa.settings.sections import RegionRule

log = logging.getLogger(__name__)


def prepare(
    raw: pd.DataFrame, declared: Declared, rule: RegionRule, notes: Sequence[str] = ()
) -> tuple[pd.DataFrame, Schema]:
    """Type a raw table, settle the task, resolve the regions.

    Parameters
    ----------
    raw : DataFrame of shape (n, d)
    declared : Declared
    rule : RegionRule
    notes : sequence of str
        What the reader left out, in words.

    Returns
    -------
    rows : DataFrame of shape (n, d)
        In the schema's types; a row's position is its row_id.
    schema : Schema

    Raises
    ------
    CodsaError
        For a missing, constant or partly missing target, a declared column without values, an
        unknown name, a region without rows.
    """
    raw, respelt = composed_table(raw)
    inferred = beside_arrays(infer_columns(raw, declared), declared, rule)
    rows, columns, task = enforce(raw, inferred, declared)
    columns = [_encoding(c, declared.vectors) for c in columns]
    regions, pooled = resolve_regions(rule, rows, declared.target, task)
    found = respelt + column_notes(columns) + copy_notes(rows, columns) + pooled
    for note in found:
        log.warning("%s", note)
    schema = Schema(columns, task, regions, len(rows), [*notes, *found])
    return rows, replace(schema, normal=normal_levels(declared.normal, schema))


def _encoding(column: Column, vectors: Mapping[str, tuple[str, str]]) -> Column:
    text, encoder = vectors.get(column.name, (None, None))
    return column if text is None else replace(column, of=text, encoder=encoder)
