"""The data card of an export: what it is, how it was made, from which rows, how good and how private it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import yaml

from codsa.export.formats import type_of
from codsa.export.rows import ExportedRows, Provenance

NO_LICENCE = "not stated"
LICENCES = {
    *("apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0"),
    *("odbl", "odc-by", "pddl"),
}
"""Names of licences that Hugging Face knows, in lower case."""
UNLICENSED = (
    "Not stated. Whatever binds the source data binds the real rows here, and may bind what was learned from them."
)
FIGURES = {
    "wasserstein": "Wasserstein-1 to test rows",
    "wasserstein_floor": "the same of real training rows",
    "two_sample_auc": "AUC of a classifier of synthetic and test rows (0.5: none can tell)",
    "nearest_ratio": "distance to the nearest training row over that of a test row (below 1: closer)",
    "violations": "share of drawn rows that were refused",
}
TASKS = {"classification": "tabular-classification", "regression": "tabular-regression"}


def card(rows: ExportedRows, origin: Provenance, files: list[str], task: str, header: bool) -> str:
    """Return the card as Markdown; with a header, as Hugging Face reads it."""
    parts = [
        f"# {origin.study}: {_title(origin)}",
        _what(rows, origin, files),
        _how(origin),
        _from(rows, origin),
        _columns(rows),
        _fidelity(origin),
        _privacy(rows, origin),
        f"## Licence\n\n{origin.licence or UNLICENSED}",
    ]
    text = "\n\n".join(parts) + "\n"
    return f"---\n{_header(rows, origin, files, task)}---\n\n{text}" if header else text


def _title(origin: Provenance) -> str:
    return "synthetic rows" if origin.what == "synthetic" else "training rows, real and synthetic"


def _what(rows: ExportedRows, origin: Provenance, files: list[str]) -> str:
    real, synthetic = int((~rows.synthetic).sum()), int(rows.synthetic.sum())
    counts = "\n".join(
        f"| {_cell(name)} | {int((own & ~rows.synthetic).sum())} | {int((own & rows.synthetic).sum())} |"
        for name in dict.fromkeys(rows.region)
        for own in [rows.region == name]
    )
    holds = (
        f"{synthetic} synthetic rows" if origin.what == "synthetic" else f"{real} real and {synthetic} synthetic rows"
    )
    return (
        f"## What\n\n{holds} of the study `{origin.study}`, in {', '.join(f'`{name}`' for name in files)}.\n\n"
        f"| region | real | synthetic |\n|---|---|---|\n{counts}"
    )


def _how(origin: Provenance) -> str:
    lines = [
        f"Method `{origin.method}`, replicate {origin.replicate}, seed {origin.seed}. For the estimator "
        f"`{origin.estimator}` validation rows chose, by {origin.column} figures: {origin.summary}."
    ]
    if origin.generator is not None:
        made = "draws real rows again or changes them by a rule" if origin.resamples else "was trained on them"
        lines.append(f"The generator `{origin.generator}` saw S_g, a part of the training rows, alone; it {made}.")
    if origin.source:
        lines.append("The method also uses a source set, whose rights apply besides.")
    versions = ", ".join(f"{name} {number}" for name, number in sorted(origin.versions.items()))
    lines.append(f"Made by `codsa export` ({versions}).")
    return "## How\n\n" + "\n".join(lines)


def _from(rows: ExportedRows, origin: Provenance) -> str:
    kept = "The real rows are" if origin.what == "augmented" else "The rows that the study learned from are"
    held = ", ".join(f"{count} {role} rows" for role, count in origin.held_back.items())
    notes = "".join(f"\n- {note}" for note in origin.notes)
    return (
        f"## From which rows\n\n{kept} training rows: those on which the chosen estimator was fitted, and no other. "
        f"Of the study's rows {held} are not here, so they still tell what these rows are worth."
        + (f"\n{notes}" if notes else "")
    )


def _columns(rows: ExportedRows) -> str:
    own = [f"| {_cell(c.name)} | {type_of(c)} | {c.role} |" for c in rows.columns]
    more = [f"| {_cell(name)} | | {text} |" for name, text in rows.added.items()]
    return "## Columns\n\n| column | type | role |\n|---|---|---|\n" + "\n".join([*own, *more])


def _fidelity(origin: Provenance) -> str:
    if not origin.fidelity:
        reason = "there is no synthetic row" if origin.generator is None else "this choice's rows were not compared"
        return f"## Fidelity\n\nNot measured: {reason} with test rows."
    names = [name for name in FIGURES if any(own.get(name) is not None for own in origin.fidelity.values())]
    table = "\n".join(
        f"| {_cell(region)} | " + " | ".join(_figure(own.get(name)) for name in names) + " |"
        for region, own in origin.fidelity.items()
    )
    explained = "\n".join(f"- `{name}`: {FIGURES[name]}" for name in names)
    return (
        "## Fidelity\n\nSynthetic rows beside test rows, per region:\n\n"
        f"| region | {' | '.join(names)} |\n|---|{'---|' * len(names)}\n{table}\n\n{explained}"
    )


def _privacy(rows: ExportedRows, origin: Provenance) -> str:
    synthetic = int(rows.synthetic.sum())
    lines = ["No formal guarantee (differential privacy) is given."]
    if synthetic:
        lines.append(f"{origin.copies} of {synthetic} synthetic rows equal a training row in every column.")
    if origin.resamples:
        lines.append(
            "The generator resamples: its rows are real ones, or mixtures of a few, so treat them as real rows."
        )
    if origin.what == "augmented":
        lines.append("The real rows are the study's own; share them only as you may share the source data.")
    return "## Privacy\n\n" + " ".join(lines)


def _header(rows: ExportedRows, origin: Provenance, files: list[str], task: str) -> str:
    images = any(c.type == "image" for c in rows.columns)
    content: dict[str, Any] = {
        "pretty_name": f"{origin.study}: {_title(origin)}",
        **_licence(origin.licence),
        "size_categories": [_size(len(rows.frame))],
        "tags": ["codsa", "synthetic"],
        "configs": [{"config_name": "default", **_data_files(files, images)}],
    }
    if task in TASKS and not images:
        content["task_categories"] = [TASKS[task]]
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _licence(licence: str) -> dict[str, str]:
    """Return a licence as Hugging Face names it, where it is one of the common ones."""
    if licence.lower() in LICENCES:
        return {"license": licence.lower()}
    return {"license": "other", "license_name": licence or NO_LICENCE}


def _data_files(files: list[str], images: bool) -> Mapping[str, Any]:
    if images:
        return {"data_dir": "."}
    return {"data_files": [{"split": "train", "path": files[0]}]}


def _size(rows: int) -> str:
    for limit, name in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")):
        if rows < limit:
            return name
    return "1M<n<10M"


def _figure(value: float | None) -> str:
    return "–" if value is None or not np.isfinite(value) else f"{value:.3g}"


def _cell(text: object) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")
