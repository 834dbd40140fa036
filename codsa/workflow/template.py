"""The commented experiment file that `codsa new` writes for a table."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import yaml

from codsa.data.preparation import prepare
from codsa.data.schema import Schema
from codsa.errors import CodsaError
from codsa.io.files import atomic_write
from codsa.io.yamls import parse_yaml
from codsa.readers.tables import read_table
from codsa.settings.columns import ColumnOptions
from codsa.settings.regions import RegionRule
from codsa.settings.section import validated
from codsa.workflow.config import Experiment
from codsa.workflow.template_methods import methods_text, with_minutes

TEMPLATE = """\
# {name}: {rows} rows, {task} of '{target}', written by `codsa new` for you to edit.
# Unknown keys are refused, with the nearest known name; absent ones have the defaults shown.
name: {name}
title: {name}
seed: 0
replicates: 5            # independent splits; intervals need at least 2

data:
  path: {path}
  target: {target_text}
  task: {task}           # inferred; classification or regression
  # group: patient_id    # rows of one value share one role
  columns: {{}}            # inferred as below; to correct, drop the {{}} and the # of a line
{columns}

regions:                 # a partition of the sample space; they hold {counts} rows
{regions}

{methods}"""


def write_experiment(table: Path, target: str, region: str | None, name: str | None, out: Path | None) -> Path:
    """Infer the schema of a table and write its experiment file.

    Parameters
    ----------
    table : Path
    target : str
    region : str, optional
        The column whose values are the regions.
    name : str, optional
        The study's name; the file's stem if not given.
    out : Path, optional
        The file to write; NAME.yaml if not given. An existing file is not overwritten.

    Returns
    -------
    Path
    """
    title = re.sub(r"[^A-Za-z0-9._-]+", "-", name or table.name.split(".")[0]).strip("-.") or "study"
    path = out or Path(f"{title}.yaml")
    if path.exists() or path.is_symlink():
        raise CodsaError(f"{path}: is there already; give another --out")
    rule = RegionRule(by="column", column=region) if region else RegionRule()
    rows, schema = prepare(read_table(table), ColumnOptions(target=target), rule)
    counts = np.bincount(schema.regions.assign(rows)).tolist()
    text = TEMPLATE.format(
        name=_quote(title),
        rows=len(rows),
        task=schema.task,
        target=_comment(target),
        target_text=_quote(target),
        path=_quote(str(table)),
        columns=_columns(schema),
        regions=_regions(schema, region),
        counts=", ".join(str(c) for c in counts),
        methods=methods_text(title, schema.task, counts),
    )
    text = with_minutes(text, len(rows))
    _check(text, path)
    with atomic_write(path) as staged:
        staged.write_text(text, encoding="utf-8")
    return path


def _quote(text: str) -> str:
    """Return text as YAML: quoted where it is not plain, or where YAML would read a number, a boolean or null."""
    if re.fullmatch(r"[A-Za-z_./][A-Za-z0-9_./-]*", text) and _reads_as_itself(text):
        return text
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=math.inf).strip()


def _reads_as_itself(text: str) -> bool:
    return parse_yaml(text, text) == text and next(iter(parse_yaml(f"{text}: 0", text))) == text


def _comment(text: str) -> str:
    """Return text with blanks for the characters that would end a comment."""
    return "".join(c if c.isprintable() else " " for c in text)


def _columns(schema: Schema) -> str:
    lines = []
    for column in schema.columns:
        if column.role != "target":
            note = f"   # {column.note}" if column.note else ""
            lines.append(f"    # {_quote(column.name)}: {{type: {column.type}, role: {column.role}}}{note}")
    return "\n".join(lines)


def _regions(schema: Schema, region: str | None) -> str:
    names = _comment(", ".join(schema.regions.names))
    if region is not None:
        return f"  by: column            # {names}\n  column: {_quote(region)}"
    by = "class" if schema.task == "classification" else "quantile"
    return f"  by: {by}            # {names}; or column, quantile, range, expression"


def _check(text: str, path: Path) -> None:
    validated(Experiment, parse_yaml(text, str(path)), str(path))
