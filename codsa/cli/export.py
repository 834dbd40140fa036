"""codsa export: the rows that a study chose, as files that other tools read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codsa.cli.predict import Estimator, Method, Study
from codsa.cli.sections import with_sections
from codsa.settings.export import ExportOptions


@with_sections(options=ExportOptions)
def export(
    study: Study,
    options: ExportOptions,
    method: Method = None,
    estimator: Estimator = None,
    replicate: Annotated[int, typer.Option("--replicate", min=0, max=10**6, help="The replicate that is taken.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The folder to write; default: STUDY-WHAT, here.", show_default=False),
    ] = None,
) -> None:
    """Write the rows that validation rows chose: the chosen fit's real training rows and synthetic rows, or these alone.

    Columns have the study's names and types; a column `synthetic` tells which rows are synthetic. No validation or
    test row is among them. Where validation chose no synthetic rows, that is said, and the real rows are written.

    **Writes** OUT with the rows; README.md, a data card: what the rows are, how they were made and from which rows,
    fidelity and privacy as measured, the licence; croissant.json, metadata in the Croissant format; manifest.json.

    **Examples**

    codsa export results/patients

    codsa export results/patients --method codsa --what synthetic --format huggingface --license cc-by-4.0 --out shared
    """
    from codsa.io.artifacts import folder_output
    from codsa.io.names import EXPORT
    from codsa.stages.chosen import chosen_fit
    from codsa.stages.export import export as export_rows

    out = out or Path(f"{study.resolve().name}-{options.what}")
    folder_output(out, EXPORT)
    fit = chosen_fit(study, method, replicate, estimator)
    rows = export_rows(out, fit, options)
    typer.echo(fit.words)
    for note in rows.notes:
        typer.echo(note)
    unsaid = [key for key in ("license", "url", "creator", "date") if getattr(options, key) is None]
    if unsaid:
        typer.echo(f"croissant.json has no {', '.join(unsaid)}: give --{' --'.join(unsaid)} before you publish it")
    real, synthetic = sum(rows.real.values()), sum(rows.synthetic.values())
    typer.echo(f"wrote {out}: {real} real and {synthetic} synthetic rows; {out / 'README.md'} describes them")
