"""What is inferred of a raw table's columns: types, roles, the task, the target's levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from codsa.data import schema as tables
from codsa.data.raw_tables import RawTable
from codsa.data.schema import Column, Schema
from codsa.data.unicode import composed
from codsa.errors import CodsaError, check_choice, suggest
from codsa.io.array_columns import is_array
from codsa.settings.regions import RegionRule


@dataclass(frozen=True)
class Declared:
    """What the user says about the columns; the rest is inferred.

    Attributes
    ----------
    target : str
    task : {'classification', 'regression', 'detection'}, optional
    group : str, optional
        The column whose values may not straddle roles.
    columns : dict
        Column name → {'type': …, 'role': …}.
    normal : list of str
        The target's levels that are normal, for detection.
    classes : list of str
        The only levels that the target may have; none: those that occur.
    vectors : dict
        Column of vectors → (the text column that they encode, the digest of the model that did).
    """

    target: str
    task: str | None = None
    group: str | None = None
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    normal: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    vectors: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Bring names and levels to Unicode's composed form, as those of the table are."""
        spelt = {
            "target": composed(self.target),
            "group": None if self.group is None else composed(self.group),
            "columns": {composed(name): said for name, said in self.columns.items()},
            "normal": [composed(level) for level in self.normal],
            "classes": [composed(level) for level in self.classes],
        }
        for name, value in spelt.items():
            object.__setattr__(self, name, value)


def infer_columns(table: RawTable, declared: Declared) -> list[Column]:
    """Infer each column's type and role, with what the user declared taking precedence."""
    said = said_of(table.names, declared)
    return [infer_column(name, table.values(name), *said[name]) for name in said]


def said_of(names: list[str], declared: Declared) -> dict[str, tuple[str | None, Mapping[str, str]]]:
    """Return, per column, the role that it has by being named (target, group), and what else was declared of it.

    Raises
    ------
    CodsaError
        For a declared column that the table lacks.
    """
    roles = {declared.target: "target"} | ({declared.group: "group"} if declared.group else {})
    for name in [*roles, *declared.columns]:
        if name not in names:
            raise CodsaError(f"no column '{name}' in the table; {suggest(name, names)}")
    return {name: (roles.get(name), declared.columns.get(name, {})) for name in names}


def infer_column(name: str, values: pd.Series, role: str | None, said: Mapping[str, str]) -> Column:
    """Infer the type and role of one column, with what was said of it taking precedence."""
    unknown = set(said) - {"type", "role"}
    if unknown:
        raise CodsaError(f"column '{name}': '{unknown.pop()}' cannot be declared; give type or role")
    wanted = said.get("role")
    if wanted != role and (role or wanted) in ("target", "group") and wanted is not None:
        raise CodsaError(
            f"column '{name}': declared as {wanted}; the target and the group are named apart from columns"
        )
    role = role or wanted
    tables.refuse_nested(name, values)
    if said.get("type") in tables.ARRAY_TYPES and not is_array(values):
        raise CodsaError(
            f"column '{name}': declared as {said['type']}, and its values are no arrays; images are read from files, "
            "vectors come from --encoder"
        )
    if values.isna().all() and (role or said) and role != "ignored":
        raise CodsaError(f"column '{name}' ({role or said['type']}): every value is missing; declare it as ignored")
    kind = said.get("type") or ("categorical" if values.isna().all() else tables.infer_type(values))
    check_choice(f"column '{name}': type", kind, tables.TYPES)
    note = ""
    if role is None:
        role, note = tables.infer_role(name, values, kind)
    check_choice(f"column '{name}': role", role, tables.ROLES)
    return Column(name, kind, role, note=note)


def beside_arrays(columns: list[Column], declared: Declared, rule: RegionRule) -> list[Column]:
    """Leave out what stands beside an array, such as a file's name or date, unless it is declared or parts the rows."""
    if not any((c.is_array or c.type == "text") and c.role == "feature" for c in columns):
        return columns
    note = "stands beside an array or a text; declare it as attribute or feature to use it"

    def role(c: Column) -> Column:
        if c.is_array or c.type == "text" or c.role != "feature" or "role" in declared.columns.get(c.name, {}):
            return c
        return replace(c, role="attribute") if c.name == rule.column else replace(c, role="ignored", note=note)

    return [role(c) for c in columns]


def settle_columns(table: RawTable, columns: list[Column], declared: Declared) -> tuple[list[Column], str]:
    """Settle the task, and describe the columns by what they hold in their types: levels, bounds, what is missing."""
    target = next(c for c in columns if c.name == declared.target)
    values = table.typed(target)
    columns, task = settle(columns, pd.DataFrame({target.name: values}), target.name, declared.task)
    _refuse_strange(values, declared)
    return [tables.describe(c, table.typed(c)) for c in columns], task


def _refuse_strange(target: pd.Series, declared: Declared) -> None:
    """Raise a `CodsaError` for a target outside the classes that were declared, or a class that has no row."""
    if not declared.classes:
        return
    found = target.astype(str)
    strange = ~found.isin(declared.classes).to_numpy(dtype=bool)
    if strange.any():
        row = int(strange.argmax())
        raise CodsaError(
            f"target '{declared.target}': {int(strange.sum())} rows lie outside the classes "
            f"{', '.join(declared.classes)}; the first is row {row}, '{found.iloc[row]}': mend or leave them out"
        )
    absent = [name for name in declared.classes if not (found == name).any()]
    if absent:
        raise CodsaError(f"target '{declared.target}': no row has class '{absent[0]}'; leave it out of the classes")


def settle(columns: list[Column], rows: pd.DataFrame, target: str, task: str | None) -> tuple[list[Column], str]:
    """Settle the task, and with it the target's type.

    Parameters
    ----------
    rows : DataFrame
        With the target, in its column's type.
    task : str, optional
        What the user said.
    """
    task = _settle_task(columns, rows, Declared(target, task))
    columns = [_as_classes(c) if c.role == "target" and task != "regression" else c for c in columns]
    features = [c for c in columns if c.role == "feature"]
    if not features:
        raise CodsaError("no feature column is left; declare the role of one (they were taken for identifiers)")
    words = next((c for c in features if c.type == "text"), None)
    if words is not None and len(features) > 1:
        other = next(c for c in features if c is not words)
        raise CodsaError(
            f"columns '{words.name}' and '{other.name}' are both features, and estimators take one text alone; declare "
            "one of them as attribute or ignored"
        )
    return columns, task


def _settle_task(columns: list[Column], rows: pd.DataFrame, declared: Declared) -> str:
    """Settle whether the target is a class or a number, and refuse one that cannot be learned."""
    target = next(c for c in columns if c.name == declared.target)
    values = rows[target.name]
    if target.is_array or target.type == "text":
        raise CodsaError(f"target '{target.name}' is of type {target.type}; only classes and numbers can be predicted")
    if values.isna().any():
        raise CodsaError(f"target '{target.name}': missing in {int(values.isna().sum())} rows; drop them or fill it in")
    distinct = int(values.nunique())
    if distinct < 2:
        raise CodsaError(f"target '{target.name}' is constant ({values.iloc[0]}); there is nothing to learn")
    if declared.task is not None:
        check_choice("task", declared.task, tables.TASKS)
        if declared.task == "regression" and target.type not in ("numeric", "integer"):
            raise CodsaError(f"target '{target.name}' is {target.type}; regression needs a number")
        return declared.task
    if target.type == "datetime":
        raise CodsaError(f"target '{target.name}' is datetime; only classes and numbers can be predicted")
    whole = target.type == "integer" and distinct <= tables.CLASS_LIMIT
    return "classification" if target.type in ("categorical", "boolean") or whole else "regression"


def _as_classes(target: Column) -> Column:
    return target if target.type in ("categorical", "boolean") else replace(target, type="categorical")


def normal_levels(said: list[str], schema: Schema) -> list[Any]:
    """Return the target's levels that are normal, given as text; none but for detection.

    Raises
    ------
    CodsaError
        For a level that does not occur, or none or all of them.
    """
    if schema.task != "detection":
        if said:
            raise CodsaError(f"normal = {said}: the task is {schema.task}; only detection has normal rows")
        return []
    levels = {str(level): level for level in schema.classes}
    for one in said:
        if one not in levels:
            raise CodsaError(f"normal: target '{schema.target}' has no level '{one}'; {suggest(one, levels)}")
    if not said or len(set(said)) == len(levels):
        raise CodsaError(
            f"detection: say which levels of target '{schema.target}' are normal; some of {', '.join(levels)}, not all"
        )
    return [levels[one] for one in levels if one in said]


def column_notes(columns: list[Column]) -> list[str]:
    """Return in words which columns are left out, and why."""
    return [f"column '{c.name}' left out: {c.note}" for c in columns if c.note]


def copy_notes(table: RawTable, columns: list[Column]) -> list[str]:
    """Say how many arrays are byte-identical copies of others, and how many of those are labelled in two ways."""
    names = [c.name for c in columns if c.is_array and c.role == "feature"]
    if not names:
        return []
    same = pd.Series(_row_hashes(table, [c for c in columns if c.name in names]))
    copies = int(same.duplicated().sum())
    if not copies:
        return []
    labels = pd.Series(_row_hashes(table, [c for c in columns if c.role in ("target", "attribute")]))
    torn = int((labels.groupby(same.to_numpy()).nunique() > 1).sum())
    return [
        f"column '{names[0]}': {copies} rows are byte-identical copies of others, and {torn} such sets have "
        "contradicting labels; copies stay on one side of every split"
    ]


def _row_hashes(table: RawTable, columns: list[Column]) -> Any:
    """Return a hash of each row's values in some columns, ndarray of uint64, shape (n,)."""
    return pd.util.hash_pandas_object(pd.DataFrame({c.name: table.typed(c) for c in columns}), index=False).to_numpy()
