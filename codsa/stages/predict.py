"""The stage that predicts new rows with the estimators that a study chose."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.schema import Schema
from codsa.data.split import training_schema
from codsa.errors import CodsaError
from codsa.estimators.base import feature_matrix
from codsa.estimators.unseen import new_rows
from codsa.io.artifacts import files_output, new_files
from codsa.io.files import real_path
from codsa.io.manifests import write_manifest
from codsa.io.names import PREDICT
from codsa.io.tables import write_parquet
from codsa.stages.chosen import StudyChoice

log = logging.getLogger(__name__)


def predict(choices: Sequence[StudyChoice], table: pd.DataFrame, where: str) -> pd.DataFrame:
    """Predict new rows, averaged over the replicates of a method.

    Parameters
    ----------
    choices : sequence of StudyChoice
        Of one method, one per replicate.
    table : DataFrame
        With the columns that the estimators were fitted on; others are left out.
    where : str
        The table's name, for errors.

    Returns
    -------
    DataFrame of shape (n, 2), (n, 2 + C)
        row (from 1), prediction, and for a class the probability of each; of a detector row and score.
    """
    schema = choices[0].dataset.schema
    _refuse_arrays(schema)
    predicted = np.mean([_predicted(choice, table, where) for choice in choices], axis=0)
    columns: dict[str, Any] = {"row": np.arange(1, len(table) + 1)}
    if schema.task == "classification":
        classes = np.array(schema.classes, dtype=object)
        columns["prediction"] = pd.Series(classes[predicted.argmax(axis=1)]).infer_objects()
        columns |= {f"probability: {name}": predicted[:, k] for k, name in enumerate(schema.classes)}
    else:
        columns["score" if schema.task == "detection" else "prediction"] = predicted
    return pd.DataFrame(columns)


def _refuse_arrays(schema: Schema) -> None:
    for name in schema.features:
        if schema.column(name).is_array:
            raise CodsaError(
                f"feature '{name}' holds arrays, and codsa predict reads tables of numbers, levels and texts"
            )


def _predicted(choice: StudyChoice, table: pd.DataFrame, where: str) -> np.ndarray:
    schema = training_schema(choice.dataset, choice.split)
    rows = new_rows(table, schema, where)
    _warn_of_new_levels(rows, schema)
    predicted = choice.choice.predictor().predict(feature_matrix(rows, schema))
    return choice.choice.recalibrated(predicted)


def _warn_of_new_levels(rows: pd.DataFrame, schema: Schema) -> None:
    for name in rows:
        column = schema.column(str(name))
        if column.type == "categorical":
            unseen = sorted({str(v) for v in rows[name].dropna().unique()} - {str(v) for v in column.levels or []})
            if unseen:
                log.warning(
                    "column '%s': %s %s no training row's; taken as validation rows were, as missing or as no level",
                    *(name, ", ".join(map(repr, unseen[:5])), "is" if len(unseen) == 1 else "are"),
                )


def predictions_output(out: Path) -> None:
    """Raise a `CodsaError` where predictions cannot be written: another suffix, or a file of the user's in the way."""
    if out.suffix not in (".csv", ".parquet"):
        raise CodsaError(f"--out {out}: give a name that ends in .csv or .parquet")
    files_output(_manifest(out), PREDICT, (real_path(out).name,))


def _manifest(out: Path) -> Path:
    return real_path(out).with_suffix(".json")


def write_predictions(
    out: Path, predictions: pd.DataFrame, choices: Sequence[StudyChoice], inputs: Mapping[str, str]
) -> None:
    """Write predictions and, beside them, the manifest that says which fits made them."""
    facts = {str(choice.record.replicate): choice.summary for choice in choices}
    digests = {f"fits {choice.record.replicate}": choice.choice.fits.record.digest for choice in choices}
    first = choices[0]
    parameters = {
        "method": first.record.method,
        "estimator": first.choice.label,
        "column": first.choice.column,
        "law": first.record.law,
    }
    out = real_path(out)
    with new_files(_manifest(out), PREDICT) as staged:
        if out.suffix == ".csv":
            predictions.to_csv(staged / out.name, index=False, lineterminator="\n")
        else:
            write_parquet(staged / out.name, predictions)
        write_manifest(staged / _manifest(out).name, PREDICT, {**inputs, **digests}, parameters, chosen=facts)
