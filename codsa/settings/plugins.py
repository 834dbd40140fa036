"""Names that installed packages bring: the entry-point groups `codsa.generators` and `codsa.estimators`.

Only what the packages' metadata say is read here. A package's code is imported where its name is used, as that of a
registered name is: whoever installed it trusts it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from functools import cache
from importlib import metadata

log = logging.getLogger(__name__)

TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
"""What an entry point must refer to: `module:Object`."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What its name must be: a part of paths and of commands."""


@cache
def plugins(group: str) -> dict[str, str]:
    """Return the entry points of a group, name → `module:Object`, in the order of their names.

    One that cannot be used is left out, with a warning. Of two of one name the first package's counts, by the
    packages' names.
    """
    entries = sorted(metadata.entry_points(group=group), key=lambda entry: (entry.name, _package(entry)))
    usable: dict[str, str] = {}
    for entry in entries:
        fault = _fault(entry, usable)
        if fault is None:
            usable[entry.name] = entry.value
        elif usable.get(entry.name) != entry.value:  # a package that is found twice says the same twice
            log.warning("plug-in '%s' of %s (%s) is left out: %s", entry.name, _package(entry), group, fault)
    return usable


def _package(entry: metadata.EntryPoint) -> str:
    return str(entry.dist.name) if entry.dist is not None else "an unnamed package"


def _fault(entry: metadata.EntryPoint, usable: Mapping[str, str]) -> str | None:
    if not NAME.fullmatch(entry.name):
        return "a name has letters, digits and . _ - only"
    if not TARGET.fullmatch(entry.value):
        return f"'{entry.value}' is not written as module:Object"
    return "another package has that name" if entry.name in usable else None


def with_plugins(own: Mapping[str, str], group: str) -> dict[str, str]:
    """Return the registered names with those of plug-ins, in order; a plug-in never replaces one of our own."""
    further = plugins(group)
    for name in sorted(own.keys() & further.keys()):
        log.warning("plug-in '%s' (%s) is left out: CoDSA has that name itself", name, group)
    return dict(sorted({**further, **own}.items()))
