"""How large, and how long, what a user gives may be."""

from __future__ import annotations

from codsa.errors import CodsaError, shortened

MOST_ROWS = 10**9
"""Rows that may be asked for at once: of a pool's region, of an arm (m·n), of a role."""
MOST_BATCH = 2**20
"""Rows of a batch."""
MOST_DRAWN = 10**8
"""Rows of each kind that a simulation draws, in memory."""
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
        What errors call it: an option, or a key.
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
    strange = next((character for character in text if not character.isprintable()), None)
    if strange is not None:
        raise CodsaError(f"{what} '{shortened(text)}': {strange!a} is not printable; give one line of text")
    if len(text) > longest:
        raise CodsaError(f"{what} '{shortened(text)}': {len(text)} characters; at most {longest} are shown")
    return text
