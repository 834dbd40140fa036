"""Predictions of new rows by what a finished study chose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from codsa.data.schema import Schema, cast_columns
from codsa.data.split import training_schema
from codsa.data.unicode import composed_table
from codsa.errors import CodsaError
from codsa.estimators.base import feature_matrix
from codsa.evidence.wording import listed
from codsa.stages.chosen import Chosen

PREDICTION = "prediction"


def predict(chosen: Sequence[Chosen], raw: pd.DataFrame) -> pd.DataFrame:
    """Predict new rows by every replicate's chosen estimator, and average.

    Parameters
    ----------
    chosen : sequence of Chosen
        Of the replicates of one study.
    raw : DataFrame of n rows
        With the study's features; other columns are left aside. Levels that no training row has are handled as at
        validation.

    Returns
    -------
    DataFrame of n rows
        The predicted class or value; of a classification also a column 'probability of CLASS' for each.
    """
    schema = chosen[0].dataset.schema
    rows = features_of(raw, schema)
    averaged = np.mean([_by_one(one, rows) for one in chosen], axis=0)
    if averaged.ndim == 1:
        return pd.DataFrame({"score" if schema.task == "detection" else PREDICTION: averaged})
    classes = np.array(schema.classes, dtype=object)
    table = pd.DataFrame({PREDICTION: classes[averaged.argmax(axis=1)]})
    return table.assign(**{f"probability of {name}": averaged[:, c] for c, name in enumerate(classes)})


def _by_one(chosen: Chosen, rows: pd.DataFrame) -> np.ndarray:
    schema = training_schema(chosen.dataset, chosen.split)
    predicted = chosen.choice.predictor().predict(feature_matrix(rows, schema))
    return chosen.choice.recalibrated(predicted)


def features_of(raw: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return the study's features of a raw table, in the schema's types.

    Raises
    ------
    CodsaError
        For a missing column, or features that no table of numbers and categories holds.
    """
    columns = [schema.column(name) for name in schema.features]
    if any(column.is_array or column.type == "text" for column in columns):
        raise CodsaError("codsa predict takes tables of numbers and categories; predict images and texts in Python")
    composed = composed_table(raw)[0]
    lacking = [column.name for column in columns if column.name not in composed]
    if lacking:
        names = listed([f"'{name}'" for name in lacking])
        raise CodsaError(
            f"the table has no column {names}, which the estimator was fitted on; add it, empty if unknown"
        )
    return cast_columns(composed[[column.name for column in columns]], columns)
