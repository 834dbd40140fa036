"""From a rule for regions and a table to a partition of its rows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from codsa.data import regions as partition
from codsa.data.metrics import OVERALL
from codsa.data.pooling import NAMED_MEMBERS, pool_small
from codsa.data.regions import Regions
from codsa.errors import CodsaError, suggest
from codsa.io.array_columns import ArrayDtype
from codsa.settings.regions import RegionRule

LISTED = 8
"""A note names so many values of a pooled region."""


def resolve_regions(rule: RegionRule, rows: pd.DataFrame, target: str, task: str) -> tuple[Regions, list[str]]:
    """Make the partition that a rule asks for, pooling small regions where that is allowed.

    Returns
    -------
    regions : Regions
    notes : list of str
        Which regions were pooled.
    """
    by = rule.by or ("quantile" if task == "regression" else "class")
    if task == "detection" and (by == "class" or rule.column == target):
        raise CodsaError("regions: detection trains on normal rows only, so give regions by another column")
    column = rule.column or target
    regions = _partition(by, column, rule, rows)
    _refuse_names(regions.names)
    pool = rule.pool if rule.pool is not None else by in ("class", "column", "quantile")
    if pool:
        ordered = regions.kind == "ranges" or (
            regions.kind == "values" and pd.api.types.is_numeric_dtype(rows[str(regions.column)])
        )
        regions = pool_small(regions, rows, rule.min_rows, ordered)
        if len(regions) == 1 and regions.pooled:
            small = regions.pooled[-1]
            raise CodsaError(
                f"region '{small['region']}' has {small['rows']} rows (fewer than {rule.min_rows}), and pooling it "
                "leaves one region only; lower min_rows or give another rule"
            )
    refuse_gaps(regions, regions.assign(rows))
    notes = [
        f"region '{note['region']}' has {note['rows']} rows (fewer than {rule.min_rows}): pooled into '{note['into']}'"
        for note in regions.pooled
    ]
    return regions, notes + pooled_members(regions, rows)


def pooled_members(regions: Regions, rows: pd.DataFrame) -> list[str]:
    """Say which values a pooled region holds whose name does not say it, and how many rows have them."""
    if regions.kind != "values":
        return []
    counts = rows[str(regions.column)].astype(object).value_counts(dropna=False)
    notes = []
    for name, members in zip(regions.names, regions.members, strict=True):
        if len(members) > NAMED_MEMBERS:
            listed = ", ".join(f"{member} ({counts.get(member, 0)} rows)" for member in list(members)[:LISTED])
            more = len(members) - LISTED
            notes.append(f"region '{name}' pools {listed}{f' and {more} more' if more > 0 else ''}")
    return notes


def _partition(by: str, column: str, rule: RegionRule, rows: pd.DataFrame) -> Regions:
    if by == "expression":
        if not rule.expressions:
            raise CodsaError("regions: by expression needs expressions, as {name: expression}")
        return partition.by_expressions(rule.expressions, rows)
    if column not in rows:
        raise CodsaError(f"regions: no column '{column}'; {suggest(column, rows.columns)}")
    values = rows[column]
    if isinstance(values.dtype, ArrayDtype):
        raise CodsaError(f"regions by {by}: column '{column}' holds arrays; give another column")
    if by in ("class", "column"):
        if pd.api.types.is_datetime64_any_dtype(values):
            raise CodsaError(f"regions by {by}: column '{column}' holds dates; use by: range or quantile")
        return partition.by_values(column, values)
    if not pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_datetime64_any_dtype(values):
        raise CodsaError(f"regions by {by}: column '{column}' has no order; use by: column")
    if by == "quantile":
        return partition.by_quantiles(column, values, rule.quantiles)
    return partition.by_edges(column, values, rule.edges or [])


def _refuse_names(names: list[str]) -> None:
    counts = Counter(names)
    for name in names:
        if counts[name] > 1:
            raise CodsaError(f"regions: the name '{name}' stands for two of them; rename one")
        if name == OVERALL:
            raise CodsaError(f"regions: the name '{name}' is taken by the figures under Q; rename the region")


def refuse_gaps(regions: Regions, index: np.ndarray) -> None:
    """Raise a `CodsaError` unless every row lies in a region and every region has rows.

    Parameters
    ----------
    index : ndarray of int64, shape (n,)
        Each row's region.
    """
    counts = np.bincount(index[index >= 0], minlength=len(regions))
    if not counts.all():
        name = regions.names[int(np.argmin(counts))]
        raise CodsaError(f"region '{name}' has no row; change the regions' edges or expressions")
    if (index < 0).any():
        raise CodsaError(f"{int((index < 0).sum())} rows lie in no region; widen the regions")
    if len(regions) < 2:
        raise CodsaError(f"there is one region only ('{regions.names[0]}'); give a rule that parts the rows")
