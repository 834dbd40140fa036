"""codsa export: the rows that a study's chosen estimator was fitted on, for use elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from codsa.cli.common import one_line
from codsa.cli.predict import AsFitted, EstimatorOption, MethodOption, Study


def export(
    study: Study,
    what: Annotated[
        Literal["augmented", "synthetic"],
        typer.Option("--what", help="Real and synthetic rows, with a column that tells; or the synthetic ones alone."),
    ] = "augmented",
    kind: Annotated[
        Literal["csv", "parquet", "images", "jsonl", "huggingface"], typer.Option("--format", help="What to write.")
    ] = "csv",
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write; default: STUDY-METHOD-WHAT.", show_default=False)
    ] = None,
    method: MethodOption = None,
    replicate: Annotated[int, typer.Option("--replicate", min=0, max=10**6, help="Replicate.")] = 0,
    estimator: EstimatorOption = None,
    as_fitted: AsFitted = False,
    licence: Annotated[
        str | None,
        typer.Option("--licence", callback=one_line, help="The data's licence, for the card and the metadata."),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", callback=one_line, help="Where the data will be found, for the metadata."),
    ] = None,
) -> None:
    """Write the rows that validation rows chose, with a data card and Croissant metadata.

    The rows are those on which the method's estimator was fitted: training rows alone, real ones first. Validation and
    test rows are never among them, so that they still tell what the rows are worth. Columns have their names, order and
    types; columns that the study left out, such as identifiers, are not written. A column `synthetic` tells the rows apart.

    **Writes** OUT/data.csv (or .parquet, .jsonl; images/ and metadata.csv; data/ for Hugging Face), OUT/README.md,
    OUT/croissant.json and OUT/manifest.json.

    **Examples**

    codsa export results/patients --out patients-augmented

    codsa export results/patients --method codsa-reuse --what synthetic --format huggingface --licence CC-BY-4.0
    """
    from codsa.io.artifacts import folder_output
    from codsa.io.names import EXPORT
    from codsa.stages.chosen import method_of, open_choice
    from codsa.stages.export import chosen_rows, provenance, write_export

    name = method_of(study, method)
    place = out or Path(f"{study.resolve().name}-{name}-{what}")
    folder_output(place, EXPORT)
    choice = open_choice(study, name, replicate, estimator, as_fitted)
    rows, generator = chosen_rows(choice, what)
    origin = provenance(choice, study, rows, generator, what, licence or "", url or "")
    write_export(place, choice, rows, origin, kind)
    real, synthetic = int((~rows.synthetic).sum()), int(rows.synthetic.sum())
    typer.echo(
        f"{place}: {real} real and {synthetic} synthetic rows, by {name}, replicate {replicate}: {choice.summary}"
    )
