"""Texts in Unicode's composed form (NFC), so that one text has one spelling."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from codsa.errors import CodsaError


def composed(text: str) -> str:
    """Return a text in Unicode's composed form (NFC)."""
    return unicodedata.normalize("NFC", text)


def composed_values(values: pd.Series) -> tuple[pd.Series, int]:
    """Return a column with its texts in composed form.

    Returns
    -------
    values : Series
        The same object where nothing changes.
    changed : int
        How many values were not in composed form.
    """
    if not (values.dtype == object or isinstance(values.dtype, (pd.StringDtype, pd.CategoricalDtype))):
        return values, 0
    distinct = values if values.dtype == object else values.unique()
    non_ascii = {text for text in distinct if isinstance(text, str) and not text.isascii()}
    spellings = {text: composed(text) for text in non_ascii if not unicodedata.is_normalized("NFC", text)}
    if not spellings:
        return values, 0
    composed_list = [spellings.get(value, value) if isinstance(value, str) else value for value in values]
    count = sum(isinstance(value, str) and value in spellings for value in values)
    dtype = "str" if isinstance(values.dtype, pd.StringDtype) else object
    return pd.Series(composed_list, index=values.index, dtype=dtype, name=values.name), count


def respelt_note(name: str, count: int) -> str:
    """Say how many texts of a column were brought to composed form."""
    return f"column '{name}': {count} texts brought to Unicode's composed form (NFC)"


def composed_names(names: Sequence[object], where: str = "table") -> list[str]:
    """Return the names of columns as texts in composed form.

    Raises
    ------
    CodsaError
        Where two names are one text in two spellings.
    """
    texts = [composed(str(name)) for name in names]
    repeated = next((name for name, count in Counter(texts).items() if count > 1), None)
    if repeated is not None:
        raise CodsaError(f"{where}: column name '{repeated}' stands {texts.count(repeated)} times; rename")
    return texts


def composed_table(table: pd.DataFrame, where: str = "table") -> tuple[pd.DataFrame, list[str]]:
    """Return a table with the names of its columns and its texts in composed form.

    Returns
    -------
    table : DataFrame
    notes : list of str
        How many names and texts were brought to composed form.
    """
    names = composed_names(table.columns.tolist(), where)
    respelt = sum(isinstance(old, str) and old != new for old, new in zip(table.columns, names, strict=True))
    notes = [f"{respelt} column names brought to Unicode's composed form (NFC)"] if respelt else []
    table = table.set_axis(names, axis=1)
    changes = {}
    for position, name in enumerate(names):
        values, count = composed_values(table.iloc[:, position])
        if count:
            changes[name] = values
            notes.append(respelt_note(name, count))
    return (table.assign(**changes) if changes else table), notes
