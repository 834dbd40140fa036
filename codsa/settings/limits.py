"""Limits of the numbers and texts that a user gives."""

from __future__ import annotations

from codsa.errors import CodsaError, shortened

MOST_ROWS = 10**9
"""The most rows of a region of a pool, of a grid point (m·n), of a role."""
MOST_BATCH = 2**20
"""The most rows of a batch."""
MOST_DRAWN = 10**8
"""The most rows that a simulation draws of the minority or the majority, in memory."""
MOST_SEED = 2**64 - 1
MOST_PROCESSES = 1024
MOST_SHARDS = 9999
"""Shards are numbered in four digits."""
MOST_WORDS = 10**6
LONGEST_SIDE = 8192
"""Pixels of an image's side."""
LONGEST_NAME = 200
LONGEST_TITLE = 500


def check_line(what: str, text: str, longest: int = LONGEST_NAME) -> str:
    """Return text that is one line of printable characters, neither blank nor longer than a report can show.

    Parameters
    ----------
    what : str
        The subject of errors: an option, or a key.
    text : str
    longest : int
        Characters.

    Raises
    ------
    CodsaError
        For a blank, spaces around it, control characters, line breaks, half a surrogate pair, and too long a text.
    """
    if not text.strip() or text != text.strip():
        raise CodsaError(f"{what} '{shortened(text)}': give text without spaces around it")
    unprintable = next((character for character in text if not character.isprintable()), None)
    if unprintable is not None:
        raise CodsaError(f"{what} '{shortened(text)}': {unprintable!a} is not printable; give one line of text")
    if len(text) > longest:
        raise CodsaError(f"{what} '{shortened(text)}': {len(text)} characters; at most {longest} are shown")
    return text
