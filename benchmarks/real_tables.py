"""What helps on seven real tables: every method, the same splits, the same estimator.

    python benchmarks/real_tables.py --data FOLDER [--only NAME …] [--estimator NAME …] [--replicates 5] [--cores 2]

FOLDER holds one folder per table (adult, german_credit, california_housing, abalone, thyroid_sick,
mammography, wine_quality) with its CSV as the UCI repository and its mirrors publish them, with a
header. Each table becomes an experiment without hand-work: types, roles and missing values are
inferred. codsa-reuse gives the generator and the estimator every training row, as the resamplers do;
codsa-auto chooses among all others on validation rows. One estimator comes after the other, on the same
pools. Reports go to RESULTS/by~ESTIMATOR/TABLE, the tables of all studies to RESULTS/summary.md.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from in_process import run

from codsa.evidence.judgement import compare
from codsa.evidence.studies import CONTROL_AUTO

TABLES: dict[str, dict[str, Any]] = {
    "german_credit": {"files": ["german_credit.csv"], "target": "class"},
    "thyroid_sick": {"files": ["thyroid_sick.csv"], "target": "Class"},
    "mammography": {"files": ["mammography.csv"], "target": "class"},
    "wine_quality": {"files": ["wine_quality.csv"], "target": "quality"},
    "abalone": {"files": ["abalone.csv"], "target": "rings"},
    "california_housing": {
        "files": ["california_housing.csv.gz"],
        "target": "median_house_value",
        "regions": {"by": "column", "column": "ocean_proximity"},
    },
    "adult": {"files": ["adult_train.csv.gz", "adult_test.csv.gz"], "target": "income"},
}
SIMPLE = ["none", "weighted", "bootstrap", "smote"]
ORDER = [*SIMPLE, "adasyn", "smogn", "codsa", "codsa-reuse", "codsa-auto"]
ESTIMATORS = ("gradient-boosting", "logistic")
VALIDATION, TEST = 0.2, 0.2
"""Shares of the rows."""
REGRESSION = {"abalone", "california_housing"}


def one_file(folder: Path, files: list[str], out: Path) -> Path:
    """Return the table's file; several are put together first."""
    if len(files) == 1:
        return (folder / files[0]).resolve()
    path = out / f"{folder.name}.parquet"
    pd.concat([pd.read_csv(folder / name) for name in files], ignore_index=True).to_parquet(path)
    return path.resolve()


def experiment(
    name: str, facts: dict[str, Any], path: Path, estimator: str, options: argparse.Namespace
) -> dict[str, Any]:
    """Return the experiment of one table; all tables have the same settings."""
    settings = {"steps": options.steps, "batch": 256, "precision": "auto"}
    fitted = [*SIMPLE, "smogn" if name in REGRESSION else "adasyn", "codsa", "codsa-reuse"]
    return {
        "name": name,
        "replicates": options.replicates,
        "data": {"path": str(path), "target": facts["target"]},
        "regions": facts.get("regions", {}),
        "split": {"law": "balanced", "validation": VALIDATION, "test": TEST},
        "methods": [*fitted, {"name": "codsa-auto", "choose_from": fitted}],
        "grid": {"r": [0.5], "m": [0.5, 1.0], "alpha": ["balance", "target", "training"]},
        "generators": {"tabular-diffusion": settings},
        "estimator": {"name": estimator},
    }


def as_markdown(results: Path, names: list[str]) -> str:
    """Return the test losses under Q of all tables, and the first line of every report."""
    summary = pd.concat([pd.read_csv(results / name / "summary.csv") for name in names], ignore_index=True)
    loss = losses(summary)
    table = loss.pivot(index=["experiment", "metric", "replicates"], columns="method", values="mean")
    table = table[[m for m in ORDER if m in table]].map(lambda v: "–" if pd.isna(v) else f"{v:.4g}").reset_index()
    lines = [
        " | ".join(str(v) for v in row) for row in [table.columns, ["---"] * len(table.columns), *table.to_numpy()]
    ]
    against = [" | ".join(row) for name in names for row in differences(results, name)]
    head = ["table", "method", "held to", "difference", "corrected 95 % interval", "outcome"]
    lines += ["", *(" | ".join(row) for row in [head, ["---"] * len(head)]), *against]
    verdicts = [f"- {name}: {conclusion(results / name)}" for name in names]
    return "\n".join([*(f"| {line} |" if line else "" for line in lines), "", *verdicts]) + "\n"


def conclusion(report: Path) -> str:
    """Return what a report ends with: its verdict, and where the gain comes from."""
    return " ".join((report / "summary.txt").read_text().strip().split("\n\n")[-1].splitlines())


def losses(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the recalibrated losses under Q with the study's own estimator, of a table that a report wrote."""
    own = rows["estimator"].isin(ESTIMATORS) & (rows["column"] == "recalibrated")
    return rows[own & (rows["region"] == "overall") & rows["metric"].isin(["cross-entropy", "mse"])]


def differences(results: Path, name: str) -> list[list[str]]:
    """Return how CoDSA's methods stand against the control that validation chooses, in paired differences."""
    rows = losses(pd.read_csv(results / name / "metrics.csv"))
    metric = str(rows["metric"].iloc[0])
    values = {str(m): part.set_index("replicate")["value"] for m, part in rows.groupby("method")}
    table = []
    for method in (m for m in ORDER if m.startswith("codsa") and m in values):
        difference = compare(metric, values, method, CONTROL_AUTO, ratio=TEST / (1 - VALIDATION - TEST))
        if difference is not None:
            outcome = {1: "win", 0: "tie", -1: "loss"}[difference.clear]
            relative = 100 / difference.mean_b
            low, high = (relative * end for end in (difference.estimate.low, difference.estimate.high))
            interval = f"{low:+.1f} to {high:+.1f} %"
            table.append([name, method, CONTROL_AUTO, f"{difference.mean * relative:+.1f} %", interval, outcome])
    return table


def study_all(estimator: str, options: argparse.Namespace) -> None:
    """Run the studies with one estimator on the pools that are there, and keep their reports apart."""
    root: Path = options.results
    files = []
    for name in options.only:
        path = one_file(options.data / name, TABLES[name]["files"], root)
        file = root / f"{name}.yaml"
        text = yaml.safe_dump(experiment(name, TABLES[name], path, estimator, options), sort_keys=False)
        file.write_text(text)
        files.append(file)
        for folder in [*(root / name).glob("rep~*/fit~*"), *(root / name).glob("rep~*/eval~*")]:
            shutil.rmtree(folder)  # of another estimator
    for name in run(files, "table", root, options.cores):
        copies = root / f"by~{estimator}" / name
        copies.mkdir(parents=True, exist_ok=True)
        for report in ("metrics.csv", "summary.csv", "summary.txt", "report.html"):
            shutil.copy(root / name / report, copies / report)


def main() -> None:
    """Write the experiments, run them, put their summaries together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=list(TABLES), choices=list(TABLES))
    parser.add_argument("--replicates", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--estimator", nargs="*", default=list(ESTIMATORS), choices=ESTIMATORS)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--results", type=Path, default=Path("results/real-tables"))
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    for estimator in options.estimator:
        study_all(estimator, options)
    parts = []
    for estimator in ESTIMATORS:
        root = options.results / f"by~{estimator}"
        done = [name for name in TABLES if (root / name / "metrics.csv").exists()]
        parts += [f"## {estimator}\n\n{as_markdown(root, done)}"] if done else []
    (options.results / "summary.md").write_text("\n".join(parts))
    print("\n".join(parts))


if __name__ == "__main__":
    main()
