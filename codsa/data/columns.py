"""What is inferred of a raw table's columns: types, roles, the task, the target's levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from codsa.data import schema as tables
from codsa.data.raw_tables import RawTable
from codsa.data.schema import Column, Schema
from codsa.errors import CodsaError, suggest
from codsa.settings.columns import ColumnConfig, ColumnOptions
from codsa.settings.regions import RegionRule


class Encoding(NamedTuple):
    """What the vectors of a column encode: a column of texts, and the digest of the model that encoded them."""

    text_column: str
    encoder: str


def infer_columns(table: RawTable, options: ColumnOptions) -> list[Column]:
    """Infer each column's type and role; what the user declares takes precedence.

    Raises
    ------
    CodsaError
        For a declared column that the table lacks, and as `infer_column`.
    """
    roles = {options.target: "target"} | ({options.group: "group"} if options.group else {})
    for name in [*roles, *options.columns]:
        if name not in table.names:
            raise CodsaError(f"no column '{name}' in the table; {suggest(name, table.names)}")
    return [
        infer_column(name, table.values(name), roles.get(name), options.columns.get(name, ColumnConfig()))
        for name in table.names
    ]


def infer_column(name: str, values: pd.Series, role: str | None, correction: ColumnConfig) -> Column:
    """Infer the type and role of one column; a correction takes precedence.

    Parameters
    ----------
    name : str
    values : Series of length n
    role : {'target', 'group'}, optional
        The role of a column that an option of its own names.
    correction : ColumnConfig

    Raises
    ------
    CodsaError
        For nested values, a second role, or a column that is used and has no value.
    """
    if role is not None and correction.role is not None:
        raise CodsaError(
            f"column '{name}': declared as {correction.role}; the target and the group are named apart from columns"
        )
    role = role or correction.role
    tables.refuse_nested(name, values)
    empty = bool(values.isna().all())
    if empty and (role or correction.type) and role != "ignored":
        raise CodsaError(f"column '{name}' ({role or correction.type}): every value is missing; declare it as ignored")
    kind = correction.type or ("categorical" if empty else tables.infer_type(values))
    note = ""
    if role is None:
        role, note = tables.infer_role(name, values, kind)
    return Column(name, kind, role, note=note)


def beside_arrays(columns: list[Column], options: ColumnOptions, rule: RegionRule) -> list[Column]:
    """Ignore the columns beside an array or a text, such as a file's name, unless declared or used by the regions."""
    if not any((c.is_array or c.type == "text") and c.role == "feature" for c in columns):
        return columns
    note = "stands beside an array or a text; declare it as attribute or feature to use it"

    def role(c: Column) -> Column:
        declared = c.name in options.columns and options.columns[c.name].role is not None
        if c.is_array or c.type == "text" or c.role != "feature" or declared:
            return c
        return replace(c, role="attribute") if c.name == rule.column else replace(c, role="ignored", note=note)

    return [role(c) for c in columns]


def settle_columns(
    table: RawTable, columns: list[Column], target: str, task: str | None, classes: Sequence[str] = ()
) -> tuple[list[Column], str]:
    """Settle the task, and describe the columns by their typed values: levels, bounds, missing values.

    Parameters
    ----------
    table : RawTable
    columns : list of Column
    target : str
    task : {'classification', 'regression', 'detection'}, optional
        Default: inferred from the target.
    classes : sequence of str
        The only levels that the target may have; default: any.

    Returns
    -------
    columns : list of Column
    task : str
    """
    values = table.typed(next(c for c in columns if c.name == target))
    columns, settled_task = settle(columns, pd.DataFrame({target: values}), target, task)
    _refuse_other_classes(target, values.astype(str), classes)
    return [tables.describe(c, table.typed(c)) for c in columns], settled_task


def _refuse_other_classes(target: str, labels: pd.Series, classes: Sequence[str]) -> None:
    """Raise a `CodsaError` for a label outside the declared classes, or a class that has no row."""
    if not classes:
        return
    outside = ~labels.isin(classes).to_numpy(dtype=bool)
    if outside.any():
        row = int(outside.argmax())
        raise CodsaError(
            f"target '{target}': {int(outside.sum())} rows lie outside the classes "
            f"{', '.join(classes)}; the first is row {row}, '{labels.iloc[row]}': mend or leave them out"
        )
    absent = [name for name in classes if not (labels == name).any()]
    if absent:
        raise CodsaError(f"target '{target}': no row has class '{absent[0]}'; leave it out of the classes")


def settle(columns: list[Column], rows: pd.DataFrame, target: str, task: str | None) -> tuple[list[Column], str]:
    """Settle the task, and with it the target's type.

    Parameters
    ----------
    columns : list of Column
    rows : DataFrame of shape (n, d)
        With the target, in its column's type.
    target : str
    task : {'classification', 'regression', 'detection'}, optional
        Default: inferred from the target.
    """
    task = _settle_task(next(c for c in columns if c.name == target), rows[target], task)
    columns = [_as_classes(c) if c.role == "target" and task != "regression" else c for c in columns]
    features = [c for c in columns if c.role == "feature"]
    if not features:
        raise CodsaError("no feature column is left; declare the role of one (they were taken for identifiers)")
    text = next((c for c in features if c.type == "text"), None)
    if text is not None and len(features) > 1:
        other = next(c for c in features if c is not text)
        raise CodsaError(
            f"columns '{text.name}' and '{other.name}' are both features, and estimators take one text alone; declare "
            "one of them as attribute or ignored"
        )
    return columns, task


def _settle_task(target: Column, values: pd.Series, task: str | None) -> str:
    """Settle whether the target is a class or a number, and refuse a target that cannot be learned."""
    if target.is_array or target.type == "text":
        raise CodsaError(f"target '{target.name}' is of type {target.type}; only classes and numbers can be predicted")
    if values.isna().any():
        raise CodsaError(f"target '{target.name}': missing in {int(values.isna().sum())} rows; drop them or fill it in")
    distinct = int(values.nunique())
    if distinct < 2:
        raise CodsaError(f"target '{target.name}' is constant ({values.iloc[0]}); there is nothing to learn")
    if task is not None:
        if task == "regression" and target.type not in ("numeric", "integer"):
            raise CodsaError(f"target '{target.name}' is {target.type}; regression needs a number")
        return task
    if target.type == "datetime":
        raise CodsaError(f"target '{target.name}' is datetime; only classes and numbers can be predicted")
    few_integers = target.type == "integer" and distinct <= tables.CLASS_LIMIT
    return "classification" if target.type in ("categorical", "boolean") or few_integers else "regression"


def _as_classes(target: Column) -> Column:
    return target if target.type in ("categorical", "boolean") else replace(target, type="categorical")


def normal_levels(normal: list[str], schema: Schema) -> list[Any]:
    """Return the target's normal levels, whose names are given as text; none unless the task is detection.

    Raises
    ------
    CodsaError
        For a level that does not occur, or none or all of them.
    """
    if schema.task != "detection":
        if normal:
            raise CodsaError(f"normal = {normal}: the task is {schema.task}; only detection has normal rows")
        return []
    levels = {str(level): level for level in schema.classes}
    for name in normal:
        if name not in levels:
            raise CodsaError(f"normal: target '{schema.target}' has no level '{name}'; {suggest(name, levels)}")
    if not normal or len(set(normal)) == len(levels):
        raise CodsaError(
            f"detection: say which levels of target '{schema.target}' are normal; some of {', '.join(levels)}, not all"
        )
    return [level for name, level in levels.items() if name in normal]


def column_notes(columns: list[Column]) -> list[str]:
    """Return in words which columns are left out, and why."""
    return [f"column '{c.name}' left out: {c.note}" for c in columns if c.note]


def copy_notes(table: RawTable, columns: list[Column]) -> list[str]:
    """Say how many arrays are byte-identical copies of others, and how many of those are labelled in two ways."""
    names = [c.name for c in columns if c.is_array and c.role == "feature"]
    if not names:
        return []
    array_hashes = pd.Series(_row_hashes(table, [c for c in columns if c.name in names]))
    copies = int(array_hashes.duplicated().sum())
    if not copies:
        return []
    label_hashes = pd.Series(_row_hashes(table, [c for c in columns if c.role in ("target", "attribute")]))
    contradicting = int((label_hashes.groupby(array_hashes.to_numpy()).nunique() > 1).sum())
    return [
        f"column '{names[0]}': {copies} rows are byte-identical copies of others, and {contradicting} such sets have "
        "contradicting labels; copies stay on one side of every split"
    ]


def _row_hashes(table: RawTable, columns: list[Column]) -> np.ndarray:
    """Return a hash of each row's values in some columns, ndarray of uint64 of shape (n,)."""
    return pd.util.hash_pandas_object(pd.DataFrame({c.name: table.typed(c) for c in columns}), index=False).to_numpy()
