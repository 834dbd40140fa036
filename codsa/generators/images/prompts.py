"""Prompts: a row's columns put into words by a template."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

import pandas as pd

from codsa.errors import CodsaError, suggest


class Prompts:
    """A template such as 'A {age}-year-old {gender} of {ethnicity}', and words for values that are codes.

    Parameters
    ----------
    template : str
        Names columns in braces.
    words : mapping
        Column → value → word, as for a gender that is written 0 or 1.

    Raises
    ------
    CodsaError
        Where the template cannot be read, or words are given for a column that it does not name.
    """

    def __init__(self, template: str, words: Mapping[str, Mapping[Any, str]]) -> None:
        try:
            parts = list(string.Formatter().parse(template))
        except ValueError as error:
            raise CodsaError(f"prompt '{template}': {error}; write columns in braces, as in 'a {{label}}'") from None
        self.parts = [(text, name) for text, name, _, _ in parts]
        if any(format_spec or conversion for _, _, format_spec, conversion in parts) or "" in self.names:
            raise CodsaError(f"prompt '{template}': braces hold a column's name and nothing else, as in 'a {{label}}'")
        self.template = template
        self.words = {
            column: {str(k): str(v) for k, v in words_by_value.items()} for column, words_by_value in words.items()
        }
        for column in self.words:
            if column not in self.names:
                raise CodsaError(f"words: prompt '{template}' does not name '{column}'; {suggest(column, self.names)}")

    @property
    def names(self) -> list[str]:
        """The columns that the template names."""
        return [name for _, name in self.parts if name is not None]

    def check(self, rows: pd.DataFrame) -> None:
        """Raise a `CodsaError` for a column or value that rows have no words for."""
        for name in self.names:
            if name not in rows:
                columns = [str(column) for column in rows.columns]
                raise CodsaError(
                    f"prompt '{self.template}': no column '{name}' beside the image; {suggest(name, columns)}"
                )
            lacking = sorted({_text(v) for v in rows[name]} - set(self.words.get(name, {})))
            if name in self.words and lacking:
                raise CodsaError(f"words: column '{name}' also holds '{lacking[0]}'; give a word for every value")

    def of(self, rows: pd.DataFrame) -> list[str]:
        """Return a prompt for each row."""
        columns = {name: self._worded(name, rows[name]) for name in self.names}
        return [
            "".join(text + ("" if name is None else columns[name][place]) for text, name in self.parts)
            for place in range(len(rows))
        ]

    def _worded(self, name: str, values: pd.Series) -> list[str]:
        words = self.words.get(name)
        return [_text(v) if words is None else words[_text(v)] for v in values]


def _text(value: Any) -> str:
    """Return a value as a person writes it: 31.0 as '31'."""
    return f"{value:g}" if isinstance(value, float) else str(value)
