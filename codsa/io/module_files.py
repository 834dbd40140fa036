"""Where the source of a module lies, found as `import` would find it but without running any code."""

from __future__ import annotations

import importlib.util
import site
import sys
import sysconfig
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from importlib.machinery import all_suffixes
from pathlib import Path


def module_file(name: str) -> Path | None:
    """Return the file of a module, or None for one that is not found or has no file.

    Looked for on `sys.path`, then in the current folder, then by the finders of packages that are installed for
    editing. No package above it is imported.

    Parameters
    ----------
    name : str
        A dotted name.
    """
    parts = name.split(".")
    folders = [Path(entry or ".") for entry in sys.path]
    return _search([*folders, Path()], parts) or _by_finders(parts)


def _search(folders: Iterable[Path], parts: list[str]) -> Path | None:
    """Look for a module below folders; a folder without `__init__.py` is a package of what all of them hold."""
    first, *below = parts
    namespaces = []
    for folder in folders:
        package = folder / first
        is_package = (package / "__init__.py").is_file()
        if below and is_package:
            return _search([package], below)
        if is_package:
            return package / "__init__.py"
        file = next((f for suffix in all_suffixes() if (f := folder / (first + suffix)).is_file()), None)
        if file is not None and not below:
            return file
        if package.is_dir():
            namespaces.append(package)
    return _search(namespaces, below) if namespaces and below else None


def _by_finders(parts: list[str]) -> Path | None:
    """Ask Python's finders for the first package of a dotted name, and look for the rest below it."""
    first, *below = parts
    try:
        spec = importlib.util.find_spec(first)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if below:
        return _search([Path(folder) for folder in spec.submodule_search_locations or ()], below)
    return Path(spec.origin) if spec.has_location and spec.origin is not None else None


def is_installed(file: Path) -> bool:
    """Say whether a file is Python's own or that of an installed package, not one that the user edits."""
    place = file.absolute()
    return any(place.is_relative_to(folder) for folder in _installed_folders())


@cache
def _installed_folders() -> frozenset[Path]:
    paths = sysconfig.get_paths()
    known = [paths[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib")]
    return frozenset(
        Path(folder).absolute() for folder in (*known, *site.getsitepackages(), site.getusersitepackages())
    )


@cache
def installed_version(name: str) -> str:
    """Return what identifies the installed package that a module is of: the list of its files with their digests.

    An empty text where the package has no such list.
    """
    owners = metadata.packages_distributions().get(name.split(".")[0], [])
    lists = (metadata.distribution(owner).read_text("RECORD") for owner in sorted(set(owners)))
    return "\n".join(line for text in lists for line in sorted((text or "").splitlines()) if ".py," in line)
