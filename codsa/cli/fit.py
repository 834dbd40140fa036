"""codsa-fit: fit the estimator over a grid and choose λ̂ on validation rows."""

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
    parse_value,
    runner,
    seed_context,
)
from codsa.cli.sections import with_sections
from codsa.errors import CodsaError
from codsa.settings.estimator import EstimatorSpec, NamedEstimator
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
    label: Annotated[
        str | None, typer.Option("--label", help="The estimator's name in tables; default: its --estimator.")
    ] = None,
    further: Annotated[
        list[str] | None,
        typer.Option(
            "--further",
            help="A further estimator on the same rows, '{label: NAME, name: mlp, preprocess: standard, …}'; repeatable.",
            show_default=False,
        ),
    ] = None,
    pool: Annotated[
        list[Path] | None,
        typer.Option("--pool", help="Pool written by codsa-sample; none for m = 0; one per fold for cross-fitting."),
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
        bool, typer.Option("--keep-grid", help="Store the estimator of every grid point, for figures over the grid.")
    ] = False,
    cores: Annotated[
        int,
        typer.Option(
            "--cores", min=1, max=MOST_PROCESSES, help="Grid points that are fitted at the same time; not for networks."
        ),
    ] = 1,
    seed: Seed = 0,
    experiment: Experiment = "study",
    replicate: Replicate = 0,
    version: Version = False,
) -> None:
    """Fit every point (m, α) of a grid on real and synthetic rows, and choose the best one on validation rows.

    Where the estimator with m = 0 is within one standard error of the best point, nothing is added. λ is chosen twice: by the
    validation figure as fitted, and by that after a recalibration which every method gets (prior shift to Q, temperature).
    Every grid point takes the first rows of each region of one pool. Preprocessing is fitted on its own rows.
    Iterative estimators give every grid point the same number of steps (mlp: --set budget=epochs for the paper's way).

    **Cross-fitting**: with the pools of all folds (codsa-train-gen --fold J) an estimator is fitted on each fold's
    rows and its pool, whose generator never saw these rows, and the predictions are averaged.

    **Writes** OUT/fits.parquet (a row per grid point), OUT/chosen.json, OUT/predictions.parquet (of validation rows),
    OUT/estimators/ and OUT/manifest.json.

    **Examples**

    codsa-fit --data data --split split.parquet --reserve all --out none

    codsa-fit --data data --split split.parquet --pool pool --r 0.8 --m 0.5 --m 1 --alpha balance --out codsa
    """
    from codsa.data.metrics import check_metric, default_metric
    from codsa.data.pool import load_pool
    from codsa.data.split import VALIDATION, open_split
    from codsa.io.artifacts import folder_output
    from codsa.io.names import FIT
    from codsa.stages.fit import fit_grid, write_fits
    from codsa.stages.scoring import evaluation_set

    folder_output(out, FIT)
    dataset, roles = open_split(data, split)
    pools = [load_pool(folder, dataset.schema) for folder in pool or []]
    r = pools[0].r if len(pools) > 1 else r
    task = dataset.schema.task
    test_metric = check_metric(metric or default_metric(task), task)
    validation_metric = check_metric(choose_by or test_metric, task)
    seeds = seed_context(seed, experiment, replicate)
    specs = named_estimators(label, estimator, further or [])
    fits = fit_grid(
        dataset,
        roles,
        pools,
        r,
        grid=grid,
        specs=specs,
        choose_by=validation_metric,
        seeds=seeds,
        weighted=weighted,
        cores=cores,
    )
    inputs = {"dataset": dataset.digest, "split": roles.digest}
    inputs |= {f"pool {index}": pool_read.digest for index, pool_read in enumerate(pools)}
    parameters = {"r": r, **grid.model_dump(), "weighted": weighted, **asdict(seeds)}
    parameters |= {"estimators": {name: spec.model_dump() for name, spec in specs.items()}}
    write_fits(
        out,
        fits,
        evaluation_set(dataset, roles, VALIDATION),
        metric=test_metric,
        inputs=inputs,
        parameters=parameters,
        keep_grid=keep_grid,
        choose_by=validation_metric,
    )


def named_estimators(label: str | None, own: EstimatorSpec, further: list[str]) -> dict[str, EstimatorSpec]:
    """Return the estimators by label, the study's own first."""
    named = [NamedEstimator.read(parse_value(text), "--further") for text in further]
    specs = {label or own.name.replace(":", "."): own}
    for one in named:
        if one.label in specs:
            raise CodsaError(f"--further: the label '{one.label}' stands twice; give another")
        specs[one.label] = EstimatorSpec(**one.model_dump(exclude={"label"}))
    return specs


main = runner(app)
