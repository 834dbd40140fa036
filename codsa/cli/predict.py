"""codsa predict: predictions of a new table by what a study chose."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codsa.cli.common import Trust, one_line
from codsa.cli.sections import with_sections
from codsa.settings.tables import TableOptions

Study = Annotated[Path, typer.Argument(help="A study's folder, as results/patients.", show_default=False)]
Method = Annotated[
    str | None,
    typer.Option(
        "--method",
        callback=one_line,
        help="The method whose chosen fit is taken; default: codsa-auto, or the study's primary arm.",
        show_default=False,
    ),
]
Estimator = Annotated[
    str | None,
    typer.Option(
        "--estimator", callback=one_line, help="Label of the estimator; default: the study's own.", show_default=False
    ),
]


@with_sections(table=TableOptions)
def predict(
    study: Study,
    new: Annotated[
        Path,
        typer.Argument(help="The new table, or images; its target, if it has one, is not read.", show_default=False),
    ],
    table: TableOptions,
    method: Method = None,
    estimator: Estimator = None,
    replicate: Annotated[
        int | None,
        typer.Option(
            "--replicate",
            min=0,
            max=10**6,
            help="Predict by the fit of one replicate; default: the average over all.",
            show_default=False,
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option("--encoder", help="Texts: the study's sentence encoder, where its feature is an embedding."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The file to write, .csv or .parquet.")] = Path("predictions.csv"),
    trust: Trust = None,
) -> None:
    """Predict the rows of a new table by the estimator that a study chose on its validation rows.

    The table needs the study's features. It is read as the study's was, unless an option of tables is given. Levels
    that no training row had count as they did at validation. Predictions are recalibrated where the study's are, and
    averaged over its replicates.

    **Writes** OUT with a row for each row of the table: its place, the columns that are no features, `prediction`, and
    for classes `probability: CLASS`; and beside it OUT's name with .json, which says which fits were taken.

    **Examples**

    codsa predict results/patients new.csv

    codsa predict results/patients new.csv --method none --replicate 0 --out predictions.parquet
    """
    from codsa.stages import chosen
    from codsa.stages.predict import predict as predict_rows
    from codsa.stages.predict import predictions_output, read_options, write_predictions

    predictions_output(out)
    numbers = chosen.replicates(study) if replicate is None else [replicate]
    method = method or chosen.default_method(study)
    fits = [chosen.chosen_fit(study, method, number, estimator, trust or ()) for number in numbers]
    as_study, images = read_options(study, new)
    predicted = predict_rows(fits, new, table if table.model_fields_set else as_study, images, encoder)
    write_predictions(out, predicted, fits, new)
    for fit in fits:
        typer.echo(fit.words)
    for note in predicted.notes:
        typer.echo(note)
    averaged = f", averaged over {len(fits)} replicates" if len(fits) > 1 else ""
    typer.echo(f"wrote {out}: {len(predicted.table)} rows{averaged}")
