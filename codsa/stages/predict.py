"""The stage that predicts the rows of a new table by the estimators that a study chose."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.schema import Schema
from codsa.data.split import training_schema
from codsa.errors import CodsaError
from codsa.estimators.base import feature_matrix
from codsa.io.artifacts import files_output, new_files
from codsa.io.files import atomic_write, real_path
from codsa.io.manifests import read_manifest, write_manifest
from codsa.io.names import MANIFEST, PREDICT, PREPARE
from codsa.io.tables import write_parquet
from codsa.readers.datasets import tree_digest
from codsa.readers.new_tables import NewTable, read_new
from codsa.readers.text_tables import COMPRESSIONS
from codsa.settings.images import ImageOptions
from codsa.settings.tables import TableOptions
from codsa.stages.chosen import DATA, ChosenFit

log = logging.getLogger(__name__)

SUFFIXES = (".csv", ".parquet")
ROW, PREDICTION, PROBABILITY, SCORE = "row", "prediction", "probability: ", "score"
"""Names of columns that are written: the row's place in the new table, and what is predicted."""


@dataclass(frozen=True)
class Predicted:
    """The predictions of a new table.

    Attributes
    ----------
    table : DataFrame of n rows
        `row`, the columns of the new table that are no features, `prediction` and for classes `probability: CLASS`;
        for detection `score`, of which more is more anomalous.
    fits : list of dict
        Which fits were averaged (see `ChosenFit.facts`).
    notes : list of str
        What was noticed in the new table.
    """

    table: pd.DataFrame
    fits: list[dict[str, Any]]
    notes: list[str]


CELLS = {"missing", "numbers", "dates"}
"""What holds for the cells of a table, whatever kind of file it is in."""


def read_options(study: Path, new: Path) -> tuple[TableOptions, ImageOptions]:
    """Return how a study's table was read, as the manifest of its prepared rows says it.

    A new table in another kind of file, by its name, has the cells of the study's; how it is written besides is found.
    """
    said = read_manifest(study / DATA / MANIFEST, PREPARE).parameters
    table = TableOptions.read(said.get("table_options", {}), f"{study / DATA / MANIFEST}: table_options")
    names = [str(name) for name in [said.get("file"), *said.get("tables", {})] if name is not None]
    if names and _kind(names[0]) != _kind(new.name):
        table = TableOptions(**table.model_dump(include=CELLS))
    return table, ImageOptions.read(said.get("image_options", {}), f"{study / DATA / MANIFEST}: image_options")


def _kind(name: str) -> str:
    """Return the kind of a file by its name, compressed or not: '.csv'."""
    path = Path(name.lower())
    return Path(path.stem).suffix if path.suffix in COMPRESSIONS else path.suffix


def predict(
    fits: Sequence[ChosenFit], path: Path, table: TableOptions, images: ImageOptions, encoder: str | None = None
) -> Predicted:
    """Predict the rows of a new table by one fit, or by the average of the fits of several replicates.

    Each fit's predictions are recalibrated as its validation rows chose, then averaged.

    Parameters
    ----------
    fits : sequence of ChosenFit
        Of one study, method and estimator.
    path, table, images, encoder
        As `codsa.readers.new_tables.read_new` takes them.

    Raises
    ------
    CodsaError
        As `read_new`, and for estimators whose predictions are not finite.
    """
    new: NewTable | None = None
    predicted = []
    for fit in fits:
        schema = training_schema(fit.dataset, fit.split)
        new = new or read_new(path, schema, table, images, encoder)
        matrix = feature_matrix(new.features, schema)
        predicted.append(fit.choice.recalibrated(fit.choice.predictor().predict(matrix)))
    assert new is not None
    mean = np.mean(predicted, axis=0)
    if not np.isfinite(mean).all():
        raise CodsaError(f"{path}: the estimator predicts no finite number for {int((~np.isfinite(mean)).sum())} rows")
    return Predicted(_table(mean, new, fits[0].dataset.schema), [fit.facts for fit in fits], new.notes)


def _table(predicted: np.ndarray, new: NewTable, schema: Schema) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    if schema.task == "classification":
        columns[PREDICTION] = pd.Series([schema.classes[c] for c in predicted.argmax(axis=1)])
        columns |= {f"{PROBABILITY}{name}": predicted[:, c] for c, name in enumerate(schema.classes)}
    else:
        columns[SCORE if schema.task == "detection" else PREDICTION] = predicted
    kept = {str(name): new.others[name] for name in new.others if name not in (ROW, *columns)}
    if len(kept) < new.others.shape[1]:
        log.warning("columns of the new table that are called as those of predictions are left out")
    return pd.DataFrame({ROW: np.arange(len(new.features)), **kept, **columns})


def record_of(path: Path) -> Path:
    """Return the manifest of predictions: the .json beside them."""
    return path.with_suffix(".json")


def predictions_output(path: Path) -> Path:
    """Return the path of predictions, links followed, or raise a `CodsaError` where they cannot be written."""
    if path.suffix.lower() not in SUFFIXES:
        raise CodsaError(f"--out {path}: predictions are written as .csv or .parquet; end the name so")
    path = real_path(path)
    files_output(record_of(path), PREDICT, (path.name,))
    return path


def write_predictions(path: Path, predicted: Predicted, fits: Sequence[ChosenFit], source: Path) -> None:
    """Write predictions and, beside them, a manifest that says which fits they are of.

    Parameters
    ----------
    path : Path
        .csv or .parquet.
    source : Path
        The new table.
    """
    path = predictions_output(path)
    inputs = {
        "dataset": fits[0].dataset.digest,
        "table": tree_digest(source),
    }
    inputs |= {name: value for fit in fits for name, value in fit.inputs.items()}
    with new_files(record_of(path), PREDICT) as staged:
        if path.suffix.lower() == ".parquet":
            write_parquet(staged / path.name, predicted.table)
        else:
            with atomic_write(staged / path.name) as part:
                predicted.table.to_csv(part, index=False, lineterminator="\n")
        write_manifest(staged / record_of(path).name, PREDICT, inputs, {}, fits=predicted.fits, notes=predicted.notes)
