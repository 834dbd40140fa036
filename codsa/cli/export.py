"""codsa export: the augmented set that a study chose, for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codsa.cli.common import one_line


def export(
    study: Annotated[Path, typer.Argument(help="A study's folder, as results/patients.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Folder to write.", show_default=False)],
    method: Annotated[str, typer.Option("--method", help="The method whose choice is exported.")] = "codsa-auto",
    estimator: Annotated[
        str | None, typer.Option("--estimator", help="Label of an estimator; default: the study's own.")
    ] = None,
    replicate: Annotated[int, typer.Option("--replicate", help="The replicate, whose training rows are exported.")] = 0,
    what: Annotated[
        str, typer.Option("--what", help="augmented: real and synthetic rows; synthetic: these alone.")
    ] = "augmented",
    file_format: Annotated[
        str, typer.Option("--format", help="csv, parquet, jsonl, or huggingface: a data set's folder.")
    ] = "csv",
    licence: Annotated[
        str | None,
        typer.Option("--licence", callback=one_line, help="Licence of your data, for the card and the metadata."),
    ] = None,
) -> None:
    """Write the augmented set that validation rows chose, with a data card (README.md) and Croissant metadata.

    Columns and types are the study's; codsa_synthetic tells synthetic rows from real ones, codsa_region names their
    region. Real rows are training rows alone.

    **Example**

    codsa export results/patients --what synthetic --method codsa-reuse --out patients-synthetic
    """
    from codsa.stages.chosen import read_chosen, replicates_of
    from codsa.stages.export import write_export

    folder = replicates_of(study, replicate)[0]
    chosen = read_chosen(study, folder, method, estimator)
    count = write_export(chosen, what, file_format, licence, out)
    typer.echo(f"{out}: {count} rows of {chosen.method}")
