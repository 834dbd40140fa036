"""codsa-eval: measure the chosen estimator on the test rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codsa.cli.common import (
    Data,
    Experiment,
    Replicate,
    Seed,
    SplitFile,
    Trust,
    Version,
    new_app,
    one_line,
    runner,
    work_of,
)

app = new_app()


@app.command("eval")
def evaluate(
    data: Data,
    split: SplitFile,
    fits: Annotated[
        list[Path], typer.Option("--fits", help="Folder written by codsa-fit, one per r.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write.", show_default=False)],
    pool: Annotated[
        list[Path] | None, typer.Option("--pool", help="The pools that --fits drew on, for diagnostics; repeatable.")
    ] = None,
    method: Annotated[
        str, typer.Option("--method", callback=one_line, help="Name of the method in tables.")
    ] = "method",
    encoder: Annotated[
        str | None,
        typer.Option("--encoder", help="The texts' sentence encoder, to embed generated texts again (round trip)."),
    ] = None,
    trust: Trust = None,
    seed: Seed = 0,
    experiment: Experiment = "study",
    replicate: Replicate = 0,
    version: Version = False,
) -> None:
    """Choose λ = (m, α, r) by the validation figures of all --fits, then read the test rows, once.

    The only stage that reads test rows. Metrics are per region and under Q. Synthetic rows of the chosen arm are
    compared with test rows: Wasserstein-1, a classifier's AUC, distances to the nearest training row. Where the
    fits kept every arm, the whole grid is measured too, into a file that only the report reads.

    **Writes** OUT/metrics.json, OUT/fits.parquet, OUT/grid.parquet (if arms were kept), OUT/manifest.json.

    **Example**

    codsa-eval --data data --split split.parquet --fits r0.5 --pool pool0.5 --fits r1 --pool pool1 --out eval
    """
    from codsa.data.pool import load_pool
    from codsa.data.rows import open_dataset
    from codsa.data.split import load_split
    from codsa.stages.evaluate import choose, evaluation_output, grid_on_test, read_fits, write_evaluation
    from codsa.stages.evaluate import evaluate as measure

    evaluation_output(out)
    dataset = open_dataset(data)
    roles = load_split(split, dataset)
    pools = {one.digest: one for one in (load_pool(folder, dataset.schema) for folder in pool or [])}
    found = [read_fits(folder, dataset, roles, pools, trust or ()) for folder in fits]
    choice = choose(found)
    metrics = measure(dataset, roles, choice, work_of(seed, experiment, replicate), encoder)
    parameters = {"experiment": experiment, "method": method, "replicate": replicate, "seed": seed}
    write_evaluation(out, metrics, found, grid_on_test(dataset, roles, found), parameters)


main = runner(app)
