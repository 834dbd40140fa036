"""The methods, properties and functions that an expression may use, and the names of other syntax in errors."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

METHODS: dict[str, tuple[int, int]] = {
    "abs": (0, 0),
    "between": (2, 2),
    "isin": (1, 1),
    "isna": (0, 0),
    "isnull": (0, 0),
    "notna": (0, 0),
    "notnull": (0, 0),
    "round": (0, 1),
}
"""Methods of a column, with the least and the greatest number of their arguments."""
TEXT_METHODS: dict[str, tuple[int, int]] = {
    "contains": (1, 1),
    "endswith": (1, 1),
    "len": (0, 0),
    "lower": (0, 0),
    "startswith": (1, 1),
    "strip": (0, 0),
    "upper": (0, 0),
}
"""Methods of a text column, written `column.str.METHOD(…)`."""
DATE_PROPERTIES = {name: name for name in ("day", "hour", "minute", "month", "quarter", "second", "year")}
DATE_PROPERTIES |= {"dayofweek": "day_of_week", "dayofyear": "day_of_year"}
"""Properties of a column of dates, written `column.dt.PROPERTY`, and what pandas calls them."""
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    name: getattr(np, name)
    for name in ("abs", "ceil", "cos", "exp", "expm1", "floor", "log", "log10", "log1p", "sin", "sqrt", "tan")
}
"""Functions of one number."""
ALLOWED = (
    "comparisons, and, or, not, & | ~, + - * / // % **, in [constants], "
    + ", ".join(f".{name}()" for name in METHODS)
    + ", "
    + ", ".join(f".str.{name}()" for name in TEXT_METHODS)
    + ", .dt."
    + "/".join(DATE_PROPERTIES)
    + ", "
    + ", ".join(f"{name}()" for name in FUNCTIONS)
)


_SPELLINGS: dict[type[ast.AST], str] = {
    ast.BitXor: "^",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.MatMult: "@",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.Lambda: "lambda",
    ast.IfExp: "if … else",
    ast.NamedExpr: ":=",
    ast.JoinedStr: "f'…'",
    ast.Subscript: "[…] behind a value",
    ast.Dict: "{…}",
    ast.Set: "{…}",
    ast.ListComp: "[… for …]",
    ast.Starred: "*",
}


def spelled(node: ast.AST) -> str:
    """Return how an expression spells a node of its syntax tree."""
    return _SPELLINGS.get(type(node), type(node).__name__)


def holds_text(value: Any) -> bool:
    """Say whether a value is a text, or a column of texts."""
    return isinstance(value, str) or (isinstance(value, pd.Series) and pd.api.types.is_string_dtype(value))


def text_method(values: pd.Series, name: str, arguments: list[Any]) -> pd.Series:
    """Apply a text method to a column; a missing text contains nothing."""
    options: Mapping[str, Any] = {"na": False} if name in ("contains", "startswith", "endswith") else {}
    if options and not isinstance(arguments[0], str):
        raise TypeError(f"{name} takes a text")
    literal = {"regex": False} if name == "contains" else {}
    result: pd.Series = getattr(values.str, name)(*arguments, **options, **literal)
    return result
