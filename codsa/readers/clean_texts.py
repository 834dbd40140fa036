"""Minimal cleaning of texts, the same for every language, and the limits that they must keep."""

from __future__ import annotations

import logging
import re
import unicodedata
from dataclasses import dataclass

import numpy as np
import pandas as pd

from codsa.data.schema import check_choice
from codsa.errors import CodsaError

log = logging.getLogger(__name__)

BROKEN = ("refuse", "skip")
SENTENCE_ENDS = re.compile(r"(?:(?<=[.!?…])|(?<=[.!?…][\"'”’)]))\s+")
SHOWN = 60
"""So many characters of a text are quoted."""


@dataclass(frozen=True)
class Limits:
    """How long a text may be, in words, and what becomes of others.

    Attributes
    ----------
    least, most : int, optional
        Words, which are what white space parts.
    broken : {'refuse', 'skip'}
        What becomes of texts that are missing, empty or beyond the limits.
    """

    least: int = 1
    most: int | None = None
    broken: str = "refuse"

    def __post_init__(self) -> None:
        check_choice("texts: broken", self.broken, BROKEN)
        if self.least < 1 or (self.most is not None and self.most < self.least):
            raise CodsaError(
                f"texts: {self.least} to {self.most} words; the least is 1, the most no less than the least"
            )


def cleaned(text: str) -> str:
    """Return a text in Unicode's composed form (NFC), without control characters, white space as single blanks."""
    whole = " ".join(unicodedata.normalize("NFC", text).split())
    return "".join(c for c in whole if unicodedata.category(c) != "Cc")


def pieces(text: str, most: int) -> list[str]:
    """Cut a text into runs of whole sentences of at most so many words; a longer sentence is cut between words."""
    found: list[list[str]] = [[]]
    for sentence in SENTENCE_ENDS.split(text):
        words = sentence.split()
        for first in range(0, len(words), most):
            run = words[first : first + most]
            if len(found[-1]) + len(run) > most:
                found.append([])
            found[-1] += run
    return [" ".join(one) for one in found if one]


def clean(values: pd.Series, limits: Limits, name: str) -> tuple[pd.Series, np.ndarray, list[str]]:
    """Clean a column of texts and apply the limits.

    Returns
    -------
    texts : Series of str
        Of the rows that are kept.
    kept : ndarray of bool, shape (n,)
    notes : list of str
        How many were changed and left out, in words.

    Raises
    ------
    CodsaError
        For a text that is missing, empty or beyond the limits, unless these are skipped; where none is left.
    """
    given = values.astype(object).where(values.notna(), "").map(str)
    texts = given.map(cleaned)
    words = np.array([len(text.split()) for text in texts], dtype=np.int64)
    faults = {
        "empty": words == 0,
        f"shorter than {limits.least} words": (words > 0) & (words < limits.least),
        f"longer than {limits.most} words": words > (limits.most or np.inf),
    }
    bad = np.logical_or.reduce(list(faults.values()))
    if bad.any() and limits.broken == "refuse":
        raise CodsaError(_refusal(texts, faults, name))
    if bad.all():
        raise CodsaError(f"column '{name}': no text is left; all are empty or beyond the limits")
    notes = [
        f"column '{name}': {int(m.sum())} of {len(m)} texts left out: {why}" for why, m in faults.items() if m.any()
    ]
    changed = int((given.to_numpy() != texts.to_numpy())[~bad].sum())
    if changed:
        notes.append(f"column '{name}': {changed} texts cleaned (Unicode NFC, control characters, white space)")
    return texts[~bad].reset_index(drop=True), ~bad, notes


def _refusal(texts: pd.Series, faults: dict[str, np.ndarray], name: str) -> str:
    why, where = next((why, where) for why, where in faults.items() if where.any())
    row = int(np.flatnonzero(where)[0])
    quoted = texts.iloc[row][:SHOWN]
    return (
        f"column '{name}': {int(where.sum())} of {len(texts)} texts are {why}; the first is row {row}"
        + (f" ('{quoted}…')" if quoted else "")
        + ". Mend them, change the limits, or leave them out with --broken skip"
    )
