"""The triage of a table on disk, and its record as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codsa.data.preparation import prepare
from codsa.errors import CodsaError
from codsa.io.files import refuse_irregular
from codsa.io.records import write_json
from codsa.readers.tables import read_table
from codsa.settings.columns import ColumnOptions
from codsa.settings.regions import RegionRule
from codsa.stages.split import target_law
from codsa.triage.judge import Triage, triage
from codsa.triage.wording import sentence, verdict

MADE_BY = "codsa triage"
"""What marks a record, so that no other file is replaced."""


def triage_table(
    table: Path,
    target: str,
    region: str | None = None,
    law: str | Mapping[str, float] = "balanced",
    seed: int = 0,
    out: Path | None = None,
) -> Triage:
    """Read a table, infer its schema, and triage it.

    Parameters
    ----------
    table : Path
    target : str
    region : str, optional
        The column whose values are the regions; default: by class, or by thirds of a numeric target.
    law : 'balanced', 'training' or mapping
        Q.
    seed : int
    out : Path, optional
        Where a record is to be written; a file in the way is an error before the work begins.
    """
    check_record(out)
    rule = RegionRule(by="column", column=region) if region else RegionRule()
    rows, schema = prepare(read_table(table), ColumnOptions(target=target), rule)
    return triage(rows, schema, target_law(law, schema, schema.regions.assign(rows)), seed)


def check_record(path: Path | None) -> None:
    """Raise a `CodsaError` where a record cannot be written: a file in the way that is no record of a triage."""
    if path is None or not (path.exists() or path.is_symlink()):
        return
    refuse_irregular(path)
    try:
        made_by = json.loads(path.read_text(encoding="utf-8"))["made_by"]
    except (OSError, ValueError, KeyError, TypeError):
        made_by = None
    if path.is_symlink() or made_by != MADE_BY:
        raise CodsaError(f"{path}: is there already, and 'codsa triage' did not make it; give another --json")


def write_record(path: Path, found: Triage, **facts: Any) -> None:
    """Write all figures, the verdict and the sentence; `facts` say what was triaged."""
    content = {"made_by": MADE_BY, "verdict": verdict(found), "sentence": sentence(found)}
    write_json(path, {**content, **facts, **found.to_dict()})
