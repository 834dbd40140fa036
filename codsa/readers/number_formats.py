"""Numbers as people write them: decimal comma, thousands separators, currency and percent signs, units, limits.

A column's format is written as the number 1,234.5 looks in it: '1.234,5 €', '<1234.5', '1 234,5 %'. Finding a format
looks at how cells are written, never at how large their numbers are; pandas reads the digits.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from codsa.data.whole_numbers import parsed
from codsa.errors import CodsaError, shortened
from codsa.settings.tables import EXAMPLE

LONGEST = 64
"""A longer cell is no number."""
EXACT_DIGITS = 15
LIMITS = r"(?:[<>≤≥]=?)"
CURRENCIES = {
    "EUR", "USD", "GBP", "CHF", "JPY", "CNY", "SEK", "NOK", "DKK", "ISK", "PLN", "CZK", "HUF", "RON", "BGN", "RUB",
    "UAH", "TRY", "CAD", "AUD", "NZD", "INR", "KRW", "BRL", "MXN", "ZAR", "kr", "kr.", "Kr", "Kr.", "Fr.", "SFr.", "zł",
    "Kč", "Ft", "lei", "лв", "лв.", "руб.", "R$", "US$", "C$", "A$", "Rs", "Rs.",
}  # fmt: skip
PAIRS = [("", "."), ("", ","), (",", "."), (".", ","), (" ", ","), (" ", "."), ("'", "."), ("'", ",")]
"""Separators of thousands and of decimals that occur together."""
_UNIT = re.compile(r"[^\W\d_][^\W\d_]{0,9}[²³]?(?:/[^\W\d_]{1,10}[²³]?)?|[%‰°]|°[CF]|%-?pts?\.?")
_CELL = re.compile(
    rf"(?P<open>\()?\s*(?P<limit>{LIMITS})?\s*(?P<first>[-+])?\s*(?P<prefix>[^\d\s().,'+-][^\d()+-]*?)?\s*(?P<sign>[-+])?\s*"
    r"(?P<body>(?:\d[\d.,' ]*)?\d(?:[eE][-+]?\d{1,3})?|[.,]\d+)(?P<blank>\s*)(?P<suffix>[^\d\s()].*?)?\s*(?P<close>\))?"
)
_EXAMPLE = re.compile(
    r"(?P<limit><)?\s*(?P<prefix>[^\d<>]*?)\s*1(?P<thousands>[., ']?)234(?P<decimal>[.,])5\s*(?P<suffix>\D*)"
)


@dataclass(frozen=True)
class NumberFormat:
    """How a column writes its numbers.

    Attributes
    ----------
    thousands, decimal : str
        The signs between digits; no thousands separator: ''.
    prefix, suffix : str
        What stands before or after the digits of some cells, and is left out.
    limits : bool
        Whether cells such as '<20' are read as the limit, 20.
    """

    thousands: str = ""
    decimal: str = "."
    prefix: str = ""
    suffix: str = ""
    limits: bool = False

    @property
    def example(self) -> str:
        """The number 1,234.5 in this format."""
        prefix = self.prefix + (" " if self.prefix[-1:].isalpha() else "")
        suffix = (" " if self.suffix else "") + self.suffix
        return f"{'<' if self.limits else ''}{prefix}1{self.thousands}234{self.decimal}5{suffix}"

    @classmethod
    def read(cls, example: str, name: str) -> NumberFormat:
        """Return the format of a column from how it writes 1,234.5, or raise a `CodsaError` that says how to."""
        match = _EXAMPLE.fullmatch(plain(example))
        if not match or match["thousands"] == match["decimal"]:
            raise CodsaError(
                f"table: numbers: column '{name}' = {shortened(repr(example))}: write {EXAMPLE} as it would stand "
                "there, as '1234,5', '1.234,5 €' or '<1234.5 %'"
            )
        parts = {key: match[key].strip() for key in ("prefix", "suffix")}
        return cls(match["thousands"], match["decimal"], limits=match["limit"] is not None, **parts)

    def numbers(self, cells: pd.Series, name: str) -> pd.Series:
        """Return the numbers of a column's cells.

        Parameters
        ----------
        cells : Series of str
            Missing ones are missing.

        Raises
        ------
        CodsaError
            For a cell that is not written in this format.
        """
        texts = cells.map(plain, na_action="ignore")
        parts = texts.astype("str").str.extract(self._pattern)
        wrong = (parts["body"].isna() & texts.notna()).to_numpy(dtype=bool)
        if wrong.any():
            row = int(wrong.argmax())
            raise CodsaError(
                f"column '{name}': {int(wrong.sum())} cells are not written as '{self.example}'; the first is row "
                f"{row}, {shortened(repr(cells.iloc[row]))}: mend them, or say which are missing with --missing"
            )
        digits = parts["body"]
        if self.thousands:
            digits = digits.str.replace(self.thousands, "", regex=False)
        digits = digits.str.replace(self.decimal, ".", regex=False)
        minus = ((parts["first"] == "-") | (parts["sign"] == "-") | parts["open"].notna()).to_numpy(dtype=bool)
        try:
            return parsed(digits.where(~minus, "-" + digits))
        except ValueError as error:
            raise CodsaError(f"column '{name}': not readable as numbers ({error}); leave them as texts") from None

    @property
    def _pattern(self) -> str:
        t, d = re.escape(self.thousands), re.escape(self.decimal)
        inner = "{2,3}" if self.thousands == "," else "{3}"  # India writes 12,34,567
        grouped = rf"\d{{1,3}}(?:{t}\d{inner})*{t}\d{{3}}|" if self.thousands else ""
        body = rf"(?:(?:{grouped}\d+)(?:{d}\d*)?|{d}\d+)(?:[eE][-+]?\d{{1,3}})?"
        prefix, suffix = (rf"(?:{re.escape(sign)})?" for sign in (self.prefix, self.suffix))
        limit = f"{LIMITS}?" if self.limits else ""
        return (
            rf"^(?P<open>\((?=.*\)$))?\s*{limit}\s*(?P<first>[-+])?\s*{prefix}\s*(?P<sign>[-+])?\s*"
            rf"(?P<body>{body})\s*{suffix}\s*(?(open)\)|)$"
        )

    def admits(self, bodies: Collection[str]) -> bool:
        """Say whether digits with their separators are all written in this format."""
        pattern = re.compile(NumberFormat(self.thousands, self.decimal)._pattern)
        return all(pattern.match(body) for body in bodies)


def plain(text: str) -> str:
    """Return a cell without blanks around it, with plain blanks, apostrophes and minus signs within."""
    if text.isascii():
        return text.strip()
    text = "".join(" " if unicodedata.category(c) == "Zs" else c for c in text.strip())
    return text.replace("’", "'").replace("−", "-")


def bodies_of(cells: Collection[str]) -> tuple[list[str], NumberFormat] | None:
    """Take the signs, units and limits from cells.

    Returns
    -------
    bodies : list of str
        The digits of each cell with their separators.
    format : NumberFormat
        With what stands around the digits, its separators unsettled.
    None where a cell is no number, or the cells have different signs or units.
    """
    bodies: list[str] = []
    prefixes: set[str] = set()
    units: set[str] = set()
    limits = False
    for cell in cells:
        match = _CELL.fullmatch(plain(cell)) if len(cell) <= LONGEST else None
        if match is None or (match["open"] is None) != (match["close"] is None):
            return None
        prefix, unit = (match["prefix"] or "").strip(), (match["suffix"] or "").strip()
        if (prefix and not _is_currency(prefix)) or (unit and not _is_unit(unit, match["blank"] != "")):
            return None
        prefixes |= {prefix} - {""}
        units |= {unit} - {""}
        if len(prefixes) > 1 or len(units) > 1:
            return None
        limits |= match["limit"] is not None
        bodies.append(match["body"])
    return bodies, NumberFormat("", ".", "".join(prefixes), "".join(units), limits)


def _is_currency(sign: str) -> bool:
    return sign in CURRENCIES or (len(sign) == 1 and unicodedata.category(sign) == "Sc")


def _is_unit(sign: str, after_blank: bool) -> bool:
    is_unit = _UNIT.fullmatch(sign) is not None and (after_blank or len(sign) > 1 or not sign.isalpha())
    return is_unit or _is_currency(sign)


def are_codes(bodies: Collection[str]) -> bool:
    """Say whether digits are names rather than numbers: some with leading zeros, or with more than a float holds."""
    return any(re.match(r"0\d", body) or (len(body) > EXACT_DIGITS and body.isdigit()) for body in bodies)


def separators(bodies: Sequence[str], decimal: str, around: NumberFormat) -> tuple[str, str] | None:
    """Return the separators of thousands and decimals of a column's digits; None where no pair suits them all.

    Parameters
    ----------
    decimal : {'.', ','}
        The file's decimal sign, which is preferred.
    around : NumberFormat
        What stands around the digits: amounts of money have no three decimals.
    """
    if (_is_currency(around.prefix) or _is_currency(around.suffix)) and is_ambiguous(bodies):
        return (",", ".") if any("," in body for body in bodies) else (".", ",")
    ordered = sorted(PAIRS, key=lambda pair: pair[1] != decimal)
    return next((pair for pair in ordered if NumberFormat(*pair).admits(bodies)), None)


def is_ambiguous(bodies: Collection[str]) -> bool:
    """Say whether '1,234' and the like could be thousands as well as decimals."""
    return any(all(NumberFormat(*pair).admits(bodies) for pair in pairs) for pairs in _EITHER) and any(
        "," in body or "." in body for body in bodies
    )


_EITHER = [[("", ","), (",", ".")], [("", "."), (".", ",")]]


def shows_decimal(bodies: Collection[str], decimal: str) -> bool:
    """Say whether a column's digits can have this decimal sign alone."""
    other = "," if decimal == "." else "."
    ours = any(NumberFormat(*pair).admits(bodies) for pair in PAIRS if pair[1] == decimal)
    theirs = any(NumberFormat(*pair).admits(bodies) for pair in PAIRS if pair[1] == other)
    return ours and not theirs and any(decimal in body for body in bodies)
