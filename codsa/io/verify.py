"""The search for artefacts that differ from their manifests: truncated, half-copied or edited."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from codsa.errors import CodsaError
from codsa.io.artifacts import is_set_aside, set_aside
from codsa.io.digests import file_digest
from codsa.io.manifests import Manifest, read_manifest
from codsa.io.names import MANIFEST, PAGE, PREPARE, REPORT_MANIFEST, SCHEMA
from codsa.io.records import read_json

NAMES = (MANIFEST, "split.json", REPORT_MANIFEST, "shard-*-of-*.json")
"""Names of manifests."""
PLACES = ("generator", "pool", "data", "source", "fresh", "rep~*", "r~*", "eval~*", "pretrained~*")
"""Names of the folders of a study that hold manifests."""


def manifests(results: Path) -> Iterator[Path]:
    """Yield the manifests under a folder of results, and unreadable files in their places."""
    for name in NAMES:
        yield from (path for path in sorted(results.rglob(name)) if _is_manifest(path, results))


def _is_manifest(path: Path, results: Path) -> bool:
    if is_set_aside(path.relative_to(results)):
        return False
    try:
        content = read_json(path)
    except (CodsaError, OSError):
        return any(path.parent.match(place) for place in PLACES)
    return isinstance(content, dict) and {"stage", "outputs"} <= content.keys()


def broken(results: Path, thorough: bool = True) -> dict[Path, Path]:
    """Find artefacts that differ from their manifests.

    Parameters
    ----------
    results : Path
    thorough : bool
        Compare the digests of all files; otherwise only of those that are empty, or newer than their manifest.

    Returns
    -------
    dict of manifest to its first broken file
    """
    faults = {manifest: _fault(manifest, thorough) for manifest in manifests(results)}
    return {manifest: file for manifest, file in faults.items() if file is not None}


def _fault(manifest: Path, thorough: bool) -> Path | None:
    try:
        record = read_manifest(manifest)
    except CodsaError:
        return manifest
    manifest_time = manifest.stat().st_mtime_ns
    for name, expected in record.outputs.items():
        path = manifest.parent / name
        if not path.is_file():
            return path
        if _is_editable(record, name):
            continue
        status = path.stat()
        suspect = thorough or status.st_size == 0 or status.st_mtime_ns > manifest_time
        if suspect and file_digest(path) != expected:
            return path
    return None


def _is_editable(record: Manifest, name: str) -> bool:
    """Say whether the user may correct a file."""
    return record.stage == PREPARE and name == SCHEMA


def refuse_broken(study: Path) -> None:
    """Move aside artefacts that were changed after they were written, and raise, so that the next run makes them again.

    A run that is planned already would take broken artefacts for intact ones.
    """
    faults = broken(study, thorough=False)
    for manifest in faults:
        set_aside(manifest)
    if faults:
        names = ", ".join(str(path) for path in faults.values())
        raise CodsaError(
            f"{names}: truncated or edited (the manifest has another digest), and moved aside now as …changed-1; "
            f"{anew(faults)}"
        )


def anew(manifests: Iterable[Path]) -> str:
    """Say how to make artefacts again: Snakemake does not remake inputs of finished jobs by itself."""
    targets = shlex.join(str(target(manifest)) for manifest in manifests)
    return f"type the same command again with --forcerun {targets} to make it anew, with what was made from it"


def target(manifest: Path) -> Path:
    """Return the workflow's output for an artefact: its folder, or a file where the rule has single files."""
    if manifest.name == REPORT_MANIFEST:
        return manifest.with_name(PAGE)
    single = manifest.parent.name.startswith("eval~") or manifest.parent.name in ("data", "source", "fresh")
    return manifest if manifest.name != MANIFEST or single else manifest.parent
