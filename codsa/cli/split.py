"""codsa-split: split the rows into training, validation and test rows."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from codsa.cli.common import (
    Data,
    Experiment,
    Replicate,
    Seed,
    Version,
    new_app,
    runner,
    seed_context,
)
from codsa.cli.sections import with_sections
from codsa.settings.split import SplitOptions

app = new_app()


@app.command()
@with_sections(options=SplitOptions)
def split(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="split.parquet to write.", show_default=False)],
    options: SplitOptions,
    seed: Seed = 0,
    experiment: Experiment = "study",
    replicate: Replicate = 0,
    version: Version = False,
) -> None:
    """Give every row one role, and every training row the least ratio r at which it belongs to S_g.

    Test and validation rows are drawn under Q, test first; the rest trains. Rows of one group, and byte-identical
    rows, share one role. One split serves every ratio r: S_g are the rows whose `min_ratio` is at most r, S_r
    the other training rows.

    **Writes** OUT (row_id, region, role, min_ratio, fold) and, beside it, a .json with q, p and the sizes.

    **Example**

    codsa-split --data data --law balanced --validation 800 --test 1600 --out rep~0/split.parquet
    """
    from codsa.data.rows import open_dataset
    from codsa.data.split import split_output, write_split
    from codsa.io.seeds import rng
    from codsa.stages.split import parse_size, target_law
    from codsa.stages.split import split as split_rows

    split_output(out)
    dataset = open_dataset(data)
    seeds = seed_context(seed, experiment, replicate)
    q = target_law(options.law, dataset.schema, dataset.regions())
    frame = split_rows(dataset, q, parse_size(options.validation), parse_size(options.test), rng(seeds.stream("split")))
    write_split(out, frame, dataset, q=q, parameters={**options.model_dump(), **asdict(seeds)})


main = runner(app)
