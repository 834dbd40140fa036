"""Minimal cleaning of texts, the same for every language, and the limits that they must keep."""

from __future__ import annotations

import logging
import re
import unicodedata

import numpy as np
import pandas as pd

from codsa.errors import CodsaError
from codsa.settings.texts import TextOptions

log = logging.getLogger(__name__)

SENTENCE_ENDS = re.compile(r"(?:(?<=[.!?…])|(?<=[.!?…][\"'”’)]))\s+")
SHOWN = 60
"""So many characters of a text are quoted."""


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


def clean(values: pd.Series, options: TextOptions) -> tuple[pd.Series, np.ndarray, list[str]]:
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
    name = options.column
    given = values.astype(object).where(values.notna(), "").map(str)
    texts = given.map(cleaned)
    words = np.array([len(text.split()) for text in texts], dtype=np.int64)
    faults = {
        "empty": words == 0,
        f"shorter than {options.least_words} words": (words > 0) & (words < options.least_words),
        f"longer than {options.most_words} words": words > (options.most_words or np.inf),
    }
    bad = np.logical_or.reduce(list(faults.values()))
    if bad.any() and options.on_unreadable == "refuse":
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
        + ". Mend them, change the limits, or leave them out with --on-unreadable skip"
    )
