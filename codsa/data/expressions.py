"""Expressions on the columns of a table: parsed, checked against a short list, and evaluated without running code.

The language is the part of pandas' `DataFrame.query` that evaluates each row by itself:

- names of columns, in backticks where they are no Python names; numbers, texts, True, False, None;
- comparisons (chained too), `and` `or` `not`, `&` `|` `~`, arithmetic, `in` and `not in` with a list of constants;
- the methods, properties and functions of `codsa.data.expression_words`.

`&` and `|` bind as `and` and `or` do. The text given to `str.contains` is text, not a pattern. Anything else is
refused by name before any value is touched.
"""

from __future__ import annotations

import ast
import difflib
import operator
import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.expression_words import (
    ALLOWED,
    DATE_PROPERTIES,
    FUNCTIONS,
    METHODS,
    TEXT_METHODS,
    holds_text,
    spelled,
    text_method,
)
from codsa.errors import CodsaError, suggest

MAX_CHARACTERS = 10_000
"""Characters of an expression, at most."""
MAX_DEPTH = 100
"""Levels of nesting, at most."""
LARGEST_POWER = 64
"""The greatest exponent between two constants."""


_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
_TOKENS = re.compile(r"""(?P<text>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|`(?P<column>[^`]*)`|(?P<sign>[&|@`])""", re.S)
_ASSIGNMENT = re.compile(r"(?<![=!<>:+\-*/%&|^])=(?!=)")
_WORDS = {"&": " and ", "|": " or "}


class Expression:
    """A parsed expression that uses the allowed syntax only.

    Parameters
    ----------
    text : str
    where : str
        The subject of error messages: "keep" or "region expression".

    Attributes
    ----------
    names : list of str
        The columns that it reads, in the order of their first mention.

    Raises
    ------
    CodsaError
        For a text that is no expression, is too long or too deep, or uses what is not allowed.
    """

    def __init__(self, text: str, where: str = "region expression") -> None:
        self.where = where
        self.text = unicodedata.normalize("NFC", text).strip()
        if len(self.text) > MAX_CHARACTERS:
            raise self.error(f"is {len(self.text)} characters long; at most {MAX_CHARACTERS:,} are allowed")
        plain, self._quoted = self._tokens()
        self._tree = self._parsed(plain)
        self._refuse_depth()
        self.names: list[str] = []
        self._check(self._tree)

    def error(self, reason: str) -> CodsaError:
        """Return the error that names this expression."""
        shown = self.text if len(self.text) <= 200 else self.text[:199] + "…"
        return CodsaError(f"{self.where} '{shown}': {reason}")

    def _tokens(self) -> tuple[str, dict[str, str]]:
        """Return the text in Python's syntax, and the column in backticks that each of its new names stands for."""
        prefix = "column_"
        while prefix in self.text:
            prefix += "_"
        quoted: dict[str, str] = {}

        def replaced(token: re.Match[str]) -> str:
            if token["column"] is not None:
                name = f"{prefix}{len(quoted)}"
                quoted[name] = token["column"]
                return f" {name} "
            if token["sign"] == "@":
                raise self.error(f"'@' is not allowed in an expression; allowed: {ALLOWED}")
            if token["sign"] == "`":
                raise self.error("cannot be evaluated: a backtick is not closed")
            return token["text"] or _WORDS[token["sign"]]

        return _TOKENS.sub(replaced, self.text), quoted

    def _parsed(self, plain: str) -> ast.expr:
        try:
            return ast.parse(plain.strip(), mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            without_texts = _TOKENS.sub(lambda token: "" if token["text"] else token[0], self.text)
            if _ASSIGNMENT.search(without_texts):
                raise self.error("'=' assigns a value, which is not allowed; write == to compare") from None
            reason = error.msg if isinstance(error, SyntaxError) else "too deep, or not text"
            raise self.error(f"cannot be evaluated ({reason}); write it as for pandas' DataFrame.query") from None

    def _refuse_depth(self) -> None:
        level = [self._tree]
        for _ in range(MAX_DEPTH):
            level = [child for node in level for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
            if not level:
                return
        raise self.error(f"is nested more than {MAX_DEPTH} levels deep; write it flatter")

    def _refusal(self, spelling: str, known: Iterable[str] = ()) -> CodsaError:
        nearest = difflib.get_close_matches(spelling, list(known), n=1, cutoff=0.6)
        hint = f"did you mean '{nearest[0]}'? " if nearest else ""
        return self.error(f"'{spelling}' is not allowed in an expression; {hint}allowed: {ALLOWED}")

    def _check(self, node: ast.expr) -> None:
        """Raise a `CodsaError` for the first part of a tree that is not allowed."""
        match node:
            case ast.Constant():
                self._check_constant(node)
            case ast.Name():
                name = self._quoted.get(node.id, node.id)
                if name not in self.names:
                    self.names.append(name)
            case ast.List() | ast.Tuple():
                raise self.error("a list may only stand behind in, not in, ==, != or in isin(…)")
            case ast.Compare():
                self._check(node.left)
                for symbol, right in zip(node.ops, node.comparators, strict=True):
                    self._check_compared(symbol, right)
            case ast.BoolOp():
                self._check_all(node.values)
            case ast.BinOp():
                if type(node.op) not in _ARITHMETIC:
                    raise self._refusal(spelled(node.op))
                self._check_all([node.left, node.right])
            case ast.UnaryOp():
                self._check(node.operand)
            case ast.Call():
                self._check_call(node)
            case ast.Attribute():
                self._check_property(node)
            case _:
                raise self._refusal(spelled(node))

    def _check_all(self, nodes: Iterable[ast.expr]) -> None:
        for node in nodes:
            self._check(node)

    def _check_constant(self, node: ast.Constant) -> None:
        if node.value is not None and not isinstance(node.value, (bool, int, float, str)):
            raise self._refusal(repr(node.value))

    def _check_compared(self, symbol: ast.cmpop, right: ast.expr) -> None:
        if isinstance(symbol, (ast.Is, ast.IsNot)):
            raise self._refusal("is")
        if isinstance(symbol, (ast.In, ast.NotIn)) and not isinstance(right, (ast.List, ast.Tuple)):
            raise self.error("behind 'in' stands a list of constants, as in [1, 2]")
        if isinstance(right, (ast.List, ast.Tuple)) and isinstance(symbol, (ast.In, ast.NotIn, ast.Eq, ast.NotEq)):
            self._constants(right)
        else:
            self._check(right)

    def _check_call(self, node: ast.Call) -> None:
        if node.keywords:
            raise self._refusal(f"{node.keywords[0].arg or '**'}=")
        if isinstance(node.func, ast.Name):
            if node.func.id not in FUNCTIONS:
                raise self._refusal(node.func.id, FUNCTIONS)
            self._check_count(node.func.id, node.args, (1, 1))
            return self._check_all(node.args)
        if not isinstance(node.func, ast.Attribute):
            raise self._refusal("a call of what is no method")
        name, owner = node.func.attr, node.func.value
        known = TEXT_METHODS if _is_accessor(owner, "str") else METHODS
        if name not in known:
            raise self._refusal(name, known)
        self._check_count(name, node.args, known[name])
        if name == "isin" and not isinstance(node.args[0], (ast.List, ast.Tuple)):
            raise self.error("isin(…) takes a list of constants, as in [1, 2]")
        for argument in node.args:
            if name == "between":
                self._check(argument)
            else:
                self._constants(argument)
        self._check(owner.value if isinstance(owner, ast.Attribute) and known is TEXT_METHODS else owner)

    def _check_count(self, name: str, arguments: list[ast.expr], counts: tuple[int, int]) -> None:
        min_count, max_count = counts
        if not min_count <= len(arguments) <= max_count or any(isinstance(a, ast.Starred) for a in arguments):
            expected = str(min_count) if min_count == max_count else f"{min_count} to {max_count}"
            raise self.error(f"'{name}' takes {expected} arguments, not {len(arguments)}")

    def _check_property(self, node: ast.Attribute) -> None:
        if node.attr in ("str", "dt"):
            raise self.error(f"'.{node.attr}' lacks what follows it, as in column.str.lower() or column.dt.year")
        if not _is_accessor(node.value, "dt"):
            raise self._refusal(node.attr, METHODS)
        if node.attr not in DATE_PROPERTIES:
            raise self._refusal(node.attr, DATE_PROPERTIES)
        assert isinstance(node.value, ast.Attribute)
        self._check(node.value.value)

    def _constants(self, node: ast.expr) -> Any:
        """Return a constant, or the constants of a list; anything else is refused."""
        if isinstance(node, (ast.List, ast.Tuple)):
            return [self._constant(item) for item in node.elts]
        return self._constant(node)

    def _constant(self, node: ast.expr) -> Any:
        match node:
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return -number
        if not isinstance(node, ast.Constant):
            raise self.error("a list, or the argument of a method, holds constants only")
        self._check_constant(node)
        return node.value

    def check_names(self, columns: Iterable[Any]) -> None:
        """Raise a `CodsaError` with the nearest name for a column that a table lacks."""
        known = [str(column) for column in columns]
        for name in self.names:
            if _key(name, known) is None:
                raise self.error(f"cannot be evaluated: no column '{name}'; {suggest(name, known)}")

    def columns(self, known: Iterable[str]) -> list[str]:
        """Return the names of a table's columns that the expression reads."""
        names = list(known)
        return [key for key in (_key(name, names) for name in self.names) if key is not None]

    def truth(self, frame: pd.DataFrame) -> np.ndarray:
        """Evaluate the expression on rows; missing counts as false.

        Parameters
        ----------
        frame : DataFrame of n rows

        Returns
        -------
        ndarray of bool, shape (n,)

        Raises
        ------
        CodsaError
            For a column that is not there, an operation that its type does not have, a value other than true or false.
        """
        self.check_names(frame.columns)
        try:
            with np.errstate(all="ignore"):
                value = self._value(self._tree, frame)
        except CodsaError:
            raise
        except Exception as error:  # pandas raises many kinds for operations that a type does not have
            reason = " ".join(str(error).split())[:200]
            raise self.error(
                f"cannot be evaluated ({type(error).__name__}: {reason}); compare with values of the column's type"
            ) from None
        truth = pd.Series(value, index=frame.index)
        if truth.dtype not in ("bool", "boolean"):
            raise self.error(f"gives {truth.dtype}, not true or false")
        return truth.astype("boolean").fillna(False).to_numpy(dtype=bool)

    def _value(self, node: ast.expr, frame: pd.DataFrame) -> Any:
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                key = _key(self._quoted.get(node.id, node.id), [str(name) for name in frame.columns])
                return frame[key] if key in frame else frame.loc[:, frame.columns.map(str) == key].iloc[:, 0]
            case ast.Compare():
                return self._compared(node, frame)
            case ast.BoolOp():
                return self._joined(node, frame)
            case ast.BinOp():
                return self._calculated(node.op, self._value(node.left, frame), self._value(node.right, frame))
            case ast.UnaryOp():
                return self._signed(node.op, self._value(node.operand, frame))
            case ast.Call():
                return self._called(node, frame)
            case ast.Attribute():
                assert isinstance(node.value, ast.Attribute)
                return getattr(self._value(node.value.value, frame).dt, DATE_PROPERTIES[node.attr])
        raise AssertionError(f"{type(node).__name__} was let through")

    def _compared(self, node: ast.Compare, frame: pd.DataFrame) -> Any:
        """Return whether every link of a chain of comparisons holds."""
        links: list[Any] = []
        left = self._value(node.left, frame)
        for symbol, right_node in zip(node.ops, node.comparators, strict=True):
            listed = isinstance(right_node, (ast.List, ast.Tuple))
            right = self._constants(right_node) if listed else self._value(right_node, frame)
            links.append(_compare(symbol, left, right))
            left = right
        value = links[0]
        for link in links[1:]:
            value = value & link
        return value

    def _joined(self, node: ast.BoolOp, frame: pd.DataFrame) -> Any:
        combine = operator.and_ if isinstance(node.op, ast.And) else operator.or_
        value = self._value(node.values[0], frame)
        for other in node.values[1:]:
            value = combine(value, self._value(other, frame))
        return value

    def _calculated(self, symbol: ast.operator, left: Any, right: Any) -> Any:
        if not isinstance(symbol, ast.Add) and (holds_text(left) or holds_text(right)):
            raise self.error(f"'{spelled(symbol)}' is not for texts")
        constants = all(isinstance(side, (int, float)) for side in (left, right))
        if isinstance(symbol, ast.Pow) and constants and not (abs(right) <= LARGEST_POWER and abs(left) < 2.0**64):
            raise self.error(f"the power of two constants is too large; exponents go up to {LARGEST_POWER}")
        return _ARITHMETIC[type(symbol)](left, right)

    def _signed(self, symbol: ast.unaryop, operand: Any) -> Any:
        if isinstance(symbol, (ast.Not, ast.Invert)):
            return not operand if isinstance(operand, bool) else ~operand
        return _UNARY[type(symbol)](operand)

    def _called(self, node: ast.Call, frame: pd.DataFrame) -> Any:
        if isinstance(node.func, ast.Name):
            return FUNCTIONS[node.func.id](self._value(node.args[0], frame))
        assert isinstance(node.func, ast.Attribute)
        name, owner = node.func.attr, node.func.value
        if _is_accessor(owner, "str"):
            assert isinstance(owner, ast.Attribute)
            return text_method(self._value(owner.value, frame), name, [self._constants(a) for a in node.args])
        values = self._value(owner, frame)
        if not isinstance(values, pd.Series):
            raise self.error(f"'{name}' is a method of columns")
        take = self._constants if name != "between" else lambda argument: self._value(argument, frame)
        return getattr(values, name)(*[take(argument) for argument in node.args])


def parse(text: str, where: str = "region expression") -> Expression:
    """Return the parsed expression, from a cache where the same text was parsed before.

    Examples
    --------
    >>> import pandas as pd
    >>> from codsa.data.expressions import parse
    >>> parse("age > 65 and site == 'n'").truth(pd.DataFrame({"age": [70, 70, 30], "site": ["n", "s", "n"]})).tolist()
    [True, False, False]
    """
    if not isinstance(text, str):
        raise CodsaError(f"{where}: {text!r} is no text; write it as for pandas' DataFrame.query")
    return _parsed(text, where)


_parsed = lru_cache(maxsize=256)(Expression)


def _key(name: str, known: list[str]) -> str | None:
    """Return a table's own spelling of a name: Python brings names to another Unicode form (NFKC)."""
    if name in known:
        return name
    return next((column for column in known if unicodedata.normalize("NFKC", column) == name), None)


def _is_accessor(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == name


def _compare(symbol: ast.cmpop, left: Any, right: Any) -> Any:
    """Compare as pandas' query does: a list is a set of values, and so is a text."""
    is_set = isinstance(right, list) or (isinstance(right, str) and isinstance(left, pd.Series))
    if is_set and isinstance(symbol, (ast.Eq, ast.NotEq, ast.In, ast.NotIn)):
        values = right if isinstance(right, list) else [right]
        member = left.isin(values) if isinstance(left, pd.Series) else left in values
        if isinstance(symbol, (ast.Eq, ast.In)):
            return member
        return ~member if isinstance(member, pd.Series) else not member
    return _COMPARISONS[type(symbol)](left, right)
