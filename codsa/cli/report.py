"""codsa-report: compare the metrics of all methods and replicates on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codsa.cli.common import Version, new_app, one_line, runner

app = new_app()


@app.command("report")
def report(
    evaluations: Annotated[
        list[Path],
        typer.Option("--eval", help="Folder written by codsa-eval, one per method and replicate.", show_default=False),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.", show_default=False)],
    title: Annotated[
        str | None,
        typer.Option("--title", callback=one_line, help="Title of the page; default: the experiment's name."),
    ] = None,
    version: Version = False,
) -> None:
    """Compare methods over replicates: one page with its verdict first, and the tables behind it.

    The verdict is about the primary arm alone: clearly better than the plain model and every control, practically the
    same, clearly worse, or open. Differences are paired by replicate, corrected for re-splits of the same rows and for
    their number. A ladder says where the gain comes from. The page is one self-contained HTML file.

    **Writes** OUT/report.html, OUT/metrics.csv, OUT/summary.csv, OUT/summary.txt and OUT/figures/.

    **Example**

    codsa-report --eval rep~0/eval~none --eval rep~0/eval~codsa --out results/study
    """
    from codsa.evidence.reading import read_study
    from codsa.stages.report import report_output, summarise, write_report

    report_output(out)
    write_report(out, read_study(evaluations), title)
    typer.echo(summarise(out))


main = runner(app)
