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

split:
  law: balanced          # Q, the law under which the model is evaluated: balanced, training, or {{region: weight}}
  validation: 0.2        # a share of every region, or a number of rows drawn under Q
  test: 0.2

methods: [none, weighted, bootstrap, {neighbours}, non-adaptive, codsa, codsa-reuse]
# Beside them stand the controls that a gain must survive (controls: [] leaves them out), control-auto, which chooses
# among the controls on validation rows, and codsa-auto, which chooses among everything, to add nothing included.
primary: codsa-auto      # the method that the verdict is about

grid:                    # the grid of λ = (r, m, α); validation rows alone choose λ
  r: [0.8, 1.0]          # share of the training rows that the generator sees
  m: [0.0, 0.25, 0.5, 1.0]   # synthetic rows, as a multiple of the training rows; 0 adds nothing
  alpha: [balance, target]   # their regions: Eq. (5), as under Q, or a weight for the region in focus

generators:
  tabular-diffusion: {{steps: 2000, batch: 256}}

estimator:
  name: gradient-boosting    # random-forest, logistic, mlp, or any module:Class of scikit-learn's protocol
"""


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
        neighbours="smote, adasyn" if found.schema.task == "classification" else "smote, smogn",
    )
    _check(text, path)
    with atomic_write(path) as staged:
        staged.write_text(text, encoding="utf-8")
    return path


def _check(text: str, path: Path) -> None:
    validated(Experiment, parse_yaml(text, str(path)), str(path))
