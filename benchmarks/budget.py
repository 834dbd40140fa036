"""What a study would cost on CPUs, from the costs of a smaller run of it.

    python benchmarks/budget.py EXPERIMENT.yaml --costs results/sim42-table/costs.csv [--measured table] [--wanted full]

costs.csv is what benchmarks/in_process.py writes. Training is scaled by gradient steps, drawing by rows,
fitting by the rows of all grid points (real and synthetic); splitting and evaluating count by job. What the
measured run did not do is taken from the most expensive kind of its stage.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from codsa.workflow.config import Method, load_experiment
from codsa.workflow.study import Study

STEPS = {"tabular-diffusion": 3000, "encoder": 3000, "denoiser": 3000}
"""Gradient steps where the experiment does not say."""


def jobs_of(study: Study) -> Iterator[tuple[str, str, str, float]]:
    """Yield every job as (stage, kind, output, units), with the output's name in costs.csv."""
    yield "prepare", "", "data/manifest.json", 1.0
    kinds = sorted({kind for name in study.generators for kind in study.transfers(name)})
    for kind in kinds:
        name = kind.partition("-")[0]
        settings = getattr(study.experiment.pretrain, name, {})
        yield "train_gen", f"pretrain {name}", f"pretrained~{kind}", float(settings.get("steps", STEPS.get(name, 1)))
    for k in range(study.experiment.replicates):
        yield "split", "", f"rep~{k}/split.parquet", 1.0
        for name, part in sorted(parts(study)):
            source = study.generators[name]
            folder = f"rep~{k}/gen~{name}/r~{part}"
            steps = float(source.settings.get("steps", STEPS.get(source.name, 1)))
            yield "train_gen", source.name, f"{folder}/generator", steps
            yield "sample", source.name, f"{folder}/pool/shard-0000-of-0001.json", pool_rows(study, name)
        for method in study.methods.values():
            for label in study.fits(method) if not method.choose_from else ():
                yield "fit", "", f"rep~{k}/fit~{method.name}/r~{label}", fitted_rows(study, method, label)
            yield "eval", "", f"rep~{k}/eval~{method.name}/manifest.json", 1.0


def parts(study: Study) -> set[tuple[str, str]]:
    """Return the generators to be trained, each by its folder and its part S_g."""
    known = [(study.generator_of(m), m) for m in study.methods.values() if m.generator]
    return {(name, part) for name, m in known for fit_parts in study.fits(m).values() for part in fit_parts}


def pool_rows(study: Study, generator: str) -> float:
    """Return the rows of a pool as a multiple of n, for two regions: the largest m, and the extreme shares of each."""
    most = 0.0
    for method in study.methods.values():
        if method.generator and study.generator_of(method) == generator:
            grid = study.grid(method)
            shares = [a if isinstance(a, float | int) else 0.5 for a in grid["alpha"]]
            most = max(most, max(map(float, grid["m"])) * (max(shares) + 1 - min(shares)))
    return most


def fitted_rows(study: Study, method: Method, label: str) -> float:
    """Return the rows of all grid points of a fit together, as a multiple of n."""
    grid = study.grid(method)
    r = float(label.removesuffix("-cross"))
    real = 1.0 if grid["reserve"] == "all" or method.generator is None or method.cross_fit else 1.0 - r
    if method.generator is None:
        return 1.0
    folds = 5.0 if method.cross_fit and grid["reserve"] == "all" else 1.0
    sizes = [float(m) for m in grid["m"] for _ in (grid["alpha"] if float(m) else [0])]
    return sum(folds * (real + m) for m in sizes)


def unit_costs(study: Study, costs: Path) -> dict[tuple[str, str], float]:
    """Return CPU seconds per unit by stage and kind."""
    spent = pd.read_csv(costs, names=["stage", "output", "cpu"]).groupby("output")["cpu"].last()
    units: defaultdict[tuple[str, str], float] = defaultdict(float)
    cpu: defaultdict[tuple[str, str], float] = defaultdict(float)
    for stage, kind, output, size in jobs_of(study):
        if output in spent:
            units[stage, kind] += size
            cpu[stage, kind] += float(spent[output])
    return {key: cpu[key] / units[key] for key in units if units[key] > 0}


def budget(study: Study, unit: dict[tuple[str, str], float]) -> pd.DataFrame:
    """Return jobs and CPU hours by stage and kind."""
    rows: list[dict[str, Any]] = []
    for stage, kind, _, size in jobs_of(study):
        cost = unit.get((stage, kind))
        if cost is None:
            cost = max((other for (other_stage, _), other in unit.items() if other_stage == stage), default=0.0)
        rows.append({"stage": stage, "kind": kind, "jobs": 1, "hours": size * cost / 3600})
    return pd.DataFrame(rows).groupby(["stage", "kind"], sort=False).sum().reset_index()


def main() -> None:
    """Print the budget as a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("--costs", type=Path, required=True)
    parser.add_argument("--of", type=Path, help="the experiment that was measured, if it is another")
    parser.add_argument("--measured", default="table")
    parser.add_argument("--wanted", default="full")
    options = parser.parse_args()
    measured = Study(*load_experiment(options.of or options.experiment, options.measured))
    wanted = Study(*load_experiment(options.experiment, options.wanted))
    table = budget(wanted, unit_costs(measured, options.costs))
    start = 3.0 / 3600
    print(f"| {wanted.label}: stage | | jobs | CPU hours |\n| --- | --- | --- | --- |")
    for row in table.itertuples():
        print(f"| {row.stage} | {row.kind} | {row.jobs:,} | {row.hours:.1f} |")
    jobs = int(table["jobs"].sum())
    print(f"| starts of {jobs:,} processes, 3 CPU s each | | | {jobs * start:.1f} |")
    print(f"| all | | {jobs:,} | {table['hours'].sum() + jobs * start:.1f} |")


if __name__ == "__main__":
    main()
