"""codsa new: write an experiment file for a table of the user's own."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from codsa.cli.sections import with_sections
from codsa.settings.tables import TableOptions


@with_sections(options=TableOptions)
def new(
    table: Annotated[
        Path,
        typer.Argument(
            help="A table: .csv, .tsv, .txt, .jsonl, also compressed; .parquet, .xlsx or .ods.", show_default=False
        ),
    ],
    target: Annotated[str, typer.Option("--target", help="Column to be predicted.", show_default=False)],
    options: TableOptions,
    region: Annotated[
        str | None,
        typer.Option("--region", help="Column whose values, or thirds, are the regions; default: by class."),
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option("--keep", metavar="COLUMN", help="Leave out all other columns; repeatable.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", metavar="COLUMN", help="Leave this column out; repeatable.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the study; default: the file's.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="File to write; default: NAME.yaml.")] = None,
) -> None:
    """Infer the types of a table and write a commented experiment file, ready to run.

    How the table is written (separator, decimal sign, encoding, numbers with signs, dates, marks of missing cells) is
    found, noted, and written into the file, so that every later run reads it in the same way. The options of tables say
    what is found wrongly. Columns that seem to give the target away are pointed out.

    **Examples**

    codsa new patients.csv --target outcome --region site --drop patient_name

    codsa new lab.xlsx --target outcome --sheet visits --missing -999 --date visit=%d.%m.%Y
    """
    from codsa.workflow.template import write_experiment

    path = write_experiment(
        table, target, region, name=name, out=out, options=options, keep=keep or (), drop=drop or ()
    )
    typer.echo(f"wrote {path}; look through it, then run\n")
    typer.echo(f"  codsa run {shlex.quote(str(path))}")
