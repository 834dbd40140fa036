"""The one exception for a user's mistake, and the suggestion of a nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CodsaError(Exception):
    """A mistake in what the user gave: names the thing, the value seen and the fix.

    The command line prints it as one line and ends with exit code 2, without a traceback.
    """


def suggest(name: str, known: Iterable[str]) -> str:
    """Say which known name is nearest to a wrong one.

    Parameters
    ----------
    name : str
        The name that is not known.
    known : iterable of str
        The names that are.

    Returns
    -------
    str
        "did you mean 'x'?", or the list of known names when none is near.
    """
    names = [str(k) for k in known]
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    return f"did you mean '{near[0]}'?" if near else "known: " + (", ".join(names) or "none")


def shortened(text: str, most: int = 60) -> str:
    """Return a value as errors quote it: on one line, without control characters, a long one without its middle."""
    line = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in " ".join(text.split()))
    return line if len(line) <= most else f"{line[: most * 2 // 3]}…{line[-(most // 3) :]}"
