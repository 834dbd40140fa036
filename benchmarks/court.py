"""The court: seven real tables and two simulations, every control, three estimators, raw and recalibrated.

    python benchmarks/court.py --data FOLDER [--only NAME …] [--cores 2] [--results results/court]

FOLDER holds one folder per table (german_credit, thyroid_sick, mammography, wine_quality, abalone,
california_housing, adult) with its CSV as the UCI repository and its mirrors publish them, with a header. Types, roles
and missing values are inferred; regions are the classes, thirds of the target, or the column named in TABLES. The
simulations are the paper's 4.1 and 4.2, on pools of seeds that no design choice has seen (SEED). What is done is not
done again: a run that was cut off goes on. Every figure goes to benchmarks/results/court.csv, the tables of
docs/court.md and README to RESULTS/court.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from in_process import run
from real_tables import REGRESSION, TABLES, one_file

from codsa.evidence.judgement import judge
from codsa.evidence.ladder import ladder, sentence
from codsa.evidence.reading import read_study
from codsa.evidence.studies import StudyResults
from codsa.evidence.wording import decimals_of, enough, number
from codsa.workflow.arms import CONTROL, PRIMARY, STRONG

SEED = 7_041
"""Of the simulated pools and of all streams: the figures that designs were made by have other seeds."""
LARGE = ("california_housing", "adult")
MOST_ROWS = 12_000
"""A larger table is thinned to a random part of this many rows, drawn once, so that the court sits within hours."""
REPLICATES, REPLICATES_LARGE = 10, 5
SIMULATIONS: dict[str, dict[str, Any]] = {
    "sim41": {
        "simulation": "imbalanced-classification",
        "regions": {"by": "class"},
        "estimator": {"name": "mlp", "preprocess": "none"},
    },
    "sim42": {
        "simulation": "undersampled-regression",
        "regions": {"by": "range", "column": "x1", "edges": [0.5]},
        "estimator": {"name": "random-forest"},
    },
}
CONTROLS = ("weighted", "bootstrap", "smote", "relabelled", "smote-labelled", "label-model")
BALANCED = ("balanced-forest", "balanced-boosting")
"""Of classification."""
SOURCE = ("source-rows", "source-domain", "source-weighted", "source-ratio")
COLUMNS = ["experiment", "estimator", "method", "kind", "replicate", "metric", "raw", "recalibrated"]


def thinned(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table, or a random part of a large one, in its order."""
    return table if len(table) <= MOST_ROWS else table.sample(MOST_ROWS, random_state=SEED).sort_index()


def common(options: argparse.Namespace) -> dict[str, Any]:
    """Return what all experiments of the court share."""
    return {
        "seed": SEED,
        "methods": ["none", "codsa-reuse"],
        "controls": [*CONTROLS, "control-auto", "codsa-auto"],
        "primary": "codsa-auto",
        "grid": {"r": [1.0], "m": [0.0, 1.0], "alpha": ["balance", "target"]},
        "generators": {"tabular-diffusion": {"steps": options.steps, "batch": 256, "precision": "auto"}},
        "further_estimators": {name: spec.model_dump(exclude_defaults=True) for name, spec in STRONG.items()},
    }


def table_experiment(name: str, path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return the experiment of a real table."""
    task = "regression" if name in REGRESSION else "classification"
    content = {
        **common(options),
        "name": name,
        "data": {"path": str(path), "target": TABLES[name]["target"], "task": task},
        "replicates": options.replicates or (REPLICATES_LARGE if name in LARGE else REPLICATES),
        "split": {"law": "balanced", "validation": 0.2, "test": 0.25},
        "estimator": {"name": "gradient-boosting"},
    }
    if task == "classification":
        content["controls"] = [*BALANCED, *content["controls"]]
    return content | ({"regions": TABLES[name]["regions"]} if "regions" in TABLES[name] else {})


def simulated_experiment(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the experiment of a simulation, with its source set."""
    about = SIMULATIONS[name]

    def rows(minority: int, majority: int, seed: int) -> dict[str, Any]:
        return {"simulation": {"name": about["simulation"], "minority": minority, "majority": majority, "seed": seed}}

    finetune = {"name": "codsa-finetune", "reserve": "all", "r": [1.0], "settings": {"steps": 600}}
    content = {
        **common(options),
        "name": name,
        "data": rows(2000, 4400, SEED),
        "source": rows(5000, 5000, SEED + 1),
        "regions": about["regions"],
        "replicates": options.replicates or REPLICATES,
        "split": {"law": "balanced", "validation": 800, "test": 1600},
        "estimator": about["estimator"],
    }
    balanced = BALANCED if "classification" in about["simulation"] else ()
    content["methods"] = [*content["methods"], "codsa-denoiser", finetune, "oracle"]
    if name == "sim42":
        content["methods"][-1] = {"name": "oracle", "settings": {"simulation": about["simulation"]}}
    content["controls"] = [*balanced, *SOURCE, *content["controls"]]
    content["pretrain"] = {"denoiser": {"steps": 2000, "batch": 512, "holdout": 0, "precision": "auto"}}
    return content


def experiments(options: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    """Write the experiment files; yield each study's name with its file."""
    folder = options.results / "experiments"
    folder.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        if name in SIMULATIONS:
            content = simulated_experiment(name, options)
        else:
            path = folder / f"{name}.csv"
            if not path.exists():
                joined = one_file(options.data / name, TABLES[name]["files"], folder)
                table = pd.read_parquet(joined) if joined.suffix == ".parquet" else pd.read_csv(joined)
                thinned(table).to_csv(path, index=False)
            content = table_experiment(name, path, options)
        file = folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump(content, sort_keys=False))
        yield name, file


def figures(root: Path) -> pd.DataFrame:
    """Return every test figure under Q of a study, one row per estimator, method, replicate and metric."""
    rows = []
    for path in sorted(root.glob("rep~*/eval~*/metrics.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        for label, estimator in record["estimators"].items():
            for metric, raw in estimator["raw"]["test"].items():
                recalibrated = estimator["recalibrated"]["test"][metric]["overall"]
                key = (root.name, label, record["method"], record["kind"], record["replicate"], metric)
                rows.append((*key, raw["overall"], recalibrated))
    return pd.DataFrame(rows, columns=COLUMNS).sort_values(COLUMNS[:6]).reset_index(drop=True)


def judged(study: StudyResults, label: str) -> dict[str, str]:
    """Return the cells of a study's row for one estimator: recalibrated figures under Q."""
    judgement = judge(study, PRIMARY, label)
    held = judgement.family[CONTROL]
    decimals = enough(decimals_of([held.mean_a, held.mean_b]), held.estimate.low, held.estimate.high)
    plain, control, primary = (
        number(value, decimals) for value in (judgement.family["none"].mean_b, held.mean_b, held.mean_a)
    )
    low, high = number(held.estimate.low, decimals, signed=True), number(held.estimate.high, decimals, signed=True)
    behind, ahead = judgement.of(-1), judgement.of(1)
    return {
        "study": study.experiment,
        "estimator": label,
        "replicates": str(judgement.replicates),
        "plain": plain,
        "control-auto": control,
        "codsa-auto": primary,
        "difference, 95 % interval": f"{number(held.mean, decimals, signed=True)} [{low}, {high}]",
        "verdict": judgement.kind,
        "clearly better than": f"{len(ahead)} of {len(judgement.family)}",
        "clearly worse than": ", ".join(f"`{name}`" for name in behind) or "none",
    }


def in_readme(study: StudyResults) -> dict[str, str]:
    """Return a study's row of README's first table: its own estimator, and where the gain comes from."""
    row = judged(study, study.estimators[0])
    own = {key: row[key] for key in ("plain", "control-auto", "codsa-auto", "difference, 95 % interval")}
    steps = ladder(study)
    return {"study": f"`{row['study']}`, {row['estimator']}", **own, "where it comes from": sentence(steps or [])}


def as_markdown(rows: list[dict[str, str]]) -> str:
    """Return rows of the same keys as a table."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def page(done: list[Path]) -> str:
    """Return the tables of the page and of README."""
    studies = [read_study(sorted(root.glob("rep~*/eval~*"))) for root in done]
    every = [judged(study, label) for study in studies for label in study.estimators]
    return "\n\n".join([as_markdown(every), as_markdown([in_readme(study) for study in studies])])


def main() -> None:
    """Run the studies that are named, and put every figure together."""
    names = [*TABLES, *SIMULATIONS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=names, choices=names)
    parser.add_argument("--replicates", type=int, help="of each study; default: 10, and 5 of a large table")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--results", type=Path, default=Path("results/court"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/court.csv"))
    options = parser.parse_args()
    for _, file in experiments(options):
        run([file], "court", options.results, options.cores, reported=False)
    done = [options.results / name for name in names if any((options.results / name).glob("rep~*/eval~*"))]
    table = pd.concat([figures(root) for root in done], ignore_index=True)
    table.to_csv(options.out, index=False, float_format="%.6g", lineterminator="\n")
    (options.results / "court.md").write_text(page(done) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
