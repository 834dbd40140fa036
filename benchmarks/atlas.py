"""The atlas: where augmentation helps, on thirty real tables, three estimators, three sizes, with the court's controls.

    python benchmarks/atlas.py --data FOLDER [--only NAME …] [--rows 200 500 all] [--splits 10] [--cores 2]

FOLDER holds the folders `atlas` and `tabular` with the CSVs that benchmarks/atlas.yaml names; that file fixes every
setting. A study has n training rows of a table, validation and test rows beside them in proportion, regions by class,
by thirds of the target or by a column, and Q balanced. What is done is not done again: a run that was cut off goes on,
and `--only`, `--rows` and `--splits` may grow from call to call. All of it takes about ten CPU-hours.

Writes benchmarks/results/atlas.csv (a figure per split), benchmarks/results/atlas_cells.csv (a verdict per cell, with
what the map is drawn by), and RESULTS/atlas.md, the tables of docs/atlas.md; `--map FILE.png` draws the map.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from court import figures
from in_process import run

from codsa.data.choice import ScoredRows
from codsa.data.metrics import law_weights
from codsa.evidence.judgement import judge
from codsa.evidence.reading import read_study
from codsa.evidence.studies import StudyResults
from codsa.workflow.arms import CONTROL, PRIMARY, STRONG

SETTINGS = Path(__file__).with_name("atlas.yaml")
COLUMNS = ["table", "estimator", "n", "method", "kind", "split", "metric", "raw", "recalibrated"]
ALL = "all"


def tables(settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return every table's facts by name, those of the explored half first."""
    return {name: {**facts, "half": half} for half, part in settings["tables"].items() for name, facts in part.items()}


def study_rows(size: str, available: int, settings: dict[str, Any]) -> tuple[int, dict[str, float]] | None:
    """Return how many rows of a table a study has, and the shares that validate and test.

    None where the table has no more rows than `all` would give it.
    """
    if size == ALL:
        return min(available, settings["most_rows"]), settings["shares"]
    each = settings["per_training_row"]
    rows = round(int(size) * (1 + sum(each.values())))
    if rows > available:
        return None
    return rows, {role: share / (1 + sum(each.values())) for role, share in each.items()}


def write_experiment(name: str, size: str, settings: dict[str, Any], options: argparse.Namespace) -> Path | None:
    """Write the experiment of a table at a size, with its rows; None where the table is too small for it."""
    facts = tables(settings)[name]
    folder = options.results / "experiments"
    folder.mkdir(parents=True, exist_ok=True)
    table = pd.read_csv(options.data / facts["file"])
    wanted = study_rows(size, len(table), settings)
    if wanted is None:
        return None
    rows, shares = wanted
    part = table if rows == len(table) else table.sample(rows, random_state=settings["seed"]).sort_index()
    path = folder / f"{name}-{size}.csv"
    if not path.exists():
        part.to_csv(path, index=False)
    numeric = pd.api.types.is_numeric_dtype(table[facts["target"]]) and table[facts["target"]].nunique() > 10
    experiment = dict(settings["experiment"])
    if not numeric:
        experiment["controls"] = [*settings["classification"], *experiment["controls"]]
    content = {
        **experiment,
        "name": f"{name}-{size}",
        "seed": settings["seed"],
        "replicates": options.splits or settings["splits"],
        "data": {
            "path": str(path),
            "target": facts["target"],
            "task": "regression" if numeric else "classification",
        },
        "split": {"law": "balanced", **shares},
        "further_estimators": {label: spec.model_dump(exclude_defaults=True) for label, spec in STRONG.items()},
        **({"regions": facts["regions"]} if "regions" in facts else {}),
    }
    file = folder / f"{name}-{size}.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return file


def guess(metric: str, rows: ScoredRows, classes: int) -> float:
    """Return the loss of the best constant prediction of the test rows, what difficulty is measured against."""
    weight = law_weights(rows.region, rows.q)
    if not classes:
        return rows.measure(metric, np.full(len(rows.y), np.average(rows.y, weights=weight)))
    shares = np.bincount(rows.y.astype(int), weights=weight, minlength=classes) / weight.sum()
    return rows.measure(metric, np.tile(shares, (len(rows.y), 1)))


def setting(study: StudyResults) -> dict[str, Any]:
    """Return what the map is drawn by: training rows, the thinnest region's share of them, the loss of guessing."""
    first = study.of("none")[0]
    sizes = [result.record.sizes["train"] for result in study.of("none")]
    predicted = first.predictions(study.estimators[0], study.column)
    classes = predicted.predicted.shape[1] if predicted.predicted.ndim == 2 else 0
    return {
        "training_rows": round(float(np.mean([sum(each.values()) for each in sizes]))),
        "regions": len(study.regions),
        "thinnest_share": min(first.record.training_law.values()),
        "guess": guess(study.metric, predicted.rows, classes),
    }


def cells(root: Path, half: str) -> list[dict[str, Any]]:
    """Return a study's cells, one per estimator: what the primary arm gains over the best control, and the verdict."""
    study = read_study(sorted(root.glob("rep~*/eval~*")))
    table, _, size = root.name.rpartition("-")
    common = {"table": table, "half": half, "n": size, **setting(study)}
    return [{**common, **cell(study, label)} for label in study.estimators]


def cell(study: StudyResults, label: str) -> dict[str, Any]:
    """Return what one estimator says of the primary arm; gains are shares of the plain model's loss."""
    judgement = judge(study, PRIMARY, label)
    held, plain = judgement.family[CONTROL], judgement.family["none"].mean_b
    return {
        "estimator": label,
        "splits": judgement.replicates,
        "metric": held.metric,
        "plain": plain,
        "control_auto": held.mean_b,
        "codsa_auto": held.mean_a,
        "gain": held.gain / plain,
        "low": -held.estimate.high / plain,
        "high": -held.estimate.low / plain,
        "over_plain": judgement.family["none"].gain / plain,
        "verdict": judgement.kind,
        "better_than": len(judgement.of(1)),
        "of": len(judgement.family),
        "worse_than": " ".join(judgement.of(-1)),
    }


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return by size and estimator: cells, mean gain over the best control, shares of the verdicts."""
    by = table.groupby(["n", "estimator"])
    return pd.DataFrame(
        {
            "cells": by.size(),
            "mean gain over control-auto": by["gain"].mean(),
            "mean gain over plain": by["over_plain"].mean(),
            "chose otherwise than control-auto": by["gain"].agg(lambda gain: float((gain != 0).mean())),
            "better than control-auto": by["low"].agg(lambda low: float((low > 0).mean())),
            "better than all": by["verdict"].agg(lambda kind: float((kind == "better").mean())),
            "worse than some": by["verdict"].agg(lambda kind: float((kind == "worse").mean())),
        }
    ).reset_index()


def as_markdown(table: pd.DataFrame) -> str:
    """Return a table of figures as Markdown; shares in percent."""
    shown = table.map(lambda value: f"{100 * value:.1f} %" if isinstance(value, float) else str(value))
    lines = [list(map(str, shown.columns)), ["---"] * len(shown.columns), *shown.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw the map: the gain over the best control against n, the thinnest region's share and the difficulty."""
    import matplotlib.pyplot as plt

    axes_by = {
        "training_rows": "training rows n",
        "thinnest_share": "share of the thinnest region",
        "difficulty": "plain loss over that of guessing",
    }
    table = table.assign(difficulty=table["plain"] / table["guess"])
    figure, panels = plt.subplots(1, len(axes_by), figsize=(12, 3.8), sharey=True, layout="constrained")
    for axes, (column, words) in zip(panels, axes_by.items(), strict=True):
        for label, part in table.groupby("estimator"):
            error = 100 * np.abs(part[["low", "high"]].to_numpy().T - part["gain"].to_numpy())
            axes.errorbar(part[column], 100 * part["gain"], error, fmt="o", ms=4, lw=0.6, alpha=0.75, label=label)
        axes.axhline(0, color="0.4", lw=0.8)
        axes.set_xlabel(words)
        if column != "difficulty":
            axes.set_xscale("log")
    panels[0].set_ylabel("gain over control-auto, % of the plain loss")
    panels[0].set_yscale("symlog", linthresh=5)
    panels[-1].legend(frameon=False)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Run the studies that are asked for, and put together all that were ever run."""
    settings = yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))
    halves = {name: facts["half"] for name, facts in tables(settings).items()}
    sizes = [str(size) for size in settings["training_rows"]]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=list(halves), choices=list(halves))
    parser.add_argument("--rows", nargs="*", default=sizes, choices=sizes)
    parser.add_argument("--splits", type=int, help="of each study; default: 10")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--results", type=Path, default=Path("results/atlas"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--map", type=Path, help="file of the map to draw, .png or .svg")
    options = parser.parse_args()
    asked = [write_experiment(name, size, settings, options) for size in options.rows for name in options.only]
    for file in [file for file in asked if file is not None]:
        run([file], "court", options.results, options.cores, reported=False)
    names = [f"{name}-{size}" for name in halves for size in sizes]
    done = [options.results / name for name in names if any((options.results / name).glob("rep~*/eval~*"))]
    each = pd.concat([figures(root) for root in done], ignore_index=True)
    named = each["experiment"].str.rpartition("-")
    each = each.assign(table=named[0], n=named[2]).rename(columns={"replicate": "split"})[COLUMNS]
    each.to_csv(options.out / "atlas.csv", index=False, float_format="%.6g", lineterminator="\n")
    table = pd.DataFrame([row for root in done for row in cells(root, halves[root.name.rpartition("-")[0]])])
    table.to_csv(options.out / "atlas_cells.csv", index=False, float_format="%.4g", lineterminator="\n")
    (options.results / "atlas.md").write_text(as_markdown(summary(table)) + "\n", encoding="utf-8")
    if options.map is not None:
        draw(table, options.map)


if __name__ == "__main__":
    main()
