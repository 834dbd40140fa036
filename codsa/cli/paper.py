"""codsa paper: the paper's tables and figures, beside what its experiments measured here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codsa.cli.common import Version, new_app, one_line, runner

app = new_app()


@app.command("paper")
def paper(
    scale: Annotated[
        str,
        typer.Option(
            "--scale", callback=one_line, help="The scale that the experiments were run at: smoke, table, full."
        ),
    ],
    results: Annotated[Path, typer.Option("--results", help="Folder of all results.")] = Path("results"),
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", help="A table or figure, as table1 or figure2; repeatable. Default: all.", show_default=False
        ),
    ] = None,
    version: Version = False,
) -> None:
    """Put every table and figure of arXiv 2504.07426 beside what its experiments measured here, and beside their controls.

    Reads the reports and evaluations of RESULTS/EXPERIMENT-SCALE, which `snakemake paper --config scale=SCALE` makes.
    A study without results is named, with what it needs.

    **Writes** RESULTS/paper-SCALE/paper.html, and a CSV file and a PNG for each table and figure.

    **Example**

    codsa paper --scale table --only table1 --only figure2
    """
    from codsa.paper.write import write_paper

    written = write_paper(results, scale, only or [])
    for entry in written.entries:
        if entry.missing:
            typer.echo(f"{entry.item}: {entry.missing}", err=True)
    typer.echo(written.page)


main = runner(app)
