"""What `codsa new` finds in a table: how it is written, what its columns hold, and what a user should know of it."""

from __future__ import annotations

import keyword
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from codsa.data.giveaways import giveaways
from codsa.data.preparation import prepare
from codsa.data.schema import CLASS_LIMIT, Schema, infer_type
from codsa.errors import CodsaError, suggest
from codsa.readers.tables import read_settled
from codsa.settings.columns import ColumnConfig, ColumnOptions
from codsa.settings.regions import RegionRule
from codsa.settings.tables import TableOptions
from codsa.workflow.yaml_text import comment, quote, written

log = logging.getLogger(__name__)

RANGES = 3
MANY_LEVELS = 50


@dataclass(frozen=True)
class Inspection:
    """A table, inspected.

    Attributes
    ----------
    rows : DataFrame of shape (n, d)
    schema : Schema
    options : TableOptions
        How the file is written, with nothing left to be found.
    rule : RegionRule
    left_out : list of str
        Columns that the user leaves out.
    notes : list of str
        All that was found or done, in words.
    condition : str, optional
        The expression that holds for the rows that are used.
    """

    rows: pd.DataFrame
    schema: Schema
    options: TableOptions
    rule: RegionRule
    left_out: list[str]
    notes: list[str]
    condition: str | None = None

    @property
    def keep_line(self) -> str:
        """The line that says which rows are used; empty for all."""
        return f"  keep: {quote(self.condition)}\n" if self.condition else ""

    @property
    def table_lines(self) -> str:
        """The lines of the experiment file that say how the table is written."""
        said = self.options.model_dump(exclude_defaults=True, exclude_none=True)
        return "\n".join(f"    {key}: {written(value)}" for key, value in said.items())

    @property
    def column_lines(self) -> str:
        """The lines of the columns: those that are left out, and a comment for every other one."""
        lines = [f"    {quote(name)}: {{role: ignored}}" for name in self.left_out]
        for column in self.schema.columns:
            if column.role != "target" and column.name not in self.left_out:
                note = f"   # {column.note}" if column.note else ""
                lines.append(f"    # {quote(column.name)}: {{type: {column.type}, role: {column.role}}}{note}")
        return "\n".join(lines)

    @property
    def region_lines(self) -> str:
        """The lines of the rule of regions, and which regions are pooled."""
        names = comment(", ".join(self.schema.regions.names))
        pooled = "".join(f"\n  # {comment(note)}" for note in self.schema.notes if " pools " in note)
        if self.rule.column is None:
            by = "class" if self.schema.task == "classification" else "quantile"
            return f"  by: {by}            # {names}; or column, quantile, range, expression{pooled}"
        by = f"  by: {self.rule.by}            # {names}\n  column: {quote(self.rule.column)}"
        return by + (f"\n  quantiles: {RANGES}" if self.rule.by == "quantile" else "") + pooled

    @property
    def note_lines(self) -> str:
        """The notes as comments, each on a line; empty where there is none."""
        return "".join(f"  # {comment(note)}\n" for note in self.notes)


def inspect(
    table: Path,
    target: str,
    region: str | None,
    options: TableOptions,
    keep: Collection[str] = (),
    drop: Collection[str] = (),
) -> Inspection:
    """Read a table, infer its schema, and note what a user should know.

    Parameters
    ----------
    table : Path
    target : str
    region : str, optional
        The column whose values are the regions, or whose thirds where it is continuous.
    options : TableOptions
        What the user says of the file; the rest is found.
    keep, drop : collections of str
        Columns: all others are left out, or these are.

    Raises
    ------
    CodsaError
        For a column that is not there, a target or region that is left out, and as `read_settled` and `prepare`.
    """
    notes: list[str] = []
    raw, settled = read_settled(table, options, notes=notes)
    names = [str(name) for name in raw.columns]
    for name in [target, *([region] if region else []), *keep, *drop]:
        if name not in names:
            raise CodsaError(f"{table}: no column '{name}' in the table; {suggest(name, names)}")
    left_out = _left_out(names, target, region, keep, drop)
    rule = RegionRule() if region is None else _region_rule(region, raw[region], notes)
    condition = None
    if rule.by == "quantile" and region is not None:
        condition, raw = _with_region(region, raw, rule.min_rows, notes)
    for note in notes:
        log.warning("%s", note)
    corrections = {name: ColumnConfig(role="ignored") for name in left_out}
    rows, schema = prepare(raw, ColumnOptions(target=target, columns=corrections), rule)
    found = _many_levels(schema, len(rows)) + giveaways(rows[schema.features], rows[target])
    for note in found:
        log.warning("%s", note)
    pooled = [note for note in schema.notes if not note.startswith(("region ", "column "))]
    return Inspection(rows, schema, settled, rule, left_out, [*notes, *pooled, *found], condition)


def _left_out(
    names: Sequence[str], target: str, region: str | None, keep: Collection[str], drop: Collection[str]
) -> list[str]:
    needed = {target, region}
    for name in drop:
        if name in needed:
            raise CodsaError(f"--drop {name}: it is the {'target' if name == target else 'region'}; keep it")
    return [name for name in names if name in drop or (keep and name not in keep and name not in needed)]


def _region_rule(region: str, values: pd.Series, notes: list[str]) -> RegionRule:
    """Return the rule that parts rows by a column: its values, or ranges of a continuous one, with a note."""
    present = values.dropna()
    continuous = len(present) > 0 and infer_type(values) in ("numeric", "integer", "datetime")
    if continuous and (infer_type(values) == "datetime" or present.nunique() > CLASS_LIMIT):
        notes.append(
            f"region '{region}' has {present.nunique()} different values: it is parted into {RANGES} ranges that hold "
            "equally many rows (regions: quantiles)"
        )
        return RegionRule(by="quantile", column=region, quantiles=RANGES)
    return RegionRule(by="column", column=region)


def _with_region(region: str, raw: pd.DataFrame, min_rows: int, notes: list[str]) -> tuple[str | None, pd.DataFrame]:
    """Return the condition for rows that have a region, and these rows, where the others are too few for a region."""
    gone = raw[region].isna().to_numpy(dtype=bool)
    if not 0 < gone.sum() < min_rows:
        return None, raw
    notes.append(
        f"region '{region}': missing in {int(gone.sum())} rows, too few for a region, which are left out (keep)"
    )
    name = region if region.isidentifier() and not keyword.iskeyword(region) else f"`{region}`"
    return f"{name}.notna()", raw[~gone].reset_index(drop=True)


def _many_levels(schema: Schema, n: int) -> list[str]:
    """Say which features are categories of many levels."""
    return [
        f"column '{c.name}' is a category of {len(c.levels)} levels in {n} rows: a name or a code? --drop it, or "
        "declare another type"
        for c in schema.columns
        if c.role == "feature" and c.type == "categorical" and c.levels and len(c.levels) > MANY_LEVELS
    ]
