"""Rows that an estimator meets after it was fitted: their columns checked, their values in the schema's types."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from codsa.data.schema import Column, Schema, cast
from codsa.errors import CodsaError, suggest


def new_rows(table: pd.DataFrame, schema: Schema, where: str) -> pd.DataFrame:
    """Return the features of new rows as `codsa.estimators.base.feature_matrix` takes them.

    As with validation rows, a level that no training row has stays, and a number beyond the training rows' bounds does,
    too; a column that held whole numbers may have decimals.

    Parameters
    ----------
    table : DataFrame
        With the features, in any order; other columns are left out.
    schema : Schema
        That of the training rows.
    where : str
        The subject of errors: a file.

    Raises
    ------
    CodsaError
        For a feature that is not there, or a value that is not of its type.
    """
    lacking = [name for name in schema.features if name not in table]
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise CodsaError(
            f"{where}: has no column '{lacking[0]}'{more}, on which the estimator was fitted; "
            f"{suggest(lacking[0], table.columns)}"
        )
    return pd.DataFrame({name: _typed(table[name], schema.column(name), where) for name in schema.features})


def _typed(values: pd.Series, column: Column, where: str) -> pd.Series:
    lenient = replace(column, type="numeric") if column.type == "integer" else column
    if column.type in ("categorical", "boolean") and values.isna().all():
        values = values.astype(object)
    try:
        return cast(values, lenient)
    except CodsaError as error:
        raise CodsaError(f"{where}: {error}") from None
