"""Minimal cleaning of texts, the same for every language, and the limits of their lengths."""

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
QUOTED_CHARACTERS = 60
"""An error quotes at most this many characters of a text."""


def cleaned(text: str) -> str:
    """Return a text in Unicode's composed form (NFC), without control characters, white space as single blanks."""
    normalized = " ".join(unicodedata.normalize("NFC", text).split())
    return "".join(c for c in normalized if unicodedata.category(c) != "Cc")


def pieces(text: str, max_words: int) -> list[str]:
    """Cut a text into runs of whole sentences of at most `max_words` words; a longer sentence is cut between words."""
    runs: list[list[str]] = [[]]
    for sentence in SENTENCE_ENDS.split(text):
        words = sentence.split()
        for first in range(0, len(words), max_words):
            part = words[first : first + max_words]
            if len(runs[-1]) + len(part) > max_words:
                runs.append([])
            runs[-1] += part
    return [" ".join(words) for words in runs if words]


def clean(values: pd.Series, options: TextOptions) -> tuple[pd.Series, np.ndarray, list[str]]:
    """Clean a column of texts and apply the limits.

    Parameters
    ----------
    values : Series of length n
    options : TextOptions

    Returns
    -------
    texts : Series of str
        The cleaned texts of the kept rows.
    kept : ndarray of bool, shape (n,)
    notes : list of str
        How many texts were changed, and how many left out.

    Raises
    ------
    CodsaError
        For a missing or empty text, or one beyond the limits, unless these are skipped; where no text is left.
    """
    name = options.column
    raw_texts = values.astype(object).where(values.notna(), "").map(str)
    texts = raw_texts.map(cleaned)
    words = np.array([len(text.split()) for text in texts], dtype=np.int64)
    faults = {
        "empty": words == 0,
        f"shorter than {options.least_words} words": (words > 0) & (words < options.least_words),
        f"longer than {options.most_words} words": words > (options.most_words or np.inf),
    }
    faulty = np.logical_or.reduce(list(faults.values()))
    if faulty.any() and options.on_unreadable == "refuse":
        raise CodsaError(_refusal(texts, faults, name))
    if faulty.all():
        raise CodsaError(f"column '{name}': no text is left; all are empty or beyond the limits")
    notes = [
        f"column '{name}': {int(mask.sum())} of {len(mask)} texts left out: {fault}"
        for fault, mask in faults.items()
        if mask.any()
    ]
    changed = int((raw_texts.to_numpy() != texts.to_numpy())[~faulty].sum())
    if changed:
        notes.append(f"column '{name}': {changed} texts cleaned (Unicode NFC, control characters, white space)")
    return texts[~faulty].reset_index(drop=True), ~faulty, notes


def _refusal(texts: pd.Series, faults: dict[str, np.ndarray], name: str) -> str:
    fault, mask = next((fault, mask) for fault, mask in faults.items() if mask.any())
    row = int(np.flatnonzero(mask)[0])
    quoted = texts.iloc[row][:QUOTED_CHARACTERS]
    return (
        f"column '{name}': {int(mask.sum())} of {len(texts)} texts are {fault}; the first is row {row}"
        + (f" ('{quoted}…')" if quoted else "")
        + ". Mend them, change the limits, or leave them out with --on-unreadable skip"
    )
