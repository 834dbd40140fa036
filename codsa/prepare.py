"""From a raw table to a dataset: typed columns, a task, a resolved partition into regions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from codsa import regions as partition
from codsa import schema as tables
from codsa.artefacts import (
    digest,
    file_digest,
    frame_digest,
    read_json,
    read_parquet,
    together,
    write_json,
    write_manifest,
    write_parquet,
)
from codsa.errors import CodsaError, suggest
from codsa.metrics import OVERALL
from codsa.payload import PayloadDtype
from codsa.regions import Regions
from codsa.schema import Column, Schema

log = logging.getLogger(__name__)

LEAST_REGION = 20
"""Inferred regions with fewer rows are pooled."""


@dataclass(frozen=True)
class RegionRule:
    """How the sample space is to be parted, before it meets a table.

    Attributes
    ----------
    by : {'class', 'column', 'quantile', 'range', 'expression'}, optional
        None: by class for classification, by thirds of the target for regression.
    column : str, optional
        For column, quantile and range.
    quantiles : int
        The number of ranges of a quantile rule.
    edges : list, optional
        The inner edges of a range rule.
    expressions : dict of str to str, optional
        Region name → pandas-query expression.
    pool : bool, optional
        Join regions under `min_rows`. None: yes unless the regions are explicit (range, expression).
    min_rows : int
    """

    by: str | None = None
    column: str | None = None
    quantiles: int = 3
    edges: list[Any] | None = None
    expressions: dict[str, str] | None = None
    pool: bool | None = None
    min_rows: int = LEAST_REGION


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
    raw = raw.rename(columns=str)
    inferred = _beside_arrays(infer_columns(raw, declared), declared, rule)
    rows, columns, task = _enforce(raw, inferred, declared)
    columns = [_encoding(c, declared.vectors) for c in columns]
    regions, pooled = resolve_regions(rule, rows, declared.target, task)
    found = column_notes(columns) + _copies(rows, columns) + pooled
    for note in found:
        log.warning("%s", note)
    schema = Schema(columns, task, regions, len(rows), [*notes, *found])
    return rows, replace(schema, normal=normal_levels(declared.normal, schema))


def _encoding(column: Column, vectors: Mapping[str, tuple[str, str]]) -> Column:
    text, encoder = vectors.get(column.name, (None, None))
    return column if text is None else replace(column, of=text, encoder=encoder)


def column_notes(columns: list[Column]) -> list[str]:
    """Return in words which columns are left out, and why."""
    return [f"column '{c.name}' left out: {c.note}" for c in columns if c.note]


def _enforce(table: pd.DataFrame, columns: list[Column], declared: Declared) -> tuple[pd.DataFrame, list[Column], str]:
    """Cast a table to its columns' types, settle the task, and describe the columns by what they hold."""
    rows = pd.DataFrame({c.name: tables.cast(table[c.name], c) for c in columns})
    columns, task = settle(columns, rows, declared.target, declared.task)
    _refuse_strange(rows[declared.target], declared)
    rows = pd.DataFrame({c.name: tables.cast(rows[c.name], c) for c in columns})
    return rows, [tables.describe(c, rows[c.name]) for c in columns], task


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
    task = settle_task(columns, rows, Declared(target, task))
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


def _beside_arrays(columns: list[Column], declared: Declared, rule: RegionRule) -> list[Column]:
    """Leave out what stands beside an array, such as a file's name or date, unless it is declared or parts the rows."""
    if not any((c.is_payload or c.type == "text") and c.role == "feature" for c in columns):
        return columns
    note = "stands beside an array or a text; declare it as attribute or feature to use it"

    def role(c: Column) -> Column:
        if c.is_payload or c.type == "text" or c.role != "feature" or "role" in declared.columns.get(c.name, {}):
            return c
        return replace(c, role="attribute") if c.name == rule.column else replace(c, role="ignored", note=note)

    return [role(c) for c in columns]


def _copies(rows: pd.DataFrame, columns: list[Column]) -> list[str]:
    """Say how many arrays are byte-identical copies of others, and how many of those are labelled in two ways."""
    names = [c.name for c in columns if c.is_payload and c.role == "feature"]
    if not names:
        return []
    same = pd.Series(pd.util.hash_pandas_object(rows[names], index=False).to_numpy())
    copies = int(same.duplicated().sum())
    if not copies:
        return []
    labels = pd.util.hash_pandas_object(
        rows[[c.name for c in columns if c.role in ("target", "attribute")]], index=False
    )
    torn = int((pd.Series(labels.to_numpy()).groupby(same.to_numpy()).nunique() > 1).sum())
    return [
        f"column '{names[0]}': {copies} rows are byte-identical copies of others, and {torn} such sets have "
        "contradicting labels; copies stay on one side of every split"
    ]


def infer_columns(raw: pd.DataFrame, declared: Declared) -> list[Column]:
    """Infer each column's type and role, with what the user declared taking precedence."""
    said = said_of([str(name) for name in raw.columns], declared)
    return [infer_column(name, raw[name], *said[name]) for name in said]


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
    if values.isna().all() and (role or said) and role != "ignored":
        raise CodsaError(f"column '{name}' ({role or said['type']}): every value is missing; declare it as ignored")
    kind = said.get("type") or ("categorical" if values.isna().all() else tables.infer_type(values))
    tables.check_choice(f"column '{name}': type", kind, tables.TYPES)
    note = ""
    if role is None:
        role, note = tables.infer_role(name, values, kind)
    tables.check_choice(f"column '{name}': role", role, tables.ROLES)
    return Column(name, kind, role, note=note)


def settle_task(columns: list[Column], rows: pd.DataFrame, declared: Declared) -> str:
    """Settle whether the target is a class or a number, and refuse one that cannot be learned."""
    target = next(c for c in columns if c.name == declared.target)
    values = rows[target.name]
    if target.is_payload or target.type == "text":
        raise CodsaError(f"target '{target.name}' is of type {target.type}; only classes and numbers can be predicted")
    if values.isna().any():
        raise CodsaError(f"target '{target.name}': missing in {int(values.isna().sum())} rows; drop them or fill it in")
    distinct = int(values.nunique())
    if distinct < 2:
        raise CodsaError(f"target '{target.name}' is constant ({values.iloc[0]}); there is nothing to learn")
    if declared.task is not None:
        tables.check_choice("task", declared.task, tables.TASKS)
        if declared.task == "regression" and target.type not in ("numeric", "integer"):
            raise CodsaError(f"target '{target.name}' is {target.type}; regression needs a number")
        return declared.task
    if target.type == "datetime":
        raise CodsaError(f"target '{target.name}' is datetime; only classes and numbers can be predicted")
    whole = target.type == "integer" and distinct <= tables.CLASS_LIMIT
    return "classification" if target.type in ("categorical", "boolean") or whole else "regression"


def _as_classes(target: Column) -> Column:
    return target if target.type in ("categorical", "boolean") else replace(target, type="categorical")


def resolve_regions(rule: RegionRule, rows: pd.DataFrame, target: str, task: str) -> tuple[Regions, list[str]]:
    """Make the partition that a rule asks for, pooling small regions where that is allowed.

    Returns
    -------
    regions : Regions
    notes : list of str
        What was pooled, in words.
    """
    by = rule.by or ("quantile" if task == "regression" else "class")
    if task == "detection" and (by == "class" or rule.column == target):
        raise CodsaError("regions: detection trains on normal rows only, so give regions by another column")
    column = rule.column or target
    made = _partition(by, column, rule, rows)
    _refuse_names(made.names)
    pool = rule.pool if rule.pool is not None else by in ("class", "column", "quantile")
    if pool:
        ordered = made.kind == "ranges" or (
            made.kind == "values" and pd.api.types.is_numeric_dtype(rows[str(made.column)])
        )
        made = partition.pool_small(made, rows, rule.min_rows, ordered)
        if len(made) == 1 and made.pooled:
            few = made.pooled[-1]
            raise CodsaError(
                f"region '{few['region']}' has {few['rows']} rows (fewer than {rule.min_rows}), and pooling it leaves "
                "one region only; lower min_rows or give another rule"
            )
    refuse_gaps(made, made.assign(rows))
    notes = [
        f"region '{p['region']}' has {p['rows']} rows (fewer than {rule.min_rows}): pooled into '{p['into']}'"
        for p in made.pooled
    ]
    return made, notes


def _partition(by: str, column: str, rule: RegionRule, rows: pd.DataFrame) -> Regions:
    tables.check_choice("regions: by", by, ("class", "column", "quantile", "range", "expression"))
    if by == "expression":
        if not rule.expressions:
            raise CodsaError("regions: by expression needs expressions, as {name: expression}")
        return partition.by_expressions(rule.expressions, rows)
    if column not in rows:
        raise CodsaError(f"regions: no column '{column}'; {suggest(column, rows.columns)}")
    values = rows[column]
    if isinstance(values.dtype, PayloadDtype):
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
    for name in names:
        if names.count(name) > 1:
            raise CodsaError(f"regions: the name '{name}' stands for two of them; rename one")
        if name == OVERALL:
            raise CodsaError(f"regions: the name '{name}' is taken by the figures under Q; rename the region")


def refuse_gaps(regions: Regions, index: Any) -> None:
    """Raise a `CodsaError` unless every row lies in a region and every region has rows.

    Parameters
    ----------
    index : ndarray of int64, shape (n,)
        Each row's region.
    """
    for k, name in enumerate(regions.names):
        if not (index == k).any():
            raise CodsaError(f"region '{name}' has no row; change the regions' edges or expressions")
    if (index < 0).any():
        raise CodsaError(f"{int((index < 0).sum())} rows lie in no region; widen the regions")
    if len(regions) < 2:
        raise CodsaError(f"there is one region only ('{regions.names[0]}'); give a rule that parts the rows")


def write_dataset(folder: Path, rows: pd.DataFrame, schema: Schema, origin: Mapping[str, Any]) -> None:
    """Write `rows.parquet`, `schema.json` and `manifest.json` into a folder.

    Parameters
    ----------
    origin : mapping
        Where the rows came from: the simulation's settings, or the file's digest.
    """
    names = ("rows.parquet", "schema.json", "manifest.json")
    with together(*(folder / name for name in names)) as parts:
        write_parquet(parts[0], rows)
        write_records(parts, frame_digest(rows), schema, origin)


def write_records(parts: list[Path], rows_digest: str, schema: Schema, origin: Mapping[str, Any]) -> None:
    """Write the schema and the manifest beside a table, given as [table, schema, manifest]."""
    table, types, manifest = parts
    write_json(types, schema.to_dict())
    outputs = {"rows.parquet": file_digest(table), "schema.json": file_digest(types)}
    write_manifest(manifest, "prepare", {}, origin, outputs, dataset=rows_digest)


@dataclass(frozen=True)
class Dataset:
    """A prepared table with its schema and the digest of its content.

    Attributes
    ----------
    rows : DataFrame of shape (n, d)
        In the schema's types; a row's position is its row_id.
    schema : Schema
    digest : str
        SHA-256 of content and schema; every later artefact remembers it.
    """

    rows: pd.DataFrame
    schema: Schema
    digest: str

    def __len__(self) -> int:
        """Return n."""
        return len(self.rows)

    def regions(self) -> Any:
        """Return each row's region index, ndarray of int64, shape (n,)."""
        return self.schema.regions.assign(self.rows)

    def part(self, row_ids: Any) -> pd.DataFrame:
        """Return the modelled columns of some rows, given by their row_ids."""
        return self.rows.iloc[row_ids][[c.name for c in self.schema.modelled]].reset_index(drop=True)

    def column(self, name: str) -> pd.Series:
        """Return one column."""
        return self.rows[name]

    def row_hashes(self, names: list[str]) -> Any:
        """Return a hash of each row's values in some columns, ndarray of uint64, shape (n,)."""
        return pd.util.hash_pandas_object(self.rows[names], index=False).to_numpy()


def load_dataset(folder: Path) -> Dataset:
    """Read a prepared dataset and check that table and schema belong together.

    The user may have corrected `schema.json`: values are cast to its types and described anew.
    """
    schema = Schema.from_dict(read_json(folder / "schema.json"))
    rows = read_parquet(folder / "rows.parquet")
    tables.check_table(rows, schema, str(folder / "rows.parquet"))
    rows, columns, _ = _enforce(rows, schema.columns, Declared(schema.target, schema.task))
    schema = replace(schema, columns=columns)
    refuse_gaps(schema.regions, schema.regions.assign(rows))
    return Dataset(rows, schema, content_digest(frame_digest(rows), schema))


def content_digest(rows_digest: str, schema: Schema) -> str:
    """Return the digest of a dataset's content and schema."""
    return digest([rows_digest, {k: v for k, v in schema.to_dict().items() if k != "notes"}])
