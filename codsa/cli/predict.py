"""codsa predict: predictions of new rows by what a study chose."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from codsa.cli.common import Trust


def predict(
    study: Annotated[Path, typer.Argument(help="A study's folder, as results/patients.", show_default=False)],
    table: Annotated[Path, typer.Argument(help="A table with the study's features.", show_default=False)],
    method: Annotated[str, typer.Option("--method", help="The method whose choice predicts.")] = "codsa-auto",
    estimator: Annotated[
        str | None, typer.Option("--estimator", help="Label of an estimator; default: the study's own.")
    ] = None,
    replicate: Annotated[
        int | None, typer.Option("--replicate", help="Take one replicate's fit alone; default: the mean over all.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="File to write, .csv or .parquet; none may be there.")] = Path(
        "predictions.csv"
    ),
    trust: Trust = None,
) -> None:
    """Predict the rows of a new table by the estimator that a finished study chose, recalibrated as it was there.

    Every row of the table gets a row, in its order: the predicted class or value, and of classes their probabilities.

    **Example**

    codsa predict results/patients new_patients.csv --out predictions.csv
    """
    from codsa.io.tables import new_table_file, write_new_table
    from codsa.readers.tables import read_table
    from codsa.stages.chosen import read_chosen, replicates_of
    from codsa.stages.predict import predict as predicted_by

    new_table_file(out)
    folders = replicates_of(study, replicate)
    chosen = [read_chosen(study, folder, method, estimator, trust or ()) for folder in folders]
    predicted = predicted_by(chosen, read_table(table))
    write_new_table(out, predicted)
    behind = ", ".join(f"{name} ({count})" for name, count in Counter(one.method for one in chosen).items())
    typer.echo(f"{out}: {len(predicted)} rows by {method}, replicates that chose: {behind}")
