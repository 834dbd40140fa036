"""The commented experiment file that `codsa new` writes for a table."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np

from codsa.errors import CodsaError
from codsa.io.files import atomic_write
from codsa.io.yamls import parse_yaml
from codsa.settings.section import validated
from codsa.settings.tables import TableOptions
from codsa.workflow.config import Experiment
from codsa.workflow.inspection import inspect
from codsa.workflow.template_methods import methods_text, with_minutes
from codsa.workflow.yaml_text import comment, quote

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
  table:                 # how the file is written; nothing else is guessed
{table}
{keep}{notes}  columns: {no_columns}            # inferred as below; to correct, {correct}
{columns}

regions:                 # a partition of the sample space; they hold {counts} rows
{regions}

{methods}"""


def write_experiment(
    table: Path,
    target: str,
    region: str | None,
    name: str | None,
    out: Path | None,
    *,
    options: TableOptions | None = None,
    keep: Collection[str] = (),
    drop: Collection[str] = (),
) -> Path:
    """Infer the schema of a table and write its experiment file.

    Parameters
    ----------
    table : Path
    target : str
    region : str, optional
        The column whose values are the regions; ranges of a continuous one.
    name : str, optional
        The study's name; the file's stem if not given.
    out : Path, optional
        The file to write; NAME.yaml if not given. An existing file is not overwritten.
    options : TableOptions, optional
        What the user says of how the table is written; the rest is found, and all of it is written down.
    keep, drop : collections of str
        The only columns to use beside target and region, or columns to leave out.

    Returns
    -------
    Path
    """
    title = re.sub(r"[^A-Za-z0-9._-]+", "-", name or table.name.split(".")[0]).strip("-.") or "study"
    path = out or Path(f"{title}.yaml")
    if path.exists() or path.is_symlink():
        raise CodsaError(f"{path}: is there already; give another --out")
    found = inspect(table, target, region, options or TableOptions(), keep, drop)
    counts = np.bincount(found.schema.regions.assign(found.rows)).tolist()
    text = TEMPLATE.format(
        name=quote(title),
        rows=len(found.rows),
        task=found.schema.task,
        target=comment(target),
        target_text=quote(target),
        path=quote(str(table)),
        table=found.table_lines,
        keep=found.keep_line,
        notes=found.note_lines,
        no_columns="" if found.left_out else "{}",
        correct="drop the # of a line" if found.left_out else "drop the {} and the # of a line",
        columns=found.column_lines,
        regions=found.region_lines,
        counts=", ".join(str(c) for c in counts),
        methods=methods_text(title, found.schema.task, counts),
    )
    text = with_minutes(text, len(found.rows))
    _check(text, path)
    with atomic_write(path) as staged:
        staged.write_text(text, encoding="utf-8")
    return path


def _check(text: str, path: Path) -> None:
    validated(Experiment, parse_yaml(text, str(path)), str(path))
