"""The one exception for a user's mistake, and the suggestion of a nearest name."""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable

OUTSIDE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}
OUTSIDE |= {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP}
OUTSIDE |= {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}
"""Errors of the system that the user can mend: no space, no permission, a file where a folder is needed, limits."""
NO_MEMORY = (
    "can't allocate memory",
    "Cannot allocate memory",
    "can't start new thread",
    "out of memory",
    "bad_alloc",
    "failed to map segment",
)
"""How libraries that have no kind of their own for it say that there is no memory left."""


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


def quoted_value(value: object) -> str:
    """Return a value as Python writes it, a long one cut."""
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def system_reason(error: BaseException) -> str | None:
    """Say in words what an error of the system means for the user; None where the error is of another kind.

    Libraries wrap such errors in kinds of their own, whose text holds the system's number.
    """
    text = str(error)
    if isinstance(error, MemoryError) or any(words in text for words in NO_MEMORY):
        return "not enough memory for this step; give it more, or fewer rows or a smaller model"
    number = error.errno if isinstance(error, OSError) else None
    wrapped = re.search(r"(?:os error |[Ee]rrno:? )(\d+)", text)
    if number is None and wrapped:
        number = int(wrapped[1])
    if number not in OUTSIDE:
        return None
    place = getattr(error, "filename", None) or "output"
    return f"{place}: {os.strerror(number)}; nothing half-written was left"


def check_choice(what: str, value: str, known: tuple[str, ...]) -> None:
    """Raise a `CodsaError` unless `value` is one of the known names."""
    if value not in known:
        raise CodsaError(f"{what} '{value}' is not known; {suggest(value, known)}")
