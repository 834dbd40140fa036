"""Names of models on the Hugging Face hub, with the revision: `owner/name@revision`."""

from __future__ import annotations

import logging
import re
from pathlib import Path

log = logging.getLogger(__name__)

COMMIT = re.compile(r"[0-9a-f]{40}")


def parted(place: str) -> tuple[str, str | None]:
    """Return a hub name and its revision: a commit or a tag, or None for the newest.

    Examples
    --------
    >>> parted("owner/name@v1.0")
    ('owner/name', 'v1.0')
    """
    name, at, revision = place.partition("@")
    return (name, revision) if at and revision else (place, None)


def warn_unless_pinned(place: str, folder: Path) -> None:
    """Say how to pin the revision of a hub model that was named without one.

    Parameters
    ----------
    place : str
        As the user named it.
    folder : Path
        Where the hub's client has put it: a folder named after the commit.
    """
    if parted(place)[1] is not None:
        return
    commit = folder.name if COMMIT.fullmatch(folder.name) else "COMMIT"
    log.warning("%s: the newest revision is taken, which may change; to pin it write %s@%s", place, place, commit)
