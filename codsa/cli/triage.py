"""codsa triage: whether augmentation is worth trying on a table, before any generator is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codsa.cli.common import Seed, parse_value


def triage(
    table: Annotated[
        Path, typer.Argument(help="A table: .csv, .tsv, .jsonl or .parquet, also compressed.", show_default=False)
    ],
    target: Annotated[str, typer.Option("--target", help="Column to be predicted.", show_default=False)],
    region: Annotated[
        str | None,
        typer.Option("--region", help="Column whose values are the regions; default: by class, or thirds of a number."),
    ] = None,
    law: Annotated[
        str,
        typer.Option(
            "--law", help="Q, the law the model is judged under: balanced, training, or '{REGION: WEIGHT, …}'."
        ),
    ] = "balanced",
    json: Annotated[
        Path | None, typer.Option("--json", help="Also write all figures to this file.", show_default=False)
    ] = None,
    seed: Seed = 0,
) -> None:
    """Say in about a minute whether augmentation is worth trying on a table, before any generator is trained.

    A strong baseline (linear, boosting or perceptrons, as validation chooses), weighted to Q and recalibrated, is
    cross-validated: its loss per region; its learning curve by the rows of the thin regions, whose weight stays; and
    what twice those rows would give, with an interval. A large table is thinned first.

    **Example**

    codsa triage patients.csv --target outcome --region site --json triage.json
    """
    from codsa.triage.table import triage_table, write_record
    from codsa.triage.wording import page

    found = triage_table(table, target, region, law=parse_value(law), seed=seed, out=json)
    typer.echo(page(found))
    if json is not None:
        write_record(json, found, table=str(table), target=target, seed=seed)
