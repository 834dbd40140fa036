"""Predictions of rows on disk: one row per row, a column per estimator, kind of figure and class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from codsa.errors import CodsaError
from codsa.io.tables import read_parquet
from codsa.stages.scoring import EvaluationSet


def prediction_columns(rows: EvaluationSet, predictions: Mapping[tuple[str, str], np.ndarray]) -> pd.DataFrame:
    """Return predictions as a table.

    Parameters
    ----------
    rows : EvaluationSet
        The rows that are predicted.
    predictions : mapping
        (label of the estimator, 'raw' or 'recalibrated') → predictions of shape (n, C) or (n,).

    Returns
    -------
    DataFrame of n rows
        row_id, region, y, and LABEL/raw/0, LABEL/raw/1, … per class; of values or scores /0 alone.
    """
    columns = {"row_id": rows.row_id, "region": np.array(rows.names, dtype=object)[rows.region], "y": rows.problem.y}
    for (label, column), predicted in predictions.items():
        matrix = predicted if predicted.ndim == 2 else predicted[:, None]
        columns |= {f"{label}/{column}/{c}": matrix[:, c] for c in range(matrix.shape[1])}
    return pd.DataFrame(columns)


def read_predictions(path: Path, rows: EvaluationSet, label: str, column: str) -> np.ndarray:
    """Return the predictions of one estimator, ndarray of shape (n, C) or (n,).

    Raises
    ------
    CodsaError
        Where they are of other rows, or of other estimators.
    """
    table = read_parquet(path)
    if "row_id" not in table or not np.array_equal(table["row_id"].to_numpy(), rows.row_id):
        raise CodsaError(f"{path}: its rows are not the split's; run codsa-fit again")
    names = [name for name in map(str, table) if name.startswith(f"{label}/{column}/")]
    if not names:
        raise CodsaError(f"{path}: has no column '{label}/{column}/0'; run codsa-fit again")
    matrix = table[names].to_numpy(dtype=float)
    return matrix if len(names) > 1 else matrix[:, 0]
