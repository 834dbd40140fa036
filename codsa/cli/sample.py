"""codsa-sample: draw the pool of synthetic rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codsa.cli.common import (
    Experiment,
    Replicate,
    Seed,
    Trust,
    Version,
    new_app,
    parse_value,
    runner,
    seed_context,
)
from codsa.errors import CodsaError, shortened
from codsa.settings.limits import MOST_ROWS, MOST_SHARDS

app = new_app()


@app.command()
def sample(
    generator: Annotated[
        Path, typer.Option("--generator", help="Folder written by codsa-train-gen.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", help="Pool folder, shared by all shards.", show_default=False)],
    region: Annotated[
        list[str] | None, typer.Option("--region", help="Region to draw; repeatable; default: all.")
    ] = None,
    rows: Annotated[
        int | None, typer.Option("--rows", min=1, max=MOST_ROWS, help="Rows of each region in the whole pool.")
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid",
            help="Draw the rows that a grid needs, '{m: […], alpha: […], reserve: …}'; repeatable; needs --data and --split.",
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Dataset folder, for --grid.")] = None,
    split: Annotated[Path | None, typer.Option("--split", help="split.parquet, for --grid.")] = None,
    shard: Annotated[
        str, typer.Option("--shard", metavar="I/N", help="The shard to draw, and the number of shards: 1/N to N/N.")
    ] = "1/1",
    trust: Trust = None,
    seed: Seed = 0,
    experiment: Experiment = "study",
    replicate: Replicate = 0,
    version: Version = False,
) -> None:
    """Draw synthetic rows of each region, in shards that together hold the same bytes as one call.

    Every row must lie in its region, with known levels and within bounds; other rows are drawn again, up to a
    limit, and their share is in the manifest.

    **Writes** OUT/region~K-NAME/part-I.parquet and, last, OUT/shard-I-of-N.json.

    **Examples**

    codsa-sample --generator gen --rows 8000 --out pool

    codsa-sample --generator gen --region rare --rows 20000 --shard 3/8 --out pool
    """
    from codsa.stages.sample import parse_shard, region_counts, write_shard
    from codsa.stages.train_generator import load_generator

    shard_index, shards = parse_shard(shard)
    if shards > MOST_SHARDS:
        raise CodsaError(f"--shard {shortened(shard)}: at most {MOST_SHARDS} shards")
    trained = load_generator(generator, trust or ())
    if (rows is None) == (grid is None):
        raise CodsaError("give either --rows, or --grid with --data and --split")
    regions = [trained.schema.regions.index(name) for name in region or trained.schema.regions.names]
    if rows is not None:
        counts = {index: rows for index in regions}
    elif data is None or split is None:
        raise CodsaError("--grid needs --data and --split, from which n and p are known")
    else:
        needed = region_counts(trained, data, split, [parse_value(text) for text in grid or []])
        counts = {index: needed[index] for index in regions}
    seeds = seed_context(seed, experiment, replicate)
    write_shard(out, trained, counts, shard_index, shards=shards, seeds=seeds)


main = runner(app)
