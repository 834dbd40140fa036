"""codsa-fit: fit the estimator over a grid, choose on validation."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from codsa.cli.common import (
    Data,
    Experiment,
    Ratio,
    Replicate,
    Seed,
    SplitFile,
    Version,
    new_app,
    runner,
    seed_context,
)
from codsa.cli.sections import with_sections
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.grid import FitGrid
from codsa.settings.limits import MOST_PROCESSES

app = new_app()


@app.command()
@with_sections(grid=FitGrid, estimator=EstimatorSpec)
def fit(
    data: Data,
    split: SplitFile,
    grid: FitGrid,
    estimator: EstimatorSpec,
    out: Annotated[Path, typer.Option("--out", help="Folder of fits to write.", show_default=False)],
    pool: Annotated[
        list[Path] | None,
        typer.Option("--pool", help="Pool drawn by codsa-sample; none for m = 0; one per fold for cross-fitting."),
    ] = None,
    r: Ratio = 1.0,
    weighted: Annotated[bool, typer.Option("--weighted", help="Weigh real rows by q/p of their region.")] = False,
    metric: Annotated[
        str | None, typer.Option("--metric", help="The metric of test rows; default: cross-entropy or mse.")
    ] = None,
    choose_by: Annotated[
        str | None,
        typer.Option(
            "--choose-by", help="The metric by which validation rows choose λ; default: --metric.", show_default=False
        ),
    ] = None,
    keep_grid: Annotated[
        bool, typer.Option("--keep-grid", help="Keep every arm's estimator, for figures over the grid.")
    ] = False,
    cores: Annotated[
        int,
        typer.Option(
            "--cores", min=1, max=MOST_PROCESSES, help="Arms of trees and the like that are fitted side by side."
        ),
    ] = 1,
    seed: Seed = 0,
    experiment: Experiment = "study",
    replicate: Replicate = 0,
    version: Version = False,
) -> None:
    """Fit every (m, α) of a grid on real and synthetic rows, and choose by the validation rows.

    Every arm takes the first rows of each region of one pool. Preprocessing is fitted on the arm's own rows.
    Iterative estimators give every arm the same budget of steps (mlp: --set budget=epochs for the paper's way).

    **Cross-fitting**: with the pools of all folds (codsa-train-gen --fold J) an estimator is fitted on each fold's
    rows and its pool, whose generator never saw them, and their predictions are averaged.

    **Writes** OUT/fits.parquet (a row per arm), OUT/chosen.json, OUT/estimator/ and OUT/manifest.json.

    **Examples**

    codsa-fit --data data --split split.parquet --reserve all --out none

    codsa-fit --data data --split split.parquet --pool pool --r 0.8 --m 0.5 --m 1 --alpha balance --out codsa
    """
    from codsa.data.metrics import check_metric, default_metric
    from codsa.data.pool import load_pool
    from codsa.data.rows import open_dataset
    from codsa.data.split import load_split
    from codsa.io.artifacts import folder_output
    from codsa.io.names import FIT
    from codsa.stages.fit import fit_grid, write_fits

    folder_output(out, FIT)
    dataset = open_dataset(data)
    roles = load_split(split, dataset)
    drawn = [load_pool(folder, dataset.schema) for folder in pool or []]
    r = drawn[0].r if len(drawn) > 1 else r
    task = dataset.schema.task
    name = check_metric(metric or default_metric(task), task)
    chooser = check_metric(choose_by or name, task)
    seeds = seed_context(seed, experiment, replicate)
    outcome = fit_grid(dataset, roles, drawn, r, grid, estimator, chooser, seeds, weighted, cores)
    inputs = {"dataset": dataset.digest, "split": roles.digest}
    inputs |= {f"pool {place}": one.digest for place, one in enumerate(drawn)}
    parameters = {"r": r, **grid.model_dump(), "weighted": weighted, **asdict(seeds)}
    parameters |= {"estimator": estimator.name, "preprocess": estimator.preprocess, "settings": estimator.settings}
    write_fits(out, outcome, estimator, name, inputs, parameters, keep_grid, chooser)


main = runner(app)
