"""The section of how a table's file is written: its separators, its encoding, its header, and what its cells hold."""

from __future__ import annotations

import codecs
from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from codsa.errors import CodsaError, shortened
from codsa.settings.limits import MOST_ROWS
from codsa.settings.section import Flag, Section
from codsa.settings.types import Composed

SEPARATORS = {
    "comma": ",",
    "semicolon": ";",
    "tab": "\t",
    "pipe": "|",
    "whitespace": "whitespace",
    "comma blank": ", ",
    "semicolon blank": "; ",
}
"""Separators of fields by the words that stand for them."""
WORDS = {sign: word for word, sign in SEPARATORS.items()}
DECIMALS = {"point": ".", "comma": ","}
EXAMPLE = "1,234.5"
"""The number that a format shows."""


class TableOptions(Section):
    """How a table's file is written. What is not said is found, unless `guess` is false: then it is plain."""

    section: ClassVar[str] = "table"
    guess: Annotated[
        bool, Flag("--guess/--no-guess", help="Table: find what the options below leave open, or take it as plain.")
    ] = Field(default=True, description="whether what the other keys leave open is found in the file")
    sep: str | None = Field(default=None, description="separator of fields: , ; | tab or whitespace")
    decimal: str | None = Field(default=None, description="sign before decimals: . or ,")
    encoding: str | None = Field(default=None, description="of the text, as utf-8, cp1252, latin-1 or utf-16")
    header: Annotated[
        bool | None, Flag("--header/--no-header", help="Table: the first row names the columns, or is a row as others.")
    ] = Field(default=None, description="whether the first row names the columns; if not: column_1, column_2, …")
    skip: Annotated[int, Flag("--skip")] = Field(
        default=0, ge=0, le=MOST_ROWS, description="lines above the header that are no part of the table"
    )
    skip_end: Annotated[int, Flag("--skip-end")] = Field(
        default=0, ge=0, le=MOST_ROWS, description="rows at the end that are no part of the table, as notes"
    )
    sheet: str | None = Field(default=None, description="sheet of a spreadsheet; default: the first that has cells")
    missing: Annotated[list[Composed], Flag("--missing", "[NAME=]MARK")] = Field(
        default=[],
        description="cells that are missing, as - or -999, in all columns or as NAME=MARK in one, beside empty ones, "
        "NA, NaN, null and ?; repeatable",
    )
    numbers: Annotated[dict[Composed, str], Flag("--number", "NAME=EXAMPLE", read="pairs")] = Field(
        default={}, description=f"how a column writes the number {EXAMPLE}, as '1.234,5 €', '<1234.5' or '1234.5 %'"
    )
    dates: Annotated[dict[Composed, str], Flag("--date", "NAME=FORMAT", read="pairs")] = Field(
        default={}, description="how a column writes dates, as %d.%m.%Y"
    )

    @field_validator("sep")
    @classmethod
    def _separator(cls, sep: str | None) -> str | None:
        found = SEPARATORS.get(sep or "", sep)
        if found is not None and found not in SEPARATORS.values():
            raise CodsaError(
                f"table: sep {shortened(repr(sep))}: give , ; | or tab, comma, semicolon, pipe, whitespace"
            )
        return found

    @field_validator("decimal")
    @classmethod
    def _decimal(cls, decimal: str | None) -> str | None:
        found = DECIMALS.get(decimal or "", decimal)
        if found is not None and found not in DECIMALS.values():
            raise CodsaError(f"table: decimal {shortened(repr(decimal))}: give . or ,")
        return found

    @field_validator("encoding")
    @classmethod
    def _encoding(cls, encoding: str | None) -> str | None:
        if encoding is None:
            return None
        try:
            codecs.decode(b"", encoding)
            return encoding if isinstance("".encode(encoding), bytes) else None
        except (LookupError, ValueError, TypeError):
            raise CodsaError(
                f"table: encoding {shortened(repr(encoding))} is not known; give utf-8, cp1252, latin-1 or utf-16"
            ) from None
