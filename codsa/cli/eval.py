"""codsa-eval: score λ̂ on the test rows."""

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
    parse_value,
    runner,
    seed_context,
)
from codsa.errors import CodsaError

app = new_app()


@app.command("eval")
def evaluate(
    data: Data,
    split: SplitFile,
    fits: Annotated[
        list[Path] | None, typer.Option("--fits", help="Folder written by codsa-fit, one per r.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write.", show_default=False)] = None,
    pool: Annotated[
        list[Path] | None, typer.Option("--pool", help="The pools that --fits used, for diagnostics; repeatable.")
    ] = None,
    method: Annotated[
        str, typer.Option("--method", callback=one_line, help="Name of the method in tables.")
    ] = "method",
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            help="What the method is to the report: primary (the verdict is about it), codsa, control or oracle.",
        ),
    ] = "codsa",
    encoder: Annotated[
        str | None,
        typer.Option(
            "--encoder", help="The sentence encoder of the texts, which embeds generated texts again (round trip)."
        ),
    ] = None,
    evaluation: Annotated[
        list[str] | None,
        typer.Option(
            "--evaluation",
            help="Instead of the six options above: '{method: NAME, fits: […], pool: […], encoder: NAME, out: FOLDER}'; "
            "repeat it to evaluate several methods in one call.",
            show_default=False,
        ),
    ] = None,
    trust: Trust = None,
    seed: Seed = 0,
    experiment: Experiment = "study",
    replicate: Replicate = 0,
    version: Version = False,
) -> None:
    """Choose λ̂ = (m, α, r) by the validation metric over all --fits, then read the test rows, once.

    No other stage reads test rows. Metrics are per region and under Q. The synthetic rows of the chosen grid point are
    compared with test rows: Wasserstein-1, a classifier's AUC, distances to the nearest training row. Where the
    fits have every grid point's estimator (--keep-grid), the whole grid is scored too, for the report's figures alone.

    **Several methods** of one split are evaluated in one call with an --evaluation each, which saves starting a process
    for every method; each has its own OUT, with the same bytes as a separate call writes.

    **Writes** OUT/metrics.json, OUT/predictions.parquet, OUT/fits.parquet, OUT/grid.parquet (with --keep-grid), OUT/manifest.json.

    **Example**

    codsa-eval --data data --split split.parquet --fits r0.5 --pool pool0.5 --fits r1 --pool pool1 --out eval
    """
    from codsa.data.split import open_split
    from codsa.settings.evaluation import Evaluation
    from codsa.stages.evaluate import check_outputs, evaluate_methods

    if evaluation and (fits or pool or out or encoder):
        raise CodsaError("--evaluation: names fits, pool, encoder and out itself; leave these options out")
    if not evaluation and not (fits and out):
        raise CodsaError("give --fits and --out, or --evaluation for each of several methods")
    methods = [Evaluation.read(parse_value(text), "--evaluation") for text in evaluation or []]
    if fits and out:
        own = {"out": out, "fits": fits, "pool": pool or [], "method": method, "encoder": encoder, "kind": kind}
        methods = [Evaluation.read(own, "codsa-eval")]
    check_outputs(methods)
    dataset, roles = open_split(data, split)
    parameters = {"experiment": experiment, "replicate": replicate, "seed": seed}
    seeds = seed_context(seed, experiment, replicate)
    evaluate_methods(methods, dataset, roles, seeds, trusted=trust or (), parameters=parameters)


main = runner(app)
