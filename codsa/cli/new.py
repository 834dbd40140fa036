"""codsa new: write an experiment file for a table of the user's own."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer


def new(
    table: Annotated[
        Path, typer.Argument(help="A table: .csv, .tsv, .jsonl or .parquet, also compressed.", show_default=False)
    ],
    target: Annotated[str, typer.Option("--target", help="Column to be predicted.", show_default=False)],
    region: Annotated[
        str | None, typer.Option("--region", help="Column whose values are the regions; default: by class.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the study; default: the file's.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="File to write; default: NAME.yaml.")] = None,
) -> None:
    """Infer the types of a table and write a commented experiment file, ready to run.

    **Example**

    codsa new patients.csv --target outcome --region site
    """
    from codsa.workflow.template import write_experiment

    path = write_experiment(table, target, region, name=name, out=out)
    typer.echo(f"wrote {path}; look through it, then run\n")
    typer.echo(f"  codsa run {shlex.quote(str(path))}")
