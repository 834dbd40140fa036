"""The one exception for a user's mistake, and the suggestion of a nearest name."""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable

SYSTEM_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}
SYSTEM_ERRORS |= {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP}
SYSTEM_ERRORS |= {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}
"""Errors of the system that the user can mend: no space, no permission, a file where a folder is needed, limits."""
NO_MEMORY = (
    "can't allocate memory",
    "Cannot allocate memory",
    "can't start new thread",
    "out of memory",
    "bad_alloc",
    "failed to map segment",
)
"""Messages of libraries that have no exception class for exhausted memory."""


class CodsaError(Exception):
    """A mistake in the user's input: names the column, key or file, the value seen and the fix.

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
    nearest = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    return f"did you mean '{nearest[0]}'?" if nearest else "known: " + (", ".join(names) or "none")


def shortened(text: str, max_characters: int = 60) -> str:
    """Return a text as errors quote it: one line, no control characters, and a long one without its middle."""
    line = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in " ".join(text.split()))
    return (
        line if len(line) <= max_characters else f"{line[: max_characters * 2 // 3]}…{line[-(max_characters // 3) :]}"
    )


def quoted_value(value: object) -> str:
    """Return a value as Python writes it, a long one cut."""
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def system_reason(error: BaseException) -> str | None:
    """Say in words what an error of the system means for the user; None where the error is of another kind.

    Libraries wrap such errors in classes of their own, whose text holds the errno.
    """
    text = str(error)
    if isinstance(error, MemoryError) or any(words in text for words in NO_MEMORY):
        return "not enough memory for this step; give it more, or fewer rows or a smaller model"
    number = error.errno if isinstance(error, OSError) else None
    wrapped = re.search(r"(?:os error |[Ee]rrno:? )(\d+)", text)
    if number is None and wrapped:
        number = int(wrapped[1])
    if number not in SYSTEM_ERRORS:
        return None
    place = getattr(error, "filename", None) or "output"
    return f"{place}: {os.strerror(number)}; nothing half-written was left"


def check_choice(what: str, value: str, known: tuple[str, ...]) -> None:
    """Raise a `CodsaError` unless `value` is one of the known names."""
    if value not in known:
        raise CodsaError(f"{what} '{value}' is not known; {suggest(value, known)}")
