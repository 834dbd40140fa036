"""The record beside every artefact: what made it, from which inputs, with which settings and versions."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from codsa import __version__
from codsa.errors import CodsaError
from codsa.io.digests import file_digest
from codsa.io.records import read_json, write_json

LIBRARIES = (
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "imbalanced-learn",
    "torch",
    "diffusers",
    "transformers",
    "sentence-transformers",
)


def versions() -> dict[str, str]:
    """Return the versions of the libraries that can change a result, where installed."""
    found = {"codsa": __version__}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def write_manifest(
    path: Path,
    stage: str,
    inputs: Mapping[str, str],
    parameters: Mapping[str, Any],
    outputs: Mapping[str, str],
    **facts: Any,
) -> None:
    """Write the record of an artefact: what made it, from what, with which settings.

    It holds no times and no paths, so the same work gives the same bytes.

    Parameters
    ----------
    path : Path
        Where the manifest goes.
    stage : str
        The stage that made the artefact.
    inputs, outputs : mapping of name to SHA-256
        What was read and what was written.
    parameters : mapping
        The settings of the stage, the seed included.
    **facts
        What else a later stage or the report wants to know.
    """
    record = {
        "stage": stage,
        "inputs": dict(inputs),
        "outputs": dict(outputs),
        "parameters": dict(parameters),
        "versions": versions(),
        **facts,
    }
    write_json(path, record)


def verify(path: Path, expected: str) -> None:
    """Check a file against its digest; a missing or changed one is a `CodsaError`."""
    if not path.exists():
        raise CodsaError(f"{path}: no such file, though its manifest lists it; re-run its stage")
    if file_digest(path) != expected:
        raise CodsaError(
            f"{path}: its content differs from its manifest (truncated or edited); delete it and re-run its stage"
        )


def write_folder_manifest(folder: Path, stage: str, inputs: Mapping[str, str], parameters: Mapping[str, Any]) -> None:
    """Write a folder's manifest over all the files in it."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    outputs = {str(p.relative_to(folder)): file_digest(p) for p in files}
    write_manifest(folder / "manifest.json", stage, inputs, parameters, outputs)


def check_folder(folder: Path, stage: str) -> dict[str, Any]:
    """Read a folder's manifest and check that a stage made it and every file that it lists."""
    record: dict[str, Any] = read_json(folder / "manifest.json")
    if record.get("stage") != stage:
        raise CodsaError(f"{folder}: made by stage '{record.get('stage')}', not '{stage}'; give the other folder")
    for name, expected in record["outputs"].items():
        verify(folder / name, expected)
    return record
