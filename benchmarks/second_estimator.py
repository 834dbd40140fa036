"""Evaluate a study's pools by another estimator.

    python benchmarks/second_estimator.py EXPERIMENT.yaml ESTIMATOR [--scale table] [--results results] \
        [--methods none codsa …] [--replicates 0 1 …]

The estimator is fitted with its own defaults. Data, splits, generators and pools are those of
results/EXPERIMENT, which is left as it is; fits, evaluations and the report go to
results/EXPERIMENT/by~ESTIMATOR.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from in_process import conclude, replicate

from codsa.errors import CodsaError
from codsa.settings.estimator import EstimatorSpec
from codsa.workflow.config import load_experiment
from codsa.workflow.study import Study


def link(path: Path, target: Path) -> None:
    """Make a link to a file or folder of the study."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.symlink_to(target.resolve())


def linked(root: Path, estimator: str, replicates: list[int]) -> Path:
    """Return a results folder that shares all but fits and evaluations with the study's."""
    own = root / f"by~{estimator}"
    link(own / "data", root / "data")
    for k in replicates:
        for path in [root / f"rep~{k}/split.parquet", root / f"rep~{k}/split.json", *root.glob(f"rep~{k}/gen~*")]:
            link(own / f"rep~{k}" / path.name, path)
    return own


def main() -> None:
    """Fit and evaluate the methods that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("estimator")
    parser.add_argument("--scale", default="table")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--methods", nargs="+")
    parser.add_argument("--replicates", nargs="+", type=int)
    options = parser.parse_args()
    label, experiment = load_experiment(options.experiment, options.scale)
    chosen = options.replicates or list(range(experiment.replicates))
    unknown = set(options.methods or []) - {method.name for method in experiment.methods}
    if unknown:
        raise CodsaError(f"no method '{min(unknown)}' in {options.experiment}")
    methods = [m for m in experiment.methods if options.methods is None or m.name in options.methods]
    changes = {"estimator": EstimatorSpec(name=options.estimator), "methods": methods}
    study = Study(label, experiment.model_copy(update=changes)).checked()
    own = linked(options.results / label, options.estimator, chosen)
    for k in chosen:
        replicate(study, own, k)
        print(f"done: replicate {k}", flush=True)
    if chosen == list(range(experiment.replicates)):
        conclude(study, own)


if __name__ == "__main__":
    main()
