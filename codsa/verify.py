"""Finding artefacts whose content is no longer what their manifest says: truncated, half-copied or edited."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from codsa.errors import CodsaError
from codsa.io.digests import file_digest
from codsa.io.records import read_json

EDITABLE = ("data", "source")
"""Folders whose files a user may correct: `schema.json`."""
NAMES = ("manifest.json", "split.json", "shard-*-of-*.json")


def manifests(results: Path) -> Iterator[Path]:
    """Give the manifests under a folder of results, but for those of prepared data."""
    for name in NAMES:
        yield from (path for path in sorted(results.rglob(name)) if path.parent.name not in EDITABLE)


def broken(results: Path, thorough: bool = True) -> dict[Path, Path]:
    """Find what differs from its manifest.

    Parameters
    ----------
    results : Path
    thorough : bool
        Compare the digests of all files; otherwise only of those that are empty, or newer than their manifest.

    Returns
    -------
    dict of manifest to the first file of it that is broken
    """
    found: dict[Path, Path] = {}
    for manifest in manifests(results):
        fault = _fault(manifest, thorough)
        if fault is not None:
            found[manifest] = fault
    return found


def _fault(manifest: Path, thorough: bool) -> Path | None:
    try:
        record: dict[str, Any] = read_json(manifest)
    except CodsaError:
        return manifest
    sealed = manifest.stat().st_mtime_ns
    for name, expected in record.get("outputs", {}).items():
        path = manifest.parent / name
        if not path.exists():
            return path
        state = path.stat()
        suspect = thorough or state.st_size == 0 or state.st_mtime_ns > sealed
        if suspect and file_digest(path) != expected:
            return path
    return None


def refuse_broken(study: Path) -> None:
    """Remove what was changed after it was sealed, and raise, so that the next run makes it again.

    A run that has been planned already would take broken artefacts for whole ones.
    """
    found = broken(study, thorough=False)
    for manifest in found:
        remove(manifest)
    if found:
        names = ", ".join(str(path) for path in found.values())
        raise CodsaError(
            f"{names}: truncated or edited (the manifest has another digest) and removed now; {anew(found)}"
        )


def anew(manifests: Iterable[Path]) -> str:
    """Say how artefacts are made again: Snakemake makes none that only finished work was made from."""
    wanted = shlex.join(str(target(manifest)) for manifest in manifests)
    return f"type the same command again with --forcerun {wanted} to make it anew, with what was made from it"


def target(manifest: Path) -> Path:
    """Return what the workflow calls an artefact: its folder, or the manifest where the rule makes single files."""
    single = manifest.name != "manifest.json" or manifest.parent.name.startswith("eval~")
    return manifest if single else manifest.parent


def remove(manifest: Path) -> None:
    """Remove an artefact, so that the workflow makes it again: its folder, or its files where others share that."""
    if manifest.name == "manifest.json":
        shutil.rmtree(manifest.parent)
        return
    try:
        names = list(read_json(manifest).get("outputs", {}))
    except CodsaError:
        names = []
    for path in (manifest, *(manifest.parent / name for name in names)):
        path.unlink(missing_ok=True)
