"""codsa predict: the predictions of a study's chosen estimator for new rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codsa.cli.common import Trust
from codsa.cli.sections import with_sections
from codsa.settings.tables import TableOptions

Study = Annotated[Path, typer.Argument(help="Folder of a finished study, as results/patients.", show_default=False)]
MethodOption = Annotated[
    str | None, typer.Option("--method", help="A method of the study; default: its primary arm.", show_default=False)
]
EstimatorOption = Annotated[
    str | None,
    typer.Option("--estimator", help="Label of one of the study's estimators; default: its own.", show_default=False),
]
AsFitted = Annotated[
    bool, typer.Option("--as-fitted", help="The choice among estimators as fitted, without recalibration.")
]


@with_sections(options=TableOptions)
def predict(
    study: Study,
    table: Annotated[
        Path,
        typer.Argument(help="New rows: a table as codsa-prepare reads it, without the target.", show_default=False),
    ],
    options: TableOptions,
    out: Annotated[Path, typer.Option("--out", help="File to write: .csv or .parquet.")] = Path("predictions.csv"),
    method: MethodOption = None,
    replicate: Annotated[
        int | None,
        typer.Option(
            "--replicate", min=0, max=10**6, help="One replicate; default: the average of all.", show_default=False
        ),
    ] = None,
    estimator: EstimatorOption = None,
    as_fitted: AsFitted = False,
    trust: Trust = None,
) -> None:
    """Predict new rows with the estimators that validation rows chose, averaged over the replicates.

    Columns are found by name; the target, the group and columns that the study left out need not be there. Levels that no
    training row has are taken as validation rows with such levels were. Probabilities and values are those under the
    study's law Q, recalibrated on validation rows.

    **Writes** OUT, a row per row, and beside it a .json that names the fits.

    **Example**

    codsa predict results/patients new_patients.csv --out predictions.csv
    """
    from codsa.io.digests import file_digest
    from codsa.readers.tables import read_table
    from codsa.stages import predict as stage
    from codsa.stages.chosen import method_of, open_choice, replicates_of

    stage.predictions_output(out)
    name = method_of(study, method)
    replicates = replicates_of(study, name) if replicate is None else [replicate]
    choices = [open_choice(study, name, k, estimator, as_fitted, trust or ()) for k in replicates]
    rows = read_table(table, options=options)
    predictions = stage.predict(choices, rows, str(table))
    stage.write_predictions(out, predictions, choices, {"table": file_digest(table)})
    first = choices[0]
    averaged = "averaged over replicates " if len(choices) > 1 else "replicate "
    typer.echo(
        f"{out}: {len(predictions)} rows, by {name}, estimator {first.choice.label}, {first.choice.column}, "
        f"{averaged}{', '.join(map(str, replicates))}"
    )
    for choice in choices:
        typer.echo(f"  replicate {choice.record.replicate} chose {choice.summary}")
