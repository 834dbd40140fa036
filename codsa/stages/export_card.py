"""The data card of an export: what the rows are, how they were made and from which rows, how good and how private."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from codsa import __version__
from codsa.generators.base import resamples
from codsa.settings.export import ExportOptions
from codsa.settings.registry import GENERATORS
from codsa.stages.chosen import ChosenFit
from codsa.stages.chosen_rows import ExportedRows

FIGURES = {
    "rows": "synthetic rows compared",
    "wasserstein": "Wasserstein-1 distance of synthetic rows to test rows",
    "wasserstein_floor": "the same of as many real training rows: what sampling alone gives",
    "two_sample_auc": "AUC of a classifier that tells synthetic rows from test rows: 0.5 where it cannot",
    "nearest_ratio": "distance to the nearest training row over that of held-out rows: 1 for new rows, 0 for copies",
    "violations": "share of drawn rows that lay outside their region, levels or bounds, and were drawn again",
    "copies": "share of generated texts that equal a training text",
    "near_copies": "share of generated texts that nearly equal a training text",
    "round_trip": "mean cosine similarity of an embedding and that of the text decoded from it",
}
"""What the figures of an evaluation say; others go by their names."""
UNLICENSED = "Not stated: whoever hands these rows out says it."
PRIVACY = "Synthetic rows are not anonymous: nothing bounds what they tell of a training row (no differential privacy)."
PAPER = "Tian and Shen (2025), Conditional Data Synthesis Augmentation, arXiv:2504.07426"
DTYPES = {
    "numeric": "float64",
    "integer": "int64",
    "boolean": "bool",
    "datetime": "timestamp[ns]",
    "text": "large_string",
    "image": "image",
}
"""Types of a Hugging Face data set by those of a schema."""
TASKS = {"classification": "tabular-classification", "regression": "tabular-regression"}


def card(fit: ChosenFit, rows: ExportedRows, files: Sequence[str], options: ExportOptions) -> str:
    """Return the data card, in Markdown; that of a Hugging Face data set begins with a YAML header."""
    title = f"{fit.evaluation.experiment}, {options.what}"
    parts = [
        f"# {_text(title)}",
        _summary(fit, rows, files, options),
        _making(fit, rows),
        _columns(rows),
        _quality(fit, rows),
        "## Licence\n"
        + (_text(options.license) if options.license else "Not stated: whoever hands these rows out says it."),
        f"## Citation\nThe method: {PAPER}.",
    ]
    header = _header(fit, rows, title, options) if options.format == "huggingface" else ""
    return header + "\n\n".join(parts) + "\n"


def _text(text: object) -> str:
    """Return text of the user's as Markdown shows it, on one line and without markup."""
    line = " ".join(str(text).split())
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|" else c for c in line)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _summary(fit: ChosenFit, rows: ExportedRows, files: Sequence[str], options: ExportOptions) -> str:
    real, synthetic = sum(rows.real.values()), sum(rows.synthetic.values())
    schema = fit.dataset.schema
    holds = {
        "augmented": f"{real} real rows and {synthetic} synthetic ones: what the chosen estimator was fitted on",
        "synthetic": f"{synthetic} synthetic rows and no real one",
    }[options.what]
    lines = [f"`{files[0]}` holds {holds}. The task is {schema.task} of `{schema.target}`."]
    lines += [f"Note: {_text(note)}." for note in rows.notes]
    counts = [(_text(name), rows.real[name], rows.synthetic[name]) for name in rows.real]
    return "\n".join(lines) + "\n\n" + _table(["region", "real rows", "synthetic rows"], counts)


def _making(fit: ChosenFit, rows: ExportedRows) -> str:
    row, split = fit.choice.row, fit.split
    lines = [
        "## How it was made",
        f"By CoDSA {__version__}, study {_text(fit.evaluation.experiment)}, seed {fit.evaluation.seed}. "
        f"{_text(fit.words[0].upper() + fit.words[1:])}.",
        f"Of the study's {len(fit.dataset)} rows, {split.n} train. Validation and test rows are not among these rows, "
        "and no generator has seen them. Validation rows chose how many synthetic rows there are, of which regions.",
    ]
    for name in dict.fromkeys(pool.generator for pool in rows.pools):
        simple = name in GENERATORS and resamples(name)
        how = "copies or mixtures of real training rows, by a rule" if simple else "draws from a trained model"
        lines.append(f"Synthetic rows are {how}: generator {_text(name)}.")
    if rows.pools:
        seen = sorted({len(split.generator_rows(pool.r, pool.fold)) for pool in rows.pools})
        lines.append(
            f"The generator learned from {' or '.join(map(str, seen))} training rows (r = {row['r']:g}); "
            f"the real rows that the estimator got beside its rows number {row['real_rows']}."
        )
    return "\n\n".join([lines[0] + "\n" + lines[1], *lines[2:]])


def _columns(rows: ExportedRows) -> str:
    listed: list[Sequence[object]] = [(_text(c.name), c.type, c.role) for c in rows.columns]
    listed += [(_text(name), "added", said) for name, said in rows.added.items()]
    left_out = "Identifiers and other columns that the study ignores are not among them."
    return f"## Columns\n{_table(['column', 'type', 'role'], listed)}\n\n{left_out}"


def _quality(fit: ChosenFit, rows: ExportedRows) -> str:
    heading = "## Fidelity and privacy"
    real = sum(rows.real.values())
    exposed = (
        f"{real} rows are real rows of the study's table, word for word: hand them out only where that is allowed. "
    )
    privacy = (exposed if real else "") + PRIVACY
    if not any(rows.synthetic.values()):
        return f"{heading}\n{exposed.strip()} There are no synthetic rows."
    measured = fit.evaluation.diagnostics if fit.diagnosed else {}
    if not measured:
        other = "Not measured: the evaluation compared the synthetic rows of another fit with test rows."
        return f"{heading}\n{other}\n\n{privacy}"
    keys = list(dict.fromkeys(key for figures in measured.values() for key in figures))
    keys = [*(key for key in FIGURES if key in keys), *(key for key in keys if key not in FIGURES)]
    table = _table(["figure", *map(_text, measured)], [(_text(key), *_figures(measured, key)) for key in keys])
    meaning = "\n".join(f"- {_text(key)}: {FIGURES[key]}" for key in keys if key in FIGURES)
    return (
        f"{heading}\nSynthetic rows of each region against the study's test rows.\n\n{table}\n\n{meaning}\n\n{privacy}"
    )


def _figures(measured: Mapping[str, Mapping[str, float | None]], key: str) -> list[str]:
    values = [figures.get(key) for figures in measured.values()]
    return ["–" if value is None or not math.isfinite(value) else f"{value:.4g}" for value in values]


def _header(fit: ChosenFit, rows: ExportedRows, title: str, options: ExportOptions) -> str:
    """Return the YAML header by which the hub and the library `datasets` read the folder."""
    import yaml

    header: dict[str, Any] = {"license": (options.license or "unknown").lower(), "pretty_name": title}
    task = TASKS.get(fit.dataset.schema.task)
    if task and not any(c.is_array or c.type == "text" for c in rows.columns):
        header["task_categories"] = [task]
    header["tags"] = ["synthetic", "data-augmentation", "codsa"]
    header["configs"] = [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}]
    header["dataset_info"] = {"features": [_feature(str(name), rows) for name in rows.frame]}
    return f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---\n\n"


def _feature(name: str, rows: ExportedRows) -> dict[str, Any]:
    column = next((c for c in rows.columns if c.name == name), None)
    if column is None:
        kind = rows.frame[name].dtype.kind
        return {"name": name, "dtype": {"b": "bool", "i": "int64"}.get(kind, "float64")}
    if column.type == "vector":
        return {"name": name, "sequence": "float32"}
    if column.type == "categorical":
        return {"name": name, "dtype": "int64" if str(rows.frame[name].dtype) == "Int64" else "large_string"}
    return {"name": name, "dtype": DTYPES[column.type]}
