"""Tables of the page on data, settings and versions."""

from __future__ import annotations

import json
from typing import Any

from codsa.evidence.studies import StudyResults
from codsa.evidence.wording import number
from codsa.report.cells import Cell, Table, header, name_cell, or_nan


def sizes_table(study: StudyResults) -> Table:
    """Return the number of rows by role and region, and both laws."""
    record = study.first.record
    roles = [role for role in ("train", "validation", "test") if role in record.sizes]
    rows = []
    for name in study.regions:
        counts = [Cell(f"{record.sizes[role].get(name, 0):,}") for role in roles]
        laws = [Cell(number(or_nan(law.get(name)), 3)) for law in (record.law, record.training_law)]
        rows.append([Cell(name), *counts, *laws])
    totals = [Cell(f"{sum(record.sizes[role].values()):,}") for role in roles]
    rows.append([Cell("All"), *totals, Cell(""), Cell("")])
    heads = ["Region", *(role.capitalize() for role in roles), "Target law q", "Training law p"]
    return Table(header(heads), rows, groups={len(rows) - 1})


def settings_table(study: StudyResults) -> Table:
    """Return the settings of every method's first replicate."""
    rows: list[list[Cell]] = []
    groups: set[int] = set()
    for method in study.methods:
        settings = study.of(method)[0].record.settings
        hidden = ("experiment", "replicate", "r")
        settings = {key: value for key, value in settings.items() if key not in hidden}
        groups |= {len(rows)} if settings else set()
        rows += [[name_cell(method), Cell(str(key)), Cell(_compact(value))] for key, value in settings.items()]
    return Table(header(["Method", "Setting", "Value"]), rows, groups=groups)


def versions_table(study: StudyResults) -> Table:
    """Return the versions of the libraries; several where evaluations differ."""
    versions: dict[str, set[str]] = {}
    for result in study.evaluations:
        for name, version in result.record.versions.items():
            versions.setdefault(name, set()).add(str(version))
    rows = [[Cell(name), Cell(", ".join(sorted(versions[name])))] for name in sorted(versions)]
    return Table(header(["Library", "Version"]), rows)


def _compact(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
